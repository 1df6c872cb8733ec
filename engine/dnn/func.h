/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions over rows of floats, as vectors: Gelu, and what recurrent layers do
 * between products.
 * Sigmoid and Tanh are within a few units of the last place; NaN gives NaN.
 */
#ifndef ENGINE_DNN_FUNC_H
#define ENGINE_DNN_FUNC_H

#include <stdbool.h>
#include <stdint.h>

/* y = Gelu(y), within 5e-7 * max(1, |y|); tanh: that form. */
void func_gelu(float *y, bool tanh, int64_t n);

/*
 * One step of an LSTM for one row: gate holds the sums of i, o, f and c, n of
 * each; c and h become the new cell and state.  Sums are clipped to +-clip.
 */
void func_lstm(const float *gate, float *c, float *h, float clip, int64_t n);

/*
 * GRU: z and r hold sums and become the gates; then, new holding the sums of
 * the candidate, h becomes the new state.
 */
void func_gru_gates(float *z, float *r, float clip, int64_t n);
void func_gru(const float *z, const float *new, float *h, float clip,
              int64_t n);

#endif
