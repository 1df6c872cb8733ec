/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gelu and LayerNormalization, which older opsets write as five to nine nodes,
 * become the one node that they are:
 *
 *     Gelu   0.5 x (1 + erf(x / sqrt 2)), or with
 *            tanh(sqrt(2 / pi) (x + 0.044715 x^3)) in the place of erf;
 *            the factors in any order
 *     Layer  d / sqrt(mean(d^2) + epsilon) * scale + bias, d = x - mean(x),
 *            means over the last axis
 *
 * The last node is rewritten; those before it go when nobody else reads them.
 */
#include <math.h>

#include "engine/pass/pass.h"

/* The node that makes value id, when it is an `op`. */
static const struct node *
made_by(const struct graph *g, int id, enum op op)
{
    const struct node *n = graph_producer(g, id);

    return n != NULL && n->op == op ? n : NULL;
}

/*
 * True when n has a constant of about `want` on one side (of Div, Pow: on the
 * right); *other gets what is on the other.
 */
static bool
with_number(const struct graph *g, const struct node *n, float want, int *other)
{
    bool ordered = n->op == OP_DIV || n->op == OP_POW || n->op == OP_SUB;

    for (int k = ordered; k < 2; k++) {
        float c;

        if (!pass_scalar(node_in(g, n, k), &c) ||
            fabsf(c - want) > 1e-4f * fabsf(want))
            continue;
        *other = n->in[1 - k];
        return true;
    }
    return false;
}

/* x of x / divisor or x * (1 / divisor), or -1. */
static int
divided(const struct graph *g, int id, float divisor)
{
    const struct node *div = made_by(g, id, OP_DIV);
    const struct node *mul = made_by(g, id, OP_MUL);
    int x = -1;

    if (div != NULL && with_number(g, div, divisor, &x))
        return x;
    return mul != NULL && with_number(g, mul, 1 / divisor, &x) ? x : -1;
}

/* x of x^3, or -1. */
static int
cubed(const struct graph *g, int id)
{
    const struct node *pow = made_by(g, id, OP_POW);
    const struct node *mul = made_by(g, id, OP_MUL);
    int x = -1;

    if (pow != NULL)
        return with_number(g, pow, 3, &x) ? x : -1;
    for (int k = 0; mul != NULL && k < 2; k++) {
        const struct node *square = made_by(g, mul->in[k], OP_MUL);

        if (square != NULL && square->in[0] == square->in[1] &&
            square->in[0] == mul->in[1 - k])
            return mul->in[1 - k];
    }
    return -1;
}

/* x of the argument of tanh above, or -1. */
static int
tanh_argument(const struct graph *g, int id)
{
    int sum = divided(g, id, 1.2533141f); /* sqrt(pi / 2) */
    const struct node *add = sum < 0 ? NULL : made_by(g, sum, OP_ADD);

    for (int k = 0; add != NULL && k < 2; k++) {
        const struct node *mul = made_by(g, add->in[1 - k], OP_MUL);
        int cube = -1;

        if (mul != NULL && with_number(g, mul, 0.044715f, &cube) &&
            cubed(g, cube) == add->in[k])
            return add->in[k];
    }
    return -1;
}

/* x of 1 + erf(..), 1 + tanh(..); -1 when `id` is no such sum. */
static int
gelu_sum(const struct graph *g, int id, bool *is_tanh)
{
    const struct node *add = made_by(g, id, OP_ADD), *f;
    int value = -1;

    if (add == NULL || !with_number(g, add, 1, &value))
        return -1;
    f = made_by(g, value, OP_ERF);
    *is_tanh = f == NULL;
    if (f != NULL)
        return divided(g, f->in[0], 1.41421356f);
    f = made_by(g, value, OP_TANH);
    return f == NULL ? -1 : tanh_argument(g, f->in[0]);
}

/* Product n of 0.5, x and the sum, in whatever order; x, or -1. */
static int
gelu_product(const struct graph *g, const struct node *n, bool *is_tanh)
{
    int rest = divided(g, n->out[0], 2);
    const struct node *mul;

    /* (x * sum) / 2 */
    mul = rest < 0 ? NULL : made_by(g, rest, OP_MUL);
    for (int k = 0; mul != NULL && k < 2; k++) {
        int x = gelu_sum(g, mul->in[k], is_tanh);

        if (x >= 0 && mul->in[1 - k] == x)
            return x;
    }
    /* (x / 2) * sum, x * (sum / 2) */
    for (int k = 0; n->op == OP_MUL && k < 2; k++) {
        int half = divided(g, n->in[1 - k], 2);
        int x = gelu_sum(g, n->in[k], is_tanh);

        if (x >= 0 && half == x)
            return x;
        x = half < 0 ? -1 : gelu_sum(g, half, is_tanh);
        if (x >= 0 && n->in[k] == x)
            return x;
    }
    return -1;
}

static void
find_gelu(struct graph *g, struct node *n)
{
    bool is_tanh = false;
    int x;

    if ((n->op != OP_MUL && n->op != OP_DIV) || n->n_posts > 0 ||
        (x = gelu_product(g, n, &is_tanh)) < 0 ||
        !shape_equal(&g->values.at[x].shape, &node_out(g, n, 0)->shape))
        return;
    n->op = OP_GELU;
    n->in[0] = x;
    n->n_in = n->n_own = 1;
    n->n_attrs = 0;
    attr_set_string(g, n, "approximate", is_tanh ? "tanh" : "none");
}

/* --- LayerNormalization -------------------------------------------------- */

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

/* x of sqrt(mean((x - mean(x))^2) + epsilon), or -1. */
static int
deviation(const struct graph *g, int id, float *epsilon)
{
    const struct node *root = made_by(g, id, OP_SQRT), *add, *square;
    int variance = -1, d = -1;

    add = root == NULL ? NULL : made_by(g, root->in[0], OP_ADD);
    for (int k = 0; add != NULL && k < 2; k++)
        if (pass_scalar(node_in(g, add, k), epsilon))
            variance = add->in[1 - k];
    if (variance < 0 || (variance = mean_of(g, variance)) < 0)
        return -1;
    if ((square = made_by(g, variance, OP_POW)) != NULL)
        return with_number(g, square, 2, &d) ? centered(g, d) : -1;
    square = made_by(g, variance, OP_MUL);
    return square != NULL && square->in[0] == square->in[1]
               ? centered(g, square->in[0])
               : -1;
}

/* A constant of one float for each place of the last axis of x. */
static bool
is_row(const struct graph *g, int id, int x)
{
    const struct value *v = &g->values.at[id];
    const struct shape *s = &g->values.at[x].shape;

    return v->data != NULL && v->dtype == DTYPE_FLOAT && v->shape.rank > 0 &&
           (int64_t)shape_n(&v->shape) == s->dim[s->rank - 1] &&
           v->shape.dim[v->shape.rank - 1] == s->dim[s->rank - 1];
}

/* n is the last Add; its operands are sought on both sides. */
static void
find_layer_norm(struct graph *g, struct node *n)
{
    for (int k = 0; n->op == OP_ADD && k < 2; k++) {
        const struct node *mul = made_by(g, n->in[k], OP_MUL);

        for (int j = 0; mul != NULL && j < 2; j++) {
            const struct node *div = made_by(g, mul->in[j], OP_DIV);
            int x = div == NULL ? -1 : centered(g, div->in[0]);
            int scale = mul->in[1 - j], bias = n->in[1 - k];
            float epsilon = 0;

            if (x < 0 || deviation(g, div->in[1], &epsilon) != x ||
                !is_row(g, scale, x) || !is_row(g, bias, x))
                continue;
            n->op = OP_LAYER_NORMALIZATION;
            n->n_in = n->n_own = 2;
            n->in[0] = x;
            n->in[1] = scale;
            n->n_own = graph_append_input(g, n, bias) + 1;
            n->n_attrs = 0;
            attr_set_int(g, n, "axis", -1);
            attr_set_float(g, n, "epsilon", epsilon);
            return;
        }
    }
}

int
pass_compound(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];

        if (n->dead || node_out(g, n, 0) == NULL ||
            node_out(g, n, 0)->dtype != DTYPE_FLOAT)
            continue;
        find_gelu(g, n);
        find_layer_norm(g, n);
    }
    graph_sweep(g);
    return 0;
}
