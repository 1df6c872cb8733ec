/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements of any type as C numbers, and back.  Types meet in three kinds:
 * double for the real ones, int64_t and uint64_t for the integers, so that no
 * conversion passes through one that cannot hold the value.
 */
#ifndef ENGINE_OPS_NUMBER_H
#define ENGINE_OPS_NUMBER_H

#include <stdint.h>

#include "engine/ir/dtype.h"

/* One element as a double; a large 64-bit integer is rounded. */
double number_double(enum dtype t, const void *p);

/* One element of an integer type or bool; uint64 wraps. */
int64_t number_int(enum dtype t, const void *p);

/* -1, 0, 1: a is below, equal to, above b; NaN is above all numbers and equals
 * itself. */
int number_order(enum dtype t, const void *a, const void *b);

/* Stores an integer into an integer type or bool; what does not fit wraps. */
void number_set_int(enum dtype t, void *p, int64_t v);

/*
 * n elements from one type to another, as Cast does: a real number is cut
 * toward zero, and outside an integer type's range becomes what it becomes on
 * x86 (see the source: -1 is 255 as uint8); an integer wraps in a narrower
 * one; anything but 0 is true.
 *
 * to_step, from_step:  bytes from one element to the next.
 */
void number_convert(enum dtype to_type, char *to, int64_t to_step,
                    enum dtype from_type, const char *from, int64_t from_step,
                    int64_t n);

#endif
