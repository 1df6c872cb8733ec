/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations that exporters write as several nodes become the one node that
 * they are:
 *
 *     Gelu   0.5 x (1 + erf(x / sqrt 2)), or with
 *            tanh(sqrt(2 / pi) (x + 0.044715 x^3)) in the place of erf;
 *            the factors in any order, or
 *            tanh(sqrt(2 / pi) x (1 + 0.044715 x x))
 *     Mish   x tanh(softplus(x)), softplus(x) = log(1 + exp(x))
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
            (fabsf(c - want) > 1e-4f * fabsf(want) && !pass_near(c, want)))
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

/* A product of x and c in any order, or of (x and c) and x: x, or -1. */
static int
times_square(const struct graph *g, int id, float c)
{
    const struct node *mul = made_by(g, id, OP_MUL);

    for (int k = 0; mul != NULL && k < 2; k++) {
        int x = divided(g, mul->in[k], 1 / c);

        if (x >= 0 && mul->in[1 - k] == x)
            return x;
    }
    id = divided(g, id, 1 / c);
    mul = id < 0 ? NULL : made_by(g, id, OP_MUL);
    return mul != NULL && mul->in[0] == mul->in[1] ? mul->in[0] : -1;
}

/* x of sqrt(2 / pi) x (1 + 0.044715 x x), or -1. */
static int
factored_argument(const struct graph *g, int id)
{
    const struct node *mul = made_by(g, id, OP_MUL);

    for (int k = 0; mul != NULL && k < 2; k++) {
        int x = divided(g, mul->in[1 - k], 1.2533141f);
        const struct node *add = made_by(g, mul->in[k], OP_ADD);
        int rest = -1;

        if (x >= 0 && add != NULL && with_number(g, add, 1, &rest) &&
            times_square(g, rest, 0.044715f) == x)
            return x;
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
    return factored_argument(g, id);
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

/* --- Mish ------------------------------------------------------------------
 */

/* x of softplus(x), or -1. */
static int
softplus_of(const struct graph *g, int id)
{
    const struct node *n = made_by(g, id, OP_SOFTPLUS);
    int value = -1;

    if (n != NULL)
        return n->in[0];
    n = made_by(g, id, OP_LOG);
    n = n == NULL ? NULL : made_by(g, n->in[0], OP_ADD);
    if (n == NULL || !with_number(g, n, 1, &value))
        return -1;
    n = made_by(g, value, OP_EXP);
    return n == NULL ? -1 : n->in[0];
}

static void
find_mish(struct graph *g, struct node *n)
{
    for (int k = 0; n->op == OP_MUL && n->n_posts == 0 && k < 2; k++) {
        const struct node *t = made_by(g, n->in[1 - k], OP_TANH);

        if (t == NULL || softplus_of(g, t->in[0]) != n->in[k])
            continue;
        n->op = OP_MISH;
        n->in[0] = n->in[k];
        n->n_in = n->n_own = 1;
        n->n_attrs = 0;
        return;
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
        find_mish(g, n);
    }
    graph_sweep(g);
    return 0;
}
