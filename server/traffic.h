/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of routes, written down before they take effect.
 *
 * Each change is a record of <model>/history.jsonl; <model>/route.json holds
 * the route in force with the number of its record.  When a crash came
 * between the two, the journal decides; a route.json edited by hand with the
 * number of the last record counts as it is.
 *
 * A model follows its uploads (each new version gets the traffic of its own
 * fp32 once it is warm) until somebody sets a route.
 */
#ifndef SERVER_TRAFFIC_H
#define SERVER_TRAFFIC_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "server/registry.h"
#include "server/repo.h"
#include "server/route.h"

struct traffic;

/* repo and registry are lent until traffic_free(). */
struct traffic *traffic_new(struct repo *repo, struct registry *registry);
void traffic_free(struct traffic **t);

/* At start: tells the registry the route of a model.  What can't be read is
 * logged, and the model follows its uploads. */
void traffic_restore(struct traffic *t, const char *model);

/* Once all is loaded: where a model that follows was left with another route
 * than was written down last (a crash, a version removed), that is written
 * down. */
void traffic_settle(struct traffic *t, const char *model);

/* Who changes a route, and why. */
struct traffic_why {
    const char *who;
    const char *reason; /* or NULL */
    bool force;         /* rejected variants may take traffic */
};

/* Fails: as registry_set_route(), and what writing fails with. */
int traffic_set(struct traffic *t, const char *model, const struct route *to,
                const struct traffic_why *why, struct err *e);

/*
 * Back to the route of record seq (>= 1), or with seq == 0 to the last good
 * one (history.h), or else to the own file of the version that has the
 * traffic.  Nothing is done where that is in force.  It takes effect even
 * when it can't be written down, which is logged then.
 */
int traffic_rollback(struct traffic *t, const char *model, long seq,
                     const struct traffic_why *why, struct err *e);

/* The same to a route of the caller's. */
int traffic_rollback_to(struct traffic *t, const char *model,
                        const struct route *to, const struct traffic_why *why,
                        struct err *e);

/* A version was published and is warm: it gets the traffic of a model that
 * follows. */
int traffic_follow(struct traffic *t, const char *model, long version,
                   const char *variant, const struct traffic_why *why,
                   struct err *e);

/* The journal, oldest first; json_decref(). */
int traffic_history(struct traffic *t, const char *model, json_t **out,
                    struct err *e);

/* Rollbacks on request since the start. */
unsigned long traffic_rollbacks(const struct traffic *t);

#endif
