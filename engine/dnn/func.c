/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The polynomials are those of Cephes (Moshier, expf.c and tanhf.c, 1992):
 * e^x is 2^n e^r with r within half of ln 2; tanh is a polynomial near 0,
 * where e^2x would cancel, and 1 - 2 / (e^2x + 1) elsewhere.
 */
#include "engine/dnn/func.h"

#include <math.h>
#include <string.h>

#include "engine/dnn/variants.h"

INLINE float
exp_of(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds */
    float v = x < -87 ? -87 : x > 88 ? 88 : x, t, n, r, p, y;
    uint32_t shift, bits;

    t = v * 1.44269504f + magic;
    n = t - magic;
    r = v - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    y = p * (r * r) + r + 1;
    /* n stands in the low bits of t: it is added to the exponent of y. */
    memcpy(&shift, &t, sizeof shift);
    memcpy(&bits, &y, sizeof bits);
    bits += shift << 23;
    memcpy(&y, &bits, sizeof y);
    y = x < -87 ? 0 : y;
    return x == x ? y : x;
}

INLINE float
tanh_of(float x)
{
    float a = fabsf(x), z = x * x, p, e;

    p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    p = p * z * x + x;
    e = 1 - 2 / (exp_of(2 * a) + 1);
    e = x < 0 ? -e : e;
    return a < 0.625f ? p : e;
}

INLINE void
sigmoids_body(float *y, const float *x, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++) y[i] = 1 / (1 + exp_of(-x[i]));
}
VARIANTS(sigmoids, (float *y, const float *x, int64_t n), (y, x, n))

INLINE void
tanhs_body(float *y, const float *x, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++) y[i] = tanh_of(x[i]);
}
VARIANTS(tanhs, (float *y, const float *x, int64_t n), (y, x, n))

void
func_sigmoid(float *y, const float *x, int64_t n)
{
    sigmoids(y, x, n);
}

void
func_tanh(float *y, const float *x, int64_t n)
{
    tanhs(y, x, n);
}
