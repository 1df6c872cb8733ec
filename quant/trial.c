/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/trial.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/mem.h"
#include "quant/cmd.h"

/* A run longer than this is not made longer still by a larger batch. */
static const double longest_run_ns = 1e9;

/* A batch that answers so much less than the best ends the search. */
static const double far_below = 0.8;

/* --- opening ----------------------------------------------------------------
 */

/* Resident bytes of this process; 0 where /proc does not tell. */
static size_t
resident(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (f == NULL)
        return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t
file_bytes(const char *path)
{
    char *data = mem_printf("%s.data", path);
    struct stat st;
    size_t n = stat(path, &st) == 0 ? (size_t)st.st_size : 0;

    if (stat(data, &st) == 0)
        n += (size_t)st.st_size;
    mem_free(data);
    return n;
}

/* Declared shapes with one row; false when another axis is dynamic. */
static bool
declared_shapes(const struct model *m, struct shape *shapes)
{
    for (int i = 0; i < model_n_inputs(m); i++) {
        shapes[i] = model_input(m, i)->shape;
        if (model_max_batch(m) > 0 && shapes[i].rank > 0 &&
            shapes[i].dim[0] == SHAPE_DYNAMIC)
            shapes[i].dim[0] = 1;
        if (!shape_known(&shapes[i]))
            return false;
    }
    return true;
}

static int
sample_shapes(const struct model *m, struct data *d, struct shape *shapes,
              struct err *e)
{
    struct data_batch b;
    int rc;

    if ((rc = data_rewind(d, e)) != 0 || (rc = data_next(d, 1, &b, e)) != 0)
        return rc;
    for (int i = 0; i < model_n_inputs(m); i++)
        shapes[i] = b.in[i].shape;
    return data_rewind(d, e);
}

int
trial_learn_shapes(struct trial_side *s, struct data *d, struct err *e)
{
    struct shape *shapes =
        mem_new((size_t)model_n_inputs(s->model), sizeof *shapes);
    int rc = 0;

    if (d != NULL)
        rc = sample_shapes(s->model, d, shapes, e);
    if (rc != 0 || (d == NULL && !declared_shapes(s->model, shapes))) {
        mem_free(shapes);
        return rc;
    }
    mem_free(s->shapes);
    s->shapes = shapes;
    return 0;
}

/* Runs once, so that what a run takes is there to be seen. */
static int
first_run(struct trial_side *s, struct err *e)
{
    struct session *session;
    int rc = session_new(s->model, &session, e);

    if (rc != 0)
        return rc;
    if ((rc = bench_fill(s->model, session, s->shapes, e)) == 0)
        rc = session_run(session, e);
    session_free(&session);
    return rc;
}

/*
 * The first model a process runs pays for the library's own pages and tables:
 * so none that is measured is the first.
 */
static void
pay_once(const char *path)
{
    static bool paid;
    struct trial_side s = {0};
    struct err e; /* what fails here fails again where it counts */
    int rc;

    if (paid)
        return;
    paid = true;
    rc =
        model_load(path, &(struct model_options){.max_batch = 1}, &s.model, &e);
    if (rc == 0 && (rc = trial_learn_shapes(&s, NULL, &e)) == 0 &&
        s.shapes != NULL)
        first_run(&s, &e);
    trial_close(&s);
#ifdef __GLIBC__
    malloc_trim(0); /* what was freed must not serve the next unseen */
#endif
}

int
trial_open(const char *path, struct data *shapes_of, struct trial_side *out,
           struct err *e)
{
    const struct model_options o = {.max_batch = TRIAL_MAX_BATCH};
    size_t before, after;
    int rc;

    *out = (struct trial_side){.path = path, .file_bytes = file_bytes(path)};
    if ((rc = digest_file(path, out->sha256, e)) != 0)
        return rc;
    pay_once(path);
    before = resident();
    if ((rc = model_load(path, &o, &out->model, e)) != 0)
        return cmd_name_file(e, path);
    if ((rc = model_warm(out->model, e)) != 0 ||
        (rc = trial_learn_shapes(out, shapes_of, e)) != 0)
        return cmd_name_file(e, path);
    if (out->shapes != NULL && (rc = first_run(out, e)) != 0)
        return cmd_name_file(e, path);
    after = resident();
    out->resident = after > before ? after - before : 0;
    model_memory(out->model, &out->memory);
    return 0;
}

void
trial_close(struct trial_side *s)
{
    model_unref(&s->model);
    mem_free(s->shapes);
    s->shapes = NULL;
}

/* --- timing ------------------------------------------------------------------
 */

static int
max_batch(const struct trial_side *s)
{
    return s == NULL ? TRIAL_MAX_BATCH : model_max_batch(s->model);
}

static int
fill(struct trial_side *s, struct session *session, struct data *d, int rows,
     struct err *e)
{
    int n = model_n_inputs(s->model), rc;
    struct data_batch b = {0};
    struct shape *shapes;

    if (d != NULL && data_n(d) >= rows) {
        if ((rc = data_rewind(d, e)) != 0 ||
            (rc = data_next(d, rows, &b, e)) != 0)
            return rc;
        if (b.rows == rows)
            return data_feed(&b, session, e);
    }
    shapes = mem_new((size_t)n, sizeof *shapes);
    memcpy(shapes, s->shapes, (size_t)n * sizeof *shapes);
    for (int i = 0; i < n && rows > 1; i++)
        shapes[i].dim[0] = rows;
    rc = bench_fill(s->model, session, shapes, e);
    mem_free(shapes);
    return rc;
}

static int
time_batch(struct trial_side *baseline, struct trial_side *variant,
           struct data *d, int rows, double seconds, struct progress *p,
           struct trial_speed *out, struct err *e)
{
    struct trial_side *sides[2] = {baseline, variant};
    struct session *s[2] = {NULL, NULL};
    struct bench_result r[2] = {{0}};
    struct quant_progress hook = progress_hook(p);
    int n = variant != NULL ? 2 : 1, rc = 0;

    for (int i = 0; i < n && rc == 0; i++)
        if ((rc = session_new(sides[i]->model, &s[i], e)) == 0)
            rc = fill(sides[i], s[i], d, rows, e);
    if (rc == 0)
        rc = bench_run(s, n, rows, seconds * n, &hook, r, e);
    for (int i = 0; i < n; i++)
        session_free(&s[i]);
    if (rc == 0)
        *out = (struct trial_speed){rows, r[0], r[1]};
    return rc;
}

static double
rows_per_second(const struct trial_speed *s, bool has_variant)
{
    return has_variant ? s->variant.rows_per_second
                       : s->baseline.rows_per_second;
}

int
trial_time(struct trial_side *baseline, struct trial_side *variant,
           struct data *d, double seconds, struct progress *p,
           struct trial_speed *one, struct trial_speed *best, struct err *e)
{
    bool both = variant != NULL;
    int most = max_batch(baseline), rc;
    char message[64];

    if (baseline->shapes == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "not timed: no data tell the shape of its inputs");
    if (max_batch(variant) < most)
        most = max_batch(variant);
    progress_phase(p, "benchmark", "batch 1");
    if ((rc = time_batch(baseline, variant, d, 1, seconds, p, one, e)) != 0)
        return rc;
    *best = *one;
    for (int rows = 2; rows <= most; rows *= 2) {
        struct trial_speed now;

        snprintf(message, sizeof message, "batch %d", rows);
        progress_phase(p, "benchmark", message);
        rc = time_batch(baseline, variant, d, rows, seconds / 4, p, &now, e);
        if (rc != 0)
            return rc;
        if (rows_per_second(&now, both) > rows_per_second(best, both))
            *best = now;
        else if (rows_per_second(&now, both) <
                 far_below * rows_per_second(best, both))
            break;
        if (now.baseline.p50_ns > longest_run_ns)
            break;
    }
    return 0;
}

/* --- judging
 * ------------------------------------------------------------------- */

static int
check_alike(const struct model *a, const struct model *b, const char *what,
            int n, int n_b,
            const struct model_io *(*get)(const struct model *, int),
            struct err *e)
{
    if (n != n_b)
        return err_set(e, ERR_INVALID,
                       "the variant has %d %ss, the baseline "
                       "%d",
                       n_b, what, n);
    for (int i = 0; i < n; i++) {
        const struct model_io *x = get(a, i), *y = get(b, i);

        if (strcmp(x->name, y->name) != 0 || x->dtype != y->dtype)
            return err_set(e, ERR_INVALID,
                           "%s %d is '%s' (%s) in the variant, '%s' (%s) in "
                           "the baseline",
                           what, i, y->name, dtype_name(y->dtype), x->name,
                           dtype_name(x->dtype));
    }
    return 0;
}

/* Rows that both models take in one run. */
static int
fit_rows(const struct model *a, const struct model *b, int64_t left)
{
    int rows = left < TRIAL_MAX_BATCH ? (int)left : TRIAL_MAX_BATCH;

    if (model_max_batch(a) == 0 || model_max_batch(b) == 0)
        return 1;
    return model_batch_fit(b, model_batch_fit(a, rows));
}

static int
judge_batch(struct judge *j, int n_outputs, struct session *baseline,
            struct session *variant, const struct data_batch *b, struct err *e)
{
    const struct tensor **x = mem_new(2 * (size_t)n_outputs, sizeof *x);
    const struct tensor **y = x + n_outputs;
    int rc;

    if ((rc = data_feed(b, baseline, e)) == 0 &&
        (rc = session_run(baseline, e)) == 0 &&
        (rc = data_feed(b, variant, e)) == 0)
        rc = session_run(variant, e);
    for (int i = 0; i < n_outputs && rc == 0; i++) {
        x[i] = session_output(baseline, i);
        y[i] = session_output(variant, i);
    }
    if (rc == 0)
        rc = judge_add(j, b->rows, x, y, b->labels, b->want, e);
    mem_free(x);
    return rc;
}

static int
judge_all(struct judge *j, struct model *baseline, struct model *variant,
          struct data *d, struct progress *p, struct err *e)
{
    struct quant_progress hook = progress_hook(p);
    struct session *x = NULL, *y = NULL;
    char message[64];
    int rc;

    if ((rc = session_new(baseline, &x, e)) == 0)
        rc = session_new(variant, &y, e);
    while (rc == 0 && data_left(d) > 0) {
        int64_t done = data_n(d) - data_left(d);
        struct data_batch b;

        snprintf(message, sizeof message, "%lld of %lld samples",
                 (long long)done, (long long)data_n(d));
        hook.call(hook.arg, (double)done / (double)data_n(d), message);
        rc = data_next(d, fit_rows(baseline, variant, data_left(d)), &b, e);
        if (rc == 0)
            rc = judge_batch(j, model_n_outputs(baseline), x, y, &b, e);
    }
    session_free(&x);
    session_free(&y);
    return rc;
}

static int
judge(struct trial *t, struct trial_side *baseline, struct data *d,
      struct progress *p, struct err *e)
{
    struct judge *j;
    int rc = data_rewind(d, e);

    if (rc != 0)
        return rc;
    progress_phase(p, "validate", NULL);
    j = judge_new(baseline->model);
    rc = judge_all(j, baseline->model, t->side.model, d, p, e);
    if (rc == 0) {
        judge_sum_up(j, &t->judge);
        t->judged = true;
    }
    judge_free(&j);
    return rc;
}

/* The better of latency and throughput: a variant that is faster in one of
 * them has its use. */
static const struct bench_result *
better(const struct trial *t)
{
    return t->one.variant.speedup >= t->best.variant.speedup ? &t->one.variant
                                                             : &t->best.variant;
}

static void
decide(struct trial *t, const struct policy *policy)
{
    const struct judge_result *r = &t->judge;
    struct policy_facts f = {
        .n = t->judged ? r->n : 0,
        .has_labels = r->has_labels,
        .b = r->b,
        .c = r->c,
        .has_agreement = r->has_agreement,
        .agree = r->agree,
        .has_speed = t->timed,
        .baseline_nonfinite = t->probe.baseline_nonfinite,
        .variant_nonfinite = t->probe.variant_nonfinite,
    };

    for (int i = 0; i < r->n_outputs; i++) {
        f.baseline_nonfinite += r->outputs[i].baseline_nonfinite;
        f.variant_nonfinite += r->outputs[i].variant_nonfinite;
    }
    if (t->timed) {
        const struct bench_result *b = better(t);

        f.speedup = b->speedup;
        f.speedup_low = b->speedup_low;
        f.speedup_high = b->speedup_high;
    }
    policy_judge(policy, &f, &t->verdict);
}

int
trial_run(struct trial *t, struct trial_side *baseline, struct data *validation,
          const struct policy *policy, double seconds, struct progress *p,
          struct err *e)
{
    const struct model *a = baseline->model, *b = t->side.model;
    int rc;

    if ((rc = check_alike(a, b, "input", model_n_inputs(a), model_n_inputs(b),
                          model_input, e)) != 0 ||
        (rc = check_alike(a, b, "output", model_n_outputs(a),
                          model_n_outputs(b), model_output, e)) != 0)
        return rc;
    if (validation != NULL && (rc = judge(t, baseline, validation, p, e)) != 0)
        return rc;
    if (baseline->shapes != NULL) {
        const struct seen *seen =
            validation != NULL ? data_seen(validation) : NULL;

        rc = probe_run(baseline->model, t->side.model, baseline->shapes, seen,
                       &t->probe, e);
        if (rc != 0)
            return rc;
    }
    if (seconds > 0 && baseline->shapes != NULL) {
        rc = trial_time(baseline, &t->side, validation, seconds, p, &t->one,
                        &t->best, e);
        if (rc != 0)
            return rc;
        t->timed = true;
    }
    decide(t, policy);
    return 0;
}

void
trial_free(struct trial *t)
{
    judge_result_free(&t->judge);
    trial_close(&t->side);
}
