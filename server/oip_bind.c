/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request held against its model: names, types, shapes.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server/oip.h"

enum { NAMES = 300 };

/* "'a', 'b', 'c'" of the model's inputs or outputs, for messages. */
static const char *
list_names(const struct model *m, int n,
           const struct model_io *(*io)(const struct model *m, int i),
           char text[NAMES])
{
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < n && at < NAMES; i++)
        at += (size_t)snprintf(text + at, NAMES - at, "%s'%s'",
                               i > 0 ? ", " : "", io(m, i)->name);
    return text;
}

static int
find_input(const struct model *m, const char *name)
{
    for (int i = 0; i < model_n_inputs(m); i++)
        if (strcmp(model_input(m, i)->name, name) == 0)
            return i;
    return -1;
}

static int
find_output(const struct model *m, const char *name)
{
    for (int i = 0; i < model_n_outputs(m); i++)
        if (strcmp(model_output(m, i)->name, name) == 0)
            return i;
    return -1;
}

static int
check_input(const struct oip_input *in, const struct model_io *io,
            struct err *e)
{
    char want[SHAPE_TEXT], got[SHAPE_TEXT];
    bool fits = in->shape.rank == io->shape.rank;

    if (in->dtype != io->dtype)
        return err_set(
            e, ERR_INVALID, "input '%.120s': datatype %s, the model wants %s",
            in->name, oip_datatype(in->dtype), oip_datatype(io->dtype));
    for (int i = 0; fits && i < io->shape.rank; i++)
        fits = io->shape.dim[i] == SHAPE_DYNAMIC ||
               io->shape.dim[i] == in->shape.dim[i];
    if (!fits)
        return err_set(e, ERR_INVALID,
                       "input '%.120s': shape %s, the model wants %s", in->name,
                       shape_text(&in->shape, got),
                       shape_text(&io->shape, want));
    return 0;
}

static int
bind_inputs(const struct oip_request *q, const struct model *m,
            const struct oip_input **in, struct err *e)
{
    char names[NAMES];
    int n = model_n_inputs(m);

    for (int i = 0; i < n; i++)
        in[i] = NULL;
    for (int i = 0; i < q->n_inputs; i++) {
        int k = find_input(m, q->inputs[i].name);

        if (k < 0)
            return err_set(
                e, ERR_INVALID, "the model has no input '%.120s': it has %s",
                q->inputs[i].name, list_names(m, n, model_input, names));
        if (in[k] != NULL)
            return err_set(e, ERR_INVALID, "input '%.120s' is given twice",
                           q->inputs[i].name);
        in[k] = &q->inputs[i];
        if (check_input(in[k], model_input(m, k), e) != 0)
            return e->code;
    }
    for (int i = 0; i < n; i++)
        if (in[i] == NULL)
            return err_set(
                e, ERR_INVALID, "input '%s' is missing: the model has %s",
                model_input(m, i)->name, list_names(m, n, model_input, names));
    return 0;
}

/* Asked for without a list of outputs: every one, as the request says. */
static const struct oip_output all_json = {.binary = 0};
static const struct oip_output all_binary = {.binary = 1};

static int
check_output(const struct oip_request *q, const struct oip_output *o,
             const struct model_io *io, struct err *e)
{
    bool binary = o->binary < 0 ? q->binary_output : o->binary;

    if (!binary && o->classes == 0 &&
        (io->dtype == DTYPE_FLOAT16 || io->dtype == DTYPE_BFLOAT16))
        return err_set(e, ERR_INVALID,
                       "output '%s': %s has no JSON form: ask for binary_data",
                       io->name, oip_datatype(io->dtype));
    if (o->classes > 0 && io->dtype == DTYPE_BOOL)
        return err_set(e, ERR_INVALID,
                       "output '%s': BOOL values cannot be ranked", io->name);
    return 0;
}

static int
bind_outputs(const struct oip_request *q, const struct model *m,
             const struct oip_output **out, struct err *e)
{
    char names[NAMES];
    int n = model_n_outputs(m);

    for (int i = 0; i < n; i++)
        out[i] = q->n_outputs > 0   ? NULL
                 : q->binary_output ? &all_binary
                                    : &all_json;
    for (int i = 0; i < q->n_outputs; i++) {
        int k = find_output(m, q->outputs[i].name);

        if (k < 0)
            return err_set(
                e, ERR_INVALID, "the model has no output '%.120s': it has %s",
                q->outputs[i].name, list_names(m, n, model_output, names));
        if (out[k] != NULL)
            return err_set(e, ERR_INVALID, "output '%.120s' is asked twice",
                           q->outputs[i].name);
        out[k] = &q->outputs[i];
    }
    for (int i = 0; i < n; i++)
        if (out[i] != NULL &&
            check_output(q, out[i], model_output(m, i), e) != 0)
            return e->code;
    return 0;
}

/* The shape that the bytes of a raw request have: batch 1, and at most one
 * dimension open, which the length decides. */
static int
raw_shape(const struct model_io *io, bool batched, size_t bytes,
          struct shape *out, struct err *e)
{
    size_t known = dtype_size(io->dtype);
    int open = -1;

    *out = io->shape;
    for (int i = 0; i < out->rank; i++) {
        if (i == 0 && batched)
            out->dim[i] = 1;
        if (out->dim[i] != SHAPE_DYNAMIC) {
            if (__builtin_mul_overflow(known, (size_t)out->dim[i], &known))
                known = 0;
            continue;
        }
        if (open >= 0)
            return err_set(e, ERR_INVALID,
                           "a raw request needs a model input with at most "
                           "one dimension open besides the batch");
        open = i;
    }
    if (open >= 0 && known > 0)
        out->dim[open] = (int64_t)(bytes / known);
    if (known == 0 || bytes == 0 || bytes % known != 0 ||
        (open < 0 && bytes != known))
        return err_set(e, ERR_INVALID,
                       "the body has %zu bytes, input '%s' takes %s%zu", bytes,
                       io->name, open >= 0 ? "a multiple of " : "", known);
    return 0;
}

/* Makes the one input of a raw request: the body. */
static int
bind_raw(struct oip_request *q, const struct model *m, bool batched,
         struct err *e)
{
    const struct model_io *io = model_input(m, 0);

    if (model_n_inputs(m) != 1)
        return err_set(e, ERR_INVALID,
                       "a raw request (Inference-Header-Content-Length 0) "
                       "needs a model with one input, this one has %d",
                       model_n_inputs(m));
    if (q->inputs == NULL)
        q->inputs = mem_new(1, sizeof *q->inputs);
    q->n_inputs = 1;
    q->inputs[0] = (struct oip_input){
        .name = io->name,
        .dtype = io->dtype,
        .data = q->body->p,
        .bytes = q->body->n,
    };
    return raw_shape(io, batched, q->body->n, &q->inputs[0].shape, e);
}

int
oip_bind(struct oip_request *q, const struct model *m, bool batched,
         const struct oip_input **in, const struct oip_output **out,
         struct err *e)
{
    if (q->raw && bind_raw(q, m, batched, e) != 0)
        return e->code;
    if (bind_inputs(q, m, in, e) != 0)
        return e->code;
    return bind_outputs(q, m, out, e);
}
