/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of the passes that make ONNX out of ONNX, and what passes share.
 */
#include "engine/engine.h"
#include "engine/pass/pass.h"

typedef int pass_fn(struct graph *g, struct err *e);

int
graph_simplify(struct graph *g, struct err *e)
{
    /* Constants first: weights may be computed by nodes.  Hard-swish before
     * its Add is mistaken for a bias. */
    static pass_fn *const passes[] = {
        pass_constants, pass_weights, pass_identity,
        pass_hardswish, pass_affine,  pass_deconv,
    };

    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        int rc = passes[i](g, e);

        if (rc != 0)
            return rc;
        graph_sweep(g);
    }
    return 0;
}

bool
pass_scalar(const struct value *v, float *out)
{
    if (v == NULL || v->data == NULL || v->dtype != DTYPE_FLOAT ||
        shape_n(&v->shape) != 1)
        return false;
    *out = *(const float *)v->data;
    return true;
}

struct node *
pass_reader(const struct graph *g, const struct node *n)
{
    struct node *one;

    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] >= 0 && graph_uses(g, n->out[i], NULL) > 0)
            return NULL;
    graph_uses(g, n->out[0], &one);
    return one;
}
