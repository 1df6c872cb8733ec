/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights as int8: symmetric (zero is 0, so that the kernels need no
 * correction), one scale a channel or one for the tensor.
 */
#ifndef QUANT_WEIGHT_H
#define QUANT_WEIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/ir/graph.h"

struct weight_spec {
    int axis;    /* of the channels; -1: one scale for the tensor */
    bool reduce; /* keep to [-64, 64] */
};

struct weight {
    int n_scales;
    float *scale; /* in the arena, normal numbers > 0; 1 for a dead channel */
    int8_t *q;    /* in the arena, row-major as the floats */
    float min, max;
    double sqnr_db; /* INFINITY when exact */
};

/* False when any of the n floats is NaN or infinite. */
bool weight_finite(const float *w, size_t n);

/*
 * w:     constant floats, all finite.
 * Fails: ERR_NO_MEMORY.
 */
int weight_quantize(const struct value *w, const struct weight_spec *spec,
                    struct arena *arena, struct weight *out, struct err *e);

#endif
