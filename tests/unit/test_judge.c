/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "quant/judge.h"

/* --- a model that is only its outputs --------------------------------------
 */

static const struct model_io io = {"y", DTYPE_FLOAT, {2, {SHAPE_DYNAMIC, 3}}};

int
model_n_outputs(const struct model *m)
{
    (void)m;
    return 1;
}

const struct model_io *
model_output(const struct model *m, int i)
{
    (void)m;
    (void)i;
    return &io;
}

static struct judge_result
judge(enum dtype t, struct shape shape, void *baseline, void *variant,
      const int64_t *labels, void *want)
{
    struct judge *j = judge_new(NULL);
    const struct tensor b = {t, shape, baseline}, v = {t, shape, variant};
    const struct tensor w = {t, shape, want}, *pb = &b, *pv = &v;
    struct judge_result r;
    struct err e;

    assert_int_equal(judge_add(j, (int)shape.dim[0], &pb, &pv, labels,
                               want != NULL ? &w : NULL, &e),
                     0);
    judge_sum_up(j, &r);
    judge_free(&j);
    return r;
}

/* --- tests -------------------------------------------------------------------
 */

static void
planted_flips_are_counted(void **state)
{
    enum { N = 1000 };
    static float base[N][3], variant[N][3];
    static int64_t labels[N];
    struct judge_result r;

    (void)state;
    for (int i = 0; i < N; i++) {
        int truth = i % 3;
        int says = i < 50 ? (truth + 1) % 3 : truth; /* 5 % wrong */
        int then = says;

        if (i >= 50 && i < 70)
            then = (truth + 2) % 3; /* 20 right to wrong */
        if (i < 8)
            then = truth; /* 8 wrong to right */
        if (i >= 8 && i < 11)
            then = (truth + 2) % 3; /* 3 wrong to wrong otherwise */
        labels[i] = truth;
        base[i][says] = variant[i][then] = 4;
    }
    r = judge(DTYPE_FLOAT, SHAPE(N, 3), base, variant, labels, NULL);
    assert_int_equal(r.n, N);
    assert_true(r.has_labels && r.has_agreement);
    assert_int_equal(r.baseline_right, 950);
    assert_int_equal(r.variant_right, 938);
    assert_int_equal(r.b, 20);
    assert_int_equal(r.c, 8);
    assert_int_equal(r.agree, N - 31);
    judge_result_free(&r);
}

static void
equal_outputs_differ_in_nothing(void **state)
{
    float y[2][3] = {{1, 2, 3}, {-1, 5, 0}};
    struct judge_result r = judge(DTYPE_FLOAT, SHAPE(2, 3), y, y, NULL, y);

    (void)state;
    assert_false(r.has_labels);
    assert_int_equal(r.agree, 2);
    assert_true(r.kl_mean == 0 && r.kl_max == 0 && r.max_dp == 0);
    assert_true(isinf(r.outputs[0].sqnr_db));
    assert_true(r.outputs[0].cosine > 0.999999);
    assert_true(r.outputs[0].has_reference);
    assert_true(r.outputs[0].variant_error == 0);
    judge_result_free(&r);
}

static void
divergence_takes_logits_and_probabilities(void **state)
{
    float logits[3] = {0, logf(2), logf(5)}; /* 1/8, 2/8, 5/8 */
    float logits2[3] = {0, logf(5), logf(2)};
    float p[3] = {0.125f, 0.25f, 0.625f}, q[3] = {0.125f, 0.625f, 0.25f};
    double want = 0.25 * log(0.25 / 0.625) + 0.625 * log(0.625 / 0.25);
    struct judge_result r;

    (void)state;
    r = judge(DTYPE_FLOAT, SHAPE(1, 3), logits, logits2, NULL, NULL);
    assert_true(fabs(r.kl_mean - want) < 1e-6);
    assert_true(fabs(r.max_dp - 0.375) < 1e-6);
    judge_result_free(&r);
    r = judge(DTYPE_FLOAT, SHAPE(1, 3), p, q, NULL, NULL);
    assert_true(fabs(r.kl_mean - want) < 1e-6);
    judge_result_free(&r);
}

static void
sqnr_is_signal_over_noise(void **state)
{
    float y[4] = {3, 4, 0, 0}, v[4] = {3, 4.5f, 0, 0};
    struct judge_result r = judge(DTYPE_FLOAT, SHAPE(1, 4), y, v, NULL, NULL);

    (void)state;
    assert_true(fabs(r.outputs[0].sqnr_db - 20) < 1e-6); /* 25 over 0.25 */
    assert_true(r.outputs[0].max_abs == 0.5);
    judge_result_free(&r);
}

static void
nan_and_infinity_are_counted_and_kept_out(void **state)
{
    float y[2][3] = {{1, 2, 3}, {4, 5, INFINITY}};
    float v[2][3] = {{NAN, NAN, NAN}, {4, 5, INFINITY}};
    const int64_t labels[2] = {2, 2};
    struct judge_result r = judge(DTYPE_FLOAT, SHAPE(2, 3), y, v, labels, NULL);

    (void)state;
    assert_int_equal(r.outputs[0].baseline_nonfinite, 1);
    assert_int_equal(r.outputs[0].variant_nonfinite, 4);
    assert_int_equal(r.agree, 1);
    assert_int_equal(r.b, 1);
    assert_true(isfinite(r.kl_mean) && isfinite(r.max_dp));
    assert_true(isfinite(r.outputs[0].cosine));
    assert_true(r.outputs[0].max_abs == 0);
    judge_result_free(&r);
}

static void
sequences_agree_when_all_places_do(void **state)
{
    float y[2][2][2] = {{{0, 1}, {1, 0}}, {{0, 1}, {1, 0}}};
    float v[2][2][2] = {{{0, 2}, {2, 0}}, {{0, 1}, {0, 1}}};
    struct judge_result r =
        judge(DTYPE_FLOAT, SHAPE(2, 2, 2), y, v, NULL, NULL);

    (void)state;
    assert_int_equal(r.agree, 1);
    judge_result_free(&r);
}

static void
a_single_score_has_a_threshold(void **state)
{
    float p[4] = {0.9f, 0.2f, 0.6f, 0.4f}, q[4] = {0.8f, 0.6f, 0.4f, 0.1f};
    float z[4] = {-3, 4, 0.2f, 1}, w[4] = {-3, 4, -0.1f, 0.3f};
    const int64_t labels[4] = {1, 0, 1, 0};
    struct judge_result r;

    (void)state;
    r = judge(DTYPE_FLOAT, SHAPE(4, 1), p, q, labels, NULL);
    assert_int_equal(r.agree, 2);
    assert_int_equal(r.baseline_right, 4);
    assert_int_equal(r.variant_right, 2);
    judge_result_free(&r);
    r = judge(DTYPE_FLOAT, SHAPE(4, 1), z, w, NULL, NULL);
    assert_int_equal(r.agree, 3);
    judge_result_free(&r);
}

static void
integers_are_answers_and_pictures_are_none(void **state)
{
    int64_t a[3] = {7, 8, 9}, b[3] = {7, 8, 1};
    const int64_t labels[3] = {7, 7, 9};
    static float y[1][2][4][4];
    struct judge_result r;

    (void)state;
    r = judge(DTYPE_INT64, SHAPE(3), a, b, labels, NULL);
    assert_int_equal(r.agree, 2);
    assert_int_equal(r.b, 1);
    assert_false(r.has_kl);
    judge_result_free(&r);
    r = judge(DTYPE_FLOAT, SHAPE(1, 2, 4, 4), y, y, NULL, NULL);
    assert_false(r.has_agreement);
    judge_result_free(&r);
}

static void
labels_that_do_not_fit_are_named(void **state)
{
    float y[2][3] = {{0}}, picture[2][2][2][2] = {{{{0}}}};
    const int64_t labels[2] = {0, 3};
    struct tensor t = {DTYPE_FLOAT, SHAPE(2, 3), y};
    struct tensor u = {DTYPE_FLOAT, SHAPE(2, 2, 2, 2), picture};
    const struct tensor *pt = &t, *pu = &u;
    struct judge *j = judge_new(NULL);
    struct err e;

    (void)state;
    assert_int_equal(judge_add(j, 2, &pt, &pt, labels, NULL, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "label 3"));
    assert_int_equal(judge_add(j, 2, &pu, &pu, labels, NULL, &e), ERR_INVALID);
    assert_int_equal(judge_add(j, 2, &pt, &pu, NULL, NULL, &e), ERR_INVALID);
    judge_free(&j);
}

/* As many boxes as there are: the variant finds one less in one picture. */
static void
lists_of_unlike_length_have_no_distance(void **state)
{
    static float some[4][3] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {1, 0, 0}};
    const struct tensor four = {DTYPE_FLOAT, SHAPE(4, 3), some};
    const struct tensor three = {DTYPE_FLOAT, SHAPE(3, 3), some};
    const struct tensor *p4 = &four, *p3 = &three;
    struct judge *j = judge_new(NULL);
    struct judge_result r;
    struct err e;

    (void)state;
    assert_int_equal(judge_add(j, 1, &p4, &p4, NULL, NULL, &e), 0);
    assert_int_equal(judge_add(j, 1, &p4, &p3, NULL, NULL, &e), 0);
    judge_sum_up(j, &r);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.outputs[0].unlike, 1);
    assert_true(isnan(r.outputs[0].sqnr_db) && isnan(r.outputs[0].cosine));
    assert_false(r.has_agreement || r.has_kl);
    judge_result_free(&r);
    judge_free(&j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_flips_are_counted),
        cmocka_unit_test(equal_outputs_differ_in_nothing),
        cmocka_unit_test(divergence_takes_logits_and_probabilities),
        cmocka_unit_test(sqnr_is_signal_over_noise),
        cmocka_unit_test(nan_and_infinity_are_counted_and_kept_out),
        cmocka_unit_test(sequences_agree_when_all_places_do),
        cmocka_unit_test(a_single_score_has_a_threshold),
        cmocka_unit_test(integers_are_answers_and_pictures_are_none),
        cmocka_unit_test(labels_that_do_not_fit_are_named),
        cmocka_unit_test(lists_of_unlike_length_have_no_distance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
