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
broadcasts_both_ways(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    IN_F(&c, SHAPE(3), 10, 20, 30);
    one_node(&c, OP_ADD, 1);
    WANT_F(&c, 0, SHAPE(2, 3), 11, 21, 31, 12, 22, 32);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SCALAR, 7);
    IN_F(&c, SCALAR, 2);
    one_node(&c, OP_DIV, 1);
    WANT_F(&c, 0, SCALAR, 3.5f);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(0, 3), 0);
    IN_F(&c, SHAPE(3), 1, 2, 3);
    one_node(&c, OP_MUL, 1);
    WANT_F(&c, 0, SHAPE(0, 3), 0);
    one_end(&c);
}

static void
extremes_keep_nan(void **state)
{
    struct one c;

    (void)state;
    for (int i = 0; i < 2; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(4), NAN, 1, -INFINITY, 2);
        IN_F(&c, SHAPE(4), 1, NAN, 3, 2);
        IN_F(&c, SCALAR, 2);
        one_node(&c, i == 0 ? OP_MAX : OP_MIN, 1);
        if (i == 0)
            WANT_F(&c, 0, SHAPE(4), NAN, NAN, 3, 2);
        else
            WANT_F(&c, 0, SHAPE(4), NAN, NAN, -INFINITY, 2);
        one_end(&c);
    }
}

static void
integer_division_never_traps(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, INT32, int32_t, SHAPE(4), INT_MIN, 7, -7, 5);
    ONE_IN(&c, INT32, int32_t, SHAPE(4), -1, 2, 2, 0);
    one_node(&c, OP_DIV, 1);
    ONE_WANT(&c, 0, INT32, int32_t, SHAPE(4), INT_MIN, 3, -3, 0);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(2), INT64_MIN, 1);
    IN_I(&c, SHAPE(2), -1, 0);
    one_node(&c, OP_DIV, 1);
    WANT_I(&c, 0, SHAPE(2), INT64_MIN, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(3), 200, 1, 16);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(3), 100, 2, 16);
    one_node(&c, OP_MUL, 1);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 32, 2, 0);
    one_end(&c);
}

static void
remainders_have_a_sign(void **state)
{
    struct one c;

    (void)state;
    for (int fmod = 0; fmod < 2; fmod++) {
        one_begin(&c);
        IN_I(&c, SHAPE(6), 5, -5, 5, -5, INT64_MIN, 7);
        IN_I(&c, SHAPE(6), 3, 3, -3, -3, -1, 0);
        one_node(&c, OP_MOD, 1);
        attr_set_int(c.g, c.n, "fmod", fmod);
        if (fmod)
            WANT_I(&c, 0, SHAPE(6), 2, -2, 2, -2, 0, 0);
        else
            WANT_I(&c, 0, SHAPE(6), 2, 1, -1, -2, 0, 0);
        one_end(&c);
    }

    one_begin(&c);
    IN_F(&c, SHAPE(2), -5, 5);
    IN_F(&c, SCALAR, 3);
    one_node(&c, OP_MOD, 1);
    attr_set_int(c.g, c.n, "fmod", 1);
    WANT_F(&c, 0, SHAPE(2), -2, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(5), 5, -5, -6, 6, 1);
    IN_F(&c, SHAPE(5), 3, 3, 3, -3, -INFINITY);
    one_node(&c, OP_MOD, 1);
    WANT_F(&c, 0, SHAPE(5), 2, 1, 0, -0.0f, -INFINITY);
    one_end(&c);
}

static void
bits_are_shifted_out(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(3), 0x81, 0xff, 1);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(3), 1, 8, 255);
    one_node(&c, OP_BIT_SHIFT, 1);
    attr_set_string(c.g, c.n, "direction", "LEFT");
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 2, 0, 0);
    one_end(&c);

    for (int right = 0; right < 2; right++) {
        one_begin(&c);
        ONE_IN(&c, INT8, int8_t, SHAPE(5), -128, -3, -3, 127, 127);
        ONE_IN(&c, INT8, int8_t, SHAPE(5), 1, 8, -1, 1, 100);
        one_node(&c, OP_BIT_SHIFT, 1);
        attr_set_string(c.g, c.n, "direction", right ? "RIGHT" : "LEFT");
        if (right)
            ONE_WANT(&c, 0, INT8, int8_t, SHAPE(5), -64, -1, -1, 63, 0);
        else
            ONE_WANT(&c, 0, INT8, int8_t, SHAPE(5), 0, 0, 0, -2, 0);
        one_end(&c);
    }

    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), UINT64_MAX, UINT64_MAX);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), 63, 64);
    one_node(&c, OP_BIT_SHIFT, 1);
    attr_set_string(c.g, c.n, "direction", "RIGHT");
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(2), 1, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1), 1);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1), 1);
    one_node(&c, OP_BIT_SHIFT, 1);
    one_fails(&c, ERR_INVALID, "direction is \"\"");
    one_end(&c);
}

static void
bits_of_integers(void **state)
{
    static const struct {
        enum op op;
        int8_t y[2];
    } cases[] = {
        {OP_BITWISE_AND, {4, 0}},
        {OP_BITWISE_OR, {-1, 3}},
        {OP_BITWISE_XOR, {-5, 3}},
    };
    struct one c;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        one_begin(&c);
        ONE_IN(&c, INT8, int8_t, SHAPE(2), -4, 3);
        ONE_IN(&c, INT8, int8_t, SHAPE(2), 7, 0);
        one_node(&c, cases[i].op, 1);
        one_want(&c, 0, DTYPE_INT8, &SHAPE(2), cases[i].y);
        one_end(&c);
    }
    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), 0, UINT64_MAX);
    one_node(&c, OP_BITWISE_NOT, 1);
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(2), UINT64_MAX, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1), 1);
    IN_F(&c, SHAPE(1), 1);
    one_node(&c, OP_BITWISE_AND, 1);
    one_fails(&c, ERR_UNSUPPORTED, "is float32");
    one_end(&c);
}

static void
powers_of_mixed_types(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3), 2, -2, 0);
    IN_I(&c, SHAPE(3), 3, 3, -1);
    one_node(&c, OP_POW, 1);
    WANT_F(&c, 0, SHAPE(3), 8, -8, INFINITY);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(4), 3, -1, 0, 2);
    IN_I(&c, SHAPE(4), 39, -3, -1, 64);
    one_node(&c, OP_POW, 1);
    WANT_I(&c, 0, SHAPE(4), 4052555153018976267, -1, 0, 0);
    one_end(&c);
}

static void
variadic_with_one_and_many(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_SUM, 1);
    WANT_F(&c, 0, SHAPE(2), 1, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SCALAR, 1);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_F(&c, SHAPE(2, 1), 10, 20);
    one_node(&c, OP_SUM, 1);
    WANT_F(&c, 0, SHAPE(2, 2), 12, 13, 22, 23);
    one_end(&c);
}

/* x [1,2,1,3] channels-last; the operand of channels stays plain. */
static void
channels_last_operands(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 1, 3), 1, 4, 2, 5, 3, 6);
    IN_F(&c, SHAPE(2, 1, 1), 10, 20);
    one_node(&c, OP_ADD, 1);
    graph_value(c.g, c.in[0])->layout = LAYOUT_NXC;
    node_out(c.g, c.n, 0)->layout = LAYOUT_NXC;
    WANT_F(&c, 0, SHAPE(1, 2, 1, 3), 11, 24, 12, 25, 13, 26);
    one_end(&c);
}

static void
compares_and_chooses(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3), 1, NAN, 3);
    IN_F(&c, SHAPE(1), 2);
    one_node(&c, OP_LESS_EQUAL, 1);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(3), 1, 0, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2, 1), 1, 0);
    IN_I(&c, SHAPE(2), 1, 2);
    IN_I(&c, SCALAR, 9);
    one_node(&c, OP_WHERE, 1);
    WANT_I(&c, 0, SHAPE(2, 2), 1, 2, 9, 9);
    one_end(&c);
}

static void
refuses_contradictions(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_F(&c, SHAPE(3), 1, 2, 3);
    one_node(&c, OP_ADD, 1);
    one_fails(&c, ERR_INVALID, "[2] and [3]: cannot broadcast");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_ADD, 1);
    one_fails(&c, ERR_INVALID, "is int64 but");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1), 1);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_PRELU, 1);
    one_fails(&c, ERR_INVALID, "slope [2] does not broadcast to [1]");
    one_end(&c);

    /* Two small files' worth of shapes whose product is beyond memory. */
    one_begin(&c);
    one_in(&c, DTYPE_FLOAT, &SHAPE(1 << 30, 1), NULL);
    one_in(&c, DTYPE_FLOAT, &SHAPE(1, (int64_t)1 << 31), NULL);
    one_node(&c, OP_ADD, 1);
    one_fails(&c, ERR_INVALID, "is not possible");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcasts_both_ways),
        cmocka_unit_test(extremes_keep_nan),
        cmocka_unit_test(integer_division_never_traps),
        cmocka_unit_test(remainders_have_a_sign),
        cmocka_unit_test(bits_are_shifted_out),
        cmocka_unit_test(bits_of_integers),
        cmocka_unit_test(powers_of_mixed_types),
        cmocka_unit_test(variadic_with_one_and_many),
        cmocka_unit_test(channels_last_operands),
        cmocka_unit_test(compares_and_chooses),
        cmocka_unit_test(refuses_contradictions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
