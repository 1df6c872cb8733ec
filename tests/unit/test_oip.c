/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Infer requests that are hostile or broken: each is refused with a word on
 * what is wrong, none reads outside of its body or leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "server/oip.h"

static int
read_bytes(const void *p, size_t n, const char *header, struct oip_request **q,
           struct err *e)
{
    struct buf *b;

    assert_int_equal(buf_new(n, &b, e), 0);
    assert_int_equal(buf_add(b, p, n, e), 0);
    return oip_read(&b, header, q, e);
}

static int
read_text(const char *text, struct oip_request **q, struct err *e)
{
    return read_bytes(text, strlen(text), NULL, q, e);
}

#define X "\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2]"

static void
good_requests(void **state)
{
    struct oip_request *q;
    struct err e;
    int64_t n;

    (void)state;
    assert_int_equal(
        read_text("{\"id\":\"7\",\"parameters\":{\"priority\":3,\"a\":\"b\","
                  "\"c\":true,\"d\":1.5},\"inputs\":[{\"data\":[1,2]," X "}],"
                  "\"outputs\":[{\"name\":\"y\"}],\"model_name\":\"m\"}",
                  &q, &e),
        0);
    assert_string_equal(q->id, "7");
    assert_int_equal(q->n_inputs, 1);
    assert_int_equal(q->inputs[0].bytes, 8);
    assert_true(((const float *)q->inputs[0].data)[1] == 2);
    assert_string_equal(oip_parameter(q, "a"), "b");
    assert_string_equal(oip_parameter(q, "d"), "1.5");
    assert_null(oip_parameter(q, "z"));
    assert_int_equal(oip_integer(q, "priority", 0, 9, 0, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_int_equal(oip_integer(q, "a", 0, 9, 0, &n, &e), ERR_INVALID);
    assert_int_equal(oip_integer(q, "d", 0, 9, 0, &n, &e), ERR_INVALID);
    assert_int_equal(oip_integer(q, "priority", 0, 2, 0, &n, &e), ERR_INVALID);
    assert_int_equal(q->n_outputs, 1);
    assert_int_equal(q->outputs[0].binary, -1);
    oip_free(&q);
}

static void
bad_requests_are_told_why(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "an object is wanted"},
        {"[]", "an object is wanted"},
        {"{}", "no inputs"},
        {"{\"inputs\":[]}", "no inputs"},
        {"{\"inputs\":{}}", "inputs: JSON: an array"},
        {"{\"inputs\":[1]}", "input 0: JSON: an object"},
        {"{\"inputs\":[{}]}", "input 0: it has no name"},
        {"{\"inputs\":[{\"name\":1}]}", "a string is wanted"},
        {"{\"inputs\":[{\"name\":\"x\"}]}", "input 'x': it has no datatype"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\"}]}", "no shape"},
        {"{\"inputs\":[{" X "}]}", "neither data nor"},
        {"{\"inputs\":[{" X ",\"data\":[1]}]}", "data has 1 elements"},
        {"{\"inputs\":[{" X ",\"data\":[1,2,3]}]}", "more than the 2"},
        {"{\"inputs\":[{" X ",\"data\":[1,null]}]}", "a number is wanted"},
        {"{\"inputs\":[{" X ",\"data\":7}]}", "data is not an array"},
        {"{\"inputs\":[{" X ",\"data\":[1,1e99]}]}", "not a value of type"},
        {"{\"inputs\":[{" X ",\"data\":[1,2],\"data\":[1,2]}]}",
         "'data' is given twice"},
        {"{\"inputs\":[{" X ",\"data\":[1,2]}],\"inputs\":[]}",
         "'inputs' is given twice"},
        {"{\"inputs\":[{" X ",\"data\":[1,2]}]} x", "more follows"},
        {"{\"inputs\":[{" X ",\"data\":[1,2]}]", "',' or '}' is wanted"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
         "\"shape\":[-1],\"data\":[]}]}",
         "dimension -1 is negative"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[0],"
         "\"data\":[1]}]}",
         "more than the 0"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
         "\"shape\":[1.5],\"data\":[]}]}",
         "integer is wanted"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
         "\"shape\":[4294967296,4294967296,4294967296],\"data\":[1]}]}",
         "input 'x'"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
         "\"shape\":[1000000000],\"data\":[1]}]}",
         "fewer elements than"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
         "\"shape\":[1,1,1,1,1,1,1,1,1],\"data\":[1]}]}",
         "more than 8 dimensions"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP31\",\"shape\":[1],"
         "\"data\":[1]}]}",
         "'FP31' is no datatype"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[1],"
         "\"data\":[\"a\"]}]}",
         "BYTES"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BF16\",\"shape\":[1],"
         "\"data\":[1]}]}",
         "binary"},
        {"{\"inputs\":[{" X ",\"parameters\":{\"binary_data_size\":8}}]}",
         "the body has 0 left"},
        {"{\"inputs\":[{" X ",\"parameters\":{\"binary_data_size\":9}}]}",
         "make 8 bytes"},
        {"{\"inputs\":[{" X ",\"parameters\":{\"binary_data_size\":-8}}]}",
         "negative"},
        {"{\"inputs\":[{" X ",\"data\":[1,2],\"parameters\":"
         "{\"binary_data_size\":8}}]}",
         "both data and"},
        {"{\"inputs\":[{" X ",\"parameters\":{\"shared_memory_region\":\"r\"}"
         "}]}",
         "shared memory"},
        {"{\"parameters\":{\"a\":[1]},\"inputs\":[]}", "parameter 'a'"},
        {"{\"parameters\":{\"a\":1,\"a\":2},\"inputs\":[]}", "given twice"},
        {"{\"parameters\":{\"binary_data_output\":1}}", "is no boolean"},
        {"{\"outputs\":[{}]}", "output 0: it has no name"},
        {"{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":"
         "-1}}]}",
         "negative"},
        {"{\"id\":7}", "id: JSON: a string"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct oip_request *q = NULL;
        struct err e = {0};

        if (read_text(cases[i].text, &q, &e) == 0)
            fail_msg("taken: %s", cases[i].text);
        if (strstr(e.msg, cases[i].want) == NULL)
            fail_msg("%s: %s", cases[i].text, e.msg);
    }
    assert_int_equal(buf_in_use(), 0); /* nothing leaks */
}

static void
binary_data_are_counted(void **state)
{
    static const char head[] = "{\"inputs\":[{" X ",\"parameters\":"
                               "{\"binary_data_size\":8}}]}";
    char body[256], length[24];
    size_t n = sizeof head - 1;
    struct oip_request *q;
    struct err e;

    (void)state;
    memcpy(body, head, n);
    memcpy(body + n, "abcdefgh!", 9);
    snprintf(length, sizeof length, "%zu", n);
    assert_int_equal(read_bytes(body, n + 8, length, &q, &e), 0);
    assert_memory_equal(q->inputs[0].data, "abcdefgh", 8);
    oip_free(&q);
    assert_int_equal(read_bytes(body, n + 7, length, &q, &e), ERR_INVALID);
    assert_int_equal(read_bytes(body, n + 9, length, &q, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "1 bytes behind"));
    assert_int_equal(read_bytes(body, n + 8, "7x", &q, &e), ERR_INVALID);
    assert_int_equal(read_bytes(body, n + 8, "9999", &q, &e), ERR_INVALID);
    assert_int_equal(read_bytes(body, n + 8, "", &q, &e), ERR_INVALID);
    assert_int_equal(read_bytes(body, n + 8, "10", &q, &e), ERR_INVALID);
    assert_int_equal(read_bytes("abcd", 4, "0", &q, &e), 0);
    assert_true(q->raw);
    oip_free(&q);
    assert_int_equal(buf_in_use(), 0);
}

static void
damaged_requests_are_harmless(void **state)
{
    static const char whole[] =
        "{\"id\":\"a\\u0041\",\"parameters\":{\"variant\":\"int8\",\"timeout\""
        ":5000},\"inputs\":[{" X ",\"data\":[[1.5],[-2e3]]},{\"shape\":[1,1],"
        "\"datatype\":\"INT64\",\"parameters\":{\"binary_data_size\":8},"
        "\"name\":\"z\"}],\"outputs\":[{\"name\":\"y\",\"parameters\":"
        "{\"classification\":3,\"binary_data\":true}}]}12345678";
    uint32_t x = 1;
    char length[24];

    (void)state;
    snprintf(length, sizeof length, "%zu", sizeof whole - 1 - 8);
    for (int i = 0; i < 100000; i++) {
        char text[sizeof whole];
        size_t n = sizeof whole - 1;
        struct oip_request *q;
        struct err e;

        memcpy(text, whole, sizeof whole);
        x = x * 1664525 + 1013904223;
        if (i % 3 == 0)
            n = x % n;
        else
            text[x % n] = (char)(x >> 23);
        if (i % 3 == 2)
            text[(x >> 8) % n] = "{}[]\",:0-"[x >> 29];
        if (read_bytes(text, n, i % 5 == 0 ? NULL : length, &q, &e) == 0)
            oip_free(&q);
    }
    assert_int_equal(buf_in_use(), 0);
    buf_trim();
}

/* Each allocation sized by the request fails once: an error, no leak. */
static void
memory_runs_out_anywhere(void **state)
{
    static const char text[] =
        "{\"inputs\":[{" X ",\"data\":[1,2]},{\"data\":[[3]],\"shape\":[1],"
        "\"datatype\":\"INT32\",\"name\":\"z\"}]}";
    struct oip_request *q;
    struct err e;
    unsigned k = 0;
    int rc;

    (void)state;
    do {
        struct buf *b;

        buf_trim(); /* or nothing would have to be allocated */
        assert_int_equal(buf_new(sizeof text, &b, &e), 0);
        assert_int_equal(buf_add(b, text, sizeof text - 1, &e), 0);
        mem_fail_at(++k);
        rc = oip_read(&b, NULL, &q, &e);
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_NO_MEMORY);
        assert_int_equal(buf_in_use() == 0, rc != 0);
    } while (rc != 0);
    assert_int_equal(k, 3); /* one for each input's numbers */
    oip_free(&q);
    buf_limit(16 << 10);
    assert_int_equal(read_text(text, &q, &e), 0);
    oip_free(&q);
    buf_limit(8 << 10);
    assert_int_equal(read_text(text, &q, &e), ERR_BUSY);
    buf_limit(SIZE_MAX);
    assert_int_equal(buf_in_use(), 0);
    buf_trim();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests),
        cmocka_unit_test(bad_requests_are_told_why),
        cmocka_unit_test(binary_data_are_counted),
        cmocka_unit_test(damaged_requests_are_harmless),
        cmocka_unit_test(memory_runs_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
