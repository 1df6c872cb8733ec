/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How close two answers must be: one table, by element type.
 */
#ifndef TESTS_OP_COMPARE_H
#define TESTS_OP_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/ir/shape.h"

/* |have - want| <= abs + rel * |want|; integers and bools are exact (0, 0). */
struct tolerance {
    double abs, rel;
};

/*
 * What two float32 computations of the same thing may differ by when they
 * sum in another order; half the digits for the 16-bit types.
 */
struct tolerance tolerance_of(enum dtype t);

/* Elements of any type as double; for messages and comparisons. */
double element(const struct tensor *t, size_t i);

/*
 * True when type and shape are the same and every element is close; NaN is
 * close to NaN, an infinity to itself.  Otherwise `text` says where not.
 */
bool tensor_close(const struct tensor *have, const struct tensor *want,
                  struct tolerance tol, char *text, size_t size);

#endif
