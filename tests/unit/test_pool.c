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

#define INTS(c, name, ...)                                                     \
    attr_set_ints((c)->g, (c)->n, name, (const int64_t[]){__VA_ARGS__},        \
                  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static void
max_says_where(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2, 3), 1, 9, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6);
    one_node(&c, OP_MAX_POOL, 2);
    INTS(&c, "kernel_shape", 2, 2);
    WANT_F(&c, 0, SHAPE(1, 2, 1, 2), 9, 9, -1, -2);
    WANT_I(&c, 1, SHAPE(1, 2, 1, 2), 1, 1, 6, 7);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2, 3), 1, 9, 3, 4, 5, 6);
    one_node(&c, OP_MAX_POOL, 2);
    INTS(&c, "kernel_shape", 2, 2);
    attr_set_int(c.g, c.n, "storage_order", 1);
    WANT_I(&c, 1, SHAPE(1, 1, 1, 2), 2, 2);
    one_end(&c);
}

/* Padding never wins against -200, and NaN always does. */
static void
max_of_hostile_numbers(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 4), -200, -200, NAN, -INFINITY);
    one_node(&c, OP_MAX_POOL, 1);
    INTS(&c, "kernel_shape", 2);
    INTS(&c, "pads", 1, 1);
    WANT_F(&c, 0, SHAPE(1, 1, 5), -200, -200, NAN, NAN, -INFINITY);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, INT8, int8_t, SHAPE(1, 1, 2), -128, -127);
    one_node(&c, OP_MAX_POOL, 1);
    INTS(&c, "kernel_shape", 2);
    INTS(&c, "pads", 1, 0);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(1, 1, 2), -128, -127);
    one_end(&c);
}

static void
average_counts_padding_or_not(void **state)
{
    struct one c;

    (void)state;
    for (int include = 0; include < 2; include++) {
        one_begin(&c);
        IN_F(&c, SHAPE(1, 1, 3), 3, 6, 9);
        one_node(&c, OP_AVERAGE_POOL, 1);
        INTS(&c, "kernel_shape", 3);
        INTS(&c, "pads", 1, 1);
        attr_set_int(c.g, c.n, "count_include_pad", include);
        if (include)
            WANT_F(&c, 0, SHAPE(1, 1, 3), 3, 6, 5);
        else
            WANT_F(&c, 0, SHAPE(1, 1, 3), 4.5f, 6, 7.5f);
        one_end(&c);
    }
}

/* What hangs over with ceil_mode is no padding and never counts. */
static void
ceil_mode_hangs_over(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 5), 1, 2, 3, 4, 8);
    one_node(&c, OP_AVERAGE_POOL, 1);
    INTS(&c, "kernel_shape", 2);
    INTS(&c, "strides", 2);
    attr_set_int(c.g, c.n, "ceil_mode", 1);
    attr_set_int(c.g, c.n, "count_include_pad", 1);
    WANT_F(&c, 0, SHAPE(1, 1, 3), 1.5f, 3.5f, 8);
    one_end(&c);

    /* The last window would lie in the padding alone: it is not there. */
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 4), 1, 2, 3, 4);
    one_node(&c, OP_MAX_POOL, 1);
    INTS(&c, "kernel_shape", 2);
    INTS(&c, "strides", 3);
    INTS(&c, "pads", 0, 2);
    attr_set_int(c.g, c.n, "ceil_mode", 1);
    WANT_F(&c, 0, SHAPE(1, 1, 2), 2, 4);
    one_end(&c);
}

static void
whole_images(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2, 2), 1, 2, 3, 4, -200, -200, -200, -200);
    one_node(&c, OP_GLOBAL_MAX_POOL, 1);
    WANT_F(&c, 0, SHAPE(1, 2, 1, 1), 4, -200);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2), 1, 2, INFINITY, -INFINITY);
    one_node(&c, OP_GLOBAL_AVERAGE_POOL, 1);
    WANT_F(&c, 0, SHAPE(1, 2, 1), 1.5f, NAN);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 0), 0);
    one_node(&c, OP_GLOBAL_AVERAGE_POOL, 1);
    WANT_F(&c, 0, SHAPE(1, 1, 1), NAN);
    one_end(&c);
}

static void
refuses_a_missing_kernel(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 3), 3, 6, 9);
    one_node(&c, OP_MAX_POOL, 1);
    one_fails(&c, ERR_INVALID, "kernel_shape is missing");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 3), 3, 6, 9);
    one_node(&c, OP_MAX_POOL, 1);
    one_fails(&c, ERR_INVALID, "no spatial axis");
    one_end(&c);
}

static void
norms_of_windows(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 3), 3, -4, 0);
    one_node(&c, OP_LP_POOL, 1);
    attr_set_ints(c.g, c.n, "kernel_shape", (int64_t[]){2}, 1);
    WANT_F(&c, 0, SHAPE(1, 1, 2), 5, 4);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2), 3, -4);
    one_node(&c, OP_LP_POOL, 1);
    attr_set_ints(c.g, c.n, "kernel_shape", (int64_t[]){2}, 1);
    attr_set_int(c.g, c.n, "p", 1);
    WANT_F(&c, 0, SHAPE(1, 1, 1), 7);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2), 3, -4);
    one_node(&c, OP_LP_POOL, 1);
    attr_set_ints(c.g, c.n, "kernel_shape", (int64_t[]){2}, 1);
    attr_set_int(c.g, c.n, "p", 0);
    one_fails(&c, ERR_INVALID, "p is 0");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_says_where),
        cmocka_unit_test(max_of_hostile_numbers),
        cmocka_unit_test(average_counts_padding_or_not),
        cmocka_unit_test(ceil_mode_hangs_over),
        cmocka_unit_test(whole_images),
        cmocka_unit_test(norms_of_windows),
        cmocka_unit_test(refuses_a_missing_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
