/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted.  A series holds the counters of one variant of one version
 * from load to unload.  Each thread counts in a slot of its own; a reader sums
 * the slots, each locked for the moment of its copy, so one reading never has
 * half of an event.
 */
#ifndef SERVER_STATS_H
#define SERVER_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "server/route.h"

struct stats;
struct series;

enum { STATS_BUCKETS = 17, STATS_BATCHES = 64 };

/* Upper bounds of the duration histograms, in microseconds: 1-2-5 from 100 us
 * to 10 s; the last bucket is all that is longer. */
extern const uint64_t stats_bounds_us[STATS_BUCKETS - 1];

struct histogram {
    uint64_t count, sum_ns, bucket[STATS_BUCKETS];
};

struct duration {
    uint64_t count, ns;
};

/* HTTP statuses that answers of a variant can have. */
#define STATS_CODES(CODE)                                                      \
    CODE(200)                                                                  \
    CODE(400) CODE(413) CODE(422) CODE(429) CODE(500) CODE(503) CODE(504)
enum {
#define CODE(n) STATS_CODE_##n,
    STATS_CODES(CODE)
#undef CODE
        N_STATS_CODES
};

/* One reading. */
struct counts {
    uint64_t requests[N_ROUTED][N_STATS_CODES];
    struct histogram request, queue, compute; /* seconds in /metrics */
    uint64_t rows, runs, last_ms; /* inference_count, execution_count, epoch */
    uint64_t nonfinite;           /* outputs with a NaN or an infinity */
    struct duration success, fail, wait, input, infer, output;
    struct {
        uint64_t runs, input_ns, infer_ns, output_ns;
    } batch[STATS_BATCHES + 1]; /* by rows; [0] is all that are larger */
};

/* Why requests were refused before a variant answered: quantd_rejected_total */
#define STATS_REJECTS(REJECT)                                                  \
    REJECT(queue_full)                                                         \
    REJECT(memory_full)                                                        \
    REJECT(deadline)                                                           \
    REJECT(draining)                                                           \
    REJECT(too_large)                                                          \
    REJECT(malformed)                                                          \
    REJECT(unknown)                                                            \
    REJECT(unauthorized)                                                       \
    REJECT(not_ready)
enum reject {
#define REJECT(name) REJECT_##name,
    STATS_REJECTS(REJECT)
#undef REJECT
        N_REJECTS
};

struct stats *stats_new(int n_workers);
void stats_free(struct stats **s);
void stats_reject(struct stats *s, enum reject why);
uint64_t stats_rejected(const struct stats *s, enum reject why);

/* The counters of a variant, counted references; NULL: no memory. */
struct series *series_new(struct stats *s);
struct series *series_ref(struct series *s);
void series_unref(struct series **s);

/* Consistent within every event that was counted. */
void series_read(struct series *s, struct counts *out);

/* sum += one; the later last_ms. */
void counts_add(struct counts *sum, const struct counts *one);

/* The calling thread's slot from now on: workers 0.., others share one. */
void stats_thread(int worker);

/* One request answered; times in ns, all 0 where it did not run. */
struct answered {
    enum routed route;
    int status;
    uint64_t total, wait, input, infer, output;
};
void series_answered(struct series *s, const struct answered *a);

/* One run of rows rows. */
void series_ran(struct series *s, int rows, uint64_t input_ns,
                uint64_t infer_ns, uint64_t output_ns);

void series_nonfinite(struct series *s, int outputs);

/* Requests of the variant that were resolved and not yet answered. */
void series_enter(struct series *s);
int series_in_flight(const struct series *s);

#endif
