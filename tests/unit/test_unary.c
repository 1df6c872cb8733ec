/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static void
hostile_numbers_follow_ieee(void **state)
{
    static const struct {
        enum op op;
        float x, y;
    } cases[] = {
        {OP_RELU, NAN, NAN},
        {OP_RELU, -INFINITY, 0},
        {OP_SIGMOID, -200, 0},
        {OP_SIGMOID, 200, 1},
        {OP_SIGMOID, INFINITY, 1},
        {OP_EXP, 200, INFINITY},
        {OP_EXP, -200, 0},
        {OP_LOG, 0, -INFINITY},
        {OP_LOG, -1, NAN},
        {OP_SQRT, -1, NAN},
        {OP_RECIPROCAL, 0, INFINITY},
        {OP_SOFTPLUS, 200, 200},
        {OP_SOFTPLUS, -200, 0},
        {OP_TANH, 200, 1},
        {OP_ERF, -200, -1},
        {OP_GELU, -200, 0},
        {OP_SWISH, -200, 0},
        {OP_HARD_SWISH, -200, 0},
        {OP_HARD_SWISH, 1, 2.0f / 3},
        {OP_HARD_SIGMOID, NAN, NAN},
        {OP_ROUND, 2.5f, 2},
        {OP_ROUND, -3.5f, -4},
        {OP_SIGN, NAN, NAN},
        {OP_SIGN, -5, -1},
        {OP_ELU, -200, -1},
        {OP_LEAKY_RELU, -200, -2},
        {OP_CLIP, NAN, NAN},
        {OP_ACOS, 2, NAN},
        {OP_ACOSH, 0.5f, NAN},
        {OP_ATAN, -INFINITY, -1.57079633f},
        {OP_ATANH, 1, INFINITY},
        {OP_CELU, -200, -1},
        {OP_COSH, 200, INFINITY},
        {OP_MISH, -200, 0},
        {OP_MISH, 200, 200},
        {OP_SELU, -200, -1.75809934f},
        {OP_SELU, NAN, NAN},
        {OP_SHRINK, 0.5f, 0},
        {OP_SHRINK, -0.75f, -0.75f},
        {OP_SIN, INFINITY, NAN},
        {OP_SOFTSIGN, -3, -0.75f},
        {OP_THRESHOLDED_RELU, 1, 0},
        {OP_THRESHOLDED_RELU, 1.5f, 1.5f},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct one c;

        one_begin(&c);
        IN_F(&c, SHAPE(1, 1), cases[i].x);
        one_node(&c, cases[i].op, 1);
        WANT_F(&c, 0, SHAPE(1, 1), cases[i].y);
        one_end(&c);
    }
}

static void
integers_wrap_and_clip(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, INT8, int8_t, SHAPE(3), -128, -1, 127);
    one_node(&c, OP_NEG, 1);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(3), -128, 1, -127);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(2), INT64_MIN, INT64_MAX);
    one_node(&c, OP_ABS, 1);
    WANT_I(&c, 0, SHAPE(2), INT64_MIN, INT64_MAX);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), UINT64_MAX, 3);
    one_absent(&c);
    ONE_IN(&c, UINT64, uint64_t, SCALAR, UINT64_MAX - 1);
    one_node(&c, OP_CLIP, 1);
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(2), UINT64_MAX - 1, 3);
    one_end(&c);
}

/* ONNX says min(max(x, low), high): with low over high it is high. */
static void
clip_takes_the_high_bound_last(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3), -5, 0, 5);
    IN_F(&c, SCALAR, 2);
    IN_F(&c, SHAPE(1), 1);
    one_node(&c, OP_CLIP, 1);
    WANT_F(&c, 0, SHAPE(3), 1, 1, 1);
    one_end(&c);
}

static void
empty_and_scalar_tensors_work(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 0, 3), 0);
    one_node(&c, OP_EXP, 1);
    WANT_F(&c, 0, SHAPE(2, 0, 3), 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SCALAR, -4);
    one_node(&c, OP_ABS, 1);
    WANT_F(&c, 0, SCALAR, 4);
    one_end(&c);
}

static void
refuses_types_and_bounds(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(1), 1);
    one_node(&c, OP_EXP, 1);
    one_fails(&c, ERR_UNSUPPORTED, "is bool: not supported here");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1), 1);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_CLIP, 1);
    one_fails(&c, ERR_INVALID, "no scalar");
    one_end(&c);
}

static void
tells_infinite_and_not_a_number(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(4), NAN, INFINITY, -INFINITY, 1);
    one_node(&c, OP_IS_NAN, 1);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(4), 1, 0, 0, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(4), NAN, INFINITY, -INFINITY, 1);
    one_node(&c, OP_IS_INF, 1);
    attr_set_int(c.g, c.n, "detect_negative", 0);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(4), 0, 1, 0, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, FLOAT16, uint16_t, SHAPE(3), 0x7c00, 0xfc00, 0x7e00);
    one_node(&c, OP_IS_INF, 1);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(3), 1, 1, 0);
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_numbers_follow_ieee),
        cmocka_unit_test(integers_wrap_and_clip),
        cmocka_unit_test(clip_takes_the_high_bound_last),
        cmocka_unit_test(empty_and_scalar_tensors_work),
        cmocka_unit_test(tells_infinite_and_not_a_number),
        cmocka_unit_test(refuses_types_and_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
