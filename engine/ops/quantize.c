/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real numbers to integers and back.
 *
 *     q = saturate(round(x / scale) + zero), halves to even
 *     x = (q - zero) * scale
 *
 * with one scale for the tensor or one for each index of an axis.
 */
#include <inttypes.h>
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"
#include "engine/ops/walk.h"

/* --- rules -------------------------------------------------------------------
 */

/* The axis that scales belong to, or -1 when there is one for all. */
static int
scale_axis(const struct graph *g, const struct node *n, int *axis,
           struct err *e)
{
    const struct value *x = node_in(g, n, 0), *scale = node_in(g, n, 1);
    const struct value *zero = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    char have[SHAPE_TEXT], of[SHAPE_TEXT];

    *axis = -1;
    if (zero != NULL && shape_n(&zero->shape) != shape_n(&scale->shape))
        return err_set(e, ERR_INVALID, "zero point %s is %s but scale %s",
                       zero->name, shape_text(&zero->shape, have),
                       shape_text(&scale->shape, of));
    if (scale->shape.rank == 0)
        return 0;
    if (scale->shape.rank > 1)
        return err_set(e, ERR_UNSUPPORTED,
                       "scale %s is %s: scales in blocks are not supported",
                       scale->name, shape_text(&scale->shape, have));
    /* A list of one is also what exporters write for the whole tensor. */
    if (scale->shape.dim[0] == 1)
        return 0;
    if (rule_axis(n, 1, x->shape.rank, axis, e) != 0)
        return e->code;
    if (scale->shape.dim[0] != x->shape.dim[*axis])
        return err_set(e, ERR_INVALID, "%" PRId64 " scales for axis %d of %s",
                       scale->shape.dim[0], *axis, shape_text(&x->shape, of));
    return 0;
}

#define TYPES_SMALL (TYPE(INT8) | TYPE(UINT8) | TYPE(INT16) | TYPE(UINT16))

int
quantize_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const struct value *zero = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    int axis;

    if (rule_type(g, n, 0, TYPE(FLOAT) | TYPE(INT32), e) != 0 ||
        rule_type(g, n, 1, TYPE(FLOAT), e) != 0 ||
        rule_type(g, n, 2, TYPES_SMALL, e) != 0 ||
        scale_axis(g, n, &axis, e) != 0)
        return e->code;
    return rule_out(g, n, 0, zero == NULL ? DTYPE_UINT8 : zero->dtype,
                    &x->shape, e);
}

int
dequantize_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int axis;

    if (rule_type(g, n, 0, TYPES_SMALL | TYPE(INT32), e) != 0 ||
        rule_type(g, n, 1, TYPE(FLOAT), e) != 0 ||
        rule_same_type(g, n, 2, e) != 0 || scale_axis(g, n, &axis, e) != 0)
        return e->code;
    return rule_out(g, n, 0, DTYPE_FLOAT, &x->shape, e);
}

int
dynamic_quantize_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const struct shape scalar = {0};

    if (rule_type(g, n, 0, TYPE(FLOAT), e) != 0 ||
        rule_out(g, n, 1, DTYPE_FLOAT, &scalar, e) != 0 ||
        rule_out(g, n, 2, DTYPE_UINT8, &scalar, e) != 0)
        return e->code;
    return rule_out(g, n, 0, DTYPE_UINT8, &x->shape, e);
}

/* --- QuantizeLinear, DequantizeLinear ----------------------------------------
 */

struct limits {
    double min, max;
};

static struct limits
limits_of(enum dtype t)
{
    switch (t) {
    case DTYPE_INT8:
        return (struct limits){INT8_MIN, INT8_MAX};
    case DTYPE_INT16:
        return (struct limits){INT16_MIN, INT16_MAX};
    case DTYPE_UINT16:
        return (struct limits){0, UINT16_MAX};
    default:
        return (struct limits){0, UINT8_MAX};
    }
}

/* NaN has no integer: it becomes the zero point, which stands for 0. */
static int64_t
quantize(float x, float scale, int64_t zero, struct limits lim)
{
    double q = nearbyintf(x / scale);

    q = isnan(q) ? (double)zero : q + (double)zero;
    return (int64_t)(q < lim.min ? lim.min : q > lim.max ? lim.max : q);
}

/* A walk over output, input, scale, zero point, each by its own layout. */
static int
quantize_prepare(const struct graph *g, const struct node *n, struct step *s,
                 struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const struct value *zero = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    int64_t stride[SHAPE_MAX_RANK] = {0};
    struct walk *walk;
    int axis;

    (void)w;
    if (scale_axis(g, n, &axis, e) != 0 || step_own(s, sizeof *walk, e) != 0)
        return e->code;
    walk = s->own;
    if (axis >= 0)
        stride[axis] = 1;
    walk_begin(walk, &y->shape);
    walk_add(walk, y);
    walk_add(walk, x);
    walk_add_strides(walk, stride, sizeof(float));
    walk_add_strides(walk, stride, zero == NULL ? 0 : dtype_size(zero->dtype));
    walk_end(walk);
    return 0;
}

static int64_t
zero_at(const struct value *zero, const char *p)
{
    return zero == NULL ? 0 : number_int(zero->dtype, p);
}

static void
quantize_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    const struct step *s = arg;
    const struct value *x = step_in(s, 0), *y = step_out(s, 0);
    const struct value *zero = s->node->n_own > 2 ? step_in(s, 2) : NULL;
    const struct limits lim = limits_of(y->dtype);

    for (int64_t i = 0; i < n; i++) {
        const char *from = p[1] + i * step[1];
        float v = x->dtype == DTYPE_FLOAT ? *(const float *)from
                                          : (float)*(const int32_t *)from;
        float scale = *(const float *)(p[2] + i * step[2]);

        number_set_int(
            y->dtype, p[0] + i * step[0],
            quantize(v, scale, zero_at(zero, p[3] + i * step[3]), lim));
    }
}

static void
dequantize_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    const struct step *s = arg;
    const struct value *x = step_in(s, 0);
    const struct value *zero = s->node->n_own > 2 ? step_in(s, 2) : NULL;

    for (int64_t i = 0; i < n; i++) {
        int64_t q = number_int(x->dtype, p[1] + i * step[1]) -
                    zero_at(zero, p[3] + i * step[3]);

        *(float *)(p[0] + i * step[0]) =
            (float)q * *(const float *)(p[2] + i * step[2]);
    }
}

static int
quantize_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    static char none;
    char *zero = s->node->n_own > 2 && step_in(s, 2) != NULL ? io[2] : &none;

    (void)scratch;
    (void)state;
    (void)e;
    walk_run(s->own, (char *const[]){step_io_out(s, io, 0), io[0], io[1], zero},
             s->node->op == OP_QUANTIZE_LINEAR ? quantize_row : dequantize_row,
             (void *)s);
    return 0;
}

/* --- DynamicQuantizeLinear ---------------------------------------------------
 */

/*
 * The range of x, widened to hold 0, mapped onto 0..255.
 * Source: ONNX DynamicQuantizeLinear.  A tensor of zeros has scale 1.
 */
static int
dynamic_run(const struct step *s, void *const *io, void *scratch, void *state,
            struct err *e)
{
    const size_t n = shape_n(&step_in(s, 0)->shape);
    const struct limits lim = limits_of(DTYPE_UINT8);
    const float *x = io[0];
    uint8_t *y = step_io_out(s, io, 0);
    float min = 0, max = 0, scale;
    int64_t zero;

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < n; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    scale = (max - min) / 255;
    if (scale == 0)
        scale = 1;
    zero = quantize(-min, scale, 0, lim);
    for (size_t i = 0; i < n; i++)
        y[i] = (uint8_t)quantize(x[i], scale, zero, lim);
    if (step_out(s, 1) != NULL)
        *(float *)step_io_out(s, io, 1) = scale;
    if (step_out(s, 2) != NULL)
        *(uint8_t *)step_io_out(s, io, 2) = (uint8_t)zero;
    return 0;
}

KERNEL(QUANTIZE_LINEAR, "quantize", .layout = KERNEL_CONVERT,
       .prepare = quantize_prepare, .run = quantize_run, .done = step_done);
KERNEL(DEQUANTIZE_LINEAR, "dequantize", .layout = KERNEL_CONVERT,
       .prepare = quantize_prepare, .run = quantize_run, .done = step_done);
KERNEL(DYNAMIC_QUANTIZE_LINEAR, "dynamic_quantize", .run = dynamic_run);
