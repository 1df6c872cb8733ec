/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs fast: oneDNN primitives and a few kernels of our own.  The only
 * room that sees oneDNN and OpenMP.
 */
#ifndef ENGINE_DNN_DNN_H
#define ENGINE_DNN_DNN_H

#include "engine/ir/graph.h"
#include "engine/ir/kernel.h"

/* The kernels that compute products of bytes as floats. */
#define DNN_WIDE "dnn.wide"

/* Ended by NULL. */
extern const struct kernel *const dnn_kernels[];

/*
 * Joins DequantizeLinear and QuantizeLinear to the operator between them
 * (node.in_q, node.out_q) wherever a kernel of this room then runs the whole
 * as one integer primitive; writes node.note where it does not.  Shapes are
 * known, pass_fuse() has run.  A DequantizeLinear of a constant that is left
 * becomes a float constant, whose bytes lie in w.
 */
int dnn_join(struct graph *g, struct weights *w, struct err *e);

const char *dnn_isa(void);
const char *dnn_version_text(void);
bool dnn_has_vnni(void);

/*
 * Threads that kernels use when the calling thread prepares or runs them; both
 * must have set the same number, as a primitive keeps the one it was built
 * for.  Whether idle threads of the team spin is read from the environment
 * (OMP_WAIT_POLICY=passive) when the program is loaded, so a program that
 * wants a say has to set it and execute itself again.
 */
void dnn_set_threads(int n);

#endif
