/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* mkstemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/auth.h"

/* An auth with this token file; NULL for none. */
static int
make(const char *text, struct auth **out, struct err *e)
{
    char path[] = "test_auth.XXXXXX";
    FILE *f;
    int rc;

    if (text == NULL)
        return auth_new("", out, e);
    f = fdopen(mkstemp(path), "w");
    fputs(text, f);
    fclose(f);
    rc = auth_new(path, out, e);
    unlink(path);
    return rc;
}

static enum auth_verdict
ask(struct auth *a, enum right right, bool loopback, const char *header,
    const char *origin, const char *host)
{
    const struct auth_ask q = {right,  loopback, right == RIGHT_ADMIN,
                               header, origin,   host};
    const char *why;
    char name[65];

    return auth_check(a, &q, name, &why);
}

static void
without_a_file_only_loopback_may_change(void **state)
{
    struct auth *a;
    struct err e;

    (void)state;
    assert_int_equal(make(NULL, &a, &e), 0);
    assert_int_equal(ask(a, RIGHT_ADMIN, true, NULL, NULL, "127.0.0.1:1"),
                     AUTH_OK);
    assert_int_equal(ask(a, RIGHT_ADMIN, true, NULL, NULL, NULL), AUTH_OK);
    assert_int_equal(ask(a, RIGHT_ADMIN, false, NULL, NULL, "h"),
                     AUTH_FORBIDDEN);
    assert_int_equal(ask(a, RIGHT_INFER, false, NULL, NULL, "h"), AUTH_OK);
    assert_int_equal(ask(a, RIGHT_READ, false, NULL, NULL, "h"), AUTH_OK);
    auth_free(&a);
}

static void
pages_of_other_sites_change_nothing(void **state)
{
    struct auth *a;
    struct err e;

    (void)state;
    assert_int_equal(make(NULL, &a, &e), 0);
    assert_int_equal(
        ask(a, RIGHT_ADMIN, true, NULL, "http://evil.example", "127.0.0.1:80"),
        AUTH_FORBIDDEN);
    assert_int_equal(ask(a, RIGHT_ADMIN, true, NULL, "null", "127.0.0.1:80"),
                     AUTH_FORBIDDEN);
    /* A name that was made to point here. */
    assert_int_equal(ask(a, RIGHT_ADMIN, true, NULL, NULL, "evil.example"),
                     AUTH_FORBIDDEN);
    assert_int_equal(
        ask(a, RIGHT_ADMIN, true, NULL, "http://localhost:80", "localhost:80"),
        AUTH_OK);
    assert_int_equal(ask(a, RIGHT_ADMIN, true, NULL, NULL, "[::1]:80"),
                     AUTH_OK);
    auth_free(&a);
}

static void
scopes_are_kept_apart(void **state)
{
    struct auth *a;
    struct err e;

    (void)state;
    assert_int_equal(make("# who may what\n"
                          "root admin boss\n"
                          "\n"
                          "in infer app # the app\n"
                          "both infer,metrics m\n",
                          &a, &e),
                     0);
    assert_int_equal(ask(a, RIGHT_ADMIN, true, "Bearer root", NULL, "h"),
                     AUTH_OK);
    assert_int_equal(ask(a, RIGHT_INFER, false, "bearer root", NULL, "h"),
                     AUTH_OK);
    assert_int_equal(ask(a, RIGHT_ADMIN, true, "Bearer in", NULL, "h"),
                     AUTH_FORBIDDEN);
    assert_int_equal(ask(a, RIGHT_ADMIN, true, NULL, NULL, "127.0.0.1"),
                     AUTH_WHO);
    assert_int_equal(ask(a, RIGHT_INFER, true, NULL, NULL, "h"), AUTH_WHO);
    assert_int_equal(ask(a, RIGHT_INFER, true, "Bearer in", NULL, "h"),
                     AUTH_OK);
    assert_int_equal(ask(a, RIGHT_INFER, true, "Bearer i", NULL, "h"),
                     AUTH_WHO);
    assert_int_equal(ask(a, RIGHT_INFER, true, "Basic eDppbg==", NULL, "h"),
                     AUTH_OK); /* x:in */
    assert_int_equal(ask(a, RIGHT_INFER, true, "Basic eDo=", NULL, "h"),
                     AUTH_WHO); /* x: */
    assert_int_equal(ask(a, RIGHT_INFER, true, "Digest in", NULL, "h"),
                     AUTH_WHO);
    /* Nobody has read: it is open.  metrics is guarded, but not here. */
    assert_int_equal(ask(a, RIGHT_READ, false, NULL, NULL, "h"), AUTH_OK);
    assert_int_equal(ask(a, RIGHT_METRICS, false, NULL, NULL, "h"), AUTH_WHO);
    assert_int_equal(ask(a, RIGHT_METRICS, true, NULL, NULL, "h"), AUTH_OK);
    assert_int_equal(ask(a, RIGHT_NONE, false, NULL, NULL, "h"), AUTH_OK);
    auth_free(&a);
}

static void
bad_files_are_refused(void **state)
{
    static const char *const texts[] = {
        "one\n", "one two\n", "t admin name more\n", "t admin,root name\n"};
    struct auth *a;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(make(texts[i], &a, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, ":1: "));
    }
    assert_int_equal(auth_new("no/such/file", &a, &e), ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_only_loopback_may_change),
        cmocka_unit_test(pages_of_other_sites_change_nothing),
        cmocka_unit_test(scopes_are_kept_apart),
        cmocka_unit_test(bad_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
