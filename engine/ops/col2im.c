/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Col2Im: blocks that overlap are added up to an image.
 */
#include <inttypes.h>

#include "engine/ops/rule.h"

enum { LIMIT = 1 << 30 };

/* x [N,C*block,steps] -> y [N,C,image...] */
struct blocks {
    int axes;
    int64_t image[SHAPE_MAX_RANK], block[SHAPE_MAX_RANK];
    int64_t stride[SHAPE_MAX_RANK], dilation[SHAPE_MAX_RANK];
    int64_t begin[SHAPE_MAX_RANK];
    int64_t steps[SHAPE_MAX_RANK]; /* along each axis */
    int64_t block_n, steps_n, image_n;
};

/* count numbers of an attribute, each in min..LIMIT; absent: dflt. */
static int
read_numbers(const struct node *n, const char *name, int count, int64_t min,
             int64_t dflt, int64_t *out, struct err *e)
{
    int have;
    const int64_t *v = attr_ints(n, name, &have);

    if (v != NULL && have != count)
        return err_set(e, ERR_INVALID, "%s has %d numbers, want %d", name, have,
                       count);
    for (int i = 0; i < count; i++) {
        out[i] = v == NULL ? dflt : v[i];
        if (out[i] < min || out[i] > LIMIT)
            return err_set(e, ERR_INVALID, "%s holds %" PRId64, name, out[i]);
    }
    return 0;
}

/* A product that may be too large for what it counts. */
static int
product(const int64_t *v, int n, const char *what, int64_t *out, struct err *e)
{
    struct shape s = {.rank = n};
    size_t count;

    for (int i = 0; i < n; i++)
        s.dim[i] = v[i];
    if (shape_count(&s, &count, e) != 0)
        return err_wrap(e, "%s", what);
    *out = (int64_t)count;
    return 0;
}

static int
read_blocks(const struct graph *g, const struct node *n, struct blocks *b,
            struct err *e)
{
    int64_t pads[2 * SHAPE_MAX_RANK];
    int count;

    if (rule_ints(g, n, 1, "the image's shape", b->image, SHAPE_MAX_RANK - 2,
                  &b->axes, e) != 0 ||
        rule_ints(g, n, 2, "the block's shape", b->block, SHAPE_MAX_RANK - 2,
                  &count, e) != 0)
        return e->code;
    if (count != b->axes || count < 1)
        return err_set(e, ERR_INVALID, "a block of %d axes for %d", count,
                       b->axes);
    if (read_numbers(n, "strides", count, 1, 1, b->stride, e) != 0 ||
        read_numbers(n, "dilations", count, 1, 1, b->dilation, e) != 0 ||
        read_numbers(n, "pads", 2 * count, 0, 0, pads, e) != 0)
        return e->code;
    for (int i = 0; i < count; i++) {
        int64_t room;

        if (b->image[i] < 0 || b->image[i] > LIMIT || b->block[i] < 1 ||
            b->block[i] > LIMIT)
            return err_set(e, ERR_INVALID, "a block of %" PRId64 " in %" PRId64,
                           b->block[i], b->image[i]);
        b->begin[i] = pads[i];
        room = b->image[i] + pads[i] + pads[count + i] -
               b->dilation[i] * (b->block[i] - 1) - 1;
        b->steps[i] = room < 0 ? 0 : room / b->stride[i] + 1;
    }
    if (product(b->image, count, "the image", &b->image_n, e) != 0 ||
        product(b->block, count, "the block", &b->block_n, e) != 0)
        return e->code;
    return product(b->steps, count, "the blocks", &b->steps_n, e);
}

int
col2im_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = {.rank = 2};
    struct blocks b;
    char text[SHAPE_TEXT];

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 || read_blocks(g, n, &b, e) != 0)
        return e->code;
    if (x->shape.rank != 3 || x->shape.dim[1] % b.block_n != 0 ||
        x->shape.dim[2] != b.steps_n)
        return err_set(e, ERR_INVALID,
                       "input is %s, want [N,C*%" PRId64 ",%" PRId64 "]",
                       shape_text(&x->shape, text), b.block_n, b.steps_n);
    out.dim[0] = x->shape.dim[0];
    out.dim[1] = x->shape.dim[1] / b.block_n;
    for (int i = 0; i < b.axes; i++)
        out.dim[out.rank++] = b.image[i];
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Where place k of the block at `step` lies in the image, or -1. */
static int64_t
place_of(const struct blocks *b, int64_t k, int64_t step)
{
    int64_t at = 0, by = 1;

    for (int i = b->axes - 1; i >= 0; i--) {
        int64_t p = step % b->steps[i] * b->stride[i] - b->begin[i] +
                    k % b->block[i] * b->dilation[i];

        if (p < 0 || p >= b->image[i])
            return -1;
        at += p * by;
        by *= b->image[i];
        step /= b->steps[i];
        k /= b->block[i];
    }
    return at;
}

static int
col2im_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    (void)w;
    if (step_own(s, sizeof(struct blocks), e) != 0)
        return e->code;
    if (read_blocks(g, n, s->own, e) == 0)
        return 0;
    step_done(s);
    return e->code;
}

static int
col2im_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct blocks *b = s->own;
    const struct value *x = step_in(s, 0);
    const bool wide = x->dtype == DTYPE_DOUBLE;
    const int64_t images = x->shape.dim[0] * x->shape.dim[1] / b->block_n;
    void *y = step_io_out(s, io, 0);
    int64_t from = 0;

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < images * b->image_n; i++)
        if (wide)
            ((double *)y)[i] = 0;
        else
            ((float *)y)[i] = 0;
    for (int64_t c = 0; c < images; c++)
        for (int64_t k = 0; k < b->block_n; k++)
            for (int64_t step = 0; step < b->steps_n; step++, from++) {
                int64_t at = place_of(b, k, step);

                if (at < 0)
                    continue;
                at += c * b->image_n;
                if (wide)
                    ((double *)y)[at] += ((const double *)io[0])[from];
                else
                    ((float *)y)[at] += ((const float *)io[0])[from];
            }
    return 0;
}

KERNEL(COL2IM, "col2im", .prepare = col2im_prepare, .run = col2im_run,
       .done = step_done);
