/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/multipart.h"

static const char type[] = "multipart/form-data; boundary=\"Xy-7\"";

/* Everything that is told of the parts, in one text. */
struct seen {
    char text[4096];
    size_t n;
};

static void
add(struct seen *s, const char *p, size_t n)
{
    assert_true(s->n + n < sizeof s->text);
    memcpy(s->text + s->n, p, n);
    s->n += n;
}

static int
begin(void *arg, const char *name, const char *filename, struct err *e)
{
    (void)e;
    add(arg, "<", 1);
    add(arg, name, strlen(name));
    if (filename != NULL) {
        add(arg, "@", 1);
        add(arg, filename, strlen(filename));
    }
    add(arg, ":", 1);
    return 0;
}

static int
data(void *arg, const void *p, size_t n, struct err *e)
{
    (void)e;
    assert_true(n > 0);
    add(arg, p, n);
    return 0;
}

static int
end(void *arg, struct err *e)
{
    (void)e;
    add(arg, ">", 1);
    return 0;
}

static const struct multipart_events events = {begin, data, end};

/* The body in pieces that end at a and b. */
static int
parse(const char *body, size_t n, size_t a, size_t b, struct seen *s,
      struct err *e)
{
    size_t cut[] = {0, a, b, n};
    struct multipart *m;
    int rc;

    s->n = 0;
    assert_int_equal(multipart_new(type, &events, s, &m, e), 0);
    rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        /* Its own memory, so that a read behind it is seen. */
        size_t len = cut[i + 1] - cut[i];
        char *piece = malloc(len + 1);

        assert_non_null(piece);
        memcpy(piece, body + cut[i], len);
        rc = multipart_feed(m, piece, len, e);
        free(piece);
    }
    if (rc == 0)
        rc = multipart_end(m, e);
    multipart_free(&m);
    return rc;
}

/* Data that look like a boundary again and again. */
static const char body[] =
    "a preamble\r\n--Xy\r\n"
    "--Xy-7  \r\n"
    "Content-Disposition: form-data; name=\"model\"; filename=\"a \\\"b\\\".x\""
    "\r\nContent-Type: application/octet-stream\r\n\r\n"
    "\r\n--Xy-\r\r\n\r\n--X\r\n--Xy-\n7 data\0more\r\n"
    "\r\n--Xy-7\r\n"
    "content-disposition:form-data;name=recipe\r\n\r\n"
    "static"
    "\r\n--Xy-7\r\n"
    "Content-Disposition: form-data; name=\"empty\"\r\n\r\n"
    "\r\n--Xy-7--\r\nan epilogue --Xy-7\r\n";

static const char told[] =
    "<model@a \"b\".x:\r\n--Xy-\r\r\n\r\n--X\r\n--Xy-\n7 "
    "data\0more\r\n><recipe:static><empty:>";

static void
cut_anywhere(void **state)
{
    size_t n = sizeof body - 1;
    struct seen s;
    struct err e = {0};

    (void)state;
    for (size_t a = 0; a <= n; a++)
        for (size_t b = a; b <= n; b++) {
            if (parse(body, n, a, b, &s, &e) != 0)
                fail_msg("cut at %zu and %zu: %s", a, b, e.msg);
            assert_int_equal(s.n, sizeof told - 1);
            assert_memory_equal(s.text, told, s.n);
        }
}

static void
every_beginning_is_refused(void **state)
{
    static const char epilogue[] = "\r\nan epilogue --Xy-7\r\n";
    size_t whole = sizeof body - sizeof epilogue;
    struct seen s;
    struct err e;

    (void)state;
    for (size_t n = 0; n < whole; n++)
        assert_int_equal(parse(body, n, n / 3, n / 2, &s, &e), ERR_INVALID);
    assert_int_equal(parse(body, whole, 0, 0, &s, &e), 0);
}

static void
refused(const char *text, const char *msg)
{
    struct seen s;
    struct err e;

    assert_int_equal(parse(text, strlen(text), 0, 0, &s, &e), ERR_INVALID);
    if (strstr(e.msg, msg) == NULL)
        fail_msg("'%s' is not in '%s'", msg, e.msg);
}

static void
nonsense_is_named(void **state)
{
    struct multipart *m;
    struct err e;
    char *big = malloc(20000);

    (void)state;
    refused("--Xy-7\r\n\r\nx\r\n--Xy-7--", "without a name");
    refused("--Xy-7\r\nno colon\r\n\r\n", "without ':'");
    refused("--Xy-7zzz\r\n", "behind a boundary");
    refused("--Xy-7\r\nContent-Disposition: attachment\r\n\r\n", "form-data");
    refused("--Xy-7\r\nContent-Disposition: form-data; name=\"x\r\n\r\n",
            "malformed");
    refused("--Xy-7\r\nContent-Disposition: form-data; name=x\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n",
            "only binary");
    assert_non_null(big);
    memset(big, 'a', 20000);
    memcpy(big, "--Xy-7\r\n", 8);
    big[19999] = '\0';
    refused(big, "too long");
    free(big);
    assert_int_equal(
        multipart_new("multipart/form-data", &events, NULL, &m, &e),
        ERR_INVALID);
    assert_int_equal(
        multipart_new("multipart/form-data; boundary=", &events, NULL, &m, &e),
        ERR_INVALID);
    assert_true(multipart_is("Multipart/Form-Data;boundary=x"));
    assert_false(multipart_is("multipart/form-database"));
    assert_false(multipart_is(NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(every_beginning_is_refused),
        cmocka_unit_test(nonsense_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
