/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and strings as JSON: what is written reads back as what it was.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/emit.h"
#include "server/scan.h"

static uint32_t seed = 2463534242u;

static uint32_t
random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
}

static void
check(float x)
{
    char text[EMIT_NUMBER];
    int n = emit_float(text, x);
    float as_float = strtof(text, NULL), as_double = (float)strtod(text, NULL);

    assert_int_equal(n, strlen(text));
    assert_true(n < EMIT_NUMBER);
    if (memcmp(&as_float, &x, 4) != 0 || memcmp(&as_double, &x, 4) != 0)
        fail_msg("%s for %.9g", text, x);
}

static void
every_float_reads_back(void **state)
{
    (void)state;
    for (int i = 0; i < 1000000; i++) {
        uint32_t u = random32();
        float x;

        memcpy(&x, &u, sizeof x);
        if (isfinite(x))
            check(x);
        check((float)(int32_t)u / 65536);
        check((float)(u >> 8) / 16777216);
    }
}

static void
floats_are_short(void **state)
{
    static const struct {
        float x;
        const char *want;
    } cases[] = {
        {0, "0.0"},
        {-0.0f, "-0.0"},
        {1, "1.0"},
        {-2.5f, "-2.5"},
        {0.1f, "0.1"},
        {100000, "100000.0"},
        {16777216, "16777216.0"},
        {1e-5f, "0.00001"},
        {1.5e-7f, "1.5e-7"},
        {0.99999994f, "0.99999994"},
        {9.9999999f, "10.0"},
    };
    char text[EMIT_NUMBER];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        emit_float(text, cases[i].x);
        assert_string_equal(text, cases[i].want);
    }
}

static void
what_is_not_finite_is_null(void **state)
{
    char text[EMIT_NUMBER];

    (void)state;
    emit_float(text, NAN);
    assert_string_equal(text, "null");
    emit_float(text, -INFINITY);
    assert_string_equal(text, "null");
    emit_double(text, INFINITY);
    assert_string_equal(text, "null");
}

static void
doubles_read_back(void **state)
{
    char text[EMIT_NUMBER];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t u = (uint64_t)random32() << 32 | random32();
        double x;

        memcpy(&x, &u, sizeof x);
        if (!isfinite(x))
            continue;
        int n = emit_double(text, x);

        assert_int_equal(n, strlen(text));
        if (strtod(text, NULL) != x)
            fail_msg("%s for %.17g", text, x);
    }
    emit_double(text, 3);
    assert_string_equal(text, "3.0");
}

static void
tensors_of_every_type(void **state)
{
    static const int8_t i8[] = {-128, 127};
    static const uint8_t u8[] = {0, 255}, yes[] = {1, 0};
    static const int64_t i64[] = {INT64_MIN, INT64_MAX};
    static const uint64_t u64[] = {0, UINT64_MAX};
    static const struct {
        enum dtype t;
        const void *p;
        const char *want;
    } cases[] = {
        {DTYPE_INT8, i8, "[-128,127]"},
        {DTYPE_UINT8, u8, "[0,255]"},
        {DTYPE_BOOL, yes, "[true,false]"},
        {DTYPE_INT64, i64, "[-9223372036854775808,9223372036854775807]"},
        {DTYPE_UINT64, u64, "[0,18446744073709551615]"},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tensor t = {cases[i].t, SHAPE(2), (void *)cases[i].p};
        struct buf *b;

        assert_int_equal(buf_new(0, &b, &e), 0);
        assert_int_equal(emit_tensor(b, &t, &e), 0);
        b->p[b->n] = '\0';
        assert_string_equal(b->p, cases[i].want);
        buf_free(&b);
    }
    buf_trim();
}

static void
strings_survive_the_scanner(void **state)
{
    static const char *const texts[] = {"", "a\"b\\c", "\x01\x1f\t\n",
                                        "\xc3\xa4\xe2\x82\xac"};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *out;
        struct scan s;
        struct buf *b;

        assert_int_equal(buf_new(0, &b, &e), 0);
        assert_int_equal(emit_string(b, texts[i], &e), 0);
        b->p[b->n] = '\0';
        scan_init(&s, b->p, b->n);
        assert_int_equal(scan_string(&s, &out, &e), 0);
        assert_string_equal(out, texts[i]);
        buf_free(&b);
    }
    buf_trim();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_float_reads_back),
        cmocka_unit_test(floats_are_short),
        cmocka_unit_test(what_is_not_finite_is_null),
        cmocka_unit_test(doubles_read_back),
        cmocka_unit_test(tensors_of_every_type),
        cmocka_unit_test(strings_survive_the_scanner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
