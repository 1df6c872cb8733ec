/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/policy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One-sided: a true loss at the limit is accepted by chance once in twenty. */
static const double alpha = 0.05;

static const double z_95 = 1.6448536269514722;
static const double z_90 = 1.2815515655446004; /* power 90 % */

/* Below this many flips the normal distribution is no good approximation. */
enum { FEW_FLIPS = 25 };

void
policy_init(struct policy *p)
{
    *p = (struct policy){
        .max_loss = 2, .min_agreement = NAN, .min_speedup = 1, .tries = 1};
}

/* Normal quantile of 1 - p, 0 < p <= 0.5, by bisection: exact enough, and
 * nothing to look up. */
static double
z_of(double p)
{
    double low = 0, high = 40;

    for (int i = 0; i < 200; i++) {
        double mid = (low + high) / 2;

        if (erfc(mid / sqrt(2)) / 2 > p)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* --- intervals ------------------------------------------------------------ */

/* Tango's score statistic: how many standard deviations (b - c) / n lies above
 * delta, where the deviation is the one delta itself would have. */
static double
score(double n, double b, double c, double delta)
{
    double p = -b - c + (2 * n - b + c) * delta;
    double q = -c * delta * (1 - delta);
    double root = p * p - 8 * n * q;
    double p21 = (sqrt(fmax(root, 0)) - p) / (4 * n);
    double variance = n * (2 * p21 + delta * (1 - delta));
    double gap = b - c - n * delta;

    if (gap == 0)
        return 0;
    return variance > 0 ? gap / sqrt(variance) : copysign(INFINITY, gap);
}

/* The delta at which the score is z; the score falls as delta grows. */
static double
solve(double n, double b, double c, double z)
{
    double low = -1, high = 1;

    for (int i = 0; i < 100; i++) {
        double mid = (low + high) / 2;

        if (score(n, b, c, mid) > z)
            low = mid;
        else
            high = mid;
    }
    return (low + high) / 2;
}

void
policy_loss_interval(int64_t n, int64_t b, int64_t c, double z, double *low,
                     double *high)
{
    double dn = (double)n, db = (double)b, dc = (double)c;
    double d = (db - dc) / dn;
    double se = sqrt(db + dc - (db - dc) * (db - dc) / dn) / dn;

    if (b + c >= FEW_FLIPS) {
        *low = d - z * se;
        *high = d + z * se;
        return;
    }
    *low = solve(dn, db, dc, z);
    *high = solve(dn, db, dc, -z);
}

void
policy_share_interval(int64_t n, int64_t k, double z, double *low, double *high)
{
    double dn = (double)n, p = (double)k / dn, zz = z * z;
    double mid = (p + zz / (2 * dn)) / (1 + zz / dn);
    double half =
        z / (1 + zz / dn) * sqrt(p * (1 - p) / dn + zz / (4 * dn * dn));

    *low = fmax(mid - half, 0);
    *high = fmin(mid + half, 1);
}

int64_t
policy_needed(double flips, double loss, double limit)
{
    double z = z_95 + z_90, gap = fabs(limit - loss);
    double n, least;

    if (limit <= 0 || gap < 1e-6)
        return INT64_MAX;
    n = z * z * fmax(flips - loss * loss, 0) / (gap * gap);
    /* However few samples flip: so many must have been seen not to. */
    least = z_95 * z_95 * (1 - limit) / limit;
    n = ceil(fmax(n, least));
    return n < 1e15 ? (int64_t)n : INT64_MAX;
}

/* --- the verdict ------------------------------------------------------------
 */

static enum policy_grade
grade(double loss)
{
    if (loss < 1)
        return GRADE_EXCELLENT;
    if (loss < 2)
        return GRADE_ACCEPTABLE;
    return loss <= 3 ? GRADE_CONSIDER_QAT : GRADE_UNSUITABLE;
}

/* ", about N samples would decide"; nothing when no number would. */
static void
add_needed(struct policy_verdict *v, int64_t n)
{
    size_t at = strlen(v->reason);

    /* With as many as it asked for, chance was against us: half as many more.
     */
    if (v->needed <= n)
        v->needed = n + n / 2 + 1;
    if (v->needed > 100000000) {
        v->needed = 0;
        snprintf(v->reason + at, sizeof v->reason - at,
                 ": too close to the limit for samples to decide");
        return;
    }
    snprintf(v->reason + at, sizeof v->reason - at,
             ": about %lld samples in all would decide", (long long)v->needed);
}

static void
judge_loss(const struct policy *p, const struct policy_facts *f, double z,
           struct policy_verdict *v)
{
    double n = (double)f->n, limit = p->max_loss / 100;

    policy_loss_interval(f->n, f->b, f->c, z, &v->loss_low, &v->loss_high);
    v->loss = 100 * ((double)f->b - (double)f->c) / n;
    v->loss_low *= 100;
    v->loss_high *= 100;
    v->grade = grade(v->loss);
    v->needed = 0; /* whatever agreement would have asked for */
    if (v->loss_high < p->max_loss) {
        v->state = POLICY_ACCEPTED;
        snprintf(v->reason, sizeof v->reason,
                 "lost %.2f points of accuracy on %lld samples, at most %.2f "
                 "with 95 %% confidence; limit %.2f",
                 v->loss, (long long)f->n, v->loss_high, p->max_loss);
    } else if (v->loss_low > p->max_loss) {
        v->state = POLICY_REJECTED;
        snprintf(v->reason, sizeof v->reason,
                 "lost %.2f points of accuracy on %lld samples, at least %.2f "
                 "with 95 %% confidence; limit %.2f",
                 v->loss, (long long)f->n, v->loss_low, p->max_loss);
    } else {
        v->state = POLICY_UNDECIDED;
        v->needed =
            policy_needed((double)(f->b + f->c) / n, v->loss / 100, limit);
        snprintf(v->reason, sizeof v->reason,
                 "lost %.2f points of accuracy on %lld samples, between %.2f "
                 "and %.2f with 95 %% confidence; limit %.2f",
                 v->loss, (long long)f->n, v->loss_low, v->loss_high,
                 p->max_loss);
        add_needed(v, f->n);
    }
}

static void
judge_agreement(const struct policy *p, const struct policy_facts *f, double z,
                struct policy_verdict *v)
{
    bool implied = isnan(p->min_agreement);
    double want = implied ? 1 - p->max_loss / 100 : p->min_agreement;
    double share = (double)f->agree / (double)f->n;

    policy_share_interval(f->n, f->agree, z, &v->agreement_low,
                          &v->agreement_high);
    v->agreement = share;
    snprintf(v->reason, sizeof v->reason,
             "%.2f %% of %lld answers as before, between %.2f and %.2f %% with "
             "95 %% confidence; at least %.2f %% wanted%s",
             100 * share, (long long)f->n, 100 * v->agreement_low,
             100 * v->agreement_high, 100 * want,
             implied ? " (no labels: from max_loss)" : "");
    if (v->agreement_low >= want)
        v->state = POLICY_ACCEPTED;
    else if (v->agreement_high < want && !implied)
        v->state = POLICY_REJECTED;
    else if (v->agreement_high < want) {
        v->state = POLICY_UNDECIDED;
        snprintf(v->reason + strlen(v->reason),
                 sizeof v->reason - strlen(v->reason),
                 ": labels or min_agreement would decide");
    } else {
        v->state = POLICY_UNDECIDED;
        v->needed = policy_needed(1 - share, 1 - share, 1 - want);
        add_needed(v, f->n);
    }
    /* What differs is the most that can be lost; how much of it is lost, only
     * labels tell.  So it grades where somebody set a limit for it, or where
     * even the most is little. */
    if (!implied || v->state == POLICY_ACCEPTED)
        v->grade = grade(100 * (1 - share));
}

/* Speed can only take an acceptance away. */
static void
judge_speed(const struct policy *p, const struct policy_facts *f,
            struct policy_verdict *v)
{
    if (!f->has_speed || p->min_speedup <= 0 || v->state == POLICY_REJECTED ||
        f->speedup_high >= p->min_speedup)
        return;
    v->state = POLICY_REJECTED;
    v->needed = 0;
    snprintf(v->reason, sizeof v->reason,
             "not faster: %.2f times the baseline's speed, between %.2f and "
             "%.2f with 95 %% confidence; at least %.2f wanted",
             f->speedup, f->speedup_low, f->speedup_high, p->min_speedup);
}

void
policy_judge(const struct policy *p, const struct policy_facts *f,
             struct policy_verdict *v)
{
    double z = z_of(alpha / p->tries);

    *v = (struct policy_verdict){
        .state = POLICY_UNDECIDED,
        .loss = NAN,
        .loss_low = NAN,
        .loss_high = NAN,
        .agreement = NAN,
        .agreement_low = NAN,
        .agreement_high = NAN,
    };
    if (f->n > 0 && f->has_agreement)
        judge_agreement(p, f, z, v);
    if (f->n > 0 && f->has_labels)
        judge_loss(p, f, z, v);
    if (f->n == 0)
        snprintf(v->reason, sizeof v->reason, "no validation data");
    else if (!f->has_labels && !f->has_agreement)
        snprintf(v->reason, sizeof v->reason,
                 "no labels, and no classes whose agreement could be counted");
    if (f->variant_nonfinite > f->baseline_nonfinite) {
        v->state = POLICY_REJECTED;
        v->needed = 0;
        snprintf(v->reason, sizeof v->reason,
                 "%lld NaN or infinite numbers put out, the baseline has %lld",
                 (long long)f->variant_nonfinite,
                 (long long)f->baseline_nonfinite);
        return;
    }
    judge_speed(p, f, v);
}

const char *
policy_state_name(enum policy_state s)
{
    static const char *const names[] = {"accepted", "undecided", "rejected"};

    return names[s];
}

const char *
policy_grade_name(enum policy_grade g)
{
    static const char *const names[] = {NULL, "excellent", "acceptable",
                                        "consider-qat", "unsuitable"};

    return names[g];
}
