/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "quant/advice.h"
#include "quant/cmd.h"
#include "quant/coverage.h"

static const struct trial *
chosen(const struct report *r)
{
    return r->chosen >= 0 ? &r->trials[r->chosen] : NULL;
}

/* Where a file lies is the caller's affair; its name tells which it is. */
static json_t *
file_json(const char *path)
{
    const char *slash = strrchr(path, '/');

    return cmd_text(slash != NULL && slash[1] != '\0' ? slash + 1 : path);
}

static json_t *
whole(size_t n)
{
    return json_integer((json_int_t)n);
}

/* --- the run -------------------------------------------------------------- */

static json_t *
date_json(void)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[32];

    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

/* "model name" of /proc/cpuinfo; null where there is none. */
static json_t *
cpu_json(void)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    json_t *name = NULL;
    char line[256];

    while (f != NULL && name == NULL && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        name = cmd_text(colon + 1 + (colon[1] == ' '));
    }
    if (f != NULL)
        fclose(f);
    return name != NULL ? name : json_null();
}

static json_t *
engine_json(const struct report *r)
{
    return json_pack("{s:s, s:s, s:b, s:i, s:o}", "isa", engine_isa(), "onednn",
                     engine_dnn_version(), "vnni", engine_has_vnni(), "threads",
                     r->threads, "cpu", cpu_json());
}

static json_t *
stats_json(const struct report *r, const struct data *d)
{
    json_t *inputs = json_array();

    for (int i = 0; i < model_n_inputs(r->baseline.model); i++) {
        struct seen_stats s;

        seen_stats(data_seen(d), i, &s);
        json_array_append_new(
            inputs, json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "name",
                              cmd_text(model_input(r->baseline.model, i)->name),
                              "mean", cmd_real(s.mean), "std", cmd_real(s.std),
                              "min", cmd_real(s.min), "max", cmd_real(s.max),
                              "nonfinite", (json_int_t)s.n_nonfinite));
    }
    return inputs;
}

static json_t *
set_json(const struct report *r, const struct report_set *s)
{
    if (s->path == NULL)
        return json_null();
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:b, s:b, s:o}", "file", file_json(s->path),
        "sha256", s->sha256, "samples", (json_int_t)data_n(s->data), "distinct",
        (json_int_t)seen_distinct(data_seen(s->data)), "labels",
        data_has_labels(s->data), "outputs", data_has_outputs(s->data),
        "inputs", stats_json(r, s->data));
}

static json_t *
policy_json(const struct report *r)
{
    const struct policy *p = &r->policy;

    return json_pack("{s:o, s:o, s:o, s:f}", "max_loss", cmd_real(p->max_loss),
                     "min_agreement", cmd_real(p->min_agreement), "min_speedup",
                     cmd_real(p->min_speedup), "confidence", 0.95);
}

/* --- sizes and speed
 * ---------------------------------------------------------- */

static json_t *
share_json(int64_t k, int64_t n)
{
    return n > 0 ? json_real((double)k / (double)n) : json_null();
}

static json_t *
ratio_json(size_t a, size_t b)
{
    return b > 0 ? json_real((double)a / (double)b) : json_null();
}

/* Latency of one model at batch 1. */
static json_t *
latency_json(const struct bench_result *b)
{
    return json_pack("{s:i, s:o, s:o, s:o}", "batch", 1, "p50_us",
                     cmd_real(b->p50_ns / 1e3), "p99_us",
                     cmd_real(b->p99_ns / 1e3), "mean_us",
                     cmd_real(b->mean_ns / 1e3));
}

static json_t *
throughput_json(int batch, const struct bench_result *b)
{
    return json_pack("{s:i, s:o}", "batch", batch, "rows_per_second",
                     cmd_real(b->rows_per_second));
}

/* Adds the baseline's figures of the same run, and how many times faster. */
static void
add_comparison(json_t *j, const char *key, json_t *baseline,
               const struct bench_result *b)
{
    json_object_set_new(j, key, baseline);
    json_object_set_new(j, "speedup", cmd_real(b->speedup));
    json_object_set_new(j, "speedup_interval",
                        json_pack("[o, o]", cmd_real(b->speedup_low),
                                  cmd_real(b->speedup_high)));
}

static void
add_speed(json_t *j, const struct trial *t)
{
    json_t *latency, *throughput;

    if (!t->timed) {
        json_object_set_new(j, "latency", json_null());
        json_object_set_new(j, "throughput", json_null());
        return;
    }
    latency = latency_json(&t->one.variant);
    add_comparison(latency, "baseline", latency_json(&t->one.baseline),
                   &t->one.variant);
    throughput = throughput_json(t->best.batch, &t->best.variant);
    add_comparison(throughput, "baseline",
                   throughput_json(t->best.batch, &t->best.baseline),
                   &t->best.variant);
    json_object_set_new(j, "latency", latency);
    json_object_set_new(j, "throughput", throughput);
}

static json_t *
side_json(const struct trial_side *s)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "sha256", s->sha256,
                     "file_bytes", whole(s->file_bytes), "weight_bytes",
                     whole(s->memory.weights), "packed_bytes",
                     whole(s->memory.packed), "resident_bytes",
                     whole(s->resident));
}

static json_t *
baseline_json(const struct report *r)
{
    const struct trial *t = chosen(r);
    const struct trial_speed *one = t != NULL ? &t->one : &r->one;
    const struct trial_speed *best = t != NULL ? &t->best : &r->best;
    bool timed = t != NULL ? t->timed : r->timed;
    bool judged = t != NULL && t->judged && t->judge.has_labels;
    json_t *j = side_json(&r->baseline);

    json_object_set_new(j, "variant", json_string("fp32"));
    json_object_set_new(j, "accuracy",
                        judged ? share_json(t->judge.baseline_right, t->judge.n)
                               : json_null());
    json_object_set_new(j, "latency",
                        timed ? latency_json(&one->baseline) : json_null());
    json_object_set_new(j, "throughput",
                        timed ? throughput_json(best->batch, &best->baseline)
                              : json_null());
    return j;
}

/* --- answers
 * ------------------------------------------------------------------- */

static json_t *
accuracy_json(const struct trial *t)
{
    const struct judge_result *r = &t->judge;
    const struct policy_verdict *v = &t->verdict;

    if (!t->judged || !r->has_labels)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:[o, o], s:I, s:{s:I, s:I}}", "baseline",
                     share_json(r->baseline_right, r->n), "variant",
                     share_json(r->variant_right, r->n), "loss_points",
                     cmd_real(v->loss), "interval", cmd_real(v->loss_low),
                     cmd_real(v->loss_high), "samples", (json_int_t)r->n,
                     "flips", "right_to_wrong", (json_int_t)r->b,
                     "wrong_to_right", (json_int_t)r->c);
}

static json_t *
agreement_json(const struct trial *t)
{
    const struct policy_verdict *v = &t->verdict;

    if (!t->judged || !t->judge.has_agreement)
        return json_null();
    return json_pack(
        "{s:o, s:[o, o], s:I, s:I}", "top1", cmd_real(v->agreement), "interval",
        cmd_real(v->agreement_low), cmd_real(v->agreement_high), "samples",
        (json_int_t)t->judge.n, "equal", (json_int_t)t->judge.agree);
}

static json_t *
kl_json(const struct judge_result *r)
{
    if (!r->has_kl)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "mean", cmd_real(r->kl_mean),
                     "p99", cmd_real(r->kl_p99), "max", cmd_real(r->kl_max),
                     "max_probability_change", cmd_real(r->max_dp));
}

static json_t *
output_json(const struct judge_output *o)
{
    json_t *j = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:b, s:I, s:I, s:I}", "name",
        cmd_text(o->name), "max_abs", cmd_real(o->max_abs), "cosine",
        cmd_real(o->cosine), "cosine_p1", cmd_real(o->cosine_p1), "sqnr_db",
        cmd_real(o->sqnr_db), "identical", isinf(o->sqnr_db), "nonfinite",
        (json_int_t)o->variant_nonfinite, "baseline_nonfinite",
        (json_int_t)o->baseline_nonfinite, "other_shape",
        (json_int_t)o->unlike);

    if (o->has_reference)
        json_object_set_new(j, "reference",
                            json_pack("{s:{s:o, s:o}, s:{s:o, s:o}}",
                                      "baseline", "max_abs",
                                      cmd_real(o->baseline_error), "cosine",
                                      cmd_real(o->baseline_cosine), "variant",
                                      "max_abs", cmd_real(o->variant_error),
                                      "cosine", cmd_real(o->variant_cosine)));
    return j;
}

/* The worst of the outputs stands for the variant. */
static void
add_answers(json_t *j, const struct trial *t)
{
    const struct judge_result *r = &t->judge;
    double cosine = NAN, sqnr = NAN;
    json_t *outputs = json_array();
    int64_t nonfinite = 0;

    for (int i = 0; i < r->n_outputs; i++) {
        json_array_append_new(outputs, output_json(&r->outputs[i]));
        cosine = fmin(cosine, r->outputs[i].cosine);
        sqnr = fmin(sqnr, r->outputs[i].sqnr_db);
        nonfinite += r->outputs[i].variant_nonfinite;
    }
    json_object_set_new(j, "accuracy", accuracy_json(t));
    json_object_set_new(j, "agreement", agreement_json(t));
    json_object_set_new(j, "kl", kl_json(r));
    json_object_set_new(j, "cosine", cmd_real(cosine));
    json_object_set_new(j, "sqnr_db", cmd_real(sqnr));
    json_object_set_new(j, "nonfinite",
                        t->judged ? json_integer(nonfinite) : json_null());
    json_object_set_new(j, "outputs", outputs);
    json_object_set_new(
        j, "edge_inputs",
        json_pack("{s:i, s:I, s:I, s:o}", "tried", t->probe.n, "nonfinite",
                  (json_int_t)t->probe.variant_nonfinite, "baseline_nonfinite",
                  (json_int_t)t->probe.baseline_nonfinite, "worst",
                  cmd_text(t->probe.worst)));
}

/* --- layers and ranges
 * ---------------------------------------------------------- */

struct layers {
    const struct quant_result *quant;
    json_t *array;
    struct coverage coverage;
};

static const struct quant_layer *
find_layer(const struct quant_result *q, const char *node)
{
    for (size_t i = 0; q != NULL && i < q->layers.n; i++)
        if (strcmp(q->layers.at[i].node, node) == 0)
            return &q->layers.at[i];
    return NULL;
}

static void
add_layer(void *arg, const struct model_step *s)
{
    struct layers *l = arg;
    const struct quant_layer *q = find_layer(l->quant, s->node);
    json_t *j;

    coverage_add(&l->coverage, s);
    if (!coverage_is_layer(s->op))
        return;
    j = json_pack("{s:o, s:s, s:s, s:s, s:o}", "node", cmd_text(s->node), "op",
                  s->op, "precision", s->precision, "impl", s->impl, "note",
                  cmd_text(s->note));
    if (q != NULL) {
        bool has_input = q->input >= 0;

        json_object_set_new(j, "quantized",
                            json_string(quant_precision_name(q->precision)));
        json_object_set_new(j, "reason", cmd_text(q->reason));
        json_object_set_new(j, "weight_scales", json_integer(q->channels));
        json_object_set_new(j, "weight_sqnr_db", cmd_real(q->weight_sqnr_db));
        json_object_set_new(
            j, "input_sqnr_db",
            has_input ? cmd_real(l->quant->tensors.at[q->input].sqnr_db)
                      : json_null());
    }
    json_array_append_new(l->array, j);
}

static void
add_layers(json_t *j, const struct trial *t)
{
    struct layers l = {.quant = t->quant, .array = json_array()};
    char text[400];
    struct err e;

    /* Told for the shapes it was run with; without any, not told. */
    if (t->side.shapes != NULL &&
        model_describe(t->side.model, t->side.shapes, add_layer, &l, &e) == 0)
        json_object_set_new(
            j, "coverage",
            json_pack("{s:i, s:i, s:i, s:i, s:i, s:s}", "layers",
                      l.coverage.n_layers, "int8", l.coverage.n_int8, "steps",
                      l.coverage.n_steps, "plain", l.coverage.n_plain, "ref",
                      l.coverage.n_ref, "text",
                      coverage_text(&l.coverage, text, sizeof text)));
    else
        json_object_set_new(j, "coverage", json_null());
    json_object_set_new(j, "layers", l.array);
}

static json_t *
range_json(const struct quant_tensor *t)
{
    return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o,"
                     " s:o, s:I}",
                     "tensor", cmd_text(t->name), "quantized", t->quantized,
                     "min", cmd_real((double)t->min), "max",
                     cmd_real((double)t->max), "mean", cmd_real(t->mean), "std",
                     cmd_real(t->std), "low", cmd_real((double)t->low), "high",
                     cmd_real((double)t->high), "scale",
                     cmd_real((double)t->scale), "zero", t->zero, "clipped",
                     cmd_real(t->clipped), "sqnr_db", cmd_real(t->sqnr_db),
                     "nonfinite", (json_int_t)t->nonfinite);
}

static json_t *
calibration_json(const struct report *r, const struct trial *t)
{
    const struct quant_result *q = t->quant;
    json_t *ranges;

    if (q == NULL)
        return json_null();
    ranges = json_array();
    for (size_t i = 0; i < q->tensors.n; i++)
        json_array_append_new(ranges, range_json(&q->tensors.at[i]));
    return json_pack(
        "{s:o, s:I, s:I, s:s, s:b, s:o}", "method",
        q->samples > 0 ? json_string(quant_calibrator_name(q->calibrator))
                       : json_null(),
        "samples", (json_int_t)q->samples, "skipped", (json_int_t)q->skipped,
        "granularity",
        r->options != NULL && r->options->per_tensor ? "tensor" : "channel",
        "weights_7_bit", q->reduce_range, "ranges", ranges);
}

/* --- verdicts
 * --------------------------------------------------------------------- */

static void
add_verdict(json_t *j, const struct trial *t)
{
    const struct policy_verdict *v = &t->verdict;

    json_object_set_new(j, "variant", cmd_text(t->variant));
    json_object_set_new(j, "decision", cmd_text(policy_grade_name(v->grade)));
    json_object_set_new(j, "accepted",
                        json_boolean(v->state == POLICY_ACCEPTED));
    json_object_set_new(j, "state", json_string(policy_state_name(v->state)));
    json_object_set_new(j, "reason", json_string(v->reason));
    json_object_set_new(j, "samples_needed",
                        v->needed > 0 ? json_integer(v->needed) : json_null());
}

static void
add_no_verdict(json_t *j, const struct report *r)
{
    json_object_set_new(j, "variant", json_null());
    json_object_set_new(j, "decision", json_null());
    json_object_set_new(j, "accepted", json_false());
    json_object_set_new(j, "state", json_string("none"));
    json_object_set_new(j, "reason", cmd_text(r->no_why));
    json_object_set_new(j, "samples_needed", json_null());
}

static json_t *
trial_json(const struct report *r, const struct trial *t)
{
    json_t *j = side_json(&t->side);

    add_verdict(j, t);
    json_object_set_new(j, "recipe", json_string(t->recipe));
    json_object_set_new(j, "size_ratio",
                        ratio_json(t->side.file_bytes, r->baseline.file_bytes));
    json_object_set_new(
        j, "weight_ratio",
        ratio_json(t->side.memory.weights, r->baseline.memory.weights));
    json_object_set_new(j, "resident_ratio",
                        ratio_json(t->side.resident, r->baseline.resident));
    add_answers(j, t);
    add_speed(j, t);
    add_layers(j, t);
    json_object_set_new(j, "calibration", calibration_json(r, t));
    return j;
}

static void
append_text(void *arg, const char *text)
{
    json_array_append_new(arg, cmd_text(text));
}

static void
append_item(void *arg, const struct advice_item *i)
{
    json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:o}", "section",
                                         i->section, "item", i->item, "result",
                                         advice_result_name(i->result),
                                         "evidence", cmd_text(i->evidence)));
}

json_t *
report_json(const struct report *r)
{
    json_t *variants = json_array(), *warnings = json_array();
    json_t *checklist = json_array(), *j;

    for (int i = 0; i < r->n_trials; i++)
        json_array_append_new(variants, trial_json(r, &r->trials[i]));
    advice_warnings(r, append_text, warnings);
    advice_checklist(r, append_item, checklist);
    j = json_pack("{s:i, s:o, s:s, s:{s:o, s:s, s:o}, s:o, s:s, s:{s:o, s:o,"
                  " s:I}, s:o, s:o, s:o}",
                  "format", 1, "created", date_json(), "quantd", QUANTD_VERSION,
                  "model", "file", file_json(r->baseline.path), "sha256",
                  r->baseline.sha256, "bytes", whole(r->baseline.file_bytes),
                  "engine", engine_json(r), "recipe", r->recipe, "data",
                  "calibration", set_json(r, &r->calibration), "validation",
                  set_json(r, &r->validation), "overlap",
                  (json_int_t)r->overlap, "policy", policy_json(r), "baseline",
                  baseline_json(r), "variants", variants);
    if (chosen(r) != NULL)
        add_verdict(j, chosen(r));
    else
        add_no_verdict(j, r);
    json_object_set_new(j, "warnings", warnings);
    json_object_set_new(j, "checklist", checklist);
    return j;
}

json_t *
report_result(const struct report *r)
{
    json_t *j = json_object();

    if (chosen(r) != NULL)
        add_verdict(j, chosen(r));
    else
        add_no_verdict(j, r);
    return json_pack("{s:o}", "result", j);
}

int
report_write(const struct report *r, const char *path, struct err *e)
{
    json_t *j = report_json(r);
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    int rc;

    json_decref(j);
    if (text == NULL)
        return err_set(e, ERR_NO_MEMORY, "%s: report", path);
    rc = file_write(path, text, strlen(text), e);
    free(text);
    return rc;
}

/* --- for people
 * -------------------------------------------------------------------- */

static void
print_row(const char *what, const char *baseline, const char *variant,
          const char *note)
{
    printf("%-14s %14s %14s   %s\n", what, baseline, variant, note);
}

static void
print_bytes(const char *what, size_t a, size_t b)
{
    char x[32], y[32], note[64];

    snprintf(note, sizeof note, "%.2f times smaller",
             b > 0 ? (double)a / (double)b : 0);
    print_row(what, cmd_bytes((double)a, x), cmd_bytes((double)b, y), note);
}

static void
print_answers(const struct trial *t)
{
    const struct policy_verdict *v = &t->verdict;
    const struct judge_result *r = &t->judge;
    char a[32], b[32], note[160];

    if (r->has_labels) {
        snprintf(a, sizeof a, "%.2f %%",
                 100 * (double)r->baseline_right / (double)r->n);
        snprintf(b, sizeof b, "%.2f %%",
                 100 * (double)r->variant_right / (double)r->n);
        snprintf(note, sizeof note,
                 "%.2f points lost (%.2f to %.2f) on %lld samples", v->loss,
                 v->loss_low, v->loss_high, (long long)r->n);
        print_row("accuracy", a, b, note);
    }
    if (r->has_agreement) {
        snprintf(b, sizeof b, "%.2f %%", 100 * v->agreement);
        snprintf(note, sizeof note, "of %lld answers", (long long)r->n);
        print_row("agreement", "", b, note);
    }
    for (int i = 0; i < r->n_outputs; i++) {
        const struct judge_output *o = &r->outputs[i];

        snprintf(b, sizeof b, "%.1f dB", o->sqnr_db);
        snprintf(note, sizeof note, "cosine %.5f, of %.60s", o->cosine,
                 o->name);
        if (o->unlike > 0) {
            snprintf(b, sizeof b, "none");
            snprintf(note, sizeof note,
                     "%lld of %lld have another shape: %.60s",
                     (long long)o->unlike, (long long)r->n, o->name);
        }
        print_row("SQNR", "", b, note);
    }
}

static void
print_speed(const struct trial *t)
{
    const struct trial_speed *o = &t->one, *m = &t->best;
    char a[32], b[32], note[96], what[32];

    snprintf(a, sizeof a, "%.3f ms", o->baseline.p50_ns / 1e6);
    snprintf(b, sizeof b, "%.3f ms", o->variant.p50_ns / 1e6);
    snprintf(note, sizeof note, "%.2f times faster (%.2f to %.2f)",
             o->variant.speedup, o->variant.speedup_low,
             o->variant.speedup_high);
    print_row("latency p50", a, b, note);
    snprintf(a, sizeof a, "%.3f ms", o->baseline.p99_ns / 1e6);
    snprintf(b, sizeof b, "%.3f ms", o->variant.p99_ns / 1e6);
    print_row("latency p99", a, b, "");
    snprintf(a, sizeof a, "%.1f/s", m->baseline.rows_per_second);
    snprintf(b, sizeof b, "%.1f/s", m->variant.rows_per_second);
    snprintf(note, sizeof note, "%.2f times more (%.2f to %.2f)",
             m->variant.speedup, m->variant.speedup_low,
             m->variant.speedup_high);
    snprintf(what, sizeof what, "rows, batch %d", m->batch);
    print_row(what, a, b, note);
}

static void
print_warning(void *arg, const char *text)
{
    (void)arg;
    printf("warning: %s\n", text);
}

static void
count_step(void *arg, const struct model_step *s)
{
    coverage_add(arg, s);
}

static void
print_coverage(const struct trial *t)
{
    struct coverage c = {0};
    char text[400];
    struct err e;

    if (t->side.shapes != NULL &&
        model_describe(t->side.model, t->side.shapes, count_step, &c, &e) == 0)
        printf("%-14s %s\n", "layers", coverage_text(&c, text, sizeof text));
}

static void
print_trial(const struct report *r, const struct trial *t)
{
    const char *grade = policy_grade_name(t->verdict.grade);

    print_row("", "fp32", t->variant, t->recipe);
    print_bytes("file", r->baseline.file_bytes, t->side.file_bytes);
    print_bytes("weights", r->baseline.memory.weights, t->side.memory.weights);
    if (t->judged)
        print_answers(t);
    if (t->timed)
        print_speed(t);
    print_coverage(t);
    printf("%s%s%s: %s\n\n", policy_state_name(t->verdict.state),
           grade != NULL ? ", " : "", grade != NULL ? grade : "",
           t->verdict.reason);
}

void
report_print(const struct report *r)
{
    char text[32];

    for (int i = 0; i < r->n_trials; i++)
        print_trial(r, &r->trials[i]);
    if (chosen(r) == NULL) {
        printf("fp32: %s", cmd_bytes((double)r->baseline.file_bytes, text));
        if (r->timed)
            printf(", p50 %.3f ms, %.1f rows/s at batch %d",
                   r->one.baseline.p50_ns / 1e6,
                   r->best.baseline.rows_per_second, r->best.batch);
        printf("\nno variant: %s\n\n", r->no_why);
    }
    advice_warnings(r, print_warning, NULL);
}
