/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vector functions against those of the C library.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/dnn/func.h"

enum { N = 4001 };

static double
sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* From -20 to 20, and numbers that are none. */
static void
fill(float *x)
{
    for (int i = 0; i < N; i++)
        x[i] = (float)(i - N / 2) * 0.01f;
    x[1] = NAN;
    x[2] = INFINITY;
    x[3] = 1e6f;
    x[4] = -1e6f;
    x[5] = 1e-6f;
}

static void
test_gelu(void **state)
{
    static float x[N], y[N];

    (void)state;
    for (int tanh_form = 0; tanh_form < 2; tanh_form++) {
        fill(x);
        fill(y);
        func_gelu(y, tanh_form != 0, N);
        assert_true(isnan(y[1]) && y[2] == INFINITY);
        for (int i = 3; i < N; i++) {
            double v = x[i], want;

            want = tanh_form ? 0.5 * v *
                                   (1 + tanh(0.7978845608028654 *
                                             (v + 0.044715 * v * v * v)))
                             : 0.5 * v * (1 + erf(v / sqrt(2)));
            if (!(fabs((double)y[i] - want) <= 5e-7 * fmax(1, fabs(v))))
                fail_msg("gelu(%g) is %.9g, want %.9g", v, (double)y[i], want);
        }
    }
}

/* One gate at a time goes through the numbers, the others being 0.3. */
static void
test_cells(void **state)
{
    static float gate[4 * N], c[N], h[N], new[N];

    (void)state;
    for (int which = 0; which < 4; which++) {
        for (int i = 0; i < 4 * N; i++)
            gate[i] = 0.3f;
        fill(gate + which * N);
        for (int i = 0; i < N; i++)
            c[i] = 0.5f;
        func_lstm(gate, c, h, which == 3 ? 4 : INFINITY, N);
        assert_true(isnan(h[1]));
        for (int i = 2; i < N; i++) {
            double g[4], cell;

            for (int k = 0; k < 4; k++)
                g[k] = gate[k * N + i];
            if (which == 3)
                g[3] = fmin(fmax(g[3], -4), 4);
            cell = sigmoid(g[2]) * 0.5 + sigmoid(g[0]) * tanh(g[3]);
            assert_true(fabs((double)c[i] - cell) <= 4e-7);
            assert_true(fabs((double)h[i] - sigmoid(g[1]) * tanh(cell)) <=
                        4e-7);
        }
    }
    fill(gate);
    fill(gate + N);
    func_gru_gates(gate, gate + N, 2, N);
    fill(new);
    for (int i = 0; i < N; i++)
        h[i] = 0.25f;
    func_gru(gate, new, h, INFINITY, N);
    assert_true(isnan(h[1]));
    for (int i = 2; i < N; i++) {
        double z = sigmoid(fmin(fmax((double)new[i], -2), 2));

        assert_true(fabs((double)gate[N + i] - z) <= 2e-7);
        assert_true(fabs((double)h[i] -
                         ((1 - z) * tanh((double)new[i]) + z * 0.25)) <= 4e-7);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
