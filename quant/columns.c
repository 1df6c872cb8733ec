/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/columns.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "quant/convert.h"

/* Bytes: a sample larger than this is a mistake or an attack. */
static const size_t max_sample = (size_t)1 << 30;

static bool
dims_fit(const struct shape *have, int skip, const struct shape *want, int from)
{
    for (int i = from; i < want->rank; i++)
        if (want->dim[i] != SHAPE_DYNAMIC &&
            want->dim[i] != have->dim[skip + i - from])
            return false;
    return true;
}

/* "[n,1,28,28]": what an array for this input must look like. */
static const char *
expected_text(const struct model_io *io, char text[SHAPE_TEXT])
{
    const struct shape *s = &io->shape;
    bool rows = s->rank > 0 && (s->dim[0] == SHAPE_DYNAMIC || s->dim[0] == 1);
    size_t n = (size_t)snprintf(text, SHAPE_TEXT, "[n");

    for (int i = rows ? 1 : 0; i < s->rank && n < SHAPE_TEXT - 24; i++)
        n += (size_t)(s->dim[i] == SHAPE_DYNAMIC
                          ? snprintf(text + n, SHAPE_TEXT - n, ",?")
                          : snprintf(text + n, SHAPE_TEXT - n, ",%lld",
                                     (long long)s->dim[i]));
    snprintf(text + n, SHAPE_TEXT - n, "]");
    return text;
}

/* Settles how rows of an array become samples of an input or output. */
static int
fit(struct column *c, const struct npz_array *a, const struct model_io *io,
    const char *what, struct err *e)
{
    const struct shape *have = &a->npy.shape, *want = &io->shape;
    char given[SHAPE_TEXT], expected[SHAPE_TEXT];
    bool rows;

    if (!convert_allowed(a->npy.dtype, io->dtype))
        return err_set(e, ERR_INVALID, "array '%s' is %s; %s '%s' is %s",
                       a->name, dtype_name(a->npy.dtype), what, io->name,
                       dtype_name(io->dtype));
    rows = have->rank > 0 && have->rank == want->rank &&
           (want->dim[0] == SHAPE_DYNAMIC || want->dim[0] == 1) &&
           dims_fit(have, 1, want, 1);
    c->whole = have->rank > 0 && have->rank == want->rank + 1 &&
               dims_fit(have, 1, want, 0);
    if (want->rank == SHAPE_UNKNOWN)
        rows = have->rank > 0;
    if (!rows && !c->whole)
        return err_set(e, ERR_INVALID,
                       "array '%s' is %s%s; %s '%s' takes %s%s: expected %s",
                       a->name, dtype_name(a->npy.dtype),
                       shape_text(have, given), what, io->name,
                       dtype_name(io->dtype), shape_text(want, expected),
                       expected_text(io, (char[SHAPE_TEXT]){0}));
    c->from = a->npy.dtype;
    c->to = io->dtype;
    return 0;
}

static int
fit_labels(struct column *c, const struct npz_array *a, struct err *e)
{
    char given[SHAPE_TEXT];

    if (dtype_is_float(a->npy.dtype) || a->npy.shape.rank < 1 ||
        shape_span(&a->npy.shape, 1, a->npy.shape.rank) != 1)
        return err_set(e, ERR_INVALID,
                       "array 'labels' is %s%s; expected int64[n], class "
                       "indices",
                       dtype_name(a->npy.dtype),
                       shape_text(&a->npy.shape, given));
    c->from = a->npy.dtype;
    c->to = DTYPE_INT64;
    return 0;
}

static int
find_io(const char *name, int n,
        const struct model_io *(*get)(const struct model *, int),
        const struct model *m)
{
    for (int i = 0; i < n; i++)
        if (strcmp(get(m, i)->name, name) == 0)
            return i;
    return -1;
}

struct binding {
    const struct npz *npz;
    const struct model *model;
    bool inputs_only;
};

/* Array c->array as column c; *skip when nobody has a use for it. */
static int
place(const struct binding *b, struct column *c, bool *skip, struct err *e)
{
    const struct npz_array *a = npz_array(b->npz, c->array);
    const struct model *m = b->model;
    int n_in = model_n_inputs(m);

    *skip = false;
    c->kind = COLUMN_INPUT;
    if ((c->index = find_io(a->name, n_in, model_input, m)) >= 0)
        return fit(c, a, model_input(m, c->index), "input", e);
    if (strcmp(a->name, "labels") == 0) {
        c->kind = COLUMN_LABELS;
        *skip = b->inputs_only;
        return *skip ? 0 : fit_labels(c, a, e);
    }
    c->index = find_io(a->name, model_n_outputs(m), model_output, m);
    if (c->index >= 0) {
        c->kind = COLUMN_OUTPUT;
        *skip = b->inputs_only;
        return *skip ? 0 : fit(c, a, model_output(m, c->index), "output", e);
    }
    c->index = 0;
    if (n_in == 1)
        return fit(c, a, model_input(m, 0), "input", e);
    return err_set(e, ERR_INVALID,
                   "array '%s' is neither an input nor an output of the "
                   "model, nor 'labels'",
                   a->name);
}

static const char *
array_name(const struct binding *b, const struct column *c)
{
    return npz_array(b->npz, c->array)->name;
}

/* Holds a column against those there are. */
static int
check_column(const struct binding *b, const struct columns *out,
             const struct column *c, int64_t samples, struct err *e)
{
    for (int k = 0; k < out->n; k++)
        if (out->at[k].kind == c->kind && out->at[k].index == c->index)
            return err_set(e, ERR_INVALID,
                           "arrays '%s' and '%s' both are for input '%s'",
                           array_name(b, &out->at[k]), array_name(b, c),
                           model_input(b->model, c->index)->name);
    if (out->n > 0 && samples != out->total)
        return err_set(e, ERR_INVALID,
                       "array '%s' has %lld samples, array '%s' has %lld",
                       array_name(b, c), (long long)samples,
                       array_name(b, &out->at[0]), (long long)out->total);
    if (samples == 0)
        return err_set(e, ERR_INVALID, "array '%s' has no samples",
                       array_name(b, c));
    return 0;
}

static int
add_column(const struct binding *b, struct columns *out, struct column *c,
           struct err *e)
{
    const struct npy *npy = &npz_array(b->npz, c->array)->npy;
    int64_t samples = npy->shape.dim[0];
    int rc = check_column(b, out, c, samples, e);

    if (rc != 0)
        return rc;
    c->sample.rank = npy->shape.rank - 1;
    memcpy(c->sample.dim, npy->shape.dim + 1,
           (size_t)c->sample.rank * sizeof npy->shape.dim[0]);
    c->n = npy->data_bytes / dtype_size(c->from) / (size_t)samples;
    if (c->n > max_sample / sizeof(double))
        return err_set(e, ERR_TOO_LARGE, "array '%s': a sample of %zu elements",
                       array_name(b, c), c->n);
    out->at[out->n++] = *c;
    out->total = samples;
    out->share &= c->kind != COLUMN_INPUT || !c->whole;
    out->has_labels |= c->kind == COLUMN_LABELS;
    out->has_outputs |= c->kind == COLUMN_OUTPUT;
    return 0;
}

/* Fails, naming it, when an input gets nothing. */
static int
check_complete(const struct binding *b, const struct columns *out,
               struct err *e)
{
    for (int i = 0; i < model_n_inputs(b->model); i++) {
        int k = 0;

        while (k < out->n &&
               (out->at[k].kind != COLUMN_INPUT || out->at[k].index != i))
            k++;
        if (k == out->n)
            return err_set(e, ERR_INVALID, "no array for input '%s'",
                           model_input(b->model, i)->name);
    }
    return 0;
}

int
columns_bind(const struct npz *z, const struct model *m, bool inputs_only,
             struct columns *out, struct err *e)
{
    const struct binding b = {z, m, inputs_only};

    *out = (struct columns){.share = true};
    out->at = mem_new((size_t)npz_n(z), sizeof *out->at);
    for (int i = 0; i < npz_n(z); i++) {
        struct column c = {.array = i};
        bool skip;
        int rc = place(&b, &c, &skip, e);

        if (rc == 0 && !skip)
            rc = add_column(&b, out, &c, e);
        if (rc != 0)
            return rc;
    }
    return check_complete(&b, out, e);
}
