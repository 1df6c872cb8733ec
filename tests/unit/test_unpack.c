/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/unpack.h"

static struct buf *
made(size_t n)
{
    struct buf *b;
    struct err e;
    uint32_t x = 1;

    assert_int_equal(buf_new(n, &b, &e), 0);
    for (b->n = 0; b->n < n; b->n++) {
        x = x * 1664525 + 1013904223;
        b->p[b->n] = (char)(x >> 24 & 7);
    }
    return b;
}

static void
there_and_back(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 65536, 300000};

    (void)state;
    for (int c = CODING_GZIP; c <= CODING_DEFLATE; c++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct buf *a = made(sizes[i]), *b = made(77), *packed, *plain;
            const struct buf *parts[] = {a, b};
            struct err e;

            assert_int_equal(buf_new(0, &packed, &e), 0);
            assert_int_equal(pack_add((enum coding)c, parts, 2, packed, &e), 0);
            assert_int_equal(
                unpack_whole((enum coding)c, packed, sizes[i] + 77, &plain, &e),
                0);
            assert_int_equal(plain->n, sizes[i] + 77);
            assert_memory_equal(plain->p, a->p, a->n);
            assert_memory_equal(plain->p + a->n, b->p, b->n);
            buf_free(&plain);
            /* One byte more than may come out. */
            assert_int_equal(
                unpack_whole((enum coding)c, packed, sizes[i] + 76, &plain, &e),
                ERR_TOO_LARGE);
            packed->n--;
            assert_int_equal(
                unpack_whole((enum coding)c, packed, sizes[i] + 77, &plain, &e),
                ERR_INVALID);
            buf_free(&a);
            buf_free(&b);
            buf_free(&packed);
        }
    assert_int_equal(buf_in_use(), 0);
    buf_trim();
}

static void
damage_is_seen_or_harmless(void **state)
{
    struct buf *a = made(5000), *packed, *plain;
    const struct buf *parts[] = {a};
    struct err e;

    (void)state;
    assert_int_equal(buf_new(0, &packed, &e), 0);
    assert_int_equal(pack_add(CODING_GZIP, parts, 1, packed, &e), 0);
    for (size_t i = 0; i < packed->n; i++) {
        packed->p[i] ^= 0x55;
        if (unpack_whole(CODING_GZIP, packed, 1 << 20, &plain, &e) == 0)
            buf_free(&plain);
        packed->p[i] ^= 0x55;
    }
    buf_free(&packed);
    buf_free(&a);
    assert_int_equal(buf_in_use(), 0);
    buf_trim();
}

static void
names_and_preferences(void **state)
{
    static const struct {
        const char *header;
        enum coding want;
    } cases[] = {
        {NULL, CODING_IDENTITY},
        {"", CODING_IDENTITY},
        {"gzip", CODING_GZIP},
        {"GZIP", CODING_GZIP},
        {"deflate", CODING_DEFLATE},
        {"br, zstd", CODING_IDENTITY},
        {"gzip;q=0", CODING_IDENTITY},
        {"gzip;q=0.2, deflate;q=0.3", CODING_DEFLATE},
        {"identity, gzip;q=0.5", CODING_IDENTITY},
        {"identity;q=0.5, gzip;q=0.5", CODING_IDENTITY},
        {"*", CODING_IDENTITY},
        {"*;q=0.5, identity;q=0.1", CODING_GZIP},
        {" gzip ; q=1 ", CODING_GZIP},
        {",,gzip,,", CODING_GZIP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (coding_accepted(cases[i].header) != cases[i].want)
            fail_msg("%s", cases[i].header);
    assert_int_equal(coding_parse(NULL), CODING_IDENTITY);
    assert_int_equal(coding_parse("x-gzip"), CODING_GZIP);
    assert_int_equal(coding_parse("Deflate"), CODING_DEFLATE);
    assert_int_equal(coding_parse("br"), CODING_UNKNOWN);
    assert_int_equal(coding_parse("gzip, gzip"), CODING_UNKNOWN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(damage_is_seen_or_harmless),
        cmocka_unit_test(names_and_preferences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
