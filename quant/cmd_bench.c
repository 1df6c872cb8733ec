/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast models run here.  Several are timed side by side and compared with
 * the first: that is how FP32 and INT8 are weighed against each other.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/bench.h"
#include "quant/cmd.h"

enum { MAX_MODELS = 8 };

struct subject {
    const char *path;
    struct model *model;
    struct session *session;
    struct shape *shapes;
    json_t *steps; /* of --profile */
};

struct comparison {
    struct subject subjects[MAX_MODELS];
    struct bench_result results[MAX_MODELS];
    int n, batch;
    double seconds;
    struct texts shapes;
    bool profile;
};

static int
open_subject(struct comparison *b, struct subject *s, struct err *e)
{
    const struct model_options o = {.max_batch = b->batch};
    int rc = model_load(s->path, &o, &s->model, e);

    if (rc != 0)
        return cmd_name_file(e, s->path);
    s->shapes = mem_new((size_t)model_n_inputs(s->model), sizeof *s->shapes);
    if ((rc = cmd_shapes(s->model, b->batch, &b->shapes, s->shapes, e)) != 0 ||
        (rc = session_new(s->model, &s->session, e)) != 0 ||
        (rc = bench_fill(s->model, s->session, s->shapes, e)) != 0)
        return err_wrap(e, "%s", s->path);
    if (b->batch > 1 && model_max_batch(s->model) == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: the first axis of its inputs is no batch axis",
                       s->path);
    return 0;
}

static void
close_subject(struct subject *s)
{
    session_free(&s->session);
    model_unref(&s->model);
    mem_free(s->shapes);
    json_decref(s->steps);
}

/* --- where the time goes -------------------------------------------------- */

static void
add_step(void *arg, const struct model_step *s)
{
    if (s->depth > 0) /* its time is in that of the node around */
        return;
    json_array_append_new(arg, json_pack("{s:o, s:s, s:s, s:s, s:s}", "node",
                                         cmd_text(s->node), "op", s->op,
                                         "fused", s->fused, "impl", s->impl,
                                         "precision", s->precision));
}

/* Runs of --profile: enough to even out, for models of any size. */
enum { PROFILE_RUNS = 20 };

static int
profile(struct subject *s, struct err *e)
{
    unsigned long *ns;
    int n, rc;

    s->steps = json_array();
    if ((rc = model_describe(s->model, s->shapes, add_step, s->steps, e)) != 0)
        return rc;
    n = (int)json_array_size(s->steps);
    ns = mem_new((size_t)n, sizeof *ns);
    session_profile(s->session, ns, n);
    for (int i = 0; i < PROFILE_RUNS && rc == 0; i++)
        rc = session_run(s->session, e);
    session_profile(s->session, NULL, 0);
    for (int i = 0; i < n; i++)
        json_object_set_new(json_array_get(s->steps, (size_t)i), "us",
                            json_real((double)ns[i] / 1e3 / PROFILE_RUNS));
    mem_free(ns);
    return rc;
}

static double
step_us(const json_t *step)
{
    return json_real_value(json_object_get(step, "us"));
}

static int
slowest_first(const void *a, const void *b)
{
    double x = step_us(*(json_t *const *)a), y = step_us(*(json_t *const *)b);

    return (x < y) - (x > y);
}

static void
print_profile(const struct subject *s)
{
    size_t n = json_array_size(s->steps);
    json_t **rows = mem_new(n, sizeof *rows);
    double total = 0;

    for (size_t i = 0; i < n; i++) {
        rows[i] = json_array_get(s->steps, i);
        total += step_us(rows[i]);
    }
    qsort(rows, n, sizeof *rows, slowest_first);
    printf("\n%s: %.1f us in %zu steps\n", s->path, total, n);
    for (size_t i = 0; i < n; i++) {
        const char *node, *op, *fused, *impl, *precision;

        json_unpack(rows[i], "{s:s, s:s, s:s, s:s, s:s}", "node", &node, "op",
                    &op, "fused", &fused, "impl", &impl, "precision",
                    &precision);
        printf("%9.1f us %5.1f %%  %-8s %s%s%s  %s  %s\n", step_us(rows[i]),
               total > 0 ? 100 * step_us(rows[i]) / total : 0, precision, op,
               *fused != '\0' ? " " : "", fused, impl, node);
    }
    mem_free(rows);
}

/* --- results -----------------------------------------------------------------
 */

static json_t *
comparison_json(const struct comparison *b, int threads)
{
    json_t *models = json_array();

    for (int i = 0; i < b->n; i++) {
        const struct bench_result *r = &b->results[i];
        json_t *j = json_pack(
            "{s:o, s:i, s:{s:o, s:o, s:o, s:o}, s:o, s:o, s:[o, o]}", "model",
            cmd_text(b->subjects[i].path), "runs", r->runs, "latency_us", "min",
            cmd_real(r->min_ns / 1e3), "p50", cmd_real(r->p50_ns / 1e3), "p99",
            cmd_real(r->p99_ns / 1e3), "mean", cmd_real(r->mean_ns / 1e3),
            "rows_per_second", cmd_real(r->rows_per_second), "speedup",
            cmd_real(r->speedup), "speedup_interval", cmd_real(r->speedup_low),
            cmd_real(r->speedup_high));

        if (b->subjects[i].steps != NULL)
            json_object_set(j, "steps", b->subjects[i].steps);
        json_array_append_new(models, j);
    }
    return json_pack("{s:i, s:i, s:s, s:s, s:o}", "batch", b->batch, "threads",
                     threads, "isa", engine_isa(), "onednn",
                     engine_dnn_version(), "models", models);
}

static void
print_comparison(const struct comparison *b, int threads)
{
    printf("batch %d, %d thread%s, %s, oneDNN %s\n\n", b->batch, threads,
           threads == 1 ? "" : "s", engine_isa(), engine_dnn_version());
    printf("%9s %9s %9s %11s %7s  %-20s model\n", "min ms", "p50 ms", "p99 ms",
           "rows/s", "runs", b->n > 1 ? "times faster (95 %)" : "");
    for (int i = 0; i < b->n; i++) {
        const struct bench_result *r = &b->results[i];
        char faster[64] = "";

        if (b->n > 1)
            snprintf(faster, sizeof faster, "%.2f (%.2f-%.2f)", r->speedup,
                     r->speedup_low, r->speedup_high);
        printf("%9.3f %9.3f %9.3f %11.1f %7d  %-20s %s\n", r->min_ns / 1e6,
               r->p50_ns / 1e6, r->p99_ns / 1e6, r->rows_per_second, r->runs,
               faster, b->subjects[i].path);
    }
    for (int i = 0; i < b->n; i++)
        if (b->subjects[i].steps != NULL)
            print_profile(&b->subjects[i]);
}

static int
bench(struct comparison *b, struct err *e)
{
    struct session *sessions[MAX_MODELS];
    int rc = 0;

    for (int i = 0; i < b->n && rc == 0; i++) {
        rc = open_subject(b, &b->subjects[i], e);
        sessions[i] = b->subjects[i].session;
    }
    if (rc == 0)
        rc = bench_run(sessions, b->n, b->batch, b->seconds * b->n, NULL,
                       b->results, e);
    for (int i = 0; i < b->n && rc == 0 && b->profile; i++)
        rc = profile(&b->subjects[i], e);
    return rc;
}

int
cmd_bench(const struct cmd *c, int argc, char **argv)
{
    struct cmd_common common = {0};
    struct texts words = {0};
    struct comparison b = {.batch = 1, .seconds = 5};
    struct err e;
    int exit_code;
    const struct option table[] = {
        {"batch", 'b', OPTION_INT, "N", "rows a run", &b.batch, 1, 4096},
        {"seconds", 'S', OPTION_REAL, "S", "time for each model", &b.seconds,
         0.01, 3600},
        {"shape", 's', OPTION_LIST, "NAME=1,3,...",
         "shape of an input with dynamic axes", &b.shapes, 0, 0},
        {"profile", 'p', OPTION_FLAG, NULL, "also the time of each step",
         &b.profile, 0, 0},
        CMD_COMMON_OPTIONS(&common)};

    if (!cmd_parse(c, table, &common, argc, argv, 1, MAX_MODELS, &words,
                   &exit_code))
        goto out;
    for (b.n = 0; b.n < (int)words.v.n; b.n++)
        b.subjects[b.n].path = words.v.at[b.n];
    exit_code = CMD_DONE;
    if (bench(&b, &e) != 0)
        exit_code = cmd_fail(common.json, &e);
    else if (common.json)
        exit_code = cmd_print(comparison_json(&b, common.threads), CMD_DONE);
    else
        print_comparison(&b, common.threads);
    for (int i = 0; i < b.n; i++)
        close_subject(&b.subjects[i]);
out:
    mem_free(words.v.at);
    mem_free(b.shapes.v.at);
    return exit_code;
}
