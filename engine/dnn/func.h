/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exponentials over rows of floats, as vectors; within 2 units of the last
 * place but for the sum, whose order of addition is the machine's.  NaN gives
 * NaN.  y may be x.
 */
#ifndef ENGINE_DNN_FUNC_H
#define ENGINE_DNN_FUNC_H

#include <stdint.h>

void func_sigmoid(float *y, const float *x, int64_t n);
void func_tanh(float *y, const float *x, int64_t n);

/* y = exp(y - max); returns the sum of the results. */
float func_exp_sum(float *y, float max, int64_t n);

/* The largest; -infinity when there is none. */
float func_max(const float *x, int64_t n);

#endif
