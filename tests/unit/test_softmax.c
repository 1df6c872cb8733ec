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
large_numbers_do_not_overflow(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1e4f, 1e4f, -200, -200);
    one_node(&c, OP_SOFTMAX, 1);
    WANT_F(&c, 0, SHAPE(2, 2), 0.5f, 0.5f, 0.5f, 0.5f);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 0, 1e4f);
    one_node(&c, OP_LOG_SOFTMAX, 1);
    attr_set_int(c.g, c.n, "axis", 0);
    WANT_F(&c, 0, SHAPE(2, 1), -1e4f, 0);
    one_end(&c);
}

/* As numpy computes exp(x - max) / sum. */
static void
infinities_and_nan(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(4, 2), -INFINITY, 0, -INFINITY, -INFINITY, INFINITY, 0, NAN,
         0);
    one_node(&c, OP_SOFTMAX, 1);
    WANT_F(&c, 0, SHAPE(4, 2), 0, 1, NAN, NAN, NAN, NAN, NAN, NAN);
    one_end(&c);
}

static void
axes_in_the_middle_and_none(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2), 0, 5, 0, 5);
    one_node(&c, OP_SOFTMAX, 1);
    attr_set_int(c.g, c.n, "axis", 1);
    WANT_F(&c, 0, SHAPE(1, 2, 2), 0.5f, 0.5f, 0.5f, 0.5f);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(3, 0), 0);
    one_node(&c, OP_SOFTMAX, 1);
    WANT_F(&c, 0, SHAPE(3, 0), 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SCALAR, 0);
    one_node(&c, OP_SOFTMAX, 1);
    one_fails(&c, ERR_INVALID, "axis -1 is outside rank 0");
    one_end(&c);
}

static void
hardmax_is_the_first_of_equals(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 1, 3, 3, 5, NAN, 7);
    one_node(&c, OP_HARDMAX, 1);
    WANT_F(&c, 0, SHAPE(2, 3), 0, 1, 0, 0, 1, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 0), 0);
    one_node(&c, OP_HARDMAX, 1);
    WANT_F(&c, 0, SHAPE(2, 0), 0);
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_numbers_do_not_overflow),
        cmocka_unit_test(infinities_and_nan),
        cmocka_unit_test(axes_in_the_middle_and_none),
        cmocka_unit_test(hardmax_is_the_first_of_equals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
