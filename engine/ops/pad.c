/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pad: more elements at the ends of axes (fewer, where a pad is negative):
 * a constant, or a repetition of what is there.  CenterCropPad: as many of
 * both as bring an axis to a length, half of them at each end.
 *
 * Every output place along an axis has one source place, or none (the
 * constant).  The kernel keeps these places, in bytes, for each axis.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/rule.h"

/* Axes named by count numbers, or all, brought into 0 <= axis < rank. */
static int
set_axes(const int64_t *said, int count, int rank, int axes[SHAPE_MAX_RANK],
         int *n_axes, struct err *e)
{
    unsigned seen = 0;

    *n_axes = said == NULL ? rank : count;
    for (int i = 0; i < *n_axes; i++) {
        if (shape_axis(said == NULL ? i : said[i], rank, &axes[i], e) != 0)
            return e->code;
        if (seen & 1u << axes[i])
            return err_set(e, ERR_INVALID, "axis %d is named twice", axes[i]);
        seen |= 1u << axes[i];
    }
    return 0;
}

/* Of CenterCropPad: an odd element goes, or comes, at the end. */
static int
read_lengths(const struct graph *g, const struct node *n,
             int64_t pads[2 * SHAPE_MAX_RANK], struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int64_t to[SHAPE_MAX_RANK];
    int axes[SHAPE_MAX_RANK], count, n_axes;
    const int64_t *said = attr_ints(n, "axes", &count);

    if (set_axes(said, count, x->rank, axes, &n_axes, e) != 0 ||
        rule_ints(g, n, 1, "the shape", to, SHAPE_MAX_RANK, &count, e) != 0)
        return e->code;
    if (count != n_axes)
        return err_set(e, ERR_INVALID, "%d lengths for %d axes", count, n_axes);
    for (int i = 0; i < n_axes; i++) {
        int64_t more;

        if (to[i] < 0 || __builtin_sub_overflow(to[i], x->dim[axes[i]], &more))
            return err_set(e, ERR_INVALID, "length %" PRId64, to[i]);
        /* Both ways the smaller half is in front. */
        pads[axes[i]] = more / 2;
        pads[x->rank + axes[i]] = more - more / 2;
    }
    return 0;
}

static int
read_pads(const struct graph *g, const struct node *n,
          int64_t pads[2 * SHAPE_MAX_RANK], struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const bool named = n->n_own > 3 && node_in(g, n, 3) != NULL;
    int64_t said[SHAPE_MAX_RANK], have[2 * SHAPE_MAX_RANK];
    int axes[SHAPE_MAX_RANK], count = 0, n_axes;

    for (int i = 0; i < 2 * SHAPE_MAX_RANK; i++)
        pads[i] = 0;
    if (n->op == OP_CENTER_CROP_PAD)
        return read_lengths(g, n, pads, e);
    if (named &&
        rule_ints(g, n, 3, "the padding", said, SHAPE_MAX_RANK, &count, e) != 0)
        return e->code;
    if (set_axes(named ? said : NULL, count, x->rank, axes, &n_axes, e) != 0 ||
        rule_ints(g, n, 1, "the padding", have, 2 * SHAPE_MAX_RANK, &count,
                  e) != 0)
        return e->code;
    if (count != 2 * n_axes)
        return err_set(e, ERR_INVALID, "%d pads for %d axes", count, n_axes);
    for (int i = 0; i < n_axes; i++) {
        pads[axes[i]] = have[i];
        pads[x->rank + axes[i]] = have[n_axes + i];
    }
    return 0;
}

int
pad_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const struct value *fill = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    const char *mode = attr_string(n, "mode", "constant");
    struct shape out = x->shape;
    int64_t pads[2 * SHAPE_MAX_RANK];
    char text[SHAPE_TEXT];
    bool constant = strcmp(mode, "constant") == 0;

    if (!constant && strcmp(mode, "reflect") != 0 &&
        strcmp(mode, "edge") != 0 && strcmp(mode, "wrap") != 0)
        return err_set(e, ERR_UNSUPPORTED, "mode is \"%s\"", mode);
    if (read_pads(g, n, pads, e) != 0 || rule_same_type(g, n, 2, e) != 0)
        return e->code;
    if (fill != NULL && shape_n(&fill->shape) != 1)
        return err_set(e, ERR_INVALID, "the constant %s is no scalar",
                       fill->name);
    for (int i = 0; i < out.rank; i++) {
        int64_t dim = out.dim[i], more = pads[i], back = pads[out.rank + i];

        if (more < -dim || back < -dim ||
            __builtin_add_overflow(dim, more, &out.dim[i]) ||
            __builtin_add_overflow(out.dim[i], back, &out.dim[i]) ||
            out.dim[i] < 0 || (!constant && dim == 0 && out.dim[i] > 0))
            return err_set(e, ERR_INVALID,
                           "axis %d of %s can't be padded by %" PRId64
                           " and %" PRId64,
                           i, shape_text(&x->shape, text), more, back);
    }
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Place in an axis of dim elements that place i (outside too) repeats. */
static int64_t
mirror(int64_t i, int64_t dim)
{
    int64_t period = 2 * (dim - 1);

    if (dim == 1)
        return 0;
    i %= period;
    if (i < 0)
        i += period;
    return i < dim ? i : period - i;
}

struct pad {
    int64_t out_step[SHAPE_MAX_RANK];
    int64_t *from[SHAPE_MAX_RANK]; /* bytes into the input, or -1 */
    int64_t places[];
};

static int
pad_prepare(const struct graph *g, const struct node *n, struct step *s,
            struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const char mode = attr_string(n, "mode", "constant")[0];
    int64_t pads[2 * SHAPE_MAX_RANK], step[SHAPE_MAX_RANK];
    size_t places = 0;
    struct pad *p;

    (void)w;
    if (read_pads(g, n, pads, e) != 0)
        return e->code;
    for (int i = 0; i < y->shape.rank; i++)
        places += (size_t)y->shape.dim[i];
    if (shape_n(&y->shape) == 0) /* then an axis may be beyond any memory */
        places = 0;
    if (step_own(s, sizeof *p + places * sizeof p->places[0], e) != 0)
        return e->code;
    p = s->own;
    layout_strides(&x->shape, x->layout, step);
    layout_strides(&y->shape, y->layout, p->out_step);
    p->from[0] = p->places;
    for (int i = 0; places > 0 && i < y->shape.rank; i++) {
        int64_t dim = x->shape.dim[i], size = (int64_t)dtype_size(x->dtype);

        for (int64_t k = 0; k < y->shape.dim[i]; k++) {
            int64_t at = k - pads[i];

            if (mode == 'e')
                at = at < 0 ? 0 : at >= dim ? dim - 1 : at;
            else if (mode == 'r')
                at = mirror(at, dim);
            else if (mode == 'w')
                at = (at % dim + dim) % dim;
            else if (at >= dim)
                at = -1;
            p->from[i][k] = at < 0 ? -1 : at * step[i] * size;
        }
        p->out_step[i] *= size;
        if (i + 1 < y->shape.rank)
            p->from[i + 1] = p->from[i] + y->shape.dim[i];
    }
    return 0;
}

/* Fills output axes from `axis` on; in is NULL where only the constant is. */
static void
fill(const struct pad *p, const struct shape *y, int axis, char *out,
     const char *in, const char *constant, size_t size)
{
    if (axis == y->rank) {
        memcpy(out, in == NULL ? constant : in, size);
        return;
    }
    for (int64_t k = 0; k < y->dim[axis]; k++) {
        int64_t from = p->from[axis][k];

        fill(p, y, axis + 1, out + k * p->out_step[axis],
             in == NULL || from < 0 ? NULL : in + from, constant, size);
    }
}

static int
pad_run(const struct step *s, void *const *io, void *scratch, void *state,
        struct err *e)
{
    static const char zero[8];
    const struct value *y = step_out(s, 0);
    const char *constant =
        s->node->n_own > 2 && step_in(s, 2) != NULL ? io[2] : zero;

    (void)scratch;
    (void)state;
    (void)e;
    if (shape_n(&y->shape) > 0)
        fill(s->own, &y->shape, 0, step_io_out(s, io, 0), io[0], constant,
             dtype_size(y->dtype));
    return 0;
}

KERNEL(CENTER_CROP_PAD, "center_crop_pad", .prepare = pad_prepare,
       .run = pad_run, .done = step_done);
KERNEL(PAD, "pad", .layout = KERNEL_SAME, .prepare = pad_prepare,
       .run = pad_run, .done = step_done);
