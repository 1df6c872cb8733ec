/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeformConv: a convolution over two axes whose every place is moved by an
 * offset and weighed by a mask; between elements it takes the bilinear mean,
 * outside the image 0.
 * Source: ONNX DeformConv, opset 19.
 */
#include <inttypes.h>
#include <math.h>

#include "engine/ir/window.h"
#include "engine/ops/floats.h"
#include "engine/ops/rule.h"

enum { X, WEIGHTS, OFFSETS, BIAS, MASK };

/*
 * x [N,C,H,W] w [O,C/groups,KH,KW] offset [N,parts*KH*KW*2,OH,OW]
 * mask [N,parts*KH*KW,OH,OW] y [N,O,OH,OW]
 */
int
deform_conv_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, X), *k = node_in(g, n, WEIGHTS);
    const int64_t groups = attr_int(n, "group", 1);
    const int64_t parts = attr_int(n, "offset_group", 1);
    const int64_t *d = x->shape.dim, *kd = k->shape.dim;
    struct window w;
    int64_t moved;

    for (int i = X; i <= MASK; i++)
        if (rule_type(g, n, i, TYPES_REAL, e) != 0 ||
            rule_same_type(g, n, i, e) != 0)
            return e->code;
    if (x->shape.rank != 4 || k->shape.rank != 4)
        return err_set(e, ERR_UNSUPPORTED, "only two axes are supported");
    if (window_of(g, n, &w, e) != 0)
        return e->code;
    if (groups < 1 || parts < 1 || kd[1] < 1 || d[1] / kd[1] != groups ||
        d[1] % kd[1] != 0 || kd[0] % groups != 0 || d[1] % parts != 0)
        return err_set(e, ERR_INVALID,
                       "%" PRId64 " channels, %" PRId64 " groups of %" PRId64
                       ", %" PRId64 " groups of offsets",
                       d[1], groups, kd[1], parts);
    if (__builtin_mul_overflow(parts, kd[2] * kd[3], &moved) ||
        moved > INT64_MAX / 2)
        return err_set(e, ERR_INVALID, "offset_group is %" PRId64, parts);
    if (rule_shape(g, n, OFFSETS, &SHAPE(d[0], 2 * moved, w.out[0], w.out[1]),
                   e) != 0 ||
        rule_shape(g, n, MASK, &SHAPE(d[0], moved, w.out[0], w.out[1]), e) !=
            0 ||
        rule_shape(g, n, BIAS, &SHAPE(kd[0]), e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &SHAPE(d[0], kd[0], w.out[0], w.out[1]),
                    e);
}

/* The image at a place between elements. */
static double
look(const float *image, int64_t H, int64_t W, double y, double x)
{
    int64_t top, left;
    double sum = 0;

    if (!(y > -1) || !(x > -1) || !(y < (double)H) || !(x < (double)W))
        return 0;
    top = (int64_t)floor(y);
    left = (int64_t)floor(x);
    for (int64_t i = top; i <= top + 1; i++)
        for (int64_t j = left; j <= left + 1; j++)
            if (i >= 0 && i < H && j >= 0 && j < W)
                sum += (1 - fabs(y - (double)i)) * (1 - fabs(x - (double)j)) *
                       (double)image[i * W + j];
    return sum;
}

/* One element of the output: y[n][o][at[0]][at[1]]. */
static double
element(const struct step *s, void *const *io, const struct window *w,
        int64_t n, int64_t o, const int64_t at[2])
{
    const int64_t *d = step_in(s, X)->shape.dim;
    const int64_t *kd = step_in(s, WEIGHTS)->shape.dim;
    const int64_t C = kd[1], K = kd[2] * kd[3], O = kd[0];
    const int64_t parts = attr_int(s->node, "offset_group", 1);
    const int64_t first = o / (O / (d[1] / C)) * C;
    const int64_t plane = w->out[0] * w->out[1];
    const int64_t here = at[0] * w->out[1] + at[1];
    const float *mask = step_in(s, MASK) == NULL ? NULL : io[MASK];
    double sum = step_in(s, BIAS) == NULL ? 0 : (double)((float *)io[BIAS])[o];

    for (int64_t c = 0; c < C; c++) {
        const float *image =
            (const float *)io[X] + (n * d[1] + first + c) * d[2] * d[3];
        const int64_t part = (first + c) / (d[1] / parts);

        for (int64_t k = 0; k < K; k++) {
            const int64_t row = (n * parts + part) * K + k;
            const float *move = (const float *)io[OFFSETS] + 2 * row * plane;
            double y = (double)(at[0] * w->stride[0] - w->begin[0] +
                                k / kd[3] * w->dilation[0]);
            double x = (double)(at[1] * w->stride[1] - w->begin[1] +
                                k % kd[3] * w->dilation[1]);
            double v = look(image, d[2], d[3], y + (double)move[here],
                            x + (double)move[plane + here]);

            if (mask != NULL)
                v *= (double)mask[row * plane + here];
            sum +=
                v * (double)((const float *)io[WEIGHTS])[(o * C + c) * K + k];
        }
    }
    return sum;
}

static int
deform_conv_run(const struct step *s, void *const *io, void *scratch,
                void *state, struct err *e)
{
    const struct window *w = s->own;
    const int64_t *d = step_out(s, 0)->shape.dim;
    float *y = step_io_out(s, io, 0);
    int64_t at[2];

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t o = 0; o < d[1]; o++)
            for (at[0] = 0; at[0] < d[2]; at[0]++)
                for (at[1] = 0; at[1] < d[3]; at[1]++)
                    *y++ = (float)element(s, io, w, n, o, at);
    return 0;
}

KERNEL_FLOATS(DEFORM_CONV, "deform_conv", window_prepare, deform_conv_run);
