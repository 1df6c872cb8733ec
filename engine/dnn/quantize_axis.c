/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear to 8 bits with a scale and a zero point for each channel, as
 * stands before depthwise convolutions.
 */
#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"

struct channels {
    float *scale;
    int32_t *zero;
    int64_t n, rows;
    bool innermost; /* the channels are, of every row; else a row is of one */
    int64_t row;    /* elements */
    enum dtype to;
};

static int
channels_of(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0), *s = node_in(g, n, 1);
    const struct value *z = node_in(g, n, 2);
    int axis;
    struct err e;

    if (x->dtype != DTYPE_FLOAT || !dtype_is_8bit(node_out(g, n, 0)->dtype) ||
        n->n_posts > 0 || !desc_nonempty(x) || x->shape.rank < 2 ||
        s->data == NULL || s->dtype != DTYPE_FLOAT || s->shape.rank != 1 ||
        (z != NULL &&
         (z->data == NULL || shape_n(&z->shape) != shape_n(&s->shape))) ||
        shape_axis(attr_int(n, "axis", 1), x->shape.rank, &axis, &e) != 0 ||
        axis != 1 || s->shape.dim[0] != x->shape.dim[1])
        return 0;
    return (int)s->shape.dim[0];
}

static bool
fits(const struct graph *g, const struct node *n)
{
    return channels_of(g, n) > 1;
}

static void
done(struct step *s)
{
    struct channels *c = s->own;

    if (c == NULL)
        return;
    mem_free(c->scale);
    mem_free(c->zero);
    mem_free(c);
    s->own = NULL;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *z = node_in(g, n, 2);
    struct channels *c = mem_new(1, sizeof *c);

    (void)w;
    s->own = c;
    c->n = channels_of(g, n);
    c->to = node_out(g, n, 0)->dtype;
    c->scale = mem_try((size_t)c->n, sizeof *c->scale);
    c->zero = mem_try((size_t)c->n, sizeof *c->zero);
    if (c->scale == NULL || c->zero == NULL) {
        done(s);
        return err_set(e, ERR_NO_MEMORY, "no memory for scales");
    }
    for (int64_t i = 0; i < c->n; i++) {
        c->scale[i] = ((const float *)node_in(g, n, 1)->data)[i];
        if (z != NULL)
            c->zero[i] = z->dtype == DTYPE_UINT8 ? ((const uint8_t *)z->data)[i]
                                                 : ((const int8_t *)z->data)[i];
    }
    c->innermost = x->layout == LAYOUT_NXC || x->shape.rank == 2;
    c->row = c->innermost ? c->n : shape_span(&x->shape, 2, x->shape.rank);
    c->rows = (int64_t)shape_n(&x->shape) / c->row;
    s->impl = "loop by channel";
    return 0;
}

struct channels_run {
    const struct channels *c;
    const float *x;
    uint8_t *y;
};

static void
quantize_row(void *arg, int64_t i)
{
    const struct channels_run *r = arg;
    const struct channels *c = r->c;
    const float *x = r->x + i * c->row;
    uint8_t *y = r->y + i * c->row;

    if (c->innermost)
        row_store_each(y, c->to, x, c->row, c->scale, c->zero);
    else
        row_store(y, c->to, x, c->row, c->scale[i % c->n], c->zero[i % c->n]);
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct channels *c = s->own;
    struct channels_run r = {c, io[0], io[s->node->n_in]};

    (void)scratch;
    (void)state;
    (void)e;
    grid_split(c->rows, c->row, quantize_row, &r);
    return 0;
}

const struct kernel dnn_quantize_axis = {
    .op = OP_QUANTIZE_LINEAR,
    .name = "dnn.quantize",
    .layout = KERNEL_SAME,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
