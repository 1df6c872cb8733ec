/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DFT and STFT by their definition, and the windows that go with them.
 *
 *     X[k] = sum over t of x[t] * exp(-2 pi i k t / L)
 *
 * The L different factors are worked out once.
 * Source: ONNX DFT, opset 17 and 20, STFT, HannWindow and others, opset 17.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* By their definition, which takes the square of the length. */
enum { MAX_LENGTH = 1 << 20 };

#define TAU 6.28318530717958647692

/* --- what both transformations share ----------------------------------------
 */

struct fourier {
    int axis;       /* DFT: of the signal */
    int64_t length; /* L */
    int64_t bins;   /* how many X[k] there are */
    int64_t step;   /* STFT: from frame to frame */
    bool complex_in, inverse;
    bool real_out;   /* inverse of the one side of a real signal's spectrum */
    double factor[]; /* L cosines, L sines */
};

/* A constant scalar of a positive whole number, input i. */
static int
read_size(const struct graph *g, const struct node *n, int i, const char *what,
          int64_t *out, struct err *e)
{
    int count;

    if (rule_ints(g, n, i, what, out, 1, &count, e) != 0)
        return e->code;
    if (count != 1 || *out < 1)
        return err_set(e, ERR_INVALID, "%s is %" PRId64, what,
                       count == 1 ? *out : 0);
    return 0;
}

static int
set_bins(const struct node *n, bool onesided, struct fourier *f, struct err *e)
{
    if (f->length > MAX_LENGTH)
        return err_set(e, ERR_UNSUPPORTED,
                       "%" PRId64 " points, at most %d are supported",
                       f->length, MAX_LENGTH);
    f->inverse = n->op == OP_DFT && attr_int(n, "inverse", 0) != 0;
    f->real_out = onesided && f->inverse;
    if (onesided && f->complex_in != f->inverse)
        return err_set(e, ERR_UNSUPPORTED,
                       "onesided is 1 for a complex signal or a real spectrum");
    f->bins = onesided && !f->inverse ? f->length / 2 + 1 : f->length;
    return 0;
}

static int
fourier_prepare(struct step *s, const struct fourier *f, struct err *e)
{
    const size_t length = (size_t)f->length;
    struct fourier *own;

    if (step_own(s, sizeof *f + 2 * length * sizeof f->factor[0], e) != 0)
        return e->code;
    own = s->own;
    *own = *f;
    for (size_t i = 0; i < length; i++) {
        double angle = TAU * (double)i / (double)length;

        own->factor[i] = cos(angle);
        own->factor[length + i] = f->inverse ? sin(angle) : -sin(angle);
    }
    s->scratch_bytes = 2 * length * sizeof f->factor[0];
    return 0;
}

/* Stores X[k] of the line in scratch as a pair of elements, or a real one. */
static void
store_bin(const struct fourier *f, const double *re, const double *im,
          int64_t k, enum dtype t, char *y)
{
    const double *cosine = f->factor, *sine = f->factor + f->length;
    const double by = f->inverse ? 1 / (double)f->length : 1;
    double sum[2] = {0, 0};
    int64_t at = 0;

    for (int64_t i = 0; i < f->length; i++) {
        sum[0] += re[i] * cosine[at] - im[i] * sine[at];
        sum[1] += re[i] * sine[at] + im[i] * cosine[at];
        at += k;
        at -= at >= f->length ? f->length : 0;
    }
    sum[0] *= by;
    sum[1] *= by;
    number_convert(t, y, (int64_t)dtype_size(t), DTYPE_DOUBLE,
                   (const char *)sum, sizeof sum[0], f->real_out ? 1 : 2);
}

/* --- DFT --------------------------------------------------------------------
 */

/* The axis is an attribute before opset 20 and an input from there on. */
static int
read_dft(const struct graph *g, const struct node *n, struct fourier *f,
         struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int64_t axis = attr_int(n, "axis", -2);
    char text[SHAPE_TEXT];
    int count = 1;

    *f = (struct fourier){0};
    if (node_in(g, n, 2) != NULL && attr_find(n, "axis") == NULL &&
        rule_ints(g, n, 2, "the axis", &axis, 1, &count, e) != 0)
        return e->code;
    if (x->rank < 2 || x->dim[x->rank - 1] < 1 || x->dim[x->rank - 1] > 2)
        return err_set(e, ERR_INVALID, "input is %s, want [...,1] or [...,2]",
                       shape_text(x, text));
    if (count != 1 || shape_axis(axis, x->rank, &f->axis, e) != 0 ||
        f->axis == x->rank - 1)
        return err_set(e, ERR_INVALID, "axis %" PRId64 " is none of signals",
                       axis);
    f->complex_in = x->dim[x->rank - 1] == 2;
    f->length = x->dim[f->axis];
    if (attr_int(n, "inverse", 0) != 0 && attr_int(n, "onesided", 0) != 0)
        f->length = 2 * (f->length - 1); /* bins: half of it and one more */
    if (node_in(g, n, 1) != NULL &&
        read_size(g, n, 1, "the length", &f->length, e) != 0)
        return e->code;
    if (f->length < 1)
        return err_set(e, ERR_INVALID, "the signal is empty");
    return set_bins(n, attr_int(n, "onesided", 0) != 0, f, e);
}

int
dft_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    struct fourier f;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 || read_dft(g, n, &f, e) != 0)
        return e->code;
    out.dim[f.axis] = f.bins;
    out.dim[out.rank - 1] = f.real_out ? 1 : 2;
    return rule_out(g, n, 0, x->dtype, &out, e);
}

static int
dft_prepare(const struct graph *g, const struct node *n, struct step *s,
            struct weights *w, struct err *e)
{
    struct fourier f;

    (void)w;
    if (read_dft(g, n, &f, e) != 0)
        return e->code;
    return fourier_prepare(s, &f, e);
}

/* The other side of the spectrum of a real signal mirrors the one. */
static void
mirror(const struct fourier *f, double *re, double *im)
{
    im[0] = 0;
    if (f->length % 2 == 0)
        im[f->length / 2] = 0;
    for (int64_t t = f->length / 2 + 1; t < f->length; t++) {
        re[t] = re[f->length - t];
        im[t] = -im[f->length - t];
    }
}

/* x [outer,n,inner,1|2] y [outer,bins,inner,1|2] */
static int
dft_run(const struct step *s, void *const *io, void *scratch, void *state,
        struct err *e)
{
    const struct fourier *f = s->own;
    const struct value *x = step_in(s, 0);
    const int64_t size = (int64_t)dtype_size(x->dtype);
    const int64_t outer = shape_span(&x->shape, 0, f->axis);
    const int64_t n = x->shape.dim[f->axis], parts = 1 + f->complex_in;
    const int64_t inner = shape_span(&x->shape, f->axis + 1, x->shape.rank - 1);
    const int64_t pair = f->real_out ? 1 : 2;
    double *re = scratch, *im = re + f->length;
    char *y = step_io_out(s, io, 0);

    (void)state;
    (void)e;
    for (int64_t i = 0; i < outer * inner; i++) {
        const int64_t o = i / inner, k = i % inner;

        for (int64_t t = 0; t < f->length; t++) {
            const char *p =
                (char *)io[0] + ((o * n + t) * inner + k) * parts * size;

            re[t] = t < n ? number_double(x->dtype, p) : 0;
            im[t] =
                t < n && f->complex_in ? number_double(x->dtype, p + size) : 0;
        }
        if (f->real_out)
            mirror(f, re, im);
        for (int64_t b = 0; b < f->bins; b++)
            store_bin(f, re, im, b, x->dtype,
                      y + ((o * f->bins + b) * inner + k) * pair * size);
    }
    return 0;
}

/* --- STFT -------------------------------------------------------------------
 */

/* signal [B,T] or [B,T,1|2], step, window [L], length */
static int
read_stft(const struct graph *g, const struct node *n, struct fourier *f,
          struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct value *window = node_in(g, n, 2);
    char text[SHAPE_TEXT];

    *f = (struct fourier){0};
    if (x->rank < 2 || x->rank > 3 ||
        (x->rank == 3 && (x->dim[2] < 1 || x->dim[2] > 2)))
        return err_set(e, ERR_INVALID, "signal is %s, want [batch,time,1|2]",
                       shape_text(x, text));
    f->complex_in = x->rank == 3 && x->dim[2] == 2;
    if (read_size(g, n, 1, "the frame step", &f->step, e) != 0)
        return e->code;
    if (window != NULL && window->shape.rank != 1)
        return err_set(e, ERR_INVALID, "window is %s, want rank 1",
                       shape_text(&window->shape, text));
    f->length = window != NULL ? window->shape.dim[0] : x->dim[1];
    if (node_in(g, n, 3) != NULL &&
        read_size(g, n, 3, "the frame length", &f->length, e) != 0)
        return e->code;
    if (f->length < 1 || f->length > x->dim[1] ||
        (window != NULL && window->shape.dim[0] != f->length))
        return err_set(e, ERR_INVALID,
                       "frames of %" PRId64 " fit neither signal %s nor window",
                       f->length, shape_text(x, text));
    return set_bins(n, attr_int(n, "onesided", 1) != 0, f, e);
}

static int64_t
frames_of(const struct fourier *f, const struct shape *x)
{
    return (x->dim[1] - f->length) / f->step + 1;
}

int
stft_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct fourier f;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_same_type(g, n, 2, e) != 0 || read_stft(g, n, &f, e) != 0)
        return e->code;
    return rule_out(
        g, n, 0, x->dtype,
        &SHAPE(x->shape.dim[0], frames_of(&f, &x->shape), f.bins, 2), e);
}

static int
stft_prepare(const struct graph *g, const struct node *n, struct step *s,
             struct weights *w, struct err *e)
{
    struct fourier f;

    (void)w;
    if (read_stft(g, n, &f, e) != 0)
        return e->code;
    return fourier_prepare(s, &f, e);
}

static int
stft_run(const struct step *s, void *const *io, void *scratch, void *state,
         struct err *e)
{
    const struct fourier *f = s->own;
    const struct value *x = step_in(s, 0);
    const enum dtype t = x->dtype;
    const int64_t size = (int64_t)dtype_size(t), parts = 1 + f->complex_in;
    const int64_t T = x->shape.dim[1], frames = frames_of(f, &x->shape);
    const char *window = step_in(s, 2) == NULL ? NULL : io[2];
    double *re = scratch, *im = re + f->length;
    char *y = step_io_out(s, io, 0);

    (void)state;
    (void)e;
    for (int64_t i = 0; i < x->shape.dim[0] * frames; i++) {
        const char *p = (char *)io[0] +
                        (i / frames * T + i % frames * f->step) * parts * size;

        for (int64_t k = 0; k < f->length; k++, p += parts * size) {
            double w = window == NULL ? 1 : number_double(t, window + k * size);

            re[k] = w * number_double(t, p);
            im[k] = f->complex_in ? w * number_double(t, p + size) : 0;
        }
        for (int64_t b = 0; b < f->bins; b++, y += 2 * size)
            store_bin(f, re, im, b, t, y);
    }
    return 0;
}

/* --- windows ----------------------------------------------------------------
 */

int
window_infer(struct graph *g, struct node *n, struct err *e)
{
    int64_t type = attr_int(n, "output_datatype", DTYPE_FLOAT), length;
    int count;

    if (rule_ints(g, n, 0, "the window's length", &length, 1, &count, e) != 0)
        return e->code;
    if (count != 1 || length < 0)
        return err_set(e, ERR_INVALID, "the window's length is %" PRId64,
                       count == 1 ? length : 0);
    if (type != DTYPE_FLOAT && type != DTYPE_DOUBLE)
        return err_set(e, ERR_UNSUPPORTED, "output_datatype is %" PRId64, type);
    return rule_out(g, n, 0, (enum dtype)type, &SHAPE(length), e);
}

/* y[i] = a - b * cos(2 pi i / n) + c * cos(4 pi i / n) */
static int
window_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    static const double hann[] = {0.5, 0.5, 0};
    static const double hamming[] = {25.0 / 46, 21.0 / 46, 0};
    static const double blackman[] = {0.42, 0.5, 0.08};
    const enum op op = s->node->op;
    const double *part = op == OP_HANN_WINDOW      ? hann
                         : op == OP_HAMMING_WINDOW ? hamming
                                                   : blackman;
    const struct value *y = step_out(s, 0);
    const int64_t length = y->shape.dim[0];
    const int64_t n = attr_int(s->node, "periodic", 1) ? length : length - 1;
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < length; i++, to += dtype_size(y->dtype)) {
        double angle = n == 0 ? 0 : TAU * (double)i / (double)n;
        double v = part[0] - part[1] * cos(angle) + part[2] * cos(2 * angle);

        number_convert(y->dtype, to, 0, DTYPE_DOUBLE, (const char *)&v, 0, 1);
    }
    return 0;
}

KERNEL(DFT, "dft", .prepare = dft_prepare, .run = dft_run, .done = step_done);
KERNEL(STFT, "stft", .prepare = stft_prepare, .run = stft_run,
       .done = step_done);
KERNEL(BLACKMAN_WINDOW, "window", .run = window_run);
KERNEL(HAMMING_WINDOW, "window", .run = window_run);
KERNEL(HANN_WINDOW, "window", .run = window_run);
