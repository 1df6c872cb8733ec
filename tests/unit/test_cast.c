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
to_type(struct one *c, enum dtype t)
{
    one_node(c, OP_CAST, 1);
    attr_set_int(c->g, c->n, "to", t);
}

static void
reals_are_cut(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(6), 1.9f, -1.9f, 300, -300, NAN, INFINITY);
    to_type(&c, DTYPE_INT8);
    ONE_WANT(&c, 0, INT8, int8_t, SHAPE(6), 1, -1, 44, -44, 0, 0);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(3), -1, 255.9f, 257);
    to_type(&c, DTYPE_UINT8);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 255, 255, 1);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(4), -2147483648.0f, 3e9f, NAN, -INFINITY);
    to_type(&c, DTYPE_INT32);
    ONE_WANT(&c, 0, INT32, int32_t, SHAPE(4), INT32_MIN, INT32_MIN, INT32_MIN,
             INT32_MIN);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, DOUBLE, double, SHAPE(3), 1e30, -1e30, 2251799813685249.5);
    to_type(&c, DTYPE_INT64);
    WANT_I(&c, 0, SHAPE(3), INT64_MIN, INT64_MIN, 2251799813685249);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, DOUBLE, double, SHAPE(3), -1, 0x1p63, 3e9);
    to_type(&c, DTYPE_UINT64);
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(3), UINT64_MAX, (uint64_t)1 << 63,
             3000000000);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(3), 0, -0.5f, NAN);
    to_type(&c, DTYPE_BOOL);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(3), 0, 1, 1);
    one_end(&c);
}

static void
integers_wrap(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_I(&c, SHAPE(3), 257, -1, INT64_MIN);
    to_type(&c, DTYPE_UINT8);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(3), 1, 255, 0);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(1), UINT64_MAX);
    to_type(&c, DTYPE_DOUBLE);
    ONE_WANT(&c, 0, DOUBLE, double, SHAPE(1), 18446744073709551615.0);
    one_end(&c);
}

static void
half_precision_there_and_back(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3), 1, 65520, -2);
    to_type(&c, DTYPE_FLOAT16);
    assert_int_equal(one_run(&c), 0);
    assert_int_equal(((const uint16_t *)node_out(c.g, c.n, 0)->data)[0],
                     0x3c00);
    assert_int_equal(((const uint16_t *)node_out(c.g, c.n, 0)->data)[1],
                     0x7c00);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, BFLOAT16, uint16_t, SHAPE(2), 0x3f80, 0xc000);
    to_type(&c, DTYPE_FLOAT);
    WANT_F(&c, 0, SHAPE(2), 1, -2);
    one_end(&c);
}

/* Each half there is: its value by arithmetic, and itself again. */
static void
every_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const int exp = (int)(h >> 10 & 31), frac = (int)(h & 1023);
        const float sign = h >> 15 != 0 ? -1 : 1;
        uint16_t half = (uint16_t)h, back;
        float have, want;

        want = exp == 0   ? ldexpf((float)frac, -24)
               : exp < 31 ? ldexpf((float)(frac + 1024), exp - 25)
                          : INFINITY;
        dtype_widen(DTYPE_FLOAT16, &have, &half, 1);
        if (exp == 31 && frac != 0) {
            assert_true(isnan(have));
            continue;
        }
        assert_true(have == sign * want && signbit(have) == signbit(sign));
        dtype_narrow(DTYPE_FLOAT16, &back, &have, 1);
        assert_int_equal(back, half);
    }
}

/* More elements than are converted at once, across rows. */
static void
long_rows(void **state)
{
    int32_t x[1000];
    float y[1000];
    struct one c;

    (void)state;
    for (int i = 0; i < 1000; i++)
        y[i] = (float)(x[i] = i * 7 - 3000);
    one_begin(&c);
    one_in(&c, DTYPE_INT32, &SHAPE(10, 100), x);
    to_type(&c, DTYPE_FLOAT);
    one_want(&c, 0, DTYPE_FLOAT, &SHAPE(10, 100), y);
    one_end(&c);
}

static void
refuses_types_it_does_not_know(void **state)
{
    static const int64_t types[] = {0, 8, 14, 99, -1, INT64_MAX};
    struct one c;

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(1), 1);
        one_node(&c, OP_CAST, 1);
        attr_set_int(c.g, c.n, "to", types[i]);
        one_fails(&c, ERR_UNSUPPORTED, "no type that is supported");
        one_end(&c);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_are_cut),
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(half_precision_there_and_back),
        cmocka_unit_test(every_half),
        cmocka_unit_test(long_rows),
        cmocka_unit_test(refuses_types_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
