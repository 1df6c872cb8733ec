/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element type and rank of values, as far as an upgrade needs them: a bound
 * that was an attribute becomes a constant of the type of the tensor, and the
 * old Softmax is the new one when its axis is the last.  Lengths of lists are
 * followed because one of them is the rank that Reshape makes.  Not knowing is
 * always allowed.
 */
#ifndef ENGINE_ONNX_FACTS_H
#define ENGINE_ONNX_FACTS_H

#include "engine/ir/graph.h"

struct fact {
    enum dtype dtype; /* DTYPE_NONE: not known */
    int rank;         /* SHAPE_UNKNOWN: not known */
    int length;       /* of a list (rank 1); SHAPE_UNKNOWN: not known */
};

#define FACT_NONE ((struct fact){DTYPE_NONE, SHAPE_UNKNOWN, SHAPE_UNKNOWN})

struct facts {
    VEC(struct fact) all; /* by value id */
    VEC(int) four_bits;   /* constants of 4-bit types, bytes by now */
};

struct fact facts_get(const struct facts *f, const struct graph *g, int id);

/* Notes what is known in it; what was known before and isn't stays. */
void facts_set(struct facts *f, int id, struct fact fact);

/* Is id a constant whose type has 4 bits in the file? */
bool facts_has_four_bits(const struct facts *f, int id);

/* Notes what follows for the outputs of n from what is known of its inputs. */
void facts_follow(struct facts *f, const struct graph *g, const struct node *n);

void facts_free(struct facts *f);

#endif
