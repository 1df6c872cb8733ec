/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a variant's answers are from the baseline's, on the same samples:
 * one pass, and everything that can be told from it.  NaN and infinity are
 * counted and kept out of all other numbers.
 */
#ifndef QUANT_JUDGE_H
#define QUANT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"

/* Of one output.  Cosines are a sample's whole output against the other's. */
struct judge_output {
    const char *name;         /* the model's */
    double max_abs;           /* largest difference of an element */
    double cosine, cosine_p1; /* mean over the samples; 1st percentile */
    double sqnr_db;           /* INFINITY when nothing differs */
    int64_t baseline_nonfinite, variant_nonfinite; /* elements */
    int64_t unlike; /* samples where the variant's has another shape, as lists
                       of found boxes have: then all of the above is NAN, for
                       nobody knows which element belongs to which */

    bool has_reference; /* the set has this output's true values */
    double baseline_error, variant_error;   /* largest difference from them */
    double baseline_cosine, variant_cosine; /* mean */
};

struct judge_result {
    int64_t n; /* samples */

    /* The first output's answer: the largest of the scores along its last
     * axis, an integer itself, or of a single score whether it is high.
     * Two answers of a sequence are equal when all its places are. */
    bool has_agreement;
    int64_t agree;
    bool has_labels;
    int64_t baseline_right, variant_right;
    int64_t b, c; /* right to wrong, wrong to right */

    /* Of the scores as probabilities, baseline to variant, per sample. */
    bool has_kl;
    double kl_mean, kl_p99, kl_max; /* nats */
    double max_dp;                  /* largest change of a probability */

    int n_outputs;
    struct judge_output *outputs;
};

void judge_result_free(struct judge_result *r);

struct judge;

/* m: for names and number of the outputs; must outlive the result. */
struct judge *judge_new(const struct model *m);
void judge_free(struct judge **j);

/*
 * Adds samples: outputs of both (n_outputs each), labels or NULL, true outputs
 * or NULL (as data_batch has them).
 * Fails: ERR_INVALID as above.
 */
int judge_add(struct judge *j, int rows, const struct tensor *const *baseline,
              const struct tensor *const *variant, const int64_t *labels,
              const struct tensor *want, struct err *e);

void judge_sum_up(struct judge *j, struct judge_result *r);

#endif
