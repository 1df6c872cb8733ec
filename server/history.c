/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "server/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

enum { HISTORY_MAX = 64 << 20 };

static int
add_line(json_t *records, const char *line, size_t n, long number,
         const char *path, struct err *e)
{
    json_t *j = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(j) || !json_is_integer(json_object_get(j, "seq"))) {
        json_decref(j);
        return err_set(e, ERR_INVALID, "%s:%ld: no record of a change", path,
                       number);
    }
    json_array_append_new(records, j);
    return 0;
}

int
history_read(const char *path, json_t **out, struct err *e)
{
    char *text = NULL, *line, *end;
    json_t *records = json_array();
    size_t bytes = 0;
    long number = 1;
    int rc = file_read(path, HISTORY_MAX, &text, &bytes, e);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        goto out;
    rc = 0;
    for (line = text; rc == 0 && bytes > 0; line = end + 1, number++) {
        end = memchr(line, '\n', bytes - (size_t)(line - text));
        if (end == NULL)
            break; /* torn, or nothing is left */
        rc = add_line(records, line, (size_t)(end - line), number, path, e);
    }
out:
    mem_free(text);
    if (rc == 0)
        *out = records;
    else
        json_decref(records);
    return rc;
}

/* Cuts off what follows the last newline.  bytes: out; what is left. */
static int
drop_torn_line(const char *path, off_t *bytes, struct err *e)
{
    char *text = NULL, *last;
    size_t n;
    int rc = file_read(path, HISTORY_MAX, &text, &n, e);

    *bytes = 0;
    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc != 0)
        return rc;
    last = n > 0 ? memrchr(text, '\n', n) : NULL;
    *bytes = last != NULL ? last + 1 - text : 0;
    if ((size_t)*bytes < n && truncate(path, *bytes) != 0)
        rc = err_errno(e, "%s", path);
    mem_free(text);
    return rc;
}

static void
now_text(char *out, size_t size)
{
    struct timespec t;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, size - n, ".%03ldZ", t.tv_nsec / 1000000);
}

static const json_t *
last_of(const json_t *records)
{
    size_t n = json_array_size(records);

    return n > 0 ? json_array_get(records, n - 1) : NULL;
}

static long
number(const json_t *record, const char *member)
{
    return (long)json_integer_value(json_object_get(record, member));
}

long
history_last(const json_t *records)
{
    return number(last_of(records), "seq");
}

long
history_at(const json_t *records)
{
    return number(last_of(records), "at");
}

int
history_append(const char *path, json_t *record, long at, struct err *e)
{
    json_t *records = NULL;
    char time_text[40], *text, *line;
    off_t before;
    long seq;
    int rc;

    if ((rc = history_read(path, &records, e)) != 0 ||
        (rc = drop_torn_line(path, &before, e)) != 0) {
        json_decref(records);
        return rc;
    }
    now_text(time_text, sizeof time_text);
    seq = history_last(records) + 1;
    json_object_set_new(record, "seq", json_integer(seq));
    json_object_set_new(record, "time", json_string(time_text));
    json_object_set_new(record, "at", json_integer(at < 0 ? seq : at));
    json_object_set_new(record, "back", json_integer(history_at(records)));
    json_decref(records);
    text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text == NULL)
        return err_set(e, ERR_INTERNAL, "%s: record can't be written", path);
    line = mem_printf("%s\n", text);
    rc = file_append(path, line, strlen(line), e);
    if (rc != 0) /* what was refused must not come back at the next start */
        (void)!truncate(path, before);
    else if (seq == 1)
        rc = file_sync_parent(path, e);
    mem_free(line);
    free(text);
    return rc;
}

static const json_t *
find(const json_t *records, long seq)
{
    size_t i;
    json_t *record;

    json_array_foreach(records, i,
                       record) if (number(record, "seq") == seq) return record;
    return NULL;
}

int
history_route(const json_t *records, long seq, struct route *out, struct err *e)
{
    const json_t *record = find(records, seq);

    if (record == NULL)
        return err_set(e, ERR_NOT_FOUND, "the history has no record %ld", seq);
    return route_parse(json_object_get(record, "to"), out, e);
}

long
history_back(const json_t *records, const struct route *now,
             bool (*usable)(void *arg, const struct route *r), void *arg,
             struct route *out)
{
    const json_t *record = find(records, history_at(records));

    while (record != NULL) {
        long seq = number(record, "seq"), back = number(record, "back");
        struct err e;

        if (back >= seq)
            break; /* a hand-made file must not lead in circles */
        record = find(records, back);
        if (record != NULL && history_route(records, back, out, &e) == 0 &&
            !route_equal(out, now) && usable(arg, out))
            return back;
    }
    return 0;
}
