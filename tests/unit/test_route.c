/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/route.h"

enum { N = 100000 };

static struct route
parsed(const char *text)
{
    struct route r;
    struct err e = {0};
    json_t *j = json_loads(text, 0, NULL);

    assert_non_null(j);
    if (route_parse(j, &r, &e) != 0)
        fail_msg("%s: %s", text, e.msg);
    json_decref(j);
    return r;
}

static void
refused(const char *text, const char *msg)
{
    struct route r;
    struct err e = {0};
    json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(j);
    assert_int_equal(route_parse(j, &r, &e), ERR_INVALID);
    if (strstr(e.msg, msg) == NULL)
        fail_msg("'%s' is not in '%s'", msg, e.msg);
    json_decref(j);
}

/* Five standard deviations of a binomial share: fails once in a million. */
static void
within(int got, double share)
{
    double sd = sqrt(N * share * (1 - share));

    if (fabs(got - N * share) > 5 * sd)
        fail_msg("%d of %d, expected %.0f +- %.0f", got, N, N * share, 5 * sd);
}

static const char three[] =
    "{\"arms\":[{\"version\":1,\"variant\":\"fp32\",\"weight\":70},"
    "{\"version\":\"1\",\"variant\":\"int8\",\"weight\":25.5},"
    "{\"version\":2,\"variant\":\"fp32\",\"weight\":0},"
    "{\"version\":2,\"variant\":\"int8\",\"weight\":4.5}]}";

static void
shares_are_kept_at_random(void **state)
{
    struct route r = parsed(three);
    int n[4] = {0};

    (void)state;
    for (int i = 0; i < N; i++)
        n[route_choose(&r, "m", NULL)]++;
    within(n[0], 0.70);
    within(n[1], 0.255);
    assert_int_equal(n[2], 0);
    within(n[3], 0.045);
}

static void
shares_are_kept_by_key(void **state)
{
    struct route r = parsed(three);
    int n[4] = {0};
    char key[32];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "user-%d", i);
        n[route_choose(&r, "m", key)]++;
    }
    within(n[0], 0.70);
    within(n[1], 0.255);
    assert_int_equal(n[2], 0);
    within(n[3], 0.045);
}

static void
a_key_keeps_its_arm(void **state)
{
    struct route r = parsed(three);
    char key[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int at;

        snprintf(key, sizeof key, "%d", i);
        at = route_choose(&r, "m", key);
        for (int k = 0; k < 10; k++)
            assert_int_equal(route_choose(&r, "m", key), at);
    }
}

/* From 10 % to 25 %: the 15 % that must move do, and nobody else. */
static void
only_the_needed_keys_move(void **state)
{
    struct route a = {.n_arms = 2}, b;
    int moved = 0;
    char key[32];

    (void)state;
    route_single(&a, 1, "fp32");
    a.n_arms = 2;
    a.arms[0].weight = 90;
    a.arms[1] = (struct route_arm){.version = 1, .weight = 10};
    memcpy(a.arms[1].variant, "int8", 5);
    b = a;
    b.arms[0].weight = 75;
    b.arms[1].weight = 25;
    for (int i = 0; i < N; i++) {
        int was, is;

        snprintf(key, sizeof key, "k%x", i * 7919);
        was = route_choose(&a, "m", key);
        is = route_choose(&b, "m", key);
        if (was == 1)
            assert_int_equal(is, 1);
        moved += was != is;
    }
    within(moved, 0.15);
}

/* Two models must not send the same users to their candidates. */
static void
models_draw_independently(void **state)
{
    struct route r = parsed(three);
    int both = 0;
    char key[32];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "%d", i);
        both += route_choose(&r, "one", key) == 1 &&
                route_choose(&r, "two", key) == 1;
    }
    within(both, 0.255 * 0.255);
}

static void
json_goes_round(void **state)
{
    struct route r = parsed(three), back;
    struct err e;
    json_t *j = route_json(&r);

    (void)state;
    assert_int_equal(route_parse(j, &back, &e), 0);
    assert_true(route_equal(&r, &back));
    assert_string_equal(back.sticky_header, "Quantd-Sticky-Key");
    json_decref(j);
    r = parsed("{\"arms\":[{\"version\":1,\"variant\":\"fp32\",\"weight\":1}],"
               "\"sticky\":{\"parameter\":\"user\"}}");
    assert_string_equal(r.sticky_header, "");
    assert_string_equal(r.sticky_parameter, "user");
}

static void
nonsense_is_named(void **state)
{
    (void)state;
    refused("[]", "object");
    refused("{}", "arms");
    refused("{\"arms\":[]}", "1 to 64");
    refused("{\"arms\":[1]}", "arms[0]: an object");
    refused("{\"arms\":[{\"version\":0,\"variant\":\"a\",\"weight\":1}]}",
            "arms[0].version");
    refused("{\"arms\":[{\"version\":\"01\",\"variant\":\"a\",\"weight\":1}]}",
            "arms[0].version");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"../a\",\"weight\":1}]}",
            "arms[0].variant");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"weight\":-1}]}",
            "arms[0].weight");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"weight\":\"1\"}]}",
            "arms[0].weight");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"weight\":0}]}",
            "positive");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"weight\":1e308},"
            "{\"version\":1,\"variant\":\"b\",\"weight\":1e308}]}",
            "finite");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"weight\":1},"
            "{\"version\":1,\"variant\":\"a\",\"weight\":2}]}",
            "already arms[0]");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"wieght\":1}]}",
            "wieght");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"weight\":1}],"
            "\"sticky\":{\"header\":\"a b\"}}",
            "sticky.header");
    refused("{\"arms\":[{\"version\":1,\"variant\":\"a\",\"weight\":1}],"
            "\"stiky\":{}}",
            "stiky");
}

static void
names_and_versions(void **state)
{
    char longest[ROUTE_NAME + 2];

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[ROUTE_NAME + 1] = '\0';
    assert_false(route_name_ok(longest));
    longest[ROUTE_NAME] = '\0';
    assert_true(route_name_ok(longest));
    assert_true(route_name_ok("int8-dynamic"));
    assert_false(route_name_ok(""));
    assert_false(route_name_ok("."));
    assert_false(route_name_ok("-x"));
    assert_false(route_name_ok("a/b"));
    assert_false(route_name_ok("caf\xc3\xa9"));
    assert_int_equal(route_version("12"), 12);
    assert_int_equal(route_version("0"), 0);
    assert_int_equal(route_version("012"), 0);
    assert_int_equal(route_version("1x"), 0);
    assert_int_equal(route_version("-1"), 0);
    assert_int_equal(route_version("99999999999999999999"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_kept_at_random),
        cmocka_unit_test(shares_are_kept_by_key),
        cmocka_unit_test(a_key_keeps_its_arm),
        cmocka_unit_test(only_the_needed_keys_move),
        cmocka_unit_test(models_draw_independently),
        cmocka_unit_test(json_goes_round),
        cmocka_unit_test(nonsense_is_named),
        cmocka_unit_test(names_and_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
