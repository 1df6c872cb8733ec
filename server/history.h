/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of a model's route changes: one JSON object a line.
 *
 *     {"seq":3,"time":"2026-01-31T12:00:00.123Z","who":"local",
 *      "action":"route","reason":"...","from":ROUTE,"to":ROUTE,
 *      "back":1, ...}
 *
 * A record is on disk before its change takes effect.  A last line that a
 * crash cut off was never promised to anybody: it is not read, and the next
 * record takes its place.
 *
 * Rolling back walks the way the changes came, like undo: "at" is the record
 * whose route is in force (a route change's own, a rollback's target, 0 for
 * what is served before any change), and each record carries "back", the "at"
 * it replaced.  So after A -> B -> C one rollback leads to B, a second to A,
 * and never to C again.
 */
#ifndef SERVER_HISTORY_H
#define SERVER_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "server/route.h"

/*
 * All records, oldest first; an absent file has none.  json_decref().
 * Fails: ERR_INVALID for a line that is no record (not for a torn last one).
 */
int history_read(const char *path, json_t **out, struct err *e);

/*
 * Adds seq, time, at and back to the record and appends it, durably.
 *
 * at: the record that comes into force again, or -1: the new one.
 */
int history_append(const char *path, json_t *record, long at, struct err *e);

/* The number of the last record; 0 when there are none. */
long history_last(const json_t *records);

/* The "at" in force after these records; 0 when there are none. */
long history_at(const json_t *records);

/* The route of a record; ERR_NOT_FOUND when there is no such record. */
int history_route(const json_t *records, long seq, struct route *out,
                  struct err *e);

/*
 * Where a rollback from here leads: the nearest record on the way back whose
 * route differs from the one in force and for which usable() holds.
 * Returns its seq and sets *out, or 0 when none is left.
 */
long history_back(const json_t *records, const struct route *now,
                  bool (*usable)(void *arg, const struct route *r), void *arg,
                  struct route *out);

#endif
