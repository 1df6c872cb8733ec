/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What job.c (the list of jobs and its threads), job_record.c (jobs as JSON and
 * on disk) and jobrun.c (what one job does) share.
 */
#ifndef SERVER_JOB_IMPL_H
#define SERVER_JOB_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/job.h"
#include "server/traffic.h"

enum { JOB_LOG_LINES = 20 };

enum job_state {
    JOB_STATE_QUEUED,
    JOB_STATE_RUNNING,
    JOB_STATE_DONE, /* accepted, undecided or rejected */
    JOB_STATE_FAILED,
    JOB_STATE_CANCELLED,
};

struct job {
    struct job *next;
    char id[JOB_ID + 1];
    enum job_kind kind;
    char model[ROUTE_NAME + 1];
    long version;
    char *stage, *calibration, *validation, *who;
    struct recipe *recipe;
    struct job_options o; /* those in force when it started */
    char *program;
    atomic_bool cancel;
    atomic_bool published; /* something of it is served */

    /* Guarded by jobs.lock; its own thread alone changes it. */
    enum job_state state;
    const char *phase;
    double fraction, created, started, phase_since, ended; /* epoch seconds */
    char message[256];
    char *log[JOB_LOG_LINES]; /* a ring */
    unsigned long n_log;
    json_t *timings;              /* phase: seconds */
    char variant[ROUTE_NAME + 1]; /* "" until known */
    bool has_verdict;
    enum verdict verdict;
    char *decision, *reason; /* of the judge, or NULL */
    struct err err;          /* why it failed */
};

struct jobs {
    struct repo *repo;
    struct registry *registry;
    struct traffic *traffic;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t ended; /* a job has ended */
    struct job_options o;
    char *program, *recipe;
    struct job *first; /* newest first */
    size_t n;
    int running;
    bool quiet; /* nobody waits any more */
    bool stop;
    struct jobs_stats stats;

    pthread_t waker;
    pthread_cond_t wake; /* the waker has something to look at */
    struct job_waiter *waiters;
};

static inline bool
job_has_ended(const struct job *job)
{
    return job->state >= JOB_STATE_DONE;
}

void job_free(struct job *job);

/* Puts a job in its place: newest first. */
void jobs_insert(struct jobs *j, struct job *job);

/* --- job_record.c ------------------------------------------------------- */

const char *job_state_name(enum job_state s);
const char *job_kind_name(enum job_kind k);

/* As clients see it; with the lock held. */
json_t *job_record_json(const struct job *job);

/* Its file; mem_free(). */
char *job_record_path(struct jobs *j, const char *id);

/* Writes the file. */
int job_keep(struct jobs *j, const struct job *job, struct err *e);

/* What is kept is for those who look later: a job goes on without. */
void job_keep_if_possible(struct jobs *j, const struct job *job);

/* At start: all that is on disk.  What had not ended is marked failed. */
void jobs_read(struct jobs *j);

/* --- jobrun.c ----------------------------------------------------------- */

/* Everything from parse to publish; on the job's thread. */
void job_run(struct jobs *j, struct job *job);

/* --- job.c, for the job's thread ----------------------------------------- */

/* The job enters a phase, kept on disk. */
void job_phase(struct jobs *j, struct job *job, const char *phase);

/* How far the phase is; message may be NULL. */
void job_progress(struct jobs *j, struct job *job, double fraction,
                  const char *message);

/* One more line for the log of the job. */
void job_log(struct jobs *j, struct job *job, const char *line);

#endif
