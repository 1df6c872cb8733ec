/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was seen of one tensor: extremes, moments, and how often its values
 * fell where, in fixed memory.
 *
 * Both signs have HISTOGRAM_BINS bins of one width, which cover |x| < 2^e.
 * When a larger value comes, e grows and neighbouring bins are added up in
 * pairs.  Bin borders are thus always multiples of a power of two, and a value
 * ends in the bin it would have been in had e been large enough from the
 * start: the counts do not depend on the order of the values.  Zeros are
 * counted apart, as they are exact in every quantized form.
 */
#ifndef QUANT_HISTOGRAM_H
#define QUANT_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_BINS = 2048,    /* of each sign */
    HISTOGRAM_EXP_MIN = -100, /* smallest e: 2^(11 - e) stays a float */
};

struct histogram {
    uint64_t n;         /* finite values */
    uint64_t nonfinite; /* NaN and infinities: in nothing below */
    uint64_t zeros;
    float min, max;     /* 0 and 0 while n == 0 */
    double sum, sum_sq; /* last bits depend on order: for people only */
    int e;
    uint64_t neg[HISTOGRAM_BINS]; /* by |x|: bin 0 is next to zero */
    uint64_t pos[HISTOGRAM_BINS];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, const float *x, size_t n);

/* Width of a bin: 2^(e - 11). */
double histogram_width(const struct histogram *h);

double histogram_mean(const struct histogram *h);
double histogram_std(const struct histogram *h);

#endif
