/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two lists of passes, and what passes share.
 */
#include <math.h>

#include "engine/engine.h"
#include "engine/pass/pass.h"

typedef int pass_fn(struct graph *g, struct err *e);

static int
run(struct graph *g, pass_fn *const *passes, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int rc = passes[i](g, e);

        if (rc != 0)
            return rc;
        graph_sweep(g);
    }
    return 0;
}

int
graph_simplify(struct graph *g, struct err *e)
{
    /* One real type first, then constants: weights may be computed by nodes.
     * Hard-swish before its Add is mistaken for a bias. */
    static pass_fn *const passes[] = {
        pass_half,    pass_constants, pass_bodies,
        pass_weights, pass_identity,  pass_hardswish,
        pass_affine,  pass_deconv,    pass_merge,
    };

    return run(g, passes, sizeof passes / sizeof passes[0], e);
}

int
pass_plan(struct graph *g, struct err *e)
{
    /* What an If has left behind goes; then operators of one node before
     * those that look for them. */
    static pass_fn *const passes[] = {
        pass_identity, pass_cast,   pass_expand,    pass_layer_norm,
        pass_compound, pass_unwrap, pass_attention, pass_mean,
        pass_integer,  pass_fuse,
    };

    return run(g, passes, sizeof passes / sizeof passes[0], e);
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

bool
pass_near(float c, float want)
{
    return fabsf(c - want) <= 1e-6f * fabsf(want) ||
           c == dtype_half_to_float(dtype_float_to_half(want)) ||
           c == dtype_bf16_to_float(dtype_float_to_bf16(want));
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
