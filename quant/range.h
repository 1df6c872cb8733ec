/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what was seen of a tensor to the range its integers cover, and from
 * the range to scale and zero point.
 */
#ifndef QUANT_RANGE_H
#define QUANT_RANGE_H

#include "quant/histogram.h"
#include "quant/quant.h"

/* Holds 0: low <= 0 <= high. */
struct range {
    float low, high;
};

/*
 * The range that a calibrator picks: within [min, max] as seen, widened to
 * hold 0; [0, 0] when nothing was seen.
 * percentile: 50 to 100, for QUANT_PERCENTILE only.
 */
struct range range_choose(const struct histogram *h, enum quant_calibrator c,
                          double percentile);

/*
 * KL divergence minimised over both ends of the range (entropy.c), among the
 * ranges whose expected SQNR is at least floor_db: the divergence does not see
 * how far a clipped value is moved, and where values crowd at a few points (a
 * constant background) it would clip nearly all of the rest.
 * Idea: Migacz, 8-bit inference with TensorRT, GTC 2017; here both ends move,
 * and zeros, which cost nothing, are left out.
 */
struct range range_entropy(const struct histogram *h, double floor_db);

/* Integers 0 to RANGE_STEPS. */
enum { RANGE_STEPS = 255 };

/* How uint8 stands for reals: real = scale * (integer - zero). */
struct range_u8 {
    float scale; /* a normal number, > 0 */
    int zero;    /* 0 to 255 */
};

/*
 * scale = (high - low) / 255, zero = round(-low / scale); a range too narrow
 * for that (all zeros, denormals) gets scale 1 and zero 0.
 * Source: Jacob et al. 2018, arXiv:1712.05877, section 2.1.
 */
struct range_u8 range_u8(struct range r);

/* The reals that the integers reach: what clips. */
struct range range_of_u8(struct range_u8 q);

/* Share of the values seen that q moves by more than half a step. */
double range_clipped(const struct histogram *h, struct range_u8 q);

/* Expected power of the values over that of their error, in dB; INFINITY
 * when there is nothing but zeros. */
double range_sqnr_db(const struct histogram *h, struct range r);

#endif
