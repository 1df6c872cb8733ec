/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/weight.h"

#include <float.h>
#include <math.h>

/*
 * Pairs of u8 * s8 products are summed in 16 bits by the instructions before
 * VNNI: 2 * 255 * 64 fits, one more does not.
 */
enum { FULL = 127, REDUCED = 64 };

bool
weight_finite(const float *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(w[i]))
            return false;
    return true;
}

/* w seen as [outer, channels, inner]. */
struct view {
    size_t outer, channels, inner;
};

static struct view
view_of(const struct shape *s, int axis)
{
    if (axis < 0)
        return (struct view){1, 1, shape_n(s)};
    return (struct view){(size_t)shape_span(s, 0, axis), (size_t)s->dim[axis],
                         (size_t)shape_span(s, axis + 1, s->rank)};
}

static float
scale_of(float largest, int limit)
{
    float scale = largest / (float)limit;

    /* A dead channel, or one too faint to be a normal number. */
    return scale < FLT_MIN ? 1 : scale;
}

static void
find_scales(const float *w, const struct view *v, int limit, float *scale)
{
    for (size_t c = 0; c < v->channels; c++) {
        float largest = 0;

        for (size_t o = 0; o < v->outer; o++) {
            const float *row = w + (o * v->channels + c) * v->inner;

            for (size_t i = 0; i < v->inner; i++)
                largest = fmaxf(largest, fabsf(row[i]));
        }
        scale[c] = scale_of(largest, limit);
    }
}

static int8_t
round_to(float x, int limit)
{
    float r = rintf(x);

    return (int8_t)(r > (float)limit    ? limit
                    : r < (float)-limit ? -limit
                                        : (int)r);
}

int
weight_quantize(const struct value *w, const struct weight_spec *spec,
                struct arena *arena, struct weight *out, struct err *e)
{
    const struct view v = view_of(&w->shape, spec->axis);
    const int limit = spec->reduce ? REDUCED : FULL;
    const float *x = w->data;
    double signal = 0, noise = 0;

    out->n_scales = (int)v.channels;
    out->scale = arena_try(arena, v.channels, sizeof *out->scale);
    out->q = arena_try(arena, v.outer * v.channels * v.inner, 1);
    if (out->scale == NULL || out->q == NULL)
        return err_set(e, ERR_NO_MEMORY, "weights %s", w->name);
    find_scales(x, &v, limit, out->scale);
    out->min = INFINITY;
    out->max = -INFINITY;
    for (size_t i = 0; i < v.outer * v.channels * v.inner; i++) {
        float scale = out->scale[i / v.inner % v.channels], diff;

        out->q[i] = round_to(x[i] / scale, limit);
        out->min = fminf(out->min, x[i]);
        out->max = fmaxf(out->max, x[i]);
        diff = x[i] - scale * (float)out->q[i];
        signal += (double)x[i] * x[i];
        noise += (double)diff * diff;
    }
    out->sqnr_db = noise == 0 ? INFINITY : 10 * log10(signal / noise);
    return 0;
}
