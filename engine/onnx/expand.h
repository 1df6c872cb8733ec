/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator of a file, written as several of ours.  The nodes are added in
 * the order in which they run; the file's node becomes the last of them, so
 * that it keeps its name and its first output:
 *
 *     expand_begin(&x, u, node);
 *     sum = expand_op2(&x, OP_ADD, expand_in(&x, 0), expand_in(&x, 1));
 *     return expand_end(&x, OP_GELU, &sum, 1, e);
 *
 * What a rule needs of a shape is taken from nodes (Shape, Slice): these are
 * computed once for each plan.
 */
#ifndef ENGINE_ONNX_EXPAND_H
#define ENGINE_ONNX_EXPAND_H

#include "engine/onnx/rewrite.h"

struct expand {
    struct upgrade *u;
    int node;
    int n_in, n_out;
    const int *in, *out; /* as the file has them */
    enum dtype type;     /* of expand_number()'s constants */
    bool short_of_memory;
};

/* Numbers have the type of the node's first input of a float type. */
void expand_begin(struct expand *x, struct upgrade *u, int node);

/* The file's input i, or -1. */
int expand_in(const struct expand *x, int i);

/* --- constants ---------------------------------------------------------- */

int expand_number(struct expand *x, const char *what, float v);
int expand_ints(struct expand *x, const char *what, const int64_t *v, int n);

/* A scalar integer (an index), not a list of one. */
int expand_index(struct expand *x, const char *what, int64_t v);

/* --- nodes: what they return is the value they make --------------------- */

int expand_op(struct expand *x, enum op op, const int *in, int n_in);
int expand_op1(struct expand *x, enum op op, int a);
int expand_op2(struct expand *x, enum op op, int a, int b);

/* The node added last: to set attributes of. */
struct node *expand_last(struct expand *x);

int expand_cast(struct expand *x, int a, enum dtype to);
int expand_reshape(struct expand *x, int a, const int64_t *dims, int n);
int expand_transpose(struct expand *x, int a, const int64_t *perm, int n);
int expand_unsqueeze(struct expand *x, int a, const int64_t *axes, int n);
int expand_concat(struct expand *x, const int *in, int n, int axis);

/* Elements from..to-1 along axis; from and to are values of one integer. */
int expand_slice(struct expand *x, int a, int from, int to, int64_t axis);

/* How long axis of a is: a list of one. */
int expand_dim(struct expand *x, int a, int64_t axis);

/* --- the end ------------------------------------------------------------ */

/* The file's output i (if it has it) is value a. */
void expand_give(struct expand *x, int i, int a);

/*
 * The file's node becomes op, makes the file's first output, and has no
 * attributes.  Outputs that were not given are made by nobody.
 * Fails: ERR_NO_MEMORY, also for all that was added before.
 */
int expand_end(struct expand *x, enum op op, const int *in, int n_in,
               struct err *e);

#endif
