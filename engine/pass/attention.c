/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softmax(mask(scale * Q K')) V becomes one node: see ir/attention.h.
 *
 * The scale may be a Mul or Div of Q, of K or of the product; mask() is what
 * lies between product and softmax, in order: Add, Sub, Mul with a tensor that
 * broadcasts, Where with one number.  The transposes, reshapes and splits that
 * exporters put around it are looked through (view.c); a Transpose behind it
 * goes as well.  Scores that anybody else reads stay as they are.
 */
#include <string.h>

#include "engine/ir/attention.h"
#include "engine/pass/pass.h"
#include "engine/pass/view.h"

struct match {
    struct graph *g;
    const struct node *product; /* Q K' */
    struct attention a;
    int mask[ATTENTION_MAX_MASKS]; /* values, first applied first */
};

/* The live node that makes `id` for one reader only, or NULL. */
static const struct node *private(const struct graph *g, int id)
{
    const struct node *n = graph_producer(g, id);

    return n != NULL && n->n_out == 1 && n->n_posts == 0 &&
                   graph_uses(g, id, NULL) == 1
               ? n
               : NULL;
}

static bool scores(struct match *m, int id);

/* Step n of mask(), whose input `side` is what it masks. */
static bool
push_mask(struct match *m, const struct node *n, int other,
          const struct attention_mask *mask)
{
    const struct value *v = graph_value(m->g, other);
    int i = m->a.n_masks;

    if (i == ATTENTION_MAX_MASKS ||
        v->dtype != (mask->op == OP_WHERE ? DTYPE_BOOL : DTYPE_FLOAT) ||
        v->shape.rank > node_out(m->g, n, 0)->shape.rank)
        return false;
    m->a.mask[i] = *mask;
    m->mask[i] = other;
    m->a.n_masks++;
    return true;
}

/* Mul or Div by one number, before any mask. */
static bool
scaled(struct match *m, const struct node *n, int side)
{
    float c;

    if (m->a.n_masks > 0 || !pass_scalar(node_in(m->g, n, 1 - side), &c))
        return false;
    m->a.scale = n->op == OP_DIV ? m->a.scale / c : m->a.scale * c;
    return true;
}

/* Where(c, scores, number) or Where(c, number, scores). */
static bool
where(struct match *m, const struct node *n)
{
    for (int side = 1; side < 3; side++) {
        struct attention_mask mask = {.op = OP_WHERE, .keep = side == 1};

        if (pass_scalar(node_in(m->g, n, 3 - side), &mask.fill))
            return scores(m, n->in[side]) && push_mask(m, n, n->in[0], &mask);
    }
    return false;
}

static bool
arithmetic(struct match *m, const struct node *n)
{
    const struct match was = *m;
    int last = n->op == OP_SUB || n->op == OP_DIV ? 1 : 2;

    for (int side = 0; side < last; side++) {
        const struct attention_mask mask = {.op = n->op};

        *m = was;
        if (shape_equal(&node_in(m->g, n, side)->shape,
                        &node_out(m->g, n, 0)->shape) &&
            scores(m, n->in[side]) &&
            (((n->op == OP_MUL || n->op == OP_DIV) && scaled(m, n, side)) ||
             (n->op != OP_DIV && push_mask(m, n, n->in[1 - side], &mask))))
            return true;
    }
    return false;
}

/* Finds the product behind value id, and the steps from there on. */
static bool
scores(struct match *m, int id)
{
    const struct node *n = private(m->g, id);

    if (n == NULL || graph_value(m->g, id)->dtype != DTYPE_FLOAT)
        return false;
    switch (n->op) {
    case OP_MATMUL:
        m->product = n;
        return node_in(m->g, n, 0)->shape.rank >= 2 &&
               node_in(m->g, n, 1)->shape.rank >= 2;
    case OP_ADD:
    case OP_DIV:
    case OP_MUL:
    case OP_SUB:
        return arithmetic(m, n);
    case OP_WHERE:
        return where(m, n);
    default:
        return false;
    }
}

/* --- where the operands lie ------------------------------------------------
 */

/*
 * The view of value id with `rank` axes, broadcast where it has 1; the base
 * takes its place.
 */
static struct attention_view
view(const struct match *m, int *id, int rank, bool scale, float *by)
{
    const struct shape *s = &graph_value(m->g, *id)->shape;
    struct attention_view to = {0};
    struct view v;

    view_of(m->g, *id, scale, &v);
    to.offset = v.offset;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] != 1)
            to.stride[rank - s->rank + i] = v.stride[i];
    *id = v.base;
    *by *= v.scale;
    return to;
}

static void
swap_last(struct attention_view *v, int rank)
{
    int64_t t = v->stride[rank - 1];

    v->stride[rank - 1] = v->stride[rank - 2];
    v->stride[rank - 2] = t;
}

static bool
is_dequantized(const struct graph *g, int id)
{
    const struct node *n = graph_producer(g, id);

    return n != NULL && n->op == OP_DEQUANTIZE_LINEAR;
}

/* Sizes, operands and masks; in: the node's inputs to be. */
static bool
operands(struct match *m, const struct node *n, int *in)
{
    const struct shape *y = &node_out(m->g, n, 0)->shape;
    const struct shape *p = &node_out(m->g, m->product, 0)->shape;
    struct attention *a = &m->a;
    int rank = y->rank;
    float one = 1;

    if (p->rank != rank || node_in(m->g, n, 1)->shape.rank < 2 ||
        memcmp(p->dim, y->dim, (size_t)(rank - 1) * sizeof *p->dim) != 0)
        return false;
    in[0] = m->product->in[0];
    in[1] = m->product->in[1];
    in[2] = n->in[1];
    for (int i = 0; i < 3; i++)
        if (graph_value(m->g, in[i])->dtype != DTYPE_FLOAT ||
            is_dequantized(m->g, in[i]))
            return false;
    a->n_lead = rank - 2;
    memcpy(a->lead, y->dim, (size_t)a->n_lead * sizeof *a->lead);
    a->rows = p->dim[rank - 2];
    a->cols = p->dim[rank - 1];
    a->depth = shape_span(&graph_value(m->g, in[0])->shape,
                          graph_value(m->g, in[0])->shape.rank - 1,
                          graph_value(m->g, in[0])->shape.rank);
    a->width = y->dim[rank - 1];
    a->q = view(m, &in[0], rank, true, &a->scale);
    a->k = view(m, &in[1], rank, true, &a->scale);
    a->v = view(m, &in[2], rank, false, &one);
    swap_last(&a->k, rank); /* K' was multiplied */
    for (int i = 0; i < a->n_masks; i++) {
        in[3 + i] = m->mask[i];
        a->mask[i].at = view(m, &in[3 + i], rank, false, &one);
    }
    return true;
}

/* The output, as n makes it or as the Transpose behind it does. */
static void
result(struct match *m, struct node *n)
{
    struct graph *g = m->g;
    struct attention *a = &m->a;
    const struct shape *y = &node_out(g, n, 0)->shape;
    struct node *t = pass_reader(g, n);
    int64_t stride[SHAPE_MAX_RANK];
    const int64_t *perm;
    int out, count;

    a->shape = *y;
    layout_strides(y, LAYOUT_PLAIN, a->y.stride);
    if (t == NULL || t->op != OP_TRANSPOSE)
        return;
    out = t->out[0];
    perm = attr_ints(t, "perm", &count);
    a->shape = graph_value(g, out)->shape;
    layout_strides(&a->shape, LAYOUT_PLAIN, stride);
    for (int i = 0; i < y->rank; i++)
        a->y.stride[perm == NULL ? y->rank - 1 - i : perm[i]] = stride[i];
    graph_kill_node(g, t);
    n->out[0] = out;
    graph_value(g, out)->producer = (int)(n - g->nodes.at);
}

static void
find(struct graph *g, struct node *n)
{
    const struct node *s = private(g, n->in[0]);
    int in[3 + ATTENTION_MAX_MASKS], axis, rank = node_out(g, n, 0)->shape.rank;
    struct match m = {.g = g, .a.scale = 1};
    struct attention *a;
    struct err e;

    if (s == NULL || s->op != OP_SOFTMAX || rank < 2 || n->n_posts > 0 ||
        node_out(g, n, 0)->dtype != DTYPE_FLOAT ||
        shape_axis(attr_int(s, "axis", -1), node_in(g, s, 0)->shape.rank, &axis,
                   &e) != 0 ||
        axis != rank - 1 || !scores(&m, s->in[0]) || !operands(&m, n, in))
        return;
    result(&m, n);
    a = arena_new_in(g->arena, 1, sizeof *a);
    *a = m.a;
    n->op = OP_FUSED_ATTENTION;
    n->attention = a;
    n->n_attrs = 0;
    n->n_in = n->n_own = 2;
    n->in[0] = in[0];
    n->in[1] = in[1];
    for (int i = 2; i < 3 + a->n_masks; i++)
        n->n_own = graph_append_input(g, n, in[i]) + 1;
}

int
pass_attention(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead && g->nodes.at[i].op == OP_MATMUL)
            find(g, &g->nodes.at[i]);
    return 0;
}
