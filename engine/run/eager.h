/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node run by itself, where data say how large its outputs are.
 */
#ifndef ENGINE_RUN_EAGER_H
#define ENGINE_RUN_EAGER_H

#include "engine/ir/graph.h"
#include "engine/run/runner.h"

/* What one such node has made; all zero: nothing yet. */
struct eager {
    struct graph *made;
    size_t bytes;
};

/*
 * Computes node n of g from now[], tensors by value id, and sets those of its
 * outputs; their bytes are those of r, or of an input, until the next call.
 * Fails: as ops_infer() and the kernel do; ERR_TOO_LARGE.
 */
int eager_run(struct eager *r, const struct graph *g, const struct node *n,
              struct tensor *now, struct quota *q, struct err *e);

void eager_free(struct eager *r, struct quota *q);

#endif
