/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a graph is run at one set of input shapes: kernels in order, and a place
 * in the arena for every value.  Never changed once built; sessions share it.
 */
#ifndef ENGINE_RUN_PLAN_H
#define ENGINE_RUN_PLAN_H

#include "engine/ir/graph.h"
#include "engine/ir/kernel.h"

struct plan {
    int refs; /* guarded by the model's lock */
    struct graph *graph;
    struct step *steps;
    size_t n_steps;
    size_t arena_bytes, scratch_bytes;
    size_t *offset;    /* by value id; PLAN_NOWHERE for constants */
    struct tensor *in; /* one a graph input: what it was built for */
    double work;       /* of a run, as ops_work() counts */
};

/* What a run may take besides the weights. */
struct plan_limits {
    size_t bytes; /* of arena and scratch */
    double work;  /* as ops_work() counts it */
};

#define PLAN_NOWHERE ((size_t)-1)

/*
 * in:        one a graph input: type and shape, known; data where the plan is
 *            for these very numbers (few: they decide shapes), else NULL.
 * w:         where packed weights are kept; it must outlive the plan, and so
 *            must g, whose constants the plan borrows.
 * Fails:     ERR_INVALID, ERR_UNSUPPORTED (shapes that do not fit the graph,
 *            no kernel for a type), ERR_TOO_LARGE, ERR_NO_MEMORY,
 *            ERR_INTERNAL.
 */
int plan_build(const struct graph *g, const struct tensor *in,
               struct weights *w, const struct plan_limits *limits,
               struct plan **out, struct err *e);

void plan_free(struct plan **p);

/* Was it built for such inputs? */
bool plan_is_for(const struct plan *p, const struct tensor *in);

/*
 * A copy of g, the caller's, in which every shape is known: cheap, without
 * kernels.  Values keep their ids.
 */
int plan_shapes(const struct graph *g, const struct shape *in_shapes,
                struct graph **out, struct err *e);

/* Only the shapes of the outputs. */
int plan_output_shapes(const struct graph *g, const struct shape *in_shapes,
                       struct shape *out, struct err *e);

/* The address of value id, given the arena. */
static inline void *
plan_address(const struct plan *p, int id, void *arena)
{
    const struct value *v = &p->graph->values.at[id];

    return v->data != NULL ? (void *)v->data
                           : (unsigned char *)arena + p->offset[id];
}

#endif
