/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an observation holds, for the rest of the room.
 */
#ifndef QUANT_OBSERVE_H
#define QUANT_OBSERVE_H

#include "engine/ir/graph.h"
#include "quant/histogram.h"
#include "quant/quant.h"

/* One watched tensor: an input of the model (all float ones are watched) or
 * one that may be quantized. */
struct watched {
    int value;  /* id in the graph that was observed */
    int output; /* of the observing model; -1: an input */
    int input;  /* of the model; -1: not one */
    struct histogram *histogram;
};

struct observation {
    long samples, skipped; /* used; left out for NaN or infinity in an input */
    VEC(struct watched) watched;
};

/* What was seen of value id, or NULL. */
const struct histogram *observation_of(const struct observation *ob, int id);

#endif
