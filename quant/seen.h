/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a set of samples looks like, noted while the samples pass: moments of
 * each input, and a hash of every sample, so that two sets can be compared
 * without reading them again.
 */
#ifndef QUANT_SEEN_H
#define QUANT_SEEN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/ir/dtype.h"

struct seen;

/* Of the elements of one input. */
struct seen_stats {
    int64_t n, n_nonfinite;
    double mean, std, min, max; /* of the finite ones; 0 when there is none */
};

struct seen *seen_new(int n_inputs);
void seen_free(struct seen **s);

/* Adds n elements of one input of the current sample. */
void seen_input(struct seen *s, int input, enum dtype t, const void *p,
                size_t n);

/* The current sample is complete. */
void seen_sample(struct seen *s);

/* Complete samples. */
int64_t seen_n(const struct seen *s);

void seen_stats(const struct seen *s, int input, struct seen_stats *out);

/* How many of them differ from all others. */
int64_t seen_distinct(const struct seen *s);

/* How many samples of b are, byte for byte, samples of a. */
int64_t seen_overlap(const struct seen *a, const struct seen *b);

#endif
