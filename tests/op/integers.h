/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantized tensors for small graphs: Q, DQ, weights.  Included after cmocka.h.
 */
#ifndef TESTS_OP_INTEGERS_H
#define TESTS_OP_INTEGERS_H

#include "tests/op/both.h"

#define NONE OP_COUNT
#define U DTYPE_UINT8
#define S DTYPE_INT8
#define F DTYPE_FLOAT

/* Weights keep to 7 bits where 8 would saturate; else they use all of 8. */
static inline int
weight_max(void)
{
    return engine_has_vnni() ? 127 : 64;
}

static inline int
scalar_float(struct graph *g, float v)
{
    return graph_add_const(g, NULL, DTYPE_FLOAT, &(struct shape){.rank = 0},
                           &v);
}

static inline int
scalar_byte(struct graph *g, enum dtype t, int v)
{
    uint8_t byte = (uint8_t)v;

    return graph_add_const(g, NULL, t, &(struct shape){.rank = 0}, &byte);
}

static inline int
quantize(struct graph *g, int x, enum dtype t, float scale, int zero)
{
    return NODE(g, OP_QUANTIZE_LINEAR, x, scalar_float(g, scale),
                scalar_byte(g, t, zero));
}

static inline int
dequantize(struct graph *g, int q, enum dtype t, float scale, int zero)
{
    return NODE(g, OP_DEQUANTIZE_LINEAR, q, scalar_float(g, scale),
                scalar_byte(g, t, zero));
}

/* Q -> DQ, as a quantizer puts it on a tensor. */
static inline int
pair(struct graph *g, int x, enum dtype t, float scale, int zero)
{
    return dequantize(g, quantize(g, x, t, scale, zero), t, scale, zero);
}

/* DQ of random int8 (or uint8 around 128) with one scale for each index of
 * axis, and zero points of which `zero` is the first, `step` apart. */
static inline int
weights_around(struct graph *g, struct shape s, int axis, bool is_unsigned,
               int first_zero, int step)
{
    size_t n = shape_n(&s);
    int scales = axis < 0 ? 1 : (int)s.dim[axis];
    uint8_t *w = mem_new(n, 1), *zero = mem_new((size_t)scales, 1);
    float *scale = mem_new((size_t)scales, sizeof *scale);
    enum dtype t = is_unsigned ? DTYPE_UINT8 : DTYPE_INT8;
    struct shape ss = {axis < 0 ? 0 : 1, {scales}};
    int y, max = weight_max();

    for (size_t i = 0; i < n; i++)
        w[i] = (uint8_t)(both_int(-max, max) + (is_unsigned ? 128 : 0));
    for (int i = 0; i < scales; i++) {
        scale[i] = 0.002f + 0.002f * fabsf(both_random());
        zero[i] = (uint8_t)(first_zero + i % 3 * step);
    }
    y = NODE(g, OP_DEQUANTIZE_LINEAR, graph_add_const(g, NULL, t, &s, w),
             graph_add_const(g, NULL, DTYPE_FLOAT, &ss, scale),
             graph_add_const(g, NULL, t, &ss, zero));
    if (axis >= 0)
        attr_set_int(g, MADE(g, y), "axis", axis);
    mem_free(w);
    mem_free(zero);
    mem_free(scale);
    return y;
}

static inline int
weights(struct graph *g, struct shape s, int axis, bool is_unsigned)
{
    return weights_around(g, s, axis, is_unsigned, is_unsigned ? 128 : 0, 0);
}

/* How often `part` stands in text. */
static inline int
count(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

/* As both_check, and the fast way has exactly n_pairs Q and DQ steps left (-1:
 * any number). */
static inline void
check(struct graph *g, int y, double tol, const char *want, int n_pairs,
      const char *what)
{
    struct graph *copy = graph_copy(g);
    struct both_kernels fast;
    struct tensor t;

    VEC_PUSH(&copy->outputs, y);
    t = both_run(copy, "default", &fast);
    mem_free(t.data);
    graph_free(&copy);
    both_check(g, y, tol, want, what);
    if (n_pairs >= 0 && count(fast.text, "quantize/") != n_pairs)
        fail_msg("%s: want %d quantize steps: %s", what, n_pairs, fast.text);
}

#endif
