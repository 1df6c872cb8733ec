/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element types beside float32: what integers do at their ends, doubles in
 * kernels that are written for float32, bools, nothing and scalars.  The same
 * is asked of ONNX Runtime, for every operator and type, by tests/e2e.
 */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

/* --- integers ---------------------------------------------------------------
 */

/* Two int8 in, one out, at the ends of the type. */
static void
int8_at_its_ends(void **state)
{
    static const struct {
        enum op op;
        int8_t a, b, y;
    } cases[] = {
        {OP_ADD, 127, 1, -128},      {OP_SUB, -128, 1, 127},
        {OP_MUL, 64, 2, -128},       {OP_DIV, -7, 2, -3},
        {OP_DIV, -128, -1, -128},    {OP_DIV, 5, 0, 0},
        {OP_MOD, -7, 3, 2},          {OP_MOD, 7, -3, -2},
        {OP_MOD, -128, -1, 0},       {OP_MOD, 5, 0, 0},
        {OP_MAX, -128, 127, 127},    {OP_MIN, -128, 127, -128},
        {OP_POW, 2, 7, -128},        {OP_POW, -1, 3, -1},
        {OP_BITWISE_XOR, -1, 1, -2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct one c;

        one_begin(&c);
        one_in(&c, DTYPE_INT8, &SHAPE(1), &cases[i].a);
        one_in(&c, DTYPE_INT8, &SHAPE(1), &cases[i].b);
        one_node(&c, cases[i].op, 1);
        one_want(&c, 0, DTYPE_INT8, &SHAPE(1), &cases[i].y);
        one_end(&c);
    }
}

static void
wide_integers_keep_their_digits(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), UINT64_MAX, 1);
    one_node(&c, OP_REDUCE_MAX, 1);
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(1), UINT64_MAX);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(3), INT64_MIN, INT64_MAX, 5);
    one_node(&c, OP_ABS, 1);
    WANT_I(&c, 0, SHAPE(3), INT64_MIN, INT64_MAX, 5);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(3), INT64_MAX, 1, 2);
    IN_I(&c, SCALAR, 0);
    one_node(&c, OP_CUM_SUM, 1);
    WANT_I(&c, 0, SHAPE(3), INT64_MAX, INT64_MIN, INT64_MIN + 2);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), 1, UINT64_MAX);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), 63, 64);
    one_node(&c, OP_BIT_SHIFT, 1);
    attr_set_string(c.g, c.n, "direction", "LEFT");
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(2), (uint64_t)1 << 63, 0);
    one_end(&c);
}

static void
bounds_and_places_of_integers(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(3), 0, 7, 255);
    ONE_IN(&c, UINT8, uint8_t, SCALAR, 5);
    ONE_IN(&c, UINT8, uint8_t, SCALAR, 200);
    one_node(&c, OP_CLIP, 1);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 5, 7, 200);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, INT16, int16_t, SHAPE(4), 3, -1, 3, -1);
    one_node(&c, OP_ARG_MAX, 1);
    WANT_I(&c, 0, SHAPE(1), 0); /* the first of equals */
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(4), 3, 200, 3, 200);
    IN_I(&c, SHAPE(1), 3);
    one_node(&c, OP_TOP_K, 2);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 200, 200, 3);
    WANT_I(&c, 1, SHAPE(3), 1, 3, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, INT32, int32_t, SHAPE(3), -3, 0, 3);
    one_node(&c, OP_SHRINK, 1);
    attr_set_float(c.g, c.n, "lambd", 1);
    attr_set_float(c.g, c.n, "bias", 1);
    ONE_WANT(&c, 0, INT32, int32_t, SHAPE(3), -2, 0, 2);
    one_end(&c);
}

/* --- bools ------------------------------------------------------------------
 */

static void
bools_are_joined(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2), 0, 1);
    IN_I(&c, SHAPE(2), 0, 0);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2), 1, 1);
    one_node(&c, OP_SCATTER_ELEMENTS, 1);
    attr_set_string(c.g, c.n, "reduction", "add");
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(2), 1, 1);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2, 0), 0);
    one_node(&c, OP_REDUCE_MIN, 1);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(1, 1), 1);
    one_end(&c);
}

/* --- doubles ----------------------------------------------------------------
 */

/* Kernels for float32 get their doubles converted, posts' operands too. */
static void
doubles_through_float(void **state)
{
    struct post *p;
    struct one c;
    int id;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, DOUBLE, double, SHAPE(1, 1, 2, 2), 1, 2, 3, 4);
    ONE_IN(&c, DOUBLE, double, SHAPE(1, 1, 2, 2), 1, 1, 1, 0.5);
    ONE_IN(&c, DOUBLE, double, SHAPE(1), -10);
    one_node(&c, OP_CONV, 1);
    id = graph_add_const(c.g, NULL, DTYPE_DOUBLE, &SHAPE(1, 1, 1, 1),
                         &(double){0.25});
    p = &c.n->posts[c.n->n_posts++];
    *p = (struct post){.op = OP_ADD, .in = graph_append_input(c.g, c.n, id)};
    ONE_WANT(&c, 0, DOUBLE, double, SHAPE(1, 1, 1, 1), -1.75);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, DOUBLE, double, SHAPE(1, 2), 1, 3);
    ONE_IN(&c, DOUBLE, double, SHAPE(2), 2, 2);
    one_node(&c, OP_LAYER_NORMALIZATION, 1);
    attr_set_float(c.g, c.n, "epsilon", 0);
    ONE_WANT(&c, 0, DOUBLE, double, SHAPE(1, 2), -2, 2);
    one_end(&c);
}

/* Recurrent kernels want scratch of their own behind the converted tensors. */
static void
doubles_through_a_recurrent_net(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, DOUBLE, double, SHAPE(2, 1, 1), 1, 1);
    ONE_IN(&c, DOUBLE, double, SHAPE(1, 1, 1), 0.5);
    ONE_IN(&c, DOUBLE, double, SHAPE(1, 1, 1), 1);
    one_absent(&c);
    ONE_IN(&c, INT32, int32_t, SHAPE(1), 2); /* stays what it is */
    one_node(&c, OP_RNN, 2);
    attr_set_int(c.g, c.n, "hidden_size", 1);
    ONE_WANT(&c, 1, DOUBLE, double, SHAPE(1, 1, 1),
             0.74521974); /* tanh(0.5 + tanh(0.5)) */
    one_end(&c);
}

static void
bytes_are_resized(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1, 1, 1, 2), 10, 21);
    one_absent(&c);
    one_absent(&c);
    IN_I(&c, SHAPE(4), 1, 1, 1, 4);
    one_node(&c, OP_RESIZE, 1);
    attr_set_string(c.g, c.n, "mode", "linear");
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(1, 1, 1, 4), 10, 12, 18, 21);
    one_end(&c);
}

/* --- nothing, and scalars ---------------------------------------------------
 */

static void
nothing_times_nothing(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, DOUBLE, double, SHAPE(2, 0), 0);
    ONE_IN(&c, DOUBLE, double, SHAPE(0, 1), 0);
    one_node(&c, OP_MATMUL, 1);
    ONE_WANT(&c, 0, DOUBLE, double, SHAPE(2, 1), 0, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, DOUBLE, double, SHAPE(0, 1, 2, 2), 0);
    ONE_IN(&c, DOUBLE, double, SHAPE(1, 1, 2, 2), 1, 1, 1, 1);
    one_node(&c, OP_CONV, 1);
    ONE_WANT(&c, 0, DOUBLE, double, SHAPE(0, 1, 1, 1), 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, INT8, int8_t, SCALAR, 3);
    one_node(&c, OP_REDUCE_SUM, 1);
    ONE_WANT(&c, 0, INT8, int8_t, SCALAR, 3);
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_at_its_ends),
        cmocka_unit_test(wide_integers_keep_their_digits),
        cmocka_unit_test(bounds_and_places_of_integers),
        cmocka_unit_test(bools_are_joined),
        cmocka_unit_test(doubles_through_float),
        cmocka_unit_test(doubles_through_a_recurrent_net),
        cmocka_unit_test(bytes_are_resized),
        cmocka_unit_test(nothing_times_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
