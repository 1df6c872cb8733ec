/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an FP32 model to a variant and the report that says what it costs and
 * gains: parse, calibrate, quantize, validate, benchmark.  A variant that was
 * made elsewhere (--ready-made) is judged in the same way.
 *
 * Files are made in a folder of their own and renamed at the end, so that a
 * run which is stopped leaves nothing behind.  A variant that the policy
 * rejects is written all the same, for inspection; the exit code tells.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "quant/already.h"
#include "quant/cmd.h"
#include "quant/progress.h"
#include "quant/report.h"
#include "quant/scratch.h"

struct job {
    const char *model, *out, *ready_made, *report_path, *variant, *recipe;
    const char *calibrator, *granularity, *calibration, *validation;
    struct texts exclude;
    const char *later[4]; /* options of recipes that are not there yet */
    double smooth, seconds;
    int samples, threads;

    struct quant_options options;
    struct quant_result results[REPORT_MAX_TRIALS];
    char *paths[REPORT_MAX_TRIALS];
    struct graph *graph; /* simplified */
    struct data *calib, *valid;
    struct report report;
    struct progress *progress;
};

/* Recipes by the variant they make; NULL: not there yet. */
static const struct {
    const char *name, *variant;
} recipes[] = {
    {"auto", ""},       {"none", ""},        {"dynamic", "int8-dynamic"},
    {"static", "int8"}, {"mixed", NULL},     {"bf16", NULL},
    {"int4-rtn", NULL}, {"int4-gptq", NULL}, {"int4-awq", NULL},
};

/* --- options
 * ------------------------------------------------------------------ */

static int
check_later(const struct job *job, struct err *e)
{
    static const char *const names[] = {"equalize", "bias-correction",
                                        "adaround"};

    for (int i = 0; i < 3; i++) {
        const char *v = job->later[i];

        if (v == NULL || strcmp(v, "off") == 0)
            continue;
        if (strcmp(v, "on") != 0)
            return err_set(e, ERR_INVALID, "--%s: on or off, not '%s'",
                           names[i], v);
        return err_set(e, ERR_UNSUPPORTED, "--%s is not supported yet",
                       names[i]);
    }
    if (isfinite(job->smooth))
        return err_set(e, ERR_UNSUPPORTED, "--smooth is not supported yet");
    return 0;
}

static int
check_recipe(const struct job *job, struct err *e)
{
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        if (strcmp(recipes[i].name, job->recipe) != 0)
            continue;
        if (recipes[i].variant == NULL)
            return err_set(e, ERR_UNSUPPORTED,
                           "recipe %s is not supported yet: auto, none, "
                           "dynamic and static are",
                           job->recipe);
        return 0;
    }
    return err_set(e, ERR_INVALID, "--recipe: no recipe '%s'", job->recipe);
}

/* Names and patterns, apart at commas. */
static void
split_excludes(struct job *job, struct texts *kept)
{
    for (size_t i = 0; i < job->exclude.v.n; i++) {
        char *copy = mem_strdup(job->exclude.v.at[i]), *rest = copy, *word;

        while ((word = strtok_r(rest, ",", &rest)) != NULL)
            VEC_PUSH(&kept->v, mem_strdup(word));
        mem_free(copy);
    }
    job->options.exclude = kept->v.at;
    job->options.n_exclude = (int)kept->v.n;
}

static int
check_options(struct job *job, struct err *e)
{
    struct quant_options *o = &job->options;
    int rc, calibrator = quant_calibrator_find(job->calibrator);

    if ((rc = check_recipe(job, e)) != 0 || (rc = check_later(job, e)) != 0)
        return rc;
    if (calibrator < 0)
        return err_set(e, ERR_INVALID,
                       "--calibrator: minmax, percentile, mse or entropy, not "
                       "'%s'",
                       job->calibrator);
    if (strcmp(job->granularity, "channel") != 0 &&
        strcmp(job->granularity, "tensor") != 0)
        return err_set(e, ERR_INVALID,
                       "--granularity: channel or tensor, not '%s'",
                       job->granularity);
    if (strcmp(job->recipe, "static") == 0 && job->calibration == NULL)
        return err_set(e, ERR_INVALID,
                       "recipe static needs --calibration data");
    if (job->out == NULL && job->ready_made == NULL &&
        strcmp(job->recipe, "none") != 0)
        return err_set(e, ERR_INVALID, "-o OUT is missing");
    if (job->out != NULL && job->ready_made != NULL)
        return err_set(e, ERR_INVALID, "either -o OUT or --ready-made FILE");
    o->calibrator = (enum quant_calibrator)calibrator;
    o->per_tensor = strcmp(job->granularity, "tensor") == 0;
    o->samples = job->samples;
    o->batch = TRIAL_MAX_BATCH;
    return 0;
}

/* --- quantizing
 * ------------------------------------------------------------------ */

/* data_next() as the quantizer asks for samples. */
static int
next_samples(void *arg, int max_rows, struct tensor *in, int *rows,
             struct err *e)
{
    struct job *job = arg;
    const struct model *m = job->report.baseline.model;
    int64_t left = data_left(job->calib);
    struct data_batch b;
    int rc;

    if (max_rows > left)
        max_rows = (int)left;
    if (max_rows > 1)
        max_rows = model_max_batch(m) > 0 ? model_batch_fit(m, max_rows) : 1;
    if ((rc = data_next(job->calib, max_rows, &b, e)) != 0)
        return rc;
    for (int i = 0; i < b.n_in; i++)
        in[i] = b.in[i];
    *rows = b.rows;
    return 0;
}

static int
quantize_static(struct job *job, struct quant_result *r, struct graph **out,
                struct err *e)
{
    const struct quant_source source = {next_samples, job,
                                        (long)data_n(job->calib)};
    struct quant_progress hook = progress_hook(job->progress);
    struct observation *seen;
    int rc = data_rewind(job->calib, e);

    if (rc != 0)
        return rc;
    progress_phase(job->progress, "calibrate", NULL);
    /* Calibration only has to be quick; everything else is measured as a
     * serving worker would run it. */
    engine_set_threads(job->threads);
    rc = quant_observe(job->graph, &job->options, &source, &hook, &seen, e);
    engine_set_threads(job->report.threads);
    if (rc != 0)
        return rc;
    progress_phase(job->progress, "quantize",
                   quant_calibrator_name(job->options.calibrator));
    rc = quant_static(job->graph, &job->options, seen, r, out, e);
    observation_free(&seen);
    return rc;
}

static int
quantize(struct job *job, const char *recipe, struct quant_result *r,
         struct graph **out, struct err *e)
{
    if (strcmp(recipe, "static") == 0)
        return quantize_static(job, r, out, e);
    progress_phase(job->progress, "quantize", recipe);
    return quant_dynamic(job->graph, &job->options, r, out, e);
}

/* Puts a variant's file on trial. */
static int
try_file(struct job *job, const char *path, const char *recipe,
         const char *variant, struct err *e)
{
    struct report *r = &job->report;
    int k = r->n_trials++, rc;
    struct trial *t = &r->trials[k];

    t->variant = job->variant != NULL ? job->variant : variant;
    t->recipe = recipe;
    r->policy.tries = r->n_trials;
    rc = trial_open(path, job->valid != NULL ? job->valid : job->calib,
                    &t->side, e);
    if (rc != 0)
        return rc;
    return trial_run(t, &r->baseline, job->valid, &r->policy, job->seconds,
                     job->progress, e);
}

/* Quantizes by one recipe; what is tried is the file that would be served. */
static int
try_recipe(struct job *job, const char *recipe, const char *variant,
           struct err *e)
{
    int k = job->report.n_trials, rc;
    const char *slash = strrchr(job->out, '/');
    struct graph *g;

    if ((rc = quantize(job, recipe, &job->results[k], &g, e)) != 0)
        return rc;
    job->paths[k] =
        scratch_path(recipe, slash != NULL ? slash + 1 : job->out, e);
    rc = job->paths[k] == NULL ? (int)e->code : graph_save(g, job->paths[k], e);
    graph_free(&g);
    if (rc != 0)
        return rc;
    job->report.trials[k].quant = &job->results[k];
    return try_file(job, job->paths[k], recipe, variant, e);
}

/* The better state wins; of equals, what was tried first. */
static void
choose(struct report *r)
{
    r->chosen = 0;
    for (int i = 1; i < r->n_trials; i++)
        if (r->trials[i].verdict.state < r->trials[r->chosen].verdict.state)
            r->chosen = i;
}

/* Static where there are calibration data, dynamic where there are none or
 * static does not pass. */
static int
try_auto(struct job *job, struct err *e)
{
    const struct report *r = &job->report;
    int rc;

    if (job->calib != NULL) {
        rc = try_recipe(job, "static", "int8", e);
        if ((rc != 0 && rc != ERR_UNSUPPORTED) ||
            (rc == 0 && r->trials[0].verdict.state != POLICY_REJECTED))
            return rc;
    }
    rc = try_recipe(job, "dynamic", "int8-dynamic", e);
    /* Dynamic may find nothing to do where static did. */
    return rc == ERR_UNSUPPORTED && r->n_trials > 0 ? 0 : rc;
}

/* Numbers that are rounded once are not to be rounded again. */
static int
refuse_quantized(const struct job *job, struct err *e)
{
    const struct node *node;

    if (already_quantized(job->graph, &node) == ALREADY_NOT)
        return 0;
    return err_set(e, ERR_UNSUPPORTED,
                   "the model is quantized already (node %s, %s): it is "
                   "served as it is; to quantize it here, give the float model",
                   node->name, op_name(node->op));
}

static int
make_variant(struct job *job, struct err *e)
{
    struct report *r = &job->report;
    int rc = job->ready_made == NULL ? refuse_quantized(job, e) : 0;

    if (rc != 0)
        return rc;
    if (job->ready_made != NULL)
        rc = try_file(job, job->ready_made, "ready-made", "int8-qat", e);
    else if (strcmp(job->recipe, "static") == 0)
        rc = try_recipe(job, "static", "int8", e);
    else if (strcmp(job->recipe, "dynamic") == 0)
        rc = try_recipe(job, "dynamic", "int8-dynamic", e);
    else
        rc = try_auto(job, e);
    if (rc != 0)
        return rc;
    choose(r);
    return 0;
}

/* --- the whole
 * ---------------------------------------------------------------------- */

static int
open_set(struct job *job, const char *path, enum data_role role,
         struct data **d, struct report_set *s, struct err *e)
{
    int rc;

    if (path == NULL)
        return 0;
    if ((rc = data_open(path, job->report.baseline.model, role, d, e)) != 0 ||
        (rc = data_digest(*d, s->sha256, e)) != 0)
        return err_wrap(e, "%s data",
                        role == DATA_CALIBRATION ? "calibration"
                                                 : "validation");
    s->path = path;
    s->data = *d;
    return 0;
}

static int
open_all(struct job *job, struct err *e)
{
    struct report *r = &job->report;
    int rc;

    progress_phase(job->progress, "parse", job->model);
    if ((rc = graph_load(job->model, &job->graph, e)) != 0 ||
        (rc = graph_simplify(job->graph, e)) != 0)
        return cmd_name_file(e, job->model);
    if ((rc = trial_open(job->model, NULL, &r->baseline, e)) != 0)
        return rc;
    if ((rc = open_set(job, job->calibration, DATA_CALIBRATION, &job->calib,
                       &r->calibration, e)) != 0 ||
        (rc = open_set(job, job->validation, DATA_VALIDATION, &job->valid,
                       &r->validation, e)) != 0)
        return rc;
    if (job->calib != NULL)
        data_limit(job->calib, job->samples);
    if (job->valid != NULL || job->calib != NULL)
        rc = trial_learn_shapes(
            &r->baseline, job->valid != NULL ? job->valid : job->calib, e);
    return rc;
}

/* Times the model alone: there is no variant. */
static int
time_baseline(struct job *job, struct err *e)
{
    struct report *r = &job->report;
    int rc = 0;

    if (r->baseline.shapes != NULL && job->seconds > 0) {
        rc = trial_time(&r->baseline, NULL, job->valid, job->seconds,
                        job->progress, &r->one, &r->best, e);
        r->timed = rc == 0;
    }
    return rc;
}

static int
move(const char *from, const char *to, struct err *e)
{
    char *data = mem_printf("%s.data", from);
    char *data_to = mem_printf("%s.data", to);
    int rc = 0;

    if ((access(data, F_OK) == 0 && rename(data, data_to) != 0) ||
        rename(from, to) != 0)
        rc = err_errno(e, "%s", to);
    if (rc == 0)
        rc = file_sync_parent(to, e);
    mem_free(data);
    mem_free(data_to);
    return rc;
}

static int
publish(struct job *job, struct err *e)
{
    struct report *r = &job->report;
    bool made = r->chosen >= 0 && job->paths[r->chosen] != NULL;
    char now[DIGEST_HEX + 1];
    int rc;

    if ((rc = digest_file(job->model, now, e)) != 0)
        return rc;
    r->unchanged = strcmp(now, r->baseline.sha256) == 0;
    if (job->calib != NULL && job->valid != NULL)
        r->overlap = seen_overlap(data_seen(job->calib), data_seen(job->valid));
    if (made && (rc = file_sync(job->paths[r->chosen], e)) != 0)
        return rc;
    scratch_settle();
    /* What may find the disk full comes first. */
    if (job->report_path != NULL &&
        (rc = report_write(r, job->report_path, e)) != 0)
        return rc;
    return made ? move(job->paths[r->chosen], job->out, e) : 0;
}

static int
work(struct job *job, struct err *e)
{
    struct report *r = &job->report;
    int rc = open_all(job, e);

    if (rc != 0)
        return rc;
    if (strcmp(job->recipe, "none") == 0 && job->ready_made == NULL) {
        r->no_why = "recipe none makes none";
        rc = time_baseline(job, e);
    } else {
        rc = make_variant(job, e);
        r->options = &job->options;
    }
    return rc != 0 ? rc : publish(job, e);
}

static void
release(struct job *job)
{
    for (int i = 0; i < job->report.n_trials; i++)
        trial_free(&job->report.trials[i]);
    for (int i = 0; i < REPORT_MAX_TRIALS; i++) {
        quant_result_free(&job->results[i]);
        mem_free(job->paths[i]);
    }
    data_free(&job->calib);
    data_free(&job->valid);
    trial_close(&job->report.baseline);
    graph_free(&job->graph);
    progress_free(&job->progress);
    scratch_free();
}

static int
finish(struct job *job, bool json)
{
    const struct report *r = &job->report;
    int exit_code = CMD_DONE;

    if (r->chosen >= 0 && r->trials[r->chosen].verdict.state == POLICY_REJECTED)
        exit_code = CMD_REJECTED;
    if (json)
        return cmd_print_line(report_result(r), exit_code);
    report_print(r);
    return exit_code;
}

/* A file that the job will write, or NULL. */
static const char *
last_file(const struct job *job)
{
    return job->out != NULL ? job->out : job->report_path;
}

static int
run_job(struct job *job, const struct cmd_common *common)
{
    struct err e;
    int exit_code;

    job->report.recipe = job->recipe;
    job->threads = common->threads;
    engine_set_threads(job->report.threads);
    job->report.chosen = -1;
    if (last_file(job) != NULL && scratch_new(last_file(job), &e) != 0)
        return cmd_fail(common->json, &e);
    job->progress = progress_new(common->json);
    if (work(job, &e) != 0) {
        scratch_settle();
        progress_free(&job->progress);
        exit_code = cmd_fail(common->json, &e);
    } else {
        progress_free(&job->progress);
        exit_code = finish(job, common->json);
    }
    release(job);
    return exit_code;
}

int
cmd_quantize(const struct cmd *c, int argc, char **argv)
{
    struct cmd_common common = {0};
    struct texts words = {0}, excludes = {0};
    struct job job = {.recipe = "auto",
                      .granularity = "channel",
                      .smooth = NAN,
                      .seconds = 2,
                      .report.threads = 1};
    struct policy *p = &job.report.policy;
    struct err e;
    int exit_code;

    quant_options_init(&job.options);
    policy_init(p);
    job.samples = job.options.samples;
    job.calibrator = quant_calibrator_name(job.options.calibrator);
    const struct option table[] = {
        {"output", 'o', OPTION_TEXT, "OUT", "the variant's file", &job.out, 0,
         0},
        {"ready-made", 0, OPTION_TEXT, "FILE",
         "makes none, but judges this variant", &job.ready_made, 0, 0},
        {"recipe", 'r', OPTION_TEXT, "R", "auto, none, dynamic, static",
         &job.recipe, 0, 0},
        {"calibration", 'c', OPTION_TEXT, "DATA", ".npz file or folder",
         &job.calibration, 0, 0},
        {"validation", 'v', OPTION_TEXT, "DATA",
         ".npz file or folder, with labels or true outputs", &job.validation, 0,
         0},
        {"report", 0, OPTION_TEXT, "FILE", "where the report is written",
         &job.report_path, 0, 0},
        {"variant", 0, OPTION_TEXT, "NAME", "what the report calls the variant",
         &job.variant, 0, 0},
        {"calibrator", 0, OPTION_TEXT, "C", "minmax, percentile, mse, entropy",
         &job.calibrator, 0, 0},
        {"calibration-samples", 0, OPTION_INT, "N",
         "used at most, spread over the set", &job.samples, 1, 10000000},
        {"granularity", 0, OPTION_TEXT, "G",
         "of weight scales: channel, tensor", &job.granularity, 0, 0},
        {"exclude", 0, OPTION_LIST, "NAME,...",
         "nodes to leave in float; patterns with * and ?", &job.exclude, 0, 0},
        {"max-loss", 0, OPTION_REAL, "POINTS", "of accuracy, at most",
         &p->max_loss, 0, 100},
        {"min-agreement", 0, OPTION_REAL, "SHARE",
         "of equal answers, where there are no labels", &p->min_agreement, 0,
         1},
        {"min-speedup", 0, OPTION_REAL, "X", "times faster, at least; 0: any",
         &p->min_speedup, 0, 1000},
        {"serve-threads", 0, OPTION_INT, "N",
         "threads of a serving worker: it is judged and timed with as many",
         &job.report.threads, 1, 1024},
        {"seconds", 'S', OPTION_REAL, "S", "to time each model; 0: not at all",
         &job.seconds, 0, 3600},
        {"smooth", 0, OPTION_REAL, "ALPHA", "not supported yet", &job.smooth, 0,
         1},
        {"equalize", 0, OPTION_TEXT, "on", "not supported yet", &job.later[0],
         0, 0},
        {"bias-correction", 0, OPTION_TEXT, "on", "not supported yet",
         &job.later[1], 0, 0},
        {"adaround", 0, OPTION_TEXT, "on", "not supported yet", &job.later[2],
         0, 0},
        CMD_COMMON_OPTIONS(&common)};

    if (!cmd_parse(c, table, &common, argc, argv, 1, 1, &words, &exit_code))
        goto out;
    job.model = words.v.at[0];
    split_excludes(&job, &excludes);
    if (check_options(&job, &e) != 0)
        exit_code = e.code == ERR_UNSUPPORTED ? cmd_fail(common.json, &e)
                                              : cmd_usage(c, "%s", e.msg);
    else
        exit_code = run_job(&job, &common);
out:
    for (size_t i = 0; i < excludes.v.n; i++)
        mem_free((void *)excludes.v.at[i]);
    mem_free(excludes.v.at);
    mem_free(job.exclude.v.at);
    mem_free(words.v.at);
    return exit_code;
}
