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

INLINE float
sigmoid_of(float x)
{
    return 1 / (1 + exp_of(-x));
}

/*
 * erf is a quotient of polynomials on [-4, 4], behind which it is +-1 (Eigen,
 * generic_fast_erf_float).
 */
INLINE float
erf_of(float x)
{
    float v = x < -4 ? -4 : x > 4 ? 4 : x, z = v * v, p, q;

    p = -2.72614225801306e-10f;
    p = p * z + 2.77068142495902e-8f;
    p = p * z - 2.10102402082508e-6f;
    p = p * z - 5.69250639462346e-5f;
    p = p * z - 7.34990630326855e-4f;
    p = p * z - 2.95459980854025e-3f;
    p = p * z - 1.60960333262415e-2f;
    q = -1.45660718464996e-5f;
    q = q * z - 2.13374055278905e-4f;
    q = q * z - 1.68282697438203e-3f;
    q = q * z - 7.37332916720468e-3f;
    q = q * z - 1.42647390514189e-2f;
    v = v * p / q;
    return x < -4 ? -1 : x > 4 ? 1 : v;
}

INLINE void
gelus_body(float *y, bool tanh, int64_t n)
{
    if (tanh) {
        SIMD for (int64_t i = 0; i < n; i++)
        {
            float x = y[i];

            y[i] = 0.5f * x *
                   (1 + tanh_of(0.7978845608f * x * (1 + 0.044715f * (x * x))));
        }
        return;
    }
    SIMD for (int64_t i = 0; i < n; i++) y[i] =
        0.5f * y[i] * (1 + erf_of(y[i] * 0.7071067812f));
}
VARIANTS(gelus, (float *y, bool tanh, int64_t n), (y, tanh, n))

void
func_gelu(float *y, bool tanh, int64_t n)
{
    gelus(y, tanh, n);
}

INLINE float
clipped(float x, float clip)
{
    x = x > clip ? clip : x;
    return x < -clip ? -clip : x;
}

INLINE void
lstm_body(const float *gate, float *restrict c, float *restrict h, float clip,
          int64_t n)
{
    SIMD for (int64_t k = 0; k < n; k++)
    {
        float i = sigmoid_of(clipped(gate[k], clip));
        float o = sigmoid_of(clipped(gate[n + k], clip));
        float f = sigmoid_of(clipped(gate[2 * n + k], clip));
        float g = tanh_of(clipped(gate[3 * n + k], clip));

        c[k] = f * c[k] + i * g;
        h[k] = o * tanh_of(c[k]);
    }
}
VARIANTS(lstm,
         (const float *gate, float *restrict c, float *restrict h, float clip,
          int64_t n),
         (gate, c, h, clip, n))

INLINE void
gru_gates_body(float *restrict z, float *restrict r, float clip, int64_t n)
{
    SIMD for (int64_t k = 0; k < n; k++)
    {
        z[k] = sigmoid_of(clipped(z[k], clip));
        r[k] = sigmoid_of(clipped(r[k], clip));
    }
}
VARIANTS(gru_gates,
         (float *restrict z, float *restrict r, float clip, int64_t n),
         (z, r, clip, n))

INLINE void
gru_body(const float *z, const float *new, float *restrict h, float clip,
         int64_t n)
{
    SIMD for (int64_t k = 0; k < n; k++) h[k] =
        (1 - z[k]) * tanh_of(clipped(new[k], clip)) + z[k] * h[k];
}
VARIANTS(gru,
         (const float *z, const float *new, float *restrict h, float clip,
          int64_t n),
         (z, new, h, clip, n))

void
func_lstm(const float *gate, float *c, float *h, float clip, int64_t n)
{
    lstm(gate, c, h, clip, n);
}

void
func_gru_gates(float *z, float *r, float clip, int64_t n)
{
    gru_gates(z, r, clip, n);
}

void
func_gru(const float *z, const float *new, float *h, float clip, int64_t n)
{
    gru(z, new, h, clip, n);
}
