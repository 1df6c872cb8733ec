/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM and GRU with constant weights and the usual functions: the products
 * with the input are made for many steps at once, those with the state step by
 * step, both from packed weights.
 *
 *     sums[t,b] = bias + x[t,b] W' + h[t-1,b] R'
 *
 * The sums lie in one or two parts, each rounded up to whole panels: all four
 * gates of LSTM in one; z and r of GRU in one, the candidate, whose product
 * with the state is another, in the second.  A row of the batch is computed
 * alike whatever the others are; when lengths differ, rows go one by one.
 */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/func.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"
#include "engine/dnn/tile.h"

enum { MAX_DIRECTIONS = 2, MAX_PARTS = 2, ROWS = 96 /* of sums at once */ };

/* The first six are those of GRU too. */
enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

struct part {
    const float *w, *r; /* packed */
    float *bias;        /* [cols], 0 behind n */
    int64_t n, cols;    /* columns; rounded up */
};

struct recurrent {
    bool is_lstm, backward, batch_first, reset_after;
    int64_t T, B, I, H; /* steps, batch, inputs, hidden */
    int D, n_parts;
    float clip;
    struct part part[MAX_DIRECTIONS][MAX_PARTS];
    float *state_bias[MAX_DIRECTIONS]; /* of the candidate, with reset_after */
    int64_t wide;                      /* columns of all parts */
    int64_t chunk;                     /* steps whose sums are made at once */
    size_t lane;                       /* floats of scratch a direction */
};

/* --- which nodes -----------------------------------------------------------
 */

static bool
usual_functions(const struct node *n, int directions)
{
    static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
    const int each = n->op == OP_LSTM ? 3 : 2;
    int count;
    const char *const *names = attr_strings(n, "activations", &count);

    if (names == NULL)
        return true;
    for (int i = 0; i < count; i++)
        if (strcasecmp(names[i], usual[i % each]) != 0)
            return false;
    return count == directions * each;
}

/* A constant of floats; an absent one does as well. */
static bool
fixed(const struct graph *g, const struct node *n, int i)
{
    const struct value *v = i < n->n_own ? node_in(g, n, i) : NULL;

    return v == NULL || (v->data != NULL && v->dtype == DTYPE_FLOAT);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, IN_X);

    return n->n_posts == 0 && n->in_q == NULL && n->out_q == NULL &&
           x->dtype == DTYPE_FLOAT && desc_nonempty(x) && fixed(g, n, IN_W) &&
           fixed(g, n, IN_R) && fixed(g, n, IN_B) &&
           desc_nonempty(node_in(g, n, IN_R)) &&
           (n->n_own <= IN_P || n->in[IN_P] < 0) &&
           attr_int(n, "input_forget", 0) == 0 &&
           usual_functions(n, (int)node_in(g, n, IN_W)->shape.dim[0]);
}

/* --- weights ----------------------------------------------------------------
 */

struct packing {
    const void *from; /* the key, together: its bytes are compared */
    const char *how;
    int64_t at, k, n, width;
};

static int
pack(void *dst, void *arg, struct err *e)
{
    const struct packing *p = arg;

    (void)e;
    tile_pack(dst, (const float *)p->from + p->at, 1, p->k, p->k, p->n);
    return 0;
}

/* n rows of length k from element `at` of constant v, as columns. */
static const float *
packed(const struct value *v, int64_t at, int64_t k, int64_t n,
       struct weights *w, struct err *e)
{
    struct packing p;

    memset(&p, 0, sizeof p);
    p.from = v->data;
    p.how = tile_isa();
    p.at = at;
    p.k = k;
    p.n = n;
    p.width = tile_columns(n);
    return weights_get(w, &p, sizeof p, (size_t)(k * p.width) * sizeof(float),
                       pack, &p, e);
}

/* Columns [from, from + n) of direction d. */
static int
make_part(const struct graph *g, const struct node *n, struct recurrent *v,
          int d, int64_t from, struct part *p, struct weights *w, struct err *e)
{
    const int64_t rows = (v->is_lstm ? 4 : 3) * v->H, at = d * rows + from;
    const struct value *b = n->n_own > IN_B ? node_in(g, n, IN_B) : NULL;
    const bool apart = v->reset_after && from > 0;

    p->cols = tile_columns(p->n);
    p->w = packed(node_in(g, n, IN_W), at * v->I, v->I, p->n, w, e);
    if (p->w != NULL)
        p->r = packed(node_in(g, n, IN_R), at * v->H, v->H, p->n, w, e);
    if (p->r == NULL)
        return e->code;
    p->bias = mem_try((size_t)p->cols, sizeof *p->bias);
    if (apart)
        v->state_bias[d] = mem_try((size_t)p->cols, sizeof(float));
    if (p->bias == NULL || (apart && v->state_bias[d] == NULL))
        return err_set(e, ERR_NO_MEMORY, "no memory for biases");
    for (int64_t k = 0; b != NULL && k < p->n; k++) {
        const float *of_w = (const float *)b->data + d * 2 * rows + from;
        const float *of_r = of_w + rows;

        p->bias[k] = of_w[k] + (apart ? 0 : of_r[k]);
        if (apart)
            v->state_bias[d][k] = of_r[k];
    }
    return 0;
}

static void
done(struct step *s)
{
    struct recurrent *v = s->own;

    for (int d = 0; v != NULL && d < MAX_DIRECTIONS; d++) {
        for (int i = 0; i < MAX_PARTS; i++)
            mem_free(v->part[d][i].bias);
        mem_free(v->state_bias[d]);
    }
    mem_free(v);
    s->own = NULL;
}

static void
read(const struct graph *g, const struct node *n, struct recurrent *v)
{
    const struct shape *x = &node_in(g, n, IN_X)->shape;

    v->is_lstm = n->op == OP_LSTM;
    v->batch_first = attr_int(n, "layout", 0) != 0;
    v->backward = strcmp(attr_string(n, "direction", ""), "reverse") == 0;
    v->reset_after = !v->is_lstm && attr_int(n, "linear_before_reset", 0) != 0;
    v->clip = attr_float(n, "clip", INFINITY);
    v->T = x->dim[v->batch_first];
    v->B = x->dim[!v->batch_first];
    v->I = x->dim[2];
    v->D = (int)node_in(g, n, IN_R)->shape.dim[0];
    v->H = node_in(g, n, IN_R)->shape.dim[2];
    v->n_parts = v->is_lstm ? 1 : 2;
    v->chunk = v->B > ROWS ? 1 : ROWS / v->B;
    if (v->chunk > v->T)
        v->chunk = v->T;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    struct recurrent *v = mem_new(1, sizeof *v);
    int rc = 0;

    s->own = v;
    s->impl = tile_isa();
    read(g, n, v);
    for (int d = 0; rc == 0 && d < v->D; d++) {
        struct part *p = v->part[d];

        p[0].n = v->is_lstm ? 4 * v->H : 2 * v->H;
        p[1].n = v->H;
        for (int i = 0; rc == 0 && i < v->n_parts; i++)
            rc = make_part(g, n, v, d, i * p[0].n, &p[i], w, e);
        v->wide = p[0].cols + p[1].cols;
    }
    if (rc != 0) {
        done(s);
        return rc;
    }
    /* Sums; state and cell, or what the reset lets through; a product. */
    v->lane = (size_t)(v->chunk * v->B * v->wide +
                       v->B * (2 * v->H + tile_columns(v->H)));
    v->lane = (v->lane + 15) / 16 * 16;
    s->scratch_bytes = (size_t)v->D * v->lane * sizeof(float);
    return 0;
}

/* --- running ----------------------------------------------------------------
 */

/* Some rows of the batch in one direction. */
struct lane {
    const struct recurrent *v;
    int d;
    bool back;
    int64_t b, n_b, length; /* first row, rows, steps */
    const float *x, *h0, *c0;
    float *y, *last_h, *last_c;
    float *sums, *h, *c, *product;
    int64_t row_step, t_step; /* of sums, between rows and between steps */
};

static const float *
state_in(const struct lane *l, const float *p, int64_t b)
{
    const struct recurrent *v = l->v;

    return p + (v->batch_first ? b * v->D + l->d : l->d * v->B + b) * v->H;
}

static void
load_state(const struct lane *l, float *to, const float *p)
{
    for (int64_t i = 0; i < l->n_b; i++)
        if (p == NULL)
            memset(to + i * l->v->H, 0, (size_t)l->v->H * sizeof *to);
        else
            memcpy(to + i * l->v->H, state_in(l, p, l->b + i),
                   (size_t)l->v->H * sizeof *to);
}

static void
store_state(const struct lane *l, float *p, const float *from)
{
    for (int64_t i = 0; p != NULL && i < l->n_b; i++)
        memcpy((float *)state_in(l, p, l->b + i), from + i * l->v->H,
               (size_t)l->v->H * sizeof *p);
}

/* bias + x W' of steps [t, t + n), row by row of sums. */
static void
project(const struct lane *l, int64_t t, int64_t n)
{
    const struct recurrent *v = l->v;
    /* Rows of x that lie one behind the other, and how many such runs. */
    const bool whole = !v->batch_first && l->n_b == v->B;
    const int64_t run = whole ? n * v->B : v->batch_first ? n : 1;
    const int64_t runs = n * l->n_b / run;

    for (int64_t r = 0; r < runs; r++) {
        const int64_t b = l->b + (v->batch_first ? r : 0);
        const int64_t at = v->batch_first
                               ? b * v->T + t
                               : (whole ? t * v->B : (t + r) * v->B + b);
        float *to = l->sums + r * run * v->wide;

        for (int i = 0; i < v->n_parts; i++) {
            const struct part *p = &v->part[l->d][i];

            for (int64_t k = 0; k < run; k++)
                memcpy(to + k * v->wide, p->bias, (size_t)p->cols * sizeof *to);
            tile_mul(to, v->wide, l->x + at * v->I, v->I, p->w, run, p->n, v->I,
                     1);
            to += p->cols;
        }
    }
}

static void
lstm_step(const struct lane *l, float *sums)
{
    const struct recurrent *v = l->v;
    const struct part *p = v->part[l->d];

    tile_mul(sums, l->row_step, l->h, v->H, p->r, l->n_b, p->n, v->H, 1);
    for (int64_t i = 0; i < l->n_b; i++)
        func_lstm(sums + i * l->row_step, l->c + i * v->H, l->h + i * v->H,
                  v->clip, v->H);
}

/*
 * Without reset_after the state is reset before its product with the
 * candidate's weights, with it the product is.
 */
static void
gru_step(const struct lane *l, float *sums)
{
    const struct recurrent *v = l->v;
    const struct part *p = v->part[l->d];
    const int64_t H = v->H, cols = p[1].cols;
    float *new = sums + p[0].cols;

    tile_mul(sums, l->row_step, l->h, H, p[0].r, l->n_b, p[0].n, H, 1);
    for (int64_t i = 0; i < l->n_b; i++) {
        float *z = sums + i * l->row_step, *r = z + H;

        func_gru_gates(z, r, v->clip, H);
        row_binary(OP_MUL, l->c + i * H, r, 1, l->h + i * H, 1, H);
        if (v->reset_after)
            memcpy(l->product + i * cols, v->state_bias[l->d],
                   (size_t)cols * sizeof *r);
    }
    if (v->reset_after)
        tile_mul(l->product, cols, l->h, H, p[1].r, l->n_b, H, H, 1);
    else
        tile_mul(new, l->row_step, l->c, H, p[1].r, l->n_b, H, H, 1);
    for (int64_t i = 0; i < l->n_b; i++) {
        float *z = sums + i * l->row_step, *n = new + i * l->row_step;

        if (v->reset_after) {
            row_binary(OP_MUL, l->product + i * cols, l->product + i * cols, 1,
                       z + H, 1, H);
            row_binary(OP_ADD, n, n, 1, l->product + i * cols, 1, H);
        }
        func_gru(z, n, l->h + i * H, v->clip, H);
    }
}

static float *
y_at(const struct lane *l, int64_t t, int64_t b)
{
    const struct recurrent *v = l->v;

    return l->y + (v->batch_first ? ((b * v->T + t) * v->D + l->d)
                                  : ((t * v->D + l->d) * v->B + b)) *
                      v->H;
}

static void
run_lane(struct lane *l)
{
    const struct recurrent *v = l->v;
    const size_t bytes = (size_t)v->H * sizeof(float);

    load_state(l, l->h, l->h0);
    load_state(l, l->c, l->c0);
    for (int64_t i = 0; i < l->length; i += v->chunk) {
        int64_t n = l->length - i < v->chunk ? l->length - i : v->chunk;
        int64_t t = l->back ? l->length - i - n : i;

        l->row_step = (v->batch_first ? n : 1) * v->wide;
        l->t_step = (v->batch_first ? 1 : l->n_b) * v->wide;
        project(l, t, n);
        for (int64_t k = 0; k < n; k++) {
            int64_t at = l->back ? n - 1 - k : k;

            if (v->is_lstm)
                lstm_step(l, l->sums + at * l->t_step);
            else
                gru_step(l, l->sums + at * l->t_step);
            for (int64_t b = 0; l->y != NULL && b < l->n_b; b++)
                memcpy(y_at(l, t + at, l->b + b), l->h + b * v->H, bytes);
        }
    }
    for (int64_t t = l->length; l->y != NULL && t < v->T; t++)
        for (int64_t b = 0; b < l->n_b; b++)
            memset(y_at(l, t, l->b + b), 0, bytes);
    store_state(l, l->last_h, l->h);
    store_state(l, l->last_c, l->c);
}

struct run {
    const struct step *s;
    void *const *io;
    float *memory;
    const int32_t *lengths; /* NULL: all are T */
};

static void *
operand(const struct run *r, int i)
{
    return i < r->s->node->n_own && r->s->node->in[i] >= 0 ? r->io[i] : NULL;
}

static void *
output(const struct run *r, int k)
{
    return step_out(r->s, k) == NULL ? NULL : r->io[r->s->node->n_in + k];
}

static void
run_direction(void *arg, int64_t d)
{
    const struct run *r = arg;
    const struct recurrent *v = r->s->own;
    float *memory = r->memory + (size_t)d * v->lane;
    struct lane l = {
        .v = v,
        .d = (int)d,
        .back = v->backward || d == 1,
        .n_b = v->B,
        .length = v->T,
        .x = r->io[IN_X],
        .h0 = operand(r, IN_H),
        .c0 = v->is_lstm ? operand(r, IN_C) : NULL,
        .y = output(r, 0),
        .last_h = output(r, 1),
        .last_c = v->is_lstm ? output(r, 2) : NULL,
        .sums = memory,
        .h = memory + v->chunk * v->B * v->wide,
    };

    l.c = l.h + v->B * v->H;
    l.product = l.c + v->B * v->H;
    if (r->lengths == NULL) {
        run_lane(&l);
        return;
    }
    for (l.n_b = 1; l.b < v->B; l.b++) {
        l.length = r->lengths[l.b];
        run_lane(&l);
    }
}

/* Whether rows have lengths of their own; an error when one can't be. */
static int
lengths_of(const struct recurrent *v, const struct value *value,
           const int32_t *all, const int32_t **out, struct err *e)
{
    *out = NULL;
    for (int64_t b = 0; all != NULL && b < v->B; b++) {
        if (all[b] < 0 || all[b] > v->T)
            return err_set(e, ERR_INVALID,
                           "length %" PRId32 " in %s is outside 0..%" PRId64,
                           all[b], value->name, v->T);
        if (all[b] != v->T)
            *out = all;
    }
    return 0;
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct recurrent *v = s->own;
    struct run r = {s, io, scratch, NULL};
    int rc = lengths_of(v, step_in(s, IN_LENGTHS), operand(&r, IN_LENGTHS),
                        &r.lengths, e);

    (void)state;
    if (rc != 0)
        return rc;
    grid_split(v->D, v->T * v->B * v->wide * (v->I + v->H) / 16, run_direction,
               &r);
    return 0;
}

#define RECURRENT(id, op_id)                                                   \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.recurrent",                                               \
        .layout = KERNEL_PLAIN,                                                \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .run = run,                                                            \
        .done = done,                                                          \
    }

RECURRENT(dnn_lstm, OP_LSTM);
RECURRENT(dnn_gru, OP_GRU);
