/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a variant may serve: a pure function of what was measured.
 *
 * Accuracy is a paired non-inferiority test.  Of n samples, b are right in the
 * baseline and wrong in the variant, c the other way round; the loss is
 * (b - c) / n.  The variant is accepted when the whole confidence interval of
 * the loss lies below the limit, rejected when it lies above, and otherwise
 * undecided: then the number of samples is told that would decide.
 */
#ifndef QUANT_POLICY_H
#define QUANT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

enum policy_state { POLICY_ACCEPTED, POLICY_UNDECIDED, POLICY_REJECTED };

/* How much was lost, whatever the limit. */
enum policy_grade {
    GRADE_UNKNOWN,      /* nothing to tell it from */
    GRADE_EXCELLENT,    /* under 1 point */
    GRADE_ACCEPTABLE,   /* under 2 */
    GRADE_CONSIDER_QAT, /* 2 to 3 */
    GRADE_UNSUITABLE,   /* over 3 */
};

struct policy {
    double max_loss;      /* percentage points of accuracy */
    double min_agreement; /* share of equal answers where there are no labels;
                             NAN: what max_loss implies, see below */
    double min_speedup;   /* 0: any */
    int tries;            /* variants tried on the same samples, >= 1 */
};

void policy_init(struct policy *p);

/* What was measured. */
struct policy_facts {
    int64_t n; /* samples */
    bool has_labels;
    int64_t b, c; /* right to wrong, wrong to right */
    bool has_agreement;
    int64_t agree; /* samples answered alike */

    int64_t baseline_nonfinite, variant_nonfinite; /* elements put out */

    bool has_speed;
    double speedup, speedup_low, speedup_high; /* the better of the two */
};

struct policy_verdict {
    enum policy_state state;
    enum policy_grade grade;
    double loss, loss_low, loss_high; /* points; NAN when not measured */
    double agreement, agreement_low, agreement_high; /* or NAN */
    int64_t needed; /* samples in all that would decide; 0 when decided */
    char reason[256];
};

/*
 * Non-finite outputs that the baseline does not have reject; then accuracy
 * decides, then speed.
 *
 * Without labels the share of differing answers takes the place of the loss,
 * which it can never be less than: with min_agreement NAN, a share surely
 * under max_loss accepts, and no share rejects.
 */
void policy_judge(const struct policy *p, const struct policy_facts *f,
                  struct policy_verdict *v);

/*
 * Limits of (b - c) / n, one-sided at z standard deviations: normal where
 * b + c >= 25, else the score interval, which holds with few flips and with
 * none.
 * Source: Tango 1998, Statistics in Medicine 17, 891-908.
 */
void policy_loss_interval(int64_t n, int64_t b, int64_t c, double z,
                          double *low, double *high);

/* Limits of the share k / n.  Source: Wilson 1927, JASA 22, 209-212. */
void policy_share_interval(int64_t n, int64_t k, double z, double *low,
                           double *high);

/*
 * Samples needed to tell a loss from the limit (95 % confidence, 90 % power).
 * flips: share of samples that change, b + c over n.  All as shares of one.
 */
int64_t policy_needed(double flips, double loss, double limit);

const char *policy_state_name(enum policy_state s);

/* "excellent", "acceptable", "consider-qat", "unsuitable"; NULL: unknown. */
const char *policy_grade_name(enum policy_grade g);

#endif
