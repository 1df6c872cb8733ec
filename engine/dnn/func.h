/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exponentials over rows of floats, as vectors; within 2 units of the last
 * place.  NaN gives NaN.  y may be x.
 */
#ifndef ENGINE_DNN_FUNC_H
#define ENGINE_DNN_FUNC_H

#include <stdint.h>

void func_sigmoid(float *y, const float *x, int64_t n);
void func_tanh(float *y, const float *x, int64_t n);

#endif
