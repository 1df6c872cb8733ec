/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GridSample: an image (or a volume) seen at the places that a grid names.
 *
 * Along each axis a place is a weighted sum of a few elements ("taps": 1 for
 * nearest, 2 for linear, 4 for cubic), and a point is the sum over the taps
 * of all axes.
 * Source: ONNX GridSample, opset 16 and 20.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

enum { MAX_AXES = 3, MAX_TAPS = 4 };

enum outside { ZEROS, BORDER, REFLECTION };

struct sampling {
    int axes;
    int taps; /* 1, 2, 4 */
    enum outside outside;
    bool align_corners;
};

/* --- rule -------------------------------------------------------------------
 */

static int
read_sampling(const struct graph *g, const struct node *n, struct sampling *v,
              struct err *e)
{
    static const struct {
        const char *name;
        int taps;
    } modes[] = {{"linear", 2},
                 {"bilinear", 2},
                 {"nearest", 1},
                 {"cubic", 4},
                 {"bicubic", 4}};
    static const char *const outsides[] = {"zeros", "border", "reflection"};
    const char *mode = attr_string(n, "mode", "linear");
    const char *outside = attr_string(n, "padding_mode", "zeros");
    bool known = false;

    *v = (struct sampling){.axes = node_in(g, n, 0)->shape.rank - 2};
    v->align_corners = attr_int(n, "align_corners", 0) != 0;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i].name) == 0)
            v->taps = modes[i].taps;
    for (int i = 0; i < 3; i++)
        if (strcmp(outside, outsides[i]) == 0) {
            v->outside = (enum outside)i;
            known = true;
        }
    if (v->taps == 0)
        return err_set(e, ERR_UNSUPPORTED, "mode is \"%s\"", mode);
    if (!known)
        return err_set(e, ERR_UNSUPPORTED, "padding_mode is \"%s\"", outside);
    if (v->taps == 4 && v->axes > 2)
        return err_set(e, ERR_UNSUPPORTED, "mode is \"%s\" over %d axes", mode,
                       v->axes);
    return 0;
}

int
grid_sample_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *grid = node_in(g, n, 1);
    const int axes = x->shape.rank - 2;
    struct shape out = x->shape;
    struct sampling v;
    char xt[SHAPE_TEXT], gt[SHAPE_TEXT];

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_type(g, n, 1, TYPES_REAL, e) != 0)
        return e->code;
    if (axes < 1 || axes > MAX_AXES)
        return err_set(e, ERR_UNSUPPORTED,
                       "input is %s: 1 to %d axes are "
                       "supported",
                       shape_text(&x->shape, xt), MAX_AXES);
    if (read_sampling(g, n, &v, e) != 0)
        return e->code;
    if (grid->shape.rank != axes + 2 || grid->shape.dim[0] != x->shape.dim[0] ||
        grid->shape.dim[axes + 1] != axes)
        return err_set(e, ERR_INVALID, "grid %s does not fit to %s",
                       shape_text(&grid->shape, gt), shape_text(&x->shape, xt));
    for (int i = 0; i < axes; i++) {
        out.dim[i + 2] = grid->shape.dim[i + 1];
        if (x->shape.dim[i + 2] == 0)
            return err_set(e, ERR_INVALID, "input is %s: nothing to sample",
                           shape_text(&x->shape, xt));
    }
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* --- one axis ---------------------------------------------------------------
 */

struct taps {
    int64_t at[MAX_TAPS]; /* -1: outside, which is 0 */
    double weight[MAX_TAPS];
};

static double
reflect(double x, double low, double high)
{
    const double range = high - low;
    double far;

    if (range <= 0)
        return low;
    far = fmod(fabs(x - low), 2 * range);
    return low + (far <= range ? far : 2 * range - far);
}

/* -1..1 along an axis of n as a place among its elements. */
static double
place_of(const struct sampling *v, double x, int64_t n)
{
    const double low = v->align_corners ? 0 : -0.5;
    const double high = (double)n - 1 - low;

    x = v->align_corners ? (x + 1) / 2 * ((double)n - 1)
                         : ((x + 1) * (double)n - 1) / 2;
    /* What is no place at all lies outside; far away is all the same. */
    x = isnan(x) ? -1 : x < -1e9 ? -1e9 : x > 1e9 ? 1e9 : x;
    if (v->taps == 1)
        x = nearbyint(x);
    if ((x >= low && x <= high) || v->taps == 4) /* which has its own edge */
        return x;
    if (v->outside == BORDER)
        return x < 0 ? 0 : (double)n - 1;
    return v->outside == REFLECTION ? reflect(x, low, high) : x;
}

/* Element k of n, or the one that stands for it; -1 for none. */
static int64_t
element_of(const struct sampling *v, int64_t k, int64_t n)
{
    const double low = v->align_corners ? 0 : -0.5;

    if (k >= 0 && k < n)
        return k;
    if (v->outside == BORDER)
        return k < 0 ? 0 : n - 1;
    if (v->outside == ZEROS)
        return -1;
    k = (int64_t)reflect((double)k, low, (double)n - 1 - low);
    return k < 0 ? 0 : k >= n ? n - 1 : k;
}

/* Keys' weights with a = -0.75 for the elements before and behind. */
static void
cubic_weights(double t, double weight[4])
{
    const double a = -0.75, s = 1 - t;

    weight[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    weight[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    weight[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
    weight[3] = ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a;
}

static struct taps
taps_of(const struct sampling *v, double x, int64_t n)
{
    const double place = place_of(v, x, n);
    double first = floor(place);
    struct taps t = {.weight = {1}};

    if (v->taps == 2) {
        t.weight[1] = place - first;
        t.weight[0] = 1 - t.weight[1];
    } else if (v->taps == 4) {
        cubic_weights(place - first, t.weight);
        first--;
    }
    for (int i = 0; i < v->taps; i++)
        t.at[i] = element_of(v, (int64_t)first + i, n);
    return t;
}

/* --- kernel -----------------------------------------------------------------
 */

static int
grid_sample_prepare(const struct graph *g, const struct node *n, struct step *s,
                    struct weights *w, struct err *e)
{
    struct sampling v;

    (void)w;
    if (read_sampling(g, n, &v, e) != 0 || step_own(s, sizeof v, e) != 0)
        return e->code;
    memcpy(s->own, &v, sizeof v);
    return 0;
}

/* The point with these taps of one channel of shape dim. */
static double
point(const struct sampling *v, enum dtype t, const char *x, const int64_t *dim,
      const struct taps *taps)
{
    int places[MAX_AXES] = {1, 1, 1};
    double sum = 0;

    for (int i = 0; i < v->axes; i++)
        places[i] = v->taps;
    for (int a = 0; a < places[0]; a++)
        for (int b = 0; b < places[1]; b++)
            for (int c = 0; c < places[2]; c++) {
                const int tap[MAX_AXES] = {a, b, c};
                int64_t at = 0;
                double weight = 1;

                for (int i = 0; i < v->axes && at >= 0; i++) {
                    int64_t k = taps[i].at[tap[i]];

                    at = k < 0 ? -1 : at * dim[i] + k;
                    weight *= taps[i].weight[tap[i]];
                }
                if (at >= 0)
                    sum += weight *
                           number_double(t, x + at * (int64_t)dtype_size(t));
            }
    return sum;
}

/* x [N,C,in...] grid [N,out...,axes], the last axis first; y [N,C,out...] */
static int
grid_sample_run(const struct step *s, void *const *io, void *scratch,
                void *state, struct err *e)
{
    const struct sampling *v = s->own;
    const struct value *x = step_in(s, 0), *grid = step_in(s, 1);
    const enum dtype t = x->dtype, gt = grid->dtype;
    const int64_t size = (int64_t)dtype_size(t), C = x->shape.dim[1];
    const int64_t image = shape_span(&x->shape, 2, x->shape.rank);
    const int64_t points = shape_span(&grid->shape, 1, v->axes + 1);
    const int64_t all = x->shape.dim[0] * points;
    char *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < all; i++) {
        const char *where =
            (char *)io[1] + i * v->axes * (int64_t)dtype_size(gt);
        const int64_t n = i / points;
        struct taps taps[MAX_AXES];

        for (int k = 0; k < v->axes; k++) {
            int last = v->axes - 1 - k;

            taps[k] = taps_of(
                v, number_double(gt, where + last * (int64_t)dtype_size(gt)),
                x->shape.dim[k + 2]);
        }
        for (int64_t c = n * C; c < (n + 1) * C; c++) {
            double r = point(v, t, (char *)io[0] + c * image * size,
                             &x->shape.dim[2], taps);

            number_convert(t, y + (c * points + i % points) * size, 0,
                           DTYPE_DOUBLE, (const char *)&r, 0, 1);
        }
    }
    return 0;
}

KERNEL(GRID_SAMPLE, "grid_sample", .prepare = grid_sample_prepare,
       .run = grid_sample_run, .done = step_done);
