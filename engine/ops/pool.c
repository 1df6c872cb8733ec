/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool, AveragePool and LpPool, over windows and over a whole image.
 */
#include <math.h>

#include "engine/ir/window.h"
#include "engine/ops/number.h"
#include "engine/ops/rule.h"

static bool
is_norm(enum op op)
{
    return op == OP_LP_POOL || op == OP_GLOBAL_LP_POOL;
}

static int
check_norm(const struct node *n, struct err *e)
{
    if (is_norm(n->op) && attr_int(n, "p", 2) < 1)
        return err_set(e, ERR_INVALID, "p is %lld",
                       (long long)attr_int(n, "p", 2));
    return 0;
}

int
pool_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    struct window w;

    if (rule_type(g, n, 0, n->op == OP_MAX_POOL ? TYPES_NUMBER : TYPES_REAL,
                  e) != 0 ||
        window_of(g, n, &w, e) != 0 || check_norm(n, e) != 0)
        return e->code;
    for (int i = 0; i < w.n; i++)
        out.dim[i + 2] = w.out[i];
    if (rule_out(g, n, 1, DTYPE_INT64, &out, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &out, e);
}

int
global_pool_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    char text[SHAPE_TEXT];

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 || check_norm(n, e) != 0)
        return e->code;
    if (x->shape.rank < 2)
        return err_set(e, ERR_INVALID, "input is %s: no channels",
                       shape_text(&x->shape, text));
    for (int i = 2; i < out.rank; i++)
        out.dim[i] = 1;
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* The part [from, to) of the kernel that lies inside the input. */
static void
inside(const struct window *w, int i, int64_t o, int64_t *from, int64_t *to)
{
    int64_t top = o * w->stride[i] - w->begin[i], d = w->dilation[i];

    *from = top >= 0 ? 0 : (d - 1 - top) / d;
    *to = top >= w->in[i] ? 0 : (w->in[i] - 1 - top) / d + 1;
    if (*to > w->kernel[i])
        *to = w->kernel[i];
}

/* How many kernel places lie inside the input or its padding. */
static int64_t
padded_count(const struct window *w, int i, int64_t o)
{
    int64_t top = o * w->stride[i] - w->begin[i];
    int64_t left = w->in[i] + w->end[i] - top;
    int64_t fit = left <= 0 ? 0 : (left - 1) / w->dilation[i] + 1;

    return fit < w->kernel[i] ? fit : w->kernel[i];
}

/* One image of one channel. */
struct image {
    const struct window *w;
    enum dtype dtype;
    const char *in;
    bool include_pad;
    double p; /* LpPool: the norm; else 0 */
};

/*
 * The average over window `at`, or its norm.
 * With count_include_pad the padding counts as zeros; what hangs over the
 * padding (ceil_mode) never counts.
 */
static double
average(const struct image *im, const int64_t at[WINDOW_MAX])
{
    const struct window *w = im->w;
    int64_t from[WINDOW_MAX], to[WINDOW_MAX], count = 1;
    double sum = 0;

    for (int i = 0; i < WINDOW_MAX; i++) {
        inside(w, i, at[i], &from[i], &to[i]);
        count *= im->include_pad ? padded_count(w, i, at[i])
                                 : (to[i] > from[i] ? to[i] - from[i] : 0);
    }
    for (int64_t a = from[0]; a < to[0]; a++)
        for (int64_t b = from[1]; b < to[1]; b++)
            for (int64_t c = from[2]; c < to[2]; c++) {
                int64_t z =
                    at[0] * w->stride[0] - w->begin[0] + a * w->dilation[0];
                int64_t y =
                    at[1] * w->stride[1] - w->begin[1] + b * w->dilation[1];
                int64_t x =
                    at[2] * w->stride[2] - w->begin[2] + c * w->dilation[2];
                int64_t k = (z * w->in[1] + y) * w->in[2] + x;

                double v = im->dtype == DTYPE_FLOAT
                               ? ((const float *)im->in)[k]
                               : ((const double *)im->in)[k];

                sum += im->p == 0 ? v : pow(fabs(v), im->p);
            }
    if (im->p != 0)
        return pow(sum, 1 / im->p);
    return count == 0 ? 0 : sum / (double)count;
}

/* True when a is the larger, or the first NaN. */
static bool
larger(enum dtype t, const char *a, const char *b)
{
    if (dtype_is_float(t)) {
        double x = number_double(t, a), y = number_double(t, b);

        return x > y || (isnan(x) && !isnan(y));
    }
    if (t == DTYPE_UINT64)
        return *(const uint64_t *)a > *(const uint64_t *)b;
    return number_int(t, a) > number_int(t, b);
}

/* Place of the largest element in window `at`, or -1 when it is empty. */
static int64_t
largest(const struct image *im, const int64_t at[WINDOW_MAX],
        int64_t place[WINDOW_MAX])
{
    const struct window *w = im->w;
    const int64_t size = (int64_t)dtype_size(im->dtype);
    int64_t from[WINDOW_MAX], to[WINDOW_MAX], best = -1;

    for (int i = 0; i < WINDOW_MAX; i++)
        inside(w, i, at[i], &from[i], &to[i]);
    for (int64_t a = from[0]; a < to[0]; a++)
        for (int64_t b = from[1]; b < to[1]; b++)
            for (int64_t c = from[2]; c < to[2]; c++) {
                int64_t z =
                    at[0] * w->stride[0] - w->begin[0] + a * w->dilation[0];
                int64_t y =
                    at[1] * w->stride[1] - w->begin[1] + b * w->dilation[1];
                int64_t x =
                    at[2] * w->stride[2] - w->begin[2] + c * w->dilation[2];
                int64_t k = (z * w->in[1] + y) * w->in[2] + x;

                if (best < 0 || larger(im->dtype, im->in + k * size,
                                       im->in + best * size)) {
                    best = k;
                    place[0] = z;
                    place[1] = y;
                    place[2] = x;
                }
            }
    return best;
}

/* The least value there is, for a window without an element. */
static void
set_least(enum dtype t, char *y)
{
    switch (t) {
    case DTYPE_FLOAT:
        *(float *)y = -INFINITY;
        break;
    case DTYPE_DOUBLE:
        *(double *)y = -INFINITY;
        break;
    case DTYPE_INT8:
        *(int8_t *)y = INT8_MIN;
        break;
    case DTYPE_INT16:
        *(int16_t *)y = INT16_MIN;
        break;
    case DTYPE_INT32:
        *(int32_t *)y = INT32_MIN;
        break;
    case DTYPE_INT64:
        *(int64_t *)y = INT64_MIN;
        break;
    default:
        number_set_int(t, y, 0);
    }
}

/* storage_order 1 counts places column by column: the first axis fastest. */
static int64_t
index_of(const struct window *w, const int64_t place[WINDOW_MAX], int64_t k,
         bool columns)
{
    if (!columns)
        return k;
    return place[0] + w->in[0] * (place[1] + w->in[1] * place[2]);
}

static void
copy_element(char *to, const char *from, int64_t size)
{
    for (int64_t i = 0; i < size; i++)
        to[i] = from[i];
}

/* x [N,C,in...] y, index [N,C,out...] */
static int
max_pool_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    const struct window *w = s->own;
    const struct value *x = step_in(s, 0);
    const int64_t images = x->shape.dim[0] * x->shape.dim[1];
    const int64_t image = shape_span(&x->shape, 2, x->shape.rank);
    const int64_t size = (int64_t)dtype_size(x->dtype);
    const bool columns = attr_int(s->node, "storage_order", 0) != 0;
    char *y = step_io_out(s, io, 0);
    int64_t *index = step_out(s, 1) == NULL ? NULL : step_io_out(s, io, 1);
    int64_t at[WINDOW_MAX], place[WINDOW_MAX] = {0};

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t c = 0; c < images; c++) {
        struct image im = {w, x->dtype, (const char *)io[0] + c * image * size,
                           false, 0};

        for (at[0] = 0; at[0] < w->out[0]; at[0]++)
            for (at[1] = 0; at[1] < w->out[1]; at[1]++)
                for (at[2] = 0; at[2] < w->out[2]; at[2]++, y += size) {
                    int64_t k = largest(&im, at, place);

                    if (k < 0)
                        set_least(x->dtype, y);
                    else
                        copy_element(y, im.in + k * size, size);
                    if (index != NULL)
                        *index++ = c * image +
                                   (k < 0 ? 0 : index_of(w, place, k, columns));
                }
    }
    return 0;
}

static int
average_pool_run(const struct step *s, void *const *io, void *scratch,
                 void *state, struct err *e)
{
    const struct window *w = s->own;
    const struct value *x = step_in(s, 0);
    const int64_t images = x->shape.dim[0] * x->shape.dim[1];
    const int64_t image =
        shape_span(&x->shape, 2, x->shape.rank) * (int64_t)dtype_size(x->dtype);
    struct image im = {w, x->dtype, io[0],
                       attr_int(s->node, "count_include_pad", 0) != 0, 0};
    void *y = step_io_out(s, io, 0);
    int64_t at[WINDOW_MAX], k = 0;

    (void)scratch;
    (void)state;
    (void)e;
    if (s->node->op == OP_LP_POOL)
        im.p = (double)attr_int(s->node, "p", 2);
    for (int64_t c = 0; c < images; c++, im.in += image)
        for (at[0] = 0; at[0] < w->out[0]; at[0]++)
            for (at[1] = 0; at[1] < w->out[1]; at[1]++)
                for (at[2] = 0; at[2] < w->out[2]; at[2]++, k++)
                    if (x->dtype == DTYPE_FLOAT)
                        ((float *)y)[k] = (float)average(&im, at);
                    else
                        ((double *)y)[k] = average(&im, at);
    return 0;
}

/* x [N,C,...] y [N,C,1...] */
static int
global_pool_run(const struct step *s, void *const *io, void *scratch,
                void *state, struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t images = x->shape.dim[0] * x->shape.dim[1];
    const int64_t image = shape_span(&x->shape, 2, x->shape.rank);
    const bool max = s->node->op == OP_GLOBAL_MAX_POOL;
    const bool norm = is_norm(s->node->op);
    const double p = norm ? (double)attr_int(s->node, "p", 2) : 0;
    void *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t c = 0; c < images; c++) {
        double r = max ? -INFINITY : 0;

        for (int64_t k = c * image; k < (c + 1) * image; k++) {
            double v = x->dtype == DTYPE_FLOAT ? ((const float *)io[0])[k]
                                               : ((const double *)io[0])[k];

            if (!max)
                r += norm ? pow(fabs(v), p) : v;
            else if (v > r || isnan(v))
                r = v;
        }
        if (norm)
            r = pow(r, 1 / p);
        else if (!max)
            r /= (double)image;
        if (x->dtype == DTYPE_FLOAT)
            ((float *)y)[c] = (float)r;
        else
            ((double *)y)[c] = r;
    }
    return 0;
}

KERNEL(AVERAGE_POOL, "average_pool", .prepare = window_prepare,
       .run = average_pool_run, .done = step_done);
KERNEL(LP_POOL, "lp_pool", .prepare = window_prepare, .run = average_pool_run,
       .done = step_done);
KERNEL(MAX_POOL, "max_pool", .prepare = window_prepare, .run = max_pool_run,
       .done = step_done);
KERNEL(GLOBAL_AVERAGE_POOL, "global_average_pool", .run = global_pool_run);
KERNEL(GLOBAL_LP_POOL, "global_lp_pool", .run = global_pool_run);
KERNEL(GLOBAL_MAX_POOL, "global_max_pool", .run = global_pool_run);
