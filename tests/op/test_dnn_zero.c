/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights whose zero point is not the middle of their type, as ONNX Runtime's
 * quantizer makes them by default for uint8, and products whose scale is found
 * at run time: integer kernels against the plain chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/integers.h"

static void
one_matmul(bool gemm, enum dtype x, int x_zero, bool is_unsigned, int w_zero,
           bool per_column, enum dtype out)
{
    struct graph *g = graph_new();
    int a = pair(g, both_input(g, "a", SHAPE(6, 48)), x, 0.02f, x_zero);
    int w = gemm ? weights_around(g, SHAPE(20, 48), per_column ? 0 : -1,
                                  is_unsigned, w_zero, 0)
                 : weights_around(g, SHAPE(48, 20), per_column ? 1 : -1,
                                  is_unsigned, w_zero, 0);
    int y = gemm ? NODE(g, OP_GEMM, a, w, both_const(g, SHAPE(20), 1))
                 : NODE(g, OP_MATMUL, a, w);

    if (gemm)
        attr_set_int(g, MADE(g, y), "transB", 1);
    y = NODE(g, OP_RELU, y);
    if (out != F)
        y = quantize(g, y, out, 0.03f, out == U ? 120 : 4);
    check(g, y, out == F ? 1e-4 : 1, "dnn.matmul/", 1,
          gemm ? "Gemm" : "MatMul");
}

static void
test_matmul(void **state)
{
    (void)state;
    one_matmul(true, U, 0, true, 120, false, U);
    one_matmul(true, U, 77, true, 255, true, F);
    one_matmul(true, S, -20, false, 9, false, S);
    one_matmul(false, U, 128, true, 0, true, F);
    one_matmul(false, S, 3, false, -128, false, S);
    one_matmul(false, U, 0, false, 1, false, U);
}

/* Zero points that differ by column have no kernel; the note says so. */
static void
test_many_zero_points(void **state)
{
    struct graph *g = graph_new();
    int a = pair(g, both_input(g, "a", SHAPE(6, 48)), U, 0.02f, 3);
    int w = weights_around(g, SHAPE(48, 20), 1, true, 120, 4);

    (void)state;
    check(g, NODE(g, OP_MATMUL, a, w), 1e-5, "weights have many zero points", 2,
          "MatMul with many zero points");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_many_zero_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
