/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Q/DQ pairs go: a question of the graph's structure only.
 *
 * A tensor is quantized when a layer with weights reads it, or when all who
 * read it only pass it on (pool, move, residual Add) to a tensor that is
 * quantized and its maker can write integers.  So integers flow from layer to
 * layer without a float in between, and what computes in float (Softmax,
 * LayerNormalization, the last layer's result) is fed with floats.
 */
#ifndef QUANT_SITES_H
#define QUANT_SITES_H

#include <stdbool.h>

#include "engine/ir/graph.h"
#include "quant/quant.h"

struct sites {
    const struct graph *g;
    bool *int8;          /* by node: works on integers */
    bool *quantized;     /* by value: becomes a Q/DQ pair */
    int *group;          /* by value: those of one number share scale and
                            zero point (see sites_group) */
    const char **reason; /* by node: why a layer with weights does not */

    /* By value: how often it is read (graph outputs count), and by which
     * nodes, if by one or two; -1 otherwise. */
    int *n_uses, (*reader)[2];
};

void sites_init(struct sites *p, const struct graph *g,
                const struct quant_options *o);
void sites_free(struct sites *p);

/*
 * Decides; again after the caller has cleared int8[] of a node.  Clearing
 * only ever takes tensors out of quantized[].
 */
void sites_solve(struct sites *p);

/* A node of the kinds that quantization is about. */
bool sites_is_layer(const struct node *n);

/* Axis of the weights (input 1) along which the output's channels lie. */
int sites_weight_axis(const struct graph *g, const struct node *n);

/* The value that stands for all with the same parameters as value id. */
int sites_group(const struct sites *p, int id);

/*
 * The value that n writes once the activation behind it is counted in: the
 * output itself when somebody else reads it too.
 */
int sites_result(const struct sites *p, const struct node *n);

/*
 * Do those who read value id and stay in float read its integers too?  Yes
 * where its maker writes nothing else; where the maker computes in float
 * anyway they keep the exact values.
 */
bool sites_floats_follow(const struct sites *p, int id);

/* Does name match one of the exclude patterns? */
bool sites_excluded(const struct quant_options *o, const char *name);

/* Sets *e to say why no layer can be quantized; returns ERR_UNSUPPORTED. */
int sites_nothing(const struct sites *p, const struct quant_options *o,
                  struct err *e);

#endif
