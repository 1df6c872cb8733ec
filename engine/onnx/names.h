/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which name stands for which id.  A sorted array: no choice of names makes it
 * slow, as it could a hash table.
 */
#ifndef ENGINE_ONNX_NAMES_H
#define ENGINE_ONNX_NAMES_H

#include "base/arena.h"
#include "base/vec.h"

struct name {
    const char *text; /* borrowed */
    int id;
};

struct names {
    VEC(struct name) all;
    size_t n_sorted; /* the first ones, which names_find() looks at */
    unsigned fresh;  /* names made up so far */
};

void names_add(struct names *n, const char *text, int id);

/* What was added since the last time is not found before. */
void names_sort(struct names *n);

/* The smallest id of that name, or -1. */
int names_find(const struct names *n, const char *text);

/* A name that stands twice, or NULL. */
const char *names_twice(const struct names *n);

/*
 * A name like "BASE_q7" that is none of these and never given again.  It lies
 * in the arena and need not be added.
 */
const char *names_fresh(struct names *n, struct arena *a, const char *base);

void names_free(struct names *n);

#endif
