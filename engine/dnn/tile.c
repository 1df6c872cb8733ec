/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block of rows by one panel of columns at a time: the sums stay in
 * registers while the panel, which the nearest cache holds, goes by once for
 * each block.  Every sum is added up in the order of k, one product after the
 * other, whatever the block.
 */
#include "engine/dnn/tile.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "engine/dnn/row.h"
#include "engine/dnn/variants.h"

#if defined(__x86_64__)
#define TARGET TARGET_512 UNALIGNED_STACK
#define NAME(x) x##_512
#define VECTOR __m512
#define LANES 16
#define ROWS 12
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define SET1 _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define ZERO _mm512_setzero_ps
#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps
#define MUL _mm512_mul_ps
#define MAX _mm512_max_ps /* the second when one is NaN */
#define SHIFT(y, t)                                                            \
    _mm512_castsi512_ps(                                                       \
        _mm512_add_epi32(_mm512_castps_si512(y),                               \
                         _mm512_slli_epi32(_mm512_castps_si512(t), 23)))
#define UNLESS(x, low, y)                                                      \
    _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, low, _CMP_NLT_UQ), y)
#include "engine/dnn/tile_body.h"
#undef TARGET
#undef NAME
#undef VECTOR
#undef LANES
#undef ROWS
#undef LOAD
#undef STORE
#undef SET1
#undef FMA
#undef ZERO
#undef ADD
#undef SUB
#undef MUL
#undef MAX
#undef SHIFT
#undef UNLESS

#define TARGET TARGET_256
#define NAME(x) x##_256
#define VECTOR __m256
#define LANES 8
#define ROWS 6
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define SET1 _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#define ZERO _mm256_setzero_ps
#define ADD _mm256_add_ps
#define SUB _mm256_sub_ps
#define MUL _mm256_mul_ps
#define MAX _mm256_max_ps
#define SHIFT(y, t)                                                            \
    _mm256_castsi256_ps(                                                       \
        _mm256_add_epi32(_mm256_castps_si256(y),                               \
                         _mm256_slli_epi32(_mm256_castps_si256(t), 23)))
#define UNLESS(x, low, y) _mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_NLT_UQ), y)
#include "engine/dnn/tile_body.h"
#undef TARGET
#undef NAME
#undef VECTOR
#undef LANES
#undef ROWS
#undef LOAD
#undef STORE
#undef SET1
#undef FMA
#undef ZERO
#undef ADD
#undef SUB
#undef MUL
#undef MAX
#undef SHIFT
#undef UNLESS
#endif

/* The baseline: four floats, which all 64-bit machines have. */
typedef float four __attribute__((vector_size(16)));
typedef uint32_t bits __attribute__((vector_size(16)));

static inline four
four_load(const float *p)
{
    four v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline void
four_store(float *p, four v)
{
    memcpy(p, &v, sizeof v);
}

static inline four
four_max(four x, four y)
{
    bits m = (bits)(x > y);

    return (four)(((bits)x & m) | ((bits)y & ~m));
}

#define TARGET
#define NAME(x) x##_any
#define VECTOR four
#define LANES 4
#define ROWS 4
#define LOAD four_load
#define STORE four_store
#define SET1(x) ((four){(x), (x), (x), (x)})
#define FMA(x, y, z) ((x) * (y) + (z))
#define ZERO() ((four){0})
#define ADD(x, y) ((x) + (y))
#define SUB(x, y) ((x) - (y))
#define MUL(x, y) ((x) * (y))
#define MAX four_max
#define SHIFT(y, t) ((four)((bits)(y) + ((bits)(t) << 23)))
#define UNLESS(x, low, y) ((four)((bits)(y) & ~(bits)((x) < (low))))
#include "engine/dnn/tile_body.h"

struct variant {
    const char *name;
    int64_t width;
    void (*mul)(float *c, int64_t c_step, const float *a, int64_t a_step,
                const float *b, int64_t m, int64_t n, int64_t k, int add);
    float (*soften)(float *x, int64_t n);
};

static const struct variant *
variant(void)
{
#if defined(__x86_64__)
    static const struct variant wide = {"avx512", 32, product_512, soften_512};
    static const struct variant middle = {"avx2", 16, product_256, soften_256};
#endif
    static const struct variant any = {"plain", 8, product_any, soften_any};

#if defined(__x86_64__)
    if (HAS_512)
        return &wide;
    if (HAS_256)
        return &middle;
#endif
    return &any;
}

const char *
tile_isa(void)
{
    return variant()->name;
}

int64_t
tile_columns(int64_t n)
{
    int64_t w = variant()->width;

    return (n + w - 1) / w * w;
}

void
tile_pack(float *packed, const float *b, int64_t k_step, int64_t n_step,
          int64_t k, int64_t n)
{
    const int64_t w = variant()->width;

    for (int64_t j = 0; j < n; j += w, packed += k * w) {
        const int64_t part = n - j < w ? n - j : w;
        const float *from = b + j * n_step;

        if (part < w)
            memset(packed, 0, (size_t)(k * w) * sizeof *packed);
        if (k_step == 1) {
            row_turn(packed, w, from, n_step, part, k, sizeof *packed);
            continue;
        }
        for (int64_t i = 0; i < k; i++)
            for (int64_t c = 0; n_step != 1 && c < part; c++)
                packed[i * w + c] = from[i * k_step + c * n_step];
        for (int64_t i = 0; n_step == 1 && i < k; i++)
            memcpy(packed + i * w, from + i * k_step,
                   (size_t)part * sizeof *packed);
    }
}

void
tile_mul(float *c, int64_t c_step, const float *a, int64_t a_step,
         const float *packed, int64_t m, int64_t n, int64_t k, int add)
{
    variant()->mul(c, c_step, a, a_step, packed, m, n, k, add);
}

float
tile_soften(float *x, int64_t n)
{
    const int64_t end = tile_columns(n);

    for (int64_t j = n; j < end; j++)
        x[j] = -INFINITY;
    return variant()->soften(x, end);
}
