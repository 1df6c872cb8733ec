/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An .npz file is read by one loop over its columns, a sample at a time; of a
 * folder, each test set is one sample.
 */
#include "quant/data.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "quant/columns.h"
#include "quant/convert.h"
#include "quant/npz.h"
#include "quant/tar.h"
#include "quant/testset.h"

struct data {
    const struct model *model;
    enum data_role role;
    char *path;

    struct npz *npz; /* one of the two */
    struct testset *sets;

    struct columns columns; /* of the .npz file */
    bool share;             /* samples may share a run */

    int64_t total; /* in the file */
    int64_t want;  /* of these, those used */
    int64_t at;    /* next one in the file */
    int64_t given; /* so far, of those used */
    int64_t step;  /* Bresenham's error term: which ones are used */

    int n_in, n_out;
    struct tensor *in, *out; /* the batch; shapes as given to the caller */
    int64_t *labels;
    int64_t capacity; /* samples that in, out and labels have room for */
    void *raw;        /* a row as the file has it */
    bool has_labels, has_outputs;

    struct seen *seen; /* the samples of the first pass */
};

/* --- room for a batch ----------------------------------------------------- */

static void
drop_batch(struct data *d)
{
    for (int i = 0; i < d->n_in; i++) {
        mem_free(d->in[i].data);
        d->in[i].data = NULL;
    }
    for (int i = 0; i < d->n_out; i++) {
        mem_free(d->out[i].data);
        d->out[i].data = NULL;
    }
    mem_free(d->labels);
    d->labels = NULL;
    mem_free(d->raw);
    d->raw = NULL;
    d->capacity = 0;
}

static struct tensor *
target(struct data *d, const struct column *c)
{
    return c->kind == COLUMN_INPUT ? &d->in[c->index] : &d->out[c->index];
}

static int
reserve(struct data *d, int64_t rows, struct err *e)
{
    size_t raw = 0;

    if (rows <= d->capacity)
        return 0;
    drop_batch(d);
    d->labels = mem_try((size_t)rows, sizeof *d->labels);
    for (int i = 0; i < d->columns.n; i++) {
        const struct column *c = &d->columns.at[i];
        size_t row = c->n * dtype_size(c->to);

        if (c->n * dtype_size(c->from) > raw)
            raw = c->n * dtype_size(c->from);
        if (c->kind == COLUMN_LABELS)
            continue;
        if (row > 0 && (size_t)rows > SIZE_MAX / 2 / row)
            return err_set(e, ERR_TOO_LARGE, "%lld samples of %zu bytes",
                           (long long)rows, row);
        target(d, c)->data = mem_try_aligned(row * (size_t)rows);
        if (target(d, c)->data == NULL)
            goto no_memory;
    }
    d->raw = mem_try_aligned(raw);
    if (d->raw == NULL || d->labels == NULL)
        goto no_memory;
    d->capacity = rows;
    return 0;
no_memory:
    drop_batch(d);
    return err_set(e, ERR_NO_MEMORY, "a batch of %lld samples",
                   (long long)rows);
}

/* --- reading -------------------------------------------------------------- */

/* Sample of the .npz file as row `row` of the batch; row < 0 passes over it. */
static int
read_row(struct data *d, int64_t row, bool first, struct err *e)
{
    for (int i = 0; i < d->columns.n; i++) {
        const struct column *c = &d->columns.at[i];
        size_t bytes = c->n * dtype_size(c->to);
        char *to;
        int rc =
            npz_read(d->npz, c->array, d->raw, c->n * dtype_size(c->from), e);

        if (rc != 0)
            return rc;
        if (row < 0)
            continue;
        to = c->kind == COLUMN_LABELS ? (char *)d->labels
                                      : (char *)target(d, c)->data;
        to += (size_t)row * bytes;
        if ((rc = convert(c->from, d->raw, c->to, to, c->n, e)) != 0)
            return err_wrap(e, "array '%s', sample %lld",
                            npz_array(d->npz, c->array)->name,
                            (long long)d->at);
        if (first && c->kind == COLUMN_INPUT)
            seen_input(d->seen, c->index, c->to, to, c->n);
    }
    return 0;
}

/* True when the sample at d->at is one of those used. */
static bool
take_step(struct data *d)
{
    d->step += d->want;
    if (d->step < d->total)
        return false;
    d->step -= d->total;
    return true;
}

/* True while no sample behind this one was read before. */
static bool
is_first_pass(const struct data *d)
{
    return d->given == seen_n(d->seen);
}

static int
next_rows(struct data *d, int64_t rows, struct err *e)
{
    int64_t got = 0;
    int rc = reserve(d, rows, e);

    while (rc == 0 && got < rows) {
        bool take = take_step(d), first = is_first_pass(d);

        if ((rc = read_row(d, take ? got : -1, first, e)) != 0)
            break;
        d->at++;
        if (!take)
            continue;
        got++;
        d->given++;
        if (first)
            seen_sample(d->seen);
    }
    return rc;
}

/* The batch's shapes: [rows, sample], or the sample where it is whole. */
static void
shape_rows(struct data *d, int64_t rows)
{
    for (int i = 0; i < d->columns.n; i++) {
        const struct column *c = &d->columns.at[i];
        struct tensor *t;

        if (c->kind == COLUMN_LABELS)
            continue;
        t = target(d, c);
        t->dtype = c->to;
        t->shape = c->sample;
        if (c->whole)
            continue;
        t->shape.rank++;
        t->shape.dim[0] = rows;
        memcpy(t->shape.dim + 1, c->sample.dim,
               (size_t)c->sample.rank * sizeof c->sample.dim[0]);
    }
}

/* One tensor of a test set, in the type the model has for it. */
static int
take_tensor(struct tensor *raw, const struct model_io *io, struct tensor *out,
            struct err *e)
{
    size_t n;
    int rc = shape_count(&raw->shape, &n, e);

    if (rc == 0 && !convert_allowed(raw->dtype, io->dtype))
        rc = err_set(e, ERR_INVALID, "%s, the model has %s",
                     dtype_name(raw->dtype), dtype_name(io->dtype));
    if (rc == 0) {
        out->dtype = io->dtype;
        out->shape = raw->shape;
        out->data = mem_try_aligned(n * dtype_size(io->dtype));
        if (out->data == NULL)
            rc = err_set(e, ERR_NO_MEMORY, "%zu elements", n);
        else
            rc = convert(raw->dtype, raw->data, io->dtype, out->data, n, e);
    }
    mem_free(raw->data);
    return rc;
}

static int
load_input(struct data *d, int set, int i, struct err *e)
{
    const struct model_io *io = model_input(d->model, i);
    struct tensor raw;
    int rc = testset_in(d->sets, set, i, &raw, e);

    if (rc == 0 && (rc = take_tensor(&raw, io, &d->in[i], e)) != 0)
        err_wrap(e, "%s: input '%s'", testset_name(d->sets, set), io->name);
    return rc;
}

static int
load_output(struct data *d, int set, int i, struct err *e)
{
    const struct model_io *io = model_output(d->model, i);
    struct tensor raw;
    int rc = testset_out(d->sets, set, i, &raw, e);

    if (rc == 0 && (rc = take_tensor(&raw, io, &d->out[i], e)) != 0)
        err_wrap(e, "%s: output '%s'", testset_name(d->sets, set), io->name);
    return rc;
}

static int
next_set(struct data *d, struct err *e)
{
    bool first = is_first_pass(d);
    int rc = 0;

    while (!take_step(d))
        d->at++;
    drop_batch(d);
    for (int i = 0; i < d->n_in && rc == 0; i++)
        rc = load_input(d, (int)d->at, i, e);
    for (int i = 0; d->has_outputs && i < d->n_out && rc == 0; i++)
        rc = load_output(d, (int)d->at, i, e);
    if (rc != 0)
        return rc;
    d->at++;
    d->given++;
    for (int i = 0; first && i < d->n_in; i++)
        seen_input(d->seen, i, d->in[i].dtype, d->in[i].data,
                   shape_n(&d->in[i].shape));
    if (first)
        seen_sample(d->seen);
    return 0;
}

int
data_next(struct data *d, int rows, struct data_batch *b, struct err *e)
{
    int64_t n = data_left(d);
    int rc = 0;

    *b = (struct data_batch){0};
    if (n > rows)
        n = rows;
    if (n > 1 && !d->share)
        n = 1;
    if (n <= 0)
        return 0;
    if (d->npz != NULL) {
        if ((rc = next_rows(d, n, e)) == 0)
            shape_rows(d, n);
    } else
        rc = next_set(d, e);
    if (rc != 0)
        return err_wrap(e, "%s", d->path);
    *b = (struct data_batch){
        .rows = (int)n,
        .n_in = d->n_in,
        .n_want = d->n_out,
        .in = d->in,
        .labels = d->has_labels ? d->labels : NULL,
        .want = d->has_outputs ? d->out : NULL,
    };
    return 0;
}

int
data_rewind(struct data *d, struct err *e)
{
    d->at = d->given = d->step = 0;
    if (d->npz == NULL)
        return 0;
    return npz_rewind(d->npz, e);
}

int
data_feed(const struct data_batch *b, struct session *s, struct err *e)
{
    struct shape *shapes = mem_new((size_t)b->n_in, sizeof *shapes);
    int rc;

    for (int i = 0; i < b->n_in; i++)
        shapes[i] = b->in[i].shape;
    rc = session_shape(s, shapes, e);
    mem_free(shapes);
    if (rc != 0)
        return rc;
    for (int i = 0; i < b->n_in; i++) {
        size_t n = shape_n(&b->in[i].shape) * dtype_size(b->in[i].dtype);

        if (n > 0)
            memcpy(session_input(s, i), b->in[i].data, n);
    }
    return 0;
}

/* --- opening -------------------------------------------------------------- */

static int
bind_arrays(struct data *d, struct err *e)
{
    int rc = columns_bind(d->npz, d->model, d->role == DATA_CALIBRATION,
                          &d->columns, e);

    if (rc != 0)
        return rc;
    d->total = d->columns.total;
    d->share &= d->columns.share;
    d->has_labels = d->columns.has_labels;
    d->has_outputs = d->columns.has_outputs;
    return 0;
}

static int
bind_sets(struct data *d, struct err *e)
{
    d->total = testset_n(d->sets);
    d->share = false;
    d->has_outputs = d->role == DATA_VALIDATION;
    for (int i = 0; i < d->total; i++) {
        if (testset_n_in(d->sets, i) != d->n_in)
            return err_set(
                e, ERR_INVALID, "%s: %d inputs (input_N.pb), the model has %d",
                testset_name(d->sets, i), testset_n_in(d->sets, i), d->n_in);
        if (testset_n_out(d->sets, i) != d->n_out)
            d->has_outputs = false;
    }
    return 0;
}

int
data_open(const char *path, const struct model *m, enum data_role role,
          struct data **out, struct err *e)
{
    struct data *d = mem_new(1, sizeof *d);
    struct stat st;
    int rc;

    d->model = m;
    d->role = role;
    d->path = mem_strdup(path);
    d->n_in = model_n_inputs(m);
    d->n_out = model_n_outputs(m);
    d->share = model_max_batch(m) > 0;
    d->in = mem_new((size_t)d->n_in, sizeof *d->in);
    d->out = mem_new((size_t)d->n_out, sizeof *d->out);
    d->seen = seen_new(d->n_in);
    if ((stat(path, &st) == 0 && S_ISDIR(st.st_mode)) || tar_is(path)) {
        if ((rc = testset_open(path, &d->sets, e)) == 0)
            rc = bind_sets(d, e);
    } else if ((rc = npz_open(path, &d->npz, e)) == 0 &&
               (rc = bind_arrays(d, e)) != 0)
        err_wrap(e, "%s", path);
    if (rc != 0) {
        data_free(&d);
        return rc;
    }
    d->want = d->total;
    *out = d;
    return 0;
}

void
data_free(struct data **dp)
{
    struct data *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    drop_batch(d);
    npz_free(&d->npz);
    testset_free(&d->sets);
    mem_free(d->columns.at);
    mem_free(d->in);
    mem_free(d->out);
    seen_free(&d->seen);
    mem_free(d->path);
    mem_free(d);
}

/* --- asking --------------------------------------------------------------- */

int64_t
data_n(const struct data *d)
{
    return d->want;
}

int64_t
data_left(const struct data *d)
{
    return d->want - d->given;
}

void
data_limit(struct data *d, int64_t n)
{
    if (n > 0 && n < d->want)
        d->want = n;
}

bool
data_has_labels(const struct data *d)
{
    return d->has_labels;
}

bool
data_has_outputs(const struct data *d)
{
    return d->has_outputs;
}

int
data_digest(const struct data *d, char hex[DIGEST_HEX + 1], struct err *e)
{
    return d->sets != NULL ? testset_digest(d->sets, hex, e)
                           : digest_file(d->path, hex, e);
}

const struct seen *
data_seen(const struct data *d)
{
    return d->seen;
}
