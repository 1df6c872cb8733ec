/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/already.h"

#include <stddef.h>

static enum already
kind_of(const struct node *n)
{
    switch (n->op) {
    case OP_DYNAMIC_QUANTIZE_LINEAR:
    case OP_MATMUL_INTEGER:
    case OP_CONV_INTEGER:
        return ALREADY_DYNAMIC;
    case OP_QUANTIZE_LINEAR:
    case OP_DEQUANTIZE_LINEAR:
        return ALREADY_STATIC;
    default:
        return ALREADY_NOT;
    }
}

/* Quantizing as it runs is the stronger word, but for a file that says so of
 * its weights: see META_DYNAMIC. */
static void
look(const struct graph *g, enum already *a, const struct node **node)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];
        enum already kind = n->dead ? ALREADY_NOT : kind_of(n);

        if (kind > *a) {
            *a = kind;
            *node = n;
        }
        for (int k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].type == ATTR_GRAPH)
                look(n->attrs[k].graph, a, node);
    }
}

enum already
already_quantized(const struct graph *g, const struct node **node)
{
    enum already a = ALREADY_NOT;

    *node = NULL;
    look(g, &a, node);
    if (a == ALREADY_STATIC && graph_meta(g, META_DYNAMIC) != NULL)
        return ALREADY_DYNAMIC;
    return a;
}

const char *
already_variant(enum already a)
{
    static const char *const names[] = {
        [ALREADY_NOT] = "fp32",
        [ALREADY_STATIC] = "int8-qat",
        [ALREADY_DYNAMIC] = "int8-dynamic",
    };

    return names[a];
}
