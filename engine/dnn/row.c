/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/row.h"

#include <assert.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "engine/dnn/variants.h"

/* --- integers to floats and back ----------------------------------------- */

#define LOAD(name, type)                                                       \
    INLINE void name##_body(float *restrict y, const type *restrict x,         \
                            int64_t n, float scale, int32_t zero)              \
    {                                                                          \
        SIMD for (int64_t i = 0; i < n; i++) y[i] =                            \
            (float)((int32_t)x[i] - zero) * scale;                             \
    }                                                                          \
    VARIANTS(name,                                                             \
             (float *restrict y, const type *restrict x, int64_t n,            \
              float scale, int32_t zero),                                      \
             (y, x, n, scale, zero))

LOAD(load_u8, uint8_t)
LOAD(load_s8, int8_t)
LOAD(load_u16, uint16_t)
LOAD(load_s16, int16_t)
LOAD(load_s32, int32_t)

void
row_load(float *y, const void *x, enum dtype t, int64_t n, float scale,
         int32_t zero)
{
    switch (t) {
    case DTYPE_UINT8:
        load_u8(y, x, n, scale, zero);
        break;
    case DTYPE_INT8:
        load_s8(y, x, n, scale, zero);
        break;
    case DTYPE_UINT16:
        load_u16(y, x, n, scale, zero);
        break;
    case DTYPE_INT16:
        load_s16(y, x, n, scale, zero);
        break;
    case DTYPE_INT32:
        load_s32(y, x, n, scale, zero);
        break;
    default:
        assert(t == DTYPE_FLOAT);
        memcpy(y, x, (size_t)n * sizeof *y);
    }
}

/*
 * Adding and taking away 1.5 * 2^23 rounds half to even, as ONNX wants it, in
 * the default rounding mode; the clamp before it, to bounds that are integers,
 * changes no result and keeps the sum exact.
 *
 * The quotient is the correctly rounded one.  A division takes ten times as
 * long as a multiplication here, so where there is a fused multiply-add it
 * comes from the reciprocal and one correction by the remainder (Markstein,
 * IBM J. Res. Dev. 34, 1990), which is exact for scales far from the ends of
 * the exponent's range; row_store() sees to that.  A sum that is no number
 * (x was infinite) is not used.
 */
#define STORE_BODY(type, low, high, fused)                                     \
    const float magic = 12582912.0f, inverse = 1 / scale;                      \
    const float lo = (float)((low)-zero), hi = (float)((high)-zero);           \
                                                                               \
    SIMD for (int64_t i = 0; i < n; i++)                                       \
    {                                                                          \
        float v;                                                               \
                                                                               \
        if (fused) {                                                           \
            float q = x[i] * inverse;                                          \
            float c =                                                          \
                __builtin_fmaf(__builtin_fmaf(-q, scale, x[i]), inverse, q);   \
                                                                               \
            v = c == c ? c : q;                                                \
        } else {                                                               \
            v = x[i] / scale;                                                  \
        }                                                                      \
        v = v == v ? v : 0; /* NaN stands for nothing: 0 */                    \
        v = v > lo ? v : lo;                                                   \
        v = v < hi ? v : hi;                                                   \
        y[i] = (type)((int32_t)((v + magic) - magic) + zero);                  \
    }

#define STORE_ARGS(type)                                                       \
    (type *restrict y, const float *restrict x, int64_t n, float scale,        \
     int32_t zero)

#if defined(__x86_64__)
#define STORE(name, type, low, high)                                           \
    TARGET_512 static void name##_512 STORE_ARGS(type){                        \
        STORE_BODY(type, low, high, true)} TARGET_256 static void name##_256   \
    STORE_ARGS(type)                                                           \
    {                                                                          \
        STORE_BODY(type, low, high, true)                                      \
    }                                                                          \
    static void name##_any STORE_ARGS(type)                                    \
    {                                                                          \
        STORE_BODY(type, low, high, false)                                     \
    }                                                                          \
    static void name STORE_ARGS(type)                                          \
    {                                                                          \
        if (scale < 1e-30f || scale > 1e30f)                                   \
            name##_any(y, x, n, scale, zero);                                  \
        else if (HAS_512)                                                      \
            name##_512(y, x, n, scale, zero);                                  \
        else if (HAS_256)                                                      \
            name##_256(y, x, n, scale, zero);                                  \
        else                                                                   \
            name##_any(y, x, n, scale, zero);                                  \
    }
#else
#define STORE(name, type, low, high)                                           \
    static void name STORE_ARGS(type)                                          \
    {                                                                          \
        STORE_BODY(type, low, high, false)                                     \
    }
#endif

STORE(store_u8, uint8_t, 0, 255)
STORE(store_s8, int8_t, -128, 127)
STORE(store_u16, uint16_t, 0, 65535)
STORE(store_s16, int16_t, -32768, 32767)

void
row_store(void *y, enum dtype t, const float *x, int64_t n, float scale,
          int32_t zero)
{
    switch (t) {
    case DTYPE_UINT8:
        store_u8(y, x, n, scale, zero);
        break;
    case DTYPE_INT8:
        store_s8(y, x, n, scale, zero);
        break;
    case DTYPE_UINT16:
        store_u16(y, x, n, scale, zero);
        break;
    case DTYPE_INT16:
        store_s16(y, x, n, scale, zero);
        break;
    default:
        assert(t == DTYPE_FLOAT);
        memcpy(y, x, (size_t)n * sizeof(float));
    }
}

#define STORE_EACH(name, type, low, high)                                      \
    INLINE void name##_body(type *restrict y, const float *restrict x,         \
                            int64_t n, const float *restrict scale,            \
                            const int32_t *restrict zero)                      \
    {                                                                          \
        const float magic = 12582912.0f;                                       \
                                                                               \
        SIMD for (int64_t i = 0; i < n; i++)                                   \
        {                                                                      \
            float v = x[i] / scale[i];                                         \
            const float lo = (float)((low)-zero[i]);                           \
            const float hi = (float)((high)-zero[i]);                          \
                                                                               \
            v = v == v ? v : 0;                                                \
            v = v > lo ? v : lo;                                               \
            v = v < hi ? v : hi;                                               \
            y[i] = (type)((int32_t)((v + magic) - magic) + zero[i]);           \
        }                                                                      \
    }                                                                          \
    VARIANTS(name,                                                             \
             (type *restrict y, const float *restrict x, int64_t n,            \
              const float *restrict scale, const int32_t *restrict zero),      \
             (y, x, n, scale, zero))

STORE_EACH(store_each_u8, uint8_t, 0, 255)
STORE_EACH(store_each_s8, int8_t, -128, 127)

void
row_store_each(void *y, enum dtype t, const float *x, int64_t n,
               const float *scale, const int32_t *zero)
{
    if (t == DTYPE_UINT8)
        store_each_u8(y, x, n, scale, zero);
    else
        store_each_s8(y, x, n, scale, zero);
}

/* --- arithmetic ---------------------------------------------------------- */

/* y may be one of the operands, at the same index: so no restrict. */
#define BINARY_LOOP(expr)                                                      \
    if (a_step != 0 && b_step != 0) {                                          \
        SIMD for (int64_t i = 0; i < n; i++)                                   \
        {                                                                      \
            float p = a[i], q = b[i];                                          \
            y[i] = (expr);                                                     \
        }                                                                      \
    } else if (a_step != 0) {                                                  \
        const float q = b[0];                                                  \
        SIMD for (int64_t i = 0; i < n; i++)                                   \
        {                                                                      \
            float p = a[i];                                                    \
            y[i] = (expr);                                                     \
        }                                                                      \
    } else if (b_step != 0) {                                                  \
        const float p = a[0];                                                  \
        SIMD for (int64_t i = 0; i < n; i++)                                   \
        {                                                                      \
            float q = b[i];                                                    \
            y[i] = (expr);                                                     \
        }                                                                      \
    } else {                                                                   \
        const float p = a[0], q = b[0];                                        \
        const float r = (expr);                                                \
        SIMD for (int64_t i = 0; i < n; i++) y[i] = r;                         \
    }                                                                          \
    break

INLINE void
binary_body(enum op op, float *y, const float *a, int a_step, const float *b,
            int b_step, int64_t n)
{
    switch (op) {
    case OP_ADD:
        BINARY_LOOP(p + q);
    case OP_SUB:
        BINARY_LOOP(p - q);
    case OP_MUL:
        BINARY_LOOP(p * q);
    case OP_DIV:
        BINARY_LOOP(p / q);
    case OP_MIN:
        BINARY_LOOP(((q != q) | (q < p)) ? q : p);
    case OP_MAX:
        BINARY_LOOP(((q != q) | (q > p)) ? q : p);
    default:
        break;
    }
}

VARIANTS(binary,
         (enum op op, float *y, const float *a, int a_step, const float *b,
          int b_step, int64_t n),
         (op, y, a, a_step, b, b_step, n))

void
row_binary(enum op op, float *y, const float *a, int a_step, const float *b,
           int b_step, int64_t n)
{
    binary(op, y, a, a_step, b, b_step, n);
}

#define POST_LOOP(expr)                                                        \
    SIMD for (int64_t i = 0; i < n; i++)                                       \
    {                                                                          \
        float v = y[i];                                                        \
        y[i] = (expr);                                                         \
    }                                                                          \
    break

INLINE float
clamp(float v, float lo, float hi)
{
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

/*
 * The error function as a quotient of polynomials, at most 4.3e-7 off (all
 * multiples of 1e-5 up to 6 tried); beyond 4 it is as good as 1.
 * Source: the coefficients are those of Eigen, MathFunctionsImpl.h.
 */
INLINE float
erf_of(float v)
{
    const float x = clamp(v, -4, 4), s = x * x;
    float p = -2.72614225801306e-10f, q = -1.45660718464996e-05f;

    p = p * s + 2.77068142495902e-08f;
    p = p * s - 2.10102402082508e-06f;
    p = p * s - 5.69250639462346e-05f;
    p = p * s - 7.34990630326855e-04f;
    p = p * s - 2.95459980854025e-03f;
    p = p * s - 1.60960333262415e-02f;
    q = q * s - 2.13374055278905e-04f;
    q = q * s - 1.68282697438203e-03f;
    q = q * s - 7.37332916720468e-03f;
    q = q * s - 1.42647390514189e-02f;
    return x * p / q;
}

INLINE void
post_body(enum op op, float alpha, float beta, float *y, int64_t n)
{
    switch (op) {
    case OP_RELU:
        POST_LOOP(v < 0 ? 0 : v);
    case OP_LEAKY_RELU:
        POST_LOOP(v < 0 ? alpha * v : v);
    case OP_CLIP:
        POST_LOOP(clamp(v, alpha, beta));
    case OP_HARD_SIGMOID:
        POST_LOOP(clamp(alpha * v + beta, 0, 1));
    case OP_HARD_SWISH:
        POST_LOOP(v * clamp(v / 6 + 0.5f, 0, 1));
    case OP_ABS:
        POST_LOOP(v < 0 ? -v : v);
    case OP_NEG:
        POST_LOOP(-v);
    case OP_RECIPROCAL:
        POST_LOOP(1 / v);
    case OP_ERF:
        POST_LOOP(erf_of(v));
    default:
        break;
    }
}

VARIANTS(post, (enum op op, float alpha, float beta, float *y, int64_t n),
         (op, alpha, beta, y, n))

bool
row_has_post(enum op op)
{
    switch (op) {
    case OP_RELU:
    case OP_LEAKY_RELU:
    case OP_CLIP:
    case OP_HARD_SIGMOID:
    case OP_HARD_SWISH:
    case OP_ABS:
    case OP_NEG:
    case OP_RECIPROCAL:
    case OP_ERF:
        return true;
    default:
        return false;
    }
}

void
row_post(enum op op, float alpha, float beta, float *y, int64_t n)
{
    assert(row_has_post(op));
    post(op, alpha, beta, y, n);
}

INLINE void
real_body(float *restrict y, const int32_t *restrict sum,
          const float *restrict scale, int scale_step,
          const float *restrict bias, int bias_step, int64_t n)
{
    if (scale_step == 0) {
        const float s = *scale;

        SIMD for (int64_t i = 0; i < n; i++) y[i] = s * (float)sum[i];
    } else {
        SIMD for (int64_t i = 0; i < n; i++) y[i] = scale[i] * (float)sum[i];
    }
    if (bias == NULL)
        return;
    if (bias_step == 0) {
        const float b = *bias;

        SIMD for (int64_t i = 0; i < n; i++) y[i] += b;
    } else {
        SIMD for (int64_t i = 0; i < n; i++) y[i] += bias[i];
    }
}

VARIANTS(real,
         (float *restrict y, const int32_t *restrict sum,
          const float *restrict scale, int scale_step,
          const float *restrict bias, int bias_step, int64_t n),
         (y, sum, scale, scale_step, bias, bias_step, n))

void
row_real(float *y, const int32_t *sum, const float *scale, int scale_step,
         const float *bias, int bias_step, int64_t n)
{
    real(y, sum, scale, scale_step, bias, bias_step, n);
}

INLINE void
scale_add_body(float *restrict y, float scale, const float *restrict bias,
               int64_t n)
{
    if (bias == NULL) {
        SIMD for (int64_t i = 0; i < n; i++) y[i] = scale * y[i];
        return;
    }
    SIMD for (int64_t i = 0; i < n; i++) y[i] = scale * y[i] + bias[i];
}

VARIANTS(scale_add,
         (float *restrict y, float scale, const float *restrict bias,
          int64_t n),
         (y, scale, bias, n))

INLINE void
affine_body(float *y, const float *x, const float *restrict s,
            const float *restrict t, int step, int64_t rows, int64_t n)
{
    if (step == 0) {
        float by = s[0], plus = t[0];

        SIMD for (int64_t i = 0; i < rows * n; i++) y[i] = x[i] * by + plus;
        return;
    }
    for (int64_t r = 0; r < rows; r++, y += n, x += n)
        SIMD for (int64_t i = 0; i < n; i++) y[i] = x[i] * s[i] + t[i];
}

VARIANTS(affine,
         (float *y, const float *x, const float *restrict s,
          const float *restrict t, int step, int64_t rows, int64_t n),
         (y, x, s, t, step, rows, n))

void
row_affine(float *y, const float *x, const float *s, const float *t, int step,
           int64_t rows, int64_t n)
{
    affine(y, x, s, t, step, rows, n);
}

void
row_scale_add(float *y, float scale, const float *bias, int64_t n)
{
    scale_add(y, scale, bias, n);
}

#define ACCUMULATE(name, type)                                                 \
    INLINE void name##_body(int32_t *restrict sum, const type *restrict x,     \
                            int64_t n)                                         \
    {                                                                          \
        SIMD for (int64_t i = 0; i < n; i++) sum[i] += x[i];                   \
    }                                                                          \
    VARIANTS(name, (int32_t *restrict sum, const type *restrict x, int64_t n), \
             (sum, x, n))

ACCUMULATE(accumulate_u8, uint8_t)
ACCUMULATE(accumulate_s8, int8_t)

void
row_accumulate(int32_t *sum, const void *x, enum dtype t, int64_t n)
{
    if (t == DTYPE_UINT8)
        accumulate_u8(sum, x, n);
    else
        accumulate_s8(sum, x, n);
}

#define SUM(name, type)                                                        \
    INLINE void name##_body(const type *restrict x, int64_t n, int32_t *out)   \
    {                                                                          \
        int32_t sum = 0;                                                       \
                                                                               \
        _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < n; i++) \
            sum += x[i];                                                       \
        *out = sum;                                                            \
    }                                                                          \
    VARIANTS(name, (const type *restrict x, int64_t n, int32_t *out),          \
             (x, n, out))

SUM(sum_u8, uint8_t)
SUM(sum_s8, int8_t)

int32_t
row_sum(const void *x, enum dtype t, int64_t n)
{
    int32_t sum;

    if (t == DTYPE_UINT8)
        sum_u8(x, n, &sum);
    else
        sum_s8(x, n, &sum);
    return sum;
}

/* Unsigned, so that a sum that does not fit wraps as ONNX lets it. */
INLINE void
subtract_body(uint32_t *restrict y, uint32_t factor, const uint32_t *restrict x,
              int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++) y[i] -= factor * x[i];
}

VARIANTS(subtract,
         (uint32_t *restrict y, uint32_t factor, const uint32_t *restrict x,
          int64_t n),
         (y, factor, x, n))

INLINE void
subtract_each_body(uint32_t *restrict y, const uint32_t *restrict a,
                   const uint32_t *restrict b, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++) y[i] -= a[i] * b[i];
}

VARIANTS(subtract_each,
         (uint32_t *restrict y, const uint32_t *restrict a,
          const uint32_t *restrict b, int64_t n),
         (y, a, b, n))

void
row_subtract_each(int32_t *y, const int32_t *a, const int32_t *b, int64_t n)
{
    subtract_each((uint32_t *)y, (const uint32_t *)a, (const uint32_t *)b, n);
}

void
row_subtract(int32_t *y, int32_t factor, const int32_t *x, int64_t n)
{
    subtract((uint32_t *)y, (uint32_t)factor, (const uint32_t *)x, n);
}

#define MAXIMUM(name, type)                                                    \
    INLINE void name##_body(type *restrict max, const type *restrict x,        \
                            int64_t n)                                         \
    {                                                                          \
        SIMD for (int64_t i = 0; i < n; i++) max[i] =                          \
            x[i] > max[i] ? x[i] : max[i];                                     \
    }                                                                          \
    VARIANTS(name, (type *restrict max, const type *restrict x, int64_t n),    \
             (max, x, n))

MAXIMUM(max_u8, uint8_t)
MAXIMUM(max_s8, int8_t)

void
row_max(void *max, const void *x, enum dtype t, int64_t n)
{
    if (t == DTYPE_UINT8)
        max_u8(max, x, n);
    else
        max_s8(max, x, n);
}

INLINE void
blend_body(float *restrict y, const float *a, const float *b, const float *c,
           const float *d, float v, float u, int64_t n)
{
    const float wa = (1 - v) * (1 - u), wb = (1 - v) * u, wc = v * (1 - u),
                wd = v * u;

    SIMD for (int64_t i = 0; i < n; i++) y[i] =
        wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
}

VARIANTS(blend,
         (float *restrict y, const float *a, const float *b, const float *c,
          const float *d, float v, float u, int64_t n),
         (y, a, b, c, d, v, u, n))

void
row_blend(float *y, const float *a, const float *b, const float *c,
          const float *d, float v, float u, int64_t n)
{
    blend(y, a, b, c, d, v, u, n);
}

typedef int32_t __attribute__((may_alias)) float_bits;

/* Magnitudes of floats are ordered as their bits are; above infinity is NaN.*/
INLINE void
max_abs_body(const float *restrict x, int64_t n, float *out)
{
    const float_bits *restrict bits = (const float_bits *)x;
    const int32_t infinity = 0x7f800000;
    int32_t max = 0;

#pragma omp simd reduction(max : max)
    for (int64_t i = 0; i < n; i++) {
        int32_t b = bits[i] & INT32_MAX;

        b = b > infinity ? 0 : b;
        max = b > max ? b : max;
    }
    memcpy(out, &max, sizeof *out);
}

VARIANTS(max_abs, (const float *restrict x, int64_t n, float *out), (x, n, out))

float
row_max_abs(const float *x, int64_t n)
{
    float max;

    max_abs(x, n, &max);
    return max;
}

/*
 * Floats as integers of the same order: those of negative ones are turned
 * round.  Beyond the infinities on both sides is NaN.
 */
INLINE void
range_body(const float *restrict x, int64_t n, int32_t *min, int32_t *max)
{
    const float_bits *restrict bits = (const float_bits *)x;
    const int32_t infinity = 0x7f800000;
    int32_t low = infinity, high = -infinity;

#pragma omp simd reduction(min : low) reduction(max : high)
    for (int64_t i = 0; i < n; i++) {
        int32_t magnitude = bits[i] & INT32_MAX;
        int32_t b = bits[i] < 0 ? -magnitude : magnitude;

        int32_t l = magnitude > infinity ? infinity : b;
        int32_t h = magnitude > infinity ? -infinity : b;

        low = l < low ? l : low;
        high = h > high ? h : high;
    }
    *min = low;
    *max = high;
}

VARIANTS(range,
         (const float *restrict x, int64_t n, int32_t *min, int32_t *max),
         (x, n, min, max))

static float
float_of(int32_t ordered)
{
    uint32_t bits =
        ordered < 0 ? (uint32_t)-ordered | 0x80000000u : (uint32_t)ordered;
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

void
row_range(const float *x, int64_t n, float *min, float *max)
{
    int32_t low, high;

    range(x, n, &low, &high);
    *min = low > high ? 0 : float_of(low);
    *max = low > high ? 0 : float_of(high);
}

/* --- bytes --------------------------------------------------------------- */

#if defined(__x86_64__)
/* 64 bytes at once: the table is four registers, the two halves are looked up
 * by the low seven bits and the eighth chooses. */
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))) static int64_t
lookup_vbmi(uint8_t *y, const uint8_t *x, const uint8_t *table, int64_t n)
{
    const __m512i a = _mm512_loadu_si512(table);
    const __m512i b = _mm512_loadu_si512(table + 64);
    const __m512i c = _mm512_loadu_si512(table + 128);
    const __m512i d = _mm512_loadu_si512(table + 192);
    int64_t i = 0;

    for (; i + 64 <= n; i += 64) {
        const __m512i v = _mm512_loadu_si512(x + i);
        const __m512i lo = _mm512_permutex2var_epi8(a, v, b);
        const __m512i hi = _mm512_permutex2var_epi8(c, v, d);

        _mm512_storeu_si512(
            y + i, _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), lo, hi));
    }
    return i;
}
#endif

void
row_lookup(uint8_t *y, const uint8_t *x, const uint8_t table[256], int64_t n)
{
    int64_t i = 0;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        i = lookup_vbmi(y, x, table, n);
#endif
    for (; i < n; i++)
        y[i] = table[x[i]];
}

/* Tiles of 16 lines: both sides stay within the first cache. */
#define TURN(name, type)                                                       \
    INLINE void name##_body(type *restrict y, int64_t y_step,                  \
                            const type *restrict x, int64_t x_step,            \
                            int64_t rows, int64_t cols)                        \
    {                                                                          \
        enum { TILE = 16 };                                                    \
                                                                               \
        for (int64_t r = 0; r < rows; r += TILE) {                             \
            int64_t deep = rows - r < TILE ? rows - r : TILE;                  \
                                                                               \
            for (int64_t c = 0; c < cols; c++)                                 \
                for (int64_t i = 0; i < deep; i++)                             \
                    y[c * y_step + r + i] = x[(r + i) * x_step + c];           \
        }                                                                      \
    }                                                                          \
    VARIANTS(name,                                                             \
             (type *restrict y, int64_t y_step, const type *restrict x,        \
              int64_t x_step, int64_t rows, int64_t cols),                     \
             (y, y_step, x, x_step, rows, cols))

TURN(turn_1, uint8_t)
TURN(turn_2, uint16_t)
TURN(turn_4, uint32_t)

/* The three planes of a picture, as bytes, into its points. */
INLINE void
turn_3_body(uint8_t *restrict y, const uint8_t *restrict a,
            const uint8_t *restrict b, const uint8_t *restrict c, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++)
    {
        y[3 * i] = a[i];
        y[3 * i + 1] = b[i];
        y[3 * i + 2] = c[i];
    }
}

VARIANTS(turn_3,
         (uint8_t *restrict y, const uint8_t *restrict a,
          const uint8_t *restrict b, const uint8_t *restrict c, int64_t n),
         (y, a, b, c, n))

void
row_turn(void *y, int64_t y_step, const void *x, int64_t x_step, int64_t rows,
         int64_t cols, size_t element)
{
    const uint8_t *b = x;

    assert(element == 1 || element == 2 || element == 4);
    if (element == 4)
        turn_4(y, y_step, x, x_step, rows, cols);
    else if (element == 2)
        turn_2(y, y_step, x, x_step, rows, cols);
    else if (rows == 3 && y_step == 3)
        turn_3(y, b, b + x_step, b + 2 * x_step, cols);
    else
        turn_1(y, y_step, x, x_step, rows, cols);
}
