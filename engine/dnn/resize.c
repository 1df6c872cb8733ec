/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize of one or two spatial axes, nearest (any type) and linear (float32),
 * channels last: each output point is one input point, or the sum of four
 * weighted ones, all channels of it at once.  What ONNX has beyond that is
 * left to ops/.  (oneDNN's resampling knows half_pixel only.)
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"

/* Along one axis, output place i is (1 - part) of input `lo` and part of hi.*/
struct place {
    int64_t lo, hi;
    float part;
};

struct resize {
    bool linear;
    size_t point; /* bytes of all channels of a point */
    int64_t channels, images;
    int64_t in_h, in_w, out_h, out_w;
    struct place *h, *w;
};

static bool
is_one_of(const char *s, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(s, *names) == 0)
            return true;
    return false;
}

/* N and C stay, and the modes are those that this file knows. */
static bool
fits(const struct graph *g, const struct node *n)
{
    static const char *const coordinates[] = {
        "half_pixel", "pytorch_half_pixel",   "align_corners",
        "asymmetric", "tf_half_pixel_for_nn", NULL};
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const char *mode = attr_string(n, "mode", "nearest");
    bool linear = strcmp(mode, "linear") == 0;
    const struct value *scales = node_in(g, n, 2);

    if (x->shape.rank < 3 || x->shape.rank > 4 || !desc_nonempty(x) ||
        !desc_nonempty(y) || n->n_posts > 0 || n->in_q != NULL)
        return false;
    if (linear ? x->dtype != DTYPE_FLOAT : strcmp(mode, "nearest") != 0)
        return false;
    if (scales != NULL && shape_n(&scales->shape) > 0 &&
        (scales->data == NULL || scales->dtype != DTYPE_FLOAT))
        return false;
    return x->shape.dim[0] == y->shape.dim[0] &&
           x->shape.dim[1] == y->shape.dim[1] &&
           attr_int(n, "exclude_outside", 0) == 0 &&
           attr_int(n, "antialias", 0) == 0 && attr_find(n, "axes") == NULL &&
           strcmp(attr_string(n, "keep_aspect_ratio_policy", "stretch"),
                  "stretch") == 0 &&
           is_one_of(
               attr_string(n, "coordinate_transformation_mode", "half_pixel"),
               coordinates);
}

/*
 * Where output place i lies among the input's; in single precision, which
 * makes whole what should be whole (see ops/resize.c).
 */
static float
coordinate(const char *how, float scale, int64_t in, int64_t out, int64_t i)
{
    float x = (float)i;

    if (strcmp(how, "asymmetric") == 0)
        return x / scale;
    if (strcmp(how, "align_corners") == 0)
        return out > 1 ? x * (float)(in - 1) / (float)(out - 1) : 0;
    if (strcmp(how, "pytorch_half_pixel") == 0 && out == 1)
        return 0;
    if (strcmp(how, "tf_half_pixel_for_nn") == 0)
        return (x + 0.5f) / scale;
    return (x + 0.5f) / scale - 0.5f;
}

static double
nearest(const char *how, double x)
{
    if (strcmp(how, "floor") == 0)
        return floor(x);
    if (strcmp(how, "ceil") == 0)
        return ceil(x);
    if (strcmp(how, "round_prefer_ceil") == 0)
        return floor(x + 0.5);
    return ceil(x - 0.5);
}

static int64_t
within(double x, int64_t n)
{
    return x < 0 ? 0 : x > (double)(n - 1) ? n - 1 : (int64_t)x;
}

/* axis: of the shape; places: one for each output place. */
static void
set_places(const struct graph *g, const struct node *n, int axis,
           struct place *p)
{
    const struct value *scales = node_in(g, n, 2);
    int64_t in = node_in(g, n, 0)->shape.dim[axis];
    int64_t out = node_out(g, n, 0)->shape.dim[axis];
    bool linear = strcmp(attr_string(n, "mode", "nearest"), "linear") == 0;
    const char *how =
        attr_string(n, "coordinate_transformation_mode", "half_pixel");
    const char *round = attr_string(n, "nearest_mode", "round_prefer_floor");
    float scale = (float)out / (float)in;

    if (scales != NULL && shape_n(&scales->shape) > (size_t)axis)
        scale = ((const float *)scales->data)[axis];
    for (int64_t i = 0; i < out; i++) {
        double x = coordinate(how, scale, in, out, i);

        if (scale == 1 && in == out)
            x = (double)i;
        if (linear) {
            p[i].lo = within(floor(x), in);
            p[i].hi = within(floor(x) + 1, in);
            p[i].part = (float)(x - floor(x));
        } else {
            p[i].lo = p[i].hi = within(nearest(round, x), in);
        }
    }
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    int rank = x->shape.rank;
    struct resize *r = mem_new(1, sizeof *r);

    (void)w;
    *r = (struct resize){
        .linear = strcmp(attr_string(n, "mode", "nearest"), "linear") == 0,
        .point = (size_t)x->shape.dim[1] * dtype_size(x->dtype),
        .channels = x->shape.dim[1],
        .images = x->shape.dim[0],
        .in_h = rank == 4 ? x->shape.dim[2] : 1,
        .in_w = x->shape.dim[rank - 1],
        .out_h = rank == 4 ? y->shape.dim[2] : 1,
        .out_w = y->shape.dim[rank - 1],
    };
    r->h = mem_try((size_t)r->out_h, sizeof *r->h);
    r->w = mem_try((size_t)r->out_w, sizeof *r->w);
    s->own = r;
    s->impl = "loop";
    if (r->h == NULL || r->w == NULL) {
        mem_free(r->h);
        mem_free(r->w);
        mem_free(r);
        s->own = NULL;
        return err_set(e, ERR_NO_MEMORY, "no memory for resizing");
    }
    if (rank == 4)
        set_places(g, n, 2, r->h);
    set_places(g, n, rank - 1, r->w);
    return 0;
}

struct resize_run {
    const struct resize *r;
    const char *x;
    char *y;
};

/* One line of points of the output. */
static void
one_line(void *arg, int64_t i)
{
    const struct resize_run *run = arg;
    const struct resize *r = run->r;
    const struct place *h = &r->h[i % r->out_h];
    size_t line = (size_t)r->in_w * r->point;
    const char *image = run->x + (size_t)(i / r->out_h * r->in_h) * line;
    const char *a = image + (size_t)h->lo * line;
    const char *b = image + (size_t)h->hi * line;
    char *y = run->y + (size_t)(i * r->out_w) * r->point;

    for (int64_t k = 0; k < r->out_w; k++, y += r->point) {
        const struct place *w = &r->w[k];
        const char *al = a + (size_t)w->lo * r->point;

        if (!r->linear) {
            memcpy(y, al, r->point);
            continue;
        }
        row_blend((float *)(void *)y, (const float *)(const void *)al,
                  (const float *)(const void *)(a + (size_t)w->hi * r->point),
                  (const float *)(const void *)(b + (size_t)w->lo * r->point),
                  (const float *)(const void *)(b + (size_t)w->hi * r->point),
                  h->part, w->part, r->channels);
    }
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    struct resize_run r = {s->own, io[0], io[s->node->n_in]};

    (void)scratch;
    (void)state;
    (void)e;
    grid_split(r.r->images * r.r->out_h, r.r->out_w * r.r->channels, one_line,
               &r);
    return 0;
}

static void
done(struct step *s)
{
    struct resize *r = s->own;

    if (r == NULL)
        return;
    mem_free(r->h);
    mem_free(r->w);
    mem_free(r);
    s->own = NULL;
}

const struct kernel dnn_resize = {
    .op = OP_RESIZE,
    .name = "dnn.resize",
    .layout = KERNEL_NXC,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
