/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CausalConvWithState: each channel convolved with its own kernel over what
 * came before, which is given as a state and handed on as one.
 * Source: ONNX CausalConvWithState, opset 27.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/rule.h"

enum { X, WEIGHTS, BIAS, PAST };

/* x [N,C,L] w [C,1,k] bias [C] past [N,C,k-1] -> y [N,C,L], last [N,C,k-1] */
int
causal_conv_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, X), *w = node_in(g, n, WEIGHTS);
    const char *activation = attr_string(n, "activation", "none");
    const int64_t *d = x->shape.dim;
    char text[SHAPE_TEXT];
    struct shape state;

    for (int i = X; i <= PAST; i++)
        if (rule_type(g, n, i, TYPE(FLOAT), e) != 0)
            return e->code;
    if (x->shape.rank != 3 || w->shape.rank != 3 || w->shape.dim[2] < 1)
        return err_set(e, ERR_INVALID, "input is %s, want [N,C,L]",
                       shape_text(&x->shape, text));
    if (strcmp(activation, "none") != 0 && strcmp(activation, "silu") != 0 &&
        strcmp(activation, "swish") != 0)
        return err_set(e, ERR_UNSUPPORTED, "activation is \"%s\"", activation);
    state = SHAPE(d[0], d[1], w->shape.dim[2] - 1);
    if (rule_shape(g, n, WEIGHTS, &SHAPE(d[1], 1, w->shape.dim[2]), e) != 0 ||
        rule_shape(g, n, BIAS, &SHAPE(d[1]), e) != 0 ||
        rule_shape(g, n, PAST, &state, e) != 0 ||
        rule_out(g, n, 1, x->dtype, &state, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* Element i of the past and the input, one behind the other. */
static float
element(const float *past, const float *x, int64_t i, int64_t n_past)
{
    if (i >= n_past)
        return x[i - n_past];
    return past == NULL ? 0 : past[i];
}

static int
causal_conv_run(const struct step *s, void *const *io, void *scratch,
                void *state, struct err *e)
{
    const int64_t *d = step_in(s, X)->shape.dim, L = d[2];
    const int64_t k = step_in(s, WEIGHTS)->shape.dim[2];
    const bool silu =
        strcmp(attr_string(s->node, "activation", "none"), "none") != 0;
    const float *all = step_in(s, PAST) == NULL ? NULL : io[PAST];
    const float *bias = step_in(s, BIAS) == NULL ? NULL : io[BIAS];
    const float *x = io[X];
    float *y = step_io_out(s, io, 0);
    float *last = step_out(s, 1) == NULL ? NULL : step_io_out(s, io, 1);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t c = 0; c < d[0] * d[1]; c++, x += L) {
        const float *w = (const float *)io[WEIGHTS] + c % d[1] * k;
        const float *past = all == NULL ? NULL : all + c * (k - 1);

        for (int64_t i = 0; i < L; i++) {
            double sum = bias == NULL ? 0 : (double)bias[c % d[1]];

            for (int64_t j = 0; j < k; j++)
                sum += (double)w[j] * (double)element(past, x, i + j, k - 1);
            *y++ = (float)(silu ? sum / (1 + exp(-sum)) : sum);
        }
        for (int64_t j = 0; last != NULL && j < k - 1; j++)
            *last++ = element(past, x, L + j, k - 1);
    }
    return 0;
}

KERNEL(CAUSAL_CONV_WITH_STATE, "causal_conv", .run = causal_conv_run);
