/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing array of any type:
 *
 *     struct { int *at; size_t n, cap; } ids = {0};
 *     VEC_PUSH(&ids, 7);
 *     mem_free(ids.at);
 *
 * For counts bounded by the program or by a size already checked: it aborts
 * when memory is short.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

#define VEC(type)                                                              \
    struct {                                                                   \
        type *at;                                                              \
        size_t n, cap;                                                         \
    }

#define VEC_PUSH(v, ...)                                                       \
    do {                                                                       \
        if ((v)->n == (v)->cap)                                                \
            (v)->at = vec_grow((v)->at, &(v)->cap, sizeof *(v)->at);           \
        (v)->at[(v)->n++] = (__VA_ARGS__);                                     \
    } while (0)

/* Doubles *cap (at least 8) and returns the moved array. */
void *vec_grow(void *at, size_t *cap, size_t size);

#endif
