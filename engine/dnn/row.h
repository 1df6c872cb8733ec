/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of our own kernels, over contiguous rows, compiled for AVX-512,
 * AVX2 and the baseline; the best the machine has is taken at run time.  They
 * are plain C that the compiler vectorizes; every variant gives the same bits.
 * No operand may overlap another unless it is said.
 */
#ifndef ENGINE_DNN_ROW_H
#define ENGINE_DNN_ROW_H

#include <stdint.h>

#include "engine/ir/dtype.h"
#include "engine/ir/graph.h"

/* y = scale * (x - zero); x is FLOAT (then copied) or an integer of at most 32
 * bits, but UINT32. */
void row_load(float *y, const void *x, enum dtype t, int64_t n, float scale,
              int32_t zero);

/* y = saturate(round_half_even(x / scale) + zero), of 8 or 16 bits; FLOAT
 * copies. */
void row_store(void *y, enum dtype t, const float *x, int64_t n, float scale,
               int32_t zero);

/* The same with a scale and a zero point for each element; INT8, UINT8. */
void row_store_each(void *y, enum dtype t, const float *x, int64_t n,
                    const float *scale, const int32_t *zero);

/*
 * y = a op b for ADD, SUB, MUL, DIV, MIN, MAX; step 0 repeats the operand's
 * first element, 1 walks it.  y may be a or b.
 */
void row_binary(enum op op, float *y, const float *a, int a_step,
                const float *b, int b_step, int64_t n);

/* The posts that row_post() knows; alpha and beta as in struct post. */
bool row_has_post(enum op op);
void row_post(enum op op, float alpha, float beta, float *y, int64_t n);

/*
 * y = scale * sum + bias; a step of 0 repeats the first element, 1 walks on;
 * bias may be NULL.
 */
void row_real(float *y, const int32_t *sum, const float *scale, int scale_step,
              const float *bias, int bias_step, int64_t n);

/* y = scale * y + bias[i] (bias may be NULL). */
void row_scale_add(float *y, float scale, const float *bias, int64_t n);

/*
 * rows of n elements: y = x * s[i] + t[i], i the place in the row, or 0 when
 * step is 0.  y may be x.
 */
void row_affine(float *y, const float *x, const float *s, const float *t,
                int step, int64_t rows, int64_t n);

/* y = (1-v)((1-u) a + u b) + v ((1-u) c + u d): four corners of a square. */
void row_blend(float *y, const float *a, const float *b, const float *c,
               const float *d, float v, float u, int64_t n);

/* sum[i] += x[i], INT8 or UINT8. */
void row_accumulate(int32_t *sum, const void *x, enum dtype t, int64_t n);

/* Sum of n INT8 or UINT8. */
int32_t row_sum(const void *x, enum dtype t, int64_t n);

/* y[i] -= factor * x[i], modulo 2^32. */
void row_subtract(int32_t *y, int32_t factor, const int32_t *x, int64_t n);

/* y[i] -= a[i] * b[i], modulo 2^32. */
void row_subtract_each(int32_t *y, const int32_t *a, const int32_t *b,
                       int64_t n);

/* The least and the largest; NaN counts as nothing.  0, 0 when n is 0. */
void row_range(const float *x, int64_t n, float *min, float *max);

/* max[i] becomes the larger of itself and x[i], INT8 or UINT8. */
void row_max(void *max, const void *x, enum dtype t, int64_t n);

/* The largest magnitude; NaN counts as nothing. */
float row_max_abs(const float *x, int64_t n);

/* y[i] = table[x[i]] over bytes. */
void row_lookup(uint8_t *y, const uint8_t *x, const uint8_t table[256],
                int64_t n);

/*
 * y[c * y_step + r] = x[r * x_step + c] for elements of 1, 2 or 4 bytes: a
 * matrix of rows x cols turned.
 */
void row_turn(void *y, int64_t y_step, const void *x, int64_t x_step,
              int64_t rows, int64_t cols, size_t element);

#endif
