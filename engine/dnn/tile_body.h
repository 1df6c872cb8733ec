/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of tile.c, included once for each instruction set:
 *
 *     TARGET    attribute of the functions, or nothing
 *     NAME(x)   their names
 *     VECTOR    type of LANES floats, and LOAD, STORE, SET1, FMA, ADD, SUB,
 * MUL, MAX, ZERO on it SHIFT     (y, t) adds the low bits of t to the exponents
 * of y UNLESS    (x, low, y) is 0 where x < low, else y ROWS      rows at once:
 * 2 * ROWS sums live in registers
 */
#define BLOCK NAME(block)
#define PANEL NAME(panel)
#define LINE NAME(line)
#define PRODUCT NAME(product)
#define EXP NAME(exp)
#define SOFTEN NAME(soften)

/* R rows by the first V * LANES columns of a panel: constants once inlined. */
TARGET static inline __attribute__((always_inline)) void
BLOCK(int R, int V, float *c, int64_t c_step, const float *a, int64_t a_step,
      const float *b, int64_t k, int add)
{
    VECTOR sum[ROWS][2];

#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
        sum[i][0] = add ? LOAD(c + i * c_step) : ZERO();
        if (V > 1)
            sum[i][1] = add ? LOAD(c + i * c_step + LANES) : ZERO();
    }
    for (int64_t p = 0; p < k; p++) {
        VECTOR b0 = LOAD(b + p * 2 * LANES), b1 = b0;

        if (V > 1)
            b1 = LOAD(b + p * 2 * LANES + LANES);
#pragma GCC unroll 16
        for (int i = 0; i < R; i++) {
            VECTOR x = SET1(a[i * a_step + p]);

            sum[i][0] = FMA(x, b0, sum[i][0]);
            if (V > 1)
                sum[i][1] = FMA(x, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
        STORE(c + i * c_step, sum[i][0]);
        if (V > 1)
            STORE(c + i * c_step + LANES, sum[i][1]);
    }
}

/* All rows by one panel. */
TARGET static inline __attribute__((always_inline)) void
PANEL(int V, float *c, int64_t c_step, const float *a, int64_t a_step,
      const float *b, int64_t m, int64_t k, int add)
{
    int64_t i = 0;

    for (; i + ROWS <= m; i += ROWS)
        BLOCK(ROWS, V, c + i * c_step, c_step, a + i * a_step, a_step, b, k,
              add);
    for (; i + 4 <= m; i += 4)
        BLOCK(4, V, c + i * c_step, c_step, a + i * a_step, a_step, b, k, add);
    c += i * c_step;
    a += i * a_step;
    if (m - i == 3)
        BLOCK(3, V, c, c_step, a, a_step, b, k, add);
    else if (m - i == 2)
        BLOCK(2, V, c, c_step, a, a_step, b, k, add);
    else if (m - i == 1)
        BLOCK(1, V, c, c_step, a, a_step, b, k, add);
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
PRODUCT(float *c, int64_t c_step, const float *a, int64_t a_step,
        const float *b, int64_t m, int64_t n, int64_t k, int add)
{
    int64_t j = 0;

    for (; m == 1 && j + 6 * LANES < n; j += 8 * LANES)
        LINE(c + j, a, b + j * k, k, add);
    for (; j + LANES < n; j += 2 * LANES)
        PANEL(2, c + j, c_step, a, a_step, b + j * k, m, k, add);
    if (j < n)
        PANEL(1, c + j, c_step, a, a_step, b + j * k, m, k, add);
}

/*
 * e^x for x <= 0, as in func.c.  What would be no normal number is 0; NaN
 * stays NaN whatever its bits.
 */
TARGET static inline __attribute__((always_inline)) VECTOR
EXP(VECTOR x)
{
    const VECTOR low = SET1(-87), magic = SET1(12582912.0f);
    VECTOR v = MAX(low, x), t = FMA(v, SET1(1.44269504f), magic);
    VECTOR n = SUB(t, magic), r = FMA(n, SET1(-0.693359375f), v), p, y;

    r = FMA(n, SET1(2.12194440e-4f), r);
    p = FMA(SET1(1.9875691500e-4f), r, SET1(1.3981999507e-3f));
    p = FMA(p, r, SET1(8.3334519073e-3f));
    p = FMA(p, r, SET1(4.1665795894e-2f));
    p = FMA(p, r, SET1(1.6666665459e-1f));
    p = FMA(p, r, SET1(5.0000001201e-1f));
    y = ADD(FMA(p, MUL(r, r), r), SET1(1));
    return UNLESS(x, low, FMA(v, ZERO(), SHIFT(y, t)));
}

/* n is a multiple of 2 * LANES; two sums, so that they need not wait. */
TARGET static float
SOFTEN(float *x, int64_t n)
{
    VECTOR a = LOAD(x), b = LOAD(x + LANES), max;
    float lane[LANES], sum = 0, most;

    for (int64_t j = 2 * LANES; j < n; j += 2 * LANES) {
        a = MAX(LOAD(x + j), a);
        b = MAX(LOAD(x + j + LANES), b);
    }
    STORE(lane, MAX(a, b));
    most = lane[0];
    for (int i = 1; i < LANES; i++)
        most = lane[i] > most ? lane[i] : most;
    max = SET1(most);
    a = b = ZERO();
    for (int64_t j = 0; j < n; j += 2 * LANES) {
        VECTOR y = EXP(SUB(LOAD(x + j), max));
        VECTOR z = EXP(SUB(LOAD(x + j + LANES), max));

        STORE(x + j, y);
        STORE(x + j + LANES, z);
        a = ADD(a, y);
        b = ADD(b, z);
    }
    STORE(lane, ADD(a, b));
    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    return sum;
}

#undef BLOCK
#undef PANEL
#undef LINE
#undef PRODUCT
#undef EXP
#undef SOFTEN
