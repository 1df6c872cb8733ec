/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs as JSON: for clients, and as .quantd/jobs/ID.json for the next start.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "server/job_impl.h"
#include "server/log.h"

enum { RECORD_MAX = 1 << 20 };

static const char *const state_names[] = {"queued", "running", "done", "failed",
                                          "cancelled"};
static const char *const kind_names[] = {"upload", "variant", "add"};

const char *
job_state_name(enum job_state s)
{
    return state_names[s];
}

const char *
job_kind_name(enum job_kind k)
{
    return kind_names[k];
}

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
    json_object_set_new(to, "published",
                        json_boolean(atomic_load(&job->published)));
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

json_t *
job_record_json(const struct job *job)
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

char *
job_record_path(struct jobs *j, const char *id)
{
    return mem_printf("%s/%s.json", repo_jobs_dir(j->repo), id);
}

/* With the numbers that job_record_json() gives as text, for from_json(). */
int
job_keep(struct jobs *j, const struct job *job, struct err *e)
{
    json_t *record = job_record_json(job);
    char *path = job_record_path(j, job->id), *text;
    int rc;

    json_object_set_new(record, "kept",
                        json_pack("{s:f, s:f, s:f, s:s}", "created",
                                  job->created, "started", job->started,
                                  "ended", job->ended, "who", job->who));
    text = json_dumps(record, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    rc = text != NULL ? file_write(path, text, strlen(text), e)
                      : err_set(e, ERR_INTERNAL, "%s: can't be written", path);
    free(text);
    mem_free(path);
    json_decref(record);
    return rc;
}

void
job_keep_if_possible(struct jobs *j, const struct job *job)
{
    struct err e;

    if (job_keep(j, job, &e) != 0)
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
    atomic_store(&job->published,
                 json_is_true(json_object_get(j, "published")));
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
    *was_interrupted = !job_has_ended(job);
    if (*was_interrupted) {
        job->state = JOB_STATE_FAILED;
        job->ended = (double)time(NULL);
        err_set(&job->err, ERR_UNAVAILABLE,
                "interrupted by a restart of quantd");
    }
    return job;
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
        jobs_insert(j, job);
        if (was_interrupted)
            job_keep_if_possible(j, job);
    } else
        log_event(LOG_WARNING, "job_read", "file=%s reason=%s", path,
                  "no record of a job");
    mem_free(path);
}

void
jobs_read(struct jobs *j)
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
