/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every variant of the tiles that this machine can run, against plain sums:
 * tile.c is included, for its names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/dnn/tile.c"

static unsigned seed = 1;

static float
random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / (float)(1 << 23) - 1;
}

static const struct variant variants[] = {
    {"plain", 8, product_any, soften_any},
#if defined(__x86_64__)
    {"avx2", 16, product_256, soften_256},
    {"avx512", 32, product_512, soften_512},
#endif
};

static bool
runs(const struct variant *v)
{
#if defined(__x86_64__)
    if (v->width == 32)
        return HAS_512;
    if (v->width == 16)
        return HAS_256;
#endif
    return true;
}

enum { MOST = 80 };

/* m rows of a, k by n of b in panels of v's width. */
static void
check_product(const struct variant *v, int m, int n, int k, int add)
{
    const int w = (int)v->width, cols = (n + w - 1) / w * w;
    static float a[MOST * MOST], b[MOST * MOST], packed[MOST * 2 * MOST];
    static float c[MOST * 2 * MOST], want[MOST * MOST];

    memset(packed, 0, sizeof packed);
    for (int i = 0; i < m * k; i++)
        a[i] = random_float();
    for (int p = 0; p < k; p++)
        for (int j = 0; j < n; j++) {
            b[p * n + j] = random_float();
            packed[j / w * w * k + p * w + j % w] = b[p * n + j];
        }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < cols; j++)
            c[i * cols + j] = random_float();
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = add ? (double)c[i * cols + j] : 0;

            for (int p = 0; p < k; p++)
                sum += (double)a[i * k + p] * (double)b[p * n + j];
            want[i * n + j] = (float)sum;
        }
    v->mul(c, cols, a, k, packed, m, n, k, add);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            if (!(fabsf(c[i * cols + j] - want[i * n + j]) <= 1e-5f))
                fail_msg("%s %dx%dx%d: [%d,%d] is %g, want %g", v->name, m, n,
                         k, i, j, (double)c[i * cols + j],
                         (double)want[i * n + j]);
}

static void
test_products(void **state)
{
    static const int rows[] = {1, 2, 3, 4, 5, 7, 12, 13, 18, 31};
    static const int cols[] = {1, 4, 8, 9, 16, 17, 33, 64, 72};

    (void)state;
    for (size_t t = 0; t < sizeof variants / sizeof variants[0]; t++)
        for (size_t i = 0; runs(&variants[t]) && i < 10; i++)
            for (size_t j = 0; j < 9; j++)
                check_product(&variants[t], rows[i], cols[j],
                              1 + (int)(i * 7 + j) % 50, (int)(i + j) % 2);
}

/* x has `columns` places, of which n are something. */
static void
check_soften(const struct variant *v, float *x, int n, int columns)
{
    float was[MOST * 2], max = -INFINITY;
    double sum = 0, got;

    for (int j = 0; j < columns; j++) {
        was[j] = x[j];
        max = x[j] > max ? x[j] : max;
    }
    for (int j = 0; j < n; j++)
        sum += exp((double)was[j] - (double)max);
    got = (double)v->soften(x, columns);
    assert_true(isnan(sum) ? isnan(got) : fabs(got - sum) <= 1e-6 * sum);
    for (int j = 0; !isnan(sum) && j < columns; j++)
        assert_true(fabs((double)x[j] - exp((double)was[j] - (double)max)) <=
                    3e-7);
}

static void
test_soften(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof variants / sizeof variants[0]; t++) {
        const struct variant *v = &variants[t];
        const int w = (int)v->width;
        float x[MOST * 2];

        for (int n = 1; runs(v) && n <= 2 * w; n++)
            for (int kind = 0; kind < 5; kind++) {
                int columns = (n + w - 1) / w * w;

                for (int j = 0; j < columns; j++)
                    x[j] = j < n ? 30 * random_float() : -INFINITY;
                if (kind == 1)
                    x[n / 2] = -INFINITY;
                if (kind == 2)
                    x[n / 2] = NAN;
                if (kind == 3)
                    x[n / 2] = INFINITY;
                for (int j = 0; kind == 4 && j < n; j++)
                    x[j] = -INFINITY;
                check_soften(v, x, n, columns);
            }
    }
}

/* The three ways in which packing reads. */
static void
test_pack(void **state)
{
    enum { K = 21, N = 37 };
    static float b[K * N * 3], packed[K * 64];
    const int64_t w = variant()->width;

    (void)state;
    for (int i = 0; i < K * N * 3; i++)
        b[i] = random_float();
    for (int way = 0; way < 3; way++) {
        const int64_t k_step = way == 0 ? 1 : way == 1 ? N : 3 * N;
        const int64_t n_step = way == 0 ? K : way == 1 ? 1 : 3;

        tile_pack(packed, b, k_step, n_step, K, N);
        for (int64_t j = 0; j < tile_columns(N); j++)
            for (int64_t i = 0; i < K; i++)
                assert_true(packed[j / w * w * K + i * w + j % w] ==
                            (j < N ? b[i * k_step + j * n_step] : 0));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_soften),
        cmocka_unit_test(test_pack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
