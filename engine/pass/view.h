/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value as elements of another one: what Transpose, Reshape, Split, Slice,
 * Expand and the like did to it, undone.
 */
#ifndef ENGINE_PASS_VIEW_H
#define ENGINE_PASS_VIEW_H

#include "engine/ir/graph.h"

struct view {
    int base;       /* value id */
    int64_t offset; /* of the first element, in elements of base */
    int64_t stride[SHAPE_MAX_RANK]; /* one an axis of the viewed value */
    float scale;                    /* its elements are these times scale */
};

/*
 * The view of value id, all shapes being known; in the worst case of itself.
 * scaled: multiplications by one constant number are looked through.
 */
void view_of(const struct graph *g, int id, bool scaled, struct view *v);

#endif
