/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/histogram.h"

#include <math.h>
#include <string.h>

enum { LOG2_BINS = 11, CHUNK = 4096 };
_Static_assert(1 << LOG2_BINS == HISTOGRAM_BINS, "bins are a power of two");

void
histogram_init(struct histogram *h)
{
    memset(h, 0, sizeof *h);
    h->e = HISTOGRAM_EXP_MIN;
}

double
histogram_width(const struct histogram *h)
{
    return ldexp(1, h->e - LOG2_BINS);
}

double
histogram_mean(const struct histogram *h)
{
    return h->n == 0 ? 0 : h->sum / (double)h->n;
}

double
histogram_std(const struct histogram *h)
{
    double mean = histogram_mean(h);
    double var = h->n == 0 ? 0 : h->sum_sq / (double)h->n - mean * mean;

    /* What cancellation leaves of constant data is no variance. */
    return h->min == h->max || var <= 0 ? 0 : sqrt(var);
}

static void
merge(uint64_t *bin, int shift)
{
    if (shift > LOG2_BINS)
        shift = LOG2_BINS;
    /* Bins go to lower places only, so that one array is enough. */
    for (int i = 0; i < HISTOGRAM_BINS; i++) {
        uint64_t count = bin[i];

        bin[i] = 0;
        bin[i >> shift] += count;
    }
}

static void
grow(struct histogram *h, float largest)
{
    int e;

    frexpf(largest, &e); /* largest < 2^e */
    if (e <= h->e)
        return;
    merge(h->neg, e - h->e);
    merge(h->pos, e - h->e);
    h->e = e;
}

/* Extremes and moments of a chunk; true when every value is finite. */
static void
survey(struct histogram *h, const float *x, size_t n)
{
    float lo = INFINITY, hi = -INFINITY;
    double sum = 0, sum_sq = 0;
    uint64_t finite = 0;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            continue;
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
        sum += x[i];
        sum_sq += (double)x[i] * x[i];
        finite++;
    }
    h->nonfinite += n - finite;
    if (finite == 0)
        return;
    h->min = h->n == 0 || lo < h->min ? lo : h->min;
    h->max = h->n == 0 || hi > h->max ? hi : h->max;
    h->n += finite;
    h->sum += sum;
    h->sum_sq += sum_sq;
    grow(h, fmaxf(fabsf(lo), fabsf(hi)));
}

void
histogram_add(struct histogram *h, const float *x, size_t n)
{
    for (size_t from = 0; from < n; from += CHUNK) {
        size_t m = n - from < CHUNK ? n - from : CHUNK;
        float per_unit; /* bins in a unit: a power of two, so exact */

        survey(h, x + from, m);
        per_unit = ldexpf(1, LOG2_BINS - h->e);
        for (size_t i = from; i < from + m; i++) {
            float v = x[i];

            if (v > 0 && v <= h->max)
                h->pos[(int)(v * per_unit)]++;
            else if (v < 0 && v >= h->min)
                h->neg[(int)(-v * per_unit)]++;
            else
                h->zeros += v == 0;
        }
    }
}
