/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk in run order.  A kernel that wants channels innermost gets them; an
 * elementwise one takes what comes; a plain one gets plain.  A value that is
 * needed in both layouts is reordered once, and both are kept.
 *
 * Convolution weights are no activations: their kernels pack them as they like.
 */
#include "engine/run/layout.h"

#include "base/mem.h"

struct walk {
    struct graph *g;
    VEC(struct node) nodes; /* the new run order */
    VEC(const struct kernel *) kernels;
    int *twin; /* by value id: the same value in the other layout, or -1 */
    size_t n_twin;
    const struct kernel *const *old_kernels;
    const struct kernel *(*choose)(const struct graph *g, const struct node *n);
};

static bool
is_activation(const struct graph *g, const struct node *n, int i)
{
    const struct value *v = node_in(g, n, i);

    if (v == NULL || v->shape.rank < 3)
        return false;
    return i == 0 || i >= n->n_own ||
           (n->op != OP_CONV && n->op != OP_CONV_INTEGER &&
            n->op != OP_CONV_SCALED && n->op != OP_CONV_TRANSPOSE);
}

static int
push_reorder(struct walk *w, int from, enum layout to, struct err *e)
{
    struct graph *g = w->g;
    int id = graph_add_value(g, NULL, g->values.at[from].dtype,
                             &g->values.at[from].shape);
    struct node n = {.op = OP_REORDER, .n_in = 1, .n_own = 1, .n_out = 1};
    const struct kernel *k;

    g->values.at[id].layout = to;
    n.name = g->values.at[from].name;
    n.in = arena_new_in(g->arena, 1, sizeof *n.in);
    n.out = arena_new_in(g->arena, 1, sizeof *n.out);
    n.in[0] = from;
    n.out[0] = id;
    k = w->choose(g, &n);
    if (k == NULL)
        return err_set(e, ERR_INTERNAL, "value %s: no kernel reorders %s",
                       g->values.at[from].name,
                       dtype_name(g->values.at[from].dtype)),
               -1;
    VEC_PUSH(&w->nodes, n);
    VEC_PUSH(&w->kernels, k);
    return id;
}

/* Value id in that layout: itself, its twin, or a new twin; -1 with *e set. */
static int
in_layout(struct walk *w, int id, enum layout want, struct err *e)
{
    const struct value *v = &w->g->values.at[id];
    int twin;

    if (v->layout == want || layout_same(&v->shape))
        return id;
    if ((size_t)id < w->n_twin && w->twin[id] >= 0)
        return w->twin[id];
    twin = push_reorder(w, id, want, e);
    if (twin >= 0 && (size_t)id < w->n_twin)
        w->twin[id] = twin;
    return twin;
}

static bool
reads_nxc(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (is_activation(g, n, i) && node_in(g, n, i)->layout == LAYOUT_NXC)
            return true;
    return false;
}

/* What the readers of n's output would like best. */
static enum layout
readers_like(const struct walk *w, const struct node *n)
{
    enum layout like = LAYOUT_PLAIN;

    for (size_t i = 0; i < w->g->nodes.n; i++) {
        const struct node *r = &w->g->nodes.at[i];

        if (r->dead)
            continue;
        for (int k = 0; k < r->n_in; k++) {
            if (r->in[k] != n->out[0])
                continue;
            if (w->old_kernels[i]->layout == KERNEL_NXC)
                return LAYOUT_NXC;
            if (w->old_kernels[i]->layout == KERNEL_SAME ||
                w->old_kernels[i]->layout == KERNEL_CONVERT)
                like = node_in(w->g, n, 0)->layout;
        }
    }
    return like;
}

static enum layout
chosen(const struct walk *w, const struct node *n, const struct kernel *k)
{
    switch (k->layout) {
    case KERNEL_NXC:
        return LAYOUT_NXC;
    case KERNEL_SAME:
        return reads_nxc(w->g, n) ? LAYOUT_NXC : LAYOUT_PLAIN;
    case KERNEL_CONVERT:
        return readers_like(w, n);
    case KERNEL_PLAIN:
        break;
    }
    return LAYOUT_PLAIN;
}

static int
visit(struct walk *w, size_t i, struct err *e)
{
    struct node n = w->g->nodes.at[i];
    const struct kernel *k = w->old_kernels[i];
    enum layout want = chosen(w, &n, k);
    int rank =
        node_out(w->g, &n, 0) == NULL ? 0 : node_out(w->g, &n, 0)->shape.rank;

    for (int j = 0; j < n.n_in && k->layout != KERNEL_CONVERT; j++) {
        enum layout mine = want;
        int id;

        if (!is_activation(w->g, &n, j))
            continue;
        /* Elementwise kernels walk a constant, or an operand of another rank,
         * by its own strides: there it is left plain. */
        if (k->layout == KERNEL_SAME) {
            if (node_in(w->g, &n, j)->data != NULL)
                continue;
            if (node_in(w->g, &n, j)->shape.rank != rank)
                mine = LAYOUT_PLAIN;
        }
        id = in_layout(w, n.in[j], mine, e);
        if (id < 0)
            return e->code;
        n.in[j] = id;
    }
    for (int j = 0; j < n.n_out; j++)
        if (n.out[j] >= 0 && graph_value(w->g, n.out[j])->shape.rank >= 3)
            graph_value(w->g, n.out[j])->layout = want;
    VEC_PUSH(&w->nodes, n);
    VEC_PUSH(&w->kernels, k);
    return 0;
}

int
layout_assign(struct graph *g, const struct kernel ***kernels,
              const struct kernel *(*choose)(const struct graph *g,
                                             const struct node *n),
              struct err *e)
{
    struct walk w = {.g = g, .old_kernels = *kernels, .choose = choose};
    int rc = 0;

    w.n_twin = g->values.n;
    w.twin = mem_new(w.n_twin, sizeof *w.twin);
    for (size_t i = 0; i < w.n_twin; i++)
        w.twin[i] = -1;
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead)
            rc = visit(&w, i, e);
    for (size_t i = 0; rc == 0 && i < g->outputs.n; i++) {
        int id = in_layout(&w, g->outputs.at[i], LAYOUT_PLAIN, e);

        if (id < 0)
            rc = e->code;
        else
            g->outputs.at[i] = id;
    }
    mem_free(w.twin);
    if (rc != 0) {
        mem_free(w.nodes.at);
        mem_free(w.kernels.at);
        return rc;
    }
    mem_free(g->nodes.at);
    g->nodes.at = w.nodes.at;
    g->nodes.n = w.nodes.n;
    g->nodes.cap = w.nodes.cap;
    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; k < g->nodes.at[i].n_out; k++)
            if (g->nodes.at[i].out[k] >= 0)
                g->values.at[g->nodes.at[i].out[k]].producer = (int)i;
    mem_free(*kernels);
    *kernels = w.kernels.at;
    return 0;
}
