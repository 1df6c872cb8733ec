/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pthread_setname_np */
#include "server/job.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "server/child.h"
#include "server/job_impl.h"
#include "server/log.h"
#include "server/thread.h"

enum { KEPT_JOBS = 1000 }; /* ended jobs that are remembered */

struct job_waiter {
    struct job_waiter *next;
    char id[JOB_ID + 1];
    double until; /* CLOCK_MONOTONIC */
    void (*done)(void *arg);
    void *arg;
};

static double
clock_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void
job_new_id(char id[JOB_ID + 1])
{
    unsigned short random = 0;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = (unsigned short)getpid();
    snprintf(id, JOB_ID + 1, "%012llx%04hx",
             (unsigned long long)(clock_s(CLOCK_REALTIME) * 1e4) &
                 0xffffffffffffULL,
             random);
}

static struct job *
find(struct jobs *j, const char *id)
{
    struct job *job = j->first;

    while (job != NULL && strcmp(job->id, id) != 0)
        job = job->next;
    return job;
}

void
job_free(struct job *job)
{
    for (int i = 0; i < JOB_LOG_LINES; i++)
        mem_free(job->log[i]);
    recipe_free(&job->recipe);
    json_decref(job->timings);
    mem_free(job->stage);
    mem_free(job->calibration);
    mem_free(job->validation);
    mem_free(job->who);
    mem_free(job->program);
    mem_free(job->decision);
    mem_free(job->reason);
    mem_free(job);
}

/* By id, which is by time: newest first. */
void
jobs_insert(struct jobs *j, struct job *job)
{
    struct job **at = &j->first;

    while (*at != NULL && strcmp((*at)->id, job->id) > 0)
        at = &(*at)->next;
    job->next = *at;
    *at = job;
    j->n++;
}

/* Forgets the oldest of too many ended jobs; with the lock held. */
static void
forget_old(struct jobs *j)
{
    struct job **at = &j->first;
    size_t ended = 0;

    while (*at != NULL) {
        struct job *job = *at;
        struct err e;
        char *path;

        if (!job_has_ended(job) || ++ended <= KEPT_JOBS) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        j->n--;
        path = job_record_path(j, job->id);
        (void)file_remove(path, &e);
        mem_free(path);
        job_free(job);
    }
}

/* --- told by the job's thread ------------------------------------------ */

/* Adds up: a job may come to a phase more than once. */
static void
end_phase(struct job *job, double now)
{
    double before =
        json_number_value(json_object_get(job->timings, job->phase));

    json_object_set_new(job->timings, job->phase,
                        json_real(before + now - job->phase_since));
    job->phase_since = now;
}

void
job_phase(struct jobs *j, struct job *job, const char *phase)
{
    double now = clock_s(CLOCK_REALTIME);

    pthread_mutex_lock(&j->lock);
    end_phase(job, now);
    job->phase = phase;
    job->fraction = 0;
    job->message[0] = '\0';
    pthread_mutex_unlock(&j->lock);
    job_keep_if_possible(j, job);
}

void
job_progress(struct jobs *j, struct job *job, double fraction,
             const char *message)
{
    pthread_mutex_lock(&j->lock);
    job->fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    if (message != NULL)
        snprintf(job->message, sizeof job->message, "%s", message);
    pthread_mutex_unlock(&j->lock);
}

void
job_log(struct jobs *j, struct job *job, const char *line)
{
    char **at = &job->log[job->n_log % JOB_LOG_LINES];
    char *copy = mem_printf("%.500s", line);

    pthread_mutex_lock(&j->lock);
    mem_free(*at);
    *at = copy;
    job->n_log++;
    pthread_mutex_unlock(&j->lock);
}

/* --- waiting ----------------------------------------------------------- */

/* Takes out who need not wait any longer; with the lock held. */
static struct job_waiter *
due(struct jobs *j, double *next)
{
    struct job_waiter *out = NULL, **at = &j->waiters;
    double now = clock_s(CLOCK_MONOTONIC);

    *next = now + 3600;
    while (*at != NULL) {
        struct job_waiter *w = *at;
        const struct job *job = find(j, w->id);

        if (job == NULL || job_has_ended(job) || j->quiet || now >= w->until) {
            *at = w->next;
            w->next = out;
            out = w;
        } else {
            *next = w->until < *next ? w->until : *next;
            at = &w->next;
        }
    }
    return out;
}

static void *
wake_waiters(void *arg)
{
    struct jobs *j = arg;
    struct job_waiter *w;
    double next;

    pthread_mutex_lock(&j->lock);
    while (!j->stop || j->waiters != NULL) {
        struct timespec until;

        w = due(j, &next);
        if (w != NULL) {
            pthread_mutex_unlock(&j->lock);
            while (w != NULL) {
                struct job_waiter *rest = w->next;

                w->done(w->arg);
                mem_free(w);
                w = rest;
            }
            pthread_mutex_lock(&j->lock);
            continue;
        }
        until.tv_sec = (time_t)next;
        until.tv_nsec = (long)((next - (double)until.tv_sec) * 1e9);
        pthread_cond_timedwait(&j->wake, &j->lock, &until);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

void
job_wait(struct jobs *j, const char *id, double wait_s, void (*done)(void *arg),
         void *arg)
{
    struct job_waiter *w = mem_new(1, sizeof *w);
    bool quiet;

    snprintf(w->id, sizeof w->id, "%s", id);
    w->until = clock_s(CLOCK_MONOTONIC) + wait_s;
    w->done = done;
    w->arg = arg;
    pthread_mutex_lock(&j->lock);
    quiet = j->quiet;
    if (!quiet) {
        w->next = j->waiters;
        j->waiters = w;
        pthread_cond_signal(&j->wake);
    }
    pthread_mutex_unlock(&j->lock);
    if (quiet) {
        mem_free(w);
        done(arg);
    }
}

/* --- running ----------------------------------------------------------- */

struct start {
    struct jobs *j;
    struct job *job;
};

static void dispatch(struct jobs *j);

static void
count_end(struct jobs *j, const struct job *job)
{
    bool rejected = job->has_verdict && job->verdict == VERDICT_REJECTED;

    j->stats.seconds += job->ended - job->created;
    j->stats.done += job->state == JOB_STATE_DONE && !rejected;
    j->stats.rejected += job->state == JOB_STATE_DONE && rejected;
    j->stats.failed += job->state == JOB_STATE_FAILED;
    j->stats.cancelled += job->state == JOB_STATE_CANCELLED;
}

static void
end_job(struct jobs *j, struct job *job)
{
    pthread_mutex_lock(&j->lock);
    job->ended = clock_s(CLOCK_REALTIME);
    end_phase(job, job->ended);
    job->state = job->err.code == ERR_OK                 ? JOB_STATE_DONE
                 : atomic_load(&job->cancel) && !j->stop ? JOB_STATE_CANCELLED
                                                         : JOB_STATE_FAILED;
    if (job->err.code == ERR_OK)
        job->fraction = 1;
    else if (j->stop && atomic_load(&job->cancel))
        err_set(&job->err, ERR_UNAVAILABLE, "interrupted: quantd was stopped");
    count_end(j, job);
    job_keep_if_possible(j, job); /* before anybody is told */
    log_event(LOG_INFO, "job_end",
              "job=%s model=%s version=%ld state=%s seconds=%.3f reason=%s",
              job->id, job->model, job->version, job_state_name(job->state),
              job->ended - job->created,
              job->err.code != ERR_OK ? job->err.msg
              : job->reason != NULL   ? job->reason
                                      : "");
    j->running--;
    forget_old(j);
    dispatch(j);
    pthread_cond_signal(&j->wake);
    pthread_cond_broadcast(&j->ended);
    pthread_mutex_unlock(&j->lock);
}

static void *
run_job(void *arg)
{
    struct start *s = arg;
    struct jobs *j = s->j;
    struct job *job = s->job;
    sigset_t all;

    mem_free(s);
    (void)pthread_setname_np(pthread_self(), "job");
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    child_share(job->o.cpu_share);
    log_event(LOG_INFO, "job_start", "job=%s kind=%s model=%s version=%ld",
              job->id, job_kind_name(job->kind), job->model, job->version);
    job_run(j, job);
    repo_unstage(j->repo, job->id);
    if (job->kind == JOB_UPLOAD)
        repo_release(j->repo, job->model, job->version);
    end_job(j, job);
    return NULL;
}

static int
start_thread(struct jobs *j, struct job *job)
{
    struct start *s = mem_new(1, sizeof *s);
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    *s = (struct start){j, job};
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attr, run_job, s);
    pthread_attr_destroy(&attr);
    if (rc != 0)
        mem_free(s);
    return rc;
}

/* Starts what may start, the oldest first, and what only has to end; with the
 * lock held. */
static void
dispatch(struct jobs *j)
{
    while (!j->stop) {
        struct job *job = NULL;

        for (struct job *at = j->first; at != NULL; at = at->next)
            if (at->state == JOB_STATE_QUEUED &&
                (j->running < j->o.concurrency || atomic_load(&at->cancel)))
                job = at;
        if (job == NULL)
            return;
        job->o = j->o;
        job->o.recipe = NULL;
        job->program = mem_strdup(j->program);
        job->state = JOB_STATE_RUNNING;
        job->started = clock_s(CLOCK_REALTIME);
        if (start_thread(j, job) != 0) {
            job->state = JOB_STATE_QUEUED; /* the end of another job tries */
            mem_free(job->program);
            job->program = NULL;
            return;
        }
        j->running++;
    }
}

/* What the request leaves open, the configuration says. */
static int
complete_recipe(struct jobs *j, struct recipe *r, bool has_calibration,
                struct err *e)
{
    char loss[32];

    snprintf(loss, sizeof loss, "%g", j->o.max_loss);
    if (recipe_get(r, "recipe") == NULL &&
        recipe_set(r, "recipe", j->recipe, e) != 0)
        return e->code;
    if (recipe_get(r, "max_loss") == NULL &&
        recipe_set(r, "max_loss", loss, e) != 0)
        return e->code;
    return recipe_check(r, has_calibration, e);
}

static char *
copy_or_null(const char *s)
{
    return s != NULL ? mem_strdup(s) : NULL;
}

static struct job *
make_job(const struct job_request *rq)
{
    struct job *job = mem_new(1, sizeof *job);

    job->kind = rq->kind;
    snprintf(job->id, sizeof job->id, "%s", rq->id);
    snprintf(job->model, sizeof job->model, "%s", rq->model);
    job->version = rq->version;
    job->stage = mem_strdup(rq->stage);
    job->calibration = copy_or_null(rq->calibration);
    job->validation = copy_or_null(rq->validation);
    job->who = mem_strdup(rq->who);
    job->phase = "receive";
    job->created = job->phase_since = clock_s(CLOCK_REALTIME) - rq->receive_s;
    job->timings = json_object();
    return job;
}

int
job_submit(struct jobs *j, const struct job_request *rq, struct err *e)
{
    struct job *job;
    int rc;

    pthread_mutex_lock(&j->lock);
    rc = j->stop ? err_set(e, ERR_UNAVAILABLE, "going down")
                 : complete_recipe(j, *rq->recipe, rq->calibration != NULL, e);
    pthread_mutex_unlock(&j->lock);
    if (rc != 0)
        return rc;
    job = make_job(rq);
    if ((rc = job_keep(j, job, e)) != 0) {
        job_free(job);
        return rc;
    }
    job->recipe = *rq->recipe;
    *rq->recipe = NULL;
    pthread_mutex_lock(&j->lock);
    jobs_insert(j, job);
    dispatch(j);
    pthread_mutex_unlock(&j->lock);
    return 0;
}

int
job_cancel(struct jobs *j, const char *id, struct err *e)
{
    struct job *job;
    int rc = 0;

    pthread_mutex_lock(&j->lock);
    job = find(j, id);
    if (job == NULL)
        rc = err_set(e, ERR_NOT_FOUND, "no job '%s'", id);
    else if (job_has_ended(job))
        rc = err_set(e, ERR_CONFLICT, "job %s has ended: %s", id,
                     job_state_name(job->state));
    else {
        atomic_store(&job->cancel, true);
        dispatch(j);
    }
    pthread_mutex_unlock(&j->lock);
    return rc;
}

/* --- looking ----------------------------------------------------------- */

json_t *
job_json(struct jobs *j, const char *id)
{
    const struct job *job;
    json_t *out = NULL;

    pthread_mutex_lock(&j->lock);
    job = find(j, id);
    if (job != NULL)
        out = job_record_json(job);
    pthread_mutex_unlock(&j->lock);
    return out;
}

json_t *
jobs_json(struct jobs *j)
{
    json_t *all = json_array();

    pthread_mutex_lock(&j->lock);
    for (const struct job *job = j->first; job != NULL; job = job->next)
        json_array_append_new(all, job_record_json(job));
    pthread_mutex_unlock(&j->lock);
    return all;
}

int
job_outcome(struct jobs *j, const char *id, enum job_end *end, struct err *e)
{
    const struct job *job;
    int rc = 0;

    pthread_mutex_lock(&j->lock);
    job = find(j, id);
    if (job == NULL)
        rc = err_set(e, ERR_NOT_FOUND, "no job '%s'", id);
    else if (!job_has_ended(job))
        *end = JOB_GOES_ON;
    else if (job->state != JOB_STATE_DONE) {
        *end = JOB_FAILED;
        *e = job->err;
    } else if (job->has_verdict && job->verdict == VERDICT_REJECTED) {
        *end = JOB_REJECTED;
        err_set(e, ERR_CONFLICT, "rejected: %s",
                job->reason != NULL ? job->reason : "no reason given");
    } else
        *end = JOB_OK;
    pthread_mutex_unlock(&j->lock);
    return rc;
}

void
jobs_stats(struct jobs *j, struct jobs_stats *out)
{
    pthread_mutex_lock(&j->lock);
    *out = j->stats;
    out->running = j->running;
    out->waiting = 0;
    for (const struct job *job = j->first; job != NULL; job = job->next)
        out->waiting += job->state == JOB_STATE_QUEUED;
    pthread_mutex_unlock(&j->lock);
}

/* --- life -------------------------------------------------------------- */

/* quantctl lies beside quantd, in the build folder as when installed (there in
 * another folder of the same tree, which PATH knows). */
static char *
find_program(const char *given)
{
    char self[PATH_MAX], *slash, *beside;
    ssize_t n;

    if (given != NULL && given[0] != '\0')
        return mem_strdup(given);
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        beside = mem_printf("%.*s/quantctl", (int)(slash - self), self);
        if (access(beside, X_OK) == 0)
            return beside;
        mem_free(beside);
    }
    return mem_strdup("quantctl");
}

int
jobs_configure(struct jobs *j, const struct job_options *o, struct err *e)
{
    struct recipe *r = recipe_new();
    const char *recipe =
        o->recipe != NULL && o->recipe[0] != '\0' ? o->recipe : "auto";
    int rc = recipe_set(r, "recipe", recipe, e);

    recipe_free(&r);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&j->lock);
    mem_free(j->program);
    mem_free(j->recipe);
    j->o = *o;
    j->o.concurrency = o->concurrency > 0 ? o->concurrency : 1;
    j->program = find_program(o->program);
    j->recipe = mem_strdup(recipe);
    j->o.program = j->o.recipe = NULL;
    dispatch(j);
    pthread_mutex_unlock(&j->lock);
    return 0;
}

static void
free_jobs(struct jobs *j)
{
    while (j->first != NULL) {
        struct job *job = j->first;

        j->first = job->next;
        job_free(job);
    }
    pthread_cond_destroy(&j->ended);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    mem_free(j->program);
    mem_free(j->recipe);
    mem_free(j);
}

int
jobs_start(const struct job_options *o, struct repo *repo, struct registry *reg,
           struct traffic *traffic, struct jobs **out, struct err *e)
{
    struct jobs *j = mem_new(1, sizeof *j);
    int rc;

    j->repo = repo;
    j->registry = reg;
    j->traffic = traffic;
    pthread_mutex_init(&j->lock, NULL);
    thread_cond_init(&j->wake);
    pthread_cond_init(&j->ended, NULL);
    if ((rc = jobs_configure(j, o, e)) != 0) {
        free_jobs(j);
        return rc;
    }
    jobs_read(j);
    j->waker = thread_start("job-waiters", wake_waiters, j);
    *out = j;
    return 0;
}

void
jobs_quiesce(struct jobs *j)
{
    pthread_mutex_lock(&j->lock);
    j->quiet = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

/* Jobs that still wait are on disk as such: the next start marks them. */
void
jobs_stop(struct jobs **jobs)
{
    struct jobs *j = *jobs;

    pthread_mutex_lock(&j->lock);
    j->stop = j->quiet = true;
    for (struct job *job = j->first; job != NULL; job = job->next)
        if (job->state == JOB_STATE_RUNNING)
            atomic_store(&job->cancel, true);
    while (j->running > 0)
        pthread_cond_wait(&j->ended, &j->lock);
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->waker, NULL);
    free_jobs(j);
    *jobs = NULL;
}
