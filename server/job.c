/* SPDX-License-Identifier: Apache-2.0 */
#include "server/job.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
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

enum {
    KEPT_JOBS = 1000, /* ended jobs that are remembered */
    RECORD_MAX = 1 << 20,
};

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

static bool
has_ended(const struct job *job)
{
    return job->state >= JOB_STATE_DONE;
}

static struct job *
find(struct jobs *j, const char *id)
{
    struct job *job = j->first;

    while (job != NULL && strcmp(job->id, id) != 0)
        job = job->next;
    return job;
}

static void
free_job(struct job *job)
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

/* --- as JSON ----------------------------------------------------------- */

static const char *const state_names[] = {"queued", "running", "done", "failed",
                                          "cancelled"};
static const char *const kind_names[] = {"upload", "variant", "add"};

/* Bytes that are no UTF-8 become '?'. */
static json_t *
text_json(const char *s)
{
    json_t *j = json_string(s);
    char *copy;

    if (j != NULL)
        return j;
    copy = mem_strdup(s);
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    j = json_string(copy);
    mem_free(copy);
    return j;
}

static json_t *
time_json(double t)
{
    time_t whole = (time_t)t;
    char text[40];
    struct tm tm;
    size_t n;

    gmtime_r(&whole, &tm);
    n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ",
             (int)((t - (double)whole) * 1e3));
    return json_string(text);
}

static json_t *
log_json(const struct job *job)
{
    json_t *lines = json_array();
    unsigned long from =
        job->n_log > JOB_LOG_LINES ? job->n_log - JOB_LOG_LINES : 0;

    for (unsigned long i = from; i < job->n_log; i++)
        json_array_append_new(lines, text_json(job->log[i % JOB_LOG_LINES]));
    return lines;
}

static void
result_json(const struct job *job, json_t *to)
{
    if (job->variant[0] != '\0')
        json_object_set_new(to, "variant", json_string(job->variant));
    json_object_set_new(to, "published", json_boolean(job->published));
    if (job->has_verdict) {
        json_object_set_new(to, "verdict",
                            json_string(verdict_name(job->verdict)));
        json_object_set_new(to, "accepted",
                            json_boolean(job->verdict == VERDICT_ACCEPTED));
    }
    if (job->decision != NULL)
        json_object_set_new(to, "decision", text_json(job->decision));
    if (job->reason != NULL)
        json_object_set_new(to, "reason", text_json(job->reason));
    if (job->err.code != ERR_OK) {
        json_object_set_new(to, "error", text_json(job->err.msg));
        json_object_set_new(to, "error_code", json_integer(job->err.code));
    }
}

static json_t *
to_json(const struct job *job)
{
    json_t *to =
        json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:f, s:o}", "job", job->id,
                  "kind", kind_names[job->kind], "model", job->model, "version",
                  (json_int_t)job->version, "state", state_names[job->state],
                  "phase", job->phase, "fraction", job->fraction, "created",
                  time_json(job->created));

    json_object_set_new(to, "message", text_json(job->message));
    if (job->started > 0)
        json_object_set_new(to, "started", time_json(job->started));
    if (job->ended > 0) {
        json_object_set_new(to, "ended", time_json(job->ended));
        json_object_set_new(to, "seconds",
                            json_real(job->ended - job->created));
    }
    json_object_set_new(to, "timings", json_copy(job->timings));
    json_object_set_new(to, "log", log_json(job));
    result_json(job, to);
    return to;
}

/* --- kept on disk ------------------------------------------------------ */

static char *
record_path(struct jobs *j, const char *id)
{
    return mem_printf("%s/%s.json", repo_jobs_dir(j->repo), id);
}

/* The numbers that to_json() gives as text, for from_json(). */
static int
keep(struct jobs *j, const struct job *job, struct err *e)
{
    json_t *record = to_json(job);
    char *path = record_path(j, job->id), *text;
    int rc;

    json_object_set_new(record, "kept",
                        json_pack("{s:f, s:f, s:f, s:s}", "created",
                                  job->created, "started", job->started,
                                  "ended", job->ended, "who", job->who));
    text = json_dumps(record, JSON_INDENT(1));
    rc = text != NULL ? file_write(path, text, strlen(text), e)
                      : err_set(e, ERR_INTERNAL, "%s: can't be written", path);
    free(text);
    mem_free(path);
    json_decref(record);
    return rc;
}

/* What is kept is for those who look later: a job goes on without. */
static void
keep_if_possible(struct jobs *j, const struct job *job)
{
    struct err e;

    if (keep(j, job, &e) != 0)
        log_event(LOG_ERROR, "job_write", "job=%s reason=%s", job->id, e.msg);
}

static int
word_of(const json_t *j, const char *member, const char *const *words, int n)
{
    const char *s = json_string_value(json_object_get(j, member));

    for (int i = 0; s != NULL && i < n; i++)
        if (strcmp(words[i], s) == 0)
            return i;
    return -1;
}

static char *
text_of(const json_t *j, const char *member)
{
    const char *s = json_string_value(json_object_get(j, member));

    return s != NULL ? mem_strdup(s) : NULL;
}

static const char *
phase_of(const json_t *j)
{
    static const char *const names[] = {"receive",  "parse",    "calibrate",
                                        "quantize", "validate", "benchmark",
                                        "publish"};
    int i = word_of(j, "phase", names, 7);

    return names[i < 0 ? 0 : i];
}

static void
result_from_json(const json_t *j, struct job *job)
{
    const char *variant = json_string_value(json_object_get(j, "variant"));
    const char *verdict = json_string_value(json_object_get(j, "verdict"));
    const char *error = json_string_value(json_object_get(j, "error"));
    struct err e;

    if (variant != NULL)
        snprintf(job->variant, sizeof job->variant, "%s", variant);
    job->has_verdict =
        verdict != NULL && verdict_parse(verdict, &job->verdict, &e) == 0;
    job->published = json_is_true(json_object_get(j, "published"));
    job->decision = text_of(j, "decision");
    job->reason = text_of(j, "reason");
    if (error != NULL) {
        json_int_t code = json_integer_value(json_object_get(j, "error_code"));

        err_set(&job->err,
                code > ERR_OK && code <= ERR_INTERNAL ? (enum err_code)code
                                                      : ERR_INTERNAL,
                "%s", error);
    }
}

/* A job that had not ended when quantd did is marked failed. */
static struct job *
from_json(const json_t *j, bool *was_interrupted)
{
    const json_t *kept = json_object_get(j, "kept"), *line;
    const char *id = json_string_value(json_object_get(j, "job"));
    const char *model = json_string_value(json_object_get(j, "model"));
    int state = word_of(j, "state", state_names, 5);
    int kind = word_of(j, "kind", kind_names, 3);
    struct job *job;
    size_t i;

    if (id == NULL || strlen(id) != JOB_ID || model == NULL ||
        !route_name_ok(model) || state < 0 || kind < 0)
        return NULL;
    job = mem_new(1, sizeof *job);
    memcpy(job->id, id, JOB_ID);
    snprintf(job->model, sizeof job->model, "%s", model);
    job->kind = (enum job_kind)kind;
    job->state = (enum job_state)state;
    job->version = (long)json_integer_value(json_object_get(j, "version"));
    job->phase = phase_of(j);
    job->fraction = json_number_value(json_object_get(j, "fraction"));
    job->created = json_number_value(json_object_get(kept, "created"));
    job->started = json_number_value(json_object_get(kept, "started"));
    job->ended = json_number_value(json_object_get(kept, "ended"));
    job->who = text_of(kept, "who");
    job->timings = json_deep_copy(json_object_get(j, "timings"));
    if (!json_is_object(job->timings)) {
        json_decref(job->timings);
        job->timings = json_object();
    }
    json_array_foreach(json_object_get(j, "log"), i,
                       line) if (json_is_string(line) &&
                                 job->n_log < JOB_LOG_LINES)
        job->log[job->n_log++] = mem_strdup(json_string_value(line));
    result_from_json(j, job);
    *was_interrupted = !has_ended(job);
    if (*was_interrupted) {
        job->state = JOB_STATE_FAILED;
        job->ended = clock_s(CLOCK_REALTIME);
        err_set(&job->err, ERR_UNAVAILABLE,
                "interrupted by a restart of quantd");
    }
    return job;
}

static void
insert(struct jobs *j, struct job *job)
{
    struct job **at = &j->first;

    while (*at != NULL && strcmp((*at)->id, job->id) > 0)
        at = &(*at)->next;
    job->next = *at;
    *at = job;
    j->n++;
}

static void
read_record(struct jobs *j, const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name), *text = NULL;
    bool was_interrupted = false;
    struct job *job = NULL;
    json_t *record;
    struct err e;
    size_t bytes;

    if (file_read(path, RECORD_MAX, &text, &bytes, &e) == 0) {
        record = json_loadb(text, bytes, 0, NULL);
        job = from_json(record, &was_interrupted);
        json_decref(record);
        mem_free(text);
    } else
        log_event(LOG_WARNING, "job_read", "reason=%s", e.msg);
    if (job != NULL) {
        insert(j, job);
        if (was_interrupted)
            keep_if_possible(j, job);
    } else
        log_event(LOG_WARNING, "job_read", "file=%s reason=%s", path,
                  "no record of a job");
    mem_free(path);
}

static void
read_records(struct jobs *j)
{
    const char *dir = repo_jobs_dir(j->repo);
    struct dirent *entry;
    DIR *d = dir != NULL ? opendir(dir) : NULL;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        size_t n = strlen(entry->d_name);

        if (n == JOB_ID + 5 && strcmp(entry->d_name + JOB_ID, ".json") == 0)
            read_record(j, dir, entry->d_name);
    }
    if (d != NULL)
        closedir(d);
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

        if (!has_ended(job) || ++ended <= KEPT_JOBS) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        j->n--;
        path = record_path(j, job->id);
        (void)file_remove(path, &e);
        mem_free(path);
        free_job(job);
    }
}

/* --- told by the job's thread ------------------------------------------ */

void
job_phase(struct jobs *j, struct job *job, const char *phase)
{
    double now = clock_s(CLOCK_REALTIME);

    pthread_mutex_lock(&j->lock);
    json_object_set_new(job->timings, job->phase,
                        json_real(now - job->phase_since));
    job->phase = phase;
    job->phase_since = now;
    job->fraction = 0;
    job->message[0] = '\0';
    pthread_mutex_unlock(&j->lock);
    keep_if_possible(j, job);
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

        if (job == NULL || has_ended(job) || j->quiet || now >= w->until) {
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
    json_object_set_new(job->timings, job->phase,
                        json_real(job->ended - job->phase_since));
    job->state = job->err.code == ERR_OK                 ? JOB_STATE_DONE
                 : atomic_load(&job->cancel) && !j->stop ? JOB_STATE_CANCELLED
                                                         : JOB_STATE_FAILED;
    if (job->err.code == ERR_OK)
        job->fraction = 1;
    else if (j->stop && atomic_load(&job->cancel))
        err_set(&job->err, ERR_UNAVAILABLE, "interrupted: quantd was stopped");
    count_end(j, job);
    keep_if_possible(j, job); /* before anybody is told */
    log_event(LOG_INFO, "job_end",
              "job=%s model=%s version=%ld state=%s seconds=%.3f reason=%s",
              job->id, job->model, job->version, state_names[job->state],
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

    mem_free(s);
    child_share(job->o.cpu_share);
    log_event(LOG_INFO, "job_start", "job=%s kind=%s model=%s version=%ld",
              job->id, kind_names[job->kind], job->model, job->version);
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
    job->created = job->phase_since = clock_s(CLOCK_REALTIME);
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
    if ((rc = keep(j, job, e)) != 0) {
        free_job(job);
        return rc;
    }
    job->recipe = *rq->recipe;
    *rq->recipe = NULL;
    pthread_mutex_lock(&j->lock);
    insert(j, job);
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
    else if (has_ended(job))
        rc = err_set(e, ERR_CONFLICT, "job %s has ended: %s", id,
                     state_names[job->state]);
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
        out = to_json(job);
    pthread_mutex_unlock(&j->lock);
    return out;
}

json_t *
jobs_json(struct jobs *j)
{
    json_t *all = json_array();

    pthread_mutex_lock(&j->lock);
    for (const struct job *job = j->first; job != NULL; job = job->next)
        json_array_append_new(all, to_json(job));
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
    else if (!has_ended(job))
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
        free_job(job);
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
    pthread_condattr_t attr;
    int rc;

    j->repo = repo;
    j->registry = reg;
    j->traffic = traffic;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&j->ended, NULL);
    if ((rc = jobs_configure(j, o, e)) != 0) {
        free_jobs(j);
        return rc;
    }
    read_records(j);
    rc = pthread_create(&j->waker, NULL, wake_waiters, j);
    if (rc != 0) {
        free_jobs(j);
        return err_set(e, ERR_INTERNAL, "jobs: thread: %s", strerror(rc));
    }
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
