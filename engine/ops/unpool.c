/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxUnpool: the elements that MaxPool took go back to their places, all
 * others are 0.  The places are counted in the output, as ONNX Runtime and
 * PyTorch do, also when its shape is given.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/rule.h"

enum { LIMIT = 1 << 30 };

/* Axis i of the image that was pooled: one number of attribute `name`. */
static int
read_number(const struct node *n, const char *name, int count, int i,
            int64_t min, int64_t dflt, int64_t *out, struct err *e)
{
    int have;
    const int64_t *v = attr_ints(n, name, &have);

    *out = dflt;
    if (v == NULL)
        return 0;
    if (have != count || v[i] < min || v[i] > LIMIT)
        return err_set(e, ERR_INVALID,
                       "%s must be %d numbers in %" PRId64 "..%d", name, count,
                       min, LIMIT);
    *out = v[i];
    return 0;
}

static int
pooled_shape(const struct graph *g, const struct node *n, struct shape *out,
             struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const int axes = x->shape.rank - 2;

    *out = x->shape;
    for (int i = 0; i < axes; i++) {
        int64_t kernel, stride, begin, end, in = x->shape.dim[i + 2];

        if (read_number(n, "kernel_shape", axes, i, 1, 0, &kernel, e) != 0 ||
            read_number(n, "strides", axes, i, 1, 1, &stride, e) != 0 ||
            read_number(n, "pads", 2 * axes, i, 0, 0, &begin, e) != 0 ||
            read_number(n, "pads", 2 * axes, axes + i, 0, 0, &end, e) != 0)
            return e->code;
        if (kernel == 0)
            return err_set(e, ERR_INVALID, "kernel_shape is missing");
        if (in > LIMIT)
            return err_set(e, ERR_INVALID, "axis %d is too long", i + 2);
        out->dim[i + 2] = (in - 1) * stride + kernel - begin - end;
    }
    return 0;
}

int
max_unpool_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    char text[SHAPE_TEXT];
    struct shape out;
    int rank;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_type(g, n, 1, TYPE(INT64), e) != 0 ||
        rule_shape(g, n, 1, &x->shape, e) != 0)
        return e->code;
    if (x->shape.rank < 3)
        return err_set(e, ERR_INVALID, "input is %s: no image",
                       shape_text(&x->shape, text));
    if (node_in(g, n, 2) == NULL) {
        if (pooled_shape(g, n, &out, e) != 0)
            return e->code;
    } else {
        if (rule_ints(g, n, 2, "the output's shape", out.dim, SHAPE_MAX_RANK,
                      &rank, e) != 0)
            return e->code;
        out.rank = rank;
        if (rank != x->shape.rank || out.dim[0] != x->shape.dim[0] ||
            out.dim[1] != x->shape.dim[1])
            return err_set(e, ERR_INVALID, "output_shape is %s for %s",
                           shape_text(&out, text), x->name);
    }
    return rule_out(g, n, 0, x->dtype, &out, e);
}

static int
max_unpool_run(const struct step *s, void *const *io, void *scratch,
               void *state, struct err *e)
{
    const struct value *x = step_in(s, 0), *y = step_out(s, 0);
    const size_t size = dtype_size(x->dtype);
    const int64_t places = (int64_t)shape_n(&y->shape), *at = io[1];
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    if (places > 0)
        memset(to, 0, (size_t)places * size);
    for (size_t i = 0; i < shape_n(&x->shape); i++) {
        if (at[i] < 0 || at[i] >= places)
            return err_set(e, ERR_INVALID,
                           "place %" PRId64 " in %s is outside 0..%" PRId64,
                           at[i], step_in(s, 1)->name, places - 1);
        memcpy(to + (size_t)at[i] * size, (const char *)io[0] + i * size, size);
    }
    return 0;
}

KERNEL(MAX_UNPOOL, "max_unpool", .run = max_unpool_run);
