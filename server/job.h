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
struct traffic;

enum { JOB_ID = 16 }; /* letters of an id */

struct job_options {
    const char *program; /* quantctl; NULL or "": beside quantd, then PATH */
    int concurrency;     /* jobs that run at once, at least 1 */
    double cpu_share;    /* of the usable cores, 0 to 1; at least one core */
    size_t memory_limit; /* bytes of address space a child may have; 0: any */
    int serve_threads;   /* of a worker: variants are timed with as many */
    double timeout_s;    /* of a child; 0: none */
    const char *recipe;  /* for requests that say nothing */
    double max_loss;
};

/* Reads the jobs kept on disk.  The strings of o are copied; the rest is lent
 * until jobs_stop(). */
int jobs_start(const struct job_options *o, struct repo *repo,
               struct registry *reg, struct traffic *traffic, struct jobs **out,
               struct err *e);

/* Other options, for jobs that start from now on.
 * Fails: ERR_INVALID for an unknown recipe; then nothing changes. */
int jobs_configure(struct jobs *j, const struct job_options *o, struct err *e);

/* quantd is going down: who waits for a job is told at once that it goes on. */
void jobs_quiesce(struct jobs *j);

/* Ends the children, marks their jobs interrupted, waits for the threads. */
void jobs_stop(struct jobs **j);

/* --- asking for work --------------------------------------------------- */

/* Of a job or of a staging folder: sorts by time. */
void job_new_id(char id[JOB_ID + 1]);

enum job_kind {
    JOB_UPLOAD,  /* base/model.onnx: publish it, then make a variant */
    JOB_VARIANT, /* make one more from the version's own file */
    JOB_ADD,     /* variant/model.onnx is a ready-made variant */
};

struct job_request {
    enum job_kind kind;
    const char *id; /* also of the staging folder, which the job removes */
    const char *stage;
    const char *model;
    long version; /* for an upload reserved; the job releases it */
    const char *calibration, *validation; /* names in the stage, or NULL */
    const char *who;                      /* for the history */
    double receive_s;                     /* from its first byte to now */
    struct recipe **recipe;               /* taken */
};

/*
 * Queues the job.  From success on the stage and the reservation are its own.
 * Fails: ERR_UNAVAILABLE (going down), ERR_IO, ERR_NO_SPACE, and ERR_INVALID
 *        when the recipe wants what did not come.
 */
int job_submit(struct jobs *j, const struct job_request *rq, struct err *e);

/* --- looking ----------------------------------------------------------- */

/* The job as clients see it, or NULL when there is none; json_decref(). */
json_t *job_json(struct jobs *j, const char *id);

/* Array of all, newest first. */
json_t *jobs_json(struct jobs *j);

enum job_end {
    JOB_GOES_ON,
    JOB_OK,
    JOB_REJECTED, /* by policy; the version is served all the same */
    JOB_FAILED,   /* or cancelled */
};

/*
 * How the job ended.
 * e:     why it failed; "rejected: ..." for JOB_REJECTED.
 * Fails: ERR_NOT_FOUND.
 */
int job_outcome(struct jobs *j, const char *id, enum job_end *end,
                struct err *e);

/*
 * Calls done(arg) once, from another thread or at once, when the job has
 * ended, is unknown, or wait_s are over.
 */
void job_wait(struct jobs *j, const char *id, double wait_s,
              void (*done)(void *arg), void *arg);

/* Fails: ERR_NOT_FOUND, ERR_CONFLICT when it has ended. */
int job_cancel(struct jobs *j, const char *id, struct err *e);

/* For the metrics; ended ones since the start. */
struct jobs_stats {
    int waiting, running;
    unsigned long done, rejected, failed, cancelled;
    double seconds; /* all ended ones together */
};
void jobs_stats(struct jobs *j, struct jobs_stats *out);

#endif
