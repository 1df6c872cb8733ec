/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deployment report: everything that was measured about a model and its
 * variants, as JSON for programs and as a table for people.
 *
 *     {"format": 1, "created": ..., "quantd": VERSION,
 *      "model": {file, sha256, bytes}, "engine": {isa, onednn, vnni, ...},
 *      "data": {calibration, validation, overlap}, "policy": {...},
 *      "baseline": {...}, "variants": [{...}, ...],
 *      "variant": NAME, "state", "accepted", "decision", "reason",
 *      "warnings": [...], "checklist": [{section, item, result, evidence}]}
 *
 * "variants" holds every one that was tried; the one at the top level is the
 * one that was chosen (null when none was made).  What was not measured is
 * null, never a number.
 */
#ifndef QUANT_REPORT_H
#define QUANT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "quant/data.h"
#include "quant/policy.h"
#include "quant/quant.h"
#include "quant/trial.h"

enum { REPORT_MAX_TRIALS = 2 };

/* A set of samples as it was used. */
struct report_set {
    const char *path; /* NULL: there was none */
    char sha256[DIGEST_HEX + 1];
    const struct data *data;
};

struct report {
    const char *recipe; /* as asked for: "auto" */
    int threads;
    struct report_set calibration, validation;
    int64_t overlap; /* validation samples that were calibrated with */
    struct policy policy;
    const struct quant_options *options; /* NULL: nothing was quantized */
    struct trial_side baseline;
    bool timed; /* the baseline alone, when there is no trial */
    struct trial_speed one, best;
    struct trial trials[REPORT_MAX_TRIALS];
    int n_trials;
    int chosen;         /* of trials; -1: none */
    const char *no_why; /* why there is none */
    bool unchanged;     /* the model file is byte for byte what it was */
};

struct json_t;

/* The document; the caller's. */
struct json_t *report_json(const struct report *r);

/*
 * {"result": {variant, decision, accepted, state, reason}}: the last line of
 * quantctl quantize --json.  The caller's.
 */
struct json_t *report_result(const struct report *r);

/* Writes the document, whole or not at all. */
int report_write(const struct report *r, const char *path, struct err *e);

/* A summary on stdout. */
void report_print(const struct report *r);

#endif
