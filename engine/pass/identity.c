/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that give what they get go: Identity, Pad by nothing (as PyTorch
 * writes before every AveragePool), and, once types are sure, Cast to the type
 * that it gets.
 */
#include "engine/pass/pass.h"

static void
drop(struct graph *g, struct node *n)
{
    /* A graph output keeps its name: it needs a node that makes it, so one
     * between an input or a constant and an output stays. */
    if (graph_is_output(g, n->out[0])) {
        struct node *p = graph_producer(g, n->in[0]);
        int old = n->in[0], slot = 0;

        if (p == NULL || graph_is_output(g, old))
            return;
        while (p->out[slot] != old)
            slot++;
        graph_replace_uses(g, old, n->out[0]);
        graph_kill_node(g, n);
        p->out[slot] = n->out[0];
        g->values.at[n->out[0]].producer = (int)(p - g->nodes.at);
        g->values.at[old].producer = -1;
    } else {
        graph_replace_uses(g, n->out[0], n->in[0]);
        graph_kill_node(g, n);
    }
}

static bool
pads_nothing(const struct graph *g, const struct node *n)
{
    int64_t pads[2 * SHAPE_MAX_RANK];
    int n_pads;

    if (!value_ints(node_in(g, n, 1), pads, 2 * SHAPE_MAX_RANK, &n_pads))
        return false;
    for (int i = 0; i < n_pads; i++)
        if (pads[i] != 0)
            return false;
    return true;
}

/* Before the shape rules have run, the type is sure of what no node makes and
 * of what another Cast makes. */
static bool
is_early_identity(const struct graph *g, const struct node *n)
{
    const struct node *p;
    int64_t to;

    if (n->op == OP_PAD)
        return pads_nothing(g, n);
    if (n->op != OP_CAST)
        return n->op == OP_IDENTITY;
    p = graph_producer(g, n->in[0]);
    to = attr_int(n, "to", DTYPE_NONE);
    if (p == NULL)
        return node_in(g, n, 0)->dtype == to;
    return p->op == OP_CAST && attr_int(p, "to", DTYPE_NONE) == to;
}

int
pass_identity(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead && is_early_identity(g, &g->nodes.at[i]))
            drop(g, &g->nodes.at[i]);
    return 0;
}

int
pass_cast(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];

        if (!n->dead && n->op == OP_CAST &&
            node_in(g, n, 0)->dtype == node_out(g, n, 0)->dtype)
            drop(g, n);
    }
    return 0;
}
