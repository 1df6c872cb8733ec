/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: requests wait here for a worker.
 *
 * Each variant has one queue, bounded.  A free worker takes whatever waits
 * for one variant, up to a full batch (work-conserving: it waits for more
 * only where max_delay says so).  Between variants the one that has used the
 * least compute time, divided by its weight, comes first.  Within a variant
 * the order is priority, then arrival.
 *
 * Work has rows.  A batch is made of pieces: rows [from, from + n) of one
 * work.  Large works are cut, small ones joined; only works whose shapes
 * agree behind the first axis share a batch.
 *
 * Nothing here knows tensors, HTTP or the engine.
 */
#ifndef SERVER_QUEUE_H
#define SERVER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct scheduler;
struct queue;

enum { QUEUE_MAX_PIECES = 1024, QUEUE_DEFAULT_PRIORITY = 128 };

/* Of one variant; times in nanoseconds. */
struct queue_options {
    int max_batch;      /* rows of a run; 0: works run alone, whole */
    int max_length;     /* works that may wait */
    uint64_t max_delay; /* a batch that isn't full waits this long; 0: not */
    double weight;      /* share of compute time; 1 is usual */

    /* The largest batch that is made for at most rows rows (>= 1). */
    int (*fit)(void *user, int rows);

    /* Handed to fit and found in batches. */
    void *user;
};

/* One request; embedded in its owner's struct. */
struct work {
    /* Set by the owner before queue_put(). */
    int rows;          /* >= 1 */
    int priority;      /* 1 (first) .. 255; QUEUE_DEFAULT_PRIORITY */
    uint64_t deadline; /* CLOCK_MONOTONIC ns; 0: none */
    uint64_t group;    /* hash of what must agree in a batch */
    bool (*same)(const struct work *a, const struct work *b); /* exactly */

    /* Called once, without locks: all its rows were run (e == NULL), or it
     * failed: timed out, its queue closed, a run failed. */
    void (*done)(struct work *w, const struct err *e);

    /* Set by the queue. */
    uint64_t put_ns;   /* when it came */
    uint64_t taken_ns; /* when its first row was taken */

    /* The queue's own. */
    struct queue *queue;
    struct work *prev, *next;
    int taken, ran; /* rows */
    bool waiting, failed;
    struct err err;
};

struct piece {
    struct work *work;
    int from, n; /* rows of the work; n >= 1 */
    int at;      /* row of the batch where it starts */
};

struct batch {
    struct queue *queue;
    void *user; /* queue_options.user */
    int rows, n_pieces;
    uint64_t taken_ns;
    double claimed_ns; /* compute time it was expected to take */
    struct piece pieces[QUEUE_MAX_PIECES];
};

/* now: CLOCK_MONOTONIC ns, or a test's own clock; NULL: the real one. */
struct scheduler *scheduler_new(uint64_t (*now)(void));
void scheduler_free(struct scheduler **s); /* all queues freed before */

struct queue *queue_new(struct scheduler *s, const struct queue_options *o);

/* Refuses new work from now on; what waits is still run. */
void queue_close(struct queue *q);

/* Waits until nothing of it waits or runs; closes it. */
void queue_drain(struct queue *q);

/* Drained before. */
void queue_free(struct queue **q);

/* Works that wait: of which no row was taken yet. */
int queue_length(const struct queue *q);

/*
 * Puts w into the queue; done will be called.
 * Fails: ERR_BUSY when the queue is full, ERR_UNAVAILABLE when it is closed;
 * done is not called then.
 */
int queue_put(struct queue *q, struct work *w, struct err *e);

/*
 * Waits for work and takes a batch.  False: the scheduler was stopped and
 * nothing waits any more.
 */
bool scheduler_take(struct scheduler *s, struct batch *b);

/* The same without waiting: false when nothing can be taken now. */
bool scheduler_try(struct scheduler *s, struct batch *b);

/*
 * The batch was run in ns of compute time (e == NULL), or its run failed.
 * Calls done of works that are complete.
 */
void scheduler_done(struct scheduler *s, struct batch *b, uint64_t ns,
                    const struct err *e);

/* Fails what waits past its deadline; called now and then. */
void scheduler_expire(struct scheduler *s);

/* Fails all that waits with this error: the end of a drain. */
void scheduler_abort(struct scheduler *s, const struct err *e);

/* scheduler_take() returns false once nothing waits. */
void scheduler_stop(struct scheduler *s);

#endif
