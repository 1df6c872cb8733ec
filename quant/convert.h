/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements of one type as another, where no information is lost that matters:
 * data sets are often kept in a smaller or larger type than the model takes.
 */
#ifndef QUANT_CONVERT_H
#define QUANT_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/ir/dtype.h"

/*
 * Integer or bool to any type but bool, floating point to floating point.
 * Never floating point to integer: that would hide a mistake.
 */
bool convert_allowed(enum dtype from, enum dtype to);

/*
 * n elements; from and to are allowed, or equal.
 * Floating point to a narrower one rounds to nearest.
 * Fails: ERR_INVALID when an integer has no equal in the other type (names
 *        index and value).
 */
int convert(enum dtype from, const void *src, enum dtype to, void *dst,
            size_t n, struct err *e);

/* Element i as a number; integers beyond 2^53 are rounded. */
double convert_real(enum dtype t, const void *p, size_t i);

#endif
