/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConvInteger: a convolution of 8-bit integers, each less its zero point,
 * summed in 32 bits, which wrap.  Padding is where the input is its zero
 * point.  ConvIntegerToFloat makes the sums real.
 */
#include <inttypes.h>

#include "engine/ir/window.h"
#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* One for all, or (of the weights) one for each output channel. */
static int
check_zero(const struct graph *g, const struct node *n, int i, int64_t channels,
           struct err *e)
{
    const struct value *x = node_in(g, n, i - 2), *z = node_in(g, n, i);
    char text[SHAPE_TEXT];

    if (z == NULL)
        return 0;
    if (z->dtype != x->dtype)
        return err_set(e, ERR_INVALID, "zero point %s is %s, want %s", z->name,
                       dtype_name(z->dtype), dtype_name(x->dtype));
    if (shape_n(&z->shape) != 1 && !shape_equal(&z->shape, &SHAPE(channels)))
        return err_set(e, ERR_INVALID, "zero point %s is %s", z->name,
                       shape_text(&z->shape, text));
    return 0;
}

int
conv_integer_infer(struct graph *g, struct node *n, struct err *e)
{
    const unsigned types = TYPE(INT8) | TYPE(UINT8);
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *k = &node_in(g, n, 1)->shape;
    const int64_t group = attr_int(n, "group", 1);
    struct shape out = *x;
    char xt[SHAPE_TEXT], kt[SHAPE_TEXT];
    struct window w;

    if (rule_type(g, n, 0, types, e) != 0 ||
        rule_type(g, n, 1, types, e) != 0 || window_of(g, n, &w, e) != 0)
        return e->code;
    if (group < 1 || x->dim[1] % group != 0 || k->dim[0] % group != 0 ||
        x->dim[1] / group != k->dim[1])
        return err_set(e, ERR_INVALID,
                       "input %s and weights %s do not fit in %" PRId64
                       " groups",
                       shape_text(x, xt), shape_text(k, kt), group);
    if (check_zero(g, n, 2, 1, e) != 0 ||
        check_zero(g, n, 3, k->dim[0], e) != 0 ||
        (n->op == OP_CONV_SCALED && post_scale_check(g, n, k->dim[0], e) != 0))
        return e->code;
    out.dim[1] = k->dim[0];
    for (int i = 0; i < w.n; i++)
        out.dim[i + 2] = w.out[i];
    return rule_out(
        g, n, 0, n->op == OP_CONV_SCALED ? DTYPE_FLOAT : DTYPE_INT32, &out, e);
}

/* Channels of an input, or of the weights for one output channel. */
struct part {
    enum dtype t;
    const char *at;
    int64_t zero;
};

/* in [C,D,H,W] k [C,KD,KH,KW]: the sum of the window at `to`. */
static uint32_t
window_sum(const struct window *w, int64_t channels, const struct part *in,
           const struct part *k, const int64_t to[3])
{
    const int64_t places = w->kernel[0] * w->kernel[1] * w->kernel[2];
    const int64_t image = w->in[0] * w->in[1] * w->in[2];
    uint32_t sum = 0;

    for (int64_t p = 0; p < places; p++) {
        const int64_t at[3] = {p / w->kernel[2] / w->kernel[1],
                               p / w->kernel[2] % w->kernel[1],
                               p % w->kernel[2]};
        int64_t from = 0;

        for (int i = 0; i < 3 && from >= 0; i++) {
            int64_t place =
                to[i] * w->stride[i] - w->begin[i] + at[i] * w->dilation[i];

            from =
                place < 0 || place >= w->in[i] ? -1 : from * w->in[i] + place;
        }
        for (int64_t c = 0; from >= 0 && c < channels; c++)
            sum += (uint32_t)((number_int(in->t, in->at + c * image + from) -
                               in->zero) *
                              (number_int(k->t, k->at + c * places + p) -
                               k->zero));
    }
    return sum;
}

static int64_t
zero_of(const struct step *s, void *const *io, int i, int64_t channel)
{
    const struct value *z = step_in(s, i);

    if (z == NULL)
        return 0;
    return number_int(z->dtype, (const char *)io[i] +
                                    (shape_n(&z->shape) == 1 ? 0 : channel));
}

/* x [N,C,in...] k [O,C/g,kernel...] y [N,O,out...] int32 */
static int
conv_integer_run(const struct step *s, void *const *io, void *scratch,
                 void *state, struct err *e)
{
    const struct window *w = s->own;
    const struct shape *xs = &step_in(s, 0)->shape;
    const struct shape *ks = &step_in(s, 1)->shape;
    const int64_t N = xs->dim[0], C = xs->dim[1], O = ks->dim[0];
    const int64_t group = attr_int(s->node, "group", 1), per = O / group;
    const int64_t x_image = shape_span(xs, 2, xs->rank);
    const int64_t k_size = shape_span(ks, 1, ks->rank);
    uint32_t *y = step_io_out(s, io, 0);
    int64_t at[3];

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < N * O; i++) {
        const int64_t o = i % O, first = o / per * (C / group);
        const struct part in = {step_in(s, 0)->dtype,
                                (const char *)io[0] +
                                    (i / O * C + first) * x_image,
                                zero_of(s, io, 2, 0)};
        const struct part k = {step_in(s, 1)->dtype,
                               (const char *)io[1] + o * k_size,
                               zero_of(s, io, 3, o)};

        for (at[0] = 0; at[0] < w->out[0]; at[0]++)
            for (at[1] = 0; at[1] < w->out[1]; at[1]++)
                for (at[2] = 0; at[2] < w->out[2]; at[2]++)
                    *y++ = window_sum(w, C / group, &in, &k, at);
    }
    if (s->node->op == OP_CONV_SCALED)
        post_scale(s, io, O, w->out[0] * w->out[1] * w->out[2]);
    return 0;
}

KERNEL(CONV_SCALED, "conv_integer", .prepare = window_prepare,
       .run = conv_integer_run, .done = step_done);
KERNEL(CONV_INTEGER, "conv_integer", .prepare = window_prepare,
       .run = conv_integer_run, .done = step_done);
