/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "server/manifest.h"
#include "server/repo.h"

static char root[32];
static struct repo *repo;

static void
reopen(void)
{
    struct repo_options o = {.models = root};
    struct err e = {0};

    repo_close(&repo);
    if (repo_open(&o, &repo, &e) != 0)
        fail_msg("%s", e.msg);
}

static int
setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "test_repo.XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    reopen();
    return 0;
}

static int
teardown(void **state)
{
    struct err e;

    (void)state;
    repo_close(&repo);
    return file_remove(root, &e);
}

static void put(const char *text, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
put(const char *text, const char *fmt, ...)
{
    char path[256], *slash;
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(file_mkdirs(path, &e), 0);
    *slash = '/';
    assert_int_equal(file_write(path, text, strlen(text), &e), 0);
}

/* A staged folder with a model of this text. */
static char *
staged(const char *id, const char *text)
{
    struct err e = {0};
    char *dir;

    if (repo_stage(repo, id, &dir, &e) != 0)
        fail_msg("%s", e.msg);
    put(text, "%s/sub/model.onnx", dir);
    return dir;
}

static void
publish(const char *id, const char *text, long version, const char *variant,
        enum verdict verdict)
{
    char *dir = staged(id, text), *sub = mem_printf("%s/sub", dir);
    struct repo_variant v;
    struct err e = {0};
    int rc = variant == NULL
                 ? repo_publish_version(repo, sub, "m", version, "fp32", NULL,
                                        &v, &e)
                 : repo_publish_variant(repo, sub, "m", version, variant,
                                        verdict, NULL, &v, &e);

    if (rc != 0)
        fail_msg("%s", e.msg);
    assert_int_equal(v.bytes, strlen(text));
    assert_true(v.managed);
    assert_null(v.reason);
    repo_variant_free(&v);
    repo_unstage(repo, id);
    assert_int_not_equal(access(dir, F_OK), 0);
    mem_free(sub);
    mem_free(dir);
}

static struct repo_list
scanned(size_t n)
{
    struct repo_list l;
    struct err e = {0};

    if (repo_scan(repo, NULL, &l, &e) != 0)
        fail_msg("%s", e.msg);
    assert_int_equal(l.n, n);
    return l;
}

static void
what_is_published_is_found(void **state)
{
    struct repo_list l;

    (void)state;
    publish("1", "one", 1, NULL, VERDICT_ACCEPTED);
    publish("2", "eight", 1, "int8", VERDICT_UNDECIDED);
    publish("3", "two", 2, NULL, VERDICT_ACCEPTED);
    l = scanned(3);
    assert_int_equal(l.at[0].version, 2);
    assert_true(l.at[1].base);
    assert_string_equal(l.at[1].variant, "fp32");
    assert_string_equal(l.at[2].variant, "int8");
    assert_int_equal(l.at[2].verdict, VERDICT_UNDECIDED);
    repo_list_free(&l);
}

static void
a_version_is_never_overwritten(void **state)
{
    char *dir, *sub;
    struct repo_variant v;
    struct err e;

    (void)state;
    publish("1", "one", 1, NULL, VERDICT_ACCEPTED);
    dir = staged("2", "other");
    sub = mem_printf("%s/sub", dir);
    assert_int_equal(
        repo_publish_version(repo, sub, "m", 1, "fp32", NULL, &v, &e),
        ERR_CONFLICT);
    assert_int_equal(repo_publish_variant(repo, sub, "m", 1, "fp32",
                                          VERDICT_ACCEPTED, NULL, &v, &e),
                     ERR_CONFLICT);
    assert_int_equal(repo_remove_variant(repo, "m", 1, "fp32", &e),
                     ERR_CONFLICT);
    mem_free(sub);
    mem_free(dir);
}

static void
a_variant_is_replaced_whole(void **state)
{
    struct repo_variant v;
    struct err e;
    char *text;

    (void)state;
    publish("1", "one", 1, NULL, VERDICT_ACCEPTED);
    publish("2", "old", 1, "int8", VERDICT_UNDECIDED);
    put("x", "%s/m/1/variants/int8/extra", root);
    publish("3", "newer", 1, "int8", VERDICT_ACCEPTED);
    assert_int_equal(repo_lookup(repo, "m", 1, "int8", &v, &e), 0);
    assert_int_equal(v.verdict, VERDICT_ACCEPTED);
    assert_int_equal(file_read(v.path, 99, &text, NULL, &e), 0);
    assert_string_equal(text, "newer");
    mem_free(text);
    repo_variant_free(&v);
    assert_int_equal(repo_remove_variant(repo, "m", 1, "int8", &e), 0);
    assert_int_equal(repo_lookup(repo, "m", 1, "int8", &v, &e), ERR_NOT_FOUND);
}

static void
numbers_are_given_once(void **state)
{
    long a, b, c;
    struct err e;

    (void)state;
    put("x", "%s/m/4/model.onnx", root);
    assert_int_equal(repo_reserve(repo, "m", 0, &a, &e), 0);
    assert_int_equal(a, 5);
    assert_int_equal(repo_reserve(repo, "m", 0, &b, &e), 0);
    assert_int_equal(b, 6);
    assert_int_equal(repo_reserve(repo, "m", 5, &c, &e), ERR_CONFLICT);
    assert_int_equal(repo_reserve(repo, "m", 4, &c, &e), ERR_CONFLICT);
    repo_release(repo, "m", 6);
    assert_int_equal(repo_reserve(repo, "m", 6, &c, &e), 0);
    assert_int_equal(repo_reserve(repo, "other", 0, &c, &e), 0);
    assert_int_equal(c, 1);
}

static void
spoiled_files_are_named(void **state)
{
    struct repo_list l;
    struct err e;
    char *dir = mem_printf("%s/m/1", root);

    (void)state;
    publish("1", "one", 1, NULL, VERDICT_ACCEPTED);
    assert_int_equal(manifest_check(dir, true, NULL, &e), 0);
    put("oen", "%s/model.onnx", dir); /* as long, but not the same */
    assert_int_equal(manifest_check(dir, false, NULL, &e), 0);
    assert_int_equal(manifest_check(dir, true, NULL, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "model.onnx does not match"));
    put("longer", "%s/model.onnx", dir);
    l = scanned(1);
    assert_non_null(strstr(l.at[0].reason, "6 bytes"));
    repo_list_free(&l);
    for (int i = 0; i < 5; i++) {
        static const char *const bad[] = {
            "", "{}", "[1]", "{\"files\":{\"../x\":{\"sha256\":\"\"}}}",
            "{\"files\":{\"model.onnx\":3}}"};

        put(bad[i], "%s/manifest.json", dir);
        assert_int_equal(manifest_check(dir, true, NULL, &e), ERR_INVALID);
    }
    mem_free(dir);
}

/* What a crash may have left. */
static void
a_start_tidies_up(void **state)
{
    struct repo_list l;
    struct repo_variant v;
    struct err e;
    char path[256];

    (void)state;
    publish("1", "one", 1, NULL, VERDICT_ACCEPTED);
    publish("2", "b", 1, "b", VERDICT_ACCEPTED);
    put("half", "%s/.quantd/tmp/77/model.onnx", root);
    put("{", "%s/m/route.json.tmp12", root);
    put("{", "%s/m/1/manifest.json.tmp12", root);
    put("gone", "%s/m/1/variants/.old.a/model.onnx", root);
    put("gone", "%s/m/1/variants/.old.b/model.onnx", root);
    reopen();
    l = scanned(3);
    assert_string_equal(l.at[1].variant, "a");
    assert_string_equal(l.at[2].variant, "b");
    repo_list_free(&l);
    assert_int_equal(repo_lookup(repo, "m", 1, "b", &v, &e), 0);
    assert_int_equal(v.bytes, 1); /* the new one, not "gone" */
    repo_variant_free(&v);
    snprintf(path, sizeof path, "%s/.quantd/tmp/77", root);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/m/route.json.tmp12", root);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void
foreign_layouts_are_read(void **state)
{
    struct repo_list l;

    (void)state;
    put("x", "%s/model.onnx", root);                /* flat */
    put("x", "%s/t/1/model.onnx/model.onnx", root); /* Triton, external */
    put("xx", "%s/t/1/model.onnx/weights.bin", root);
    put("x", "%s/t/07/model.onnx", root); /* no version */
    put("x", "%s/.hidden/1/model.onnx", root);
    put("x", "%s/bad name/1/model.onnx", root);
    put("x", "%s/t/2/variants/int8/model.onnx", root); /* of what? */
    l = scanned(3);
    assert_string_equal(l.at[0].model, "model");
    assert_int_equal(l.at[1].version, 2);
    assert_non_null(strstr(l.at[1].reason, "no model.onnx"));
    assert_non_null(strstr(l.at[2].path, "model.onnx/model.onnx"));
    assert_false(l.at[2].managed);
    repo_list_free(&l);
}

static void
one_daemon_at_a_time(void **state)
{
    struct repo_options o = {.models = root};
    struct repo *other = NULL;
    struct err e;

    (void)state;
    assert_int_equal(repo_open(&o, &other, &e), ERR_CONFLICT);
    assert_null(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_published_is_found),  TEST(a_version_is_never_overwritten),
        TEST(a_variant_is_replaced_whole), TEST(numbers_are_given_once),
        TEST(spoiled_files_are_named),     TEST(a_start_tidies_up),
        TEST(foreign_layouts_are_read),    TEST(one_daemon_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
