/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "quant/range.h"

enum { N = 1000000 };

static struct histogram *
fresh(void)
{
    struct histogram *h = mem_new(1, sizeof *h);

    histogram_init(h);
    return h;
}

/* Inverse of the normal distribution: bisection of erfc is exact enough. */
static double
normal_quantile(double p)
{
    double lo = -8, hi = 8;

    for (int i = 0; i < 60; i++) {
        double mid = (lo + hi) / 2;

        if (erfc(-mid / sqrt(2)) / 2 < p)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static double
laplace_quantile(double p)
{
    return p < 0.5 ? log(2 * p) : -log(2 * (1 - p));
}

/* N values evenly spaced in probability: the distribution itself. */
static struct histogram *
distribution(double (*quantile)(double))
{
    struct histogram *h = fresh();

    for (int i = 0; i < N; i++) {
        float x = (float)quantile((i + 0.5) / N);

        histogram_add(h, &x, 1);
    }
    return h;
}

/*
 * Clips that minimise the squared error at 8 bits: 3.92 sigma for a normal,
 * 9.89 b for a Laplace distribution (Banner et al. 2019, arXiv:1810.05723).
 */
static void
mse_finds_the_known_clips(void **state)
{
    struct histogram *h = distribution(normal_quantile);
    struct range r = range_choose(h, QUANT_MSE, 0);

    (void)state;
    assert_true(fabsf(r.high - 3.92f) < 0.12f);
    assert_true(fabsf(r.low + 3.92f) < 0.12f);
    mem_free(h);
    h = distribution(laplace_quantile);
    r = range_choose(h, QUANT_MSE, 0);
    assert_true(fabsf(r.high - 9.89f) < 0.3f);
    assert_true(fabsf(r.low + 9.89f) < 0.3f);
    mem_free(h);
}

static void
minmax_is_what_was_seen(void **state)
{
    struct histogram *h = distribution(normal_quantile);
    struct range r = range_choose(h, QUANT_MINMAX, 0);

    (void)state;
    assert_true(r.low == h->min && r.high == h->max);
    mem_free(h);
}

static void
percentile_cuts_a_share_at_each_end(void **state)
{
    struct histogram *h = distribution(normal_quantile);
    struct range r = range_choose(h, QUANT_PERCENTILE, 97.725);

    (void)state;
    assert_true(fabsf(r.high - 2) < 0.01f);
    assert_true(fabsf(r.low + 2) < 0.01f);
    /* Half a step further out: 2.0078 sigma at each end. */
    assert_true(fabs(range_clipped(h, range_u8(r)) - 0.0447) < 0.001);
    r = range_choose(h, QUANT_PERCENTILE, 100);
    assert_true(r.low == h->min && r.high == h->max);
    mem_free(h);
}

static void
entropy_clips_tails_but_not_the_bulk(void **state)
{
    struct histogram *h = distribution(laplace_quantile);
    struct range r = range_choose(h, QUANT_ENTROPY, 0);

    (void)state;
    assert_true(r.high > 3 && r.high < h->max);
    assert_true(r.low < -3 && r.low > h->min);
    assert_true(range_clipped(h, range_u8(r)) < 0.05);
    assert_true(range_sqnr_db(h, r) >
                range_sqnr_db(h, range_choose(h, QUANT_MSE, 0)) - 3.1);
    mem_free(h);
}

/*
 * One value of 40 among a million from a normal distribution.  With the other
 * end near -3.9, N / (12 * 255^2) * (h + 3.9)^2 + (40 - h)^2 is least at 15.4.
 */
static void
outlier_is_clipped_where_it_pays(void **state)
{
    struct histogram *h = distribution(normal_quantile);
    float outlier = 40;
    struct range r;

    (void)state;
    histogram_add(h, &outlier, 1);
    r = range_choose(h, QUANT_MSE, 0);
    assert_true(fabsf(r.high - 15.4f) < 0.3f);
    assert_true(range_sqnr_db(h, r) >
                range_sqnr_db(h, range_choose(h, QUANT_MINMAX, 0)) + 3);
    r = range_choose(h, QUANT_PERCENTILE, 99.999);
    assert_true(r.high < 5);
    mem_free(h);
}

static void
one_sided_data_use_all_codes(void **state)
{
    struct histogram *h = fresh();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        float x = fmaxf(0, (float)normal_quantile((i + 0.5) / 10000));

        histogram_add(h, &x, 1);
    }
    for (enum quant_calibrator c = QUANT_MINMAX; c <= QUANT_ENTROPY; c++) {
        struct range r = range_choose(h, c, 99.9);

        assert_true(r.low == 0 && r.high > 2.5f && r.high <= h->max);
        assert_int_equal(range_u8(r).zero, 0);
    }
    mem_free(h);
    h = fresh();
    for (int i = 0; i < 100; i++)
        histogram_add(h, &(float){-1.0f - (float)i / 100}, 1);
    for (enum quant_calibrator c = QUANT_MINMAX; c <= QUANT_ENTROPY; c++) {
        struct range r = range_choose(h, c, 99.9);

        assert_true(r.high == 0 && r.low < -1.5f && r.low >= h->min);
        assert_int_equal(range_u8(r).zero, 255);
    }
    mem_free(h);
}

static void
degenerate_ranges_are_safe(void **state)
{
    static const float constant[] = {0, 1e-45f, -1e-40f, 5, -3, 3.4e38f};
    struct histogram *h = fresh();

    (void)state;
    for (enum quant_calibrator c = QUANT_MINMAX; c <= QUANT_ENTROPY; c++) {
        struct range r = range_choose(h, c, 99.9); /* nothing seen */

        assert_true(r.low == 0 && r.high == 0);
    }
    assert_true(range_sqnr_db(h, (struct range){0, 0}) == INFINITY);
    assert_true(range_clipped(h, (struct range_u8){1, 0}) == 0);
    mem_free(h);
    for (int i = 0; i < 6; i++) {
        h = fresh();
        for (int k = 0; k < 50; k++)
            histogram_add(h, &constant[i], 1);
        for (enum quant_calibrator c = QUANT_MINMAX; c <= QUANT_ENTROPY; c++) {
            struct range_u8 q = range_u8(range_choose(h, c, 99.9));

            assert_true(q.scale >= FLT_MIN && isfinite(q.scale));
            assert_true(q.zero >= 0 && q.zero <= 255);
            /* A constant comes back as it was, to half a step. */
            if (fabsf(constant[i]) > 1 && fabsf(constant[i]) < 1e30f) {
                float code = rintf(constant[i] / q.scale) + (float)q.zero;

                assert_true(code >= 0 && code <= 255);
                assert_true(fabsf(q.scale * (code - (float)q.zero) -
                                  constant[i]) < 0.02f);
            }
        }
        mem_free(h);
    }
    assert_true(isfinite(range_u8((struct range){-FLT_MAX, FLT_MAX}).scale));
}

static void
zero_is_exact(void **state)
{
    struct range_u8 q = range_u8((struct range){-1, 2});

    (void)state;
    assert_int_equal(q.zero, 85);
    assert_true(fabsf(q.scale - 3.0f / 255) < 1e-9f);
    assert_true(range_of_u8(q).low <= -0.99f);
    assert_true(range_of_u8(q).high >= 1.99f);
}

/* The expected error is the one that quantizing really makes. */
static void
sqnr_is_what_quantizing_costs(void **state)
{
    struct histogram *h = distribution(normal_quantile);
    struct range r = {-3, 3.5f};
    struct range_u8 q = range_u8(r);
    double signal = 0, noise = 0;

    (void)state;
    for (int i = 0; i < N; i += 10) {
        double x = normal_quantile((i + 0.5) / N);
        double code = rint(x / (double)q.scale) + q.zero;
        double y;

        code = code < 0 ? 0 : code > 255 ? 255 : code;
        y = (double)q.scale * (code - q.zero);
        signal += x * x;
        noise += (x - y) * (x - y);
    }
    assert_true(fabs(range_sqnr_db(h, range_of_u8(q)) -
                     10 * log10(signal / noise)) < 0.3);
    mem_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mse_finds_the_known_clips),
        cmocka_unit_test(minmax_is_what_was_seen),
        cmocka_unit_test(percentile_cuts_a_share_at_each_end),
        cmocka_unit_test(entropy_clips_tails_but_not_the_bulk),
        cmocka_unit_test(outlier_is_clipped_where_it_pays),
        cmocka_unit_test(one_sided_data_use_all_codes),
        cmocka_unit_test(degenerate_ranges_are_safe),
        cmocka_unit_test(zero_is_exact),
        cmocka_unit_test(sqnr_is_what_quantizing_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
