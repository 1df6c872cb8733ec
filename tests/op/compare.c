/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/op/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/ops/number.h"

struct tolerance
tolerance_of(enum dtype t)
{
    switch (t) {
    case DTYPE_FLOAT:
        return (struct tolerance){1e-5, 1e-4};
    case DTYPE_DOUBLE:
        return (struct tolerance){1e-8, 1e-6};
    case DTYPE_FLOAT16:
        return (struct tolerance){1e-4, 1e-3};
    case DTYPE_BFLOAT16:
        return (struct tolerance){1e-3, 1e-2};
    default:
        return (struct tolerance){0, 0};
    }
}

double
element(const struct tensor *t, size_t i)
{
    return number_double(t->dtype,
                         (const char *)t->data + i * dtype_size(t->dtype));
}

static bool
close_to(double have, double want, struct tolerance tol)
{
    if (isnan(want) || isnan(have))
        return isnan(want) && isnan(have);
    if (isinf(want) || isinf(have))
        return want == have;
    return fabs(have - want) <= tol.abs + tol.rel * fabs(want);
}

/* A double has too few digits for 64-bit integers. */
static bool
same(const struct tensor *have, const struct tensor *want, size_t i,
     struct tolerance tol)
{
    size_t at = i * dtype_size(want->dtype);

    if (!dtype_is_float(want->dtype))
        return memcmp((const char *)have->data + at,
                      (const char *)want->data + at,
                      dtype_size(want->dtype)) == 0;
    return close_to(element(have, i), element(want, i), tol);
}

bool
tensor_close(const struct tensor *have, const struct tensor *want,
             struct tolerance tol, char *text, size_t size)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    size_t n = shape_n(&want->shape), wrong = 0, first = 0;

    if (have->dtype != want->dtype ||
        !shape_equal(&have->shape, &want->shape)) {
        snprintf(text, size, "is %s %s, want %s %s", dtype_name(have->dtype),
                 shape_text(&have->shape, a), dtype_name(want->dtype),
                 shape_text(&want->shape, b));
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!same(have, want, i, tol)) {
            first = wrong == 0 ? i : first;
            wrong++;
        }
    if (wrong > 0)
        snprintf(text, size,
                 "%zu of %zu elements differ: [%zu] is %.9g, "
                 "want %.9g",
                 wrong, n, first, element(have, first), element(want, first));
    return wrong == 0;
}
