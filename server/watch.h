/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps what is served like what is on disk: at start all of it, later what is
 * copied in, changed or removed.
 *
 * A thread of its own scans the repository when the kernel says that something
 * happened there, and every few seconds where it can't say (network file
 * systems).  What is new or changed is loaded once it has stayed the same for
 * a moment, so that a copy in progress is left alone.
 */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include <stdbool.h>

#include "base/err.h"
#include "server/registry.h"
#include "server/repo.h"
#include "server/traffic.h"

struct watch;

/*
 * Queues the loads of everything there is, what has traffic first, and
 * restores the routes.  Before registry_start().
 */
int watch_boot(struct repo *repo, struct registry *reg, struct traffic *traffic,
               struct err *e);

/* live: follow the disk (option models.watch); otherwise only what
 * watch_load() asks for. */
int watch_start(struct repo *repo, struct registry *reg,
                struct traffic *traffic, bool live, struct watch **out,
                struct err *e);
void watch_live(struct watch *w, bool live);
void watch_stop(struct watch **w);

/*
 * Loads what is on disk of a model and is not loaded as it is there; on
 * request.
 *
 * done:  called once when all of that has ended, perhaps before this returns.
 * Fails: ERR_NOT_FOUND when the repository has no such model; done is not
 *        called then.
 */
int watch_load(struct watch *w, const char *model, void (*done)(void *arg),
               void *arg, struct err *e);

#endif
