/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sessions of a model share: the graph, the packed weights and the
 * plans built so far.  Graph, names and limits do not change once model_warm()
 * is through; plans have locks of their own.
 */
#ifndef ENGINE_RUN_MODEL_H
#define ENGINE_RUN_MODEL_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/ir/graph.h"
#include "engine/ir/weights.h"
#include "engine/run/cut.h"
#include "engine/run/plans.h"

enum { MODEL_MAX_LADDER = 16 };

struct model {
    atomic_int refs;
    struct graph *graph;
    struct weights *weights;
    bool is_body; /* of If, Loop or Scan: graph and weights are borrowed */
    struct model_io *inputs, *outputs;

    struct stages stages; /* what runs is one after the other */
    struct plans *plans;  /* one a stage */

    /* By node id of the graph: the models of its bodies.  NULL: no node that
     * runs by itself has any. */
    struct model *(*bodies)[2];

    int max_batch;                /* see model_max_batch() */
    bool batch_fixed_in_file;     /* the file said 1: graph was freed of it */
    int ladder[MODEL_MAX_LADDER]; /* ascending batch sizes */
    int n_ladder;
    size_t max_shapes;
    struct plan_limits limits;
    bool warm; /* the plans of the ladder are built */
};

/* Do data decide what is computed? */
static inline bool
model_is_staged(const struct model *m)
{
    return m->stages.n > 1;
}

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

/*
 * Fills n elements: floats from [0, 1), integers 0 or 1, which are valid
 * indices of almost any table.
 */
void batch_make_up(void *data, enum dtype t, size_t n, uint32_t seed);

#endif
