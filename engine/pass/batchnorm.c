/* SPDX-License-Identifier: Apache-2.0 */
/*
 * y = gamma * (conv(x, W) + b - mean) / sqrt(var + eps) + beta is a Conv with
 * W' = W * s and b' = (b - mean) * s + beta, s = gamma / sqrt(var + eps), for
 * each output channel (Jacob et al. 2018, arXiv:1712.05877, section 3.2).
 */
#include <math.h>
#include <string.h>

#include "engine/pass/pass.h"

static const float *
floats_of(const struct graph *g, const struct node *n, int i, int64_t count)
{
    const struct value *v = node_in(g, n, i);

    if (v == NULL || v->data == NULL || v->dtype != DTYPE_FLOAT ||
        v->shape.rank != 1 || v->shape.dim[0] != count)
        return NULL;
    return v->data;
}

/*
 * Output channel o of weights lies in rows o, o + stride, ...: Conv has
 * [O, C/g, ...], ConvTranspose [C, O/g, ...], of which only g = 1 is folded.
 */
static bool
foldable(const struct graph *g, const struct node *conv, int64_t *channels)
{
    const struct value *w = node_in(g, conv, 1), *b = node_in(g, conv, 2);

    if (w == NULL || w->data == NULL || w->dtype != DTYPE_FLOAT ||
        w->shape.rank < 3)
        return false;
    if (conv->op == OP_CONV_TRANSPOSE && attr_int(conv, "group", 1) != 1)
        return false;
    *channels = w->shape.dim[conv->op == OP_CONV ? 0 : 1];
    return b == NULL || floats_of(g, conv, 2, *channels) != NULL;
}

static int
fold_into(struct graph *g, struct node *conv, const struct node *bn,
          int64_t channels, struct err *e)
{
    const float *gamma = floats_of(g, bn, 1, channels);
    const float *beta = floats_of(g, bn, 2, channels);
    const float *mean = floats_of(g, bn, 3, channels);
    const float *var = floats_of(g, bn, 4, channels);
    double eps = (double)attr_float(bn, "epsilon", 1e-5f);
    struct shape ws = node_in(g, conv, 1)->shape;
    const float *b = conv->n_in > 2 && conv->in[2] >= 0
                         ? graph_value(g, conv->in[2])->data
                         : NULL;
    int64_t inner = shape_span(&ws, conv->op == OP_CONV ? 1 : 2, ws.rank);
    int w_id =
        graph_add_const(g, NULL, DTYPE_FLOAT, &ws, node_in(g, conv, 1)->data);
    int b_id = -1;
    float *w, *bias;

    if (w_id >= 0)
        b_id = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(channels), mean);
    if (b_id < 0)
        return err_set(e, ERR_NO_MEMORY, "node %s: folded weights", bn->name);
    w = (float *)graph_value(g, w_id)->data; /* ours until here */
    bias = (float *)graph_value(g, b_id)->data;
    for (int64_t o = 0; o < channels; o++) {
        double s = (double)gamma[o] / sqrt((double)var[o] + eps);

        bias[o] =
            (float)(((b == NULL ? 0.0 : (double)b[o]) - (double)mean[o]) * s +
                    (double)beta[o]);
        for (int64_t r = 0; r < (conv->op == OP_CONV ? 1 : ws.dim[0]); r++)
            for (int64_t i = 0; i < inner; i++) {
                float *x = &w[(r * channels + o) * inner + i];

                *x = (float)((double)*x * s);
            }
    }
    conv->in[1] = w_id;
    if (conv->n_in > 2)
        conv->in[2] = b_id;
    else {
        graph_append_input(g, conv, b_id);
        conv->n_own = conv->n_in;
    }
    return 0;
}

int
pass_batchnorm(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *bn = &g->nodes.at[i], *conv;
        int64_t channels;
        bool known = true;
        int rc;

        if (bn->dead || bn->op != OP_BATCH_NORMALIZATION)
            continue;
        conv = graph_producer(g, bn->in[0]);
        if (conv == NULL ||
            (conv->op != OP_CONV && conv->op != OP_CONV_TRANSPOSE) ||
            pass_reader(g, conv) != bn || !foldable(g, conv, &channels))
            continue;
        for (int k = 1; k <= 4; k++)
            known &= floats_of(g, bn, k, channels) != NULL;
        if (!known)
            continue;
        rc = fold_into(g, conv, bn, channels, e);
        if (rc != 0)
            return rc;
        conv->out[0] = bn->out[0];
        graph_kill_node(g, bn);
        graph_value(g, conv->out[0])->producer = (int)(conv - g->nodes.at);
    }
    return 0;
}
