/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DequantizeLinear of constant integers, then Transpose or Reshape: exporters
 * that quantize a weight before they turn it write this.  The integers are
 * turned now instead, so that what multiplies with them still sees them:
 *
 *     DQ(w) -> Transpose  becomes  DQ(transposed w)
 */
#include "engine/ops/ops.h"
#include "engine/pass/pass.h"

static bool
only_turns(const struct graph *g, const struct node *n)
{
    switch (n->op) {
    case OP_FLATTEN:
    case OP_RESHAPE:
    case OP_SQUEEZE:
    case OP_TRANSPOSE:
    case OP_UNSQUEEZE:
        break;
    default:
        return false;
    }
    for (int i = 1; i < n->n_in; i++)
        if (node_in(g, n, i) != NULL && node_in(g, n, i)->data == NULL)
            return false;
    return true;
}

/*
 * Where the axis of d's scales is behind n: *axis, 0 when there is one scale
 * for all.  False when it can't be said.
 */
static bool
axis_behind(const struct graph *g, const struct node *d, const struct node *n,
            int *axis)
{
    int rank = node_in(g, d, 0)->shape.rank, count, from;
    const int64_t *perm = attr_ints(n, "perm", &count);
    struct err e;

    *axis = 0;
    if (shape_n(&node_in(g, d, 1)->shape) == 1)
        return true;
    if (n->op != OP_TRANSPOSE ||
        shape_axis(attr_int(d, "axis", 1), rank, &from, &e) != 0)
        return false;
    if (perm == NULL) {
        *axis = rank - 1 - from;
        return true;
    }
    while (*axis < count && perm[*axis] != from)
        ++*axis;
    return *axis < count;
}

static const struct node *
constant_dequantize(const struct graph *g, int id)
{
    const struct node *d = graph_producer(g, id);

    if (d == NULL || d->op != OP_DEQUANTIZE_LINEAR ||
        attr_int(d, "block_size", 0) != 0)
        return NULL;
    for (int i = 0; i < d->n_in; i++)
        if (node_in(g, d, i) != NULL && node_in(g, d, i)->data == NULL)
            return NULL;
    return d;
}

/* The node at `at` reads the integers of d, and a new DQ stands behind it. */
static int
turn(struct graph *g, size_t at, const struct node *d, int axis, struct err *e)
{
    const struct shape unknown = {.rank = SHAPE_UNKNOWN};
    int in[3] = {-1, d->in[1], d->n_in > 2 ? d->in[2] : -1};
    int n_in = d->n_in, real = g->nodes.at[at].out[0], integers = d->in[0], rc;
    struct node *dq;

    in[0] = graph_add_value(g, NULL, g->values.at[integers].dtype, &unknown);
    g->nodes.at[at].in[0] = integers;
    g->nodes.at[at].out[0] = in[0];
    g->values.at[in[0]].producer = (int)at;
    dq = graph_insert_node(g, at + 1, OP_DEQUANTIZE_LINEAR,
                           g->values.at[real].name, in, n_in, &real, 1);
    attr_set_int(g, dq, "axis", axis);
    rc = ops_infer(g, &g->nodes.at[at], e);
    if (rc == 0)
        rc = ops_eval(g, &g->nodes.at[at], e);
    if (rc != 0)
        return rc;
    graph_kill_node(g, &g->nodes.at[at]);
    return ops_infer(g, &g->nodes.at[at + 1], e);
}

int
pass_weights(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i], *d;
        int axis, rc;

        if (n->dead || !only_turns(g, n) ||
            (d = constant_dequantize(g, n->in[0])) == NULL ||
            !axis_behind(g, d, n, &axis))
            continue;
        rc = turn(g, i, d, axis, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}
