/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer with weights: its constant becomes int8, its line in the result
 * is written.  Both recipes do this; they differ in activations.
 */
#ifndef QUANT_LAYER_H
#define QUANT_LAYER_H

#include "quant/sites.h"
#include "quant/weight.h"

/* Layers that share one constant share its int8 form. */
struct layer_shared {
    int value, axis; /* the constant, the axis of its channels */
    int real;        /* what DequantizeLinear makes of it */
    size_t layer;    /* its line in the result */
};

struct layers {
    struct graph *g; /* being rewritten */
    const struct quant_options *options;
    struct quant_result *result;
    VEC(struct layer_shared) shared;
};

/* Begins g's rewriting as a copy of `from`, and *r. */
void layers_init(struct layers *l, const struct graph *from,
                 const struct quant_options *o, struct quant_result *r);

/*
 * Appends node i, a layer, to the result; with a precision other than
 * QUANT_FLOAT its weights are quantized first.
 * reason: why it is not QUANT_INT8 or QUANT_DYNAMIC, or NULL; lives forever.
 * Fails:  ERR_NO_MEMORY.
 */
int layers_add(struct layers *l, size_t i, enum quant_precision precision,
               const char *reason, struct err *e);

/*
 * Ends the rewriting: sorts the graph and gives it out, or with rc != 0 frees
 * graph and result and returns rc.
 */
int layers_end(struct layers *l, int rc, struct graph **out, struct err *e);

/* Adds a line to the warnings. */
void result_warn(struct quant_result *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Warns of exclude patterns that match no layer of the result. */
void result_warn_unmatched(struct quant_result *r,
                           const struct quant_options *o,
                           const struct graph *g);

const char *result_string(struct quant_result *r, const char *s);

#endif
