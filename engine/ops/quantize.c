/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real numbers to integers and back.
 *
 *     q = saturate(round(x / scale) + zero), halves to even
 *     x = (q - zero) * scale
 *
 * with one scale for the tensor, one for each index of an axis, or one for
 * each block of block_size indices of an axis (and each index of the others).
 */
#include <inttypes.h>
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"
#include "engine/ops/walk.h"

/* --- rules -------------------------------------------------------------------
 */

/* Scales in blocks: the shape of x, but for as many as there are blocks. */
static int
check_blocks(const struct graph *g, const struct node *n, int64_t block,
             int axis, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    struct shape want = *x;
    int64_t length = x->dim[axis];

    if (block < 1)
        return err_set(e, ERR_INVALID, "block_size is %" PRId64, block);
    if (x->rank == SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "blocks in a tensor of rank %d",
                       x->rank);
    want.dim[axis] = length / block + (length % block != 0);
    return rule_shape(g, n, 1, &want, e);
}

/* The axis that scales belong to, or -1 when there is one for all. */
static int
scale_axis(const struct graph *g, const struct node *n, int *axis,
           struct err *e)
{
    const struct value *x = node_in(g, n, 0), *scale = node_in(g, n, 1);
    const struct value *zero = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    const int64_t block = attr_int(n, "block_size", 0);
    char have[SHAPE_TEXT], of[SHAPE_TEXT];

    *axis = -1;
    if (zero != NULL && shape_n(&zero->shape) != shape_n(&scale->shape))
        return err_set(e, ERR_INVALID, "zero point %s is %s but scale %s",
                       zero->name, shape_text(&zero->shape, have),
                       shape_text(&scale->shape, of));
    if (block != 0) {
        if (rule_axis(n, 1, x->shape.rank, axis, e) != 0)
            return e->code;
        return check_blocks(g, n, block, *axis, e);
    }
    if (scale->shape.rank == 0)
        return 0;
    if (scale->shape.rank > 1)
        return err_set(e, ERR_INVALID,
                       "scale %s is %s, but there is no block_size",
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

/*
 * Walks over output, input, scale and zero point, each by its own layout; with
 * blocks, one over all whole ones and one over what is left.  Where each begins
 * is counted in elements.
 */
struct quantize {
    int n;
    struct walk walk[2];
    int64_t at[2][WALK_OPERANDS];
};

static void
add_walk(struct walk *w, const int64_t stride[3][SHAPE_MAX_RANK],
         const struct value *x, const struct value *y, const struct value *zero)
{
    walk_add_strides(w, stride[0], dtype_size(y->dtype));
    walk_add_strides(w, stride[1], dtype_size(x->dtype));
    walk_add_strides(w, stride[2], sizeof(float));
    walk_add_strides(w, stride[2], zero == NULL ? 0 : dtype_size(zero->dtype));
    walk_end(w);
}

/* `blocks` blocks of `length` indices of axis, which becomes two axes. */
static void
add_blocks(struct quantize *q, const struct value *const v[4], int axis,
           int64_t first, int64_t blocks, int64_t length, int64_t block)
{
    const struct shape *s = &v[0]->shape;
    int64_t whole[3][SHAPE_MAX_RANK], split[3][SHAPE_MAX_RANK];
    int64_t *at = q->at[q->n];
    struct walk *w = &q->walk[q->n];
    struct shape over = {.rank = s->rank + 1};

    layout_strides(s, v[0]->layout, whole[0]);
    layout_strides(s, v[1]->layout, whole[1]);
    layout_strides(&v[2]->shape, LAYOUT_PLAIN, whole[2]);
    for (int i = 0; i <= s->rank; i++) {
        int from = i <= axis ? i : i - 1;

        over.dim[i] = i == axis       ? blocks
                      : i == axis + 1 ? length
                                      : s->dim[from];
        for (int k = 0; k < 3; k++)
            split[k][i] = whole[k][from];
    }
    for (int k = 0; k < 3; k++) {
        split[k][axis + 1] = k == 2 ? 0 : whole[k][axis];
        split[k][axis] = whole[k][axis] * (k == 2 ? 1 : block);
        at[k] = first * split[k][axis];
    }
    at[3] = at[2];
    walk_begin(w, &over);
    add_walk(w, (const int64_t(*)[SHAPE_MAX_RANK])split, v[1], v[0], v[3]);
    q->n++;
}

static int
quantize_prepare(const struct graph *g, const struct node *n, struct step *s,
                 struct weights *w, struct err *e)
{
    const struct value *const v[4] = {node_out(g, n, 0), node_in(g, n, 0),
                                      node_in(g, n, 1),
                                      n->n_own > 2 ? node_in(g, n, 2) : NULL};
    const int64_t block = attr_int(n, "block_size", 0);
    int64_t stride[3][SHAPE_MAX_RANK] = {0};
    struct quantize *q;
    int axis;

    (void)w;
    if (scale_axis(g, n, &axis, e) != 0 || step_own(s, sizeof *q, e) != 0)
        return e->code;
    q = s->own;
    if (block != 0) {
        int64_t length = v[0]->shape.dim[axis];

        add_blocks(q, v, axis, 0, length / block, block, block);
        if (length % block != 0)
            add_blocks(q, v, axis, length / block, 1, length % block, block);
        return 0;
    }
    layout_strides(&v[0]->shape, v[0]->layout, stride[0]);
    layout_strides(&v[0]->shape, v[1]->layout, stride[1]);
    if (axis >= 0)
        stride[2][axis] = 1;
    walk_begin(&q->walk[0], &v[0]->shape);
    add_walk(&q->walk[0], (const int64_t(*)[SHAPE_MAX_RANK])stride, v[1], v[0],
             v[3]);
    q->n = 1;
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
    const struct quantize *q = s->own;
    const struct value *zero = s->node->n_own > 2 ? step_in(s, 2) : NULL;

    (void)scratch;
    (void)state;
    (void)e;
    for (int i = 0; i < q->n; i++) {
        const int64_t *at = q->at[i];
        char *y = step_io_out(s, io, 0), *x = io[0];
        char *scale = io[1], *z = zero == NULL ? &none : io[2];

        y += at[0] * (int64_t)dtype_size(step_out(s, 0)->dtype);
        x += at[1] * (int64_t)dtype_size(step_in(s, 0)->dtype);
        scale += at[2] * (int64_t)sizeof(float);
        if (zero != NULL)
            z += at[3] * (int64_t)dtype_size(zero->dtype);
        walk_run(&q->walk[i], (char *const[]){y, x, scale, z},
                 s->node->op == OP_QUANTIZE_LINEAR ? quantize_row
                                                   : dequantize_row,
                 (void *)s);
    }
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
