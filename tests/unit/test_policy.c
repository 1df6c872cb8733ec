/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quant/policy.h"

static const double z95 = 1.6448536;

static struct policy_verdict
judge(int64_t n, int64_t b, int64_t c)
{
    struct policy p;
    struct policy_facts f = {.n = n, .has_labels = true, .b = b, .c = c};
    struct policy_verdict v;

    policy_init(&p);
    policy_judge(&p, &f, &v);
    return v;
}

/* Samples needed for a margin of 2 points: alpha 5 %, power 90 %. */
static void
needed_samples_are_those_of_the_formula(void **state)
{
    static const struct {
        double flips, loss;
        int64_t n;
    } known[] = {
        {0.02, 0, 429},      {0.02, 0.005, 761},  {0.02, 0.01, 1705},
        {0.05, 0, 1071},     {0.05, 0.005, 1903}, {0.05, 0.01, 4276},
        {0.12, 0.005, 4569}, {0.12, 0.01, 10270},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double n = (double)policy_needed(known[i].flips, known[i].loss, 0.02);

        assert_true(fabs(n - (double)known[i].n) <= 4);
    }
    /* Nothing flips: as many must be seen as bound the share at the limit. */
    assert_int_equal(policy_needed(0, 0, 0.02), 133);
    assert_int_equal(policy_needed(0.05, 0.02, 0.02), INT64_MAX);
}

/* The upper limit with no net loss and 5 % flips, in points. */
static void
intervals_shrink_as_they_should(void **state)
{
    static const struct {
        int64_t n;
        double high;
    } known[] = {{500, 1.65}, {1000, 1.16}, {5000, 0.52}};
    double low, high;

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int64_t flips = known[i].n / 20;

        policy_loss_interval(known[i].n, flips - flips / 2, flips / 2, z95,
                             &low, &high);
        high -= (double)(flips % 2) / (double)known[i].n;
        assert_true(fabs(100 * high - known[i].high) < 0.006);
    }
}

/* Few flips: the score interval.  The limits of 1 and 0 flips of 44 at 95 %
 * two-sided were found by maximising the likelihood on a grid. */
static void
few_flips_use_the_score_interval(void **state)
{
    double low, high;

    (void)state;
    policy_loss_interval(44, 0, 1, 1.959964, &low, &high);
    assert_true(fabs(low - -0.11808) < 1e-5);
    assert_true(fabs(high - 0.05939) < 1e-5);
    policy_loss_interval(100, 0, 0, z95, &low, &high);
    assert_true(fabs(high - z95 * z95 / (100 + z95 * z95)) < 1e-6);
    assert_true(fabs(low + high) < 1e-9);
    policy_loss_interval(1, 1, 0, z95, &low, &high);
    assert_true(low < 1 && high > 0.99 && high <= 1);
}

static void
three_outcomes(void **state)
{
    struct policy_verdict v;

    (void)state;
    /* 5 % flips, no net loss: 100 samples cannot say, 500 can. */
    v = judge(100, 3, 2);
    assert_int_equal(v.state, POLICY_UNDECIDED);
    assert_true(v.needed > 500 && v.needed < 10000);
    assert_non_null(strstr(v.reason, "samples in all would decide"));
    v = judge(500, 13, 12);
    assert_int_equal(v.state, POLICY_ACCEPTED);
    assert_int_equal(v.grade, GRADE_EXCELLENT);
    assert_int_equal(v.needed, 0);
    v = judge(5000, 250, 100);
    assert_int_equal(v.state, POLICY_REJECTED);
    assert_int_equal(v.grade, GRADE_CONSIDER_QAT);
    v = judge(500, 15, 5); /* 2 points lost, exactly */
    assert_int_equal(v.state, POLICY_UNDECIDED);
    assert_int_equal(v.needed, 0);
    v = judge(132, 0, 0);
    assert_int_equal(v.state, POLICY_UNDECIDED);
    v = judge(133, 0, 0);
    assert_int_equal(v.state, POLICY_ACCEPTED);
    v = judge(0, 0, 0);
    assert_int_equal(v.state, POLICY_UNDECIDED);
    assert_string_equal(v.reason, "no validation data");
    assert_null(policy_grade_name(v.grade));
}

static void
grades_follow_the_loss(void **state)
{
    (void)state;
    assert_int_equal(judge(10000, 99, 0).grade, GRADE_EXCELLENT);
    assert_int_equal(judge(10000, 100, 0).grade, GRADE_ACCEPTABLE);
    assert_int_equal(judge(10000, 200, 0).grade, GRADE_CONSIDER_QAT);
    assert_int_equal(judge(10000, 300, 0).grade, GRADE_CONSIDER_QAT);
    assert_int_equal(judge(10000, 301, 0).grade, GRADE_UNSUITABLE);
    assert_int_equal(judge(10000, 0, 500).grade, GRADE_EXCELLENT);
}

static void
more_tries_ask_for_more(void **state)
{
    struct policy p;
    struct policy_facts f = {.n = 500, .has_labels = true, .b = 16, .c = 15};
    struct policy_verdict v;

    (void)state;
    policy_init(&p);
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_UNDECIDED);
    f.b = f.c = 14;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_ACCEPTED);
    p.tries = 4;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_UNDECIDED);
}

static void
agreement_stands_in_for_labels(void **state)
{
    struct policy p;
    struct policy_facts f = {.n = 1000, .has_agreement = true, .agree = 990};
    struct policy_verdict v;

    (void)state;
    policy_init(&p);
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_ACCEPTED);
    assert_int_equal(v.grade, GRADE_ACCEPTABLE);
    assert_true(isnan(v.loss));
    f.agree = 900; /* many answers differ: that need not be a loss */
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_UNDECIDED);
    assert_int_equal(v.grade, GRADE_UNKNOWN);
    assert_non_null(strstr(v.reason, "labels or min_agreement"));
    p.min_agreement = 0.95;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_REJECTED);
    f.n = 20;
    f.agree = 20;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_UNDECIDED);
    assert_int_equal(v.needed, 52);
    f.has_agreement = false;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_UNDECIDED);
}

static void
numbers_that_are_none_reject(void **state)
{
    struct policy p;
    struct policy_facts f = {.n = 5000,
                             .has_labels = true,
                             .baseline_nonfinite = 3,
                             .variant_nonfinite = 4};
    struct policy_verdict v;

    (void)state;
    policy_init(&p);
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_REJECTED);
    f.variant_nonfinite = 3;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_ACCEPTED);
}

static void
slower_is_rejected_only_beyond_noise(void **state)
{
    struct policy p;
    struct policy_facts f = {.n = 5000,
                             .has_labels = true,
                             .has_speed = true,
                             .speedup = 0.9,
                             .speedup_low = 0.85,
                             .speedup_high = 0.95};
    struct policy_verdict v;

    (void)state;
    policy_init(&p);
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_REJECTED);
    assert_non_null(strstr(v.reason, "not faster"));
    assert_int_equal(v.grade, GRADE_EXCELLENT);
    f.speedup_high = 1.01;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_ACCEPTED);
    p.min_speedup = 2;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_REJECTED);
    p.min_speedup = 0;
    policy_judge(&p, &f, &v);
    assert_int_equal(v.state, POLICY_ACCEPTED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needed_samples_are_those_of_the_formula),
        cmocka_unit_test(intervals_shrink_as_they_should),
        cmocka_unit_test(few_flips_use_the_score_interval),
        cmocka_unit_test(three_outcomes),
        cmocka_unit_test(grades_follow_the_loss),
        cmocka_unit_test(more_tries_ask_for_more),
        cmocka_unit_test(agreement_stands_in_for_labels),
        cmocka_unit_test(numbers_that_are_none_reject),
        cmocka_unit_test(slower_is_rejected_only_beyond_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
