/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one job does.  An upload:
 *
 *     check      quantctl check, in a child: the model can be served, the
 *                samples fit it.  Nothing is published before that.
 *     load       the daemon's own loader makes it ready from where it lies
 *     publish    base/ becomes <model>/<version>, and is served
 *     quantize   quantctl quantize, in a child, into variant/
 *     load       from the file that the child judged
 *     publish    variant/ becomes <version>/variants/<name>
 *
 * The other kinds begin at "quantize" (JOB_VARIANT) or bring their file
 * (JOB_ADD).  All that is not published yet lies in the stage, which goes with
 * the job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "server/child.h"
#include "server/job_impl.h"
#include "server/log.h"
#include "server/report.h"
#include "server/route.h"

/* --- children ---------------------------------------------------------- */

/* What a child said: its progress goes to the job, its last words are here. */
struct talk {
    struct jobs *j;
    struct job *job;
    json_t *result;       /* or NULL */
    char *code, *message; /* of {"error": ...}, or NULL */
    char last[300];       /* line of stderr */
};

/* The phases of a child are those that clients see. */
static const char *
known_phase(const char *name)
{
    static const char *const phases[] = {"parse", "calibrate", "quantize",
                                         "validate", "benchmark"};

    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
        if (strcmp(phases[i], name) == 0)
            return phases[i];
    return NULL;
}

static void
hear_progress(struct talk *t, const json_t *said)
{
    const char *name = json_string_value(json_object_get(said, "phase"));
    const char *phase = name != NULL ? known_phase(name) : NULL;

    if (phase == NULL)
        return;
    if (strcmp(phase, t->job->phase) != 0)
        job_phase(t->j, t->job, phase);
    job_progress(t->j, t->job,
                 json_number_value(json_object_get(said, "fraction")),
                 json_string_value(json_object_get(said, "message")));
}

static void
hear_out(void *arg, const char *line)
{
    struct talk *t = arg;
    json_t *said = json_loads(line, 0, NULL);
    const json_t *error = json_object_get(said, "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));

    if (!json_is_object(said))
        job_log(t->j, t->job, line);
    else if (json_is_object(json_object_get(said, "result"))) {
        json_decref(t->result);
        t->result = json_incref(json_object_get(said, "result"));
    } else if (code != NULL && message != NULL && t->code == NULL) {
        t->code = mem_strdup(code);
        t->message = mem_strdup(message);
    } else
        hear_progress(t, said);
    json_decref(said);
}

static void
hear_err(void *arg, const char *line)
{
    struct talk *t = arg;

    snprintf(t->last, sizeof t->last, "%s", line);
    job_log(t->j, t->job, line);
}

static void
talk_end(struct talk *t)
{
    json_decref(t->result);
    mem_free(t->code);
    mem_free(t->message);
}

/* The word a child uses for an error, back to its code. */
static enum err_code
code_of(const char *word)
{
    static const struct {
        const char *word;
        enum err_code code;
    } words[] = {
        {"invalid", ERR_INVALID},
        {"not-found", ERR_INVALID},
        {"unsupported", ERR_UNSUPPORTED},
        {"too-large", ERR_TOO_LARGE},
        {"no-memory", ERR_NO_MEMORY},
        {"no-space", ERR_NO_SPACE},
        {"io", ERR_IO},
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].word, word) == 0)
            return words[i].code;
    return ERR_INTERNAL;
}

/* Paths of the stage mean nothing to clients. */
static void
say_error(const struct talk *t, struct err *e)
{
    size_t stage = strlen(t->job->stage);
    char *text = mem_strdup(t->message), *at;

    while ((at = strstr(text, t->job->stage)) != NULL) {
        size_t cut = stage + (at[stage] == '/');

        memmove(at, at + cut, strlen(at + cut) + 1);
    }
    err_set(e, code_of(t->code), "%s", text);
    mem_free(text);
}

typedef VEC(char *) words;

static void
word(words *w, const char *s)
{
    VEC_PUSH(w, s != NULL ? mem_strdup(s) : NULL);
}

/* "--max-loss" "2": names have '_' here and '-' there. */
static void
word_option(void *arg, const char *name, const char *value)
{
    char *option = mem_printf("--%s", name);

    for (char *c = option; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    word(arg, option);
    word(arg, value);
    mem_free(option);
}

static void
word_stage(words *w, const struct job *job, const char *option,
           const char *name)
{
    char *path;

    if (name == NULL)
        return;
    path = mem_printf("%s/%s", job->stage, name);
    word(w, option);
    word(w, path);
    mem_free(path);
}

static void
words_free(words *w)
{
    for (size_t i = 0; i < w->n; i++)
        mem_free(w->at[i]);
    mem_free(w->at);
}

/*
 * Runs quantctl with these words (and frees them).
 * result: out; what it said in the end, json_decref().
 * Fails:  with what it said went wrong.
 */
static int
run_child(struct jobs *j, struct job *job, words *w, json_t **result,
          struct err *e)
{
    struct talk t = {.j = j, .job = job};
    struct child_options o = {.memory_limit = job->o.memory_limit,
                              .timeout_s = job->o.timeout_s,
                              .cancel = &job->cancel,
                              .out = hear_out,
                              .err = hear_err,
                              .arg = &t};
    int status = 0, rc;

    word(w, NULL);
    o.argv = w->at;
    rc = child_run(&o, &status, e);
    if (rc == 0 && t.code != NULL) {
        say_error(&t, e);
        rc = e->code;
    } else if (rc == 0 && t.result == NULL)
        rc = err_set(e, ERR_INTERNAL, "%s ended with %d: %s", w->at[0], status,
                     t.last[0] != '\0' ? t.last : "it said nothing");
    if (rc == 0)
        *result = json_incref(t.result);
    talk_end(&t);
    words_free(w);
    return rc;
}

/* --- the version itself ------------------------------------------------ */

enum { PRECISION_TEXT = 32 };

/* precision: out; what a variant of such a file is called. */
static int
check(struct jobs *j, struct job *job, const char *folder, const char *like,
      char precision[PRECISION_TEXT], struct err *e)
{
    const char *name;
    json_t *result;
    words w = {0};
    char *path = mem_printf("%s/%s/model.onnx", job->stage, folder);
    int rc;

    word(&w, job->program);
    word(&w, "check");
    word(&w, path);
    word(&w, "--json");
    if (like != NULL) {
        word(&w, "--like");
        word(&w, like);
    }
    word_stage(&w, job, "--calibration", job->calibration);
    word_stage(&w, job, "--validation", job->validation);
    mem_free(path);
    if ((rc = run_child(j, job, &w, &result, e)) != 0)
        return rc;
    name = json_string_value(json_object_get(result, "variant"));
    if (name == NULL || !route_name_ok(name) || strlen(name) >= PRECISION_TEXT)
        name = "fp32";
    snprintf(precision, PRECISION_TEXT, "%s", name);
    json_decref(result);
    return 0;
}

/* What the loader needs to know of a file in the stage.  Borrows dir. */
static struct repo_variant
staged(const struct job *job, const char *variant, bool base,
       enum verdict verdict, char *dir)
{
    struct repo_variant v = {.version = job->version,
                             .base = base,
                             .verdict = verdict,
                             .dir = dir,
                             .path = dir,
                             .model_dir = dir};

    memcpy(v.model, job->model, sizeof v.model);
    snprintf(v.variant, sizeof v.variant, "%s", variant);
    return v;
}

/*
 * Loads stage/folder; the model's own configuration counts, where it has one
 * already.
 */
static int
load_staged(struct jobs *j, struct job *job, const char *folder,
            const char *variant, bool base, enum verdict verdict,
            struct variant **out, struct err *e)
{
    char *dir = mem_printf("%s/%s", job->stage, folder);
    char *path = mem_printf("%s/model.onnx", dir);
    char *conf = repo_file_to_read(j->repo, job->model, ".");
    struct repo_variant v = staged(job, variant, base, verdict, dir);
    int rc;

    v.model_dir = conf;
    v.bytes = repo_bytes(dir);
    v.accuracy_ratio = base ? 0 : report_accuracy_ratio(dir, variant);
    rc = registry_load(j->registry, &v, path, out, e);
    mem_free(conf);
    mem_free(path);
    mem_free(dir);
    return rc;
}

/* What is kept with a variant, for the manifest. */
static json_t *
provenance(const struct job *job)
{
    return json_pack("{s:s, s:s}", "job", job->id, "who", job->who);
}

static int
publish_base(struct jobs *j, struct job *job, const char *variant,
             struct err *e)
{
    struct traffic_why why = {.who = job->who, .reason = "a new version"};
    char *dir = mem_printf("%s/base", job->stage);
    json_t *info = provenance(job);
    struct repo_variant files;
    struct variant *v = NULL;
    struct err late;
    int rc;

    if ((rc = load_staged(j, job, "base", variant, true, VERDICT_ACCEPTED, &v,
                          e)) != 0)
        goto out;
    job_phase(j, job, "publish");
    if ((rc = repo_publish_version(j->repo, dir, job->model, job->version,
                                   variant, info, &files, e)) != 0)
        goto out;
    atomic_store(&job->published, true);
    registry_install(j->registry, &files, &v);
    repo_variant_free(&files);
    if (traffic_follow(j->traffic, job->model, job->version, variant, &why,
                       &late) != 0)
        log_event(LOG_ERROR, "route_follow", "model=%s version=%ld reason=%s",
                  job->model, job->version, late.msg);
out:
    variant_unref(&v);
    json_decref(info);
    mem_free(dir);
    return rc;
}

/* --- a variant --------------------------------------------------------- */

static void
take_text(const json_t *result, const char *member, char **to)
{
    const char *s = json_string_value(json_object_get(result, member));

    mem_free(*to);
    *to = s != NULL ? mem_strdup(s) : NULL;
}

/* The judge's result line; variant is null where none was made. */
static int
take_result(struct jobs *j, struct job *job, const json_t *result,
            struct err *e)
{
    const char *variant = json_string_value(json_object_get(result, "variant"));
    const char *state = json_string_value(json_object_get(result, "state"));
    bool none = json_is_null(json_object_get(result, "variant"));
    enum verdict verdict = VERDICT_REJECTED;

    if (!none && (variant == NULL || !route_name_ok(variant) || state == NULL ||
                  verdict_parse(state, &verdict, e) != 0))
        return err_set(e, ERR_INTERNAL, "%s gave a malformed result",
                       job->program);
    pthread_mutex_lock(&j->lock);
    if (!none) {
        snprintf(job->variant, sizeof job->variant, "%s", variant);
        job->verdict = verdict;
        job->has_verdict = true;
    }
    take_text(result, "decision", &job->decision);
    take_text(result, "reason", &job->reason);
    pthread_mutex_unlock(&j->lock);
    return 0;
}

static int
make_variant_dir(struct job *job, struct err *e)
{
    char *dir = mem_printf("%s/variant", job->stage);
    int rc = file_mkdirs(dir, e);

    mem_free(dir);
    return rc;
}

static void
word_serve_threads(words *w, const struct jobs *j)
{
    char *n = mem_printf("%d", j->o.serve_threads);

    word(w, "--serve-threads");
    word(w, n);
    mem_free(n);
}

static int
quantize(struct jobs *j, struct job *job, const struct repo_variant *base,
         struct err *e)
{
    json_t *result;
    words w = {0};
    int rc;

    if ((rc = make_variant_dir(job, e)) != 0)
        return rc;
    word(&w, job->program);
    word(&w, "quantize");
    word(&w, base->path);
    word(&w, "--json");
    word_stage(&w, job, "--output", "variant/model.onnx");
    word_stage(&w, job, "--report", "variant/report.json");
    word_serve_threads(&w, j);
    word_stage(&w, job, "--calibration", job->calibration);
    word_stage(&w, job, "--validation", job->validation);
    recipe_each(job->recipe, word_option, &w);
    if ((rc = run_child(j, job, &w, &result, e)) != 0)
        return rc;
    rc = take_result(j, job, result, e);
    json_decref(result);
    return rc;
}

/* A ready-made variant is judged by the same judge on what came with it. */
static int
judge_ready_made(struct jobs *j, struct job *job,
                 const struct repo_variant *base, struct err *e)
{
    json_t *result;
    words w = {0};
    char precision[PRECISION_TEXT];
    int rc;

    if ((rc = check(j, job, "variant", base->path, precision, e)) != 0)
        return rc;
    job_phase(j, job, "validate");
    word(&w, job->program);
    word(&w, "quantize");
    word(&w, base->path);
    word(&w, "--json");
    word_stage(&w, job, "--ready-made", "variant/model.onnx");
    word_stage(&w, job, "--report", "variant/report.json");
    word_serve_threads(&w, j);
    word_stage(&w, job, "--validation", job->validation);
    recipe_each(job->recipe, word_option, &w);
    if ((rc = run_child(j, job, &w, &result, e)) != 0)
        return rc;
    rc = take_result(j, job, result, e);
    json_decref(result);
    return rc;
}

/* One that is there is replaced only by one that is judged no worse. */
static bool
may_replace(struct jobs *j, const struct job *job, enum verdict *old)
{
    struct repo_variant there;
    struct err e;
    bool may;

    if (repo_lookup(j->repo, job->model, job->version, job->variant, &there,
                    &e) != 0)
        return true;
    /* The version's own file stays in any case: publishing says so. */
    may = job->verdict <= there.verdict || there.reason != NULL || there.base;
    *old = there.verdict;
    repo_variant_free(&there);
    return may;
}

static int
publish_variant(struct jobs *j, struct job *job, struct err *e)
{
    char *dir = mem_printf("%s/variant", job->stage);
    json_t *info = provenance(job);
    enum verdict old = VERDICT_ACCEPTED;
    struct repo_variant files;
    struct variant *v = NULL;
    int rc = 0;

    job_phase(j, job, "publish");
    if (job->decision != NULL)
        json_object_set_new(info, "decision", json_string(job->decision));
    if (job->reason != NULL)
        json_object_set_new(info, "reason", json_string(job->reason));
    if ((rc = report_keep(j->repo, job->model, job->version, dir, e)) != 0)
        goto out;
    if (!job->has_verdict)
        goto out; /* there is none, and the report says why */
    if (!may_replace(j, job, &old)) {
        char *line = mem_printf("the %s variant %s that is there stays",
                                verdict_name(old), job->variant);

        job_log(j, job, line);
        mem_free(line);
        goto out;
    }
    if ((rc = load_staged(j, job, "variant", job->variant, false, job->verdict,
                          &v, e)) != 0)
        goto out;
    if (v->accuracy_ratio > 0)
        json_object_set_new(info, "accuracy_ratio",
                            json_real(v->accuracy_ratio));
    if ((rc = repo_publish_variant(j->repo, dir, job->model, job->version,
                                   job->variant, job->verdict, info, &files,
                                   e)) != 0)
        goto out;
    atomic_store(&job->published, true);
    registry_install(j->registry, &files, &v);
    repo_variant_free(&files);
out:
    variant_unref(&v);
    json_decref(info);
    mem_free(dir);
    return rc;
}

/* --- all of it --------------------------------------------------------- */

static bool
wants_variant(const struct job *job, const char *precision)
{
    const char *recipe = recipe_get(job->recipe, "recipe");

    if (job->kind != JOB_UPLOAD)
        return true;
    return strcmp(recipe, "none") != 0 &&
           (strcmp(precision, "fp32") == 0 || strcmp(recipe, "auto") != 0);
}

static int
base_of(struct jobs *j, const struct job *job, struct repo_variant *out,
        struct err *e)
{
    struct repo_list l;
    int rc = repo_scan(j->repo, job->model, &l, e);

    if (rc != 0)
        return rc;
    rc = err_set(e, ERR_NOT_FOUND, "model %s has no version %ld", job->model,
                 job->version);
    for (size_t i = 0; i < l.n && rc != 0; i++)
        if (l.at[i].base && l.at[i].version == job->version &&
            strcmp(l.at[i].model, job->model) == 0) {
            repo_variant_copy(out, &l.at[i]);
            rc = 0;
        }
    repo_list_free(&l);
    return rc;
}

static int
run(struct jobs *j, struct job *job, struct err *e)
{
    struct repo_variant base = {0};
    char precision[PRECISION_TEXT] = "fp32";
    int rc = 0;

    if (atomic_load(&job->cancel))
        return err_set(e, ERR_UNAVAILABLE, "cancelled");
    job_phase(j, job, "parse");
    if (job->kind == JOB_UPLOAD) {
        rc = check(j, job, "base", NULL, precision, e);
        if (rc == 0)
            rc = publish_base(j, job, precision, e);
    }
    if (rc != 0 || !wants_variant(job, precision))
        return rc;
    if ((rc = base_of(j, job, &base, e)) != 0)
        return rc;
    rc = job->kind == JOB_ADD ? judge_ready_made(j, job, &base, e)
                              : quantize(j, job, &base, e);
    if (rc == 0)
        rc = publish_variant(j, job, e);
    repo_variant_free(&base);
    return rc;
}

void
job_run(struct jobs *j, struct job *job)
{
    struct err e = {0};
    int rc = run(j, job, &e);

    if (rc != 0) {
        pthread_mutex_lock(&j->lock);
        job->err = e;
        pthread_mutex_unlock(&j->lock);
    }
}
