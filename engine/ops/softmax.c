/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax and LogSoftmax along one axis, by the largest element, so that no
 * exponential overflows; Hardmax, which is 1 there and 0 elsewhere.
 */
#include <math.h>

#include "engine/ops/rule.h"

int
softmax_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int axis;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_axis(n, -1, x->shape.rank, &axis, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

static double
get(enum dtype t, const void *p, int64_t i)
{
    return t == DTYPE_FLOAT ? ((const float *)p)[i] : ((const double *)p)[i];
}

static void
set(enum dtype t, void *p, int64_t i, double v)
{
    if (t == DTYPE_FLOAT)
        ((float *)p)[i] = (float)v;
    else
        ((double *)p)[i] = v;
}

/* n elements, `step` apart, from element `at` on. */
static void
row(enum dtype t, const void *x, void *y, int64_t at, int64_t n, int64_t step,
    bool log_of_it)
{
    double max = -INFINITY, sum = 0;

    for (int64_t i = 0; i < n; i++) {
        double v = get(t, x, at + i * step);

        if (v > max || isnan(v))
            max = v;
    }
    for (int64_t i = 0; i < n; i++)
        sum += exp(get(t, x, at + i * step) - max);
    for (int64_t i = 0; i < n; i++) {
        double v = get(t, x, at + i * step) - max;

        set(t, y, at + i * step, log_of_it ? v - log(sum) : exp(v) / sum);
    }
}

/* The first of equals; a NaN is the largest. */
static void
hard_row(enum dtype t, const void *x, void *y, int64_t at, int64_t n,
         int64_t step)
{
    int64_t best = 0;

    for (int64_t i = 0; i < n; i++) {
        double v = get(t, x, at + i * step);
        double most = get(t, x, at + best * step);

        if (v > most || (isnan(v) && !isnan(most)))
            best = i;
    }
    for (int64_t i = 0; i < n; i++)
        set(t, y, at + i * step, i == best);
}

/* x, y [outer,n,inner] */
static int
softmax_run(const struct step *s, void *const *io, void *scratch, void *state,
            struct err *e)
{
    const struct value *x = step_in(s, 0);
    int64_t outer, n, inner;
    int axis;

    (void)scratch;
    (void)state;
    if (rule_axis(s->node, -1, x->shape.rank, &axis, e) != 0)
        return e->code;
    outer = shape_span(&x->shape, 0, axis);
    n = x->shape.dim[axis];
    inner = shape_span(&x->shape, axis + 1, x->shape.rank);
    for (int64_t o = 0; n > 0 && o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const int64_t at = o * n * inner + i;

            if (s->node->op == OP_HARDMAX)
                hard_row(x->dtype, io[0], step_io_out(s, io, 0), at, n, inner);
            else
                row(x->dtype, io[0], step_io_out(s, io, 0), at, n, inner,
                    s->node->op == OP_LOG_SOFTMAX);
        }
    return 0;
}

KERNEL(HARDMAX, "softmax", .run = softmax_run);
KERNEL(SOFTMAX, "softmax", .run = softmax_run);
KERNEL(LOG_SOFTMAX, "softmax", .run = softmax_run);
