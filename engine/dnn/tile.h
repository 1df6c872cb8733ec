/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product of two small float32 matrices, for kernels that make such
 * products between other work: c = a b, b packed into panels of as many
 * columns as two vectors of this machine hold.
 *
 * One thread; no memory of its own.  A row of c does not depend on how many
 * there are.
 */
#ifndef ENGINE_DNN_TILE_H
#define ENGINE_DNN_TILE_H

#include <stddef.h>
#include <stdint.h>

/* n rounded up to whole panels: the columns that tile_mul() may write. */
int64_t tile_columns(int64_t n);

/*
 * b[i * k_step + j * n_step] for i < k, j < n into k * tile_columns(n) floats,
 * the columns behind n being 0.
 */
void tile_pack(float *packed, const float *b, int64_t k_step, int64_t n_step,
               int64_t k, int64_t n);

/*
 * c[i * c_step + j] = sum over p of a[i * a_step + p] * b[p][j], for i < m,
 * j < n; with `add`, plus what is there.  Columns behind n, up to
 * tile_columns(n), are written, to no purpose.
 */
void tile_mul(float *c, int64_t c_step, const float *a, int64_t a_step,
              const float *packed, int64_t m, int64_t n, int64_t k, int add);

/*
 * x[j] = exp(x[j] - the largest of them) for j < n, n > 0, and 0 behind them up
 * to tile_columns(n).  Returns the sum.
 */
float tile_soften(float *x, int64_t n);

/* "avx512", "avx2" or "plain". */
const char *tile_isa(void);

#endif
