/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the node FusedAttention computes, for each index of the leading axes:
 *
 *     y = softmax(mask(scale * q k')) v
 *
 * q [rows,depth], k [cols,depth], v [cols,width], y [rows,width]; mask() is a
 * few elementwise steps.  Every operand is a view: where an element lies in a
 * tensor is an offset and a stride for each axis, so that transposes, splits
 * and slices before it, and a transpose behind it, are not done.
 */
#ifndef ENGINE_IR_ATTENTION_H
#define ENGINE_IR_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/ir/op.h"
#include "engine/ir/shape.h"

enum { ATTENTION_MAX_MASKS = 3 };

/* In elements; the leading axes, then the two of the matrix. */
struct attention_view {
    int64_t offset;
    int64_t stride[SHAPE_MAX_RANK];
};

/*
 * One step of mask(), with input 3 + i of the node: ADD, SUB, MUL; or WHERE,
 * whose input is a bool and which puts `fill` where that is not `keep`.
 */
struct attention_mask {
    enum op op;
    bool keep;
    float fill;
    struct attention_view at;
};

struct attention {
    int n_lead;
    int64_t lead[SHAPE_MAX_RANK];
    int64_t rows, cols, depth, width;
    struct attention_view q, k, v, y;
    float scale;
    int n_masks;
    struct attention_mask mask[ATTENTION_MAX_MASKS];
    struct shape shape; /* of the output as a tensor */
};

/* Where the matrix of leading index `unit` (row-major) begins in the view. */
int64_t attention_at(const struct attention *a, const struct attention_view *v,
                     int64_t unit);

/* How many leading indices there are. */
int64_t attention_units(const struct attention *a);

#endif
