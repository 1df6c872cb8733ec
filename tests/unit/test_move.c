/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

#define INTS(c, name, ...)                                                     \
    attr_set_ints((c)->g, (c)->n, name, (const int64_t[]){__VA_ARGS__},        \
                  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static void
concat_and_split_are_inverse(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, INT8, int8_t, SHAPE(2, 1), 1, 2);
    ONE_IN(&c, INT8, int8_t, SHAPE(2, 0), 0);
    ONE_IN(&c, INT8, int8_t, SHAPE(2, 2), 3, 4, 5, 6);
    one_node(&c, OP_CONCAT, 1);
    attr_set_int(c.g, c.n, "axis", -1);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(2, 3), 1, 3, 4, 2, 5, 6);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, INT8, int8_t, SHAPE(2, 3), 1, 3, 4, 2, 5, 6);
    IN_I(&c, SHAPE(3), 1, 0, 2);
    one_node(&c, OP_SPLIT, 3);
    attr_set_int(c.g, c.n, "axis", 1);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(2, 1), 1, 2);
    ONE_WANT(&c, 1, INT8, int8_t, SHAPE(2, 0), 0);
    ONE_WANT(&c, 2, INT8, int8_t, SHAPE(2, 2), 3, 4, 5, 6);
    one_end(&c);
}

/* [1,1,1,2] and [1,2,1,2] channels-last become [1,3,1,2] channels-last. */
static void
concat_of_channels_last(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1, 2), 1, 2);
    IN_F(&c, SHAPE(1, 2, 1, 2), 3, 5, 4, 6);
    one_node(&c, OP_CONCAT, 1);
    attr_set_int(c.g, c.n, "axis", 1);
    for (int i = 0; i < 2; i++)
        graph_value(c.g, c.in[i])->layout = LAYOUT_NXC;
    node_out(c.g, c.n, 0)->layout = LAYOUT_NXC;
    WANT_F(&c, 0, SHAPE(1, 3, 1, 2), 1, 3, 5, 2, 4, 6);
    one_end(&c);
}

static void
slices_as_numpy_does(void **state)
{
    static const struct {
        int64_t start, end, step, n;
        float want[5];
    } cases[] = {
        {1, 3, 1, 2, {1, 2}},
        {-2, INT64_MAX, 1, 2, {3, 4}},
        {4, INT64_MIN, -2, 3, {4, 2, 0}},
        {0, 5, INT64_MAX, 1, {0}},
        {4, 0, INT64_MIN, 1, {4}},
        {3, 1, 1, 0, {0}},
        {-100, 100, 1, 5, {0, 1, 2, 3, 4}},
        {100, -100, -1, 5, {4, 3, 2, 1, 0}},
        {INT64_MIN, INT64_MAX, 4, 2, {0, 4}},
        {-6, INT64_MIN, -1, 1, {0}},
        {-6, 5, -1, 0, {0}},
    };
    struct one c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(5), 0, 1, 2, 3, 4);
        IN_I(&c, SHAPE(1), cases[i].start);
        IN_I(&c, SHAPE(1), cases[i].end);
        one_absent(&c);
        IN_I(&c, SHAPE(1), cases[i].step);
        one_node(&c, OP_SLICE, 1);
        one_want(&c, 0, DTYPE_FLOAT, &SHAPE(cases[i].n), cases[i].want);
        one_end(&c);
    }
}

static void
pads_in_four_ways(void **state)
{
    static const struct {
        const char *mode;
        float want[7];
    } cases[] = {
        {"constant", {9, 9, 1, 2, 3, 9, 9}},
        {"edge", {1, 1, 1, 2, 3, 3, 3}},
        {"reflect", {3, 2, 1, 2, 3, 2, 1}},
        {"wrap", {2, 3, 1, 2, 3, 1, 2}},
    };
    struct one c;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(3), 1, 2, 3);
        IN_I(&c, SHAPE(2), 2, 2);
        IN_F(&c, SCALAR, 9);
        one_node(&c, OP_PAD, 1);
        attr_set_string(c.g, c.n, "mode", cases[i].mode);
        one_want(&c, 0, DTYPE_FLOAT, &SHAPE(7), cases[i].want);
        one_end(&c);
    }
    /* A negative pad takes away; what is empty can grow by a constant. */
    one_begin(&c);
    IN_F(&c, SHAPE(3), 1, 2, 3);
    IN_I(&c, SHAPE(2), -1, 1);
    one_node(&c, OP_PAD, 1);
    WANT_F(&c, 0, SHAPE(3), 2, 3, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(0), 0);
    IN_I(&c, SHAPE(2), 1, 1);
    one_node(&c, OP_PAD, 1);
    WANT_F(&c, 0, SHAPE(2), 0, 0);
    one_end(&c);
}

static void
pads_of_some_axes(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_I(&c, SHAPE(2), 1, 2);
    one_absent(&c);
    IN_I(&c, SHAPE(1), -1);
    one_node(&c, OP_PAD, 1);
    WANT_F(&c, 0, SHAPE(1, 5), 0, 1, 2, 0, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_I(&c, SHAPE(2), 1, 2);
    one_absent(&c);
    IN_I(&c, SHAPE(2), 0, 1);
    one_node(&c, OP_PAD, 1);
    one_fails(&c, ERR_INVALID, "2 pads for 2 axes");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_I(&c, SHAPE(4), 1, 2, 0, 0);
    one_absent(&c);
    IN_I(&c, SHAPE(2), 1, -1);
    one_node(&c, OP_PAD, 1);
    one_fails(&c, ERR_INVALID, "axis 1 is named twice");
    one_end(&c);
}

static void
crops_and_pads_around_the_centre(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 4), 1, 2, 3, 4, 5, 6, 7, 8);
    IN_I(&c, SHAPE(2), 3, 1);
    one_node(&c, OP_CENTER_CROP_PAD, 1);
    WANT_F(&c, 0, SHAPE(3, 1), 2, 6, 0);
    one_end(&c);
}

static void
gathers_and_checks_indices(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    IN_I(&c, SHAPE(1, 2), 2, -3);
    one_node(&c, OP_GATHER, 1);
    attr_set_int(c.g, c.n, "axis", 1);
    WANT_F(&c, 0, SHAPE(2, 1, 2), 3, 1, 6, 4);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SCALAR, 1);
    one_node(&c, OP_GATHER, 1);
    WANT_F(&c, 0, SCALAR, 2);
    one_end(&c);

    for (int i = 0; i < 2; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(2), 1, 2);
        IN_I(&c, SCALAR, i == 0 ? 2 : INT64_MIN);
        one_node(&c, OP_GATHER, 1);
        one_fails(&c, ERR_INVALID, "is outside an axis of 2");
        one_end(&c);
    }
}

static void
transposes_and_blocks(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 1, 3), 1, 2, 3, 4, 5, 6);
    one_node(&c, OP_TRANSPOSE, 1);
    WANT_F(&c, 0, SHAPE(3, 1, 2), 1, 4, 2, 5, 3, 6);
    one_end(&c);

    for (int crd = 0; crd < 2; crd++) {
        one_begin(&c);
        IN_F(&c, SHAPE(1, 8, 1, 1), 0, 1, 2, 3, 4, 5, 6, 7);
        one_node(&c, OP_DEPTH_TO_SPACE, 1);
        attr_set_int(c.g, c.n, "blocksize", 2);
        attr_set_string(c.g, c.n, "mode", crd ? "CRD" : "DCR");
        if (crd)
            WANT_F(&c, 0, SHAPE(1, 2, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7);
        else
            WANT_F(&c, 0, SHAPE(1, 2, 2, 2), 0, 2, 4, 6, 1, 3, 5, 7);
        one_end(&c);
    }
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2, 2), 0, 1, 2, 3);
    one_node(&c, OP_SPACE_TO_DEPTH, 1);
    attr_set_int(c.g, c.n, "blocksize", 2);
    WANT_F(&c, 0, SHAPE(1, 4, 1, 1), 0, 1, 2, 3);
    one_end(&c);
}

static void
repeats(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    IN_I(&c, SHAPE(3), 2, 1, 2);
    one_node(&c, OP_EXPAND, 1);
    WANT_F(&c, 0, SHAPE(2, 2, 2), 1, 1, 2, 2, 1, 1, 2, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 2, 3, 4);
    IN_I(&c, SHAPE(2), 2, 2);
    one_node(&c, OP_TILE, 1);
    WANT_F(&c, 0, SHAPE(4, 4), 1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(1), 0);
    one_node(&c, OP_TILE, 1);
    WANT_F(&c, 0, SHAPE(0), 0);
    one_end(&c);
}

static void
views_share_bytes(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    IN_I(&c, SHAPE(3), 0, -1, 1);
    one_node(&c, OP_RESHAPE, 1);
    WANT_F(&c, 0, SHAPE(2, 3, 1), 1, 2, 3, 4, 5, 6);
    assert_ptr_equal(node_out(c.g, c.n, 0)->data, node_in(c.g, c.n, 0)->data);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 1), 1, 2);
    IN_I(&c, SHAPE(1), -1);
    one_node(&c, OP_SQUEEZE, 1);
    WANT_F(&c, 0, SHAPE(1, 2), 1, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(2), -1, 0);
    one_node(&c, OP_UNSQUEEZE, 1);
    WANT_F(&c, 0, SHAPE(1, 2, 1), 1, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 0, 3), 0);
    one_node(&c, OP_FLATTEN, 1);
    attr_set_int(c.g, c.n, "axis", 3);
    WANT_F(&c, 0, SHAPE(0, 1), 0);
    one_end(&c);
}

static void
refuses_bad_reshapes(void **state)
{
    static const struct {
        int64_t to[2];
        const char *says;
    } cases[] = {
        {{4, 2}, "[6] does not become [4,2]"},
        {{-1, -1}, "two new dimensions are -1"},
        {{-1, 4}, "does not become"},
        {{-2, -3}, "is not possible"},
        {{INT64_MAX, 2}, "is not possible"},
        {{6, 0}, "is copied from [6]"},
    };
    struct one c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(6), 1, 2, 3, 4, 5, 6);
        one_in(&c, DTYPE_INT64, &SHAPE(2), cases[i].to);
        one_node(&c, OP_RESHAPE, 1);
        one_fails(&c, ERR_INVALID, cases[i].says);
        one_end(&c);
    }
    one_begin(&c);
    IN_F(&c, SHAPE(6), 1, 2, 3, 4, 5, 6);
    one_in(&c, DTYPE_INT64, &SHAPE(2), NULL);
    one_node(&c, OP_RESHAPE, 1);
    one_fails(&c, ERR_UNSUPPORTED, "the new shape depends on data");
    one_end(&c);
}

static void
refuses_sizes_beyond_memory(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1), 1);
    IN_I(&c, SHAPE(2), (int64_t)1 << 40, (int64_t)1 << 40);
    one_node(&c, OP_EXPAND, 1);
    one_fails(&c, ERR_INVALID, "is not possible");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(1), INT64_MAX);
    one_node(&c, OP_TILE, 1);
    one_fails(&c, ERR_INVALID, "axis 0 repeats");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(2), INT64_MAX, INT64_MAX);
    one_node(&c, OP_PAD, 1);
    one_fails(&c, ERR_INVALID, "can't be padded");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(2), INT64_MIN, INT64_MAX);
    one_node(&c, OP_PAD, 1);
    one_fails(&c, ERR_INVALID, "can't be padded");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(2), INT64_MAX, -1);
    one_node(&c, OP_SPLIT, 2);
    one_fails(&c, ERR_INVALID, "part 0 of 2");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 2, 3, 4);
    one_node(&c, OP_TRANSPOSE, 1);
    INTS(&c, "perm", 0, 0);
    one_fails(&c, ERR_INVALID, "no permutation of 2 axes");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concat_and_split_are_inverse),
        cmocka_unit_test(concat_of_channels_last),
        cmocka_unit_test(slices_as_numpy_does),
        cmocka_unit_test(pads_in_four_ways),
        cmocka_unit_test(pads_of_some_axes),
        cmocka_unit_test(crops_and_pads_around_the_centre),
        cmocka_unit_test(gathers_and_checks_indices),
        cmocka_unit_test(transposes_and_blocks),
        cmocka_unit_test(repeats),
        cmocka_unit_test(views_share_bytes),
        cmocka_unit_test(refuses_bad_reshapes),
        cmocka_unit_test(refuses_sizes_beyond_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
