/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear and DequantizeLinear nodes as the joining passes see them,
 * and the passes themselves, in the order in which dnn_join() runs them.
 */
#ifndef ENGINE_DNN_PAIR_H
#define ENGINE_DNN_PAIR_H

#include "engine/ir/graph.h"

/*
 * Scale and zero point of a Q or DQ node, in g's arena; NULL when they are no
 * constants, or no finite positive scales along one axis.
 */
const struct qparam *pair_qparam(struct graph *g, const struct node *n);

/* The DequantizeLinear of an 8-bit or int32 tensor that makes value id. */
struct node *pair_dequantize(struct graph *g, int id);

/* The QuantizeLinear that is the only reader of value id, or NULL. */
struct node *pair_quantize(struct graph *g, int id);

bool pair_same(const struct qparam *a, const struct qparam *b);

/* Of QuantizeLinear nodes that say the same of one value only one stays. */
void pair_merge(struct graph *g);

/*
 * DequantizeLinear moves behind operators that only move elements, which then
 * move integers: DQ -> Reshape becomes Reshape -> DQ.  The numbers stay.
 */
void pair_sink(struct graph *g);

/*
 * A uint8 second factor of MatMul that is no constant becomes int8, 128 less,
 * which is what the primitives take; the numbers stay.
 */
int pair_signed(struct graph *g, struct err *e);

/* DQ -> Q is nothing, or an Identity from one scale to another. */
void pair_cancel(struct graph *g);

#endif
