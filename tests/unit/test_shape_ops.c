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
shapes_become_values(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    one_in(&c, DTYPE_FLOAT, &SHAPE(2, 0, 5), NULL);
    one_node(&c, OP_SHAPE, 1);
    attr_set_int(c.g, c.n, "start", -2);
    attr_set_int(c.g, c.n, "end", 100);
    WANT_I(&c, 0, SHAPE(2), 0, 5);
    one_end(&c);

    one_begin(&c);
    one_in(&c, DTYPE_FLOAT, &SHAPE(2, 5), NULL);
    one_node(&c, OP_SHAPE, 1);
    attr_set_int(c.g, c.n, "start", 2);
    attr_set_int(c.g, c.n, "end", INT64_MIN);
    WANT_I(&c, 0, SHAPE(0), 0);
    one_end(&c);

    one_begin(&c);
    one_in(&c, DTYPE_FLOAT, &SCALAR, NULL);
    one_node(&c, OP_SIZE, 1);
    WANT_I(&c, 0, SCALAR, 1);
    one_end(&c);
}

static void
ranges_end_before_the_limit(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_I(&c, SCALAR, 10);
    IN_I(&c, SCALAR, 4);
    IN_I(&c, SCALAR, -4);
    one_node(&c, OP_RANGE, 1);
    WANT_I(&c, 0, SHAPE(2), 10, 6);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SCALAR, 1);
    IN_F(&c, SCALAR, 5);
    IN_F(&c, SCALAR, 1.5f);
    one_node(&c, OP_RANGE, 1);
    WANT_F(&c, 0, SHAPE(3), 1, 2.5f, 4);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SCALAR, INT64_MIN);
    IN_I(&c, SCALAR, INT64_MAX);
    IN_I(&c, SCALAR, INT64_MAX);
    one_node(&c, OP_RANGE, 1);
    WANT_I(&c, 0, SHAPE(3), INT64_MIN, -1, INT64_MAX - 1);
    one_end(&c);
}

static void
endless_ranges_are_refused(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_I(&c, SCALAR, 0);
    IN_I(&c, SCALAR, 1);
    IN_I(&c, SCALAR, 0);
    one_node(&c, OP_RANGE, 1);
    one_fails(&c, ERR_INVALID, "delta is 0");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SCALAR, 0);
    IN_F(&c, SCALAR, INFINITY);
    IN_F(&c, SCALAR, 1);
    one_node(&c, OP_RANGE, 1);
    one_fails(&c, ERR_INVALID, "no end");
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SCALAR, INT64_MIN);
    IN_I(&c, SCALAR, INT64_MAX);
    IN_I(&c, SCALAR, 1);
    one_node(&c, OP_RANGE, 1);
    one_fails(&c, ERR_INVALID, "is not possible");
    one_end(&c);
}

static void
constants_of_a_shape(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_I(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_CONSTANT_OF_SHAPE, 1);
    WANT_F(&c, 0, SHAPE(1, 2), 0, 0);
    one_end(&c);

    one_begin(&c);
    one_in(&c, DTYPE_INT64, &SHAPE(0), (int64_t[]){0});
    one_node(&c, OP_CONSTANT_OF_SHAPE, 1);
    WANT_F(&c, 0, SCALAR, 0);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(1), -1);
    one_node(&c, OP_CONSTANT_OF_SHAPE, 1);
    one_fails(&c, ERR_INVALID, "is not possible");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_become_values),
        cmocka_unit_test(ranges_end_before_the_limit),
        cmocka_unit_test(endless_ranges_are_refused),
        cmocka_unit_test(constants_of_a_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
