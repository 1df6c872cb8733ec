/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graph to better graph, the numbers kept.  One file a pass.
 * graph_simplify() of engine.h is the list of those whose result is ONNX.
 */
#ifndef ENGINE_PASS_PASS_H
#define ENGINE_PASS_PASS_H

#include "engine/ir/graph.h"

/*
 * Makes every type and shape known, input shapes being known, and computes
 * what depends on shapes and constants only.  DequantizeLinear of a constant
 * stays: dnn/ wants to see it.
 */
int pass_shapes(struct graph *g, struct err *e);

/*
 * Joins activations and residual Adds to the Conv, Gemm, MatMul before them
 * (node.posts).  Shapes are known.
 */
int pass_fuse(struct graph *g, struct err *e);

#endif
