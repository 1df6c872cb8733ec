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

#include "base/err.h"
#include "engine/engine.h"
#include "server/queue.h"

struct daemon;
struct lane;
struct series;
struct workers;

int workers_new(struct daemon *d, struct workers **out, struct err *e);

/* Ends the threads when nothing waits any more. */
void workers_free(struct workers **w);

int workers_count(const struct workers *w);

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

#endif
