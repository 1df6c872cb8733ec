/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plans of one graph with one session's memory.  For each plan that it has
 * met a runner keeps the kernels bound to its arena; the arena is as large as
 * the largest of these plans needs, and when it must grow the bindings are
 * made anew.
 */
#ifndef ENGINE_RUN_RUNNER_H
#define ENGINE_RUN_RUNNER_H

#include "engine/run/plans.h"

struct runner;

/* What a session, with the sessions of the bodies within it, may use. */
struct quota {
    size_t bytes, max_bytes; /* memory held; the limit */
    double work, max_work;   /* of this run, as ops_work() counts; the limit */
};

/*
 * Takes n more bytes of memory.
 * Fails: ERR_TOO_LARGE when there are not so many.
 */
int quota_take(struct quota *q, size_t n, struct err *e);
void quota_give(struct quota *q, size_t n);

/* Counts what the run is about to do.  Fails: ERR_TOO_LARGE. */
int quota_work(struct quota *q, double work, struct err *e);

/*
 * plans, q:   borrowed.
 * max_bounds: plans kept bound.
 */
struct runner *runner_new(struct plans *plans, size_t max_bounds,
                          struct quota *q);
void runner_free(struct runner **r);

/* Are its kernels bound for such inputs already? */
bool runner_seen(const struct runner *r, const struct tensor *in);

/*
 * Makes it ready for these inputs (see plan_build()): finds or builds the
 * plan, has the memory.  Buffers of inputs and outputs may move.
 */
int runner_shape(struct runner *r, const struct tensor *in, struct err *e);

/* Where input i is to be written. */
void *runner_input(struct runner *r, int i);

/*
 * Computes.
 * ns: NULL, or what each of the first n_ns steps takes is added there.
 */
int runner_run(struct runner *r, unsigned long *ns, size_t n_ns, struct err *e);

/* Output i of the last run, until the next runner_shape() or _run(). */
const struct tensor *runner_output(const struct runner *r, int i);

/* The plan it is shaped for, or NULL. */
const struct plan *runner_plan(const struct runner *r);

#endif
