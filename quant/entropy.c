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
    const struct histogram *h;
    double width, floor_db;
    double bin[ALL];
    double before[ALL + 1]; /* values in the bins before this one */
};

static void
row_init(struct row *r, const struct histogram *h, double floor_db)
{
    r->h = h;
    r->width = histogram_width(h);
    r->floor_db = floor_db;
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

/* The range of the bins a to b - 1, no wider than what was seen. */
static struct range
range_of(const struct row *r, int a, int b)
{
    double low = (a - HISTOGRAM_BINS) * r->width;
    double high = (b - HISTOGRAM_BINS) * r->width;

    return (struct range){fmaxf((float)low, fminf(r->h->min, 0)),
                          fminf((float)high, fmaxf(r->h->max, 0))};
}

static double
cost(const struct row *r, int a, int b)
{
    return range_sqnr_db(r->h, range_of(r, a, b)) < r->floor_db
               ? INFINITY
               : divergence(r, a, b);
}

/* A candidate end on the way from `outermost` (c == CANDIDATES) inwards. */
static int
step_in(int innermost, int outermost, int c)
{
    return innermost + (int)((long)(outermost - innermost) * c / CANDIDATES);
}

/*
 * Where to put the upper end when the lower is a, or the lower when the upper
 * is b.  Ranges of fewer than LEVELS bins would be exact by construction and
 * are not considered.
 */
static int
best_high(const struct row *r, int a, int outermost)
{
    int innermost = a + LEVELS, best = outermost;
    double least = INFINITY;

    if (innermost < HISTOGRAM_BINS)
        innermost = HISTOGRAM_BINS;
    for (int c = CANDIDATES; innermost <= outermost && c >= 0; c--) {
        int end = step_in(innermost, outermost, c);
        double kl = cost(r, a, end);

        if (kl < least) {
            least = kl;
            best = end;
        }
    }
    return best;
}

static int
best_low(const struct row *r, int b, int outermost)
{
    int innermost = b - LEVELS, best = outermost;
    double least = INFINITY;

    if (innermost > HISTOGRAM_BINS)
        innermost = HISTOGRAM_BINS;
    for (int c = CANDIDATES; innermost >= outermost && c >= 0; c--) {
        int end = step_in(innermost, outermost, c);
        double kl = cost(r, end, b);

        if (kl < least) {
            least = kl;
            best = end;
        }
    }
    return best;
}

struct range
range_entropy(const struct histogram *h, double floor_db)
{
    struct row *r = mem_new(1, sizeof *r);
    int low = HISTOGRAM_BINS, high = HISTOGRAM_BINS, a, b;
    struct range out;

    row_init(r, h, floor_db);
    for (int i = 0; i < ALL; i++)
        if (r->bin[i] > 0) {
            low = i < low ? i : low;
            high = i + 1 > high ? i + 1 : high;
        }
    a = low;
    b = high;
    for (int round = 0; round < 2; round++) {
        b = best_high(r, a, high);
        a = best_low(r, b, low);
    }
    out = range_of(r, a, b);
    mem_free(r);
    return out;
}
