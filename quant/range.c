/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error of a range [low, high] is taken to be
 *
 *     step^2 / 12 for each value inside, step = (high - low) / 255
 *     (x - end)^2 for each value x beyond an end,
 *
 * values lying evenly within their bin (Bennett 1948); a zero is exact.  With
 * counts, sums and sums of squares added up from the far end inwards, each
 * candidate end costs a few operations, so that all bin borders are tried.
 */
#include "quant/range.h"

#include <float.h>
#include <math.h>

/*
 * One side of zero.  end(k) is its k-th candidate: the border behind k bins,
 * but the extreme itself at the last, so that no range exceeds what was seen.
 */
struct side {
    double width, extreme; /* both >= 0 */
    int n;                 /* candidates are 0 to n */
    /* Of the bins k and further out, by |x|. */
    double count[HISTOGRAM_BINS + 1];
    double sum[HISTOGRAM_BINS + 1];
    double sum_sq[HISTOGRAM_BINS + 1];
};

static void
side_init(struct side *s, const uint64_t *bin, double width, double extreme)
{
    s->width = width;
    s->extreme = extreme > 0 ? extreme : 0;
    s->n = 0;
    for (int i = 0; i < HISTOGRAM_BINS; i++)
        if (bin[i] > 0)
            s->n = i + 1;
    s->count[s->n] = s->sum[s->n] = s->sum_sq[s->n] = 0;
    for (int i = s->n; i-- > 0;) {
        double c = (double)bin[i], mid = (i + 0.5) * width;

        if (mid > s->extreme)
            mid = s->extreme;
        s->count[i] = s->count[i + 1] + c;
        s->sum[i] = s->sum[i + 1] + c * mid;
        s->sum_sq[i] = s->sum_sq[i + 1] + c * (mid * mid + width * width / 12);
    }
}

static double
side_end(const struct side *s, int k)
{
    return k == s->n ? s->extreme : k * s->width;
}

/* Squared error of what lies beyond candidate k. */
static double
side_beyond(const struct side *s, int k)
{
    double end = side_end(s, k);
    double err = s->sum_sq[k] - 2 * end * s->sum[k] + end * end * s->count[k];

    return err > 0 ? err : 0;
}

static double
inside(const struct side *s, int k)
{
    return s->count[0] - s->count[k];
}

static double
noise(const struct side *neg, int i, const struct side *pos, int k)
{
    double step = (side_end(neg, i) + side_end(pos, k)) / RANGE_STEPS;

    return step * step / 12 * (inside(neg, i) + inside(pos, k)) +
           side_beyond(neg, i) + side_beyond(pos, k);
}

struct sides {
    struct side neg, pos;
};

static void
sides_init(struct sides *s, const struct histogram *h)
{
    side_init(&s->neg, h->neg, histogram_width(h), -(double)h->min);
    side_init(&s->pos, h->pos, histogram_width(h), h->max);
}

static struct range
at(const struct sides *s, int i, int k)
{
    return (struct range){(float)(0 - side_end(&s->neg, i)),
                          (float)side_end(&s->pos, k)};
}

/*
 * One end at a time, as the ends only meet in the step: a few rounds settle.
 */
static struct range
least_noise(const struct sides *s)
{
    enum { ROUNDS = 8 };
    int i = s->neg.n, k = s->pos.n, was_i = -1, was_k = -1;

    for (int r = 0; r < ROUNDS && (i != was_i || k != was_k); r++) {
        double best = noise(&s->neg, i, &s->pos, k);

        was_i = i;
        was_k = k;
        for (int try = 0; try <= s->pos.n; try++) {
            double err = noise(&s->neg, i, &s->pos, try);

            if (err < best) {
                best = err;
                k = try;
            }
        }
        for (int try = 0; try <= s->neg.n; try++) {
            double err = noise(&s->neg, try, &s->pos, k);

            if (err < best) {
                best = err;
                i = try;
            }
        }
    }
    return at(s, i, k);
}

/* Where only `beyond` values of this side lie further out. */
static double
quantile(const struct side *s, double beyond)
{
    for (int k = s->n; k-- > 0;)
        if (s->count[k] > beyond) {
            double in_bin = s->count[k] - s->count[k + 1];
            double out = beyond - s->count[k + 1];
            double end = (k + 1 - out / in_bin) * s->width;

            return end < s->extreme ? end : s->extreme;
        }
    return 0;
}

/* What QUANT_ENTROPY may lose against the range of least noise: its power
 * again. */
static const double entropy_costs_db = 3;

struct range
range_choose(const struct histogram *h, enum quant_calibrator c,
             double percentile)
{
    double beyond = (1 - percentile / 100) * (double)h->n;
    struct sides s;

    sides_init(&s, h);
    switch (c) {
    case QUANT_PERCENTILE:
        return (struct range){(float)(0 - quantile(&s.neg, beyond)),
                              (float)quantile(&s.pos, beyond)};
    case QUANT_MSE:
        return least_noise(&s);
    case QUANT_ENTROPY:
        return range_entropy(h, range_sqnr_db(h, least_noise(&s)) -
                                    entropy_costs_db);
    case QUANT_MINMAX:
        break;
    }
    return at(&s, s.neg.n, s.pos.n);
}

struct range_u8
range_u8(struct range r)
{
    double scale = ((double)r.high - r.low) / RANGE_STEPS;
    long zero;

    if (scale < FLT_MIN)
        return (struct range_u8){1, 0};
    zero = lrint(-r.low / scale);
    return (struct range_u8){(float)scale, zero < 0             ? 0
                                           : zero > RANGE_STEPS ? RANGE_STEPS
                                                                : (int)zero};
}

struct range
range_of_u8(struct range_u8 q)
{
    return (struct range){q.scale * (float)-q.zero,
                          q.scale * (float)(RANGE_STEPS - q.zero)};
}

/* Values of one side beyond end, part of a bin counted as if spread evenly. */
static double
beyond_end(const struct side *s, double end)
{
    double at_bin = end / s->width;
    int k = at_bin < s->n ? (int)at_bin : s->n;

    if (end >= s->extreme || k >= s->n)
        return 0;
    return s->count[k + 1] + (s->count[k] - s->count[k + 1]) * (k + 1 - at_bin);
}

double
range_clipped(const struct histogram *h, struct range_u8 q)
{
    struct range r = range_of_u8(q);
    double half = (double)q.scale / 2;
    struct sides s;

    if (h->n == 0)
        return 0;
    sides_init(&s, h);
    return (beyond_end(&s.neg, half - (double)r.low) +
            beyond_end(&s.pos, half + (double)r.high)) /
           (double)h->n;
}

/* The candidate next to end. */
static int
nearest(const struct side *s, double end)
{
    double k = rint(end / s->width);

    return end >= s->extreme || k > s->n ? s->n : (int)k;
}

double
range_sqnr_db(const struct histogram *h, struct range r)
{
    double step = ((double)r.high - r.low) / RANGE_STEPS, signal, err;
    struct sides s;
    int i, k;

    sides_init(&s, h);
    signal = s.neg.sum_sq[0] + s.pos.sum_sq[0];
    if (signal <= 0)
        return INFINITY;
    i = nearest(&s.neg, -(double)r.low);
    k = nearest(&s.pos, (double)r.high);
    err = step * step / 12 * (inside(&s.neg, i) + inside(&s.pos, k)) +
          side_beyond(&s.neg, i) + side_beyond(&s.pos, k);
    return err <= 0 ? INFINITY : 10 * log10(signal / err);
}
