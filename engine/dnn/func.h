/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What recurrent layers do between products, over rows of floats, as vectors.
 * Sigmoid and Tanh are within a few units of the last place; NaN gives NaN.
 */
#ifndef ENGINE_DNN_FUNC_H
#define ENGINE_DNN_FUNC_H

#include <stdint.h>

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
