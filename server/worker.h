/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that compute, and what they need of each variant.
 *
 * A lane is a loaded variant ready to serve: its queue, and one session for
 * each worker with every batch size of the ladder prepared, so that no request
 * ever waits for something to be built.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "server/buf.h"
#include "server/queue.h"

struct config;
struct daemon;
struct lane;
struct series;
struct workers;

/* How many: as configured, or as there are usable cores for. */
int workers_wanted(const struct config *c);

struct workers *workers_new(struct daemon *d);

/* Ends the threads when nothing waits any more. */
void workers_free(struct workers **w);

/* --- lanes ------------------------------------------------------------- */

struct lane_options {
    int max_batch;         /* of the configuration; the model may have less */
    int max_length;        /* works that may wait */
    uint64_t max_delay_us; /* 0: work-conserving */
    double weight;         /* 1 */
};

/*
 * Makes the sessions (slow: on the loader's thread) and opens the queue.
 *
 * m:       warm (model_warm()); the lane keeps a reference.
 * series:  where its counters are; the lane keeps a reference.
 * Fails:   ERR_NO_MEMORY, ERR_INTERNAL.
 */
int lane_new(struct workers *w, struct model *m, const struct lane_options *o,
             struct series *series, struct lane **out, struct err *e);

/* Refuses new requests and waits until the last has been answered; then
 * lane_free() may follow. */
void lane_drain(struct lane *l);
void lane_free(struct lane **l);

struct queue *lane_queue(const struct lane *l);
struct model *lane_model(const struct lane *l);
struct series *lane_series(const struct lane *l);

/* Rows one run of it may have; 0: requests run alone. */
int lane_max_batch(const struct lane *l);

/* --- requests ---------------------------------------------------------- */

/* One request as the workers see it. */
struct run {
    struct work work; /* first, so that a work's address is its run's */

    /* Set by the caller; arrays by run_init(). */
    struct shape *in_shapes; /* of each input, the whole request */
    const void **in;         /* of each input, row-major */
    bool *want;              /* of each output */

    /* The answer, when done is called without an error. */
    struct tensor *out;   /* of each wanted output; data lies in out_buf */
    struct buf **out_buf; /* take what you keep: set it to NULL */
    uint64_t input_ns, infer_ns, output_ns;

    /* The workers' own. */
    struct lane *lane;
    pthread_mutex_t lock; /* of the answer: pieces may end at once */
    struct err err;
};

void run_init(struct run *r, struct lane *l);
void run_clear(struct run *r);

/*
 * Puts it into the lane's queue.  in_shapes, in, want and work.priority,
 * .deadline, .done are set; r->work.done(&r->work, e) ends it.
 *
 * Fails: as queue_put(); ERR_INVALID when the inputs' rows differ.
 */
int run_put(struct run *r, struct err *e);

#endif
