/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs at the edge: all zero, all as dark or as bright as any that was seen,
 * far beyond that.  A quantized model must answer them with numbers, too: an
 * all-zero row has no scale of its own, and a range that is left saturates.
 */
#ifndef QUANT_PROBE_H
#define QUANT_PROBE_H

#include <stdint.h>

#include "engine/engine.h"
#include "quant/seen.h"

struct probe_result {
    int n;                                         /* inputs tried */
    int64_t baseline_nonfinite, variant_nonfinite; /* elements put out */
    const char *worst; /* the first with more in the variant; or NULL */
};

/*
 * Runs both models on each edge.
 *
 * shapes: one an input; seen: where the range of floats is taken from, or
 *         NULL: then it is -1 to 1.  Integers are 0 (they may be indices).
 * Fails:  as session_new(), session_shape() and session_run() do.
 */
int probe_run(struct model *baseline, struct model *variant,
              const struct shape *shapes, const struct seen *seen,
              struct probe_result *out, struct err *e);

#endif
