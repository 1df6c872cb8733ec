/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plans of one graph, one for each set of inputs seen, shared by all
 * sessions.  Those of the batch ladder stay; of the others the least recently
 * used goes.
 */
#ifndef ENGINE_RUN_PLANS_H
#define ENGINE_RUN_PLANS_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/run/plan.h"

struct kept {
    struct plan *plan;
    unsigned long used; /* clock of the last use */
    bool ladder;        /* never thrown out */
};

struct plans {
    const struct graph *graph;
    struct weights *weights;
    size_t max_shapes;
    const struct plan_limits *limits;

    pthread_mutex_t lock;  /* kept, clock, misses */
    pthread_mutex_t build; /* one plan is built at a time */
    VEC(struct kept) kept;
    unsigned long clock, misses;
    atomic_ulong hits;
};

/* g, w and limits are borrowed. */
void plans_init(struct plans *p, const struct graph *g, struct weights *w,
                size_t max_shapes, const struct plan_limits *limits);
void plans_done(struct plans *p);

/*
 * The plan for these inputs (see plan_build()), found or built.  The caller
 * holds one reference and gives it back with plans_put().
 */
int plans_get(struct plans *p, const struct tensor *in, bool ladder,
              struct plan **out, struct err *e);
void plans_put(struct plans *p, struct plan **plan);

/* Memory of the plans' books, estimated. */
size_t plans_bytes(struct plans *p);

#endif
