/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watched tensors are made outputs of a copy of the graph, and each run
 * adds what they hold to their histograms.  Without excluded layers more
 * tensors may be quantized than with any, so one observation serves all later
 * choices.
 */
#include "quant/observe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "quant/sites.h"

void
observation_free(struct observation **ob)
{
    if (*ob == NULL)
        return;
    for (size_t i = 0; i < (*ob)->watched.n; i++)
        mem_free((*ob)->watched.at[i].histogram);
    mem_free((*ob)->watched.at);
    mem_free(*ob);
    *ob = NULL;
}

const struct histogram *
observation_of(const struct observation *ob, int id)
{
    for (size_t i = 0; i < ob->watched.n; i++)
        if (ob->watched.at[i].value == id)
            return ob->watched.at[i].histogram;
    return NULL;
}

static int
index_in(const int *at, size_t n, int id)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] == id)
            return (int)i;
    return -1;
}

static int
watch(struct observation *ob, struct graph *tapped, int id, struct err *e)
{
    struct watched w = {.value = id, .output = -1};

    w.input = index_in(tapped->inputs.at, tapped->inputs.n, id);
    if (w.input < 0) {
        w.output = index_in(tapped->outputs.at, tapped->outputs.n, id);
        if (w.output < 0) {
            VEC_PUSH(&tapped->outputs, id);
            w.output = (int)tapped->outputs.n - 1;
        }
    }
    w.histogram = mem_try(1, sizeof *w.histogram);
    if (w.histogram == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for histograms");
    histogram_init(w.histogram);
    VEC_PUSH(&ob->watched, w);
    return 0;
}

/* Watches what may be quantized, and all float inputs for the report. */
static int
watch_all(struct observation *ob, const struct graph *g, struct graph *tapped,
          struct err *e)
{
    struct quant_options all;
    struct sites sites;
    bool layers = false;
    int rc = 0;

    quant_options_init(&all);
    sites_init(&sites, g, &all);
    for (size_t i = 0; i < g->nodes.n; i++)
        layers |= sites_is_layer(&g->nodes.at[i]) && sites.int8[i];
    for (size_t v = 0; rc == 0 && v < g->values.n; v++) {
        bool input = index_in(g->inputs.at, g->inputs.n, (int)v) >= 0;

        if (sites.quantized[v] ||
            (input && g->values.at[v].dtype == DTYPE_FLOAT))
            rc = watch(ob, tapped, (int)v, e);
    }
    if (rc == 0 && !layers)
        rc = sites_nothing(&sites, &all, e);
    sites_free(&sites);
    return rc;
}

struct observer {
    struct observation *ob;
    struct model *model;
    struct session *session;
    int n_in;
    struct tensor *in;    /* as the source gave them */
    struct shape *shapes; /* of what is run */
    bool *good;           /* by row: every input is finite */
};

/* Bytes of row r and where it begins; the whole tensor for a single row. */
static const char *
row_of(const struct tensor *t, int r, int rows, size_t *bytes)
{
    *bytes = shape_n(&t->shape) * dtype_size(t->dtype) / (size_t)rows;
    return (const char *)t->data + (size_t)r * *bytes;
}

static bool
row_finite(const struct observer *o, int r, int rows)
{
    for (int i = 0; i < o->n_in; i++) {
        size_t bytes;
        const void *p = row_of(&o->in[i], r, rows, &bytes);
        const float *x = p;

        for (size_t k = 0;
             o->in[i].dtype == DTYPE_FLOAT && k < bytes / sizeof *x; k++)
            if (!isfinite(x[k]))
                return false;
    }
    return true;
}

static int
check_batch(const struct observer *o, int rows, int max_rows, struct err *e)
{
    if (rows > max_rows)
        return err_set(e, ERR_INTERNAL, "%d samples where %d were asked for",
                       rows, max_rows);
    for (int i = 0; i < o->n_in; i++)
        if (rows > 1 &&
            (o->in[i].shape.rank < 1 || o->in[i].shape.dim[0] != rows))
            return err_set(e, ERR_INVALID, "input %s: not %d samples",
                           model_input(o->model, i)->name, rows);
    return 0;
}

static void
note_inputs(struct observer *o)
{
    for (size_t i = 0; i < o->ob->watched.n; i++) {
        const struct watched *w = &o->ob->watched.at[i];

        if (w->input >= 0)
            histogram_add(w->histogram, session_input(o->session, w->input),
                          shape_n(&o->shapes[w->input]));
    }
}

static void
note_outputs(struct observer *o)
{
    for (size_t i = 0; i < o->ob->watched.n; i++) {
        const struct watched *w = &o->ob->watched.at[i];
        const struct tensor *t;

        if (w->output < 0)
            continue;
        t = session_output(o->session, w->output);
        if (t->dtype == DTYPE_FLOAT)
            histogram_add(w->histogram, t->data, shape_n(&t->shape));
    }
}

/* Runs the good rows together. */
static int
run_rows(struct observer *o, int rows, int n_good, struct err *e)
{
    int rc;

    for (int i = 0; i < o->n_in; i++) {
        o->shapes[i] = o->in[i].shape;
        if (rows > 1)
            o->shapes[i].dim[0] = n_good;
    }
    rc = session_shape(o->session, o->shapes, e);
    if (rc != 0)
        return rc;
    for (int i = 0; i < o->n_in; i++) {
        char *to = session_input(o->session, i);

        for (int r = 0; r < rows; r++) {
            size_t bytes;
            const char *from = row_of(&o->in[i], r, rows, &bytes);

            if (!o->good[r])
                continue;
            memcpy(to, from, bytes);
            to += bytes;
        }
    }
    note_inputs(o); /* a run may use their memory for something else */
    return session_run(o->session, e);
}

static int
observe_batch(struct observer *o, int rows, struct err *e)
{
    int n_good = 0, rc;

    for (int r = 0; r < rows; r++) {
        o->good[r] = row_finite(o, r, rows);
        n_good += o->good[r];
    }
    o->ob->skipped += rows - n_good;
    if (n_good == 0)
        return 0;
    rc = run_rows(o, rows, n_good, e);
    if (rc != 0)
        return err_wrap(e, "calibration sample %ld",
                        o->ob->samples + o->ob->skipped);
    note_outputs(o);
    o->ob->samples += n_good;
    return 0;
}

static void
tell(const struct quant_progress *p, long done, long total)
{
    char text[80];

    if (p == NULL || p->call == NULL)
        return;
    if (total > 0)
        snprintf(text, sizeof text, "%ld of %ld calibration samples", done,
                 total);
    else
        snprintf(text, sizeof text, "%ld calibration samples", done);
    p->call(p->arg, total > 0 ? (double)done / (double)total : 0, text);
}

static int
observe_all(struct observer *o, const struct quant_options *opt,
            const struct quant_source *src, const struct quant_progress *p,
            struct err *e)
{
    long total =
        src->total > 0 && src->total < opt->samples ? src->total : opt->samples;
    int largest = model_max_batch(o->model), rows = 0;

    largest = largest < 1 ? 1 : largest < opt->batch ? largest : opt->batch;
    o->good = mem_new((size_t)largest, sizeof *o->good);
    for (long done = 0; done < total; done += rows) {
        int want = total - done < largest ? (int)(total - done) : largest, rc;

        tell(p, done, total);
        rc = src->next(src->arg, want, o->in, &rows, e);
        if (rc == 0)
            rc = check_batch(o, rows, want, e);
        if (rc == 0 && rows > 0)
            rc = observe_batch(o, rows, e);
        if (rc != 0)
            return rc;
        if (rows == 0)
            break;
    }
    tell(p, o->ob->samples + o->ob->skipped, o->ob->samples + o->ob->skipped);
    if (o->ob->samples > 0)
        return 0;
    if (o->ob->skipped > 0)
        return err_set(e, ERR_INVALID,
                       "calibration: all %ld samples hold NaN or infinity",
                       o->ob->skipped);
    return err_set(e, ERR_INVALID, "calibration: no samples");
}

int
quant_observe(const struct graph *g, const struct quant_options *opt,
              const struct quant_source *src, const struct quant_progress *p,
              struct observation **out, struct err *e)
{
    struct graph *tapped = graph_copy(g);
    struct observer o = {.n_in = (int)g->inputs.n};
    struct model_options mo = {.max_batch = opt->batch, .max_shapes = 2};
    int rc;

    o.ob = mem_new(1, sizeof *o.ob);
    o.in = mem_new(g->inputs.n + 1, sizeof *o.in);
    o.shapes = mem_new(g->inputs.n + 1, sizeof *o.shapes);
    rc = watch_all(o.ob, g, tapped, e);
    if (rc == 0)
        rc = model_build(&tapped, &mo, &o.model, e);
    if (rc == 0)
        rc = session_new(o.model, &o.session, e);
    if (rc == 0)
        rc = observe_all(&o, opt, src, p, e);
    session_free(&o.session);
    model_unref(&o.model);
    graph_free(&tapped);
    mem_free(o.good);
    mem_free(o.shapes);
    mem_free(o.in);
    if (rc == 0)
        *out = o.ob;
    else
        observation_free(&o.ob);
    return rc;
}
