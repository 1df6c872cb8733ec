/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static void
first_k_in_order(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(6), 3, 7, 7, -1, NAN, 7);
    IN_I(&c, SHAPE(1), 4);
    one_node(&c, OP_TOP_K, 2);
    WANT_F(&c, 0, SHAPE(4), NAN, 7, 7, 7);
    WANT_I(&c, 1, SHAPE(4), 4, 1, 2, 5);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(3, 2), 1, 6, 2, 5, 0, 7);
    IN_I(&c, SCALAR, 2);
    one_node(&c, OP_TOP_K, 2);
    attr_set_int(c.g, c.n, "axis", 0);
    attr_set_int(c.g, c.n, "largest", 0);
    WANT_F(&c, 0, SHAPE(2, 2), 0, 5, 1, 6);
    WANT_I(&c, 1, SHAPE(2, 2), 2, 1, 0, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(3), 1, UINT64_MAX, 2);
    IN_I(&c, SHAPE(1), 3);
    one_node(&c, OP_TOP_K, 2);
    WANT_I(&c, 1, SHAPE(3), 1, 2, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    IN_I(&c, SHAPE(1), 0);
    one_node(&c, OP_TOP_K, 2);
    WANT_F(&c, 0, SHAPE(2, 0), 0);
    one_end(&c);
}

/* Against a plain sort, with many equals. */
static void
top_k_of_many(void **state)
{
    enum { N = 200 };
    float x[N], sorted[N];
    struct one c;

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = sorted[i] = (float)(i * 7919 % 53);
    for (int i = 1; i < N; i++)
        for (int j = i; j > 0 && sorted[j - 1] < sorted[j]; j--) {
            float t = sorted[j];

            sorted[j] = sorted[j - 1];
            sorted[j - 1] = t;
        }
    for (int64_t k = 1; k <= N; k += 33) {
        one_begin(&c);
        one_in(&c, DTYPE_FLOAT, &SHAPE(N), x);
        IN_I(&c, SHAPE(1), k);
        one_node(&c, OP_TOP_K, 1);
        one_want(&c, 0, DTYPE_FLOAT, &SHAPE(k), sorted);
        one_end(&c);
    }
}

static void
k_must_fit_and_be_known(void **state)
{
    static const int64_t bad[] = {4, -1, INT64_MAX};
    struct one c;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(3), 1, 2, 3);
        IN_I(&c, SHAPE(1), bad[i]);
        one_node(&c, OP_TOP_K, 2);
        one_fails(&c, ERR_INVALID, "of 3");
        one_end(&c);
    }
    one_begin(&c);
    IN_F(&c, SHAPE(3), 1, 2, 3);
    one_in(&c, DTYPE_INT64, &SHAPE(1), NULL);
    one_node(&c, OP_TOP_K, 2);
    one_fails(&c, ERR_UNSUPPORTED, "depends on data");
    one_end(&c);
}

static void
compresses_a_line_or_all(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2), 0, 1);
    one_node(&c, OP_COMPRESS, 1);
    attr_set_int(c.g, c.n, "axis", -1);
    WANT_F(&c, 0, SHAPE(2, 1), 2, 5);
    one_end(&c);

    /* More conditions than elements: the rest says nothing. */
    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(4), 0, 1, 1, 1);
    one_node(&c, OP_COMPRESS, 1);
    WANT_F(&c, 0, SHAPE(1), 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    one_in(&c, DTYPE_BOOL, &SHAPE(2), NULL);
    one_node(&c, OP_COMPRESS, 1);
    one_fails(&c, ERR_UNSUPPORTED, "depends on data");
    one_end(&c);
}

static void
where_it_is_not_zero(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 0, NAN, -0.0f, 3);
    one_node(&c, OP_NON_ZERO, 1);
    WANT_I(&c, 0, SHAPE(2, 2), 0, 1, 1, 1);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SHAPE(0), 0);
    one_node(&c, OP_NON_ZERO, 1);
    WANT_I(&c, 0, SHAPE(1, 0), 0);
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_k_in_order),
        cmocka_unit_test(top_k_of_many),
        cmocka_unit_test(k_must_fit_and_be_known),
        cmocka_unit_test(compresses_a_line_or_all),
        cmocka_unit_test(where_it_is_not_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
