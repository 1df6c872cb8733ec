/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_RUN_LAYOUT_H
#define ENGINE_RUN_LAYOUT_H

#include "engine/ir/graph.h"
#include "engine/ir/kernel.h"

/*
 * Chooses a layout for every value and puts a Reorder node wherever a kernel
 * gets another one than it takes.  Graph inputs and outputs are plain.
 *
 * kernels: one for each node, by id; on return one for each node of the graph
 *          as it is then, in a new array (mem_free), the old one freed.
 * Fails:   ERR_INTERNAL when no kernel reorders such a type.
 */
int layout_assign(struct graph *g, const struct kernel ***kernels,
                  const struct kernel *(*choose)(const struct graph *g,
                                                 const struct node *n),
                  struct err *e);

#endif
