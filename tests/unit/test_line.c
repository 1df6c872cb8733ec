/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static void
cum_sum(int exclusive, int reverse, const int64_t want[3])
{
    struct one c;

    one_begin(&c);
    IN_I(&c, SHAPE(3, 1), 1, 2, 4);
    ONE_IN(&c, INT32, int32_t, SCALAR, -2);
    one_node(&c, OP_CUM_SUM, 1);
    attr_set_int(c.g, c.n, "exclusive", exclusive);
    attr_set_int(c.g, c.n, "reverse", reverse);
    one_want(&c, 0, DTYPE_INT64, &SHAPE(3, 1), want);
    one_end(&c);
}

static void
sums_along_an_axis(void **state)
{
    struct one c;

    (void)state;
    cum_sum(0, 0, (int64_t[]){1, 3, 7});
    cum_sum(1, 0, (int64_t[]){0, 1, 3});
    cum_sum(0, 1, (int64_t[]){7, 6, 4});
    cum_sum(1, 1, (int64_t[]){6, 4, 0});

    /* The axis is data: it is wrong only when the graph runs. */
    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SCALAR, 1);
    one_node(&c, OP_CUM_SUM, 1);
    assert_int_equal(ops_infer(c.g, c.n, &c.e), 0);
    one_fails(&c, ERR_INVALID, "axis 1");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 0), 0);
    IN_I(&c, SCALAR, 1);
    one_node(&c, OP_CUM_SUM, 1);
    WANT_F(&c, 0, SHAPE(2, 0), 0);
    one_end(&c);
}

static void
one_of_depth(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(4), 1, -1, 3, -4);
    ONE_IN(&c, FLOAT, float, SCALAR, 3);
    IN_I(&c, SHAPE(2), 5, 9);
    one_node(&c, OP_ONE_HOT, 1);
    attr_set_int(c.g, c.n, "axis", 0);
    WANT_I(&c, 0, SHAPE(3, 4), 5, 5, 5, 5, 9, 5, 5, 5, 5, 9, 5, 5);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(1), 0);
    IN_I(&c, SCALAR, -1);
    IN_I(&c, SHAPE(2), 0, 1);
    one_node(&c, OP_ONE_HOT, 1);
    one_fails(&c, ERR_INVALID, "depth is -1");
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(1), 0);
    one_in(&c, DTYPE_INT64, &SCALAR, NULL);
    IN_I(&c, SHAPE(2), 0, 1);
    one_node(&c, OP_ONE_HOT, 1);
    one_fails(&c, ERR_UNSUPPORTED, "depends on data");
    one_end(&c);
}

static void
turns_the_first_places_round(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3, 2), 1, 2, 3, 4, 5, 6);
    IN_I(&c, SHAPE(2), 3, 2);
    one_node(&c, OP_REVERSE_SEQUENCE, 1);
    WANT_F(&c, 0, SHAPE(3, 2), 5, 4, 3, 2, 1, 6);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 2, 1), 1, 2, 3, 4);
    IN_I(&c, SHAPE(2), 0, 2);
    one_node(&c, OP_REVERSE_SEQUENCE, 1);
    attr_set_int(c.g, c.n, "batch_axis", 0);
    attr_set_int(c.g, c.n, "time_axis", 1);
    WANT_F(&c, 0, SHAPE(2, 2, 1), 1, 2, 4, 3);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_I(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_REVERSE_SEQUENCE, 1);
    one_fails(&c, ERR_INVALID, "is outside 0..1");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_I(&c, SHAPE(2), 1, 1);
    one_node(&c, OP_REVERSE_SEQUENCE, 1);
    attr_set_int(c.g, c.n, "time_axis", 1);
    one_fails(&c, ERR_INVALID, "must be the first two axes");
    one_end(&c);
}

static void
lines_of_norm_one(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 3, 0, 4, 0);
    one_node(&c, OP_LP_NORMALIZATION, 1);
    attr_set_int(c.g, c.n, "axis", 0);
    WANT_F(&c, 0, SHAPE(2, 2), 0.6f, 0, 0.8f, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), -1, 3);
    one_node(&c, OP_LP_NORMALIZATION, 1);
    attr_set_int(c.g, c.n, "p", 1);
    WANT_F(&c, 0, SHAPE(2), -0.25f, 0.75f);
    one_end(&c);
}

static void
diagonals(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8);
    IN_I(&c, SCALAR, -1);
    one_node(&c, OP_TRILU, 1);
    attr_set_int(c.g, c.n, "upper", 0);
    WANT_F(&c, 0, SHAPE(2, 2, 2), 0, 0, 3, 0, 0, 0, 7, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_I(&c, SHAPE(1), INT64_MIN);
    one_node(&c, OP_TRILU, 1);
    WANT_F(&c, 0, SHAPE(1, 2), 1, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 0), 0);
    one_node(&c, OP_TRILU, 1);
    WANT_F(&c, 0, SHAPE(2, 0), 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 0, 0, 0, 0, 0, 0);
    one_node(&c, OP_EYE_LIKE, 1);
    attr_set_int(c.g, c.n, "k", 1);
    attr_set_int(c.g, c.n, "dtype", DTYPE_INT64);
    WANT_I(&c, 0, SHAPE(2, 3), 0, 1, 0, 0, 0, 1);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 0, 0);
    one_node(&c, OP_EYE_LIKE, 1);
    one_fails(&c, ERR_INVALID, "want rank 2");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_along_an_axis),
        cmocka_unit_test(one_of_depth),
        cmocka_unit_test(turns_the_first_places_round),
        cmocka_unit_test(lines_of_norm_one),
        cmocka_unit_test(diagonals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
