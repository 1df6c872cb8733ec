/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "quant/weight.h"

static struct weight
quantized(struct arena *a, const float *w, struct shape s, int axis,
          bool reduce)
{
    struct value v = {.name = "w", .dtype = DTYPE_FLOAT, .shape = s, .data = w};
    struct weight_spec spec = {axis, reduce};
    struct weight out;
    struct err e;

    assert_int_equal(weight_quantize(&v, &spec, a, &out, &e), 0);
    return out;
}

/* Weights that are integers times a power of two come back bit for bit. */
static void
channels_round_trip(void **state)
{
    struct arena *a = arena_new();
    float w[3 * 4];
    struct weight q;

    (void)state;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 4; i++)
            w[c * 4 + i] = ldexpf((float)(i * 40 - 127 + (i == 3) * 134), -c);
    w[3] = 127; /* every channel reaches its end */
    w[7] = ldexpf(127, -1);
    w[11] = ldexpf(127, -2);
    q = quantized(a, w, SHAPE(3, 4), 0, false);
    assert_int_equal(q.n_scales, 3);
    for (int i = 0; i < 12; i++)
        assert_true(q.scale[i / 4] * (float)q.q[i] == w[i]);
    assert_true(q.sqnr_db == INFINITY);
    assert_true(q.min == -127 && q.max == 127);
    arena_free(&a);
}

static void
axis_picks_the_channels(void **state)
{
    static const float w[] = {1, 10, 100, 2, 20, 200};        /* [2,3] */
    static const float deep[] = {1, 2, 30, 40, 5, 6, 70, 80}; /* [2,2,2] */
    struct arena *a = arena_new();
    struct weight q = quantized(a, w, SHAPE(2, 3), 1, false);

    (void)state;
    assert_int_equal(q.n_scales, 3);
    assert_true(q.scale[0] == 2.0f / 127 && q.scale[1] == 20.0f / 127 &&
                q.scale[2] == 200.0f / 127);
    for (int i = 3; i < 6; i++)
        assert_int_equal(q.q[i], 127);
    q = quantized(a, deep, SHAPE(2, 2, 2), 1, false);
    assert_true(q.scale[0] == 6.0f / 127 && q.scale[1] == 80.0f / 127);
    q = quantized(a, w, SHAPE(2, 3), -1, false);
    assert_int_equal(q.n_scales, 1);
    assert_int_equal(q.q[0], 1);
    arena_free(&a);
}

static void
reduced_range_keeps_to_seven_bits(void **state)
{
    static const float w[] = {-8, -4, 4, 8};
    struct arena *a = arena_new();
    struct weight q = quantized(a, w, SHAPE(1, 4), 0, true);

    (void)state;
    assert_int_equal(q.q[0], -64);
    assert_int_equal(q.q[1], -32);
    assert_int_equal(q.q[3], 64);
    arena_free(&a);
}

static void
dead_and_faint_channels_get_a_usable_scale(void **state)
{
    static const float w[] = {0, 0, 1e-40f, -1e-40f, 1e-9f, -2e-9f};
    struct arena *a = arena_new();
    struct weight q = quantized(a, w, SHAPE(3, 2), 0, false);

    (void)state;
    assert_true(q.scale[0] == 1 && q.scale[1] == 1);
    assert_int_equal(q.q[0] | q.q[1] | q.q[2] | q.q[3], 0);
    assert_int_equal(q.q[5], -127);
    assert_int_equal(q.q[4], 64);
    arena_free(&a);
}

/* Depthwise weights a hundred times apart: one scale kills the faint ones. */
static void
channels_survive_imbalance(void **state)
{
    enum { C = 32, K = 9 };
    struct arena *a = arena_new();
    float w[C * K];
    double worst[2] = {INFINITY, INFINITY};

    (void)state;
    for (int i = 0; i < C * K; i++)
        w[i] = sinf((float)i * 1.7f) * powf(100, (float)(i / K) / (C - 1));
    for (int t = 0; t < 2; t++) {
        struct weight q =
            quantized(a, w, SHAPE(C, 1, 3, 3), t == 0 ? 0 : -1, false);

        for (int c = 0; c < C; c++) {
            double signal = 0, noise = 0;

            for (int i = c * K; i < (c + 1) * K; i++) {
                float s = q.scale[q.n_scales == 1 ? 0 : c];
                double d = (double)(w[i] - s * (float)q.q[i]);

                signal += (double)w[i] * (double)w[i];
                noise += d * d;
            }
            worst[t] = fmin(worst[t], 10 * log10(signal / noise));
        }
    }
    assert_true(worst[0] > 40); /* one scale a channel */
    assert_true(worst[1] < 12); /* one for all */
    arena_free(&a);
}

static void
nonfinite_weights_are_seen(void **state)
{
    static const float good[] = {1, 2}, bad[] = {1, NAN}, huge[] = {INFINITY};

    (void)state;
    assert_true(weight_finite(good, 2));
    assert_false(weight_finite(bad, 2));
    assert_false(weight_finite(huge, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_round_trip),
        cmocka_unit_test(axis_picks_the_channels),
        cmocka_unit_test(reduced_range_keeps_to_seven_bits),
        cmocka_unit_test(dead_and_faint_channels_get_a_usable_scale),
        cmocka_unit_test(channels_survive_imbalance),
        cmocka_unit_test(nonfinite_weights_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
