/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real arithmetic behind a sum, in the order in which oneDNN 2.x computes it.
 *
 * Output scales multiply the accumulator with the bias already in it, and the
 * posts come after them, so quantized arithmetic has to be brought to that
 * order.  Each value in the chain is kept in some unit u (real = u * value):
 * the first unit goes into the output scales, operators that commute with a
 * change of unit (Relu, Clip with its bounds changed, sum) stay in it, others
 * get a linear step before them that brings the unit they need; the last unit
 * is the scale of the destination.  With Relu and residual sum, that is all of
 * ResNet, there is no extra step at all.
 *
 * oneDNN 2.6.3 keeps one generator for each algorithm in a chain, so that a
 * second step of the same algorithm runs with the parameters of the first
 * (measured on every convolution kernel, AVX2 to AVX-512: Clip(-3,3),
 * Clip(-1,2) gives Clip(-3,3) twice).  Steps that would be hit are said
 * differently here, a linear one as product and sum with constants, or refused.
 */
#ifndef ENGINE_DNN_PRIM2_CHAIN_H
#define ENGINE_DNN_PRIM2_CHAIN_H

#include <dnnl.h>

#include "engine/dnn/prim.h"

/* A post takes three links at most, one that is said differently two. */
enum { MAX_CHAIN = 2 * (3 * PRIM_MAX_POSTS + 1) };

/* One oneDNN post-op. */
struct link {
    enum { LINK_ELTWISE, LINK_SUM, LINK_BINARY } kind;
    dnnl_alg_kind_t alg;
    float scale, alpha, beta;
    int32_t zero;
    const struct prim_tensor *other;
    int post; /* LINK_BINARY: index in prim_math.post, or -1: with constant */
    float constant;
};

struct chain {
    struct link at[MAX_CHAIN];
    int n;
    float first; /* unit that the output scales bring */
    float unit;  /* unit of the value after the last link */
};

/*
 * The post-ops of m, and the unit that its output scales have to bring.
 * Fails: ERR_UNSUPPORTED when oneDNN has no such step.
 */
int chain_make(struct chain *c, const struct prim_math *m, struct err *e);

/* The eltwise step of a unary operator; false when there is none. */
bool chain_unary(enum op op, float alpha, float beta, struct link *l);

#endif
