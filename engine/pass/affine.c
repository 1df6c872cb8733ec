/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scales and shifts each output channel of a convolution (or column of a
 * Gemm, which is one without space) goes into its weights and bias: y = s *
 * (conv(x, W) + b) + t is a convolution with weights s * W and bias s * b + t.
 * That is BatchNormalization (s = gamma / sqrt(var + epsilon), t = beta - s *
 * mean; Jacob et al. 2018, arXiv:1712.05877, section 3.2), and Add, Sub, Mul
 * and Div with a constant that has one number for each channel, or one for all:
 * some exporters write biases and scales so.
 */
#include <math.h>

#include "base/mem.h"
#include "engine/pass/pass.h"

/* s and t, one of each an output channel. */
struct affine {
    int64_t channels;
    double *s, *t;
};

/* --- what stands behind the convolution ---------------------------------- */

static const float *
floats_of(const struct graph *g, const struct node *n, int i, int64_t count)
{
    const struct value *v = node_in(g, n, i);

    if (v == NULL || v->data == NULL || v->dtype != DTYPE_FLOAT ||
        v->shape.rank != 1 || v->shape.dim[0] != count)
        return NULL;
    return v->data;
}

static bool
from_batchnorm(const struct graph *g, const struct node *n, struct affine *a)
{
    const float *gamma = floats_of(g, n, 1, a->channels);
    const float *beta = floats_of(g, n, 2, a->channels);
    const float *mean = floats_of(g, n, 3, a->channels);
    const float *var = floats_of(g, n, 4, a->channels);
    double eps = (double)attr_float(n, "epsilon", 1e-5f);

    if (gamma == NULL || beta == NULL || mean == NULL || var == NULL)
        return false;
    for (int64_t o = 0; o < a->channels; o++) {
        a->s[o] = (double)gamma[o] / sqrt((double)var[o] + eps);
        a->t[o] = (double)beta[o] - a->s[o] * (double)mean[o];
    }
    return true;
}

/*
 * The constant of n that broadcasts to one number for each channel of
 * [N,channels,spatial...]: [C,1,...], [1,C,1,...], or a single number.
 */
static const float *
channel_constant(const struct value *v, int64_t channels, int rank,
                 int64_t *step)
{
    int axis;

    if (v == NULL || v->data == NULL || v->dtype != DTYPE_FLOAT ||
        v->shape.rank > rank)
        return NULL;
    axis = v->shape.rank - (rank - 1);
    *step = shape_n(&v->shape) == 1 ? 0 : 1;
    if (*step == 1 && (axis < 0 || v->shape.dim[axis] != channels ||
                       shape_n(&v->shape) != (size_t)channels))
        return NULL;
    return v->data;
}

static bool
from_arithmetic(const struct graph *g, const struct node *n, int side, int rank,
                struct affine *a)
{
    int64_t step;
    const float *c =
        channel_constant(node_in(g, n, 1 - side), a->channels, rank, &step);

    if (c == NULL || (side == 1 && (n->op == OP_SUB || n->op == OP_DIV)))
        return false;
    for (int64_t o = 0; o < a->channels; o++) {
        double x = (double)c[o * step];

        a->s[o] = n->op == OP_MUL ? x : n->op == OP_DIV ? 1 / x : 1;
        a->t[o] = n->op == OP_ADD ? x : n->op == OP_SUB ? -x : 0;
        if (!isfinite(a->s[o]) || !isfinite(a->t[o]))
            return false;
    }
    return true;
}

static bool
affine_of(const struct graph *g, const struct node *n, int side, int rank,
          struct affine *a)
{
    if (n->op == OP_BATCH_NORMALIZATION)
        return side == 0 && from_batchnorm(g, n, a);
    return from_arithmetic(g, n, side, rank, a);
}

/* --- the convolution ------------------------------------------------------ */

/*
 * Output channel o of Conv's weights [O, C/g, ...] is one block, and so it is
 * of Gemm's with transB; of ConvTranspose's [C, O/g, ...] and of Gemm's as they
 * are it is a block in each row of its group.
 */
static bool
in_rows(const struct node *n)
{
    return n->op == OP_CONV_TRANSPOSE ||
           (n->op == OP_GEMM && attr_int(n, "transB", 0) == 0);
}

static void
scale_weights(float *w, const struct shape *ws, const struct node *conv,
              const struct affine *a)
{
    bool transposed = in_rows(conv);
    int64_t inner = shape_span(ws, transposed ? 2 : 1, ws->rank);
    int64_t columns = transposed ? ws->dim[1] : 1;
    int64_t per_group = ws->dim[0] / attr_int(conv, "group", 1);

    for (int64_t r = 0; r < ws->dim[0]; r++)
        for (int64_t c = 0; c < columns; c++) {
            int64_t o = transposed ? r / per_group * columns + c : r;
            float *x = &w[(r * columns + c) * inner];

            for (int64_t i = 0; i < inner; i++)
                x[i] = (float)((double)x[i] * a->s[o]);
        }
}

/* The channels of a convolution whose weights can be changed, or 0. */
static int64_t
channels_of(const struct graph *g, const struct node *conv)
{
    const struct value *w = node_in(g, conv, 1), *b = node_in(g, conv, 2);
    int64_t group = attr_int(conv, "group", 1), channels;

    if (w == NULL || w->data == NULL || w->dtype != DTYPE_FLOAT || group < 1 ||
        (conv->op == OP_GEMM ? w->shape.rank != 2 || group != 1 ||
                                   attr_float(conv, "alpha", 1) != 1 ||
                                   attr_float(conv, "beta", 1) != 1
                             : w->shape.rank < 3) ||
        w->shape.dim[0] % group != 0)
        return 0;
    channels = in_rows(conv) ? w->shape.dim[1] * group : w->shape.dim[0];
    return b == NULL || floats_of(g, conv, 2, channels) != NULL ? channels : 0;
}

static bool
scales(const struct affine *a)
{
    for (int64_t o = 0; o < a->channels; o++)
        if (a->s[o] != 1)
            return true;
    return false;
}

static int
fold_into(struct graph *g, struct node *conv, const struct affine *a,
          struct err *e)
{
    const struct value *old = node_in(g, conv, 2);
    const float *was = old == NULL ? NULL : old->data;
    struct shape ws = node_in(g, conv, 1)->shape;
    float *bias = mem_new((size_t)a->channels, sizeof *bias);
    int id;

    for (int64_t o = 0; o < a->channels; o++)
        bias[o] =
            (float)(a->t[o] + (was == NULL ? 0 : a->s[o] * (double)was[o]));
    id = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(a->channels), bias);
    mem_free(bias);
    if (id < 0)
        return err_set(e, ERR_NO_MEMORY, "node %s: bias", conv->name);
    if (conv->n_in > 2)
        conv->in[2] = id;
    else
        conv->n_own = graph_append_input(g, conv, id) + 1;
    if (!scales(a))
        return 0;
    id = graph_add_const(g, NULL, DTYPE_FLOAT, &ws, node_in(g, conv, 1)->data);
    if (id < 0)
        return err_set(e, ERR_NO_MEMORY, "node %s: weights", conv->name);
    conv->in[1] = id;
    /* The copy just made is nobody else's yet. */
    scale_weights((float *)graph_value(g, id)->data, &ws, conv, a);
    return 0;
}

/* Folds n into the convolution before its input `side`, if that can be. */
static int
visit(struct graph *g, struct node *n, int side, struct err *e)
{
    struct node *conv = graph_producer(g, n->in[side]);
    struct affine a = {0};
    int rc = 0;

    if (conv == NULL ||
        (conv->op != OP_CONV && conv->op != OP_CONV_TRANSPOSE &&
         conv->op != OP_GEMM) ||
        pass_reader(g, conv) != n)
        return 0;
    a.channels = channels_of(g, conv);
    a.s = mem_new((size_t)a.channels, sizeof *a.s);
    a.t = mem_new((size_t)a.channels, sizeof *a.t);
    if (a.channels > 0 &&
        affine_of(g, n, side, node_in(g, conv, 1)->shape.rank, &a)) {
        rc = fold_into(g, conv, &a, e);
        if (rc == 0) {
            int out = n->out[0];

            graph_kill_node(g, n);
            conv->out[0] = out;
            graph_value(g, out)->producer = (int)(conv - g->nodes.at);
        }
    }
    mem_free(a.s);
    mem_free(a.t);
    return rc;
}

int
pass_affine(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++)
        for (int side = 0; side < 2; side++) {
            struct node *n = &g->nodes.at[i];
            int rc;

            if (n->dead || side >= n->n_in ||
                (n->op != OP_BATCH_NORMALIZATION && n->op != OP_ADD &&
                 n->op != OP_SUB && n->op != OP_MUL && n->op != OP_DIV))
                continue;
            rc = visit(g, n, side, e);
            if (rc != 0)
                return rc;
        }
    return 0;
}
