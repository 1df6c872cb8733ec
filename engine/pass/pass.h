/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graph to better graph, the numbers kept.  One file a pass.
 *
 * The passes of the first group make ONNX out of ONNX and know no shapes but
 * those of constants; graph_simplify() of engine.h is their list.  Those of
 * the second work on a plan's copy, in which input shapes are known, and make
 * what only exists in memory.
 */
#ifndef ENGINE_PASS_PASS_H
#define ENGINE_PASS_PASS_H

#include "engine/ir/graph.h"

/*
 * float16 and bfloat16 become float32, everywhere but at the model's inputs
 * and outputs, where a Cast stands: no pass and no kernel behind this one sees
 * a half type elsewhere than at a Cast.
 */
int pass_half(struct graph *g, struct err *e);

/*
 * The same for a graph within a node: its inputs and outputs change, too, and
 * no Cast stands there, as the values around it are float32 by then.
 * pass_half() calls it for all that it finds in ATTR_GRAPH attributes.
 */
int pass_half_body(struct graph *g, struct err *e);

/* Nodes all of whose inputs are constants become constants. */
int pass_constants(struct graph *g, struct err *e);

/*
 * If node i is an If whose condition is a constant, puts the branch in its
 * place, behind it; the node is dead then.  unique: names of values must stay
 * unique (g may be written).  Returns whether it was.
 */
bool pass_inline(struct graph *g, size_t i, bool unique);

/* Bodies of If, Loop, Scan get what is constant, and are simplified. */
int pass_bodies(struct graph *g, struct err *e);

/* Transpose and Reshape move from behind DequantizeLinear of a constant into
 * the constant. */
int pass_weights(struct graph *g, struct err *e);

/* Identity nodes, and Casts to the type that a value is known to have, go:
 * their readers read what they read. */
int pass_identity(struct graph *g, struct err *e);

/* BatchNormalization and constants that are added to, or multiplied with, the
 * channels of a Conv or ConvTranspose go into its weights and bias. */
int pass_affine(struct graph *g, struct err *e);

/* ConvTranspose with a kernel as large as its stride becomes Conv and
 * DepthToSpace. */
int pass_deconv(struct graph *g, struct err *e);

/* In dynamically quantized files, q, k and v come from one product. */
int pass_merge(struct graph *g, struct err *e);

/* x * clip(x + 3, 0, 6) / 6 and x * hardsigmoid(x) become HardSwish. */
int pass_hardswish(struct graph *g, struct err *e);

/*
 * Makes every type and shape known, input shapes being known, and computes
 * what depends on shapes and constants only.  DequantizeLinear of 8-bit
 * constants stays: dnn/ wants to see it.
 */
int pass_shapes(struct graph *g, struct err *e);

/*
 * What a plan's graph goes through once its shapes are known: the passes
 * below, in their order.
 */
int pass_plan(struct graph *g, struct err *e);

/* Cast to the type of its input goes. */
int pass_cast(struct graph *g, struct err *e);

/* Elementwise operators broadcast what Expand would have written out. */
int pass_expand(struct graph *g, struct err *e);

/* Softmax between two reshapes that change nothing for it loses them. */
int pass_unwrap(struct graph *g, struct err *e);

/* softmax(Q K') V with its scale and masks becomes FusedAttention. */
int pass_attention(struct graph *g, struct err *e);

/* ReduceMean over all spatial axes becomes GlobalAveragePool. */
int pass_mean(struct graph *g, struct err *e);

/* Gelu and Mish written as several nodes become one.  Shapes are known. */
int pass_compound(struct graph *g, struct err *e);

/* So does LayerNormalization. */
int pass_layer_norm(struct graph *g, struct err *e);

/* MatMulInteger and ConvInteger whose sums are made real by the next nodes
 * become one node with those. */
int pass_integer(struct graph *g, struct err *e);

/*
 * Joins activations and residual Adds to the Conv, Gemm, MatMul before them
 * (node.posts).  Shapes are known.
 */
int pass_fuse(struct graph *g, struct err *e);

/* --- what the passes share ---------------------------------------------- */

/* The one float32 number of a constant of one element; false otherwise. */
bool pass_scalar(const struct value *v, float *out);

/*
 * True when c is `want` but for the last digits that exporters lose, or what a
 * half type holds of it: constants of float16 files were widened.
 */
bool pass_near(float c, float want);

/* The only reader of n's only output, if it is a node; else NULL. */
struct node *pass_reader(const struct graph *g, const struct node *n);

#endif
