/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static void
over_some_axes(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8);
    one_node(&c, OP_REDUCE_MEAN, 1);
    attr_set_ints(c.g, c.n, "axes", (int64_t[]){0, -1}, 2);
    attr_set_int(c.g, c.n, "keepdims", 0);
    WANT_F(&c, 0, SHAPE(2), 3.5f, 5.5f);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 2, 3, 4);
    IN_I(&c, SHAPE(1), 0);
    one_node(&c, OP_REDUCE_SUM, 1);
    WANT_F(&c, 0, SHAPE(1, 2), 4, 6);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 3, 4);
    one_node(&c, OP_REDUCE_L2, 1);
    attr_set_int(c.g, c.n, "keepdims", 0);
    WANT_F(&c, 0, SCALAR, 5);
    one_end(&c);
}

static void
no_axes_is_all_or_none(void **state)
{
    struct one c;

    (void)state;
    for (int noop = 0; noop < 2; noop++) {
        one_begin(&c);
        IN_F(&c, SHAPE(2), 3, 4);
        one_in(&c, DTYPE_INT64, &SHAPE(0), (int64_t[]){0});
        one_node(&c, OP_REDUCE_SUM, 1);
        attr_set_int(c.g, c.n, "noop_with_empty_axes", noop);
        if (noop)
            WANT_F(&c, 0, SHAPE(2), 3, 4);
        else
            WANT_F(&c, 0, SHAPE(1), 7);
        one_end(&c);
    }
}

static void
nothing_to_reduce(void **state)
{
    static const struct {
        enum op op;
        float y;
    } cases[] = {
        {OP_REDUCE_SUM, 0},         {OP_REDUCE_PROD, 1},
        {OP_REDUCE_MAX, -INFINITY}, {OP_REDUCE_MIN, INFINITY},
        {OP_REDUCE_MEAN, 0},        {OP_REDUCE_L2, 0},
    };
    struct one c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(2, 0), 0);
        one_node(&c, cases[i].op, 1);
        WANT_F(&c, 0, SHAPE(1, 1), cases[i].y);
        one_end(&c);
    }
    one_begin(&c);
    ONE_IN(&c, INT8, int8_t, SHAPE(0), 0);
    one_node(&c, OP_REDUCE_MAX, 1);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(1), -128);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(0), 0);
    one_node(&c, OP_ARG_MAX, 1);
    one_fails(&c, ERR_INVALID, "axis 0 is empty");
    one_end(&c);
}

static void
first_or_last_extreme(void **state)
{
    struct one c;

    (void)state;
    for (int last = 0; last < 2; last++) {
        one_begin(&c);
        IN_F(&c, SHAPE(2, 3), 2, 2, 1, -200, -200, -200);
        one_node(&c, OP_ARG_MAX, 1);
        attr_set_int(c.g, c.n, "axis", -1);
        attr_set_int(c.g, c.n, "keepdims", 0);
        attr_set_int(c.g, c.n, "select_last_index", last);
        if (last)
            WANT_I(&c, 0, SHAPE(2), 1, 2);
        else
            WANT_I(&c, 0, SHAPE(2), 0, 0);
        one_end(&c);
    }
}

static void
nan_wins(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(4), 1, NAN, 5, NAN);
    one_node(&c, OP_ARG_MIN, 1);
    WANT_I(&c, 0, SHAPE(1), 1);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(3), 1, NAN, 5);
    one_node(&c, OP_REDUCE_MAX, 1);
    WANT_F(&c, 0, SHAPE(1), NAN);
    one_end(&c);
}

static void
integers_of_64_bits_stay_exact(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_I(&c, SHAPE(2), INT64_MAX - 1, INT64_MAX);
    one_node(&c, OP_REDUCE_MAX, 1);
    WANT_I(&c, 0, SHAPE(1), INT64_MAX);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), UINT64_MAX, 1);
    one_node(&c, OP_REDUCE_MAX, 1);
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(1), UINT64_MAX);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(2), -7, 2);
    one_node(&c, OP_REDUCE_MEAN, 1);
    WANT_I(&c, 0, SHAPE(1), -2);
    one_end(&c);
}

static void
logarithms_of_sums(void **state)
{
    static const struct {
        enum op op;
        float x[2], y;
    } cases[] = {
        {OP_REDUCE_LOG_SUM_EXP, {1000, 1000}, 1000.6931f},
        {OP_REDUCE_LOG_SUM_EXP, {-1000, -INFINITY}, -1000},
        {OP_REDUCE_LOG_SUM_EXP, {-INFINITY, -INFINITY}, -INFINITY},
        {OP_REDUCE_LOG_SUM_EXP, {INFINITY, 1}, INFINITY},
        {OP_REDUCE_LOG_SUM_EXP, {NAN, 1}, NAN},
        {OP_REDUCE_LOG_SUM, {1, 3}, 1.3862944f},
        {OP_REDUCE_L1, {-1, 3}, 4},
        {OP_REDUCE_SUM_SQUARE, {-1, 3}, 10},
    };
    struct one c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        one_begin(&c);
        one_in(&c, DTYPE_FLOAT, &SHAPE(2), cases[i].x);
        one_node(&c, cases[i].op, 1);
        WANT_F(&c, 0, SHAPE(1), cases[i].y);
        one_end(&c);
    }
    one_begin(&c);
    IN_I(&c, SHAPE(2), -3, 4);
    one_node(&c, OP_REDUCE_L1, 1);
    WANT_I(&c, 0, SHAPE(1), 7);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(2), 5, 6);
    one_node(&c, OP_REDUCE_L2, 1); /* the root of 61, cut */
    WANT_I(&c, 0, SHAPE(1), 7);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2), 0, 1);
    one_node(&c, OP_REDUCE_LOG_SUM, 1);
    one_fails(&c, ERR_UNSUPPORTED, "not supported here");
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2), 0, 1);
    one_node(&c, OP_REDUCE_MAX, 1);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(1), 1);
    one_end(&c);
}

static void
refuses_axes(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2), 3, 4);
    one_node(&c, OP_REDUCE_MEAN, 1);
    attr_set_ints(c.g, c.n, "axes", (int64_t[]){0, -1}, 2);
    one_fails(&c, ERR_INVALID, "axis 0 is named twice");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 3, 4);
    one_in(&c, DTYPE_INT64, &SHAPE(1), NULL);
    one_node(&c, OP_REDUCE_SUM, 1);
    one_fails(&c, ERR_UNSUPPORTED, "depends on data");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_some_axes),
        cmocka_unit_test(no_axes_is_all_or_none),
        cmocka_unit_test(nothing_to_reduce),
        cmocka_unit_test(first_or_last_extreme),
        cmocka_unit_test(nan_wins),
        cmocka_unit_test(integers_of_64_bits_stay_exact),
        cmocka_unit_test(logarithms_of_sums),
        cmocka_unit_test(refuses_axes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
