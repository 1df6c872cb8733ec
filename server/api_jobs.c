/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api_jobs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/api.h"
#include "server/endpoints.h"
#include "server/job.h"
#include "server/report.h"
#include "server/tasks.h"

enum { WAIT_MAX_S = 3600 };

#define FOREVER_S 1e9

/* Someone who waits for a job. */
struct waiting {
    struct daemon *d;
    struct request *r;
    char id[JOB_ID + 1];
    void (*answer)(void *waiting); /* on the control thread */
};

/* From the jobs' own thread: reports are read from a disk. */
static void
wake(void *arg)
{
    struct waiting *w = arg;

    tasks_post(w->d->control, w->answer, w);
}

static void
wait_for(struct daemon *d, struct request *r, const char *id, double wait_s,
         void (*answer)(void *waiting))
{
    struct waiting *w = mem_new(1, sizeof *w);

    w->d = d;
    w->r = r;
    w->answer = answer;
    snprintf(w->id, sizeof w->id, "%s", id);
    job_wait(d->jobs, id, wait_s, wake, w);
}

static void
add_location(struct request *r, const char *id)
{
    char *path = mem_printf("%s/v2/repository/jobs/%s", request_base(r), id);

    request_add_header(r, "Location", path);
    mem_free(path);
}

void
api_job_accepted(struct request *r, const char *id, const char *model,
                 long version)
{
    add_location(r, id);
    api_reply(r, 202,
              json_pack("{s:s, s:s, s:I}", "job", id, "model", model, "version",
                        (json_int_t)version));
}

/* --- the end of a job -------------------------------------------------- */

/* The report of the version that the job made something of. */
static json_t *
report_of(struct daemon *d, const json_t *job)
{
    const char *model = json_string_value(json_object_get(job, "model"));
    json_int_t version = json_integer_value(json_object_get(job, "version"));
    json_t *report;
    struct err e;

    if (report_read(d->repo, model, (long)version, &report, &e) != 0)
        report = json_object();
    json_object_set(report, "job", json_object_get(job, "job"));
    json_object_set(report, "version", json_object_get(job, "version"));
    return report;
}

static void
answer_end(void *arg)
{
    struct waiting *w = arg;
    enum job_end end = JOB_GOES_ON;
    struct err e = {0};
    json_t *job = job_json(w->d->jobs, w->id), *body;
    int status = 200;

    add_location(w->r, w->id);
    if (job_outcome(w->d->jobs, w->id, &end, &e) != 0)
        end = JOB_FAILED;
    switch (end) {
    case JOB_OK:
        body = report_of(w->d, job);
        break;
    case JOB_REJECTED:
        status = 422;
        body = report_of(w->d, job);
        json_object_set_new(body, "error", json_string(e.msg));
        break;
    case JOB_GOES_ON: /* quantd is going down */
        err_set(&e, ERR_UNAVAILABLE, "going down; job %s is not finished",
                w->id);
        /* fallthrough */
    case JOB_FAILED:
    default:
        status = api_status(w->d, e.code);
        body = json_pack("{s:s%, s:s}", "error", e.msg, strlen(e.msg), "job",
                         w->id);
        if (body == NULL)
            body = json_pack("{s:s, s:s}", "error", "failed", "job", w->id);
        if (json_is_true(json_object_get(job, "published")))
            json_object_set(body, "version", json_object_get(job, "version"));
    }
    json_decref(job);
    api_reply(w->r, status, body);
    mem_free(w);
}

void
api_job_answer(struct daemon *d, struct request *r, const char *id)
{
    wait_for(d, r, id, FOREVER_S, answer_end);
}

/* --- looking ----------------------------------------------------------- */

void
jobs_list(struct daemon *d, struct request *r)
{
    api_reply(r, 200, json_pack("{s:o}", "jobs", jobs_json(d->jobs)));
}

static void
answer_job(void *arg)
{
    struct waiting *w = arg;
    json_t *job = job_json(w->d->jobs, w->id);

    if (job == NULL)
        api_fail_status(w->r, 404, "no job '%s'", w->id);
    else
        api_reply(w->r, 200, job);
    mem_free(w);
}

void
jobs_get(struct daemon *d, struct request *r)
{
    const char *id = request_segment(r, 0);
    const char *text = request_query(r, "wait");
    double wait_s = 0;
    char *end;

    if (text != NULL) {
        errno = 0;
        wait_s = strtod(text, &end);
        if (end == text || *end != '\0' || errno != 0 || !isfinite(wait_s) ||
            wait_s < 0) {
            api_fail_status(r, 400, "wait: '%.40s' is no number of seconds",
                            text);
            return;
        }
    }
    if (strlen(id) != JOB_ID) {
        api_fail_status(r, 404, "no job '%.40s'", id);
        return;
    }
    wait_for(d, r, id, wait_s < WAIT_MAX_S ? wait_s : WAIT_MAX_S, answer_job);
}

void
jobs_delete(struct daemon *d, struct request *r)
{
    const char *id = request_segment(r, 0);
    struct err e;

    if (job_cancel(d->jobs, id, &e) != 0)
        api_fail(d, r, &e);
    else
        api_reply(r, 200, json_pack("{s:s, s:b}", "job", id, "cancel", 1));
}
