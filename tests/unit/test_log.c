/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the log, read back from standard error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "server/log.h"

static char text[8192];

/* What event() writes to standard error. */
static const char *
captured(void (*event)(void))
{
    int ends[2], kept = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    event();
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    n = read(ends[0], text, sizeof text - 1);
    text[n < 0 ? 0 : n] = '\0';
    close(ends[0]);
    return text;
}

static const char *volatile nothing;

static void
plain(void)
{
    log_event(LOG_INFO, "model_load",
              "model=%s version=%ld ms=%.1f n=%u size=%zu none=%s", "r50", 3L,
              4.25, 7u, (size_t)9, nothing);
}

static void
hostile(void)
{
    log_event(LOG_ERROR, "x", "a=%s b=%s c=%s d=%s", "two words",
              "line\n<0>forged a=1", "q\"\\", "");
}

static void
quiet(void)
{
    log_event(LOG_DEBUG, "x", "a=%d", 1);
}

static char huge[5000];

static void
long_one(void)
{
    log_event(LOG_ERROR, "x", "a=%s b=%s c=%s d=%s", huge, huge, huge, huge);
}

static void
text_lines(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false);
    assert_string_equal(captured(plain), "<6>model_load model=r50 version=3 "
                                         "ms=4.2 n=7 size=9 none=\"\"\n");
    assert_string_equal(captured(hostile),
                        "<3>x a=\"two words\" b=\"line\\u000a<0>forged a=1\" "
                        "c=\"q\\\"\\\\\" d=\"\"\n");
    assert_string_equal(captured(quiet), "");
}

static void
json_lines(void **state)
{
    json_t *j;

    (void)state;
    log_setup(LOG_INFO, true);
    j = json_loads(captured(plain), 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "model")), "r50");
    assert_int_equal(json_integer_value(json_object_get(j, "version")), 3);
    json_decref(j);
    j = json_loads(captured(hostile), 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "b")),
                        "line\n<0>forged a=1");
    json_decref(j);
    log_setup(LOG_INFO, false);
}

static void
a_line_has_one_end(void **state)
{
    const char *line;

    (void)state;
    memset(huge, 'y', sizeof huge - 1);
    line = captured(long_one);
    assert_true(strlen(line) > 1000 && strlen(line) < sizeof text - 1);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(a_line_has_one_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
