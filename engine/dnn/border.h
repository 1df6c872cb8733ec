/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of depthwise weights over the part of a window that lies inside the
 * input: the same for all places but those near an edge, where it depends on
 * the edge.  Places that see the same part share one row of sums.
 */
#ifndef ENGINE_DNN_BORDER_H
#define ENGINE_DNN_BORDER_H

#include "engine/ir/window.h"

struct border {
    int64_t out[WINDOW_MAX];
    int32_t *kind[WINDOW_MAX]; /* by place along the axis */
    int64_t n_kinds[WINDOW_MAX];
    int64_t channels;
    int32_t *sum; /* [kinds..., channels] */
};

/*
 * weights:  8-bit constant [channels, 1, kernel...], of which `shift` and
 *           zero[c] are subtracted.
 * factor:   sums of channel c are multiplied by factor[c].
 * Fails:    ERR_NO_MEMORY; border_free() is due all the same.
 */
int border_make(struct border *b, const struct window *w,
                const struct value *weights, int32_t shift, const int32_t *zero,
                const int32_t *factor, struct err *e);

/* The sums of place i of [out...], one a channel. */
const int32_t *border_row(const struct border *b, int64_t i);

void border_free(struct border *b);

#endif
