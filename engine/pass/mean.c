/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReduceMean over all spatial axes is GlobalAveragePool, for which there are
 * fast kernels, integer ones too.  Without kept dimensions a Reshape behind it
 * drops them.
 */
#include "engine/pass/pass.h"

/* Are the axes of n those behind the channels of x, each once? */
static bool
over_space(const struct node *n, const struct value *x)
{
    int count, seen = 0;
    const int64_t *axes = attr_ints(n, "axes", &count);
    struct err e;

    if (x->dtype != DTYPE_FLOAT || x->shape.rank < 3 ||
        count != x->shape.rank - 2)
        return false;
    for (int i = 0; i < count; i++) {
        int axis;

        if (shape_axis(axes[i], x->shape.rank, &axis, &e) != 0 || axis < 2)
            return false;
        seen |= 1 << axis;
    }
    return seen == (1 << x->shape.rank) - 4;
}

/* Puts a Reshape to the shape of value `out` between n and it. */
static int
reshape_to(struct graph *g, size_t at, int out, struct err *e)
{
    const struct value *y = graph_value(g, out);
    const char *name = y->name;
    struct shape kept = y->shape;
    int n_dims = kept.rank;
    int dims, full;

    dims = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(n_dims), kept.dim);
    if (dims < 0)
        return err_set(e, ERR_NO_MEMORY, "no memory for a shape");
    while (kept.rank < node_in(g, &g->nodes.at[at], 0)->shape.rank)
        kept.dim[kept.rank++] = 1;
    full = graph_add_value(g, NULL, DTYPE_FLOAT, &kept);
    g->nodes.at[at].out[0] = full;
    g->values.at[full].producer = (int)at;
    graph_insert_node(g, at + 1, OP_RESHAPE, name, (int[]){full, dims}, 2, &out,
                      1);
    return 0;
}

int
pass_mean(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];
        int rc = 0;

        if (n->dead || n->op != OP_REDUCE_MEAN ||
            !over_space(n, node_in(g, n, 0)))
            continue;
        n->op = OP_GLOBAL_AVERAGE_POOL;
        if (attr_int(n, "keepdims", 1) == 0)
            rc = reshape_to(g, i, n->out[0], e);
        if (rc != 0)
            return rc;
    }
    return 0;
}
