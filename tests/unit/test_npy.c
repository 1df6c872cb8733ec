/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "quant/convert.h"
#include "quant/npy.h"

/* A version 1 header around a dictionary. */
static size_t
header(char *out, const char *dict)
{
    size_t n = strlen(dict);

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)(n & 0xff);
    out[9] = (char)(n >> 8);
    memcpy(out + 10, dict, n);
    return 10 + n;
}

static int
parse(const char *dict, struct npy *out, struct err *e)
{
    char text[1024];
    size_t n = header(text, dict);

    return npy_parse(text, n, out, e);
}

static void
headers_of_numpy_are_read(void **state)
{
    struct npy a;
    struct err e;

    (void)state;
    assert_int_equal(parse("{'descr': '<f4', 'fortran_order': False, "
                           "'shape': (3, 224), }   \n",
                           &a, &e),
                     0);
    assert_int_equal(a.dtype, DTYPE_FLOAT);
    assert_true(shape_equal(&a.shape, &SHAPE(3, 224)));
    assert_int_equal(a.data_bytes, 3 * 224 * 4);
    assert_int_equal(parse("{'shape': (7,), 'fortran_order': True, "
                           "'descr': '|u1'}",
                           &a, &e),
                     0);
    assert_int_equal(a.dtype, DTYPE_UINT8);
    assert_int_equal(parse("{'shape': (), 'fortran_order': False, "
                           "'descr': '<i8'}",
                           &a, &e),
                     0);
    assert_int_equal(a.shape.rank, 0);
    assert_int_equal(a.data_bytes, 8);
    assert_int_equal(parse("{'shape': (0, 5), 'fortran_order': False, "
                           "'descr': '<f8'}",
                           &a, &e),
                     0);
    assert_int_equal(a.data_bytes, 0);
}

static void
hostile_headers_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'descr': '<f4', 'shape': (), 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3.5,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x",
        "{'descr': '<f4', 'fortran_order': False, "
        "'shape': (4294967296, 4294967296)}",
        "{'descr': '<f4', 'fortran_order': False, "
        "'shape': (99999999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, "
        "'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<U5', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<c16', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}",
        "{'descr': '<f4",
    };
    struct npy a;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&e, 0, sizeof e);
        assert_int_not_equal(parse(bad[i], &a, &e), 0);
        assert_true(strlen(e.msg) > 0);
    }
}

static void
every_cut_of_a_file_is_refused(void **state)
{
    char text[256];
    size_t n = header(text, "{'descr': '<f4', 'fortran_order': False, "
                            "'shape': (2,)}\n");
    struct npy a;
    struct err e;

    (void)state;
    for (size_t k = 0; k < n; k++)
        assert_int_not_equal(npy_parse(text, k, &a, &e), 0);
    text[6] = 9;
    assert_int_equal(npy_parse(text, n, &a, &e), ERR_UNSUPPORTED);
    text[6] = 2; /* the length is now four bytes, two of them the text's */
    assert_int_equal(npy_parse(text, n, &a, &e), ERR_INVALID);
}

static void
saved_files_load_again(void **state)
{
    char path[] = "/tmp/npyXXXXXX";
    float v[6] = {1, -2.5f, 3, 4, 5, 6};
    struct tensor t = {DTYPE_FLOAT, SHAPE(2, 3), v}, back;
    struct err e;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(npy_save(path, &t, &e), 0);
    assert_int_equal(npy_load(path, &back, &e), 0);
    assert_int_equal(back.dtype, DTYPE_FLOAT);
    assert_true(shape_equal(&back.shape, &t.shape));
    assert_memory_equal(back.data, v, sizeof v);
    mem_free(back.data);
    assert_int_equal(truncate(path, 128 + 23), 0);
    assert_int_equal(npy_load(path, &back, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "23 bytes"));
    close(fd);
    unlink(path);
}

static void
numbers_convert_only_without_loss(void **state)
{
    const uint8_t u8[] = {0, 1, 255};
    const int64_t i64[] = {0, -1, (1 << 24) + 1};
    const double d[] = {0.1, -3, 1e300};
    float f[3];
    int32_t i32[3];
    struct err e;

    (void)state;
    assert_true(convert_allowed(DTYPE_UINT8, DTYPE_FLOAT));
    assert_true(convert_allowed(DTYPE_DOUBLE, DTYPE_FLOAT));
    assert_false(convert_allowed(DTYPE_FLOAT, DTYPE_INT64));
    assert_false(convert_allowed(DTYPE_INT64, DTYPE_BOOL));
    assert_int_equal(convert(DTYPE_UINT8, u8, DTYPE_FLOAT, f, 3, &e), 0);
    assert_true(f[2] == 255.0f);
    assert_int_equal(convert(DTYPE_DOUBLE, d, DTYPE_FLOAT, f, 3, &e), 0);
    assert_true(f[0] == 0.1f);
    assert_int_equal(convert(DTYPE_INT64, i64, DTYPE_INT32, i32, 3, &e), 0);
    assert_int_equal(i32[1], -1);
    assert_int_equal(convert(DTYPE_INT64, i64, DTYPE_FLOAT, f, 3, &e),
                     ERR_INVALID);
    assert_non_null(strstr(e.msg, "16777217"));
    assert_int_equal(convert(DTYPE_INT64, i64, DTYPE_UINT8, i32, 3, &e),
                     ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_numpy_are_read),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(saved_files_load_again),
        cmocka_unit_test(numbers_convert_only_without_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
