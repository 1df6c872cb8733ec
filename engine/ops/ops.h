/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each operator means: its shape rule and a plain C kernel, written to be
 * read against the ONNX text.  The kernels are the oracle of every faster one.
 */
#ifndef ENGINE_OPS_OPS_H
#define ENGINE_OPS_OPS_H

#include "engine/ir/graph.h"
#include "engine/ir/kernel.h"

/* Every operator has at least one; ended by NULL. */
extern const struct kernel *const ops_kernels[];

/*
 * The kernel of this room for n, or NULL: it runs no node with joined Q/DQ,
 * and posts only behind Conv, ConvTranspose, Gemm and MatMul.
 */
const struct kernel *ops_find(const struct graph *g, const struct node *n);

/*
 * Sets type and shape of n's outputs from its inputs, whose types and shapes
 * are known.  Inputs that decide a shape (Reshape's second) must be constants.
 * Fails: ERR_INVALID when the inputs contradict the operator (named with the
 *        node), ERR_UNSUPPORTED for a type or attribute it does not do, or
 *        when the output's shape depends on data not known before the run.
 */
int ops_infer(struct graph *g, struct node *n, struct err *e);

/*
 * Bit i is set where the values of input i decide the shape of an output: such
 * an input must be a constant for ops_infer().
 */
unsigned ops_deciding_inputs(enum op op);

/*
 * Computes n, all of whose inputs are constants (Shape and Size need only a
 * known shape), and makes its outputs constants in g's arena.  ops_infer()
 * has been called.
 * Fails: ERR_NO_MEMORY, and as the kernel does.
 */
int ops_eval(struct graph *g, struct node *n, struct err *e);

/*
 * About how many steps it takes to compute n, whose shapes are known: elements
 * moved, products summed.
 */
double ops_work(const struct graph *g, const struct node *n);

#endif
