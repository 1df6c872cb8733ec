/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a model answer as expected?  Inputs and outputs as the ONNX backend
 * tests have them.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "quant/cmd.h"
#include "quant/convert.h"
#include "quant/testset.h"

/*
 * What an element may be off by: `relative` times the largest magnitude of the
 * tensor, plus `absolute`.  Two good runtimes differ by up to 6e-5 of it in
 * float32; half types by two units in the last place; quantized ones by one
 * step, since ties round either way.
 */
static const struct {
    enum dtype dtype;
    double relative, absolute;
} tolerances[] = {
    {DTYPE_FLOAT, 1e-3, 1e-7},     {DTYPE_DOUBLE, 1e-7, 1e-12},
    {DTYPE_FLOAT16, 0x1p-9, 1e-6}, {DTYPE_BFLOAT16, 0x1p-6, 1e-6},
    {DTYPE_UINT8, 0, 1},           {DTYPE_INT8, 0, 1},
};

struct verification {
    const char *model, *dir;
    double tolerance; /* of floats, instead of the table's; NAN: the table's */
    bool json;
    json_t *results;
    int n_sets, n_wrong;
    double worst; /* largest error seen, relative to its tensor */
};

/* One output against what it should be. */
struct difference {
    double max_abs, largest; /* error, and magnitude expected */
    double allowed;
    size_t worst; /* element */
    bool ok;
};

static double
allowed_for(const struct verification *v, enum dtype t, double largest)
{
    if (isfinite(v->tolerance) && dtype_is_float(t))
        return v->tolerance * largest;
    for (size_t i = 0; i < sizeof tolerances / sizeof *tolerances; i++)
        if (tolerances[i].dtype == t)
            return tolerances[i].relative * largest + tolerances[i].absolute;
    return 0;
}

/* How far apart; NaN goes with NaN, infinity with the same infinity. */
static double
distance(double got, double want)
{
    if (got == want || (isnan(got) && isnan(want)))
        return 0;
    return isfinite(got) && isfinite(want) ? fabs(got - want) : INFINITY;
}

static struct difference
compare(const struct verification *v, const struct tensor *got,
        const struct tensor *want)
{
    struct difference d = {.ok = true};
    size_t n = shape_n(&want->shape);

    for (size_t i = 0; i < n; i++) {
        double w = convert_real(want->dtype, want->data, i);
        double off = distance(convert_real(got->dtype, got->data, i), w);

        if (isfinite(w))
            d.largest = fmax(d.largest, fabs(w));
        if (off > d.max_abs) {
            d.max_abs = off;
            d.worst = i;
        }
    }
    d.allowed = allowed_for(v, want->dtype, d.largest);
    d.ok = d.max_abs <= d.allowed;
    return d;
}

static void
report(struct verification *v, const char *set, const char *name,
       const struct difference *d, const char *trouble)
{
    v->n_wrong += trouble != NULL || !d->ok;
    if (trouble == NULL && d->largest > 0)
        v->worst = fmax(v->worst, d->max_abs / d->largest);
    json_array_append_new(
        v->results,
        json_pack("{s:o, s:o, s:b, s:o, s:o, s:I, s:o}", "set", cmd_text(set),
                  "output", cmd_text(name), "ok", trouble == NULL && d->ok,
                  "max_error", cmd_real(d->max_abs), "allowed",
                  cmd_real(d->allowed), "element", (json_int_t)d->worst,
                  "trouble", cmd_text(trouble)));
    if (v->json)
        return;
    if (trouble != NULL)
        printf("MISMATCH %s %s: %s\n", set, name, trouble);
    else
        printf("%s %s %s: max error %g at element %zu, allowed %g\n",
               d->ok ? "ok      " : "MISMATCH", set, name, d->max_abs, d->worst,
               d->allowed);
}

static int
check_output(struct verification *v, const struct model *m,
             const struct session *s, const struct testset *t, int set, int i,
             struct err *e)
{
    const struct tensor *got = session_output(s, i);
    struct difference d = {0};
    struct tensor want;
    char trouble[2 * SHAPE_TEXT + 64], a[SHAPE_TEXT], b[SHAPE_TEXT];
    bool alike;
    int rc = testset_out(t, set, i, &want, e);

    if (rc != 0)
        return rc;
    alike = got->dtype == want.dtype && shape_equal(&got->shape, &want.shape);
    if (alike)
        d = compare(v, got, &want);
    else
        snprintf(trouble, sizeof trouble, "%s%s, expected %s%s",
                 dtype_name(got->dtype), shape_text(&got->shape, a),
                 dtype_name(want.dtype), shape_text(&want.shape, b));
    report(v, testset_name(t, set), model_output(m, i)->name, &d,
           alike ? NULL : trouble);
    mem_free(want.data);
    return 0;
}

/* Loads the inputs of a set and puts them into the session. */
static int
feed(const struct model *m, struct session *s, const struct testset *t, int set,
     struct err *e)
{
    int n = model_n_inputs(m), rc = 0;
    struct tensor *in = mem_new((size_t)n, sizeof *in);
    struct shape *shapes = mem_new((size_t)n, sizeof *shapes);

    for (int i = 0; i < n && rc == 0; i++) {
        rc = testset_in(t, set, i, &in[i], e);
        shapes[i] = in[i].shape;
        if (rc == 0 && in[i].dtype != model_input(m, i)->dtype)
            rc = err_set(e, ERR_INVALID, "input_%d.pb is %s, input '%s' is %s",
                         i, dtype_name(in[i].dtype), model_input(m, i)->name,
                         dtype_name(model_input(m, i)->dtype));
    }
    if (rc == 0)
        rc = session_shape(s, shapes, e);
    for (int i = 0; i < n && rc == 0; i++)
        memcpy(session_input(s, i), in[i].data,
               shape_n(&shapes[i]) * dtype_size(in[i].dtype));
    for (int i = 0; i < n; i++)
        mem_free(in[i].data);
    mem_free(in);
    mem_free(shapes);
    return rc;
}

static int
check_set(struct verification *v, const struct model *m, struct session *s,
          const struct testset *t, int set, struct err *e)
{
    int n_in = testset_n_in(t, set), n_out = testset_n_out(t, set), rc;

    if (n_in != model_n_inputs(m) || n_out > model_n_outputs(m) || n_out == 0)
        return err_set(e, ERR_INVALID,
                       "%s: %d inputs and %d outputs, the model has %d and %d",
                       testset_name(t, set), n_in, n_out, model_n_inputs(m),
                       model_n_outputs(m));
    if ((rc = feed(m, s, t, set, e)) != 0 || (rc = session_run(s, e)) != 0)
        return err_wrap(e, "%s", testset_name(t, set));
    for (int i = 0; i < n_out && rc == 0; i++)
        rc = check_output(v, m, s, t, set, i, e);
    v->n_sets++;
    return rc;
}

static int
verify(struct verification *v, struct err *e)
{
    struct model *m = NULL;
    struct session *s = NULL;
    struct testset *t;
    int rc = testset_open(v->dir, &t, e);

    if (rc != 0)
        return rc;
    if ((rc = model_load(v->model, &(struct model_options){0}, &m, e)) != 0)
        cmd_name_file(e, v->model);
    else
        rc = session_new(m, &s, e);
    for (int i = 0; i < testset_n(t) && rc == 0; i++)
        rc = check_set(v, m, s, t, i, e);
    session_free(&s);
    model_unref(&m);
    testset_free(&t);
    return rc;
}

int
cmd_verify(const struct cmd *c, int argc, char **argv)
{
    struct cmd_common common = {0};
    struct texts words = {0};
    struct verification v = {.tolerance = NAN};
    struct err e;
    int exit_code;
    const struct option table[] = {
        {"test-data", 'd', OPTION_TEXT, "DIR",
         "holds test_data_set_N/input_I.pb and output_I.pb, or these files",
         &v.dir, 0, 0},
        {"tolerance", 0, OPTION_REAL, "R",
         "of floats, relative to the largest expected", &v.tolerance, 0, 1},
        CMD_COMMON_OPTIONS(&common)};

    if (!cmd_parse(c, table, &common, argc, argv, 1, 1, &words, &exit_code))
        goto out;
    if (v.dir == NULL) {
        exit_code = cmd_usage(c, "--test-data is missing");
        goto out;
    }
    v.model = words.v.at[0];
    v.json = common.json;
    v.results = json_array();
    if (verify(&v, &e) != 0) {
        exit_code = cmd_fail(common.json, &e);
        goto out;
    }
    exit_code = v.n_wrong > 0 ? CMD_REJECTED : CMD_DONE;
    if (common.json)
        exit_code = cmd_print(
            json_pack("{s:b, s:i, s:i, s:o, s:O}", "ok", v.n_wrong == 0, "sets",
                      v.n_sets, "mismatches", v.n_wrong, "max_relative_error",
                      cmd_real(v.worst), "outputs", v.results),
            exit_code);
    else
        printf("%d set%s, %d mismatch%s, largest error %g of the output's "
               "largest element\n",
               v.n_sets, v.n_sets == 1 ? "" : "s", v.n_wrong,
               v.n_wrong == 1 ? "" : "es", v.worst);
out:
    json_decref(v.results);
    mem_free(words.v.at);
    return exit_code;
}
