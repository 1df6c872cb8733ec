/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantization jobs: what an upload becomes once it is on disk.
 *
 * A job runs on one of a few threads of its own, from parse to publish, and
 * does all heavy work in child processes (quantctl) with limits on CPU,
 * memory and time.  Whatever happens to it, nothing is visible before it is
 * whole.  Each change of phase is kept in jobs/ID.json; a job that was not
 * finished when quantd ended is listed as failed by the next one, and its
 * staging folder is gone.
 */
#ifndef SERVER_JOB_H
#define SERVER_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "server/recipe.h"
#include "server/registry.h"
#include "server/repo.h"

struct jobs;

enum { JOB_ID = 16 }; /* letters of an id */

struct job_options {
    const char *program; /* quantctl; NULL or "": beside quantd, then PATH */
    int concurrency;     /* jobs that run at once, at least 1 */
    double cpu_share;    /* of the usable cores, 0 to 1; at least one core */
    size_t memory_limit; /* bytes of address space a child may have; 0: any */
    double timeout_s;    /* of a child; 0: none */
    const char *recipe;  /* defaults for requests that say nothing */
    double max_loss;
    /* One for each job that ended: state "done", "failed" or "cancelled". */
    void (*ended)(const char *state, double seconds, void *arg);
    void *arg;
};

/* Reads the jobs kept on disk and starts the threads. */
int jobs_start(const struct job_options *o, struct repo *repo,
               struct registry *reg, struct jobs **out, struct err *e);

/* Kills the children, marks their jobs interrupted, joins the threads. */
void jobs_stop(struct jobs **j);

/* --- asking for work --------------------------------------------------- */

enum job_kind {
    JOB_UPLOAD,  /* model.onnx in the stage: publish it, then make a variant */
    JOB_VARIANT, /* make one more from the version's own file */
    JOB_ADD,     /* model.onnx in the stage is a ready-made variant */
};

struct job_request {
    enum job_kind kind;
    const char *model;
    long version; /* reserved in the repository; the job releases it (upload) */
    const char *stage;       /* staging folder; the job removes it */
    const char *stage_id;    /* its id: the job's, too */
    const char *calibration; /* file name in the stage, or NULL */
    const char *validation;  /* file name in the stage, or NULL */
    const char *who;         /* name of the token, for the history */
    struct recipe *recipe;   /* taken */
};

/*
 * Queues the job.  From success on the stage and the reservation are its own.
 * Fails: ERR_UNAVAILABLE (going down), ERR_IO, ERR_NO_SPACE.
 */
int job_submit(struct jobs *j, struct job_request *rq, struct err *e);

/* --- looking ----------------------------------------------------------- */

/* The job as clients see it, or NULL when there is none; json_decref(). */
json_t *job_json(struct jobs *j, const char *id);

/* Array of all, newest first. */
json_t *jobs_json(struct jobs *j);

/*
 * The HTTP status that answers a client who waited for the end: 200, 422 when
 * policy rejected, or what the error of a failed job asks for; 0 while it goes
 * on.  *body: the report (200, 422) or the error object; json_decref().
 */
int job_outcome(struct jobs *j, const char *id, json_t **body);

/*
 * Calls done(arg) once, from another thread or at once, when the job has ended,
 * is unknown, or wait_s are over.
 */
void job_wait(struct jobs *j, const char *id, double wait_s,
              void (*done)(void *arg), void *arg);

/* Fails: ERR_NOT_FOUND, ERR_CONFLICT when it has ended. */
int job_cancel(struct jobs *j, const char *id, struct err *e);

/* How many are waiting and running now. */
void jobs_count(struct jobs *j, int *waiting, int *running);

#endif
