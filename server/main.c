/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantd: reads its options, starts its parts in order, waits for signals,
 * and stops the parts in reverse.
 */
#define _GNU_SOURCE /* getopt_long */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "server/auth.h"
#include "server/buf.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/drain.h"
#include "server/http.h"
#include "server/job.h"
#include "server/listen.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/notify.h"
#include "server/queue.h"
#include "server/registry.h"
#include "server/repo.h"
#include "server/stats.h"
#include "server/tasks.h"
#include "server/thread.h"
#include "server/traffic.h"
#include "server/watch.h"
#include "server/worker.h"

/* --- options ----------------------------------------------------------- */

struct flags {
    const char *config; /* NULL: the default file, if there is one */
    const char *listen, *models;
    bool check;
};

static const char default_config[] = SYSCONFDIR "/quantd/quantd.conf";

static const char usage_text[] =
    "usage: quantd [--config FILE] [--listen ADDR:PORT] [--models DIR]\n"
    "              [--check-config] [--version] [--help]\n"
    "\n"
    "Serves ONNX models, quantizes what is uploaded.  Flags override the\n"
    "file, which is " SYSCONFDIR "/quantd/quantd.conf unless named.\n"
    "\n"
    "The file's options at their defaults:\n"
    "\n";

/* Ends the program for --help, --version and what it does not know. */
static void
parse_flags(int argc, char **argv, struct flags *f)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"listen", required_argument, NULL, 'l'},
        {"models", required_argument, NULL, 'm'},
        {"check-config", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            f->config = optarg;
            break;
        case 'l':
            f->listen = optarg;
            break;
        case 'm':
            f->models = optarg;
            break;
        case 'k':
            f->check = true;
            break;
        case 'v':
            printf("quantd %s (oneDNN %s, %s)\n", QUANTD_VERSION,
                   engine_dnn_version(), engine_isa());
            exit(0);
        case 'h':
            fputs(usage_text, stdout);
            config_print(stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "quantd: unexpected argument '%s'\n", argv[optind]);
        exit(2);
    }
}

static bool
is_base_path(const char *s)
{
    size_t n = strlen(s);

    return n == 0 || (n > 1 && s[0] == '/' && s[n - 1] != '/');
}

/* The file and the flags, checked as far as can be without serving. */
static int
read_config(const struct flags *f, struct config **out, struct err *e)
{
    struct config *c = config_new();
    const char *path = f->config;
    int rc = 0;

    if (path == NULL && access(default_config, F_OK) == 0)
        path = default_config;
    if (path != NULL)
        rc = config_read(c, path, e);
    if (rc == 0 && f->listen != NULL)
        rc = config_set(c, "server", "listen", f->listen, e);
    if (rc == 0 && f->models != NULL)
        rc = config_set(c, "models", "directory", f->models, e);
    if (rc == 0 && listen_check(c->server.listen, e) != 0)
        rc = err_wrap(e, "server.listen");
    if (rc == 0 && c->server.admin_listen[0] != '\0' &&
        listen_check(c->server.admin_listen, e) != 0)
        rc = err_wrap(e, "server.admin_listen");
    if (rc == 0 && !is_base_path(c->server.base_path))
        rc = err_set(e, ERR_INVALID,
                     "server.base_path: '%s' is not /NAME, without an end in "
                     "'/'",
                     c->server.base_path);
    if (rc == 0 &&
        (c->server.tls_cert[0] != '\0' || c->server.tls_key[0] != '\0'))
        rc = err_set(e, ERR_UNSUPPORTED,
                     "server.tls_cert, server.tls_key: TLS is not there yet; "
                     "put a proxy in front");
    if (rc != 0) {
        config_free(&c);
        return rc;
    }
    *out = c;
    return 0;
}

static void
set_up_log(const struct config *c)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {{"error", LOG_ERROR},
                  {"warning", LOG_WARNING},
                  {"notice", LOG_NOTICE},
                  {"info", LOG_INFO},
                  {"debug", LOG_DEBUG}};

    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(levels[i].name, c->log.level) == 0)
            log_setup(levels[i].level, strcmp(c->log.format, "json") == 0);
}

/* --- variants ---------------------------------------------------------- */

/* On the loader's thread: gives a loaded variant its lane. */
static int
attach(struct variant *v, void *arg, struct err *e)
{
    struct daemon *d = arg;
    const struct config *c = d->config;
    const struct modelconf *m = &v->conf;
    struct lane_options o = {
        .max_batch = m->max_batch_size >= 0 ? m->max_batch_size
                                            : (int)c->scheduler.max_batch_size,
        .max_length = m->max_queue_length >= 0
                          ? m->max_queue_length
                          : (int)c->scheduler.max_queue_length,
        .max_delay_us = m->max_queue_delay_us >= 0
                            ? (uint64_t)m->max_queue_delay_us
                            : (uint64_t)c->scheduler.max_queue_delay,
        .weight = 1,
    };
    struct series *series = series_new(d->stats);
    int rc;

    if (series == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for counters");
    rc = lane_new(d->workers, v->model, &o, series, &v->lane, e);
    series_unref(&series);
    return rc;
}

static void
detach(struct variant *v, void *arg)
{
    (void)arg;
    if (v->lane == NULL)
        return;
    lane_drain(v->lane);
    lane_free(&v->lane);
}

/* --- parts ------------------------------------------------------------- */

static int
stats_start(struct daemon *d, struct err *e)
{
    (void)e;
    d->stats = stats_new(workers_wanted(d->config));
    return 0;
}

static void
stats_end(struct daemon *d)
{
    stats_free(&d->stats);
}

static int
workers_start(struct daemon *d, struct err *e)
{
    (void)e;
    d->scheduler = scheduler_new(NULL);
    d->workers = workers_new(d);
    return 0;
}

static void
workers_end(struct daemon *d)
{
    workers_free(&d->workers);
    scheduler_free(&d->scheduler);
}

static int
repo_start(struct daemon *d, struct err *e)
{
    const struct repo_options o = {
        .models = d->config->models.directory,
        .state = d->config->models.state_dir,
        .model_name = d->config->models.model_name,
    };

    return repo_open(&o, &d->repo, e);
}

static void
repo_end(struct daemon *d)
{
    repo_close(&d->repo);
}

static void
registry_end(struct daemon *d)
{
    registry_stop(d->registry);
    traffic_free(&d->traffic);
    registry_free(&d->registry);
}

static int
registry_begin(struct daemon *d, struct err *e)
{
    const struct config *c = d->config;
    const struct registry_options o = {
        .memory_limit = (size_t)c->models.memory_limit,
        .max_batch_size = (int)c->scheduler.max_batch_size,
        .threads = (int)c->scheduler.threads_per_worker,
        .attach = attach,
        .detach = detach,
        .arg = d,
    };

    d->registry = registry_new(&o);
    d->traffic = traffic_new(d->repo, d->registry);
    if (watch_boot(d->repo, d->registry, d->traffic, e) == 0) {
        registry_start(d->registry);
        return 0;
    }
    registry_end(d);
    return e->code;
}

static struct job_options
job_options(const struct config *c)
{
    return (struct job_options){
        .program = c->quantize.program,
        .concurrency = (int)c->quantize.concurrency,
        .cpu_share = c->quantize.cpu_share,
        .serve_threads = (int)c->scheduler.threads_per_worker,
        .memory_limit = (size_t)c->quantize.memory_limit,
        .timeout_s = (double)c->quantize.timeout / 1e6,
        .recipe = c->quantize.recipe,
        .max_loss = c->quantize.max_loss,
    };
}

static int
jobs_begin(struct daemon *d, struct err *e)
{
    const struct job_options o = job_options(d->config);

    return jobs_start(&o, d->repo, d->registry, d->traffic, &d->jobs, e);
}

static void
jobs_end(struct daemon *d)
{
    jobs_stop(&d->jobs);
}

static int
watch_begin(struct daemon *d, struct err *e)
{
    return watch_start(d->repo, d->registry, d->traffic,
                       d->config->models.watch, &d->watch, e);
}

static void
watch_end(struct daemon *d)
{
    watch_stop(&d->watch);
}

static int
auth_start(struct daemon *d, struct err *e)
{
    return auth_new(d->config->server.token_file, &d->auth, e);
}

static void
auth_end(struct daemon *d)
{
    auth_free(&d->auth);
}

static int
tasks_start(struct daemon *d, struct err *e)
{
    int n = workers_wanted(d->config);

    (void)e;
    buf_limit((size_t)d->config->server.body_memory);
    d->control = tasks_new("control", 1);
    d->spool = tasks_new("spool", 1);
    d->decode = tasks_new("decode", n > 4 ? n / 4 : 1);
    return 0;
}

static void
tasks_end(struct daemon *d)
{
    tasks_free(&d->decode);
    tasks_free(&d->spool);
    tasks_free(&d->control);
    buf_trim();
}

static int
http_start(struct daemon *d, struct err *e)
{
    if (http_new(d, &d->http, e) != 0)
        return e->code;
    for (int i = 0; http_address(d->http, i) != NULL; i++)
        log_event(LOG_NOTICE, "listening", "address=%s",
                  http_address(d->http, i));
    return 0;
}

static void
http_end(struct daemon *d)
{
    http_free(&d->http);
}

/* Started top to bottom, stopped bottom to top. */
static const struct stage {
    const char *name;
    int (*start)(struct daemon *d, struct err *e);
    void (*stop)(struct daemon *d);
} stages[] = {
    {"counters", stats_start, stats_end},
    {"tokens", auth_start, auth_end},
    {"workers", workers_start, workers_end},
    {"repository", repo_start, repo_end},
    {"registry", registry_begin, registry_end},
    {"jobs", jobs_begin, jobs_end},
    {"watch", watch_begin, watch_end},
    {"tasks", tasks_start, tasks_end},
    {"http", http_start, http_end}, /* last up, first down */
};

/* --- signals ----------------------------------------------------------- */

struct life {
    struct daemon daemon;
    struct flags flags;
    struct config *configs[64]; /* all that were in force, the last now */
    int n_configs;
    struct loop_timer *ready, *expire, *watchdog;
    uint64_t since_ns;
};

static unsigned long
up_ms(const struct life *l)
{
    return (unsigned long)((thread_now_ns() - l->since_ns) / 1000000);
}

static void
say_restart(void *arg, const char *section, const char *key)
{
    (void)arg;
    log_event(LOG_WARNING, "reload_needs_restart", "section=%s option=%s",
              section, key);
}

static void
apply(struct daemon *d)
{
    const struct config *c = d->config;
    const struct job_options o = job_options(c);
    struct err e;

    set_up_log(c);
    registry_limit(d->registry, (size_t)c->models.memory_limit,
                   (int)c->scheduler.max_batch_size);
    watch_live(d->watch, c->models.watch);
    if (jobs_configure(d->jobs, &o, &e) != 0)
        log_event(LOG_ERROR, "reload_failed", "error=%s", e.msg);
}

/* SIGHUP: all of it or nothing. */
static int
reload(struct life *l, struct err *e)
{
    enum { MOST = sizeof l->configs / sizeof l->configs[0] };
    struct daemon *d = &l->daemon;
    struct config *fresh;
    int rc;

    if (l->n_configs == MOST)
        return err_set(e, ERR_BUSY, "reloaded too often: restart");
    if (read_config(&l->flags, &fresh, e) != 0)
        return e->code;
    rc = auth_reload(d->auth, fresh->server.token_file, e);
    if (rc == 0) {
        l->configs[l->n_configs] =
            config_reload(d->config, fresh, say_restart, NULL);
        d->config = l->configs[l->n_configs++];
        apply(d);
    }
    config_free(&fresh);
    return rc;
}

static void
on_hangup(struct life *l)
{
    struct err e;

    notify_send("RELOADING=1");
    if (reload(l, &e) != 0)
        log_event(LOG_ERROR, "reload_failed", "error=%s", e.msg);
    else
        log_event(LOG_NOTICE, "reloaded", "file=%s",
                  l->flags.config != NULL ? l->flags.config : default_config);
    notify_send("READY=1");
}

static void
on_signal(void *arg, int signum)
{
    struct life *l = arg;

    if (signum != SIGHUP)
        drain_start(&l->daemon);
    else if (atomic_load(&l->daemon.state) == DAEMON_READY)
        on_hangup(l);
}

/* Until what is on disk is loaded: then says so, once. */
static void
look_if_ready(void *arg)
{
    struct life *l = arg;

    if (!registry_ready(l->daemon.registry)) {
        notify_send("EXTEND_TIMEOUT_USEC=30000000");
        return;
    }
    log_event(LOG_NOTICE, "ready", "ms=%lu", up_ms(l));
    notify_send("READY=1");
    loop_timer_free(&l->ready);
}

static void
expire(void *arg)
{
    struct daemon *d = arg;

    scheduler_expire(d->scheduler);
}

static void
feed_watchdog(void *arg)
{
    (void)arg;
    notify_send("WATCHDOG=1");
}

/* A signal that comes while the parts start waits for the loop. */
static int
catch_signals(struct life *l, struct err *e)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

    for (int i = 0; i < 3; i++)
        if (loop_signal(l->daemon.loop, signals[i], on_signal, l, e) != 0)
            return e->code;
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

static void
wait_for_the_end(struct life *l)
{
    struct daemon *d = &l->daemon;
    unsigned watchdog_ms = (unsigned)(notify_watchdog_s() * 1000);

    atomic_store(&d->state, DAEMON_READY);
    l->ready = loop_timer_new(d->loop, 0, 50, look_if_ready, l);
    l->expire = loop_timer_new(d->loop, 20, 20, expire, d);
    if (watchdog_ms > 0)
        l->watchdog =
            loop_timer_new(d->loop, 0, watchdog_ms, feed_watchdog, NULL);
    loop_run(d->loop);
}

/* --- the program ------------------------------------------------------- */

/*
 * Bodies and arenas are freed and taken again all the time: memory that was
 * once had is kept, for its page faults cost more than the copies into it.
 */
static void
tune_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

static int
run(struct life *l, struct err *e)
{
    enum { N = sizeof stages / sizeof stages[0] };
    struct daemon *d = &l->daemon;
    size_t up = 0;
    int rc = loop_new(&d->loop, e);

    if (rc == 0)
        rc = catch_signals(l, e);
    while (up < N && rc == 0) {
        rc = stages[up].start(d, e);
        if (rc != 0)
            err_wrap(e, "starting %s", stages[up].name);
        else
            up++;
    }
    if (rc == 0)
        wait_for_the_end(l);
    while (up-- > 0)
        stages[up].stop(d);
    loop_free(&d->loop);
    return rc;
}

int
main(int argc, char **argv)
{
    struct life l = {.since_ns = thread_now_ns()};
    struct config *c = NULL;
    struct auth *auth;
    struct err e;
    int rc;

    parse_flags(argc, argv, &l.flags);
    rc = read_config(&l.flags, &c, &e);
    if (rc == 0 && l.flags.check &&
        (rc = auth_new(c->server.token_file, &auth, &e)) == 0)
        auth_free(&auth);
    if (rc != 0) {
        fprintf(stderr, "<3>config error=\"%s\"\n", e.msg);
        config_free(&c);
        return 1;
    }
    if (l.flags.check) {
        config_free(&c);
        return 0;
    }
    if (c->scheduler.threads_per_worker != 1)
        cpu_patient_threads(argv);
    tune_memory();
    set_up_log(c);
    l.configs[l.n_configs++] = c;
    l.daemon.config = c;
    log_event(LOG_NOTICE, "start", "version=%s onednn=%s isa=%s",
              QUANTD_VERSION, engine_dnn_version(), engine_isa());
    rc = run(&l, &e);
    if (rc != 0)
        log_event(LOG_ERROR, "failed", "error=%s", e.msg);
    else
        log_event(LOG_NOTICE, "stopped", "up_ms=%lu", up_ms(&l));
    for (int i = 0; i < l.n_configs; i++)
        config_free(&l.configs[i]);
    return rc != 0;
}
