/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the first axis a batch axis?
 *
 * A model may be run on several requests at once when row i of every output
 * depends on row i of the inputs alone.  Three questions, each able to say no:
 *
 * 1. the file: the first axis of every input is dynamic under one name, or 1
 *    in all of them (exporters fix it when nobody asks them not to);
 * 2. the shapes: with n rows in, every output has n rows, and is otherwise
 *    shaped as with one.  A Reshape that says 1 where it means "the batch" is
 *    told to copy the axis (0), which is the same thing for one row;
 * 3. the numbers, when the model is warmed up: two different rows together are
 *    answered as each of them alone.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ops/number.h"
#include "engine/run/model.h"
#include "engine/run/session.h"

/* Sizes tried for dynamic axes that are not the batch. */
static const int64_t trial_sizes[] = {64, 32, 128, 224, 320, 16, 1};
enum { N_TRIALS = sizeof trial_sizes / sizeof trial_sizes[0] };

static bool
other_axes_dynamic(const struct graph *g)
{
    for (size_t i = 0; i < g->inputs.n; i++) {
        const struct shape *s = &g->values.at[g->inputs.at[i]].shape;

        for (int k = 1; k < s->rank; k++)
            if (s->dim[k] == SHAPE_DYNAMIC)
                return true;
        if (s->rank == SHAPE_UNKNOWN)
            return true;
    }
    return false;
}

/* Input shapes with that many rows and `size` for the other dynamic axes. */
static bool
fill_shapes(const struct graph *g, int64_t rows, int64_t size,
            struct shape *out)
{
    for (size_t i = 0; i < g->inputs.n; i++) {
        out[i] = g->values.at[g->inputs.at[i]].shape;
        if (out[i].rank == SHAPE_UNKNOWN)
            return false;
        for (int k = 0; k < out[i].rank; k++)
            if (out[i].dim[k] == SHAPE_DYNAMIC)
                out[i].dim[k] = k == 0 ? rows : size;
    }
    return true;
}

/* --- the file ------------------------------------------------------------ */

enum axis { AXIS_NONE, AXIS_DYNAMIC, AXIS_ONE };

static enum axis
axis_of_input(const struct graph *g, size_t i, const char **name)
{
    const struct value *v = &g->values.at[g->inputs.at[i]];

    if (v->shape.rank < 1)
        return AXIS_NONE;
    *name = v->dim_name == NULL ? NULL : v->dim_name[0];
    if (v->shape.dim[0] == SHAPE_DYNAMIC)
        return AXIS_DYNAMIC;
    return v->shape.dim[0] == 1 && v->shape.rank > 1 ? AXIS_ONE : AXIS_NONE;
}

static enum axis
first_axis(const struct graph *g)
{
    const char *name = NULL, *other = NULL;
    enum axis a;

    if (g->inputs.n == 0)
        return AXIS_NONE;
    a = axis_of_input(g, 0, &name);
    for (size_t i = 1; i < g->inputs.n; i++) {
        if (axis_of_input(g, i, &other) != a)
            return AXIS_NONE;
        if (a == AXIS_DYNAMIC && name != NULL && other != NULL &&
            strcmp(name, other) != 0)
            return AXIS_NONE;
    }
    /* The whole tensor gets one scale: a row changes its neighbour's. */
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead &&
            g->nodes.at[i].op == OP_DYNAMIC_QUANTIZE_LINEAR)
            return AXIS_NONE;
    return a;
}

/* --- the shapes ---------------------------------------------------------- */

/*
 * A Reshape to [1, ...] copies the first axis instead; not where this axis is
 * another one (a column made a row), as it is not 1 in `one`, the same graph
 * with the shapes for one row.
 */
static void
free_reshapes(struct graph *g, const struct graph *one)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];
        int64_t dims[SHAPE_MAX_RANK];
        const struct shape *x;
        int rank, id;

        if (n->dead || n->op != OP_RESHAPE || attr_int(n, "allowzero", 0))
            continue;
        x = &graph_value(one, n->in[0])->shape;
        if (x->rank < 1 || x->dim[0] != 1 ||
            !value_ints(node_in(g, n, 1), dims, SHAPE_MAX_RANK, &rank) ||
            rank < 2 || dims[0] != 1)
            continue;
        dims[0] = 0;
        id = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(rank), dims);
        if (id >= 0)
            n->in[1] = id;
    }
}

static void
free_inputs(struct graph *g)
{
    for (size_t i = 0; i < g->inputs.n; i++)
        g->values.at[g->inputs.at[i]].shape.dim[0] = SHAPE_DYNAMIC;
}

/*
 * Makes the first axes, 1 in the file, dynamic.
 *
 * one:   g with the shapes for one row.
 * size:  of the other dynamic axes in `one`: at 1 any axis might be taken for
 *        the batch, so no Reshape is told otherwise.
 */
static void
free_batch(struct graph *g, const struct graph *one, int64_t size)
{
    free_inputs(g);
    if (size != 1)
        free_reshapes(g, one);
}

/* A copy of g with the shapes for one row. */
static int
with_one_row(const struct graph *g, int64_t size, struct graph **out,
             struct err *e)
{
    struct shape *in = mem_new(g->inputs.n + 1, sizeof *in);
    int rc = fill_shapes(g, 1, size, in)
                 ? plan_shapes(g, in, out, e)
                 : err_set(e, ERR_INVALID, "an input of unknown rank");

    mem_free(in);
    return rc;
}

/* Output shapes at that many rows, with the first trial size that works. */
static int
trial(const struct graph *g, int64_t rows, int64_t *size, struct shape *out,
      struct err *e)
{
    struct shape *in = mem_new(g->inputs.n + 1, sizeof *in);
    int n = *size > 0 || !other_axes_dynamic(g) ? 1 : N_TRIALS;
    int rc = ERR_INVALID;

    for (int t = 0; rc != 0 && t < n; t++) {
        int64_t s = *size > 0 ? *size : trial_sizes[t];

        if (!fill_shapes(g, rows, s, in)) {
            err_set(e, ERR_INVALID, "an input of unknown rank");
            break;
        }
        rc = plan_output_shapes(g, in, out, e);
        if (rc == 0)
            *size = s;
    }
    mem_free(in);
    return rc;
}

/* Same as one, but with `rows` where one has 1? */
static bool
scales_with_rows(const struct shape *one, const struct shape *many, size_t n,
                 int64_t rows)
{
    for (size_t i = 0; i < n; i++) {
        struct shape s = one[i];

        if (s.rank < 1 || s.dim[0] != 1)
            return false;
        s.dim[0] = rows;
        if (!shape_equal(&s, &many[i]))
            return false;
    }
    return true;
}

static bool
rows_in_rows_out(const struct graph *g, const struct shape *one, int64_t size)
{
    struct shape *many = mem_new(g->outputs.n, sizeof *many);
    struct shape *again = mem_new(g->outputs.n, sizeof *again);
    struct err e;
    bool ok =
        trial(g, 1, &size, again, &e) == 0 && trial(g, 3, &size, many, &e) == 0;

    for (size_t i = 0; ok && i < g->outputs.n; i++)
        ok = shape_equal(&one[i], &again[i]);
    ok = ok && scales_with_rows(one, many, g->outputs.n, 3);
    mem_free(again);
    mem_free(many);
    return ok;
}

static void
set_ladder(struct model *m, int max_batch)
{
    m->max_batch = max_batch;
    m->n_ladder = 0;
    for (int b = 1; b <= max_batch && m->n_ladder < MODEL_MAX_LADDER - 1;
         b *= 2)
        m->ladder[m->n_ladder++] = b;
    if (max_batch == 0)
        m->ladder[m->n_ladder++] = 1;
    else if (m->ladder[m->n_ladder - 1] < max_batch)
        m->ladder[m->n_ladder++] = max_batch;
}

/* What the file leaves open about its outputs, as far as one trial tells. */
static void
complete_outputs(struct model *m, const struct shape *one)
{
    bool exact = !other_axes_dynamic(m->graph);

    for (int i = 0; i < model_n_outputs(m); i++) {
        struct shape *s = &m->outputs[i].shape;

        if (s->rank != one[i].rank) {
            *s = one[i];
            for (int k = 0; !exact && k < s->rank; k++)
                s->dim[k] = SHAPE_DYNAMIC;
        }
        for (int k = 0; exact && k < s->rank; k++)
            s->dim[k] = one[i].dim[k];
    }
}

static void
declare_batch(struct model *m, int64_t dim)
{
    for (int i = 0; i < model_n_inputs(m); i++)
        m->inputs[i].shape.dim[0] = dim;
    for (int i = 0; i < model_n_outputs(m); i++)
        if (m->outputs[i].shape.rank > 0)
            m->outputs[i].shape.dim[0] = dim;
}

int
batch_find(struct model *m, int max_batch, struct err *e)
{
    enum axis axis = first_axis(m->graph);
    struct shape *one = mem_new(m->graph->outputs.n, sizeof *one);
    struct graph *freed = NULL, *row = NULL;
    int64_t size = 0;
    int rc = 0;
    bool ok;

    set_ladder(m, 0);
    if (!model_is_staged(m))
        rc = trial(m->graph, 1, &size, one, e);
    ok = rc == 0 && !model_is_staged(m);
    /* With sizes made up by us, shapes that do not fit are no fault of the
     * model; what it needs and we do not have is. */
    if (rc == ERR_INVALID && other_axes_dynamic(m->graph))
        rc = 0;
    if (ok)
        complete_outputs(m, one);
    if (ok && axis == AXIS_ONE && with_one_row(m->graph, size, &row, e) == 0) {
        freed = graph_copy(m->graph);
        free_batch(freed, row, size);
    }
    if (ok && axis != AXIS_NONE &&
        rows_in_rows_out(freed != NULL ? freed : m->graph, one, size)) {
        if (freed != NULL) {
            free_batch(m->graph, row, size);
            m->batch_fixed_in_file = true;
        }
        set_ladder(m, max_batch);
        declare_batch(m, SHAPE_DYNAMIC);
    }
    graph_free(&freed);
    graph_free(&row);
    mem_free(one);
    return rc;
}

int
model_max_batch(const struct model *m)
{
    return m->max_batch;
}

int
model_batch_fit(const struct model *m, int rows)
{
    int best = 1;

    for (int i = 0; i < m->n_ladder; i++)
        if (m->ladder[i] <= rows)
            best = m->ladder[i];
    return best;
}

/* --- the numbers --------------------------------------------------------- */

/* xorshift32 (Marsaglia 2003): made-up data, the same in each process. */
static uint32_t
next_random(uint32_t *state)
{
    uint32_t x = *state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

void
batch_make_up(void *data, enum dtype t, size_t n, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;

    for (size_t i = 0; i < n; i++) {
        uint32_t r = next_random(&state);
        float f = (float)(r >> 8) * 0x1p-24f;

        switch (t) {
        case DTYPE_FLOAT:
            ((float *)data)[i] = f;
            break;
        case DTYPE_DOUBLE:
            ((double *)data)[i] = (double)f;
            break;
        case DTYPE_FLOAT16:
            ((uint16_t *)data)[i] = dtype_float_to_half(f);
            break;
        case DTYPE_BFLOAT16:
            ((uint16_t *)data)[i] = dtype_float_to_bf16(f);
            break;
        default: /* integers and bool, little-endian: the low byte */
            memset((unsigned char *)data + i * dtype_size(t), 0, dtype_size(t));
            ((unsigned char *)data)[i * dtype_size(t)] = r >> 31;
        }
    }
}

static size_t
row_bytes(const struct shape *s, enum dtype t)
{
    return s->dim[0] == 0 ? 0 : shape_n(s) / (size_t)s->dim[0] * dtype_size(t);
}

/* Runs rows seeds[0..n): row i is made up from seeds[i]. */
static int
run_rows(struct model *m, struct session *s, int64_t size,
         const uint32_t *seeds, int n, struct err *e)
{
    struct shape *in = mem_new(m->graph->inputs.n, sizeof *in);
    int rc;

    fill_shapes(m->graph, n, size, in);
    rc = session_shape(s, in, e);
    for (int i = 0; rc == 0 && i < model_n_inputs(m); i++) {
        enum dtype t = m->inputs[i].dtype;
        int rows = m->max_batch > 0 ? n : 1;
        size_t count = shape_n(&in[i]) / (size_t)rows;

        for (int r = 0; r < rows; r++)
            batch_make_up((unsigned char *)session_input(s, i) +
                              (size_t)r * count * dtype_size(t),
                          t, count, seeds[r] + 7919u * (uint32_t)i);
    }
    if (rc == 0)
        rc = session_run(s, e);
    mem_free(in);
    return rc;
}

/*
 * Is row `row` of the session's outputs what `alone` holds?  Different batch
 * sizes may sum in another order, and a quantized step may then round the
 * other way; neighbours that matter move far more than that.
 */
static bool
same_row(const struct model *m, const struct session *s, int row,
         unsigned char *const *alone)
{
    for (int i = 0; i < model_n_outputs(m); i++) {
        const struct tensor *t = session_output(s, i);
        size_t bytes = row_bytes(&t->shape, t->dtype);
        const unsigned char *got =
            (const unsigned char *)t->data + (size_t)row * bytes;
        double diff = 0, norm = 0;

        if (!dtype_is_float(t->dtype)) {
            if (memcmp(got, alone[i], bytes) != 0)
                return false;
            continue;
        }
        for (size_t at = 0; at < bytes; at += dtype_size(t->dtype)) {
            double a = number_double(t->dtype, got + at);
            double b = number_double(t->dtype, alone[i] + at);

            if (isnan(a) && isnan(b))
                continue;
            diff += (a - b) * (a - b);
            norm += b * b;
        }
        if (!(diff <= 1e-4 * norm + 1e-12))
            return false;
    }
    return true;
}

static int
rows_are_alone(struct model *m, struct session *s, int64_t size, bool *yes,
               struct err *e)
{
    static const uint32_t seeds[2] = {1, 2};
    int n_out = model_n_outputs(m);
    unsigned char **kept = mem_new(2 * (size_t)n_out, sizeof *kept);
    int rc = 0;

    for (int r = 0; rc == 0 && r < 2; r++) {
        rc = run_rows(m, s, size, &seeds[r], 1, e);
        for (int i = 0; rc == 0 && i < n_out; i++) {
            const struct tensor *t = session_output(s, i);
            size_t bytes = row_bytes(&t->shape, t->dtype);

            kept[r * n_out + i] = mem_try(1, bytes);
            if (kept[r * n_out + i] == NULL)
                rc = err_set(e, ERR_NO_MEMORY, "%zu bytes of output", bytes);
            else
                memcpy(kept[r * n_out + i], t->data, bytes);
        }
    }
    if (rc == 0)
        rc = run_rows(m, s, size, seeds, 2, e);
    *yes =
        rc == 0 && same_row(m, s, 0, kept) && same_row(m, s, 1, kept + n_out);
    for (int i = 0; i < 2 * n_out; i++)
        mem_free(kept[i]);
    mem_free(kept);
    return rc;
}

static void
give_up_batching(struct model *m)
{
    set_ladder(m, 0);
    if (m->batch_fixed_in_file)
        declare_batch(m, 1);
}

/* Builds the plans of the ladder, to stay. */
static int
build_ladder(struct model *m, struct err *e)
{
    struct shape *in = mem_new(m->graph->inputs.n + 1, sizeof *in);
    struct tensor *t = mem_new(m->graph->inputs.n + 1, sizeof *t);
    int rc = 0;

    for (int i = m->n_ladder; rc == 0 && i-- > 0;) {
        struct plan *p = NULL;

        fill_shapes(m->graph, m->ladder[i], 1, in);
        for (int k = 0; k < model_n_inputs(m); k++)
            t[k] = (struct tensor){m->inputs[k].dtype, in[k], NULL};
        rc = plans_get(&m->plans[0], t, true, &p, e);
        plans_put(&m->plans[0], &p);
    }
    mem_free(t);
    mem_free(in);
    return rc;
}

/* What a staged model needs and we do not have is found by running it. */
static int
warm_staged(struct model *m, struct err *e)
{
    static const uint32_t seed = 1;
    struct session *s = session_bare(m);
    bool fixed = !other_axes_dynamic(m->graph);
    int rc = fixed ? run_rows(m, s, 1, &seed, 1, e) : 0;

    session_free(&s);
    /* Made-up data may be wrong for the model, or ask for too much. */
    if (rc == ERR_INVALID || rc == ERR_TOO_LARGE)
        rc = 0;
    m->warm = rc == 0 && fixed;
    return rc;
}

int
model_warm(struct model *m, struct err *e)
{
    static const uint32_t seed = 1;
    bool fixed = !other_axes_dynamic(m->graph), alone = false;
    struct shape *out = mem_new(m->graph->outputs.n, sizeof *out);
    struct session *s = NULL;
    int64_t size = 0;
    int rc = 0;

    if (model_is_staged(m)) {
        rc = warm_staged(m, e);
        goto out;
    }
    if (trial(m->graph, 1, &size, out, e) != 0)
        goto out; /* batch_find() has let it pass: nothing to build yet */
    if (fixed)
        rc = build_ladder(m, e);
    if (rc == 0)
        rc = session_new(m, &s, e);
    if (rc == 0 && m->max_batch > 0)
        rc = rows_are_alone(m, s, size, &alone, e);
    if (rc == 0 && m->max_batch > 0 && !alone)
        give_up_batching(m);
    for (int i = 0; rc == 0 && fixed && i < m->n_ladder; i++) {
        uint32_t seeds[1024];

        for (int k = 0; k < 1024; k++)
            seeds[k] = seed;
        if (m->ladder[i] <= 1024)
            rc = run_rows(m, s, size, seeds, m->ladder[i], e);
    }
    /* Made-up data may be wrong for the model; its owner's are not. */
    if (rc == ERR_INVALID) {
        give_up_batching(m);
        rc = 0;
    }
    m->warm = rc == 0 && fixed;
out:
    session_free(&s);
    mem_free(out);
    return rc;
}
