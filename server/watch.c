/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pipe2 */
#include "server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/vec.h"
#include "server/log.h"
#include "server/thread.h"

enum {
    IDLE_MS = 5000,   /* between scans when nothing is heard */
    SETTLE_MS = 1000, /* files must stay the same for so long */
    BUSY_MS = 300,    /* between scans while something settles */
};

/* Something new on disk that has to stay the same before it is loaded. */
struct fresh {
    char model[ROUTE_NAME + 1], variant[ROUTE_NAME + 1];
    long version;
    unsigned long stamp;
    double since;
    bool seen; /* in the scan at hand */
};

struct watch {
    struct repo *repo;
    struct registry *registry;
    struct traffic *traffic;
    atomic_bool live;
    pthread_t thread;
    int stop[2]; /* a pipe */
    int inotify; /* or -1 */
    VEC(struct fresh) fresh;
};

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- loading one ------------------------------------------------------- */

/* It may end when the watch has stopped already. */
struct arrival {
    struct registry *registry;
    struct traffic *traffic;
    char model[ROUTE_NAME + 1], variant[ROUTE_NAME + 1];
    long version;
    bool base;
    void (*done)(void *arg);
    void *arg;
};

static bool
is_live(struct registry *r, const struct arrival *a)
{
    struct registry_list rows;
    bool live = false;

    registry_list(r, a->model, &rows);
    for (size_t i = 0; i < rows.n; i++)
        live |= rows.at[i].live != NULL && rows.at[i].version == a->version &&
                strcmp(rows.at[i].variant, a->variant) == 0;
    registry_list_free(&rows);
    return live;
}

/* A version that is the newest gets the traffic of a model that follows. */
static void
follow(const struct arrival *a)
{
    struct traffic_why why = {.who = "repository",
                              .reason = "a version appeared on disk"};
    struct registry_list rows;
    struct route now;
    bool follows, newest = true;
    struct err e;

    registry_list(a->registry, a->model, &rows);
    for (size_t i = 0; i < rows.n; i++)
        newest &= !rows.at[i].base || rows.at[i].live == NULL ||
                  rows.at[i].version <= a->version;
    registry_list_free(&rows);
    if (newest &&
        registry_route(a->registry, a->model, &now, &follows, &e) == 0 &&
        follows && (now.n_arms != 1 || now.arms[0].version != a->version) &&
        traffic_follow(a->traffic, a->model, a->version, a->variant, &why,
                       &e) != 0)
        log_event(LOG_WARNING, "route_follow", "model=%s version=%ld reason=%s",
                  a->model, a->version, e.msg);
}

static void
arrived(void *arg)
{
    struct arrival *a = arg;

    if (a->base && is_live(a->registry, a))
        follow(a);
    if (a->done != NULL)
        a->done(a->arg);
    mem_free(a);
}

static void
load(struct watch *w, const struct repo_variant *v, void (*done)(void *arg),
     void *arg)
{
    struct arrival *a;

    if (v->reason != NULL) {
        log_event(LOG_WARNING, "model_refused",
                  "model=%s version=%ld variant=%s reason=%s", v->model,
                  v->version, v->variant, v->reason);
        registry_note(w->registry, v, v->reason);
        if (done != NULL)
            done(arg);
        return;
    }
    a = mem_new(1, sizeof *a);
    a->registry = w->registry;
    a->traffic = w->traffic;
    memcpy(a->model, v->model, sizeof a->model);
    memcpy(a->variant, v->variant, sizeof a->variant);
    a->version = v->version;
    a->base = v->base;
    a->done = done;
    a->arg = arg;
    registry_load_later(w->registry, v, arrived, a);
}

/* --- at start ---------------------------------------------------------- */

static bool
has_traffic(struct registry *r, const struct repo_variant *v)
{
    struct route route;
    bool follows;
    struct err e;

    if (registry_route(r, v->model, &route, &follows, &e) != 0)
        return false;
    for (int i = 0; i < route.n_arms; i++)
        if (route.arms[i].weight > 0 && route.arms[i].version == v->version &&
            strcmp(route.arms[i].variant, v->variant) == 0)
            return true;
    return false;
}

int
watch_boot(struct repo *repo, struct registry *reg, struct traffic *traffic,
           struct err *e)
{
    struct watch w = {.repo = repo, .registry = reg, .traffic = traffic};
    struct repo_list l;
    int rc = repo_scan(repo, NULL, &l, e);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < l.n; i++) {
        /* The rows first: a route is told of models that are known. */
        registry_note(reg, &l.at[i], "is being loaded");
        if (i == 0 || strcmp(l.at[i - 1].model, l.at[i].model) != 0)
            traffic_restore(traffic, l.at[i].model);
    }
    for (int routed = 1; routed >= 0; routed--)
        for (size_t i = 0; i < l.n; i++) {
            if (has_traffic(reg, &l.at[i]) != routed)
                continue;
            if (l.at[i].reason != NULL)
                load(&w, &l.at[i], NULL, NULL);
            else
                registry_load_later(reg, &l.at[i], NULL, NULL);
        }
    repo_list_free(&l);
    return 0;
}

/* --- comparing --------------------------------------------------------- */

static const struct registry_row *
row_of(const struct registry_list *rows, const struct repo_variant *v)
{
    for (size_t i = 0; i < rows->n; i++)
        if (rows->at[i].version == v->version &&
            strcmp(rows->at[i].model, v->model) == 0 &&
            strcmp(rows->at[i].variant, v->variant) == 0)
            return &rows->at[i];
    return NULL;
}

static bool
on_disk(const struct repo_list *l, const struct registry_row *row)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->at[i].version == row->version &&
            strcmp(l->at[i].model, row->model) == 0 &&
            strcmp(l->at[i].variant, row->variant) == 0)
            return true;
    return false;
}

/* True once it has been the same for long enough. */
static bool
has_settled(struct watch *w, const struct repo_variant *v, double now)
{
    struct fresh f = {
        .version = v->version, .stamp = v->stamp, .since = now, .seen = true};

    for (size_t i = 0; i < w->fresh.n; i++) {
        struct fresh *at = &w->fresh.at[i];

        if (at->version != v->version || strcmp(at->model, v->model) != 0 ||
            strcmp(at->variant, v->variant) != 0)
            continue;
        at->seen = true;
        if (at->stamp != v->stamp) {
            at->stamp = v->stamp;
            at->since = now;
        }
        return now - at->since >= SETTLE_MS / 1e3;
    }
    memcpy(f.model, v->model, sizeof f.model);
    memcpy(f.variant, v->variant, sizeof f.variant);
    VEC_PUSH(&w->fresh, f);
    return false;
}

/*
 * Loads what is new, drops what is gone.  The registry is read before the
 * disk: what a job publishes in between is then on the disk at most, and
 * waits to settle.
 * Returns whether something is settling.
 */
static bool
sync_all(struct watch *w)
{
    struct registry_list rows;
    struct repo_list l;
    double now = seconds();
    struct err e;
    size_t kept = 0;

    registry_list(w->registry, NULL, &rows);
    if (repo_scan(w->repo, NULL, &l, &e) != 0) {
        log_event(LOG_WARNING, "repository_scan", "reason=%s", e.msg);
        registry_list_free(&rows);
        return true;
    }
    for (size_t i = 0; i < w->fresh.n; i++)
        w->fresh.at[i].seen = false;
    for (size_t i = 0; i < l.n; i++) {
        const struct repo_variant *v = &l.at[i];
        const struct registry_row *row = row_of(&rows, v);

        if (row != NULL &&
            (row->stamp == v->stamp || row->state == LOAD_UNLOADED))
            continue;
        if (has_settled(w, v, now))
            load(w, v, NULL, NULL);
    }
    for (size_t i = 0; i < rows.n; i++)
        if (!on_disk(&l, &rows.at[i])) {
            log_event(LOG_NOTICE, "model_gone",
                      "model=%s version=%ld variant=%s", rows.at[i].model,
                      rows.at[i].version, rows.at[i].variant);
            registry_drop(w->registry, rows.at[i].model, rows.at[i].version,
                          rows.at[i].variant, true, "");
        }
    /* What is loaded by now has a row with its stamp at the next scan. */
    for (size_t i = 0; i < w->fresh.n; i++)
        if (w->fresh.at[i].seen)
            w->fresh.at[kept++] = w->fresh.at[i];
    w->fresh.n = kept;
    repo_list_free(&l);
    registry_list_free(&rows);
    return kept > 0;
}

/* --- the thread -------------------------------------------------------- */

static void
watch_dir(void *arg, const char *path)
{
    const struct watch *w = arg;

    (void)inotify_add_watch(w->inotify, path,
                            IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR);
}

static void
drain(int fd)
{
    char buf[4096];

    while (read(fd, buf, sizeof buf) > 0)
        ;
}

/* Everything is loaded that will be. */
static void
settle_all(struct watch *w)
{
    struct registry_list rows;

    registry_list(w->registry, NULL, &rows);
    for (size_t i = 0; i < rows.n; i++)
        if (i == 0 || strcmp(rows.at[i - 1].model, rows.at[i].model) != 0)
            traffic_settle(w->traffic, rows.at[i].model);
    registry_list_free(&rows);
}

static void *
run(void *arg)
{
    struct watch *w = arg;
    struct pollfd fds[2] = {{.fd = w->stop[0], .events = POLLIN},
                            {.fd = w->inotify, .events = POLLIN}};
    bool booted = false;
    int wait_ms = BUSY_MS;

    for (;;) {
        (void)poll(fds, 2, wait_ms);
        if (fds[0].revents != 0)
            return NULL;
        if (fds[1].revents != 0)
            drain(w->inotify);
        if (!booted && registry_ready(w->registry)) {
            settle_all(w);
            booted = true;
        }
        wait_ms = booted ? IDLE_MS : BUSY_MS;
        if (!booted || !atomic_load(&w->live))
            continue;
        if (w->inotify >= 0)
            repo_each_dir(w->repo, watch_dir, w);
        if (sync_all(w))
            wait_ms = BUSY_MS;
    }
}

int
watch_start(struct repo *repo, struct registry *reg, struct traffic *traffic,
            bool live, struct watch **out, struct err *e)
{
    struct watch *w = mem_new(1, sizeof *w);

    w->repo = repo;
    w->registry = reg;
    w->traffic = traffic;
    atomic_init(&w->live, live);
    if (pipe2(w->stop, O_CLOEXEC) != 0) {
        mem_free(w);
        return err_errno(e, "pipe");
    }
    w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    w->thread = thread_start("watch", run, w);
    *out = w;
    return 0;
}

void
watch_live(struct watch *w, bool live)
{
    atomic_store(&w->live, live);
}

void
watch_stop(struct watch **watch)
{
    struct watch *w = *watch;

    close(w->stop[1]); /* the thread sees the pipe's end */
    pthread_join(w->thread, NULL);
    close(w->stop[0]);
    if (w->inotify >= 0)
        close(w->inotify);
    mem_free(w->fresh.at);
    mem_free(w);
    *watch = NULL;
}

/* --- on request -------------------------------------------------------- */

struct request_load {
    atomic_int left;
    void (*done)(void *arg);
    void *arg;
};

static void
one_less(void *arg)
{
    struct request_load *q = arg;

    if (atomic_fetch_sub(&q->left, 1) == 1) {
        q->done(q->arg);
        mem_free(q);
    }
}

int
watch_load(struct watch *w, const char *model, void (*done)(void *arg),
           void *arg, struct err *e)
{
    struct registry_list rows;
    struct request_load *q;
    struct repo_list l;
    int rc = repo_scan(w->repo, model, &l, e);

    if (rc != 0)
        return rc;
    if (l.n == 0)
        return err_set(e, ERR_NOT_FOUND, "the repository has no model '%s'",
                       model);
    q = mem_new(1, sizeof *q);
    q->done = done;
    q->arg = arg;
    atomic_init(&q->left, 1);
    registry_list(w->registry, model, &rows);
    for (size_t i = 0; i < l.n; i++) {
        const struct registry_row *row = row_of(&rows, &l.at[i]);

        if (row != NULL && row->state == LOAD_READY &&
            row->stamp == l.at[i].stamp)
            continue;
        atomic_fetch_add(&q->left, 1);
        load(w, &l.at[i], one_less, q);
    }
    registry_list_free(&rows);
    repo_list_free(&l);
    one_less(q);
    return 0;
}
