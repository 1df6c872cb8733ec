/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "quant/convert.h"

/* Probabilities below this are as good as this: a logarithm needs a floor. */
static const double tiny = 1e-12;

typedef VEC(double) reals; /* one a sample, for quantiles */

struct output {
    double max_abs, signal, noise; /* sums of squares */
    reals cosines;
    int64_t baseline_nonfinite, variant_nonfinite;
    int64_t unlike; /* samples of another shape */
    int64_t n_reference;
    double baseline_error, variant_error;
    double baseline_cosine, variant_cosine; /* sums */
};

/* Of outputs with a single score: what is high is known only at the end. */
struct score {
    double baseline, variant;
    int64_t label; /* -1: none */
};

struct judge {
    const struct model *model;
    int n_outputs;
    struct output *outputs;
    int64_t n, n_labels;
    bool classes; /* the first output holds answers */
    int64_t agree, baseline_right, variant_right, b, c;
    VEC(struct score) scores;
    bool wide; /* a score of the baseline lay outside [0, 1] */
    reals kl;
    double max_dp;
    double *p, *q; /* probabilities of a place */
    size_t n_p;
};

/* A piece of a tensor: `n` elements from `at` on. */
struct piece {
    const struct tensor *t;
    size_t at, n;
};

static double
get(const struct piece *p, size_t i)
{
    return convert_real(p->t->dtype, p->t->data, p->at + i);
}

/* --- distances ------------------------------------------------------------ */

/* Cosine of two pieces over elements finite in both; 1 when both are zero. */
static double
cosine(const struct piece *a, const struct piece *b)
{
    double aa = 0, bb = 0, ab = 0;

    for (size_t i = 0; i < a->n; i++) {
        double x = get(a, i), y = get(b, i);

        if (!isfinite(x) || !isfinite(y))
            continue;
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    if (aa == 0 || bb == 0)
        return aa == bb;
    return fmax(-1, fmin(1, ab / (sqrt(aa) * sqrt(bb))));
}

static double
max_distance(const struct piece *a, const struct piece *b)
{
    double worst = 0;

    for (size_t i = 0; i < a->n; i++) {
        double d = fabs(get(a, i) - get(b, i));

        if (isfinite(d) && d > worst)
            worst = d;
    }
    return worst;
}

static void
add_distance(struct output *o, const struct piece *base,
             const struct piece *variant)
{
    for (size_t i = 0; i < base->n; i++) {
        double x = get(base, i), y = get(variant, i);

        o->baseline_nonfinite += !isfinite(x);
        o->variant_nonfinite += !isfinite(y);
        if (!isfinite(x) || !isfinite(y))
            continue;
        o->signal += x * x;
        o->noise += (x - y) * (x - y);
        o->max_abs = fmax(o->max_abs, fabs(x - y));
    }
    VEC_PUSH(&o->cosines, cosine(base, variant));
}

static void
add_reference(struct output *o, const struct piece *base,
              const struct piece *variant, const struct piece *want)
{
    o->n_reference++;
    o->baseline_error = fmax(o->baseline_error, max_distance(base, want));
    o->variant_error = fmax(o->variant_error, max_distance(variant, want));
    o->baseline_cosine += cosine(base, want);
    o->variant_cosine += cosine(variant, want);
}

/* --- answers ----------------------------------------------------------------
 */

/*
 * Scores a place of the first output has: 1 for integers (each is an answer)
 * and for a single score a sample, else the last axis that is not 1; 0 when
 * the output holds no answers (pictures, boxes).
 */
static size_t
n_classes(const struct tensor *t, size_t row_elements)
{
    int rank = t->shape.rank;

    if (!dtype_is_float(t->dtype) || row_elements == 1)
        return 1;
    while (rank > 2 && t->shape.dim[rank - 1] == 1)
        rank--;
    if (rank < 2 || rank > 3 || t->shape.dim[rank - 1] < 2)
        return 0;
    return (size_t)t->shape.dim[rank - 1];
}

/* The answer at one place: -1 when every score is NaN. */
static int64_t
answer(const struct piece *p)
{
    int64_t best = -1;
    double high = 0;

    if (p->n == 1)
        return (int64_t)get(p, 0);
    for (size_t i = 0; i < p->n; i++) {
        double v = get(p, i);

        if (!isnan(v) && (best < 0 || v > high)) {
            best = (int64_t)i;
            high = v;
        }
    }
    return best;
}

/* Scores as logarithms of probabilities, unless they are probabilities. */
static bool
are_probabilities(const struct piece *p)
{
    double sum = 0;

    for (size_t i = 0; i < p->n; i++) {
        double v = get(p, i);

        if (!(v >= 0 && v <= 1.001))
            return false;
        sum += v;
    }
    return fabs(sum - 1) < 0.01;
}

/* False when a score is not finite. */
static bool
probabilities(const struct piece *p, bool already, double *out)
{
    double high = -INFINITY, sum = 0;

    for (size_t i = 0; i < p->n; i++) {
        out[i] = get(p, i);
        if (!isfinite(out[i]))
            return false;
        high = fmax(high, out[i]);
    }
    for (size_t i = 0; i < p->n; i++) {
        if (!already)
            out[i] = exp(out[i] - high);
        sum += out[i];
    }
    for (size_t i = 0; i < p->n && sum > 0; i++)
        out[i] /= sum;
    return sum > 0;
}

/* Kullback-Leibler divergence at one place; 0 where it has none. */
static double
divergence(struct judge *j, const struct piece *base,
           const struct piece *variant)
{
    bool already = are_probabilities(base);
    double sum = 0;

    if (j->n_p < base->n) {
        mem_free(j->p);
        j->p = mem_new(2 * base->n, sizeof *j->p);
        j->q = j->p + base->n;
        j->n_p = base->n;
    }
    if (!probabilities(base, already, j->p) ||
        !probabilities(variant, already, j->q))
        return 0;
    for (size_t i = 0; i < base->n; i++) {
        j->max_dp = fmax(j->max_dp, fabs(j->p[i] - j->q[i]));
        if (j->p[i] > 0)
            sum += j->p[i] * log(fmax(j->p[i], tiny) / fmax(j->q[i], tiny));
    }
    return fmax(sum, 0);
}

static void
count_answer(struct judge *j, bool alike, bool has_label, bool base_right,
             bool variant_right)
{
    j->agree += alike;
    if (!has_label)
        return;
    j->n_labels++;
    j->baseline_right += base_right;
    j->variant_right += variant_right;
    j->b += base_right && !variant_right;
    j->c += !base_right && variant_right;
}

/* One sample's answer, in both. */
static int
add_answer(struct judge *j, struct piece base, struct piece variant,
           size_t classes, const int64_t *label, struct err *e)
{
    size_t places = base.n / classes;
    int64_t x = 0, y = 0;
    bool alike = true;
    double kl = 0;

    if (classes == 1 && dtype_is_float(base.t->dtype)) {
        double v = get(&base, 0);

        j->wide |= !(v >= 0 && v <= 1);
        VEC_PUSH(&j->scores, (struct score){v, get(&variant, 0),
                                            label == NULL ? -1 : *label});
        if (label != NULL && (*label < 0 || *label > 1))
            return err_set(e, ERR_INVALID,
                           "label %lld of sample %lld, but output '%s' has "
                           "one score: 0 or 1 expected",
                           (long long)*label, (long long)j->n,
                           model_output(j->model, 0)->name);
        return 0;
    }
    if (label != NULL && places != 1)
        return err_set(e, ERR_INVALID,
                       "labels are one a sample, but output '%s' has %zu "
                       "answers a sample",
                       model_output(j->model, 0)->name, places);
    if (label != NULL && classes > 1 &&
        (*label < 0 || (size_t)*label >= classes))
        return err_set(e, ERR_INVALID,
                       "label %lld of sample %lld: output '%s' has %zu "
                       "classes",
                       (long long)*label, (long long)j->n,
                       model_output(j->model, 0)->name, classes);
    base.n = variant.n = classes;
    for (size_t i = 0; i < places; i++) {
        x = answer(&base);
        y = answer(&variant);
        alike &= x == y && y >= 0;
        if (classes > 1)
            kl += divergence(j, &base, &variant) / (double)places;
        base.at += classes;
        variant.at += classes;
    }
    if (classes > 1)
        VEC_PUSH(&j->kl, kl);
    count_answer(j, alike, label != NULL, label != NULL && x == *label,
                 label != NULL && y == *label);
    return 0;
}

/* --- adding ------------------------------------------------------------------
 */

struct judge *
judge_new(const struct model *m)
{
    struct judge *j = mem_new(1, sizeof *j);

    j->model = m;
    j->n_outputs = model_n_outputs(m);
    j->outputs = mem_new((size_t)j->n_outputs, sizeof *j->outputs);
    return j;
}

void
judge_free(struct judge **jp)
{
    struct judge *j = *jp;

    *jp = NULL;
    if (j == NULL)
        return;
    for (int i = 0; i < j->n_outputs; i++)
        mem_free(j->outputs[i].cosines.at);
    mem_free(j->outputs);
    mem_free(j->scores.at);
    mem_free(j->kl.at);
    mem_free(j->p);
    mem_free(j);
}

static int
check_alike(const struct judge *j, int i, int rows, const struct tensor *x,
            const struct tensor *y, const char *what, struct err *e)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    if (!shape_equal(&x->shape, &y->shape))
        return err_set(e, ERR_INVALID, "output '%s' is %s, %s %s",
                       model_output(j->model, i)->name,
                       shape_text(&x->shape, a), what,
                       shape_text(&y->shape, b));
    if (shape_n(&x->shape) % (size_t)rows != 0)
        return err_set(e, ERR_INVALID,
                       "output '%s' is %s for %d samples: not so many rows",
                       model_output(j->model, i)->name,
                       shape_text(&x->shape, a), rows);
    return 0;
}

static int
add_output(struct judge *j, int i, int rows, const struct tensor *base,
           const struct tensor *variant, const int64_t *labels,
           const struct tensor *want, struct err *e)
{
    size_t n, classes;
    int rc;

    /* Where rows share a run, shapes do not depend on the data. */
    if (rows == 1 && labels == NULL &&
        !shape_equal(&base->shape, &variant->shape)) {
        j->outputs[i].unlike++;
        return 0;
    }
    rc = check_alike(j, i, rows, base, variant, "the variant's is", e);
    if (rc == 0 && want != NULL)
        rc = check_alike(j, i, rows, base, want, "the data have", e);
    if (rc != 0)
        return rc;
    n = shape_n(&base->shape) / (size_t)rows;
    classes = i == 0 && n > 0 ? n_classes(base, n) : 0;
    if (i == 0)
        j->classes = classes > 0;
    if (i == 0 && labels != NULL && classes == 0)
        return err_set(e, ERR_INVALID,
                       "the data have labels, but output '%s' has no class "
                       "scores along its last axis",
                       model_output(j->model, 0)->name);
    for (int r = 0; r < rows && rc == 0; r++) {
        struct piece b = {base, (size_t)r * n, n};
        struct piece v = {variant, (size_t)r * n, n};

        add_distance(&j->outputs[i], &b, &v);
        if (want != NULL)
            add_reference(&j->outputs[i], &b, &v,
                          &(struct piece){want, (size_t)r * n, n});
        if (classes > 0)
            rc = add_answer(j, b, v, classes,
                            labels != NULL ? &labels[r] : NULL, e);
    }
    return rc;
}

int
judge_add(struct judge *j, int rows, const struct tensor *const *baseline,
          const struct tensor *const *variant, const int64_t *labels,
          const struct tensor *want, struct err *e)
{
    for (int i = 0; i < j->n_outputs; i++) {
        bool has = want != NULL && want[i].data != NULL;
        int rc = add_output(j, i, rows, baseline[i], variant[i], labels,
                            has ? &want[i] : NULL, e);

        if (rc != 0)
            return rc;
    }
    j->n += rows;
    return 0;
}

/* --- summing up
 * ---------------------------------------------------------------- */

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
mean(const double *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return n > 0 ? sum / (double)n : NAN;
}

/* Sorts them. */
static double
quantile(double *v, size_t n, double q)
{
    if (n == 0)
        return NAN;
    qsort(v, n, sizeof *v, by_size);
    return v[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* Single scores become answers: high is over 0.5 for what looks like a
 * probability, else over 0. */
static void
settle_scores(struct judge *j)
{
    double limit = j->wide ? 0 : 0.5;

    for (size_t i = 0; i < j->scores.n; i++) {
        const struct score *s = &j->scores.at[i];
        int x = s->baseline > limit, y = s->variant > limit;

        count_answer(j, x == y && !isnan(s->variant), s->label >= 0,
                     x == s->label, y == s->label && !isnan(s->variant));
    }
    j->scores.n = 0;
}

static void
sum_up_output(struct judge *j, int i, struct judge_output *r)
{
    struct output *o = &j->outputs[i];

    if (o->unlike > 0) {
        *r = (struct judge_output){.name = model_output(j->model, i)->name,
                                   .max_abs = NAN,
                                   .cosine = NAN,
                                   .cosine_p1 = NAN,
                                   .sqnr_db = NAN,
                                   .unlike = o->unlike};
        return;
    }
    *r = (struct judge_output){
        .name = model_output(j->model, i)->name,
        .max_abs = o->max_abs,
        .cosine = mean(o->cosines.at, o->cosines.n),
        .cosine_p1 = quantile(o->cosines.at, o->cosines.n, 0.01),
        .sqnr_db = o->noise > 0 ? 10 * log10(o->signal / o->noise) : INFINITY,
        .baseline_nonfinite = o->baseline_nonfinite,
        .variant_nonfinite = o->variant_nonfinite,
        .has_reference = o->n_reference > 0,
        .baseline_error = o->baseline_error,
        .variant_error = o->variant_error,
        .baseline_cosine = o->baseline_cosine / (double)o->n_reference,
        .variant_cosine = o->variant_cosine / (double)o->n_reference,
    };
}

void
judge_sum_up(struct judge *j, struct judge_result *r)
{
    settle_scores(j);
    *r = (struct judge_result){
        .n = j->n,
        .has_agreement = j->classes && j->n > 0 && j->outputs[0].unlike == 0,
        .agree = j->agree,
        .has_labels = j->n_labels > 0,
        .baseline_right = j->baseline_right,
        .variant_right = j->variant_right,
        .b = j->b,
        .c = j->c,
        .has_kl = j->kl.n > 0 && j->outputs[0].unlike == 0,
        .kl_mean = mean(j->kl.at, j->kl.n),
        .kl_p99 = quantile(j->kl.at, j->kl.n, 0.99),
        .kl_max = quantile(j->kl.at, j->kl.n, 1),
        .max_dp = j->max_dp,
        .n_outputs = j->n_outputs,
        .outputs = mem_new((size_t)j->n_outputs, sizeof *r->outputs),
    };
    for (int i = 0; i < j->n_outputs; i++)
        sum_up_output(j, i, &r->outputs[i]);
}

void
judge_result_free(struct judge_result *r)
{
    mem_free(r->outputs);
    *r = (struct judge_result){0};
}
