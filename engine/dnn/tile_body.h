/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of tile.c, included once for each instruction set:
 *
 *     TARGET    attribute of the functions, or nothing
 *     NAME(x)   their names
 *     VECTOR    type of LANES floats, and LOAD, STORE, SET1, FMA, ZERO on it
 *     ROWS      rows at once: 2 * ROWS sums live in registers
 */
#define BLOCK NAME(block)
#define LINE NAME(line)
#define MUL NAME(mul)

/* R rows (a constant once this is inlined) by one panel of 2 * LANES. */
TARGET static inline __attribute__((always_inline)) void
BLOCK(int R, float *c, int64_t c_step, const float *a, int64_t a_step,
      const float *b, int64_t k, int add)
{
    VECTOR sum[ROWS][2];

#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
        sum[i][0] = add ? LOAD(c + i * c_step) : ZERO();
        sum[i][1] = add ? LOAD(c + i * c_step + LANES) : ZERO();
    }
    for (int64_t p = 0; p < k; p++) {
        VECTOR b0 = LOAD(b + p * 2 * LANES),
               b1 = LOAD(b + p * 2 * LANES + LANES);

#pragma GCC unroll 16
        for (int i = 0; i < R; i++) {
            VECTOR x = SET1(a[i * a_step + p]);

            sum[i][0] = FMA(x, b0, sum[i][0]);
            sum[i][1] = FMA(x, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
        STORE(c + i * c_step, sum[i][0]);
        STORE(c + i * c_step + LANES, sum[i][1]);
    }
}

/* One row by four panels: with one, the additions would wait for each other. */
TARGET static void
LINE(float *c, const float *a, const float *b, int64_t k, int add)
{
    const int64_t panel = k * 2 * LANES;
    VECTOR sum[8];

#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        sum[j] = add ? LOAD(c + j * LANES) : ZERO();
    for (int64_t p = 0; p < k; p++) {
        VECTOR x = SET1(a[p]);

#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            sum[j] =
                FMA(x, LOAD(b + j / 2 * panel + p * 2 * LANES + j % 2 * LANES),
                    sum[j]);
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        STORE(c + j * LANES, sum[j]);
}

TARGET static void
MUL(float *c, int64_t c_step, const float *a, int64_t a_step, const float *b,
    int64_t m, int64_t n, int64_t k, int add)
{
    int64_t j = 0;

    for (; m == 1 && j + 6 * LANES < n; j += 8 * LANES)
        LINE(c + j, a, b + j * k, k, add);
    for (; j < n; j += 2 * LANES) {
        int64_t i = 0;

        for (; i + ROWS <= m; i += ROWS)
            BLOCK(ROWS, c + i * c_step + j, c_step, a + i * a_step, a_step,
                  b + j * k, k, add);
        for (; i + 4 <= m; i += 4)
            BLOCK(4, c + i * c_step + j, c_step, a + i * a_step, a_step,
                  b + j * k, k, add);
        for (; i < m; i++)
            BLOCK(1, c + i * c_step + j, c_step, a + i * a_step, a_step,
                  b + j * k, k, add);
    }
}

#undef BLOCK
#undef LINE
#undef MUL
