/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/run/eager.h"

#include "base/mem.h"
#include "engine/ops/ops.h"

void
eager_free(struct eager *r, struct quota *q)
{
    graph_free(&r->made);
    quota_give(q, r->bytes);
    r->bytes = 0;
}

/* A graph of this node alone, whose inputs are constants. */
static struct graph *
graph_of(const struct graph *g, const struct node *n, const struct tensor *now)
{
    static unsigned char nothing; /* where the bytes of no element are */
    struct graph *one = graph_new();
    int *ids = mem_new((size_t)(n->n_in + n->n_out), sizeof *ids);
    struct node *to;

    for (int i = 0; i < n->n_in + n->n_out; i++) {
        int id = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
        struct value v = {.producer = -1};

        ids[i] = id < 0 ? -1 : (int)one->values.n;
        if (id < 0)
            continue;
        v.name = g->values.at[id].name;
        if (i < n->n_in) {
            v.dtype = now[id].dtype;
            v.shape = now[id].shape;
            v.data = now[id].data != NULL ? now[id].data : &nothing;
        }
        VEC_PUSH(&one->values, v);
    }
    to = graph_add_node(one, n->op, n->name, ids, n->n_in, ids + n->n_in,
                        n->n_out);
    to->attrs = n->attrs;
    to->n_attrs = n->n_attrs;
    mem_free(ids);
    return one;
}

static int
evaluate(struct eager *r, struct quota *q, struct err *e)
{
    struct graph *g = r->made;
    struct node *n = &g->nodes.at[0];
    size_t bytes = 0;

    if (ops_infer(g, n, e) != 0 || quota_work(q, ops_work(g, n), e) != 0)
        return e->code;
    for (int k = 0; k < n->n_out; k++) {
        const struct value *v = node_out(g, n, k);
        size_t more = v == NULL ? 0 : shape_n(&v->shape) * dtype_size(v->dtype);

        if (__builtin_add_overflow(bytes, more, &bytes))
            bytes = SIZE_MAX;
    }
    if (quota_take(q, bytes, e) != 0)
        return err_wrap(e, "node %s (%s)", n->name, op_name(n->op));
    r->bytes = bytes;
    return ops_eval(g, n, e);
}

int
eager_run(struct eager *r, const struct graph *g, const struct node *n,
          struct tensor *now, struct quota *q, struct err *e)
{
    eager_free(r, q);
    r->made = graph_of(g, n, now);
    if (evaluate(r, q, e) != 0)
        return e->code;
    for (int k = 0; k < n->n_out; k++) {
        const struct value *v = node_out(r->made, &r->made->nodes.at[0], k);

        if (v != NULL)
            now[n->out[k]] =
                (struct tensor){v->dtype, v->shape, (void *)v->data};
    }
    return 0;
}
