/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize: each output place along an axis is a weighted sum of a few input
 * places ("taps": 1 for nearest, 2 for linear, 4 for cubic, more where
 * antialias makes these wider to shrink an image); an output element is the
 * sum over the taps of all axes.  The taps are worked out once.
 * Source: ONNX Resize, opset 13 and 19, and its reference implementation.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/floats.h"
#include "engine/ops/rule.h"

enum { NEAREST = 1, LINEAR = 2, CUBIC = 4 }; /* taps of an axis */

enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL_FOR_NN,
    TF_CROP_AND_RESIZE,
};

static const char *const coordinate_names[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL,
};

enum rounding { PREFER_FLOOR, PREFER_CEIL, ROUND_FLOOR, ROUND_CEIL };

static const char *const rounding_names[] = {
    "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL,
};

enum policy { STRETCH, NOT_LARGER, NOT_SMALLER };

static const char *const policy_names[] = {"stretch", "not_larger",
                                           "not_smaller", NULL};

static const char *const mode_names[] = {"nearest", "linear", "cubic", NULL};

struct resize {
    int mode; /* NEAREST, LINEAR, CUBIC */
    enum coordinates coordinates;
    enum rounding rounding;
    enum policy policy;
    bool exclude_outside, antialias;
    int axes[SHAPE_MAX_RANK], n_axes; /* the others stay as they are */
    float cubic_a, extrapolation;
    float scale[SHAPE_MAX_RANK];
    float roi[2 * SHAPE_MAX_RANK];
    struct shape out;
};

/* --- what the node says ------------------------------------------------------
 */

static int
choose(const struct node *n, const char *attr, const char *const *names,
       int *out, struct err *e)
{
    const char *said = attr_string(n, attr, names[0]);

    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(said, names[i]) == 0) {
            *out = i;
            return 0;
        }
    return err_set(e, ERR_UNSUPPORTED, "%s is \"%s\"", attr, said);
}

/* Which axes are resized: those named, or all. */
static int
read_axes(const struct node *n, int rank, struct resize *r, struct err *e)
{
    int count;
    const int64_t *axes = attr_ints(n, "axes", &count);
    unsigned seen = 0;

    r->n_axes = axes == NULL ? rank : count;
    for (int i = 0; i < r->n_axes; i++) {
        if (i >= rank)
            return err_set(e, ERR_INVALID, "%d axes of %d", count, rank);
        if (shape_axis(axes == NULL ? i : axes[i], rank, &r->axes[i], e) != 0)
            return e->code;
        if (seen & 1u << r->axes[i])
            return err_set(e, ERR_INVALID, "axis %d is named twice",
                           r->axes[i]);
        seen |= 1u << r->axes[i];
    }
    return 0;
}

static int
read_attributes(const struct node *n, int rank, struct resize *r, struct err *e)
{
    static const int taps[] = {NEAREST, LINEAR, CUBIC};
    int mode, coordinates, rounding, policy;

    if (choose(n, "mode", mode_names, &mode, e) != 0 ||
        choose(n, "coordinate_transformation_mode", coordinate_names,
               &coordinates, e) != 0 ||
        choose(n, "nearest_mode", rounding_names, &rounding, e) != 0 ||
        choose(n, "keep_aspect_ratio_policy", policy_names, &policy, e) != 0 ||
        read_axes(n, rank, r, e) != 0)
        return e->code;
    r->mode = taps[mode];
    r->policy = (enum policy)policy;
    r->antialias = attr_int(n, "antialias", 0) != 0 && r->mode != NEAREST;
    r->coordinates = (enum coordinates)coordinates;
    r->rounding = (enum rounding)rounding;
    r->exclude_outside = attr_int(n, "exclude_outside", 0) != 0;
    r->cubic_a = attr_float(n, "cubic_coeff_a", -0.75f);
    r->extrapolation = attr_float(n, "extrapolation_value", 0);
    return 0;
}

/* count floats of constant input i into out. */
static int
read_floats(const struct graph *g, const struct node *n, int i, float *out,
            int count, struct err *e)
{
    const struct value *v = node_in(g, n, i);

    if (v->data == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "the resizing depends on data: input %s is no constant",
                       v->name);
    if (rule_type(g, n, i, TYPE(FLOAT), e) != 0)
        return e->code;
    if (shape_n(&v->shape) != (size_t)count)
        return err_set(e, ERR_INVALID, "input %s has %zu numbers, want %d",
                       v->name, shape_n(&v->shape), count);
    memcpy(out, v->data, (size_t)count * sizeof *out);
    return 0;
}

/* An empty input counts as absent: exporters write both. */
static bool
given(const struct graph *g, const struct node *n, int i)
{
    const struct value *v = i < n->n_own ? node_in(g, n, i) : NULL;

    return v != NULL && shape_n(&v->shape) > 0;
}

/* The region: first all starts, then all ends. */
static int
read_region(const struct graph *g, const struct node *n, int rank,
            struct resize *r, struct err *e)
{
    float said[2 * SHAPE_MAX_RANK];

    if (!given(g, n, 1))
        return err_set(e, ERR_INVALID, "the region (roi) is missing");
    if (read_floats(g, n, 1, said, 2 * r->n_axes, e) != 0)
        return e->code;
    for (int i = 0; i < rank; i++)
        r->roi[rank + i] = 1;
    for (int i = 0; i < r->n_axes; i++) {
        r->roi[r->axes[i]] = said[i];
        r->roi[rank + r->axes[i]] = said[r->n_axes + i];
    }
    return 0;
}

static int
read_scales(const struct graph *g, const struct node *n, struct resize *r,
            struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    float said[SHAPE_MAX_RANK];

    if (read_floats(g, n, 2, said, r->n_axes, e) != 0)
        return e->code;
    for (int i = 0; i < r->n_axes; i++)
        r->scale[r->axes[i]] = said[i];
    for (int k = 0; k < r->n_axes; k++) {
        int i = r->axes[k];
        /* With a region, the region is what is scaled. */
        float part = r->coordinates == TF_CROP_AND_RESIZE
                         ? r->roi[x->rank + i] - r->roi[i]
                         : 1;
        double dim = floor((double)x->dim[i] * part * r->scale[i]);

        if (!(r->scale[i] > 0) || !(dim >= 0) || dim > 0x1p40)
            return err_set(e, ERR_INVALID, "scale %g of axis %d",
                           (double)r->scale[i], i);
        r->out.dim[i] = (int64_t)dim;
    }
    return 0;
}

/* All axes by one scale: the smallest, or the largest, of those said. */
static int
keep_ratio(const struct shape *x, struct resize *r, struct err *e)
{
    float scale = 0;

    for (int k = 0; k < r->n_axes; k++) {
        float s = r->scale[r->axes[k]];

        if (k == 0 || (r->policy == NOT_LARGER ? s < scale : s > scale))
            scale = s;
    }
    for (int k = 0; k < r->n_axes; k++) {
        int i = r->axes[k];
        double dim = floor((double)scale * (double)x->dim[i] + 0.5);

        if (!(dim >= 0) || dim > 0x1p40)
            return err_set(e, ERR_INVALID, "scale %g of axis %d", (double)scale,
                           i);
        r->scale[i] = scale;
        r->out.dim[i] = (int64_t)dim;
    }
    return 0;
}

static int
read_sizes(const struct graph *g, const struct node *n, struct resize *r,
           struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int64_t said[SHAPE_MAX_RANK];
    int count;

    if (rule_ints(g, n, 3, "the resizing", said, SHAPE_MAX_RANK, &count, e) !=
        0)
        return e->code;
    if (count != r->n_axes)
        return err_set(e, ERR_INVALID, "%d sizes for %d axes", count,
                       r->n_axes);
    for (int k = 0; k < count; k++) {
        int i = r->axes[k];

        r->out.dim[i] = said[k];
        r->scale[i] = x->dim[i] == 0 ? 1 : (float)said[k] / (float)x->dim[i];
    }
    return r->policy == STRETCH ? 0 : keep_ratio(x, r, e);
}

static int
resize_of(const struct graph *g, const struct node *n, struct resize *r,
          struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    char from[SHAPE_TEXT], to[SHAPE_TEXT];

    *r = (struct resize){.out = *x};
    for (int i = 0; i < x->rank; i++)
        r->scale[i] = 1;
    if (read_attributes(n, x->rank, r, e) != 0)
        return e->code;
    if (r->coordinates == TF_CROP_AND_RESIZE &&
        read_region(g, n, x->rank, r, e) != 0)
        return e->code;
    if (given(g, n, 3) == given(g, n, 2))
        return err_set(e, ERR_INVALID, "want either scales or sizes");
    if ((given(g, n, 3) ? read_sizes(g, n, r, e) : read_scales(g, n, r, e)) !=
        0)
        return e->code;
    for (int i = 0; i < x->rank; i++)
        if (r->out.dim[i] < 0 || (x->dim[i] == 0 && r->out.dim[i] > 0))
            return err_set(e, ERR_INVALID, "%s can't become %s",
                           shape_text(x, from), shape_text(&r->out, to));
    return 0;
}

/* Elements are not only moved: they are added up, or made up outside. */
static bool
is_weighted(const struct resize *r)
{
    return r->mode != NEAREST || r->coordinates == TF_CROP_AND_RESIZE;
}

int
resize_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct resize r;

    if (resize_of(g, n, &r, e) != 0)
        return e->code;
    if (is_weighted(&r) &&
        rule_type(g, n, 0, r.mode == LINEAR ? TYPES_NUMBER : TYPES_REAL, e) !=
            0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &r.out, e);
}

/* --- taps
 * --------------------------------------------------------------------- */

/* For each output place: n taps; at < 0 in the first is "outside". */
struct tap {
    int64_t at; /* in elements, the axis' stride multiplied in */
    float weight;
};

struct axis {
    int64_t n;
    struct tap *tap;
};

/*
 * Where output place i lies among the input's places.  In single precision,
 * as ONNX Runtime computes it: a coordinate that should be whole is whole
 * then, though the scale (2.2) is not, which decides what "nearest" is.
 */
static float
coordinate(const struct resize *r, int axis, int rank, int64_t in, int64_t i)
{
    const float scale = r->scale[axis], out = (float)r->out.dim[axis];
    const float x = (float)i, last = (float)(in - 1);

    switch (r->coordinates) {
    case HALF_PIXEL_SYMMETRIC: {
        float adjust = out / ((float)in * scale);

        return (float)in / 2 * (1 - adjust) + (x + 0.5f) / scale - 0.5f;
    }
    case PYTORCH_HALF_PIXEL:
        return out > 1 ? (x + 0.5f) / scale - 0.5f : 0;
    case ALIGN_CORNERS:
        return out > 1 ? x * last / (out - 1) : 0;
    case ASYMMETRIC:
        return x / scale;
    case TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5f) / scale;
    case TF_CROP_AND_RESIZE: {
        float from = r->roi[axis], to = r->roi[rank + axis];

        return out > 1 ? from * last + x * (to - from) * last / (out - 1)
                       : 0.5f * (from + to) * last;
    }
    default:
        return (x + 0.5f) / scale - 0.5f;
    }
}

static int64_t
clip(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static int64_t
nearest(enum rounding how, double x)
{
    switch (how) {
    case PREFER_CEIL:
        return (int64_t)floor(x + 0.5);
    case ROUND_FLOOR:
        return (int64_t)floor(x);
    case ROUND_CEIL:
        return (int64_t)ceil(x);
    default:
        return (int64_t)ceil(x - 0.5);
    }
}

/* Weight of a place at this distance. Source: Keys 1981, with free a. */
static double
cubic(double a, double distance)
{
    double d = fabs(distance);

    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    if (d < 2)
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    return 0;
}

/* How much wider than usual the taps lie: antialias, to shrink. */
static double
widening(const struct resize *r, int axis)
{
    return r->antialias && r->scale[axis] < 1 ? 1 / (double)r->scale[axis] : 1;
}

/* How many taps an axis has: as many places as their weights reach. */
static int64_t
taps_of(const struct resize *r, int axis)
{
    if (r->mode == NEAREST)
        return 1;
    return 2 * (int64_t)ceil(r->mode / 2 * widening(r, axis));
}

/* What a place at this distance from the coordinate counts for. */
static double
weight_at(const struct resize *r, double away)
{
    if (r->mode == CUBIC)
        return cubic(r->cubic_a, away);
    return fabs(away) < 1 ? 1 - fabs(away) : 0;
}

/*
 * The n taps of coordinate x on an axis of `in` places.  Those of antialias
 * are divided by their sum; what lies outside counts for the edge then, unless
 * it is to be left out.
 */
static void
set_taps(const struct resize *r, double x, int64_t in, int64_t step, int64_t n,
         double wide, struct tap *tap)
{
    int64_t first;
    double sum = 0, all = 0;

    if (r->coordinates == TF_CROP_AND_RESIZE &&
        !(x >= 0 && x <= (double)(in - 1))) {
        for (int64_t k = 0; k < n; k++)
            tap[k] = (struct tap){-1, 0};
        return;
    }
    /* So far outside all taps are the same edge; and it must be an integer. */
    x = fmin(fmax(x, (double)-n), (double)(in + n));
    first = (int64_t)floor(x) - (n / 2 - 1);
    if (r->mode == NEAREST) {
        tap[0].at = clip(nearest(r->rounding, x), 0, in - 1) * step;
        tap[0].weight = 1;
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        double weight = weight_at(r, (x - (double)(first + k)) / wide);
        bool outside = first + k < 0 || first + k >= in;

        if (r->exclude_outside && outside)
            weight = 0;
        sum += weight;
        tap[k].at = clip(first + k, 0, in - 1) * step;
        tap[k].weight = (float)weight;
    }
    all = r->exclude_outside || wide > 1 ? sum : 1;
    for (int64_t k = 0; k < n; k++)
        tap[k].weight = (float)(tap[k].weight / all);
}

/* --- kernel
 * -------------------------------------------------------------------- */

struct plan {
    struct resize r;
    struct axis axis[SHAPE_MAX_RANK];
    struct tap taps[];
};

/* The element types that sums are not written for. */
#define CONVERTED (TYPES_NUMBER & ~TYPE(FLOAT))

static int
resize_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int64_t step[SHAPE_MAX_RANK];
    struct resize r;
    struct plan *p;
    struct tap *tap;
    size_t taps = 0;

    (void)w;
    if (resize_of(g, n, &r, e) != 0)
        return e->code;
    for (int i = 0; i < x->rank && shape_n(&r.out) > 0; i++)
        taps += (size_t)(r.out.dim[i] * taps_of(&r, i));
    if (step_own(s, sizeof *p + taps * sizeof p->taps[0], e) != 0)
        return e->code;
    p = s->own;
    p->r = r;
    layout_strides(x, LAYOUT_PLAIN, step);
    tap = p->taps;
    for (int i = 0; i < x->rank && taps > 0; i++) {
        /* An axis that stays as it is has one tap, which keeps it exact. */
        bool same = r.scale[i] == 1 && r.out.dim[i] == x->dim[i] &&
                    r.coordinates != TF_CROP_AND_RESIZE;

        p->axis[i] = (struct axis){same ? 1 : taps_of(&r, i), tap};
        for (int64_t k = 0; k < r.out.dim[i]; k++, tap += p->axis[i].n)
            if (same)
                *tap = (struct tap){k * step[i], 1};
            else
                set_taps(&r, coordinate(&r, i, x->rank, x->dim[i], k),
                         x->dim[i], step[i], p->axis[i].n, widening(&r, i),
                         tap);
    }
    if (is_weighted(&r))
        floats_prepare(g, n, CONVERTED, s);
    return 0;
}

/* Sum over the taps of axes `axis` and on, at output place `at`. */
static double
sample(const struct plan *p, int axis, const int64_t *at, const float *in)
{
    const struct axis *a = &p->axis[axis];
    double sum = 0;

    if (axis == p->r.out.rank)
        return *in;
    for (int64_t k = 0; k < a->n; k++) {
        const struct tap *t = &a->tap[at[axis] * a->n + k];

        sum += t->weight * sample(p, axis + 1, at, in + t->at);
    }
    return sum;
}

static bool
outside(const struct plan *p, const int64_t *at)
{
    for (int i = 0; i < p->r.out.rank; i++)
        if (p->axis[i].tap[at[i] * p->axis[i].n].at < 0)
            return true;
    return false;
}

static void
element(const struct plan *p, const int64_t *at, const char *in, char *out,
        size_t size)
{
    int64_t from = 0;

    if (p->r.coordinates == TF_CROP_AND_RESIZE && outside(p, at)) {
        *(float *)out = p->r.extrapolation;
        return;
    }
    if (p->r.mode != NEAREST) {
        *(float *)out = (float)sample(p, 0, at, (const float *)in);
        return;
    }
    for (int i = 0; i < p->r.out.rank; i++)
        from += p->axis[i].tap[at[i]].at;
    memcpy(out, in + (size_t)from * size, size);
}

static int
resize_all(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct plan *p = s->own;
    const struct shape *out = &p->r.out;
    const size_t size =
        is_weighted(&p->r) ? sizeof(float) : dtype_size(step_in(s, 0)->dtype);
    const size_t n = shape_n(out);
    int64_t at[SHAPE_MAX_RANK] = {0};
    char *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < n; i++, y += size) {
        element(p, at, io[0], y, size);
        for (int k = out->rank - 1; k >= 0; k--) {
            if (++at[k] < out->dim[k])
                break;
            at[k] = 0;
        }
    }
    return 0;
}

static int
resize_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct plan *p = s->own;

    if (!is_weighted(&p->r))
        return resize_all(s, io, scratch, state, e);
    return floats_run(s, io, scratch, state, CONVERTED, resize_all, e);
}

KERNEL(RESIZE, "resize", .prepare = resize_prepare, .run = resize_run,
       .done = step_done);
