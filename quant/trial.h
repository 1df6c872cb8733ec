/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A variant on trial: it is loaded from its file, the very file that would be
 * served, run on the validation data beside the baseline, and timed beside it.
 */
#ifndef QUANT_TRIAL_H
#define QUANT_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "engine/engine.h"
#include "quant/bench.h"
#include "quant/data.h"
#include "quant/judge.h"
#include "quant/policy.h"
#include "quant/probe.h"
#include "quant/progress.h"

enum { TRIAL_MAX_BATCH = 16 };

/* A model as it lies on disk and in memory. */
struct trial_side {
    const char *path;
    char sha256[DIGEST_HEX + 1];
    size_t file_bytes; /* external data included */
    struct model *model;
    struct model_memory memory;
    size_t resident;      /* what the process grew by: plans and a run too */
    struct shape *shapes; /* one an input, for one row; NULL: not known */
};

struct trial_speed {
    int batch;
    struct bench_result baseline, variant;
};

struct trial {
    const char *variant; /* "int8" */
    const char *recipe;  /* "static"; "given" for a file made elsewhere */
    struct trial_side side;
    const struct quant_result *quant; /* or NULL */
    bool judged;
    struct judge_result judge;
    struct probe_result probe; /* n == 0: no shape is known */
    bool timed;
    struct trial_speed one, best; /* batch 1; batch of most rows a second */
    struct policy_verdict verdict;
};

/*
 * Loads a model and warms it up.
 *
 * shapes_of: a set whose first sample tells the shape of dynamic axes; or
 *            NULL.  It is rewound.
 * Fails:     as model_load(), model_warm(); trial_close() also then.
 */
int trial_open(const char *path, struct data *shapes_of, struct trial_side *out,
               struct err *e);
void trial_close(struct trial_side *s);

/*
 * Opens the data of a side that trial_open() opened without: then its shapes
 * are learnt from them.
 */
int trial_learn_shapes(struct trial_side *s, struct data *d, struct err *e);

/*
 * Times both models (variant may be NULL), at batch 1 and at the batch at
 * which the variant (or the lone baseline) answers most rows a second.
 *
 * d:       real inputs, where the batch finds enough of them; or NULL.
 * seconds: for each model at batch 1; a quarter of it at other batches.
 * Fails:   as running does; ERR_UNSUPPORTED when no shape is known.
 */
int trial_time(struct trial_side *baseline, struct trial_side *variant,
               struct data *d, double seconds, struct progress *p,
               struct trial_speed *one, struct trial_speed *best,
               struct err *e);

/*
 * The whole trial of t->side, opened already: judges (validation != NULL),
 * times (seconds > 0) and lets the policy decide.
 */
int trial_run(struct trial *t, struct trial_side *baseline,
              struct data *validation, const struct policy *policy,
              double seconds, struct progress *p, struct err *e);

void trial_free(struct trial *t);

#endif
