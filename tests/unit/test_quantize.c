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
rounds_halves_to_even_and_saturates(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(8), 1, 3, 5, -200, 1e30f, -1e30f, INFINITY, NAN);
    IN_F(&c, SCALAR, 2);
    ONE_IN(&c, UINT8, uint8_t, SCALAR, 10);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(8), 10, 12, 12, 0, 255, 0, 255, 10);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(3), -0.5f, 0.5f, 127.5f);
    IN_F(&c, SCALAR, 1);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 0, 0, 128);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), -300, 300);
    IN_F(&c, SHAPE(1), 1);
    ONE_IN(&c, INT8, int8_t, SHAPE(1), 1);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(2), -128, 127);
    one_end(&c);
}

/* One scale for two places of axis 0, the last for one; each column its own. */
static void
in_blocks_and_back(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3, 2), 2, 30, 4, 50, 700, 9);
    IN_F(&c, SHAPE(2, 2), 1, 10, 100, 3);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(2, 2), 0, 1, 2, 3);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    attr_set_int(c.g, c.n, "block_size", 2);
    attr_set_int(c.g, c.n, "axis", 0);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3, 2), 2, 4, 4, 6, 9, 6);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(3, 2), 2, 4, 4, 6, 9, 6);
    IN_F(&c, SHAPE(2, 2), 1, 10, 100, 3);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(2, 2), 0, 1, 2, 3);
    one_node(&c, OP_DEQUANTIZE_LINEAR, 1);
    attr_set_int(c.g, c.n, "block_size", 2);
    attr_set_int(c.g, c.n, "axis", 0);
    WANT_F(&c, 0, SHAPE(3, 2), 2, 30, 4, 50, 700, 9);
    one_end(&c);
}

static void
by_channel_and_back(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2), 1, 2, 30, -40);
    IN_F(&c, SHAPE(2), 1, 10);
    ONE_IN(&c, INT8, int8_t, SHAPE(2), 0, 5);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(1, 2, 2), 1, 2, 8, 1);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, INT8, int8_t, SHAPE(1, 2, 2), 1, 2, 8, 1);
    IN_F(&c, SHAPE(2), 1, 10);
    ONE_IN(&c, INT8, int8_t, SHAPE(2), 0, 5);
    one_node(&c, OP_DEQUANTIZE_LINEAR, 1);
    WANT_F(&c, 0, SHAPE(1, 2, 2), 1, 2, 30, -40);
    one_end(&c);
}

/* Plain in, channels-last out: x [1,2,1,2], scales on the channels. */
static void
each_side_in_its_layout(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 1, 2), 1, 2, 30, 40);
    IN_F(&c, SHAPE(2), 1, 10);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    node_out(c.g, c.n, 0)->layout = LAYOUT_NXC;
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(1, 2, 1, 2), 1, 3, 2, 4);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 1, 2), 1, 3, 2, 4);
    one_node(&c, OP_REORDER, 1);
    node_in(c.g, c.n, 0)->layout = LAYOUT_NXC;
    WANT_F(&c, 0, SHAPE(1, 2, 1, 2), 1, 2, 3, 4);
    one_end(&c);
}

static void
accumulators_come_back(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, INT32, int32_t, SHAPE(2), INT_MAX, INT_MIN);
    IN_F(&c, SCALAR, 0.5f);
    one_node(&c, OP_DEQUANTIZE_LINEAR, 1);
    WANT_F(&c, 0, SHAPE(2), 1073741824.0f, -1073741824.0f);
    one_end(&c);
}

static void
dynamic_ranges(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3), -1, 0, 4.1f);
    one_node(&c, OP_DYNAMIC_QUANTIZE_LINEAR, 3);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 0, 50, 255);
    WANT_F(&c, 1, SCALAR, 0.02f);
    ONE_WANT(&c, 2, UINT8, uint8_t, SCALAR, 50);
    one_end(&c);

    /* Nothing to spread: any scale does, but not 0. */
    one_begin(&c);
    IN_F(&c, SHAPE(2), 0, 0);
    one_node(&c, OP_DYNAMIC_QUANTIZE_LINEAR, 3);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(2), 0, 0);
    WANT_F(&c, 1, SCALAR, 1);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1), -200);
    one_node(&c, OP_DYNAMIC_QUANTIZE_LINEAR, 3);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(1), 0);
    ONE_WANT(&c, 2, UINT8, uint8_t, SCALAR, 255);
    one_end(&c);
}

static void
refuses_what_does_not_fit(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 3), 1, 2, 3);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    one_fails(&c, ERR_INVALID, "2 scales for axis 1 of [1,3]");
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1), 1);
    IN_F(&c, SCALAR, 1);
    ONE_IN(&c, INT8, int8_t, SCALAR, 1);
    one_node(&c, OP_DEQUANTIZE_LINEAR, 1);
    one_fails(&c, ERR_INVALID, "is int8 but");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 2, 3, 4);
    IN_F(&c, SHAPE(2, 1), 1, 1);
    one_node(&c, OP_QUANTIZE_LINEAR, 1);
    one_fails(&c, ERR_INVALID, "there is no block_size");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_halves_to_even_and_saturates),
        cmocka_unit_test(by_channel_and_back),
        cmocka_unit_test(in_blocks_and_back),
        cmocka_unit_test(each_side_in_its_layout),
        cmocka_unit_test(accumulators_come_back),
        cmocka_unit_test(dynamic_ranges),
        cmocka_unit_test(refuses_what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
