/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and ConvTranspose over 1 to 3 spatial axes, in groups.
 *
 * Products of two float32 are exact in double precision, in which they are
 * summed: these kernels are a reference for faster ones.
 */
#include <inttypes.h>

#include "engine/ir/window.h"
#include "engine/ops/floats.h"
#include "engine/ops/rule.h"

/* Bias of `channels` numbers, where there is one. */
static int
check_bias(const struct graph *g, const struct node *n, int64_t channels,
           struct err *e)
{
    return rule_shape(g, n, 2, &SHAPE(channels), e);
}

static int
check_types(const struct graph *g, const struct node *n, struct err *e)
{
    for (int i = 0; i < n->n_own; i++)
        if (rule_type(g, n, i, TYPES_REAL, e) != 0 ||
            rule_same_type(g, n, i, e) != 0)
            return e->code;
    return 0;
}

static int
conv_out(struct graph *g, struct node *n, const struct window *w,
         int64_t channels, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    struct shape out = {.rank = x->rank, .dim = {x->dim[0], channels}};

    for (int i = 0; i < w->n; i++)
        out.dim[i + 2] = w->out[i];
    return rule_out(g, n, 0, node_in(g, n, 0)->dtype, &out, e);
}

int
conv_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *k = &node_in(g, n, 1)->shape;
    int64_t group = attr_int(n, "group", 1);
    char xt[SHAPE_TEXT], kt[SHAPE_TEXT];
    struct window w;

    if (check_types(g, n, e) != 0 || window_of(g, n, &w, e) != 0)
        return e->code;
    if (group < 1 || x->dim[1] % group != 0 || k->dim[0] % group != 0 ||
        x->dim[1] / group != k->dim[1])
        return err_set(e, ERR_INVALID,
                       "input %s and weights %s do not fit in %" PRId64
                       " groups",
                       shape_text(x, xt), shape_text(k, kt), group);
    if (check_bias(g, n, k->dim[0], e) != 0)
        return e->code;
    return conv_out(g, n, &w, k->dim[0], e);
}

int
conv_transpose_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *k = &node_in(g, n, 1)->shape;
    int64_t group = attr_int(n, "group", 1), channels;
    char xt[SHAPE_TEXT], kt[SHAPE_TEXT];
    struct window w;

    if (check_types(g, n, e) != 0 || window_of(g, n, &w, e) != 0)
        return e->code;
    if (group < 1 || x->dim[1] % group != 0 || k->dim[0] != x->dim[1] ||
        __builtin_mul_overflow(k->dim[1], group, &channels))
        return err_set(e, ERR_INVALID,
                       "input %s and weights %s do not fit in %" PRId64
                       " groups",
                       shape_text(x, xt), shape_text(k, kt), group);
    if (check_bias(g, n, channels, e) != 0)
        return e->code;
    return conv_out(g, n, &w, channels, e);
}

/* --- kernels ---------------------------------------------------------------
 */

/*
 * Sum over one group's channels and the window at output z, y, x.
 * in [C,D,H,W] k [C,KD,KH,KW]
 */
static double
window_sum(const struct window *w, int64_t channels, const float *in,
           const float *k, int64_t z, int64_t y, int64_t x)
{
    const int64_t D = w->in[0], H = w->in[1], W = w->in[2];
    const int64_t top[3] = {z * w->stride[0] - w->begin[0],
                            y * w->stride[1] - w->begin[1],
                            x * w->stride[2] - w->begin[2]};
    double sum = 0;

    for (int64_t c = 0; c < channels; c++) {
        for (int64_t a = 0; a < w->kernel[0]; a++) {
            int64_t iz = top[0] + a * w->dilation[0];

            if (iz < 0 || iz >= D)
                continue;
            for (int64_t b = 0; b < w->kernel[1]; b++) {
                int64_t iy = top[1] + b * w->dilation[1];
                const float *row, *kr;

                if (iy < 0 || iy >= H)
                    continue;
                row = in + ((c * D + iz) * H + iy) * W;
                kr = k +
                     ((c * w->kernel[0] + a) * w->kernel[1] + b) * w->kernel[2];
                for (int64_t d = 0; d < w->kernel[2]; d++) {
                    int64_t ix = top[2] + d * w->dilation[2];

                    if (ix >= 0 && ix < W)
                        sum += (double)row[ix] * kr[d];
                }
            }
        }
    }
    return sum;
}

/* x [N,C,in...] k [O,C/g,kernel...] b [O] y [N,O,out...] */
static int
conv_run(const struct step *s, void *const *io, void *scratch, void *state,
         struct err *e)
{
    const struct window *w = s->own;
    const struct shape *xs = &step_in(s, 0)->shape;
    const struct shape *ks = &step_in(s, 1)->shape;
    const int64_t N = xs->dim[0], C = xs->dim[1], O = ks->dim[0];
    const int64_t group = attr_int(s->node, "group", 1), per = O / group;
    const int64_t x_image = shape_span(xs, 2, xs->rank);
    const int64_t k_size = shape_span(ks, 1, ks->rank);
    const float *in = io[0], *k = io[1];
    const float *bias = s->node->n_own > 2 ? io[2] : NULL;
    float *out = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++) {
            int64_t first = o / per * (C / group);
            const float *x = in + (n * C + first) * x_image;
            double b = bias == NULL ? 0 : bias[o];

            for (int64_t z = 0; z < w->out[0]; z++)
                for (int64_t y = 0; y < w->out[1]; y++)
                    for (int64_t v = 0; v < w->out[2]; v++)
                        *out++ =
                            (float)(b + window_sum(w, C / group, x,
                                                   k + o * k_size, z, y, v));
        }
    post_apply(s, io);
    return 0;
}

/*
 * The input place that reaches output o through kernel place k, or -1.
 */
static int64_t
source(const struct window *w, int axis, int64_t o, int64_t k)
{
    int64_t far = o + w->begin[axis] - k * w->dilation[axis];

    if (far < 0 || far % w->stride[axis] != 0 ||
        far / w->stride[axis] >= w->in[axis])
        return -1;
    return far / w->stride[axis];
}

/*
 * Sum of everything that reaches output z, y, x.
 * in [C,D,H,W] k [C,O/g,KD,KH,KW] with k_step elements from channel to channel
 */
static double
reach_sum(const struct window *w, int64_t channels, const float *in,
          const float *k, int64_t k_step, const int64_t at[3])
{
    const int64_t D = w->in[0], H = w->in[1], W = w->in[2];
    double sum = 0;

    for (int64_t a = 0; a < w->kernel[0]; a++) {
        int64_t iz = source(w, 0, at[0], a);

        for (int64_t b = 0; iz >= 0 && b < w->kernel[1]; b++) {
            int64_t iy = source(w, 1, at[1], b);

            for (int64_t d = 0; iy >= 0 && d < w->kernel[2]; d++) {
                int64_t ix = source(w, 2, at[2], d);
                int64_t kk = (a * w->kernel[1] + b) * w->kernel[2] + d;

                for (int64_t c = 0; ix >= 0 && c < channels; c++)
                    sum += (double)in[((c * D + iz) * H + iy) * W + ix] *
                           k[c * k_step + kk];
            }
        }
    }
    return sum;
}

/* x [N,C,in...] k [C,O/g,kernel...] b [O] y [N,O,out...] */
static int
conv_transpose_run(const struct step *s, void *const *io, void *scratch,
                   void *state, struct err *e)
{
    const struct window *w = s->own;
    const struct shape *xs = &step_in(s, 0)->shape;
    const struct shape *ks = &step_in(s, 1)->shape;
    const int64_t N = xs->dim[0], C = xs->dim[1], per = ks->dim[1];
    const int64_t group = attr_int(s->node, "group", 1);
    const int64_t x_image = shape_span(xs, 2, xs->rank);
    const int64_t k_image = shape_span(ks, 2, ks->rank);
    const float *bias = s->node->n_own > 2 ? io[2] : NULL;
    float *out = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < per * group; o++) {
            int64_t first = o / per * (C / group);
            const float *x = (const float *)io[0] + (n * C + first) * x_image;
            const float *k =
                (const float *)io[1] + (first * per + o % per) * k_image;
            double b = bias == NULL ? 0 : bias[o];

            for (int64_t z = 0; z < w->out[0]; z++)
                for (int64_t y = 0; y < w->out[1]; y++)
                    for (int64_t v = 0; v < w->out[2]; v++)
                        *out++ = (float)(b + reach_sum(w, C / group, x, k,
                                                       per * k_image,
                                                       (int64_t[]){z, y, v}));
        }
    post_apply(s, io);
    return 0;
}

KERNEL_FLOATS(CONV, "conv", window_prepare, conv_run);
KERNEL_FLOATS(CONV_TRANSPOSE, "conv_transpose", window_prepare,
              conv_transpose_run);
