/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/advice.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    FEW_CALIBRATION = 100, /* fewer do not cover the ranges */
    FEW_VALIDATION = 100,
    SMALL_MODEL = 5 * 1000 * 1000, /* bytes: little is gained below */
};

/* Input statistics of two sets this far apart are no longer one population:
 * means by so many standard deviations, deviations by such a factor. */
static const double mean_apart = 0.5, std_apart = 2;

/* Outputs whose noise is over a tenth of the signal's power are another
 * model's. */
static const double poor_sqnr_db = 10;

/* The 99th percentile of undisturbed runs is near the median. */
static const double noisy = 3;

static const struct trial *
chosen(const struct report *r)
{
    return r->chosen >= 0 ? &r->trials[r->chosen] : NULL;
}

/* The first input whose numbers differ between the two sets, or -1. */
static int
differing_input(const struct report *r, struct seen_stats *a,
                struct seen_stats *b)
{
    const struct model *m = r->baseline.model;

    for (int i = 0; i < model_n_inputs(m); i++) {
        seen_stats(data_seen(r->calibration.data), i, a);
        seen_stats(data_seen(r->validation.data), i, b);
        if (a->n == 0 || b->n == 0)
            continue;
        if (fabs(a->mean - b->mean) > mean_apart * fmax(a->std, b->std) ||
            a->std > std_apart * b->std || b->std > std_apart * a->std)
            return i;
    }
    return -1;
}

static bool
has_both_sets(const struct report *r)
{
    return r->calibration.data != NULL && r->validation.data != NULL &&
           seen_n(data_seen(r->calibration.data)) > 0 &&
           seen_n(data_seen(r->validation.data)) > 0;
}

/* --- warnings
 * ------------------------------------------------------------------ */

struct teller {
    void (*each)(void *arg, const char *text);
    void *arg;
};

static void tell(const struct teller *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
tell(const struct teller *t, const char *fmt, ...)
{
    char text[ADVICE_TEXT];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->each(t->arg, text);
}

static void
warn_of_data(const struct report *r, const struct teller *t)
{
    struct seen_stats a, b;
    int i;

    if (r->overlap > 0)
        tell(t,
             "%lld validation samples are calibration samples, too: keep the "
             "sets apart, or the loss looks smaller than it is",
             (long long)r->overlap);
    if (r->validation.data == NULL)
        tell(t, "no validation data: what was lost is not known");
    else if (data_n(r->validation.data) < FEW_VALIDATION)
        tell(t, "only %lld validation samples",
             (long long)data_n(r->validation.data));
    if (has_both_sets(r) && (i = differing_input(r, &a, &b)) >= 0)
        tell(t,
             "input %s differs between calibration (mean %.4g, standard "
             "deviation %.4g) and validation (%.4g, %.4g): is one of them "
             "preprocessed otherwise?",
             model_input(r->baseline.model, i)->name, a.mean, a.std, b.mean,
             b.std);
}

static void
warn_of_answers(const struct trial *v, const struct teller *t)
{
    for (int i = 0; i < v->judge.n_outputs; i++) {
        const struct judge_output *o = &v->judge.outputs[i];

        if (o->sqnr_db < poor_sqnr_db)
            tell(t, "output %s is far from fp32's: SQNR %.1f dB, cosine %.4f",
                 o->name, o->sqnr_db, o->cosine);
    }
}

static void
warn_of_speed(const struct trial *v, const struct teller *t)
{
    const struct bench_result *one = &v->one.variant;

    if (!v->timed) {
        tell(t, "not timed: no data tell the shape of its inputs");
        return;
    }
    if (one->speedup_high < 1)
        tell(t, "%s is slower than fp32 at batch 1: %.2f times its speed",
             v->variant, one->speedup);
    else if (one->speedup_low <= 1)
        tell(t,
             "%s is not measurably faster than fp32 at batch 1: between %.2f "
             "and %.2f times its speed",
             v->variant, one->speedup_low, one->speedup_high);
    if (one->p99_ns > noisy * one->p50_ns ||
        v->one.baseline.p99_ns > noisy * v->one.baseline.p50_ns)
        tell(t,
             "timings were noisy (p99 over %g times the median): is the "
             "machine busy?",
             noisy);
}

void
advice_warnings(const struct report *r,
                void (*each)(void *arg, const char *text), void *arg)
{
    const struct teller t = {each, arg};
    const struct trial *v = chosen(r);

    if (v != NULL && v->quant != NULL)
        for (size_t i = 0; i < v->quant->warnings.n; i++)
            tell(&t, "%s", v->quant->warnings.at[i]);
    if (v != NULL) {
        warn_of_data(r, &t);
        warn_of_answers(v, &t);
    }
    if (r->baseline.file_bytes < SMALL_MODEL)
        tell(&t,
             "the model is small (%.1f MB): quantizing saves %.1f MB at most",
             (double)r->baseline.file_bytes / 1e6,
             0.75 * (double)r->baseline.file_bytes / 1e6);
    if (v != NULL)
        warn_of_speed(v, &t);
    if (v != NULL && r->n_trials > 1)
        tell(&t,
             "%s was tried first and rejected: the confidence asked of the "
             "next was raised accordingly",
             r->trials[0].recipe);
}

/* --- checklist
 * --------------------------------------------------------------------- */

const char *
advice_result_name(enum advice_result r)
{
    static const char *const names[] = {"pass", "fail", "not-measured"};

    return names[r];
}

static enum advice_result say(struct advice_item *i, enum advice_result r,
                              const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static enum advice_result
say(struct advice_item *i, enum advice_result r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(i->evidence, sizeof i->evidence, fmt, ap);
    va_end(ap);
    return r;
}

typedef enum advice_result check(const struct report *r, const struct trial *v,
                                 struct advice_item *i);

static bool
has_labels(const struct trial *v)
{
    return v->judged && v->judge.has_labels;
}

static enum advice_result
baseline_accuracy(const struct report *r, const struct trial *v,
                  struct advice_item *i)
{
    (void)r;
    if (!has_labels(v))
        return say(i, ADVICE_NOT_MEASURED, "no labels in the validation data");
    return say(i, ADVICE_PASS, "%.2f %% of %lld samples right",
               100 * (double)v->judge.baseline_right / (double)v->judge.n,
               (long long)v->judge.n);
}

static enum advice_result
variant_accuracy(const struct report *r, const struct trial *v,
                 struct advice_item *i)
{
    (void)r;
    if (!has_labels(v))
        return say(i, ADVICE_NOT_MEASURED, "no labels in the validation data");
    return say(i, ADVICE_PASS, "%.2f %% of the same %lld samples right",
               100 * (double)v->judge.variant_right / (double)v->judge.n,
               (long long)v->judge.n);
}

static enum advice_result
loss_within_limit(const struct report *r, const struct trial *v,
                  struct advice_item *i)
{
    const struct policy_verdict *d = &v->verdict;
    double limit = r->policy.max_loss;

    if (isnan(d->loss) && isnan(d->agreement))
        return say(i, ADVICE_NOT_MEASURED, "%s", d->reason);
    if (isnan(d->loss)) {
        double low = d->agreement_low, high = d->agreement_high;
        double want = isnan(r->policy.min_agreement) ? 1 - limit / 100
                                                     : r->policy.min_agreement;

        return say(i,
                   low >= want   ? ADVICE_PASS
                   : high < want ? ADVICE_FAIL
                                 : ADVICE_NOT_MEASURED,
                   "%.2f %% of the answers agree with fp32 (%.2f to %.2f "
                   "with 95 %% confidence), %.2f %% wanted; no labels",
                   100 * d->agreement, 100 * low, 100 * high, 100 * want);
    }
    return say(i,
               d->loss_high < limit  ? ADVICE_PASS
               : d->loss_low > limit ? ADVICE_FAIL
                                     : ADVICE_NOT_MEASURED,
               "%.2f points lost (%.2f to %.2f with 95 %% confidence), limit "
               "%.2f",
               d->loss, d->loss_low, d->loss_high, limit);
}

static enum advice_result
production_data(const struct report *r, const struct trial *v,
                struct advice_item *i)
{
    (void)v;
    if (r->validation.data == NULL)
        return say(i, ADVICE_NOT_MEASURED, "no validation data");
    return say(i, ADVICE_NOT_MEASURED,
               "whether the %lld validation samples are like live traffic is "
               "told by shadowing it",
               (long long)data_n(r->validation.data));
}

static enum advice_result
size_reduction(const struct report *r, const struct trial *v,
               struct advice_item *i)
{
    double was = (double)r->baseline.file_bytes;
    double is = (double)v->side.file_bytes;

    return say(i, is < was ? ADVICE_PASS : ADVICE_FAIL,
               "%.2f MB to %.2f MB: %.2f times smaller", was / 1e6, is / 1e6,
               is > 0 ? was / is : 0);
}

static enum advice_result
speed(const struct trial_speed *s, const char *what, struct advice_item *i)
{
    const struct bench_result *b = &s->variant;

    return say(i, b->speedup_low > 1 ? ADVICE_PASS : ADVICE_FAIL,
               "%s at batch %d: %.2f times fp32's (%.2f to %.2f with 95 %% "
               "confidence)",
               what, s->batch, b->speedup, b->speedup_low, b->speedup_high);
}

static enum advice_result
latency(const struct report *r, const struct trial *v, struct advice_item *i)
{
    (void)r;
    if (!v->timed)
        return say(i, ADVICE_NOT_MEASURED, "not timed");
    return speed(&v->one, "speed of one answer", i);
}

static enum advice_result
throughput(const struct report *r, const struct trial *v, struct advice_item *i)
{
    (void)r;
    if (!v->timed)
        return say(i, ADVICE_NOT_MEASURED, "not timed");
    return speed(&v->best, "rows a second", i);
}

static enum advice_result
requirements(const struct report *r, const struct trial *v,
             struct advice_item *i)
{
    double best = fmax(v->one.variant.speedup, v->best.variant.speedup);

    if (!v->timed || r->policy.min_speedup <= 0)
        return say(i, ADVICE_NOT_MEASURED,
                   v->timed ? "min_speedup asks for nothing" : "not timed");
    return say(i, best >= r->policy.min_speedup ? ADVICE_PASS : ADVICE_FAIL,
               "%.2f times fp32's speed, min_speedup %.2f", best,
               r->policy.min_speedup);
}

static bool
is_calibrated(const struct trial *v)
{
    return v->quant != NULL && v->quant->samples > 0;
}

static enum advice_result
representative(const struct report *r, const struct trial *v,
               struct advice_item *i)
{
    struct seen_stats a, b;
    int at;

    if (!is_calibrated(v))
        return say(i, ADVICE_NOT_MEASURED, "not calibrated");
    if (!has_both_sets(r))
        return say(i, ADVICE_NOT_MEASURED,
                   "no validation data to compare the samples with");
    at = differing_input(r, &a, &b);
    if (at < 0)
        seen_stats(data_seen(r->calibration.data), 0, &a);
    if (at < 0)
        seen_stats(data_seen(r->validation.data), 0, &b);
    return say(i, at < 0 ? ADVICE_PASS : ADVICE_FAIL,
               "input %s: mean %.4g, standard deviation %.4g in calibration, "
               "%.4g and %.4g in validation",
               model_input(r->baseline.model, at < 0 ? 0 : at)->name, a.mean,
               a.std, b.mean, b.std);
}

static enum advice_result
enough_calibration(const struct report *r, const struct trial *v,
                   struct advice_item *i)
{
    (void)r;
    if (!is_calibrated(v))
        return say(i, ADVICE_NOT_MEASURED, "not calibrated");
    return say(
        i, v->quant->samples >= FEW_CALIBRATION ? ADVICE_PASS : ADVICE_FAIL,
        "%ld samples, at least %d wanted", v->quant->samples, FEW_CALIBRATION);
}

static enum advice_result
matches_deployment(const struct report *r, const struct trial *v,
                   struct advice_item *i)
{
    (void)r;
    (void)v;
    return say(i, ADVICE_NOT_MEASURED,
               "live traffic is not seen here; shadowing compares it");
}

static enum advice_result
diverse_inputs(const struct report *r, const struct trial *v,
               struct advice_item *i)
{
    const struct model *m = r->baseline.model;
    struct seen_stats s;
    int64_t n, distinct;
    bool varies = true;

    (void)v;
    if (r->validation.data == NULL)
        return say(i, ADVICE_NOT_MEASURED, "no validation data");
    n = seen_n(data_seen(r->validation.data));
    distinct = seen_distinct(data_seen(r->validation.data));
    for (int k = 0; k < model_n_inputs(m); k++) {
        seen_stats(data_seen(r->validation.data), k, &s);
        varies &= s.std > 0 || !dtype_is_float(model_input(m, k)->dtype);
    }
    return say(i,
               distinct >= FEW_VALIDATION && varies ? ADVICE_PASS : ADVICE_FAIL,
               "%lld different samples of %lld, at least %d wanted%s",
               (long long)distinct, (long long)n, FEW_VALIDATION,
               varies ? "" : "; an input is constant");
}

static enum advice_result
stable_numbers(const struct report *r, const struct trial *v,
               struct advice_item *i)
{
    int64_t base = v->probe.baseline_nonfinite;
    int64_t variant = v->probe.variant_nonfinite;

    (void)r;
    if (!v->judged && v->probe.n == 0)
        return say(i, ADVICE_NOT_MEASURED, "no validation data");
    for (int k = 0; k < v->judge.n_outputs; k++) {
        base += v->judge.outputs[k].baseline_nonfinite;
        variant += v->judge.outputs[k].variant_nonfinite;
    }
    return say(i, variant == 0 ? ADVICE_PASS : ADVICE_FAIL,
               "%lld NaN or infinite numbers in the outputs of %lld samples "
               "and %d inputs at the edge (zero, darkest, brightest, beyond); "
               "fp32: %lld",
               (long long)variant, (long long)v->judge.n, v->probe.n,
               (long long)base);
}

static enum advice_result
target_hardware(const struct report *r, const struct trial *v,
                struct advice_item *i)
{
    if (!v->judged && !v->timed)
        return say(i, ADVICE_NOT_MEASURED, "not run");
    return say(i, ADVICE_PASS,
               "run here: %s, oneDNN %s, %d threads; another CPU must judge "
               "again",
               engine_isa(), engine_dnn_version(), r->threads);
}

static enum advice_result
revertible(const struct report *r, const struct trial *v, struct advice_item *i)
{
    (void)v;
    return say(i, r->unchanged ? ADVICE_PASS : ADVICE_FAIL,
               r->unchanged ? "the fp32 file is as it was: sha256 %.16s..."
                            : "the fp32 file changed meanwhile: it was sha256 "
                              "%.16s...",
               r->baseline.sha256);
}

static enum advice_result
monitoring(const struct report *r, const struct trial *v, struct advice_item *i)
{
    (void)r;
    (void)v;
    return say(i, ADVICE_NOT_MEASURED,
               "a matter of serving: quantd's metrics, guards and shadow");
}

static enum advice_result
split_plan(const struct report *r, const struct trial *v, struct advice_item *i)
{
    (void)r;
    (void)v;
    return say(i, ADVICE_NOT_MEASURED,
               "a matter of serving: quantd's route with two arms");
}

static const struct {
    const char *section, *item;
    check *check;
} points[] = {
    {"accuracy", "baseline accuracy measured on the validation set",
     baseline_accuracy},
    {"accuracy", "variant's accuracy measured on the same set",
     variant_accuracy},
    {"accuracy", "loss within the limit", loss_within_limit},
    {"accuracy", "validated on representative production data",
     production_data},
    {"performance", "size reduction measured", size_reduction},
    {"performance", "latency improvement measured", latency},
    {"performance", "throughput improvement measured", throughput},
    {"performance", "performance meets requirements", requirements},
    {"calibration", "samples are representative, not random", representative},
    {"calibration", "enough calibration samples", enough_calibration},
    {"calibration", "calibration data match the deployment",
     matches_deployment},
    {"edge cases", "tested on diverse inputs", diverse_inputs},
    {"edge cases", "numerically stable: no NaN, no infinity", stable_numbers},
    {"edge cases", "run on the target hardware", target_hardware},
    {"rollback", "fp32 can be gone back to", revertible},
    {"rollback", "monitoring detects a loss of accuracy", monitoring},
    {"rollback", "fp32 and variant are compared by A/B", split_plan},
};

void
advice_checklist(const struct report *r,
                 void (*each)(void *arg, const struct advice_item *i),
                 void *arg)
{
    const struct trial *v = chosen(r);

    for (size_t k = 0; v != NULL && k < sizeof points / sizeof *points; k++) {
        struct advice_item i = {.section = points[k].section,
                                .item = points[k].item};

        i.result = points[k].check(r, v, &i);
        each(arg, &i);
    }
}
