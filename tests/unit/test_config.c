/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options: values and their units, errors that name file, line and key, and
 * conf/quantd.conf, which must say what the table says.
 */
#define _GNU_SOURCE /* open_memstream, mkstemp */
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
#include "server/config.h"

/* Reads text as a file; its name is FILE in messages. */
static int
read_text(struct config *c, const char *text, struct err *e)
{
    char path[] = "test_config.XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    int rc;

    fputs(text, f);
    fclose(f);
    rc = config_read(c, path, e);
    unlink(path);
    return rc;
}

static void
values_have_units(void **state)
{
    struct config *c = config_new();
    struct err e;

    (void)state;
    assert_int_equal(read_text(c,
                               "[server]\n"
                               "max_body = 2K ; with a comment\n"
                               "drain_delay = 250ms\n"
                               "request_timeout=5\n"
                               "listen = [::1]:80\n"
                               "\n"
                               "# another comment\n"
                               "[scheduler]\n"
                               "max_queue_delay = 100\n"
                               "[quantize]\n"
                               "max_loss = 0.25\n"
                               "[log]\n"
                               "access = yes\n"
                               "level = debug\n",
                               &e),
                     0);
    assert_int_equal(c->server.max_body, 2048);
    assert_int_equal(c->server.drain_delay, 250000);
    assert_int_equal(c->server.request_timeout, 5000000);
    assert_string_equal(c->server.listen, "[::1]:80");
    assert_int_equal(c->scheduler.max_queue_delay, 100);
    assert_true(c->quantize.max_loss == 0.25);
    assert_true(c->log.access);
    assert_string_equal(c->log.level, "debug");
    assert_int_equal(c->server.max_connections, 1000); /* untouched */
    config_free(&c);
}

static void
errors_name_line_and_key(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"[server]\nlistn = x\n", ":2: server.listn: no such option"},
        {"[serve]\nlisten = x\n", ":2: serve.listen: no such section"},
        {"listen = x\n", ":1: .listen: no such section"},
        {"[server]\n\n\nmax_body = lots\n", ":4: server.max_body: 'lots'"},
        {"[server]\nmax_body = 1T\n", ":2: server.max_body: 'T'"},
        {"[server]\nmax_body = 1\n", ":2: server.max_body: 1 is not between"},
        {"[server]\nmax_body = -1K\n", ":2: server.max_body: -1K"},
        {"[server]\nmax_body = nan\n", ":2: server.max_body:"},
        {"[server]\nmax_connections = 1.5\n", ":2: server.max_connections:"},
        {"[server]\noverload_status = 500\n", ":2: server.overload_status:"},
        {"[log]\nformat = xml\n", ":2: log.format: 'xml' is not one of"},
        {"[log]\nformat = text json\n", ":2: log.format:"},
        {"[log]\naccess = true\n", ":2: log.access: 'true' is neither"},
        {"[log]\nlevel = info\nlevel = debug\n", ":3: log.level is given"},
        {"[log]\nlevel = info\n  debug\n", ":3: log.level is given"},
        {"[log]\nlevel\n", ":2: neither [section] nor key = value"},
        {"[log\nlevel = info\n", ":1: neither [section] nor key = value"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = config_new();
        struct err e = {0};

        if (read_text(c, cases[i].text, &e) != ERR_INVALID)
            fail_msg("taken: '%s'", cases[i].text);
        if (strstr(e.msg, cases[i].want) == NULL)
            fail_msg("'%s': %s", cases[i].text, e.msg);
        config_free(&c);
    }
}

static void
a_long_line_is_no_option(void **state)
{
    struct config *c = config_new();
    char text[1200] = "[models]\ndirectory = ";
    struct err e;

    (void)state;
    memset(text + strlen(text), 'x', 1100);
    assert_int_equal(read_text(c, text, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, ":2: "));
    assert_int_equal(config_read(c, "no/such/file", &e), ERR_NOT_FOUND);
    config_free(&c);
}

static int said;

static void
say(void *arg, const char *section, const char *key)
{
    (void)arg;
    assert_string_equal(section, "server");
    assert_string_equal(key, "listen");
    said++;
}

static void
reload_takes_what_may_change(void **state)
{
    struct config *old = config_new(), *fresh = config_new(), *now;
    struct err e;

    (void)state;
    assert_int_equal(config_set(fresh, "server", "listen", "a:1", &e), 0);
    assert_int_equal(config_set(fresh, "server", "drain_delay", "7", &e), 0);
    assert_int_equal(config_set(fresh, "log", "level", "debug", &e), 0);
    now = config_reload(old, fresh, say, NULL);
    assert_int_equal(said, 1);
    assert_string_equal(now->server.listen, old->server.listen);
    assert_int_equal(now->server.drain_delay, 7000000);
    assert_string_equal(now->log.level, "debug");
    config_free(&old);
    config_free(&fresh);
    config_free(&now);
}

/* conf/quantd.conf is what the table prints, behind its own first words. */
static void
the_example_is_up_to_date(void **state)
{
    const char *top = getenv("srcdir");
    char *path = mem_printf("%s/conf/quantd.conf", top ? top : ".");
    char *have, *want;
    const char *from;
    size_t n;
    FILE *f = open_memstream(&want, &n);
    struct config *c = config_new();
    struct err e;

    (void)state;
    config_print(f);
    fclose(f);
    assert_int_equal(file_read(path, 1 << 20, &have, NULL, &e), 0);
    from = strstr(have, "[server]");
    assert_non_null(from);
    assert_string_equal(from, want);
    assert_int_equal(config_read(c, path, &e), 0);
    config_free(&c);
    mem_free(have);
    mem_free(path);
    free(want);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_units),
        cmocka_unit_test(errors_name_line_and_key),
        cmocka_unit_test(a_long_line_is_no_option),
        cmocka_unit_test(reload_takes_what_may_change),
        cmocka_unit_test(the_example_is_up_to_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
