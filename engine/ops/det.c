/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Det: of each matrix the determinant, by elimination with the largest pivot.
 */
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

int
det_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    char text[SHAPE_TEXT];

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0)
        return e->code;
    if (out.rank < 2 || out.dim[out.rank - 1] != out.dim[out.rank - 2])
        return err_set(e, ERR_INVALID, "input is %s: no square matrices",
                       shape_text(&x->shape, text));
    out.rank -= 2;
    return rule_out(g, n, 0, x->dtype, &out, e);
}

static int
det_prepare(const struct graph *g, const struct node *n, struct step *s,
            struct weights *w, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const size_t rows = (size_t)x->dim[x->rank - 1];

    (void)w;
    (void)e;
    s->scratch_bytes = rows * rows * sizeof(double);
    return 0;
}

/* Brings the row with the largest element of column k to row k. */
static bool
swap_pivot(double *a, int64_t n, int64_t k)
{
    int64_t best = k;

    for (int64_t i = k + 1; i < n; i++)
        if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
            best = i;
    for (int64_t j = 0; best != k && j < n; j++) {
        double t = a[k * n + j];

        a[k * n + j] = a[best * n + j];
        a[best * n + j] = t;
    }
    return best != k;
}

/* Of a [n,n], which is used up. */
static double
determinant(double *a, int64_t n)
{
    double d = 1;

    for (int64_t k = 0; k < n; k++) {
        if (swap_pivot(a, n, k))
            d = -d;
        d *= a[k * n + k];
        if (a[k * n + k] == 0)
            return d;
        for (int64_t i = k + 1; i < n; i++) {
            double by = a[i * n + k] / a[k * n + k];

            for (int64_t j = k + 1; j < n; j++)
                a[i * n + j] -= by * a[k * n + j];
        }
    }
    return d;
}

/* x [...,n,n] y [...] */
static int
det_run(const struct step *s, void *const *io, void *scratch, void *state,
        struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t n = x->shape.dim[x->shape.rank - 1];
    const int64_t size = (int64_t)dtype_size(x->dtype);
    char *y = step_io_out(s, io, 0);

    (void)state;
    (void)e;
    for (int64_t i = 0; i < (int64_t)shape_n(&step_out(s, 0)->shape); i++) {
        double d;

        number_convert(DTYPE_DOUBLE, scratch, sizeof d, x->dtype,
                       (const char *)io[0] + i * n * n * size, size, n * n);
        d = determinant(scratch, n);
        number_convert(x->dtype, y + i * size, 0, DTYPE_DOUBLE,
                       (const char *)&d, 0, 1);
    }
    return 0;
}

KERNEL(DET, "det", .prepare = det_prepare, .run = det_run);
