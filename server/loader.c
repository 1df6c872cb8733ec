/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loader.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "server/log.h"
#include "server/manifest.h"
#include "server/thread.h"

enum { NICE = 5 }; /* of the loader's thread */

struct load {
    struct load *next;
    struct repo_variant files;
    char *path;
    void (*done)(void *arg, struct variant *v, const struct err *e);
    void *arg;
};

struct loader {
    struct registry_options o;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* guards what follows; taken last */
    pthread_cond_t wake;
    bool stop;
    struct load *first, **last;
    struct variant *dead;
    size_t in_memory; /* weights of all that live */
};

/* --- references -------------------------------------------------------- */

struct variant *
variant_ref(struct variant *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

void
variant_unref(struct variant **ref)
{
    struct variant *v = *ref;

    *ref = NULL;
    if (v == NULL || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    pthread_mutex_lock(&v->home->lock);
    v->next_dead = v->home->dead;
    v->home->dead = v;
    pthread_cond_signal(&v->home->wake);
    pthread_mutex_unlock(&v->home->lock);
}

/* --- loading ----------------------------------------------------------- */

static size_t
weight_bytes(const struct variant *v)
{
    struct model_memory m;

    model_memory(v->model, &m);
    return m.weights + m.packed;
}

static size_t
in_memory(struct loader *l, size_t *limit)
{
    size_t bytes;

    pthread_mutex_lock(&l->lock);
    bytes = l->in_memory;
    *limit = l->o.memory_limit;
    pthread_mutex_unlock(&l->lock);
    return bytes;
}

/* bytes: what the variant needs, at least. */
static int
check_memory(struct loader *l, size_t bytes, struct err *e)
{
    size_t limit, used = in_memory(l, &limit);

    if (limit != 0 && (bytes > limit || used > limit - bytes))
        return err_set(e, ERR_NO_MEMORY,
                       "it takes %zu bytes, %zu of the limit of %zu "
                       "(models.memory_limit) are in use",
                       bytes, used, limit);
    return 0;
}

static int
build(struct loader *l, const struct load *job, struct variant *v,
      struct err *e)
{
    struct model_options o = {0};
    int rc;

    pthread_mutex_lock(&l->lock);
    o.max_batch = l->o.max_batch_size;
    pthread_mutex_unlock(&l->lock);
    if (v->conf.max_batch_size >= 0)
        o.max_batch = v->conf.max_batch_size > 0 ? v->conf.max_batch_size : 1;
    rc = model_load(job->path != NULL ? job->path : job->files.path, &o,
                    &v->model, e);
    if (rc == 0)
        rc = model_warm(v->model, e);
    return rc;
}

static void
fill(struct loader *l, const struct repo_variant *files, struct variant *v)
{
    memcpy(v->model_name, files->model, sizeof v->model_name);
    memcpy(v->name, files->variant, sizeof v->name);
    v->version = files->version;
    v->verdict = files->verdict;
    v->base = files->base;
    v->file_bytes = files->bytes;
    v->accuracy_ratio = files->accuracy_ratio;
    v->home = l;
    atomic_init(&v->refs, 1);
}

static void
discard(struct variant *v)
{
    model_unref(&v->model);
    modelconf_free(&v->conf);
    mem_free(v);
}

static int
load(struct loader *l, const struct load *job, struct variant **out,
     struct err *e)
{
    struct variant *v = mem_new(1, sizeof *v);
    int rc;

    fill(l, &job->files, v);
    if ((job->path == NULL && job->files.managed &&
         (rc = manifest_check(job->files.dir, true, NULL, e)) != 0) ||
        (rc = check_memory(l, job->files.bytes, e)) != 0 ||
        (rc = modelconf_load(job->files.model_dir, job->files.dir, &v->conf,
                             e)) != 0 ||
        (rc = build(l, job, v, e)) != 0 ||
        (rc = check_memory(l, weight_bytes(v), e)) != 0 ||
        (rc = l->o.attach(v, l->o.arg, e)) != 0) {
        discard(v);
        return rc;
    }
    pthread_mutex_lock(&l->lock);
    l->in_memory += weight_bytes(v);
    pthread_mutex_unlock(&l->lock);
    *out = v;
    return 0;
}

static void
take_apart(struct loader *l, struct variant *v)
{
    log_event(LOG_INFO, "model_unload", "model=%s version=%ld variant=%s",
              v->model_name, v->version, v->name);
    l->o.detach(v, l->o.arg);
    pthread_mutex_lock(&l->lock);
    l->in_memory -= weight_bytes(v);
    pthread_mutex_unlock(&l->lock);
    discard(v);
}

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
finish(struct load *job, struct variant *v, const struct err *e)
{
    job->done(job->arg, v, e);
    repo_variant_free(&job->files);
    mem_free(job->path);
    mem_free(job);
}

static void
run_load(struct loader *l, struct load *job)
{
    struct variant *v = NULL;
    struct err e = {0};
    double start = seconds();

    if (load(l, job, &v, &e) == 0)
        log_event(LOG_INFO, "model_load",
                  "model=%s version=%ld variant=%s ms=%.0f", v->model_name,
                  v->version, v->name, (seconds() - start) * 1e3);
    else
        log_event(LOG_WARNING, "model_load_failed",
                  "model=%s version=%ld variant=%s reason=%s", job->files.model,
                  job->files.version, job->files.variant, e.msg);
    finish(job, v, &e);
}

static void *
run(void *arg)
{
    struct loader *l = arg;

    /* Serving comes first.  On Linux this is the calling thread's alone. */
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    engine_set_threads(l->o.threads);
    pthread_mutex_lock(&l->lock);
    for (;;) {
        struct variant *v = l->dead;
        struct load *job = l->first;

        if (v != NULL) {
            l->dead = v->next_dead;
            pthread_mutex_unlock(&l->lock);
            take_apart(l, v);
        } else if (l->stop)
            break;
        else if (job != NULL) {
            l->first = job->next;
            if (l->first == NULL)
                l->last = &l->first;
            pthread_mutex_unlock(&l->lock);
            run_load(l, job);
        } else {
            pthread_cond_wait(&l->wake, &l->lock);
            continue;
        }
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* --- life -------------------------------------------------------------- */

struct loader *
loader_new(const struct registry_options *o)
{
    struct loader *l = mem_new(1, sizeof *l);

    l->o = *o;
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->wake, NULL);
    return l;
}

void
loader_limit(struct loader *l, size_t memory_limit, int max_batch_size)
{
    pthread_mutex_lock(&l->lock);
    l->o.memory_limit = memory_limit;
    l->o.max_batch_size = max_batch_size;
    pthread_mutex_unlock(&l->lock);
}

void
loader_start(struct loader *l)
{
    l->thread = thread_start("loader", run, l);
    l->started = true;
}

void
loader_put(struct loader *l, const struct repo_variant *files, const char *path,
           void (*done)(void *arg, struct variant *v, const struct err *e),
           void *arg)
{
    struct load *job = mem_new(1, sizeof *job);
    bool stopped;

    repo_variant_copy(&job->files, files);
    job->path = path != NULL ? mem_strdup(path) : NULL;
    job->done = done;
    job->arg = arg;
    pthread_mutex_lock(&l->lock);
    stopped = l->stop;
    if (!stopped) {
        *l->last = job;
        l->last = &job->next;
        pthread_cond_signal(&l->wake);
    }
    pthread_mutex_unlock(&l->lock);
    if (stopped) {
        struct err e;

        err_set(&e, ERR_UNAVAILABLE, "going down");
        finish(job, NULL, &e);
    }
}

void
loader_stop(struct loader *l)
{
    struct load *job;
    struct err e;

    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    if (l->started)
        pthread_join(l->thread, NULL);
    l->started = false;
    err_set(&e, ERR_UNAVAILABLE, "going down");
    while ((job = l->first) != NULL) {
        l->first = job->next;
        finish(job, NULL, &e);
    }
}

void
loader_free(struct loader **loader)
{
    struct loader *l = *loader;

    while (l->dead != NULL) {
        struct variant *v = l->dead;

        l->dead = v->next_dead;
        take_apart(l, v);
    }
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
    *loader = NULL;
}
