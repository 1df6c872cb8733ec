/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to a graph that make it QDQ: constants as int8 behind
 * DequantizeLinear, tensors through a QuantizeLinear-DequantizeLinear pair.
 * New names are those of the tensor with an ending, made unique.
 *
 * Nodes are added at the end, so that those there are keep their places: once
 * done, graph_sort() brings the graph into run order.
 */
#ifndef QUANT_REWRITE_H
#define QUANT_REWRITE_H

#include "engine/ir/graph.h"
#include "quant/range.h"
#include "quant/weight.h"

/*
 * Adds the int8 of w, behind DequantizeLinear; nobody reads it yet.
 * id:    the constant that w was made of, for names and shape.
 * axis:  of the channels, -1: one scale.
 * real:  out, the dequantized value.
 * Fails: ERR_NO_MEMORY.
 */
int rewrite_weight(struct graph *g, int id, int axis, const struct weight *w,
                   int *real, struct err *e);

/*
 * Sends value id through a Q/DQ pair.
 * follow: does node i read what comes out?  Graph outputs keep reading the
 *         value itself.
 * Fails:  ERR_NO_MEMORY.
 */
int rewrite_tensor(struct graph *g, int id, struct range_u8 q,
                   bool (*follow)(void *arg, int id, size_t node), void *arg,
                   struct err *e);

#endif
