/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention without its matrix of scores: for each unit (a batch and a head)
 * k and v are packed once, then some rows of q at a time go all the way to the
 * output, their scores never leaving the cache.  Rows are whole, so softmax is
 * the usual one, by the largest.
 *
 * A unit's memory is its lane's: as many lanes as there were threads when the
 * plan was made, each going through units of its own.
 */
#include <omp.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"
#include "engine/dnn/tile.h"
#include "engine/ir/attention.h"

enum {
    /* Scores of one block of rows: half of a small second-level cache. */
    BLOCK_FLOATS = 32768,
    LEAST_ROWS = 12,
    MOST_ROWS = 96,
};

struct attend {
    const struct attention *a;
    int64_t units, lanes, block; /* block: rows at once */
    int64_t cols, width;         /* rounded up to panels */
    /* Where they lie in a lane's memory, in floats; and its size. */
    size_t v, q, scores, out, size;
};

static bool
fits(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (!desc_nonempty(node_in(g, n, i)))
            return false;
    return desc_nonempty(node_out(g, n, 0));
}

static size_t
aligned(int64_t floats)
{
    const size_t unit = MEM_ALIGN / sizeof(float);

    return ((size_t)floats + unit - 1) / unit * unit;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct attention *a = n->attention;
    struct attend *p = mem_new(1, sizeof *p);

    (void)g;
    (void)w;
    (void)e;
    p->a = a;
    p->units = attention_units(a);
    p->lanes = omp_get_max_threads();
    if (p->lanes > p->units)
        p->lanes = p->units;
    p->cols = tile_columns(a->cols);
    p->width = tile_columns(a->width);
    p->block = BLOCK_FLOATS / p->cols / LEAST_ROWS * LEAST_ROWS;
    p->block = p->block < LEAST_ROWS  ? LEAST_ROWS
               : p->block > MOST_ROWS ? MOST_ROWS
                                      : p->block;
    if (p->block > a->rows)
        p->block = a->rows;
    p->v = aligned(a->depth * p->cols);
    p->q = p->v + aligned(a->cols * p->width);
    p->scores = p->q + aligned(p->block * a->depth);
    p->out = p->scores + aligned(p->block * p->cols);
    p->size = p->out + aligned(p->block * p->width);
    s->own = p;
    s->impl = tile_isa();
    s->scratch_bytes = (size_t)p->lanes * p->size * sizeof(float);
    return 0;
}

static void
done(struct step *s)
{
    mem_free(s->own);
    s->own = NULL;
}

/* One lane at one unit. */
struct lane {
    const struct attend *p;
    void *const *io;
    float *k, *v, *q, *scores, *out;
    /* Where the unit's matrices begin. */
    const float *from;
    float *to;
    int64_t mask_at[ATTENTION_MAX_MASKS];
};

/* y = x where the bool is `keep`, else fill. */
static void
fill_row(float *x, const bool *m, int64_t step, bool keep, float fill,
         int64_t n)
{
    if (step == 1) {
        for (int64_t j = 0; j < n; j++)
            x[j] = m[j] == keep ? x[j] : fill;
        return;
    }
    for (int64_t j = 0; j < n; j++)
        x[j] = m[j * step] == keep ? x[j] : fill;
}

static void
mask_row(const struct lane *l, int m, int64_t i, float *x)
{
    const struct attention *a = l->p->a;
    const struct attention_mask *mask = &a->mask[m];
    const int64_t step = mask->at.stride[a->n_lead + 1];
    const int64_t at = l->mask_at[m] + i * mask->at.stride[a->n_lead];
    const float *f;

    if (mask->op == OP_WHERE) {
        fill_row(x, (const bool *)l->io[3 + m] + at, step, mask->keep,
                 mask->fill, a->cols);
        return;
    }
    f = (const float *)l->io[3 + m] + at;
    if (step == 0 || step == 1) {
        row_binary(mask->op, x, x, 1, f, (int)step, a->cols);
        return;
    }
    for (int64_t j = 0; j < a->cols; j++)
        row_binary(mask->op, x + j, x + j, 1, f + j * step, 1, 1);
}

/* Rows [from, from + n) of q times scale. */
static void
load_q(const struct lane *l, int64_t from, int64_t n)
{
    const struct attention *a = l->p->a;
    const int64_t row = a->q.stride[a->n_lead],
                  step = a->q.stride[a->n_lead + 1];

    for (int64_t i = 0; i < n; i++) {
        const float *x = l->from + (from + i) * row;
        float *to = l->q + i * a->depth;

        if (step == 1) {
            row_binary(OP_MUL, to, x, 1, &a->scale, 0, a->depth);
            continue;
        }
        for (int64_t d = 0; d < a->depth; d++)
            to[d] = x[d * step] * a->scale;
    }
}

/* Output row i, whose sums are y and whose exponentials add up to `sum`. */
static void
store_y(const struct lane *l, int64_t i, const float *y, float sum)
{
    const struct attention *a = l->p->a;
    const int64_t step = a->y.stride[a->n_lead + 1];
    float *to = l->to + i * a->y.stride[a->n_lead], by = 1 / sum;

    if (step == 1) {
        row_binary(OP_MUL, to, y, 1, &by, 0, a->width);
        return;
    }
    for (int64_t c = 0; c < a->width; c++)
        to[c * step] = y[c] * by;
}

static void
block_of_rows(const struct lane *l, int64_t from, int64_t n)
{
    const struct attend *p = l->p;
    const struct attention *a = p->a;
    float sum[MOST_ROWS];

    load_q(l, from, n);
    tile_mul(l->scores, p->cols, l->q, a->depth, l->k, n, a->cols, a->depth, 0);
    for (int64_t i = 0; i < n; i++) {
        float *x = l->scores + i * p->cols;

        for (int m = 0; m < a->n_masks; m++)
            mask_row(l, m, from + i, x);
        sum[i] = tile_soften(x, a->cols);
    }
    tile_mul(l->out, p->width, l->scores, p->cols, l->v, n, a->width, a->cols,
             0);
    for (int64_t i = 0; i < n; i++)
        store_y(l, from + i, l->out + i * p->width, sum[i]);
}

struct run {
    const struct attend *p;
    void *const *io;
    float *out;
    float *memory;
};

static void
run_lane(void *arg, int64_t lane)
{
    const struct run *r = arg;
    const struct attend *p = r->p;
    const struct attention *a = p->a;
    const int n = a->n_lead;
    float *memory = r->memory + (size_t)lane * p->size;
    struct lane l = {
        .p = p,
        .io = r->io,
        .k = memory,
        .v = memory + p->v,
        .q = memory + p->q,
        .scores = memory + p->scores,
        .out = memory + p->out,
    };

    for (int64_t unit = lane; unit < p->units; unit += p->lanes) {
        l.from = (const float *)r->io[0] + attention_at(a, &a->q, unit);
        l.to = r->out + attention_at(a, &a->y, unit);
        for (int m = 0; m < a->n_masks; m++)
            l.mask_at[m] = attention_at(a, &a->mask[m].at, unit);
        tile_pack(l.k, (const float *)r->io[1] + attention_at(a, &a->k, unit),
                  a->k.stride[n + 1], a->k.stride[n], a->depth, a->cols);
        tile_pack(l.v, (const float *)r->io[2] + attention_at(a, &a->v, unit),
                  a->v.stride[n], a->v.stride[n + 1], a->cols, a->width);
        for (int64_t i = 0; i < a->rows; i += p->block)
            block_of_rows(&l, i,
                          a->rows - i < p->block ? a->rows - i : p->block);
    }
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct attend *p = s->own;
    struct run r = {p, io, io[s->node->n_in], scratch};

    (void)state;
    (void)e;
    grid_split(p->lanes, p->a->rows * p->a->cols * p->a->depth, run_lane, &r);
    return 0;
}

const struct kernel dnn_attention = {
    .op = OP_FUSED_ATTENTION,
    .name = "dnn.attention",
    .layout = KERNEL_PLAIN,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
