/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: looking, changing, rolling back, and the history of it.  All run on
 * the control thread, one after the other.
 */
#include <string.h>

#include "server/api.h"
#include "server/daemon.h"
#include "server/endpoints.h"
#include "server/registry.h"
#include "server/route.h"
#include "server/traffic.h"

/* The route as asked for, and what is in force of it. */
static json_t *
route_body(struct daemon *d, const char *model, const struct route *route,
           bool follows)
{
    json_t *j = route_json(route), *force = json_array();
    struct registry_list rows;

    registry_list(d->registry, model, &rows);
    for (size_t i = 0; i < rows.n; i++)
        if (rows.at[i].share > 0)
            json_array_append_new(
                force, json_pack("{s:I, s:s, s:f, s:s}", "version",
                                 (json_int_t)rows.at[i].version, "variant",
                                 rows.at[i].variant, "share", rows.at[i].share,
                                 "verdict", verdict_name(rows.at[i].verdict)));
    registry_list_free(&rows);
    json_object_set_new(j, "model", json_string(model));
    json_object_set_new(j, "follows", json_boolean(follows));
    json_object_set_new(j, "in_force", force);
    return j;
}

static void
reply_route(struct daemon *d, struct request *r)
{
    const char *model = request_segment(r, 0);
    struct route route;
    bool follows;
    struct err e;

    if (registry_route(d->registry, model, &route, &follows, &e) != 0)
        api_fail(d, r, &e);
    else
        api_reply(r, 200, route_body(d, model, &route, follows));
}

void
route_get(struct daemon *d, struct request *r)
{
    reply_route(d, r);
}

static int
read_why(struct request *r, const json_t *body, struct traffic_why *why,
         struct err *e)
{
    const json_t *reason = json_object_get(body, "reason");
    const json_t *force = json_object_get(body, "force");

    why->who = request_principal(r);
    why->reason = json_string_value(reason);
    why->force = json_is_true(force);
    if (reason != NULL &&
        (why->reason == NULL || json_string_length(reason) > 1000))
        return err_set(e, ERR_INVALID,
                       "reason: a string of at most 1000 bytes wanted");
    if (force != NULL && !json_is_boolean(force))
        return err_set(e, ERR_INVALID, "force: true or false wanted");
    return 0;
}

void
route_put(struct daemon *d, struct request *r)
{
    const char *model = request_segment(r, 0);
    struct traffic_why why;
    struct route route;
    json_t *body;
    struct err e;
    int rc = api_body(r, &body, &e);

    if (rc != 0) {
        api_fail(d, r, &e);
        return;
    }
    if (json_object_get(body, "shadow") != NULL)
        rc = err_set(&e, ERR_UNSUPPORTED,
                     "shadow: this version of quantd has no shadow traffic");
    else if ((rc = read_why(r, body, &why, &e)) == 0 &&
             (rc = route_parse(body, &route, &e)) == 0)
        rc = traffic_set(d->traffic, model, &route, &why, &e);
    json_decref(body); /* why borrows from it */
    if (rc != 0)
        api_fail(d, r, &e);
    else
        reply_route(d, r);
}

/* Where to: "seq" of the history, or arms of a route, or nothing. */
static int
roll_back(struct daemon *d, const char *model, const json_t *body,
          const struct traffic_why *why, struct err *e)
{
    const json_t *seq = json_object_get(body, "seq"), *j;
    struct route route;
    const char *key;

    json_object_foreach((json_t *)body, key, j) if (
        strcmp(key, "seq") != 0 && strcmp(key, "reason") != 0 &&
        strcmp(key, "arms") != 0 && strcmp(key, "sticky") != 0 &&
        strcmp(key, "force") !=
            0) return err_set(e, ERR_INVALID,
                              "unknown member '%.80s' (seq, arms, sticky, "
                              "reason, force)",
                              key);
    if (json_object_get(body, "arms") != NULL) {
        int rc = route_parse(body, &route, e);

        return rc != 0 ? rc
                       : traffic_rollback_to(d->traffic, model, &route, why, e);
    }
    if (seq != NULL && json_integer_value(seq) < 1)
        return err_set(e, ERR_INVALID,
                       "seq: the number of a record of the history wanted");
    return traffic_rollback(d->traffic, model, (long)json_integer_value(seq),
                            why, e);
}

void
route_rollback(struct daemon *d, struct request *r)
{
    const char *model = request_segment(r, 0);
    struct traffic_why why;
    json_t *body;
    struct err e;
    int rc = api_body(r, &body, &e);

    if (rc != 0) {
        api_fail(d, r, &e);
        return;
    }
    if ((rc = read_why(r, body, &why, &e)) == 0)
        rc = roll_back(d, model, body, &why, &e);
    json_decref(body);
    if (rc != 0)
        api_fail(d, r, &e);
    else
        reply_route(d, r);
}

void
route_history(struct daemon *d, struct request *r)
{
    const char *model = request_segment(r, 0);
    struct route route;
    json_t *records;
    bool follows;
    struct err e;
    int rc = registry_route(d->registry, model, &route, &follows, &e);

    if (rc == ERR_UNAVAILABLE)
        rc = 0; /* known, only not loaded */
    if (rc == 0)
        rc = traffic_history(d->traffic, model, &records, &e);
    if (rc != 0)
        api_fail(d, r, &e);
    else
        api_reply(r, 200,
                  json_pack("{s:s, s:o}", "model", model, "history", records));
}
