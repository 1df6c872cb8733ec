/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RoiAlign: regions of an image, each seen as a picture of the same size.
 * Source: ONNX RoiAlign, opset 16.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* Samples along one axis of a cell: what no real region needs is refused. */
enum { MAX_SAMPLES = 1 << 10 };

struct roi {
    int64_t height, width, ratio;
    double scale;
    bool max, half_pixel;
};

static int
read_roi(const struct node *n, struct roi *v, struct err *e)
{
    const char *mode = attr_string(n, "mode", "avg");
    const char *where =
        attr_string(n, "coordinate_transformation_mode", "half_pixel");

    *v = (struct roi){
        .height = attr_int(n, "output_height", 1),
        .width = attr_int(n, "output_width", 1),
        .ratio = attr_int(n, "sampling_ratio", 0),
        .scale = attr_float(n, "spatial_scale", 1),
        .max = strcmp(mode, "max") == 0,
        .half_pixel = strcmp(where, "half_pixel") == 0,
    };
    if (!v->max && strcmp(mode, "avg") != 0)
        return err_set(e, ERR_INVALID, "mode is \"%s\"", mode);
    if (!v->half_pixel && strcmp(where, "output_half_pixel") != 0)
        return err_set(e, ERR_INVALID,
                       "coordinate_transformation_mode is \"%s\"", where);
    if (v->height < 1 || v->width < 1 || v->ratio < 0 || v->ratio > MAX_SAMPLES)
        return err_set(e, ERR_INVALID,
                       "output_height %" PRId64 ", output_width %" PRId64
                       ", sampling_ratio %" PRId64,
                       v->height, v->width, v->ratio);
    return 0;
}

int
roi_align_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *rois = node_in(g, n, 1);
    char text[SHAPE_TEXT];
    struct roi v;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_same_type(g, n, 1, e) != 0 ||
        rule_type(g, n, 2, TYPE(INT64), e) != 0 || read_roi(n, &v, e) != 0)
        return e->code;
    if (x->shape.rank != 4)
        return err_set(e, ERR_INVALID, "input is %s, want rank 4",
                       shape_text(&x->shape, text));
    if (rois->shape.rank != 2 || rois->shape.dim[1] != 4)
        return err_set(e, ERR_INVALID, "regions are %s, want [n,4]",
                       shape_text(&rois->shape, text));
    if (rule_shape(g, n, 2, &SHAPE(rois->shape.dim[0]), e) != 0)
        return e->code;
    return rule_out(
        g, n, 0, x->dtype,
        &SHAPE(rois->shape.dim[0], x->shape.dim[1], v.height, v.width), e);
}

/* One channel of an image. */
struct plane {
    enum dtype t;
    const char *x;
    int64_t H, W;
};

static double
pixel(const struct plane *p, int64_t y, int64_t x)
{
    return number_double(p->t,
                         p->x + (y * p->W + x) * (int64_t)dtype_size(p->t));
}

/* The elements before and behind a place, and how far it is in between. */
static bool
neighbours(double at, int64_t n, int64_t *low, int64_t *high, double *part)
{
    if (!(at >= -1 && at <= (double)n) || n == 0)
        return false;
    at = at < 0 ? 0 : at;
    *low = (int64_t)at < n - 1 ? (int64_t)at : n - 1;
    *high = *low < n - 1 ? *low + 1 : *low;
    *part = *low < n - 1 ? at - (double)*low : 0;
    return true;
}

/*
 * Between four elements; 0 outside the image.  With `max` it is the largest of
 * the four parts, not their sum: so does ONNX's own implementation.
 */
static double
sample(const struct plane *p, double y, double x, bool max)
{
    int64_t ys[2], xs[2];
    double dy, dx, r = max ? -INFINITY : 0;

    if (!neighbours(y, p->H, &ys[0], &ys[1], &dy) ||
        !neighbours(x, p->W, &xs[0], &xs[1], &dx))
        return 0;
    for (int i = 0; i < 4; i++) {
        double part = (i / 2 ? dy : 1 - dy) * (i % 2 ? dx : 1 - dx) *
                      pixel(p, ys[i / 2], xs[i % 2]);

        r = !max ? r + part : part > r ? part : r;
    }
    return r;
}

/* A region along one axis: where it starts, its cells, samples in a cell. */
struct span {
    double start, cell;
    int64_t samples;
};

static int
span_of(const struct roi *v, double from, double to, int64_t cells,
        struct span *out, struct err *e)
{
    const double offset = v->half_pixel ? 0.5 : 0;
    double length, samples;

    out->start = from * v->scale - offset;
    length = to * v->scale - offset - out->start;
    if (!v->half_pixel && !(length >= 1))
        length = 1;
    out->cell = length / (double)cells;
    samples = v->ratio > 0 ? (double)v->ratio : ceil(out->cell);
    if (!(samples <= MAX_SAMPLES))
        return err_set(e, ERR_INVALID, "a region of %g to %g is too large",
                       from, to);
    out->samples = samples < 0 ? 0 : (int64_t)samples;
    return 0;
}

static double
cell(const struct roi *v, const struct plane *p, const struct span *ys,
     const struct span *xs, int64_t row, int64_t col)
{
    const int64_t count = ys->samples * xs->samples;
    double r = v->max && count > 0 ? -INFINITY : 0;

    for (int64_t i = 0; i < ys->samples; i++) {
        double y = ys->start + (double)row * ys->cell +
                   ((double)i + 0.5) * ys->cell / (double)ys->samples;

        for (int64_t k = 0; k < xs->samples; k++) {
            double x = xs->start + (double)col * xs->cell +
                       ((double)k + 0.5) * xs->cell / (double)xs->samples;
            double s = sample(p, y, x, v->max);

            r = !v->max ? r + s : s > r ? s : r;
        }
    }
    return v->max || count == 0 ? r : r / (double)count;
}

/*
 * The common case, averages of float32, with the samples of a region looked up
 * once for all channels.
 */
struct tap { /* two neighbours along an axis, and what each weighs */
    int64_t low, high;
    float a, b;
};

enum { TAPS_PER_CELL = 32 }; /* more are computed as they are needed */

static bool
has_taps(const struct roi *v, const struct plane *p, const struct span *ys,
         const struct span *xs)
{
    return p->t == DTYPE_FLOAT && !v->max && ys->samples <= TAPS_PER_CELL &&
           xs->samples <= TAPS_PER_CELL;
}

/* Of all samples of all cells along one axis; none weighs outside. */
static void
find_taps(const struct span *s, int64_t cells, int64_t n, struct tap *taps)
{
    for (int64_t c = 0; c < cells; c++)
        for (int64_t i = 0; i < s->samples; i++) {
            double part, at = s->start + (double)c * s->cell +
                              ((double)i + 0.5) * s->cell / (double)s->samples;
            struct tap *t = taps++;

            *t = (struct tap){0};
            if (neighbours(at, n, &t->low, &t->high, &part)) {
                t->a = (float)(1 - part);
                t->b = (float)part;
            }
        }
}

/* x [H,W] y [height,width] */
static void
align_plane(const struct roi *v, const float *x, int64_t W,
            const struct tap *ys, int64_t n_y, const struct tap *xs,
            int64_t n_x, float *y)
{
    const float count = (float)(n_y * n_x);

    for (int64_t row = 0; row < v->height; row++)
        for (int64_t col = 0; col < v->width; col++) {
            float sum = 0;

            for (int64_t i = row * n_y; i < (row + 1) * n_y; i++) {
                const float *up = x + ys[i].low * W, *down = x + ys[i].high * W;

                for (int64_t k = col * n_x; k < (col + 1) * n_x; k++) {
                    const struct tap *t = &xs[k];

                    sum +=
                        ys[i].a * (t->a * up[t->low] + t->b * up[t->high]) +
                        ys[i].b * (t->a * down[t->low] + t->b * down[t->high]);
                }
            }
            *y++ = n_y * n_x == 0 ? 0 : sum / count;
        }
}

/* One region of all channels, x [C,H,W], y [C,height,width]. */
static void
align(const struct roi *v, struct plane p, int64_t C, const struct span *ys,
      const struct span *xs, struct tap *taps, char *y)
{
    const int64_t size = (int64_t)dtype_size(p.t);
    const int64_t cells = v->height * v->width;
    struct tap *across = taps + v->height * TAPS_PER_CELL;
    bool fast = has_taps(v, &p, ys, xs) && p.H > 0 && p.W > 0;

    if (fast) {
        find_taps(ys, v->height, p.H, taps);
        find_taps(xs, v->width, p.W, across);
    }
    for (int64_t c = 0; c < C; c++, p.x += p.H * p.W * size) {
        if (fast)
            align_plane(v, (const float *)(const void *)p.x, p.W, taps,
                        ys->samples, across, xs->samples,
                        (float *)(void *)(y + c * cells * size));
        for (int64_t i = 0; !fast && i < cells; i++) {
            double m = cell(v, &p, ys, xs, i / v->width, i % v->width);

            number_convert(p.t, y + (c * cells + i) * size, 0, DTYPE_DOUBLE,
                           (const char *)&m, 0, 1);
        }
    }
}

static int
roi_align_prepare(const struct graph *g, const struct node *n, struct step *s,
                  struct weights *w, struct err *e)
{
    const struct shape *y = &node_out(g, n, 0)->shape;

    (void)w;
    (void)e;
    s->scratch_bytes =
        (size_t)(y->dim[2] + y->dim[3]) * TAPS_PER_CELL * sizeof(struct tap);
    return 0;
}

/* x [N,C,H,W] rois [R,4] (x1, y1, x2, y2) index [R] y [R,C,height,width] */
static int
roi_align_run(const struct step *s, void *const *io, void *scratch, void *state,
              struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t N = x->shape.dim[0], C = x->shape.dim[1];
    const int64_t size = (int64_t)dtype_size(x->dtype), *index = io[2];
    struct plane p = {
        .t = x->dtype, .H = x->shape.dim[2], .W = x->shape.dim[3]};
    char *y = step_io_out(s, io, 0);
    struct span ys, xs;
    struct roi v;

    (void)state;
    if (read_roi(s->node, &v, e) != 0)
        return e->code;
    for (int64_t r = 0; r < step_in(s, 1)->shape.dim[0]; r++) {
        double at[4];

        for (int k = 0; k < 4; k++)
            at[k] = number_double(p.t, (char *)io[1] + (r * 4 + k) * size);
        if (index[r] < 0 || index[r] >= N)
            return err_set(e, ERR_INVALID,
                           "region %" PRId64 " lies in image %" PRId64
                           " of %" PRId64,
                           r, index[r], N);
        if (span_of(&v, at[1], at[3], v.height, &ys, e) != 0 ||
            span_of(&v, at[0], at[2], v.width, &xs, e) != 0)
            return e->code;
        p.x = (char *)io[0] + index[r] * C * p.H * p.W * size;
        align(&v, p, C, &ys, &xs, scratch,
              y + r * C * v.height * v.width * size);
    }
    return 0;
}

KERNEL(ROI_ALIGN, "roi_align", .prepare = roi_align_prepare,
       .run = roi_align_run);
