/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_IR_SHAPE_H
#define ENGINE_IR_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/ir/dtype.h"

enum { SHAPE_MAX_RANK = 8, SHAPE_TEXT = 160 };

/*
 * rank 0 is a scalar, SHAPE_UNKNOWN a shape not known yet; a dimension of
 * SHAPE_DYNAMIC is known only when the graph runs.
 */
struct shape {
    int rank;
    int64_t dim[SHAPE_MAX_RANK]; /* row-major, outermost first */
};

enum { SHAPE_UNKNOWN = -1, SHAPE_DYNAMIC = -1 };

#define SHAPE(...)                                                             \
    ((struct shape){                                                           \
        .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),     \
        .dim = {__VA_ARGS__}})

/* True when the rank and every dimension are known. */
bool shape_known(const struct shape *s);

bool shape_equal(const struct shape *a, const struct shape *b);

/*
 * Number of elements of a known shape (1 for a scalar, 0 with an empty axis).
 * Fails: ERR_INVALID when a dimension is negative or the product, or eight
 * times it, does not fit: so no element type can overflow a byte count.
 */
int shape_count(const struct shape *s, size_t *n, struct err *e);

/* Product of dim[from..to); for shapes that shape_count() has accepted. */
int64_t shape_span(const struct shape *s, int from, int to);

/* Elements of a shape that shape_count() has accepted. */
size_t shape_n(const struct shape *s);

/*
 * The same with empty axes counted as one: a loop over the axes outside of an
 * empty one still goes round.
 */
size_t shape_rounds(const struct shape *s);

/* "[1,3,?,224]" into text; returns text. */
const char *shape_text(const struct shape *s, char text[SHAPE_TEXT]);

/*
 * The shape two tensors broadcast to.
 *
 * a, b:  known; ranks may differ.
 * out:   set only on success; may alias a or b.
 * Fails: ERR_INVALID when a pair of dimensions differs and neither is 1.
 * Spec:  ONNX Broadcasting.md, multidirectional.
 */
int shape_broadcast(const struct shape *a, const struct shape *b,
                    struct shape *out, struct err *e);

/*
 * axis counted from the end when negative, brought to 0 <= axis < rank.
 * Fails: ERR_INVALID when it lies outside [-rank, rank).
 */
int shape_axis(int64_t axis, int rank, int *out, struct err *e);

/* A tensor in memory: who owns data is said where it is used. */
struct tensor {
    enum dtype dtype;
    struct shape shape;
    void *data;
};

#endif
