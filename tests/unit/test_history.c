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
#include "server/history.h"

static char dir[] = "test_history.XXXXXX";
static char path[64];

static int
setup(void **state)
{
    static char made[sizeof dir];

    (void)state;
    memcpy(made, dir, sizeof dir);
    if (mkdtemp(made) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/history.jsonl", made);
    *state = made;
    return 0;
}

static int
teardown(void **state)
{
    struct err e;

    return file_remove(*state, &e);
}

static struct route
weights(double fp32, double int8)
{
    struct route r;

    route_single(&r, 1, "fp32");
    r.n_arms = 2;
    r.arms[0].weight = fp32;
    r.arms[1] = (struct route_arm){1, "int8", int8};
    return r;
}

static void
append(const struct route *to, long at)
{
    struct err e = {0};
    json_t *record =
        json_pack("{s:s, s:o}", "action", at < 0 ? "route" : "rollback", "to",
                  route_json(to));

    if (history_append(path, record, at, &e) != 0)
        fail_msg("%s", e.msg);
    json_decref(record);
}

static json_t *
records(size_t n)
{
    struct err e = {0};
    json_t *all;

    if (history_read(path, &all, &e) != 0)
        fail_msg("%s", e.msg);
    assert_int_equal(json_array_size(all), n);
    return all;
}

static bool
any(void *arg, const struct route *r)
{
    (void)arg;
    (void)r;
    return true;
}

static bool
not_a(void *arg, const struct route *r)
{
    return !route_equal(arg, r);
}

static void
rollbacks_walk_back(void **state)
{
    struct route a = weights(100, 0), b = weights(90, 10), c = weights(0, 1);
    struct route to;
    json_t *all;

    (void)state;
    all = records(0);
    assert_int_equal(history_at(all), 0);
    assert_int_equal(history_back(all, &a, any, NULL, &to), 0);
    json_decref(all);
    append(&a, -1);
    append(&b, -1);
    append(&b, -1); /* the same once more is no place to go back to */
    append(&c, -1);

    all = records(4);
    assert_int_equal(history_back(all, &c, any, NULL, &to), 3);
    assert_true(route_equal(&to, &b));
    json_decref(all);
    append(&b, 3);

    all = records(5);
    assert_int_equal(history_at(all), 3);
    assert_int_equal(history_back(all, &b, any, NULL, &to), 1);
    assert_true(route_equal(&to, &a));
    assert_int_equal(history_back(all, &b, not_a, &a, &to), 0);
    json_decref(all);
    append(&a, 1);

    all = records(6);
    assert_int_equal(history_back(all, &a, any, NULL, &to), 0);
    json_decref(all);
    append(&c, -1); /* and on from there */
    all = records(7);
    assert_int_equal(history_back(all, &c, any, NULL, &to), 1);
    json_decref(all);
}

/* A crash may cut the last line anywhere. */
static void
a_torn_line_is_forgotten(void **state)
{
    struct route a = weights(100, 0), b = weights(1, 1);
    struct err e;
    char *whole;
    size_t two, one;

    (void)state;
    append(&a, -1);
    assert_int_equal(file_read(path, 1 << 20, &whole, &one, &e), 0);
    mem_free(whole);
    append(&b, -1);
    assert_int_equal(file_read(path, 1 << 20, &whole, &two, &e), 0);
    for (size_t cut = one; cut < two; cut += 7) {
        json_t *all;
        struct route to;

        assert_int_equal(file_write(path, whole, cut, &e), 0);
        json_decref(records(1));
        append(&b, -1);
        all = records(2);
        assert_int_equal(history_route(all, 2, &to, &e), 0);
        assert_true(route_equal(&to, &b));
        assert_int_equal(history_route(all, 3, &to, &e), ERR_NOT_FOUND);
        json_decref(all);
    }
    mem_free(whole);
}

static void
garbage_inside_is_named(void **state)
{
    static const char text[] = "{\"seq\":1}\ngarbage\n{\"seq\":2}\n";
    struct err e;
    json_t *all;

    (void)state;
    assert_int_equal(file_write(path, text, sizeof text - 1, &e), 0);
    assert_int_equal(history_read(path, &all, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "history.jsonl:2"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rollbacks_walk_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_line_is_forgotten, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(garbage_inside_is_named, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
