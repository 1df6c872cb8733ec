/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast models run, measured side by side: they take turns of some
 * milliseconds each, so that a machine which slows down or speeds up does so
 * for all of them, and each is compared with the first turn by turn.
 */
#ifndef QUANT_BENCH_H
#define QUANT_BENCH_H

#include "base/err.h"
#include "engine/engine.h"
#include "quant/quant.h"

struct bench_result {
    int runs;
    double p50_ns, p99_ns, min_ns, mean_ns; /* of one run */
    double rows_per_second;

    /* Times faster than the first model: the median over the turns, and the
     * limits that hold it with 95 % confidence. */
    double speedup, speedup_low, speedup_high;
};

/*
 * Times n models for about so many seconds in all, after a warm-up.
 *
 * s:      sessions with shapes set and inputs filled.
 * rows:   of a run, for rows_per_second.
 * p:      told between turns how far it is; may be NULL.
 * out:    n of them.
 * Fails:  as session_run() does.
 */
int bench_run(struct session *const *s, int n, int rows, double seconds,
              const struct quant_progress *p, struct bench_result *out,
              struct err *e);

/*
 * Shapes the session and fills its inputs with made-up numbers, the same for
 * the same input each time: normal ones for floats, zeros for integers (they
 * may be indices).
 */
int bench_fill(const struct model *m, struct session *s,
               const struct shape *shapes, struct err *e);

#endif
