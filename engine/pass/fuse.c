/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins to a Conv, ConvTranspose, Gemm or MatMul what is done to its result
 * before anybody else sees it.  The joined node takes the place of the last
 * one in run order, so that a residual computed in between is at hand.
 */
#include <float.h>

#include "engine/pass/pass.h"

static bool
takes_posts(const struct graph *g, const struct node *n)
{
    return (n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE ||
            n->op == OP_GEMM || n->op == OP_MATMUL || n->op == OP_CONV_SCALED ||
            n->op == OP_MATMUL_SCALED) &&
           node_out(g, n, 0)->dtype == DTYPE_FLOAT &&
           n->n_posts < NODE_MAX_POSTS;
}

/* x * sigmoid(x): one node, so that it can be joined like the others. */
static void
find_swish(struct graph *g)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *mul = &g->nodes.at[i];

        for (int k = 0; !mul->dead && mul->op == OP_MUL && k < 2; k++) {
            const struct node *s = graph_producer(g, mul->in[1 - k]);

            if (s == NULL || s->op != OP_SIGMOID || s->in[0] != mul->in[k])
                continue;
            mul->op = OP_SWISH;
            mul->in[0] = s->in[0];
            mul->n_in = mul->n_own = 1;
        }
    }
    graph_sweep(g);
}

/* The post that unary node u is; false when its parameters are no constants. */
static bool
unary_post(const struct graph *g, const struct node *u, struct post *p)
{
    *p = (struct post){.op = u->op, .in = -1};
    switch (u->op) {
    case OP_RELU:
    case OP_SIGMOID:
    case OP_TANH:
    case OP_HARD_SWISH:
    case OP_MISH:
    case OP_SWISH:
        return true;
    case OP_GELU: {
        const char *form = attr_string(u, "approximate", "none");

        p->alpha = form[0] == 't'; /* "tanh" */
        return true;
    }
    case OP_LEAKY_RELU:
        p->alpha = attr_float(u, "alpha", 0.01f);
        return true;
    case OP_ELU:
        p->alpha = attr_float(u, "alpha", 1.0f);
        return true;
    case OP_HARD_SIGMOID:
        p->alpha = attr_float(u, "alpha", 0.2f);
        p->beta = attr_float(u, "beta", 0.5f);
        return true;
    case OP_CLIP:
        p->alpha = -FLT_MAX;
        p->beta = FLT_MAX;
        if (node_in(g, u, 1) != NULL &&
            !pass_scalar(node_in(g, u, 1), &p->alpha))
            return false;
        return node_in(g, u, 2) == NULL ||
               pass_scalar(node_in(g, u, 2), &p->beta);
    default:
        return false;
    }
}

/* Moves n to the place of `last`, whose output it now makes. */
static struct node *
take_place(struct graph *g, struct node *n, struct node *last)
{
    int out = last->out[0];

    graph_kill_node(g, last);
    *last = *n;
    graph_kill_node(g, n);
    last->dead = false;
    last->out[0] = out;
    g->values.at[out].producer = (int)(last - g->nodes.at);
    return last;
}

/* A constant of one number, or of one for each column of a product. */
static bool
repeats(const struct graph *g, const struct node *n, const struct value *v)
{
    const struct shape *y = &node_out(g, n, 0)->shape;
    size_t count = shape_n(&v->shape);

    if (v->data == NULL || v->dtype != DTYPE_FLOAT || v->shape.rank > y->rank)
        return false;
    return count == 1 || ((n->op == OP_MATMUL || n->op == OP_GEMM ||
                           n->op == OP_MATMUL_SCALED) &&
                          v->shape.rank > 0 && y->rank > 0 &&
                          v->shape.dim[v->shape.rank - 1] == (int64_t)count &&
                          y->dim[y->rank - 1] == (int64_t)count);
}

/* ADD or MUL with a tensor that struct post allows: *p is set. */
static bool
binary_post(struct graph *g, struct node *n, const struct node *next,
            struct post *p)
{
    int side = next->in[0] == n->out[0];
    int other = next->in[side];
    const struct value *v = &g->values.at[other];

    if (other == n->out[0] ||
        (!repeats(g, n, v) &&
         (next->op == OP_MUL ||
          !shape_equal(&v->shape, &node_out(g, n, 0)->shape))))
        return false;
    /* Input 2 of these is their own bias, here absent, never a post's. */
    if (n->n_own == 2 && n->op != OP_MATMUL)
        n->n_own = graph_append_input(g, n, -1) + 1;
    *p = (struct post){.op = next->op, .in = graph_append_input(g, n, other)};
    return true;
}

/* --- reshapes in between -------------------------------------------------- */

static bool
is_view(const struct node *n)
{
    return n->op == OP_RESHAPE || n->op == OP_SQUEEZE ||
           n->op == OP_UNSQUEEZE || n->op == OP_FLATTEN;
}

/* A node that reshapes value `from` into value `to`, at that place. */
static bool
reshape(struct graph *g, size_t at, int from, int to)
{
    const struct value *v = graph_value(g, to);
    int n_dims = v->shape.rank;
    const char *name = v->name;
    int dims = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(n_dims),
                               graph_value(g, to)->shape.dim);

    if (dims < 0)
        return false;
    graph_insert_node(g, at, OP_RESHAPE, name, (int[]){from, dims}, 2, &to, 1);
    return true;
}

/*
 * What stands behind the reshape of n's result and could be joined to n, were
 * it not for that: an activation, or a sum with as many elements in the same
 * order.
 */
static bool
could_join(const struct graph *g, const struct node *n, const struct node *view,
           const struct node *next)
{
    const struct shape *y = &graph_value(g, view->out[0])->shape;
    const struct shape *x = &node_out(g, n, 0)->shape;
    const struct value *other;
    struct post p;

    if (unary_post(g, next, &p))
        return next->in[0] == view->out[0];
    if ((next->op != OP_ADD && next->op != OP_MUL) ||
        next->in[0] == next->in[1])
        return false;
    other = node_in(g, next, next->in[0] == view->out[0]);
    if (!shape_equal(&node_out(g, next, 0)->shape, y) || x->rank < 1 ||
        y->rank < 1 || other->dtype != DTYPE_FLOAT)
        return false;
    if (other->data != NULL && shape_n(&other->shape) == 1)
        return other->shape.rank <= x->rank;
    if (other->data != NULL)
        return other->shape.rank == 1 &&
               x->dim[x->rank - 1] == y->dim[y->rank - 1];
    return next->op == OP_ADD && shape_equal(&other->shape, y);
}

/* Next reads what n makes, and the reshape comes behind it. */
static void
sink_view(struct graph *g, struct node *n)
{
    struct node *view = pass_reader(g, n), *next;
    int was, now, made = n->out[0], side;
    size_t at;

    if (view == NULL || !is_view(view) || view->in[0] != made ||
        (next = pass_reader(g, view)) == NULL || !could_join(g, n, view, next))
        return;
    at = (size_t)(next - g->nodes.at);
    side = next->in[0] == view->out[0];
    if (next->n_in > 1 && next->op != OP_CLIP &&
        node_in(g, next, side)->data == NULL) {
        int flat =
            graph_add_value(g, NULL, DTYPE_FLOAT, &graph_value(g, made)->shape);

        if (!reshape(g, at, next->in[side], flat))
            return;
        next = &g->nodes.at[++at];
        next->in[side] = flat;
    }
    was = next->out[0];
    now = graph_add_value(g, NULL, DTYPE_FLOAT, &graph_value(g, made)->shape);
    if (!reshape(g, at + 1, now, was))
        return;
    next = &g->nodes.at[at];
    next->in[next->n_in > 1 && next->op != OP_CLIP ? !side : 0] = made;
    next->out[0] = now;
    g->values.at[now].producer = (int)at;
    graph_sweep(g);
}

/* Joins n's only reader to it if that can be; returns the joined node. */
static struct node *
join_next(struct graph *g, struct node *n)
{
    size_t at = (size_t)(n - g->nodes.at);
    struct node *next;
    struct post p;

    if (!takes_posts(g, n))
        return NULL;
    sink_view(g, n);
    n = &g->nodes.at[at];
    if ((next = pass_reader(g, n)) == NULL)
        return NULL;
    if (next->op == OP_ADD || next->op == OP_MUL) {
        if (!binary_post(g, n, next, &p))
            return NULL;
    } else if (!unary_post(g, next, &p)) {
        return NULL;
    }
    n->posts[n->n_posts++] = p;
    return take_place(g, n, next);
}

int
pass_fuse(struct graph *g, struct err *e)
{
    (void)e;
    find_swish(g);
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];

        /* A joined node sits further on, and is met again there. */
        while (n != NULL && !n->dead)
            n = join_next(g, n);
    }
    graph_sweep(g);
    return 0;
}
