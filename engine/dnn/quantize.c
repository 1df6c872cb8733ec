/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear and DequantizeLinear with one scale, and changes of layout,
 * also both in one pass: float32 planes of a picture to 8-bit channels-last
 * is what a quantized network begins with.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/call.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"

enum {
    TILE = 4096, /* elements in work at once; 16 KB of floats */
    TILE_ROWS = 64,
};

struct convert {
    enum dtype from, to;
    float scale;
    int32_t zero;
    /* Of each of `images`: x is [rows,cols], y the same turned; rows is 0 when
     * both lie alike. */
    int64_t images, rows, cols;
    size_t count;
};

/* The scale and zero point inputs; false when they are not constant scalars.*/
static bool
parameters(const struct graph *g, const struct node *n, float *scale,
           int32_t *zero)
{
    const struct value *s = node_in(g, n, 1), *z = node_in(g, n, 2);

    *zero = 0;
    if (s->data == NULL || s->dtype != DTYPE_FLOAT || shape_n(&s->shape) != 1)
        return false;
    *scale = *(const float *)s->data;
    if (z == NULL)
        return true;
    if (z->data == NULL || shape_n(&z->shape) != 1)
        return false;
    if (z->dtype == DTYPE_UINT8)
        *zero = *(const uint8_t *)z->data;
    else if (z->dtype == DTYPE_INT8)
        *zero = *(const int8_t *)z->data;
    else if (z->dtype == DTYPE_UINT16)
        *zero = *(const uint16_t *)z->data;
    else if (z->dtype == DTYPE_INT16)
        *zero = *(const int16_t *)z->data;
    else if (z->dtype == DTYPE_INT32)
        *zero = *(const int32_t *)z->data;
    else
        return false;
    return true;
}

static bool
is_small(enum dtype t)
{
    return dtype_is_8bit(t) || t == DTYPE_UINT16 || t == DTYPE_INT16;
}

static bool
quantize_fits(const struct graph *g, const struct node *n)
{
    float scale;
    int32_t zero;

    return node_in(g, n, 0)->dtype == DTYPE_FLOAT &&
           is_small(node_out(g, n, 0)->dtype) &&
           desc_nonempty(node_in(g, n, 0)) && parameters(g, n, &scale, &zero) &&
           n->n_posts == 0;
}

static bool
dequantize_fits(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0);
    float scale;
    int32_t zero;

    return (is_small(x->dtype) || x->dtype == DTYPE_INT32) &&
           node_out(g, n, 0)->dtype == DTYPE_FLOAT && desc_nonempty(x) &&
           parameters(g, n, &scale, &zero) && n->n_posts == 0;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct convert *c = mem_new(1, sizeof *c);
    int64_t channels, inner;

    (void)w;
    (void)e;
    c->from = x->dtype;
    c->to = y->dtype;
    c->count = shape_n(&x->shape);
    parameters(g, n, &c->scale, &c->zero);
    if (x->layout != y->layout && !layout_same(&x->shape)) {
        c->images = x->shape.dim[0];
        channels = x->shape.dim[1];
        inner = shape_span(&x->shape, 2, x->shape.rank);
        c->rows = x->layout == LAYOUT_PLAIN ? channels : inner;
        c->cols = x->layout == LAYOUT_PLAIN ? inner : channels;
    }
    s->own = c;
    s->impl = c->rows != 0 ? "loop, other layout" : "loop";
    return 0;
}

struct convert_run {
    const struct convert *c;
    const char *x;
    char *y;
};

static void
convert_row(const struct convert *c, void *y, const void *x, int64_t n)
{
    if (c->from == DTYPE_FLOAT)
        row_store(y, c->to, x, n, c->scale, c->zero);
    else
        row_load(y, x, c->from, n, c->scale, c->zero);
}

static void
convert_piece(void *arg, int64_t i)
{
    const struct convert_run *r = arg;
    int64_t at = i * TILE, n = (int64_t)r->c->count - at;

    convert_row(r->c, r->y + (size_t)at * dtype_size(r->c->to),
                r->x + (size_t)at * dtype_size(r->c->from),
                n < TILE ? n : TILE);
}

/* One band of rows of one image: converted tile by tile, then turned. */
static void
convert_band(void *arg, int64_t i)
{
    const struct convert_run *r = arg;
    const struct convert *c = r->c;
    int64_t bands = (c->rows + TILE_ROWS - 1) / TILE_ROWS;
    int64_t image = i / bands * c->rows * c->cols;
    int64_t row = i % bands * TILE_ROWS, rows = c->rows - row, cols;
    size_t to = dtype_size(c->to), from = dtype_size(c->from);
    float tile[TILE]; /* or as many bytes */

    rows = rows < TILE_ROWS ? rows : TILE_ROWS;
    cols = TILE / rows;
    for (int64_t k = 0; k < c->cols; k += cols) {
        int64_t n = c->cols - k < cols ? c->cols - k : cols;

        for (int64_t j = 0; j < rows; j++)
            convert_row(c, (char *)tile + (size_t)(j * n) * to,
                        r->x + (size_t)(image + (row + j) * c->cols + k) * from,
                        n);
        row_turn(r->y + (size_t)(image + k * c->rows + row) * to, c->rows, tile,
                 n, rows, n, to);
    }
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    struct convert_run r = {s->own, io[0], io[s->node->n_in]};
    const struct convert *c = r.c;

    (void)scratch;
    (void)state;
    (void)e;
    if (c->rows == 0)
        grid_split(((int64_t)c->count + TILE - 1) / TILE, TILE, convert_piece,
                   &r);
    else
        grid_split(c->images * ((c->rows + TILE_ROWS - 1) / TILE_ROWS),
                   TILE_ROWS * c->cols, convert_band, &r);
    return 0;
}

static void
done(struct step *s)
{
    mem_free(s->own);
    s->own = NULL;
}

const struct kernel dnn_quantize = {
    .op = OP_QUANTIZE_LINEAR,
    .name = "dnn.quantize",
    .layout = KERNEL_CONVERT,
    .fits = quantize_fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};

const struct kernel dnn_dequantize = {
    .op = OP_DEQUANTIZE_LINEAR,
    .name = "dnn.quantize",
    .layout = KERNEL_CONVERT,
    .fits = dequantize_fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};

/* --- with the scale of what is there ------------------------------------- */

static bool
dynamic_fits(const struct graph *g, const struct node *n)
{
    return node_in(g, n, 0)->dtype == DTYPE_FLOAT &&
           desc_nonempty(node_in(g, n, 0)) && n->n_out == 3 && n->out[0] >= 0 &&
           n->out[1] >= 0 && n->out[2] >= 0;
}

static int
dynamic_run(const struct step *s, void *const *io, void *scratch, void *state,
            struct err *e)
{
    const int n_in = s->node->n_in;
    struct convert c = {.from = DTYPE_FLOAT,
                        .to = DTYPE_UINT8,
                        .count = shape_n(&step_in(s, 0)->shape)};
    struct convert_run r = {&c, io[0], io[n_in]};
    float min, max, byte;
    uint8_t zero;

    (void)scratch;
    (void)state;
    (void)e;
    row_range(io[0], (int64_t)c.count, &min, &max);
    min = min < 0 ? min : 0;
    max = max > 0 ? max : 0;
    c.scale = (max - min) / 255;
    if (!(c.scale > 0)) /* zeros, or too small to be told from them */
        c.scale = 1;
    byte = -min;
    row_store(&zero, DTYPE_UINT8, &byte, 1, c.scale, 0);
    c.zero = zero;
    *(float *)io[n_in + 1] = c.scale;
    *(uint8_t *)io[n_in + 2] = zero;
    grid_split(((int64_t)c.count + TILE - 1) / TILE, TILE, convert_piece, &r);
    return 0;
}

const struct kernel dnn_dynamic_quantize = {
    .op = OP_DYNAMIC_QUANTIZE_LINEAR,
    .name = "dnn.quantize",
    .layout = KERNEL_SAME,
    .fits = dynamic_fits,
    .run = dynamic_run,
};

/* --- only another layout ------------------------------------------------- */

static int
reorder_describe(const struct graph *g, const struct node *n, struct call *c,
                 struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct prim_tensor from, to;
    int rc;

    call_init(c);
    if (!desc_nonempty(x) ||
        (x->dtype != DTYPE_FLOAT && x->dtype != DTYPE_INT32 &&
         !dtype_is_8bit(x->dtype)))
        return err_set(e, ERR_UNSUPPORTED, "%s", dtype_name(x->dtype));
    if ((rc = desc_image(x, &from, e)) != 0 ||
        (rc = desc_image(y, &to, e)) != 0)
        return rc;
    if (y->layout == LAYOUT_PLAIN)
        desc_row_major(&to);
    else
        desc_row_major(&from);
    c->io[PRIM_SRC] = 0;
    c->io[PRIM_DST] = n->n_in;
    return prim_reorder(&from, &to, &c->prim, e);
}

static bool
reorder_fits(const struct graph *g, const struct node *n)
{
    return call_fits(reorder_describe, g, n);
}

static int
reorder_prepare(const struct graph *g, const struct node *n, struct step *s,
                struct weights *w, struct err *e)
{
    (void)w;
    return call_make(reorder_describe, g, n, s, e);
}

const struct kernel dnn_reorder = {
    .op = OP_REORDER,
    .name = "dnn.reorder",
    .layout = KERNEL_CONVERT,
    .fits = reorder_fits,
    .prepare = reorder_prepare,
    .bind = call_bind,
    .unbind = call_unbind,
    .run = call_run,
    .done = call_done,
};
