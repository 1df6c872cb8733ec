/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a model runs in int8, and how: counted over its steps.
 */
#ifndef QUANT_COVERAGE_H
#define QUANT_COVERAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

enum { COVERAGE_OPS = 16 };

struct coverage {
    struct {
        char op[32];
        int n, n_int8;
    } ops[COVERAGE_OPS]; /* operators with weights, as they appear */
    int n_ops;
    int n_layers, n_int8; /* of these operators together */
    int n_steps;
    int n_plain; /* steps run by plain C kernels */
    int n_ref;   /* by oneDNN's reference code, which is slow */
};

/* Operators whose weights and multiplications quantizing is about. */
bool coverage_is_layer(const char *op);

bool coverage_is_int8(const struct model_step *s);

void coverage_add(struct coverage *c, const struct model_step *s);

/* "48 of 52 Conv in int8; 1 of 1 Gemm in int8" into text; returns text. */
const char *coverage_text(const struct coverage *c, char *text, size_t size);

#endif
