/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/request.h"

static void
segments_and_pairs(void **state)
{
    struct request *r =
        request_new("/v2/models/a%20b.%C3%A4/infer?variant=int8&x=1+2%2B&y&=z&"
                    "x=3",
                    "");
    const char *name, *value;

    (void)state;
    assert_null(r->bad_uri);
    assert_int_equal(r->n_segments, 4);
    assert_string_equal(r->segment[2], "a b.\xc3\xa4");
    assert_string_equal(request_path(r), "/v2/models/a%20b.%C3%A4/infer");
    assert_string_equal(request_query(r, "variant"), "int8");
    assert_string_equal(request_query(r, "x"), "1 2+");
    assert_string_equal(request_query(r, "y"), "");
    assert_null(request_query(r, "z"));
    assert_true(request_query_at(r, 4, &name, &value));
    assert_string_equal(value, "3");
    assert_false(request_query_at(r, 5, &name, &value));
    request_free(&r);
}

static void
ends_of_paths(void **state)
{
    static const struct {
        const char *uri;
        int n;
    } cases[] = {{"/", 0},    {"/v2", 1},    {"/v2/", 1},
                 {"/v2?", 1}, {"/v2/?a", 1}, {"/v2/models", 2}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = request_new(cases[i].uri, "");

        assert_null(r->bad_uri);
        assert_int_equal(r->n_segments, cases[i].n);
        request_free(&r);
    }
}

static void
below_a_base(void **state)
{
    static const struct {
        const char *uri, *base;
        int n;
    } cases[] = {{"/b/v2", "/b", 1}, {"/v2", "", 1}, {"/b/", "/b", 0},
                 {"/bb/v2", "", 2},  {"/b", "", 1},  {"/b/b/v2", "/b", 2},
                 {"/B/v2", "", 2},   {"/b?x", "", 1}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = request_new(cases[i].uri, "/b");

        assert_null(r->bad_uri);
        assert_string_equal(request_base(r), cases[i].base);
        assert_int_equal(r->n_segments, cases[i].n);
        request_free(&r);
    }
}

static void
bad_uris(void **state)
{
    static const char *const uris[] = {
        "",         "v2",      "*",
        "//",       "/a//b",   "/%",
        "/%4",      "/%4g",    "/%00",
        "/a%0a",    "/a%7f",   "/a%2fb",
        "/..",      "/%2e%2E", "/.",
        "/a/./b",   "/a?b=%0", "/a?%1=b",
        "/a?b=%01", "/a\tb",   "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7"};

    (void)state;
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        struct request *r = request_new(uris[i], "");

        if (r->bad_uri == NULL)
            fail_msg("taken: '%s'", uris[i]);
        request_free(&r);
    }
}

static void
many_pairs_are_refused(void **state)
{
    char uri[1000] = "/a?";
    struct request *r;

    (void)state;
    for (int i = 0; i < REQUEST_PAIRS; i++)
        strcat(uri, "a=1&");
    r = request_new(uri, "");
    assert_null(r->bad_uri);
    request_free(&r);
    strcat(uri, "b");
    r = request_new(uri, "");
    assert_non_null(r->bad_uri);
    request_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_and_pairs),
        cmocka_unit_test(ends_of_paths),
        cmocka_unit_test(below_a_base),
        cmocka_unit_test(bad_uris),
        cmocka_unit_test(many_pairs_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
