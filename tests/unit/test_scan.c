/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON scanner: numbers against strtof and strtod, and text that is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/scan.h"

static char room[1 << 16];

/* Parses text as a tensor of n elements; the error's code. */
static int
parse(const char *text, enum dtype t, size_t n, void *out, struct err *e)
{
    struct scan s;
    int rc;

    snprintf(room, sizeof room, "%s", text);
    scan_init(&s, room, strlen(room));
    rc = scan_tensor(&s, t, n, out, e);
    return rc != 0 ? rc : scan_end(&s, e);
}

static uint64_t seed = 88172645463325252u;

static uint64_t
random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* A number as the grammar allows it, of any size and length. */
static void
random_number(char *text)
{
    int digits = 1 + (int)(random64() % 25), i = 0;
    char *p = text;

    if (random64() % 2)
        *p++ = '-';
    if (random64() % 3 == 0)
        *p++ = '0';
    else
        for (*p++ = (char)('1' + random64() % 9); i < digits % 12; i++)
            *p++ = (char)('0' + random64() % 10);
    if (random64() % 4) {
        *p++ = '.';
        for (i = 0; i < digits; i++)
            *p++ = (char)('0' + random64() % 10);
    }
    if (random64() % 3 == 0)
        p += sprintf(p, "%c%s%d", random64() % 2 ? 'e' : 'E',
                     random64() % 2 ? "-" : (random64() % 2 ? "+" : ""),
                     (int)(random64() % 60));
    *p = '\0';
}

static void
check_float(const char *number)
{
    char text[128];
    float got, want = strtof(number, NULL);
    struct err e;
    int rc;

    snprintf(text, sizeof text, "[%s]", number);
    rc = parse(text, DTYPE_FLOAT, 1, &got, &e);
    if (want - want != 0) {
        assert_int_equal(rc, ERR_INVALID);
        return;
    }
    assert_int_equal(rc, 0);
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s: %.9g, want %.9g", number, got, want);
}

static void
check_double(const char *number)
{
    char text[128];
    double got, want = strtod(number, NULL);
    struct err e;

    snprintf(text, sizeof text, "[%s]", number);
    assert_int_equal(parse(text, DTYPE_DOUBLE, 1, &got, &e), 0);
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s: %.17g, want %.17g", number, got, want);
}

static void
floats_are_rounded_correctly(void **state)
{
    char text[128];

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        random_number(text);
        check_float(text);
        if (i % 4 == 0)
            check_double(text);
    }
}

/* Numbers next to the middle between two floats, where one rounding more would
 * show. */
static void
floats_near_the_middle(void **state)
{
    char text[128];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint32_t u = (uint32_t)random64() & 0x7fffffff;
        float f, g;
        double middle;

        if (u >= 0x7f000000 || u < 0x00800000)
            continue;
        memcpy(&f, &u, sizeof f);
        u++;
        memcpy(&g, &u, sizeof g);
        middle = ((double)f + (double)g) / 2;
        snprintf(text, sizeof text, "%.*g", 15 + i % 12, middle);
        check_float(text);
        snprintf(text, sizeof text, "%.25g", middle);
        check_float(text);
    }
}

static void
every_float_reads_back(void **state)
{
    char text[128];

    (void)state;
    for (int i = 0; i < 500000; i++) {
        uint32_t u = (uint32_t)random64();
        float f;

        memcpy(&f, &u, sizeof f);
        if (f - f != 0)
            continue;
        snprintf(text, sizeof text, "%.9g", f);
        check_float(text);
    }
}

static void
integers_keep_to_their_type(void **state)
{
    static const struct {
        enum dtype t;
        const char *text;
        int64_t want;
        bool ok;
    } cases[] = {
        {DTYPE_INT8, "[127]", 127, true},
        {DTYPE_INT8, "[-128]", -128, true},
        {DTYPE_INT8, "[128]", 0, false},
        {DTYPE_INT8, "[-129]", 0, false},
        {DTYPE_UINT8, "[255]", 255, true},
        {DTYPE_UINT8, "[-1]", 0, false},
        {DTYPE_UINT8, "[-0]", 0, true},
        {DTYPE_UINT8, "[256]", 0, false},
        {DTYPE_INT16, "[-32768]", -32768, true},
        {DTYPE_INT32, "[2147483647]", INT32_MAX, true},
        {DTYPE_INT32, "[2147483648]", 0, false},
        {DTYPE_INT64, "[9223372036854775807]", INT64_MAX, true},
        {DTYPE_INT64, "[-9223372036854775808]", INT64_MIN, true},
        {DTYPE_INT64, "[9223372036854775808]", 0, false},
        {DTYPE_INT64, "[-9223372036854775809]", 0, false},
        {DTYPE_INT64, "[100000000000000000000]", 0, false},
        {DTYPE_UINT64, "[18446744073709551615]", -1, true},
        {DTYPE_UINT64, "[18446744073709551616]", 0, false},
        {DTYPE_UINT64, "[99999999999999999999]", 0, false},
        {DTYPE_INT32, "[1.0]", 0, false},
        {DTYPE_INT32, "[1e2]", 0, false},
        {DTYPE_BOOL, "[true]", 1, true},
        {DTYPE_BOOL, "[false]", 0, true},
        {DTYPE_BOOL, "[1]", 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got = cases[i].want < 0 ? -1 : 0;
        struct err e;
        int rc = parse(cases[i].text, cases[i].t, 1, &got, &e);

        if ((rc == 0) != cases[i].ok || (rc == 0 && got != cases[i].want))
            fail_msg("%s as %s: %d, %lld", cases[i].text,
                     dtype_name(cases[i].t), rc, (long long)got);
    }
}

static void
nested_or_flat_only_the_count_matters(void **state)
{
    const float want[] = {1, 2, 3, 4};
    static const char *const same[] = {"[1,2,3,4]", "[[1,2],[3,4]]",
                                       " [ [ [1] , [2] ] , [3,4] ] ",
                                       "[[1,2,3],[4]]", "[[],[1,2,3,4]]"};
    static const char *const wrong[] = {"[1,2,3]",
                                        "[1,2,3,4,5]",
                                        "[1,2,3,4",
                                        "[1,2,3,4]]",
                                        "[1,2,,3,4]",
                                        "[,1,2,3,4]",
                                        "[1,2,3,4,]",
                                        "[1 2 3 4]",
                                        "[1,2,3,+4]",
                                        "[1,2,3,.4]",
                                        "[1,2,3,4.]",
                                        "[1,2,3,04]",
                                        "[1,2,3,-]",
                                        "[1,2,3,4e]",
                                        "[1,2,3,4e+]",
                                        "[1,2,3,0x4]",
                                        "[1,2,3,NaN]",
                                        "[1,2,3,Infinity]",
                                        "[1,2,3,\"4\"]",
                                        "[1,2,3,null]",
                                        "[1,2,3,{}]",
                                        "[1,2,3,1e39]",
                                        "",
                                        "1",
                                        "{}"};
    float got[4];
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(parse(same[i], DTYPE_FLOAT, 4, got, &e), 0);
        assert_memory_equal(got, want, sizeof got);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (parse(wrong[i], DTYPE_FLOAT, 4, got, &e) != ERR_INVALID)
            fail_msg("taken: %s", wrong[i]);
}

static void
depth_is_bounded(void **state)
{
    char text[512];
    struct scan s;
    struct err e;
    float f;

    (void)state;
    memset(text, '[', 100);
    text[100] = '7';
    memset(text + 101, ']', 100);
    text[201] = '\0';
    assert_int_equal(parse(text, DTYPE_FLOAT, 1, &f, &e), 0);
    scan_init(&s, text, strlen(text));
    assert_int_equal(scan_skip(&s, &e), 0);
    memset(text, '[', 101);
    assert_int_equal(parse(text, DTYPE_FLOAT, 1, &f, &e), ERR_INVALID);
    scan_init(&s, text, strlen(text));
    assert_int_equal(scan_skip(&s, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "100 deep"));
}

/* The string that text decodes to, or NULL. */
static const char *
decode(const char *text)
{
    static char copy[256];
    const char *out;
    struct scan s;
    struct err e;

    snprintf(copy, sizeof copy, "%s", text);
    scan_init(&s, copy, strlen(copy));
    return scan_string(&s, &out, &e) == 0 ? out : NULL;
}

static void
strings_are_decoded_in_place(void **state)
{
    static const char *const wrong[] = {"\"",
                                        "\"a",
                                        "\"\\\"",
                                        "\"\\u12\"",
                                        "\"\\ud800\"",
                                        "\"\\udc00\"",
                                        "\"\\x41\"",
                                        "\"\\u0000\"",
                                        "\"\xff\"",
                                        "\"\xc0\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\n\"",
                                        "\"\\ud800\\u0041\"",
                                        "\"\xe2\x82\"",
                                        "\"\xf4\x90\x80\x80\""};

    (void)state;
    assert_string_equal(decode("\"\""), "");
    assert_string_equal(decode("\"a\\\"\\\\\\/\\n\\u0041\\u00e4\""),
                        "a\"\\/\nA\xc3\xa4");
    assert_string_equal(decode("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80");
    assert_string_equal(decode("\"\xe2\x82\xac\""), "\xe2\x82\xac");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (decode(wrong[i]) != NULL)
            fail_msg("taken: %s", wrong[i]);
}

static int
passes(const char *text)
{
    struct scan s;
    struct err e;

    snprintf(room, sizeof room, "%s", text);
    scan_init(&s, room, strlen(room));
    return scan_skip(&s, &e) != 0 ? 1 : scan_end(&s, &e) != 0;
}

static void
what_is_skipped_is_checked(void **state)
{
    static const char *const good[] = {"{}",
                                       "[]",
                                       "null",
                                       "\"x\"",
                                       "-0.5e-3",
                                       "{\"a\":[1,{\"b\":2}],\"c\":\"\"}",
                                       " [ { } , [ ] , true ] "};
    static const char *const wrong[] = {"",         "{",
                                        "[",        "{]",
                                        "[}",       "{\"a\"}",
                                        "{\"a\":}", "{\"a\":1,}",
                                        "{1:2}",    "{\"a\":1 \"b\":2}",
                                        "nul",      "tru",
                                        "[1,2",     "[]]",
                                        "{}}",      "\"a\" \"b\"",
                                        "01",       "--1",
                                        "{,}",      "{\"a\":1,,\"b\":2}"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (passes(good[i]) != 0)
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (passes(wrong[i]) == 0)
            fail_msg("taken: %s", wrong[i]);
}

/* Valid text with a byte changed, cut or doubled never reads outside. */
static void
damaged_text_is_harmless(void **state)
{
    static const char whole[] =
        "{\"id\":\"\\u00e4\",\"inputs\":[{\"name\":\"x\",\"data\":[[1.5e3,-2],"
        "[true,null]]}],\"p\":{\"q\":[[[]]]}}";

    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t n = sizeof whole - 1, at = random64() % n;
        char *text = malloc(n + 1); /* exact, for the sanitizer */
        struct scan s;
        struct err e;

        if (i % 2 == 0)
            n = at;
        memcpy(text, whole, n);
        text[n] = '\0';
        if (i % 2 == 1)
            text[at] = (char)random64();
        scan_init(&s, text, n);
        if (scan_skip(&s, &e) == 0)
            scan_end(&s, &e);
        assert_true(s.p <= text + n);
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_rounded_correctly),
        cmocka_unit_test(floats_near_the_middle),
        cmocka_unit_test(every_float_reads_back),
        cmocka_unit_test(integers_keep_to_their_type),
        cmocka_unit_test(nested_or_flat_only_the_count_matters),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(strings_are_decoded_in_place),
        cmocka_unit_test(what_is_skipped_is_checked),
        cmocka_unit_test(damaged_text_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
