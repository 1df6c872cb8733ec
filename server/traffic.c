/* SPDX-License-Identifier: Apache-2.0 */
#include "server/traffic.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "server/history.h"
#include "server/log.h"

struct traffic {
    struct repo *repo;
    struct registry *registry;
    atomic_ulong rollbacks;
};

static const char history_name[] = "history.jsonl";
static const char route_name[] = "route.json";

struct traffic *
traffic_new(struct repo *repo, struct registry *registry)
{
    struct traffic *t = mem_new(1, sizeof *t);

    t->repo = repo;
    t->registry = registry;
    return t;
}

void
traffic_free(struct traffic **t)
{
    mem_free(*t);
    *t = NULL;
}

unsigned long
traffic_rollbacks(const struct traffic *t)
{
    return atomic_load(&t->rollbacks);
}

int
traffic_history(struct traffic *t, const char *model, json_t **out,
                struct err *e)
{
    char *path = repo_file_to_read(t->repo, model, history_name);
    int rc = history_read(path, out, e);

    mem_free(path);
    return rc;
}

/* --- writing down ------------------------------------------------------ */

struct change {
    struct traffic *t;
    const char *model, *action;
    const struct traffic_why *why;
    bool follows;
    bool rollback;
    long at;     /* the record that comes into force again, or -1 */
    bool yields; /* to a newer version, and to a route that somebody set */
    bool yielded;
};

static json_t *
arm_json(const struct route_arm *a)
{
    return json_pack("{s:I, s:s}", "version", (json_int_t)a->version, "variant",
                     a->variant);
}

/* Arms with traffic that nobody has proven, or that were rejected. */
static void
note_verdicts(const struct change *c, const struct route *to, json_t *record)
{
    json_t *unproven = json_array(), *forced = json_array();
    struct registry_list rows;

    registry_list(c->t->registry, c->model, &rows);
    for (int i = 0; i < to->n_arms; i++)
        for (size_t k = 0; k < rows.n && to->arms[i].weight > 0; k++) {
            const struct registry_row *row = &rows.at[k];

            if (row->version != to->arms[i].version ||
                strcmp(row->variant, to->arms[i].variant) != 0)
                continue;
            if (row->verdict == VERDICT_UNDECIDED)
                json_array_append_new(unproven, arm_json(&to->arms[i]));
            if (row->verdict == VERDICT_REJECTED)
                json_array_append_new(forced, arm_json(&to->arms[i]));
        }
    registry_list_free(&rows);
    if (json_array_size(unproven) > 0)
        json_object_set(record, "unproven", unproven);
    if (json_array_size(forced) > 0)
        json_object_set(record, "forced", forced);
    json_decref(unproven);
    json_decref(forced);
}

static json_t *
make_record(const struct change *c, const struct route *from,
            const struct route *to)
{
    bool first = from == NULL || (c->follows && route_equal(from, to));
    json_t *record =
        json_pack("{s:s, s:s, s:o, s:o, s:b}", "who", c->why->who, "action",
                  c->action, "from", first ? json_null() : route_json(from),
                  "to", route_json(to), "follows", c->follows);

    if (c->why->reason != NULL)
        json_object_set_new(record, "reason", json_string(c->why->reason));
    note_verdicts(c, to, record);
    return record;
}

static int
write_route(const char *path, const struct route *to, const json_t *record,
            struct err *e)
{
    json_t *j = route_json(to);
    char *text;
    int rc;

    json_object_set(j, "seq", json_object_get(record, "seq"));
    json_object_set(j, "follows", json_object_get(record, "follows"));
    text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    rc = file_write(path, text, strlen(text), e);
    free(text);
    json_decref(j);
    return rc;
}

/* Uploads that end together may come here in any order: the newest stays. */
static bool
must_yield(const struct change *c, const struct route *to)
{
    bool follows = true;
    struct route now;
    struct err e;

    if (registry_route(c->t->registry, c->model, &now, &follows, &e) != 0)
        return false;
    return !follows || now.arms[0].version > to->arms[0].version;
}

static int
journal(void *arg, const struct route *from, const struct route *to,
        struct err *e)
{
    struct change *c = arg;
    char *history = NULL, *route = NULL;
    json_t *record;
    struct err later;
    int rc;

    if (c->yields && must_yield(c, to)) {
        c->yielded = true;
        return err_set(e, ERR_CONFLICT, "a newer route is in force");
    }
    record = make_record(c, from, to);
    if ((rc = repo_file_to_write(c->t->repo, c->model, history_name, &history,
                                 e)) == 0 &&
        (rc = repo_file_to_write(c->t->repo, c->model, route_name, &route,
                                 e)) == 0)
        rc = history_append(history, record, c->at, e);
    if (rc != 0 && c->rollback) {
        /* Away from a bad variant comes first, even on a full disk. */
        log_event(LOG_ERROR, "rollback_not_recorded", "model=%s reason=%s",
                  c->model, e->msg);
        rc = 0;
        goto out;
    }
    /* The record is what counts: the next start reads it. */
    if (rc == 0 && write_route(route, to, record, &later) != 0)
        log_event(LOG_ERROR, "route_write", "model=%s reason=%s", c->model,
                  later.msg);
    if (rc == 0)
        log_event(
            LOG_NOTICE, "route_change", "model=%s action=%s who=%s seq=%lld",
            c->model, c->action, c->why->who,
            (long long)json_integer_value(json_object_get(record, "seq")));
out:
    json_decref(record);
    mem_free(route);
    mem_free(history);
    return rc;
}

static int
apply(struct change *c, const struct route *to, bool force, struct err *e)
{
    struct route_change rc = {
        .force = force, .follows = c->follows, .journal = journal, .arg = c};

    return registry_set_route(c->t->registry, c->model, to, &rc, e);
}

/* --- changes ----------------------------------------------------------- */

int
traffic_set(struct traffic *t, const char *model, const struct route *to,
            const struct traffic_why *why, struct err *e)
{
    struct change c = {
        .t = t, .model = model, .action = "route", .why = why, .at = -1};

    return apply(&c, to, why->force, e);
}

int
traffic_follow(struct traffic *t, const char *model, long version,
               const char *variant, const struct traffic_why *why,
               struct err *e)
{
    struct change c = {.t = t,
                       .model = model,
                       .action = "version",
                       .why = why,
                       .follows = true,
                       .at = -1,
                       .yields = true};
    struct route to;
    int rc;

    route_single(&to, version, variant);
    rc = apply(&c, &to, false, e);
    return c.yielded ? 0 : rc;
}

struct usable {
    struct registry *registry;
    const char *model;
};

static bool
usable(void *arg, const struct route *r)
{
    const struct usable *u = arg;

    return registry_can_route(u->registry, u->model, r);
}

/* When there is nothing to go back to: the own file of the version that has
 * the traffic, or of the newest one. */
static int
default_route(struct traffic *t, const char *model, const struct route *now,
              struct route *out, struct err *e)
{
    struct registry_list rows;
    int rc = err_set(e, ERR_CONFLICT, "no version of %s is loaded", model);

    registry_list(t->registry, model, &rows);
    for (size_t i = 0; i < rows.n; i++) {
        const struct registry_row *row = &rows.at[i];

        if (!row->base || row->live == NULL)
            continue;
        if (rc != 0 || row->version == now->arms[0].version) {
            route_single(out, row->version, row->variant);
            rc = 0;
        }
    }
    registry_list_free(&rows);
    return rc;
}

static int
find_target(struct traffic *t, const char *model, long seq, struct route *now,
            struct route *to, long *at, struct err *e)
{
    struct usable u = {t->registry, model};
    json_t *records;
    bool follows;
    int rc;

    if ((rc = registry_route(t->registry, model, now, &follows, e)) != 0 ||
        (rc = traffic_history(t, model, &records, e)) != 0)
        return rc;
    if (seq > 0) {
        *at = seq;
        rc = history_route(records, seq, to, e);
    } else {
        *at = history_back(records, now, usable, &u, to);
        if (*at == 0)
            rc = default_route(t, model, now, to, e);
    }
    json_decref(records);
    return rc;
}

static int
roll_back(struct change *c, const struct route *to, bool force, struct err *e)
{
    int rc = apply(c, to, force, e);

    if (rc == 0)
        atomic_fetch_add(&c->t->rollbacks, 1);
    return rc;
}

int
traffic_rollback(struct traffic *t, const char *model, long seq,
                 const struct traffic_why *why, struct err *e)
{
    struct change c = {.t = t,
                       .model = model,
                       .action = "rollback",
                       .why = why,
                       .rollback = true};
    struct route now, to;
    int rc = find_target(t, model, seq, &now, &to, &c.at, e);

    if (rc != 0 || route_equal(&to, &now))
        return rc;
    /* Who routed a rejected variant before may go back to it. */
    return roll_back(&c, &to, true, e);
}

int
traffic_rollback_to(struct traffic *t, const char *model,
                    const struct route *to, const struct traffic_why *why,
                    struct err *e)
{
    struct change c = {.t = t,
                       .model = model,
                       .action = "rollback",
                       .why = why,
                       .rollback = true,
                       .at = -1};

    return roll_back(&c, to, why->force, e);
}

/* --- at start ---------------------------------------------------------- */

static int
parse_kept(json_t *j, struct route *out, long *seq, bool *follows,
           struct err *e)
{
    *seq = (long)json_integer_value(json_object_get(j, "seq"));
    *follows = json_is_true(json_object_get(j, "follows"));
    json_object_del(j, "follows");
    return route_parse(j, out, e);
}

static int
read_route(struct traffic *t, const char *model, struct route *out, long *seq,
           bool *follows, struct err *e)
{
    char *path = repo_file_to_read(t->repo, model, route_name), *text;
    json_error_t where;
    size_t bytes;
    json_t *j;
    int rc = file_read(path, 1 << 20, &text, &bytes, e);

    if (rc == 0) {
        j = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
        rc = j == NULL ? err_set(e, ERR_INVALID, "line %d: %s", where.line,
                                 where.text)
                       : parse_kept(j, out, seq, follows, e);
        if (rc != 0)
            err_wrap(e, "%s", path);
        json_decref(j);
        mem_free(text);
    }
    mem_free(path);
    return rc;
}

/* The last record's route, when route.json is older than it. */
static int
replay(struct traffic *t, const char *model, long seq, struct route *out,
       bool *follows, struct err *e)
{
    json_t *records;
    const json_t *last;
    int rc = traffic_history(t, model, &records, e);

    if (rc != 0)
        return rc;
    rc = err_set(e, ERR_NOT_FOUND, "no newer record");
    if (json_array_size(records) > 0) {
        last = json_array_get(records, json_array_size(records) - 1);
        if (json_integer_value(json_object_get(last, "seq")) > seq) {
            rc = route_parse(json_object_get(last, "to"), out, e);
            *follows = json_is_true(json_object_get(last, "follows"));
        }
    }
    json_decref(records);
    return rc;
}

void
traffic_restore(struct traffic *t, const char *model)
{
    struct route kept, newer;
    bool follows = true, has_kept, newer_follows = true;
    long seq = 0;
    struct err e;
    int rc = read_route(t, model, &kept, &seq, &follows, &e);

    has_kept = rc == 0;
    if (rc != 0 && rc != ERR_NOT_FOUND)
        log_event(LOG_ERROR, "route_read", "model=%s reason=%s", model, e.msg);
    rc = replay(t, model, has_kept ? seq : 0, &newer, &newer_follows, &e);
    if (rc == 0) {
        kept = newer;
        follows = newer_follows;
        has_kept = true;
    } else if (rc != ERR_NOT_FOUND)
        log_event(LOG_ERROR, "history_read", "model=%s reason=%s", model,
                  e.msg);
    /* Who follows has the newest version that loads, whatever was written. */
    if (has_kept && !follows)
        registry_keep_route(t->registry, model, &kept, false);
}

void
traffic_settle(struct traffic *t, const char *model)
{
    struct traffic_why why = {.who = "start",
                              .reason = "the newest version that loaded"};
    struct route now, written;
    bool follows;
    json_t *records;
    struct err e;
    int rc;

    if (registry_route(t->registry, model, &now, &follows, &e) != 0 ||
        !follows || traffic_history(t, model, &records, &e) != 0)
        return;
    rc = json_array_size(records) == 0 ||
         history_route(records, history_last(records), &written, &e) != 0 ||
         route_equal(&now, &written);
    json_decref(records);
    if (!rc && traffic_follow(t, model, now.arms[0].version,
                              now.arms[0].variant, &why, &e) != 0)
        log_event(LOG_WARNING, "route_follow", "model=%s reason=%s", model,
                  e.msg);
}
