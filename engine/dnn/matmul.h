/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two kinds of matmul share: matmul.c, whose scales are known when
 * the plan is made, and matmul_row.c, which finds a scale for each row.
 */
#ifndef ENGINE_DNN_MATMUL_H
#define ENGINE_DNN_MATMUL_H

#include "engine/dnn/call.h"
#include "engine/dnn/desc.h"

struct matmul_plan {
    struct prim_matmul mul;
    struct prim_math math;
    struct call call;
    float *scale, *bias; /* owned; math points to them */
    int first_post;      /* 1 when the bias is what the first post adds */
};

/* Shapes and strides of MatMul or Gemm n, types as its values have them. */
int matmul_shape(const struct graph *g, const struct node *n,
                 struct prim_matmul *m, struct err *e);

/* The axis of input 1 along which the output's columns lie. */
int matmul_column_axis(const struct graph *g, const struct node *n);

/* Finds the bias: Gemm's C or the first post, when that is a vector. */
int matmul_bias(const struct graph *g, const struct node *n,
                struct matmul_plan *p, struct err *e);

void matmul_drop(struct matmul_plan *p);

#endif
