/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kinds of convolution share: conv.c, which leaves all to a primitive,
 * and conv_int.c, which takes its sums.
 */
#ifndef ENGINE_DNN_CONV_H
#define ENGINE_DNN_CONV_H

#include "engine/dnn/prim.h"
#include "engine/ir/graph.h"

/*
 * Tensors and windows of convolution n with weights w and output y, types as
 * the values have them but for uint8 weights, which are shifted when packed.
 */
int conv_shape(const struct graph *g, const struct node *n,
               const struct value *w, const struct value *y,
               struct prim_conv *c, struct err *e);

#endif
