/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels that put elements to other places and change none: each is one or
 * more walks that copy, with strides that say where an element comes from.
 */
#ifndef ENGINE_OPS_MOVE_H
#define ENGINE_OPS_MOVE_H

#include "engine/ir/kernel.h"
#include "engine/ops/walk.h"

/* One copy: from and to are bytes from the start of input `in`, output `out`.
 */
struct move {
    struct walk walk; /* of two operands: to, from */
    int in, out;
    int64_t from, to;
};

struct moves {
    size_t size; /* of an element */
    int n;
    struct move at[];
};

/* s->own for n moves of elements of type t; NULL with *e set. */
struct moves *moves_new(struct step *s, int n, enum dtype t, struct err *e);

/* Over dims: place i of an axis goes to i * to[axis] from i * from[axis]. */
void move_set(struct move *m, const struct shape *dims, const int64_t *to,
              const int64_t *from, size_t size);

/* The `run` of kernels whose s->own is a struct moves. */
int moves_run(const struct step *s, void *const *io, void *scratch, void *state,
              struct err *e);

#endif
