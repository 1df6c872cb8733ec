/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry with an engine of this file's own: what counts here is who is
 * found, who is held, and when something goes.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "server/log.h"
#include "server/registry.h"

/* --- the engine -------------------------------------------------------- */

struct model {
    int refs;
};

static atomic_int n_models, n_attached;

int
model_load(const char *path, const struct model_options *o, struct model **out,
           struct err *e)
{
    (void)o;
    if (strstr(path, "broken") != NULL)
        return err_set(e, ERR_INVALID, "it is broken");
    *out = mem_new(1, sizeof **out);
    atomic_fetch_add(&n_models, 1);
    return 0;
}

int
model_warm(struct model *m, struct err *e)
{
    (void)m;
    (void)e;
    return 0;
}

void
model_unref(struct model **m)
{
    if (*m != NULL)
        atomic_fetch_sub(&n_models, 1);
    mem_free(*m);
    *m = NULL;
}

void
model_memory(const struct model *m, struct model_memory *out)
{
    (void)m;
    *out = (struct model_memory){.weights = 100};
}

void
engine_set_threads(int n)
{
    (void)n;
}

static int
attach(struct variant *v, void *arg, struct err *e)
{
    (void)v;
    (void)arg;
    (void)e;
    atomic_fetch_add(&n_attached, 1);
    return 0;
}

static void
detach(struct variant *v, void *arg)
{
    (void)v;
    (void)arg;
    atomic_fetch_sub(&n_attached, 1);
}

/* --- help -------------------------------------------------------------- */

static struct registry *reg;

static int
setup(void **state)
{
    const struct registry_options o = {
        .attach = attach, .detach = detach, .threads = 1};

    (void)state;
    log_setup(LOG_ERROR, false);
    reg = registry_new(&o);
    registry_start(reg);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    registry_stop(reg);
    registry_free(&reg);
    return atomic_load(&n_models) + atomic_load(&n_attached);
}

static struct repo_variant
files(const char *model, long version, const char *variant)
{
    static char path[] = "none", broken[] = "broken";
    struct repo_variant f = {
        .version = version, .dir = path, .path = path, .model_dir = path};

    snprintf(f.model, sizeof f.model, "%s", model);
    snprintf(f.variant, sizeof f.variant, "%s", variant);
    f.base = strcmp(variant, "fp32") == 0;
    if (strcmp(variant, "broken") == 0)
        f.path = broken;
    return f;
}

static void
loaded(const char *model, long version, const char *variant)
{
    struct repo_variant f = files(model, version, variant);
    struct variant *v;
    struct err e = {0};

    if (registry_load(reg, &f, NULL, &v, &e) != 0)
        fail_msg("%s", e.msg);
    registry_install(reg, &f, &v);
}

/* "1/fp32 primary", or the error's code. */
static const char *
found(const char *model, const char *version, const char *variant)
{
    static char text[200];
    struct ask a = {.model = model, .version = version, .variant = variant};
    struct pick p;
    struct err e;
    int rc = registry_find(reg, &a, &p, &e);

    if (rc != 0) {
        snprintf(text, sizeof text, "%d", rc);
        return text;
    }
    snprintf(text, sizeof text, "%ld/%s %s", p.variant->version,
             p.variant->name, routed_name(p.routed));
    variant_unref(&p.variant);
    return text;
}

static int
no_journal(void *arg, const struct route *from, const struct route *to,
           struct err *e)
{
    (void)from;
    (void)to;
    return arg != NULL ? err_set(e, ERR_NO_SPACE, "disk full") : 0;
}

static int
routed(const char *model, long version, const char *variant, void *full)
{
    struct route_change c = {.journal = no_journal, .arg = full};
    struct route to;
    struct err e;

    route_single(&to, version, variant);
    return registry_set_route(reg, model, &to, &c, &e);
}

#define NOT_FOUND "2"
#define UNAVAILABLE "7"

/* --- tests ------------------------------------------------------------- */

static void
who_is_found(void **state)
{
    (void)state;
    assert_int_equal(ERR_NOT_FOUND, 2);
    assert_int_equal(ERR_UNAVAILABLE, 7);
    assert_string_equal(found("m", NULL, NULL), NOT_FOUND);
    loaded("m", 1, "fp32");
    loaded("m", 2, "int8");
    loaded("m", 2, "fp32");
    loaded("m", 1, "int8");
    loaded("m.x", 1, "fp32");
    /* While it runs a model keeps to its version: see registry.c. */
    assert_string_equal(found("m", NULL, NULL), "1/fp32 primary");
    assert_string_equal(found("m", "2", NULL), "2/fp32 pinned");
    assert_string_equal(found("m", "2", "int8"), "2/int8 pinned");
    assert_string_equal(found("m", NULL, "int8"), "1/int8 pinned");
    assert_string_equal(found("m.int8", NULL, NULL), "1/int8 pinned");
    assert_string_equal(found("m.int8", "2", NULL), "2/int8 pinned");
    assert_string_equal(found("m.x", NULL, NULL), "1/fp32 primary");
    assert_string_equal(found("m.x.fp32", NULL, NULL), "1/fp32 pinned");
    assert_string_equal(found("m.y", NULL, NULL), NOT_FOUND);
    assert_string_equal(found("m", "3", NULL), NOT_FOUND);
    assert_string_equal(found("m", "x", NULL), "1"); /* ERR_INVALID */
    assert_int_equal(routed("m", 2, "fp32", NULL), 0);
    assert_string_equal(found("m", NULL, NULL), "2/fp32 primary");
    assert_string_equal(found("m", NULL, "int8"), "2/int8 pinned");
}

static void
what_is_held_stays(void **state)
{
    struct ask a = {.model = "m"};
    struct pick p;
    struct err e;

    (void)state;
    loaded("m", 1, "fp32");
    assert_int_equal(registry_find(reg, &a, &p, &e), 0);
    loaded("m", 1, "fp32"); /* replaced */
    assert_int_equal(atomic_load(&n_models), 2);
    registry_drop(reg, "m", 1, "fp32", false, "asked to");
    assert_string_equal(found("m", NULL, NULL), UNAVAILABLE);
    assert_int_equal(p.variant->version, 1); /* still there */
    variant_unref(&p.variant);
    assert_null(p.variant);
    /* The loader takes both apart before it loads the next. */
    loaded("other", 1, "fp32");
    assert_int_equal(atomic_load(&n_models), 1);
    registry_drop(reg, "m", 1, "fp32", true, "");
    assert_string_equal(found("m", NULL, NULL), NOT_FOUND);
}

static void
a_failed_load_changes_nothing(void **state)
{
    struct repo_variant f = files("m", 1, "broken");
    struct registry_list l;
    struct variant *v = NULL;
    struct err e;

    (void)state;
    loaded("m", 1, "fp32");
    assert_int_equal(registry_load(reg, &f, NULL, &v, &e), ERR_INVALID);
    assert_null(v);
    registry_note(reg, &f, "it is broken");
    assert_string_equal(found("m", NULL, NULL), "1/fp32 primary");
    assert_string_equal(found("m", "1", "broken"), UNAVAILABLE);
    registry_list(reg, "m", &l);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.at[1].reason, "it is broken");
    assert_int_equal(l.at[1].state, LOAD_FAILED);
    registry_list_free(&l);
}

static void
a_route_is_changed_whole_or_not(void **state)
{
    struct route_change c = {.journal = no_journal};
    struct route r;
    struct err e;

    (void)state;
    loaded("m", 1, "fp32");
    loaded("m", 1, "int8");
    assert_int_equal(routed("m", 1, "none", NULL), ERR_CONFLICT);
    assert_int_equal(routed("m", 1, "int8", &c), ERR_NO_SPACE);
    assert_int_equal(routed("x", 1, "int8", NULL), ERR_NOT_FOUND);
    assert_string_equal(found("m", NULL, NULL), "1/fp32 primary");
    /* An arm that is gone leaves its share to the others. */
    route_single(&r, 1, "fp32");
    r.n_arms = 2;
    r.arms[1] = (struct route_arm){1, "int8", 1000};
    assert_int_equal(registry_set_route(reg, "m", &r, &c, &e), 0);
    registry_drop(reg, "m", 1, "int8", true, "");
    for (int i = 0; i < 20; i++)
        assert_string_equal(found("m", NULL, NULL), "1/fp32 primary");
    loaded("m", 1, "int8"); /* and takes it back when it returns */
    for (int i = 0; i < 1000; i++)
        if (strcmp(found("m", NULL, NULL), "1/int8 canary") == 0)
            return;
    fail();
}

static void
rejected_ones_need_force(void **state)
{
    struct repo_variant f = files("m", 1, "int8");
    struct route_change c = {.journal = no_journal};
    struct variant *v;
    struct route r;
    struct err e;

    (void)state;
    loaded("m", 1, "fp32");
    f.verdict = VERDICT_REJECTED;
    assert_int_equal(registry_load(reg, &f, NULL, &v, &e), 0);
    registry_install(reg, &f, &v);
    assert_int_equal(routed("m", 1, "int8", NULL), ERR_CONFLICT);
    assert_string_equal(found("m", NULL, "int8"), "1/int8 pinned");
    route_single(&r, 1, "int8");
    c.force = true;
    assert_int_equal(registry_set_route(reg, "m", &r, &c, &e), 0);
}

static atomic_bool over;

static void *
ask_all_the_time(void *arg)
{
    atomic_ulong *n = arg;

    while (!atomic_load(&over)) {
        struct ask a = {.model = "m"};
        struct pick p;
        struct err e;

        if (registry_find(reg, &a, &p, &e) != 0 ||
            strcmp(p.variant->model_name, "m") != 0)
            abort();
        variant_unref(&p.variant);
        atomic_fetch_add(n, 1);
    }
    return NULL;
}

/* Somebody is always found, whatever happens meanwhile. */
static void
changes_under_load(void **state)
{
    pthread_t threads[3];
    atomic_ulong n = 0;

    (void)state;
    loaded("m", 1, "fp32");
    loaded("m", 1, "int8");
    atomic_store(&over, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, ask_all_the_time, &n), 0);
    while (atomic_load(&n) == 0) /* a busy machine starts them late */
        sched_yield();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(routed("m", 1, i % 2 ? "fp32" : "int8", NULL), 0);
        if (i % 5 == 0)
            loaded("m", 1, "int8");
        if (i % 7 == 0) {
            assert_int_equal(routed("m", 1, "fp32", NULL), 0);
            registry_drop(reg, "m", 1, "int8", true, "");
            loaded("m", 1, "int8");
        }
    }
    atomic_store(&over, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_found),
        TEST(what_is_held_stays),
        TEST(a_failed_load_changes_nothing),
        TEST(a_route_is_changed_whole_or_not),
        TEST(rejected_ones_need_force),
        TEST(changes_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
