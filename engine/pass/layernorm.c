/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LayerNormalization over the last axis, which files before opset 17 write as
 * some nine nodes, becomes one.  With d = x - mean(x), v = mean(d^2) + epsilon
 * the forms are
 *
 *     d / sqrt(v) * scale + bias             (PyTorch, Paddle)
 *     d * r * scale + bias                   r = 1 / sqrt(v) or v^-0.5
 *     x * (r * scale) + (bias - mean(x) * (r * scale))        (TensorFlow)
 *
 * d^2 being Pow(d, 2) or Mul(d, d), factors and terms in any order, without
 * bias, or without both.  The last node is rewritten; those before it go when
 * nobody else reads them.
 */
#include <math.h>

#include "base/mem.h"
#include "engine/pass/pass.h"

/* What has been recognised so far: values; -1 where there is none. */
struct layer {
    int x, scale, bias;
    float epsilon;
};

/* The node that makes value id, when it is an `op`. */
static const struct node *
made_by(const struct graph *g, int id, enum op op)
{
    const struct node *n = graph_producer(g, id);

    return n != NULL && n->op == op && n->n_posts == 0 ? n : NULL;
}

/* True when the second operand of n is a constant of `want`. */
static bool
by_number(const struct graph *g, const struct node *n, float want)
{
    float c;

    return pass_scalar(node_in(g, n, 1), &c) && pass_near(c, want);
}

/* x of the mean of x over the last axis, or -1. */
static int
mean_of(const struct graph *g, int id)
{
    const struct node *m = made_by(g, id, OP_REDUCE_MEAN);
    const int64_t *axes;
    int n_axes, rank;

    if (m == NULL)
        return -1;
    axes = attr_ints(m, "axes", &n_axes);
    rank = node_in(g, m, 0)->shape.rank;
    return n_axes == 1 && (axes[0] == -1 || axes[0] == rank - 1) &&
                   attr_int(m, "keepdims", 1) != 0
               ? m->in[0]
               : -1;
}

/* x of x - mean(x), or -1. */
static int
centered(const struct graph *g, int id)
{
    const struct node *d = made_by(g, id, OP_SUB);

    return d != NULL && mean_of(g, d->in[1]) == d->in[0] ? d->in[0] : -1;
}

/* x of d^2, or -1. */
static int
squared(const struct graph *g, int id)
{
    const struct node *pow = made_by(g, id, OP_POW);
    const struct node *mul = made_by(g, id, OP_MUL);

    if (pow != NULL && by_number(g, pow, 2))
        return centered(g, pow->in[0]);
    return mul != NULL && mul->in[0] == mul->in[1] ? centered(g, mul->in[0])
                                                   : -1;
}

/* x of mean(d^2) + epsilon, or -1. */
static int
variance(const struct graph *g, int id, float *epsilon)
{
    const struct node *add = made_by(g, id, OP_ADD);

    for (int k = 0; add != NULL && k < 2; k++)
        if (pass_scalar(node_in(g, add, k), epsilon)) {
            int mean = mean_of(g, add->in[1 - k]);

            return mean < 0 ? -1 : squared(g, mean);
        }
    return -1;
}

/* x of sqrt(v), or -1. */
static int
deviation(const struct graph *g, int id, float *epsilon)
{
    const struct node *root = made_by(g, id, OP_SQRT);

    if (root == NULL && (root = made_by(g, id, OP_POW)) != NULL &&
        !by_number(g, root, 0.5f))
        return -1;
    return root == NULL ? -1 : variance(g, root->in[0], epsilon);
}

/* x of r, or -1. */
static int
inverse(const struct graph *g, int id, float *epsilon)
{
    const struct node *n = made_by(g, id, OP_RECIPROCAL);
    float one;

    if (n != NULL)
        return deviation(g, n->in[0], epsilon);
    if ((n = made_by(g, id, OP_DIV)) != NULL)
        return pass_scalar(node_in(g, n, 0), &one) && one == 1
                   ? deviation(g, n->in[1], epsilon)
                   : -1;
    n = made_by(g, id, OP_POW);
    return n != NULL && by_number(g, n, -0.5f) ? variance(g, n->in[0], epsilon)
                                               : -1;
}

/* A constant of one float for each place of the last axis of x. */
static bool
is_row(const struct graph *g, int id, int x)
{
    const struct value *v = &g->values.at[id];
    const struct shape *s = &g->values.at[x].shape;

    return v->data != NULL && v->dtype == DTYPE_FLOAT && v->shape.rank > 0 &&
           v->shape.rank <= s->rank &&
           (int64_t)shape_n(&v->shape) == s->dim[s->rank - 1] &&
           v->shape.dim[v->shape.rank - 1] == s->dim[s->rank - 1];
}

/* r * scale: finds x and scale. */
static bool
scaled_inverse(const struct graph *g, int id, struct layer *l)
{
    const struct node *mul = made_by(g, id, OP_MUL);

    for (int k = 0; mul != NULL && k < 2; k++) {
        l->x = inverse(g, mul->in[k], &l->epsilon);
        l->scale = mul->in[1 - k];
        if (l->x >= 0 && is_row(g, l->scale, l->x))
            return true;
    }
    return false;
}

/* d / sqrt(v), d * r: finds x. */
static bool
normalized(const struct graph *g, const struct node *n, struct layer *l)
{
    *l = (struct layer){-1, -1, -1, 0};
    if (n->op == OP_DIV) {
        l->x = centered(g, n->in[0]);
        return l->x >= 0 && deviation(g, n->in[1], &l->epsilon) == l->x;
    }
    for (int k = 0; n->op == OP_MUL && k < 2; k++) {
        l->x = centered(g, n->in[k]);
        if (l->x >= 0 && inverse(g, n->in[1 - k], &l->epsilon) == l->x)
            return true;
    }
    return false;
}

/* Either of these times scale: finds x and scale. */
static bool
scaled(const struct graph *g, const struct node *n, struct layer *l)
{
    for (int k = 0; n->op == OP_MUL && k < 2; k++) {
        const struct node *inner = graph_producer(g, n->in[k]);
        int d;

        if (inner != NULL && normalized(g, inner, l) &&
            is_row(g, n->in[1 - k], l->x)) {
            l->scale = n->in[1 - k];
            return true;
        }
        d = centered(g, n->in[k]);
        l->bias = -1;
        if (d >= 0 && scaled_inverse(g, n->in[1 - k], l) && l->x == d)
            return true;
    }
    return false;
}

/* bias - mean(x) * m, where m is l's scaled inverse: finds bias. */
static bool
shift(const struct graph *g, int id, int m, struct layer *l)
{
    const struct node *sub = made_by(g, id, OP_SUB), *mul;

    mul = sub == NULL ? NULL : made_by(g, sub->in[1], OP_MUL);
    if (mul == NULL || !is_row(g, sub->in[0], l->x))
        return false;
    l->bias = sub->in[0];
    return (mul->in[0] == m && mean_of(g, mul->in[1]) == l->x) ||
           (mul->in[1] == m && mean_of(g, mul->in[0]) == l->x);
}

/* All of it: n is the last Add. */
static bool
shifted(const struct graph *g, const struct node *n, struct layer *l)
{
    for (int k = 0; n->op == OP_ADD && k < 2; k++) {
        const struct node *mul = made_by(g, n->in[k], OP_MUL);

        if (mul == NULL)
            continue;
        if (scaled(g, mul, l) && is_row(g, n->in[1 - k], l->x)) {
            l->bias = n->in[1 - k];
            return true;
        }
        for (int j = 0; j < 2; j++)
            if (scaled_inverse(g, mul->in[j], l) && mul->in[1 - j] == l->x &&
                shift(g, n->in[1 - k], mul->in[j], l))
                return true;
    }
    return false;
}

static int
ones(struct graph *g, int64_t n)
{
    float *one = mem_try((size_t)n, sizeof *one);
    int id;

    for (int64_t i = 0; one != NULL && i < n; i++)
        one[i] = 1;
    id = one == NULL ? -1
                     : graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(n), one);
    mem_free(one);
    return id;
}

static int
rewrite(struct graph *g, struct node *n, const struct layer *l, struct err *e)
{
    const struct shape *s = &graph_value(g, l->x)->shape;
    int scale = l->scale >= 0 ? l->scale : ones(g, s->dim[s->rank - 1]);

    if (scale < 0)
        return err_set(e, ERR_NO_MEMORY, "node %s: scale", n->name);
    n->op = OP_LAYER_NORMALIZATION;
    n->n_in = n->n_own = 2;
    n->in[0] = l->x;
    n->in[1] = scale;
    if (l->bias >= 0)
        n->n_own = graph_append_input(g, n, l->bias) + 1;
    n->n_attrs = 0;
    attr_set_int(g, n, "axis", -1);
    attr_set_float(g, n, "epsilon", l->epsilon);
    return 0;
}

int
pass_layer_norm(struct graph *g, struct err *e)
{
    /* The longest form first: what it takes is gone when the next is sought.*/
    static bool (*const forms[])(const struct graph *, const struct node *,
                                 struct layer *) = {shifted, scaled,
                                                    normalized};

    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
        for (size_t i = 0; i < g->nodes.n; i++) {
            struct node *n = &g->nodes.at[i];
            struct layer l;

            if (n->dead || n->n_posts > 0 || node_out(g, n, 0) == NULL ||
                node_out(g, n, 0)->dtype != DTYPE_FLOAT || !forms[f](g, n, &l))
                continue;
            if (!shape_equal(&graph_value(g, l.x)->shape,
                             &node_out(g, n, 0)->shape))
                continue;
            if (rewrite(g, n, &l, e) != 0)
                return e->code;
        }
        graph_sweep(g);
    }
    return 0;
}
