/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/vec.h"
#include "quant/convert.h"

enum {
    TURN_NS = 10 * 1000 * 1000, /* long enough to have caches to oneself */
    WARM_NS = 50 * 1000 * 1000,
    WARM_RUNS = 3,
    MIN_TURNS = 5,
    MAX_RUNS = 1 << 20, /* times kept of one model */
};

struct lane {
    struct session *session;
    VEC(double) runs;  /* ns of each */
    VEC(double) turns; /* ns a run of each turn, on average */
};

static double
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int
warm_up(struct session *s, struct err *e)
{
    double end = now_ns() + WARM_NS;
    int rc = 0;

    for (int i = 0; rc == 0 && (i < WARM_RUNS || now_ns() < end); i++)
        rc = session_run(s, e);
    return rc;
}

static int
take_turn(struct lane *l, struct err *e)
{
    double begin = now_ns(), before = begin, now;
    int n = 0;

    do {
        int rc = session_run(l->session, e);

        if (rc != 0)
            return rc;
        now = now_ns();
        if (l->runs.n < MAX_RUNS)
            VEC_PUSH(&l->runs, now - before);
        before = now;
        n++;
    } while (now - begin < TURN_NS);
    VEC_PUSH(&l->turns, (now - begin) / n);
    return 0;
}

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of a sorted array. */
static double
quantile(const double *v, size_t n, double q)
{
    return v[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* The median of turn-by-turn ratios and its confidence limits, which are
 * order statistics: no shape of the noise is assumed. */
static void
compare(const struct lane *first, const struct lane *l,
        struct bench_result *out)
{
    size_t n = l->turns.n;
    double *r = mem_new(n, sizeof *r);
    double half = 1.96 * sqrt((double)n) / 2, mid = (double)(n - 1) / 2;

    for (size_t i = 0; i < n; i++)
        r[i] = first->turns.at[i] / l->turns.at[i];
    qsort(r, n, sizeof *r, by_size);
    out->speedup = quantile(r, n, 0.5);
    out->speedup_low = r[(size_t)fmax(0, floor(mid - half))];
    out->speedup_high = r[(size_t)fmin((double)(n - 1), ceil(mid + half))];
    mem_free(r);
}

static void
sum_up(struct lane *l, int rows, struct bench_result *out)
{
    size_t n = l->runs.n;
    double *v = l->runs.at, total = 0;

    for (size_t i = 0; i < n; i++)
        total += v[i];
    qsort(v, n, sizeof *v, by_size);
    out->runs = (int)n;
    out->min_ns = v[0];
    out->p50_ns = quantile(v, n, 0.5);
    out->p99_ns = quantile(v, n, 0.99);
    out->mean_ns = total / (double)n;
    out->rows_per_second = rows * 1e9 / out->mean_ns;
}

int
bench_run(struct session *const *s, int n, int rows, double seconds,
          const struct quant_progress *p, struct bench_result *out,
          struct err *e)
{
    struct lane *lanes = mem_new((size_t)n, sizeof *lanes);
    double begin, done = 0;
    int rc = 0;

    for (int i = 0; i < n && rc == 0; i++) {
        lanes[i].session = s[i];
        rc = warm_up(s[i], e);
    }
    begin = now_ns();
    for (int turn = 0; rc == 0 && (turn < MIN_TURNS || done < 1); turn++) {
        if (p != NULL)
            p->call(p->arg, fmin(done, 1), NULL);
        /* Each begins a round in its turn: none is always the one that finds
         * the caches cold. */
        for (int i = 0; i < n && rc == 0; i++)
            rc = take_turn(&lanes[(i + turn) % n], e);
        done = (now_ns() - begin) / (seconds * 1e9);
    }
    for (int i = 0; i < n && rc == 0; i++) {
        sum_up(&lanes[i], rows, &out[i]);
        compare(&lanes[0], &lanes[i], &out[i]);
    }
    for (int i = 0; i < n; i++) {
        mem_free(lanes[i].runs.at);
        mem_free(lanes[i].turns.at);
    }
    mem_free(lanes);
    return rc;
}

/* Sum of uniform numbers: normal enough (Irwin-Hall), and reproducible. */
static float
made_up(uint64_t *state)
{
    float sum = 0;

    for (int i = 0; i < 4; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(*state >> 40) * 0x1p-24f;
    }
    return (sum - 2) * 1.7320508f; /* variance 4/12 to 1 */
}

int
bench_fill(const struct model *m, struct session *s, const struct shape *shapes,
           struct err *e)
{
    int rc = session_shape(s, shapes, e);

    for (int i = 0; i < model_n_inputs(m) && rc == 0; i++) {
        enum dtype t = model_input(m, i)->dtype;
        size_t n = shape_n(&shapes[i]);
        char *p = session_input(s, i);
        uint64_t state = (uint64_t)i + 1;

        if (!dtype_is_float(t)) {
            memset(p, 0, n * dtype_size(t));
            continue;
        }
        for (size_t k = 0; k < n && rc == 0; k++) {
            float v = made_up(&state);

            rc = convert(DTYPE_FLOAT, &v, t, p + k * dtype_size(t), 1, e);
        }
    }
    return rc;
}
