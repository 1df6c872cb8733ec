/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/probe.h"

#include <math.h>
#include <string.h>

#include "quant/convert.h"

enum edge { ZERO, LOWEST, HIGHEST, FAR, N_EDGES };

static const char *const edge_names[N_EDGES] = {
    "all zero", "all at the lowest seen", "all at the highest seen",
    "at ten times the range seen"};

/* The number that input i is filled with. */
static double
edge_value(const struct seen *seen, int input, enum edge edge)
{
    struct seen_stats s = {.min = -1, .max = 1};

    if (seen != NULL)
        seen_stats(seen, input, &s);
    switch (edge) {
    case LOWEST:
        return s.min;
    case HIGHEST:
        return s.max;
    case FAR:
        return 10 * fmax(fabs(s.min), fabs(s.max));
    default:
        return 0;
    }
}

static int
fill(const struct model *m, struct session *s, const struct shape *shapes,
     const struct seen *seen, enum edge edge, struct err *e)
{
    int rc = session_shape(s, shapes, e);

    for (int i = 0; i < model_n_inputs(m) && rc == 0; i++) {
        enum dtype t = model_input(m, i)->dtype;
        size_t n = shape_n(&shapes[i]), size = dtype_size(t);
        double v = edge_value(seen, i, edge);
        char *p = session_input(s, i);

        memset(p, 0, n * size);
        for (size_t k = 0; dtype_is_float(t) && k < n && rc == 0; k++)
            rc = convert(DTYPE_DOUBLE, &v, t, p + k * size, 1, e);
    }
    return rc;
}

static int64_t
count_nonfinite(const struct model *m, const struct session *s)
{
    int64_t n = 0;

    for (int i = 0; i < model_n_outputs(m); i++) {
        const struct tensor *t = session_output(s, i);
        size_t count = shape_n(&t->shape);

        for (size_t k = 0; dtype_is_float(t->dtype) && k < count; k++)
            n += !isfinite(convert_real(t->dtype, t->data, k));
    }
    return n;
}

static int
run_edge(const struct model *m, struct session *s, const struct shape *shapes,
         const struct seen *seen, enum edge edge, int64_t *nonfinite,
         struct err *e)
{
    int rc = fill(m, s, shapes, seen, edge, e);

    if (rc == 0 && (rc = session_run(s, e)) == 0)
        *nonfinite = count_nonfinite(m, s);
    return rc;
}

int
probe_run(struct model *baseline, struct model *variant,
          const struct shape *shapes, const struct seen *seen,
          struct probe_result *out, struct err *e)
{
    struct session *x = NULL, *y = NULL;
    int rc;

    *out = (struct probe_result){0};
    if ((rc = session_new(baseline, &x, e)) == 0)
        rc = session_new(variant, &y, e);
    for (int i = 0; i < N_EDGES && rc == 0; i++) {
        int64_t a, b;

        if ((rc = run_edge(baseline, x, shapes, seen, i, &a, e)) != 0 ||
            (rc = run_edge(variant, y, shapes, seen, i, &b, e)) != 0)
            break;
        out->n++;
        out->baseline_nonfinite += a;
        out->variant_nonfinite += b;
        if (b > a && out->worst == NULL)
            out->worst = edge_names[i];
    }
    session_free(&x);
    session_free(&y);
    return rc;
}
