/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The range whose quantized form loses least information about the values.
 *
 * For each candidate the true distribution P is the histogram with all that
 * lies outside gathered in the end bins; the quantized one, Q, has the counts
 * inside gathered into LEVELS groups and spread evenly over those bins of the
 * group that were hit.  Narrow ranges pay at the ends of P, wide ones in Q.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "quant/range.h"

enum { ALL = 2 * HISTOGRAM_BINS, LEVELS = RANGE_STEPS + 1, CANDIDATES = 128 };

/* Both signs in one row, zero at the border before bin HISTOGRAM_BINS. */
struct row {
    double bin[ALL];
    double before[ALL + 1]; /* values in the bins before this one */
};

static void
row_init(struct row *r, const struct histogram *h)
{
    r->before[0] = 0;
    for (int i = 0; i < ALL; i++) {
        r->bin[i] = i < HISTOGRAM_BINS ? (double)h->neg[HISTOGRAM_BINS - 1 - i]
                                       : (double)h->pos[i - HISTOGRAM_BINS];
        r->before[i + 1] = r->before[i] + r->bin[i];
    }
}

/* KL(P || Q) of the bins a to b - 1; INFINITY when nothing lies in them. */
static double
divergence(const struct row *r, int a, int b)
{
    static const double empty = 1e-4; /* Q where P has clipped values only */
    double total = r->before[ALL], within = r->before[b] - r->before[a];
    double kl = 0;
    int n = b - a;

    if (within <= 0)
        return INFINITY;
    for (int g = 0; g < LEVELS; g++) {
        int from = a + (int)((long)g * n / LEVELS);
        int to = a + (int)((long)(g + 1) * n / LEVELS);
        double count = r->before[to] - r->before[from];
        int hit = 0;

        for (int i = from; i < to; i++)
            hit += r->bin[i] > 0;
        for (int i = from; i < to; i++) {
            double p = r->bin[i], q = p > 0 ? count / hit : 0;

            p += i == a ? r->before[a] : 0;
            p += i == b - 1 ? total - r->before[b] : 0;
            if (p > 0)
                kl +=
                    p / total * log(p / total / ((q > 0 ? q : empty) / within));
        }
    }
    return kl;
}

/*
 * Moves one end from its outermost place inwards: *end is b when the other is
 * a, or a when the other is b.  Ranges of fewer than LEVELS bins would be
 * exact by construction and are not considered.
 */
static double
move_end(const struct row *r, int *a, int *b, int outermost, bool high)
{
    int innermost = high ? *a + LEVELS : *b - LEVELS;
    int zero = HISTOGRAM_BINS, best = outermost;
    double least = INFINITY;

    if (high && innermost < zero)
        innermost = zero;
    if (!high && innermost > zero)
        innermost = zero;
    for (int c = CANDIDATES; c >= 0; c--) {
        int end =
            innermost + (int)((long)(outermost - innermost) * c / CANDIDATES);
        double kl;

        if (high ? outermost < innermost : outermost > innermost)
            break;
        kl = high ? divergence(r, *a, end) : divergence(r, end, *b);
        if (kl < least) {
            least = kl;
            best = end;
        }
    }
    *(high ? b : a) = best;
    return least;
}

struct range
range_entropy(const struct histogram *h)
{
    struct row *r = mem_new(1, sizeof *r);
    double width = histogram_width(h);
    int a = HISTOGRAM_BINS, b = HISTOGRAM_BINS, low, high;
    struct range out;

    row_init(r, h);
    for (int i = 0; i < ALL; i++)
        if (r->bin[i] > 0) {
            a = i < a ? i : a;
            b = i + 1 > b ? i + 1 : b;
        }
    low = a;
    high = b;
    for (int round = 0; round < 2 && high - low > LEVELS; round++) {
        move_end(r, &a, &b, high, true);
        if (low < HISTOGRAM_BINS)
            move_end(r, &a, &b, low, false);
    }
    mem_free(r);
    out.low = (float)((a - HISTOGRAM_BINS) * width);
    out.high = (float)((b - HISTOGRAM_BINS) * width);
    /* The outermost border lies a little beyond what was seen. */
    out.low = fmaxf(out.low, fminf(h->min, 0));
    out.high = fminf(out.high, fmaxf(h->max, 0));
    return out;
}
