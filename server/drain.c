/* SPDX-License-Identifier: Apache-2.0 */
#include "server/drain.h"

#include <unistd.h>

#include "server/config.h"
#include "server/daemon.h"
#include "server/http.h"
#include "server/job.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/notify.h"
#include "server/queue.h"
#include "server/thread.h"

enum { LOOK_MS = 20, LAST_MS = 5000 };

static struct {
    struct daemon *daemon;
    struct loop_timer *timer;
    uint64_t quiesce_at, abort_at, leave_at; /* CLOCK_MONOTONIC ns */
    bool quiet, aborted;
} drain;

static void
abort_waiting(void)
{
    struct err e;

    drain.aborted = true;
    log_event(LOG_WARNING, "drain_timeout", "in_flight=%d",
              http_in_flight(drain.daemon->http));
    err_set(&e, ERR_UNAVAILABLE, "the server is going down");
    scheduler_abort(drain.daemon->scheduler, &e);
}

/* A run that does not end holds its request, and the request its connection:
 * there is no orderly way out.  What is on disk is whole at any moment. */
static _Noreturn void
leave(void)
{
    log_event(LOG_ERROR, "stop_failed", "in_flight=%d",
              http_in_flight(drain.daemon->http));
    jobs_stop(&drain.daemon->jobs);
    _exit(1);
}

static void
look(void *arg)
{
    struct daemon *d = arg;
    uint64_t now = thread_now_ns();

    if (!drain.quiet && now >= drain.quiesce_at) {
        drain.quiet = true;
        http_quiesce(d->http);
        jobs_quiesce(d->jobs); /* who waits for a job is told so */
    }
    if (!drain.quiet)
        return;
    if (http_in_flight(d->http) == 0) {
        loop_stop(d->loop);
        return;
    }
    if (!drain.aborted && now >= drain.abort_at)
        abort_waiting();
    if (drain.aborted)
        http_cut(d->http);
    if (now >= drain.leave_at)
        leave();
}

void
drain_start(struct daemon *d)
{
    const struct config *c = d->config;
    uint64_t now = thread_now_ns();

    if (drain.daemon != NULL) { /* asked twice */
        drain.quiesce_at = drain.abort_at = now;
        return;
    }
    log_event(LOG_NOTICE, "stopping", "in_flight=%d", http_in_flight(d->http));
    notify_send("STOPPING=1");
    atomic_store(&d->state, DAEMON_DRAINING);
    drain.daemon = d;
    drain.quiesce_at = now + (uint64_t)c->server.drain_delay * 1000;
    drain.abort_at =
        drain.quiesce_at + (uint64_t)c->server.drain_timeout * 1000;
    drain.leave_at = drain.abort_at + (uint64_t)LAST_MS * 1000000;
    drain.timer = loop_timer_new(d->loop, 0, LOOK_MS, look, d);
}
