/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sessions of a model share: the graph, the packed weights and the
 * plans built so far.  Graph, names and limits do not change once model_warm()
 * is through; the list of plans is guarded by the lock.
 */
#ifndef ENGINE_RUN_MODEL_H
#define ENGINE_RUN_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/ir/graph.h"
#include "engine/ir/weights.h"
#include "engine/run/plan.h"

enum { MODEL_MAX_LADDER = 16 };

struct kept {
    struct plan *plan;
    unsigned long used; /* clock of the last use */
    bool ladder;        /* never thrown out */
};

struct model {
    atomic_int refs;
    struct graph *graph;
    struct weights *weights;
    struct model_io *inputs, *outputs;

    int max_batch;                /* see model_max_batch() */
    bool batch_fixed_in_file;     /* the file said 1: graph was freed of it */
    int ladder[MODEL_MAX_LADDER]; /* ascending batch sizes */
    int n_ladder;
    size_t max_shapes;
    struct plan_limits limits;
    bool warm; /* the plans of the ladder are built */

    pthread_mutex_t lock;  /* plans, clock, hits, misses */
    pthread_mutex_t build; /* one plan is built at a time */
    VEC(struct kept) plans;
    unsigned long clock, hits, misses;
};

/*
 * The plan for these shapes, found or built.  The caller holds one reference
 * and gives it back with model_put_plan().
 */
int model_get_plan(struct model *m, const struct shape *shapes, bool ladder,
                   struct plan **out, struct err *e);
void model_put_plan(struct model *m, struct plan **p);

/*
 * Checks shapes (one an input) against what the file declares.
 * Fails: ERR_INVALID, naming the input, what it expects and what it got.
 */
int model_check_shapes(const struct model *m, const struct shape *shapes,
                       struct err *e);

/*
 * Finds out whether the first axis of every input and output is a batch axis,
 * frees a graph whose file fixes it at 1 of that, and sets max_batch and the
 * ladder.  Shapes only; model_warm() checks with numbers.
 */
int batch_find(struct model *m, int max_batch, struct err *e);

#endif
