/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_RUN_PLACE_H
#define ENGINE_RUN_PLACE_H

#include <stddef.h>

#include "base/err.h"

/* One buffer: when it is needed, how large, and where it goes. */
struct place {
    int first, last; /* steps, inclusive */
    size_t bytes;
    size_t offset; /* out: from the start of the arena, a multiple of
                      MEM_ALIGN */
};

/*
 * Places n buffers so that no two that are needed at the same step overlap.
 *
 * at:    the caller's; only offset is written.
 * total: out, bytes the arena needs.
 * Fails: ERR_NO_MEMORY when the working list can't be had, or when the
 *        buffers together do not fit an address.
 * Source: greedy by size, Pisarchyk & Lee 2020, arXiv:2001.03288.
 */
int place_buffers(struct place *at, size_t n, size_t *total, struct err *e);

#endif
