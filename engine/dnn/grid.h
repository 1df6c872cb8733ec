/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The elements of an output and of its operands, broadcast to it, as few long
 * rows: axes in the order in which the output lies in memory, neighbours that
 * every tensor walks alike made one.
 */
#ifndef ENGINE_DNN_GRID_H
#define ENGINE_DNN_GRID_H

#include "engine/ir/graph.h"

enum { GRID_MAX = 3 }; /* tensors: the output is number 0 */

/*
 * A row may be several short ones that an operand (one number a channel)
 * accompanies from the beginning each time: that operand has a period, the
 * number of its elements, and rows are cut between periods only.
 */
struct grid {
    int n, rank;
    int64_t dim[SHAPE_MAX_RANK];
    int64_t stride[GRID_MAX][SHAPE_MAX_RANK]; /* in elements */
    int64_t period[GRID_MAX];                 /* in the last axis; 0: none */
};

enum { GRID_MAX_PERIOD = 512 }; /* longer rows need no such help */

/* Layouts are chosen; in: n_in < GRID_MAX operands that broadcast to y. */
void grid_make(struct grid *g, const struct value *y,
               const struct value *const *in, int n_in);

/*
 * Calls row(arg, at, step, n) for pieces of rows: n elements, of which tensor
 * k's begin at at[k] and lie step[k] apart (step[0] is 1), or repeat after
 * period[k].  Uses the team of threads when there is work for it.
 */
void grid_each(const struct grid *g,
               void (*row)(void *arg, const int64_t *at, const int64_t *step,
                           int64_t n),
               void *arg);

/* Calls part(arg, i) for i in [0, n), each worth `cost` elements of work. */
void grid_split(int64_t n, int64_t cost, void (*part)(void *arg, int64_t i),
                void *arg);

#endif
