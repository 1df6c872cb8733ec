/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "base/mem.h"
#include "quant/histogram.h"
#include "quant/range.h"

enum { N = 20000 };

/* Values of all sizes and both signs, some zero; the same in each run. */
static float *
numbers(void)
{
    float *x = mem_new(N, sizeof *x);
    uint32_t r = 1;

    for (int i = 0; i < N; i++) {
        r = r * 1664525u + 1013904223u; /* Knuth's LCG */
        x[i] = i % 7 == 0
                   ? 0
                   : ldexpf((float)(int32_t)r, -31) * ldexpf(1, i % 40 - 30);
    }
    return x;
}

static struct histogram *
fresh(void)
{
    struct histogram *h = mem_new(1, sizeof *h);

    histogram_init(h);
    return h;
}

static void
assert_same_counts(const struct histogram *a, const struct histogram *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->zeros, b->zeros);
    assert_int_equal(a->e, b->e);
    assert_true(a->min == b->min && a->max == b->max);
    assert_memory_equal(a->neg, b->neg, sizeof a->neg);
    assert_memory_equal(a->pos, b->pos, sizeof a->pos);
}

static void
pieces_and_order_do_not_matter(void **state)
{
    static const size_t pieces[] = {1, 7, 32, 5000};
    float *x = numbers(), *back = mem_new(N, sizeof *back);
    struct histogram *whole = fresh();

    (void)state;
    histogram_add(whole, x, N);
    for (int i = 0; i < N; i++)
        back[i] = x[N - 1 - i];
    for (int p = 0; p < 4; p++) {
        struct histogram *h = fresh(), *b = fresh();

        for (size_t i = 0; i < N; i += pieces[p]) {
            size_t n = N - i < pieces[p] ? N - i : pieces[p];

            histogram_add(h, x + i, n);
            histogram_add(b, back + i, n);
        }
        assert_same_counts(whole, h);
        assert_same_counts(whole, b);
        for (enum quant_calibrator c = QUANT_MINMAX; c <= QUANT_ENTROPY; c++) {
            struct range r = range_choose(whole, c, 99.9);
            struct range s = range_choose(b, c, 99.9);

            assert_true(r.low == s.low && r.high == s.high);
        }
        mem_free(h);
        mem_free(b);
    }
    mem_free(whole);
    mem_free(back);
    mem_free(x);
}

static void
every_value_is_counted_once(void **state)
{
    float *x = numbers();
    struct histogram *h = fresh();
    uint64_t n = 0;

    (void)state;
    histogram_add(h, x, N);
    n = h->zeros;
    for (int i = 0; i < HISTOGRAM_BINS; i++)
        n += h->neg[i] + h->pos[i];
    assert_int_equal(n, N);
    assert_int_equal(h->n, N);
    mem_free(h);
    mem_free(x);
}

static void
nonfinite_values_stay_out(void **state)
{
    static const float x[] = {1, NAN, -2, INFINITY, -INFINITY, 0};
    struct histogram *h = fresh();

    (void)state;
    histogram_add(h, x, 6);
    assert_int_equal(h->n, 3);
    assert_int_equal(h->nonfinite, 3);
    assert_int_equal(h->zeros, 1);
    assert_true(h->min == -2 && h->max == 1);
    assert_true(fabs(histogram_mean(h) + 1.0 / 3) < 1e-12);
    mem_free(h);
}

static void
extreme_magnitudes_fit(void **state)
{
    static const float tiny[] = {1e-45f, -1e-38f}, huge[] = {3.4e38f, -1e30f};
    struct histogram *h = fresh();

    (void)state;
    histogram_add(h, tiny, 2);
    assert_int_equal(h->pos[0], 1);
    histogram_add(h, huge, 2);
    assert_int_equal(h->e, 128);
    assert_int_equal(h->pos[0], 1);
    assert_int_equal(h->pos[HISTOGRAM_BINS - 1] + h->pos[2046], 1);
    assert_int_equal(h->neg[0], 2);
    mem_free(h);
}

static void
constant_data_has_no_spread(void **state)
{
    float x[1000];
    struct histogram *h = fresh();

    (void)state;
    for (int i = 0; i < 1000; i++)
        x[i] = 0.1f;
    histogram_add(h, x, 1000);
    assert_true(histogram_std(h) == 0);
    assert_true(fabs(histogram_mean(h) - (double)0.1f) < 1e-12);
    mem_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_and_order_do_not_matter),
        cmocka_unit_test(every_value_is_counted_once),
        cmocka_unit_test(nonfinite_values_stay_out),
        cmocka_unit_test(extreme_magnitudes_fit),
        cmocka_unit_test(constant_data_has_no_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
