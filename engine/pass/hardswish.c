/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HardSwish(x) = x * max(0, min(1, x / 6 + 1/2)), which exporters of opsets
 * before 14 write out by parts:
 *
 *     Mul(x, HardSigmoid(x, 1/6, 1/2))
 *     Div(Mul(x, Clip(Add(x, 3), 0, 6)), 6)      (Paddle)
 *     Mul(x, Div(Clip(Add(x, 3), 0, 6), 6))      (PyTorch)
 *
 * What is left of the last, without Mul, is HardSigmoid by parts.
 */
#include <math.h>

#include "engine/pass/pass.h"

/* The constant operand of n (Add, Mul: either side; Div: the second), and the
 * other one in *x; false when there is none. */
static bool
with_scalar(const struct graph *g, const struct node *n, float *c, int *x)
{
    if (pass_scalar(node_in(g, n, 1), c)) {
        *x = n->in[0];
        return true;
    }
    if (n->op != OP_DIV && pass_scalar(node_in(g, n, 0), c)) {
        *x = n->in[1];
        return true;
    }
    return false;
}

/* Is value id clip(x + 3, 0, 6)? */
static bool
is_clip(const struct graph *g, int id, int x)
{
    const struct node *clip = graph_producer(g, id), *add;
    float lo, hi, c;
    int of;

    if (clip == NULL || clip->op != OP_CLIP ||
        !pass_scalar(node_in(g, clip, 1), &lo) ||
        !pass_scalar(node_in(g, clip, 2), &hi) || lo != 0.0f || hi != 6.0f)
        return false;
    add = graph_producer(g, clip->in[0]);
    return add != NULL && add->op == OP_ADD && with_scalar(g, add, &c, &of) &&
           of == x && c == 3.0f;
}

/* Is value id hardsigmoid(x), one way or the other? */
static bool
is_gate(const struct graph *g, int id, int x)
{
    const struct node *n = graph_producer(g, id);
    float c;
    int of;

    if (n == NULL)
        return false;
    if (n->op == OP_HARD_SIGMOID)
        return n->in[0] == x &&
               fabsf(attr_float(n, "alpha", 0.2f) - 1.0f / 6) < 1e-6f &&
               attr_float(n, "beta", 0.5f) == 0.5f;
    if (n->op == OP_DIV)
        return with_scalar(g, n, &c, &of) && c == 6.0f && is_clip(g, of, x);
    if (n->op == OP_MUL)
        return with_scalar(g, n, &c, &of) && pass_near(c, 1.0f / 6) &&
               is_clip(g, of, x);
    return false;
}

static bool
match(const struct graph *g, const struct node *n, int *x)
{
    float c;
    int of;

    if (n->op == OP_MUL) {
        for (int k = 0; k < 2; k++)
            if (is_gate(g, n->in[1 - k], n->in[k])) {
                *x = n->in[k];
                return true;
            }
    }
    if ((n->op == OP_DIV && with_scalar(g, n, &c, &of) && c == 6.0f) ||
        (n->op == OP_MUL && with_scalar(g, n, &c, &of) &&
         pass_near(c, 1.0f / 6))) {
        const struct node *mul = graph_producer(g, of);

        for (int k = 0; mul != NULL && mul->op == OP_MUL && k < 2; k++)
            if (is_clip(g, mul->in[1 - k], mul->in[k])) {
                *x = mul->in[k];
                return true;
            }
    }
    return false;
}

/* Div(Clip(Add(x, 3), 0, 6), 6): x, or -1. */
static int
gate_of(const struct graph *g, const struct node *n)
{
    const struct node *clip, *add;
    float c;
    int of;

    if ((n->op != OP_DIV && n->op != OP_MUL) || !with_scalar(g, n, &c, &of))
        return -1;
    clip = graph_producer(g, of);
    add = clip == NULL || clip->op != OP_CLIP ? NULL
                                              : graph_producer(g, clip->in[0]);
    for (int k = 0; add != NULL && add->op == OP_ADD && k < 2; k++)
        if (is_gate(g, n->out[0], add->in[k]))
            return add->in[k];
    return -1;
}

int
pass_hardswish(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];
        int x;

        if (n->dead || !match(g, n, &x))
            continue;
        n->op = OP_HARD_SWISH; /* the parts go when nobody else reads them */
        n->n_in = n->n_own = 1;
        n->in[0] = x;
    }
    graph_sweep(g);
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];
        int x = n->dead ? -1 : gate_of(g, n);

        if (x < 0)
            continue;
        n->op = OP_HARD_SIGMOID;
        n->n_in = n->n_own = 1;
        n->in[0] = x;
        attr_set_float(g, n, "alpha", 1.0f / 6);
        attr_set_float(g, n, "beta", 0.5f);
    }
    return 0;
}
