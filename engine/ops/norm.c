/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNormalization (inference), GroupNormalization, InstanceNormalization,
 * LayerNormalization, RMSNormalization, LRN.  Means and variances are summed in
 * double precision.
 */
#include <inttypes.h>
#include <math.h>

#include "engine/ops/floats.h"
#include "engine/ops/rule.h"

static int
check_floats(const struct graph *g, const struct node *n, struct err *e)
{
    for (int i = 0; i < n->n_own; i++)
        if (rule_type(g, n, i, TYPES_REAL, e) != 0)
            return e->code;
    return 0;
}

int
norm_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    char text[SHAPE_TEXT];

    if (check_floats(g, n, e) != 0)
        return e->code;
    if (x->shape.rank < 2)
        return err_set(e, ERR_INVALID, "input is %s: no channels",
                       shape_text(&x->shape, text));
    if (attr_int(n, "training_mode", 0) != 0)
        return err_set(e, ERR_UNSUPPORTED, "training_mode is 1");
    if (n->op == OP_LRN && attr_int(n, "size", 0) < 1)
        return err_set(e, ERR_INVALID, "size is %" PRId64,
                       attr_int(n, "size", 0));
    for (int i = 1; i < n->n_own; i++)
        if (rule_shape(g, n, i, &SHAPE(x->shape.dim[1]), e) != 0)
            return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

int
layer_norm_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    char have[SHAPE_TEXT], want[SHAPE_TEXT];
    struct shape tail = x->shape, stat = x->shape, both;
    int axis;

    if (check_floats(g, n, e) != 0 ||
        rule_axis(n, -1, x->shape.rank, &axis, e) != 0)
        return e->code;
    tail.rank = 0;
    for (int i = axis; i < x->shape.rank; i++) {
        tail.dim[tail.rank++] = x->shape.dim[i];
        stat.dim[i] = 1;
    }
    for (int i = 1; i < n->n_own; i++) {
        const struct value *v = node_in(g, n, i);

        if (v != NULL && (shape_broadcast(&v->shape, &tail, &both, e) != 0 ||
                          !shape_equal(&both, &tail)))
            return err_set(e, ERR_INVALID,
                           "input %s is %s, which does not broadcast to %s",
                           v->name, shape_text(&v->shape, have),
                           shape_text(&tail, want));
    }
    if (rule_out(g, n, 1, DTYPE_FLOAT, &stat, e) != 0 ||
        rule_out(g, n, 2, DTYPE_FLOAT, &stat, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* Scale and bias have one number a channel or, before opset 21, a group. */
int
group_norm_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const struct shape *scale = &node_in(g, n, 1)->shape;
    const int64_t groups = attr_int(n, "num_groups", 0);
    char text[SHAPE_TEXT];

    if (check_floats(g, n, e) != 0)
        return e->code;
    if (x->shape.rank < 2 || groups < 1 || x->shape.dim[1] % groups != 0)
        return err_set(e, ERR_INVALID,
                       "%s does not divide into %" PRId64 " groups of channels",
                       shape_text(&x->shape, text), groups);
    if (!shape_equal(scale, &SHAPE(groups)) &&
        rule_shape(g, n, 1, &SHAPE(x->shape.dim[1]), e) != 0)
        return e->code;
    if (rule_shape(g, n, 2, scale, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* RMSNormalization goes by the squares as they are, with a mean of 0. */
static void
mean_square(const float *x, int64_t n, double *mean, double *square)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    *mean = 0;
    *square = sum / (double)n;
}

static void
mean_variance(const float *x, int64_t n, double *mean, double *variance)
{
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    *variance = squares / (double)n;
}

/* x, y [N,C,...] scale, bias, mean, variance [C] */
static int
batch_norm_run(const struct step *s, void *const *io, void *scratch,
               void *state, struct err *e)
{
    const struct shape *xs = &step_in(s, 0)->shape;
    const int64_t N = xs->dim[0], C = xs->dim[1];
    const int64_t image = shape_span(xs, 2, xs->rank);
    const float *x = io[0], *scale = io[1], *bias = io[2];
    const float *mean = io[3], *variance = io[4];
    const double epsilon = attr_float(s->node, "epsilon", 1e-5f);
    float *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            double by = scale[c] / sqrt(variance[c] + epsilon);

            for (int64_t i = 0; i < image; i++)
                *y++ = (float)((*x++ - (double)mean[c]) * by + bias[c]);
        }
    return 0;
}

/* x, y [N,C,...] scale, bias [C]: each image by its own mean and variance. */
static int
instance_norm_run(const struct step *s, void *const *io, void *scratch,
                  void *state, struct err *e)
{
    const struct shape *xs = &step_in(s, 0)->shape;
    const int64_t N = xs->dim[0], C = xs->dim[1];
    const int64_t image = shape_span(xs, 2, xs->rank);
    const float *x = io[0], *scale = io[1], *bias = io[2];
    const double epsilon = attr_float(s->node, "epsilon", 1e-5f);
    float *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            double mean, variance, by;

            mean_variance(x, image, &mean, &variance);
            by = scale[c] / sqrt(variance + epsilon);
            for (int64_t i = 0; i < image; i++)
                *y++ = (float)((*x++ - mean) * by + bias[c]);
        }
    return 0;
}

/* x, y [N,G,C/G,...] scale, bias [G] or [C]: each group by its own numbers. */
static int
group_norm_run(const struct step *s, void *const *io, void *scratch,
               void *state, struct err *e)
{
    const struct shape *xs = &step_in(s, 0)->shape;
    const int64_t N = xs->dim[0], C = xs->dim[1];
    const int64_t G = attr_int(s->node, "num_groups", 1), per = C / G;
    const int64_t image = shape_span(xs, 2, xs->rank);
    const bool each = step_in(s, 1)->shape.dim[0] == C;
    const float *x = io[0], *scale = io[1], *bias = io[2];
    const double epsilon = attr_float(s->node, "epsilon", 1e-5f);
    float *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t g = 0; per * image > 0 && g < N * G; g++) {
        double mean, variance;

        mean_variance(x, per * image, &mean, &variance);
        for (int64_t c = 0; c < per; c++) {
            int64_t k = each ? g % G * per + c : g % G;
            double by = scale[k] / sqrt(variance + epsilon);

            for (int64_t i = 0; i < image; i++)
                *y++ = (float)((*x++ - mean) * by + bias[k]);
        }
    }
    return 0;
}

/* Element i of the tail's elements in v, which broadcasts to the tail. */
static float
tail_at(const struct value *v, const float *p, const struct shape *x, int axis,
        int64_t i)
{
    int64_t at = 0, run = 1;

    if (shape_n(&v->shape) == (size_t)shape_span(x, axis, x->rank))
        return p[i];
    for (int k = 1; k <= v->shape.rank; k++) {
        int64_t dim = x->dim[x->rank - k],
                own = v->shape.dim[v->shape.rank - k];

        at += own == 1 ? 0 : i % dim * run;
        run *= own;
        i /= dim;
    }
    return p[at];
}

/* x, y [rows,tail] scale, bias [tail] mean, inverse deviation [rows] */
static int
layer_norm_run(const struct step *s, void *const *io, void *scratch,
               void *state, struct err *e)
{
    const struct shape *xs = &step_in(s, 0)->shape;
    const struct value *bias = step_in(s, 2);
    const double epsilon = attr_float(s->node, "epsilon", 1e-5f);
    const float *x = io[0];
    float *y = step_io_out(s, io, 0);
    float *means = step_out(s, 1) == NULL ? NULL : step_io_out(s, io, 1);
    float *inverses = step_out(s, 2) == NULL ? NULL : step_io_out(s, io, 2);
    int64_t rows, tail;
    int axis;

    (void)scratch;
    (void)state;
    if (rule_axis(s->node, -1, xs->rank, &axis, e) != 0)
        return e->code;
    rows = shape_span(xs, 0, axis);
    tail = shape_span(xs, axis, xs->rank);
    for (int64_t r = 0; r < rows; r++, x += tail) {
        double mean, variance, by;

        if (s->node->op == OP_RMS_NORMALIZATION)
            mean_square(x, tail, &mean, &variance);
        else
            mean_variance(x, tail, &mean, &variance);
        by = 1 / sqrt(variance + epsilon);
        for (int64_t i = 0; i < tail; i++) {
            double v =
                (x[i] - mean) * by * tail_at(step_in(s, 1), io[1], xs, axis, i);

            if (bias != NULL)
                v += tail_at(bias, io[2], xs, axis, i);
            *y++ = (float)v;
        }
        if (means != NULL)
            means[r] = (float)mean;
        if (inverses != NULL)
            inverses[r] = (float)by;
    }
    return 0;
}

/* x, y [N,C,...]: each element by the squares of its neighbour channels. */
static int
lrn_run(const struct step *s, void *const *io, void *scratch, void *state,
        struct err *e)
{
    const struct shape *xs = &step_in(s, 0)->shape;
    const int64_t N = xs->dim[0], C = xs->dim[1];
    const int64_t image = shape_span(xs, 2, xs->rank);
    const int64_t size = attr_int(s->node, "size", 1);
    const double alpha = attr_float(s->node, "alpha", 1e-4f);
    const double beta = attr_float(s->node, "beta", 0.75f);
    const double bias = attr_float(s->node, "bias", 1);
    float *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t n = 0; n < N; n++) {
        const float *x = (const float *)io[0] + n * C * image;

        for (int64_t c = 0; c < C; c++) {
            int64_t before = (size - 1) / 2, after = size - 1 - before;
            int64_t from = c < before ? 0 : c - before;
            int64_t to = after >= C - c ? C : c + after + 1;

            for (int64_t i = 0; i < image; i++) {
                double squares = 0;

                for (int64_t k = from; k < to; k++)
                    squares += (double)x[k * image + i] * x[k * image + i];
                *y++ =
                    (float)(x[c * image + i] /
                            pow(bias + alpha / (double)size * squares, beta));
            }
        }
    }
    return 0;
}

KERNEL_FLOATS(BATCH_NORMALIZATION, "batch_norm", floats_nothing,
              batch_norm_run);
KERNEL_FLOATS(GROUP_NORMALIZATION, "group_norm", floats_nothing,
              group_norm_run);
KERNEL_FLOATS(INSTANCE_NORMALIZATION, "instance_norm", floats_nothing,
              instance_norm_run);
KERNEL_FLOATS(LAYER_NORMALIZATION, "layer_norm", floats_nothing,
              layer_norm_run);
KERNEL_FLOATS(RMS_NORMALIZATION, "rms_norm", floats_nothing, layer_norm_run);
KERNEL_FLOATS(LRN, "lrn", floats_nothing, lrn_run);
