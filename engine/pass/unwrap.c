/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax of opsets before 13 sees a matrix: what comes from such a file is
 * flattened before it and gets its shape back behind it.  Along the last axis
 * neither changes anything, and both go.
 */
#include "engine/pass/pass.h"

static bool
is_view(const struct node *n)
{
    return n != NULL && (n->op == OP_FLATTEN || n->op == OP_RESHAPE);
}

static void
visit(struct graph *g, struct node *n)
{
    const struct node *before = graph_producer(g, n->in[0]);
    struct node *behind = pass_reader(g, n);
    const struct shape *x, *flat;
    int out;

    if (!is_view(before) || !is_view(behind))
        return;
    x = &node_in(g, before, 0)->shape;
    flat = &node_in(g, n, 0)->shape;
    if (attr_int(n, "axis", -1) != flat->rank - 1 &&
        attr_int(n, "axis", -1) != -1)
        return;
    if (x->rank < 1 || flat->rank < 1 ||
        x->dim[x->rank - 1] != flat->dim[flat->rank - 1] ||
        !shape_equal(x, &node_out(g, behind, 0)->shape))
        return;
    out = behind->out[0];
    graph_kill_node(g, behind);
    n->in[0] = before->in[0];
    n->out[0] = out;
    graph_value(g, out)->producer = (int)(n - g->nodes.at);
    attr_set_int(g, n, "axis", -1);
}

int
pass_unwrap(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead && (g->nodes.at[i].op == OP_SOFTMAX ||
                                     g->nodes.at[i].op == OP_LOG_SOFTMAX))
            visit(g, &g->nodes.at[i]);
    return 0;
}
