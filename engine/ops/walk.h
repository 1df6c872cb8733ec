/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking several tensors at once, each by its own strides: broadcasting is
 * a stride of 0, a layout is an order of strides, a slice or a transposition
 * is other strides.  Everything that only moves or pairs elements is a walk
 * and what is done to one row of it.
 */
#ifndef ENGINE_OPS_WALK_H
#define ENGINE_OPS_WALK_H

#include "engine/ir/graph.h"

enum {
    WALK_RANK = 2 * SHAPE_MAX_RANK, /* Tile splits each axis in two */
    WALK_OPERANDS = 4,
};

struct walk {
    int rank, n;
    int64_t dim[WALK_RANK];
    int64_t stride[WALK_OPERANDS][WALK_RANK]; /* in bytes */
};

/* n elements; operand k's next one lies step[k] bytes behind p[k]. */
typedef void walk_row(void *arg, int64_t n, char *const *p,
                      const int64_t *step);

/* Over these dimensions, with no operand yet. */
void walk_begin(struct walk *w, const struct shape *over);

/* Adds an operand that is broadcast to the walk's dimensions (numpy). */
void walk_add(struct walk *w, const struct value *v);

/* Adds one with strides (of w->rank dimensions) in elements. */
void walk_add_strides(struct walk *w, const int64_t *stride, size_t size);

/*
 * Puts the axes into the order of the first operand's memory and joins those
 * that are one run in every operand, so that rows become long.
 */
void walk_end(struct walk *w);

/* Calls row for every row. */
void walk_run(const struct walk *w, char *const *base, walk_row *row,
              void *arg);

/* Two operands of elements of this size: the first becomes the second. */
void walk_copy(const struct walk *w, void *to, const void *from, size_t size);

#endif
