/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RotaryEmbedding: pairs of each head's elements turn by an angle that grows
 * with the place in the sequence; what is behind rotary_embedding_dim stays.
 * Source: ONNX RotaryEmbedding, opset 23.
 */
#include <inttypes.h>

#include "engine/ops/rule.h"

enum { X, COS, SIN, PLACES };

/* x [B,heads,n,size] or [B,n,heads*size] */
struct rotary {
    int64_t B, heads, n, size, pairs;
    int64_t batch, head, place; /* elements between neighbours */
};

static int
read_rotary(const struct graph *g, const struct node *n, struct rotary *r,
            struct err *e)
{
    const struct value *x = node_in(g, n, X);
    const int64_t *d = x->shape.dim, said = attr_int(n, "num_heads", 0);
    int64_t turned = attr_int(n, "rotary_embedding_dim", 0);
    char text[SHAPE_TEXT];

    if (x->shape.rank == 4) {
        *r = (struct rotary){.B = d[0], .heads = d[1], .n = d[2], .size = d[3]};
        r->place = r->size;
        r->head = r->n * r->size;
    } else if (x->shape.rank == 3 && said > 0 && d[2] % said == 0) {
        *r = (struct rotary){
            .B = d[0], .heads = said, .n = d[1], .size = d[2] / said};
        r->head = r->size;
        r->place = d[2];
    } else {
        return err_set(e, ERR_INVALID, "input is %s, of %" PRId64 " heads",
                       shape_text(&x->shape, text), said);
    }
    r->batch = r->heads * r->n * r->size;
    turned = turned == 0 ? r->size : turned;
    if (turned < 0 || turned > r->size || turned % 2 != 0)
        return err_set(e, ERR_INVALID,
                       "%" PRId64 " elements of %" PRId64 " can't turn", turned,
                       r->size);
    r->pairs = turned / 2;
    return 0;
}

int
rotary_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, X);
    struct shape table;
    struct rotary r;

    for (int i = X; i <= SIN; i++)
        if (rule_type(g, n, i, TYPE(FLOAT), e) != 0)
            return e->code;
    if (rule_type(g, n, PLACES, TYPES_INDEX, e) != 0 ||
        read_rotary(g, n, &r, e) != 0)
        return e->code;
    table = node_in(g, n, PLACES) == NULL
                ? SHAPE(r.B, r.n, r.pairs)
                : SHAPE(node_in(g, n, COS)->shape.dim[0], r.pairs);
    if (rule_shape(g, n, COS, &table, e) != 0 ||
        rule_shape(g, n, SIN, &table, e) != 0 ||
        rule_shape(g, n, PLACES, &SHAPE(r.B, r.n), e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* One head at one place. */
static void
turn(const struct rotary *r, bool interleaved, const float *cosine,
     const float *sine, const float *x, float *y)
{
    const int64_t step = interleaved ? 2 : 1,
                  apart = interleaved ? 1 : r->pairs;

    for (int64_t i = 0; i < r->pairs; i++) {
        float a = x[i * step], b = x[i * step + apart];

        y[i * step] = cosine[i] * a - sine[i] * b;
        y[i * step + apart] = sine[i] * a + cosine[i] * b;
    }
    for (int64_t i = 2 * r->pairs; i < r->size; i++)
        y[i] = x[i];
}

/* The row of the tables for a place. */
static int
row_at(const struct step *s, void *const *io, int64_t i, int64_t *row,
       struct err *e)
{
    const struct value *v = step_in(s, PLACES);
    const int64_t rows = step_in(s, COS)->shape.dim[0];

    *row = i;
    if (v == NULL)
        return 0;
    *row = v->dtype == DTYPE_INT64 ? ((const int64_t *)io[PLACES])[i]
                                   : ((const int32_t *)io[PLACES])[i];
    *row += *row < 0 ? rows : 0;
    if (*row < 0 || *row >= rows)
        return err_set(e, ERR_INVALID, "place %" PRId64 " in %s of %" PRId64,
                       *row, v->name, rows);
    return 0;
}

static int
rotary_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const bool interleaved = attr_int(s->node, "interleaved", 0) != 0;
    struct rotary r;
    int64_t row;

    (void)scratch;
    (void)state;
    if (read_rotary(s->graph, s->node, &r, e) != 0)
        return e->code;
    for (int64_t b = 0; b < r.B; b++)
        for (int64_t i = 0; i < r.n; i++) {
            if (row_at(s, io, b * r.n + i, &row, e) != 0)
                return e->code;
            for (int64_t h = 0; h < r.heads; h++) {
                int64_t at = b * r.batch + h * r.head + i * r.place;

                turn(&r, interleaved, (const float *)io[COS] + row * r.pairs,
                     (const float *)io[SIN] + row * r.pairs,
                     (const float *)io[X] + at,
                     (float *)step_io_out(s, io, 0) + at);
            }
        }
    return 0;
}

KERNEL(ROTARY_EMBEDDING, "rotary", .run = rotary_run);
