/* SPDX-License-Identifier: Apache-2.0 */
/* Is a model quantized before anybody here touches it, and how? */
#ifndef QUANT_ALREADY_H
#define QUANT_ALREADY_H

#include "engine/ir/graph.h"

enum already {
    ALREADY_NOT,
    ALREADY_STATIC,  /* QuantizeLinear or DequantizeLinear */
    ALREADY_DYNAMIC, /* its scales of activations are found as it runs */
};

/*
 * Looks through g as it was read, and the graphs within its nodes.
 *
 * node: out; one that says so, NULL when none does.
 */
enum already already_quantized(const struct graph *g, const struct node **node);

/* What a variant of that kind is called: "fp32", "int8-qat", "int8-dynamic". */
const char *already_variant(enum already a);

#endif
