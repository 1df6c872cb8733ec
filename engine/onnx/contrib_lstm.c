/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DynamicQuantizeLSTM, which ONNX Runtime's quantizer makes of an LSTM: weights
 * and recurrence are constant integers [directions,inputs,4*hidden], turned as
 * their products want them.  They become real numbers [..,4*hidden,inputs], of
 * an LSTM; what else that quantizer rounds, the activations, stays as it is.
 */
#include "engine/onnx/contrib.h"

enum {
    IN_X,
    IN_W,
    IN_R,
    IN_B, /* bias, lengths, states and peepholes, as LSTM has them */
    N_OWN = 8,
    IN_W_SCALE = 8,
    IN_W_ZERO,
    IN_R_SCALE,
    IN_R_ZERO,
};

/* Input i, one number a direction or a column, as [directions,1,columns]. */
static int
a_column(struct expand *x, int i, const struct shape *weights)
{
    const int64_t apart[] = {weights->dim[0], 1, -1};
    const int64_t all[] = {weights->dim[0], 1, weights->dim[2]};

    return expand_op2(x, OP_EXPAND,
                      expand_reshape(x, expand_in(x, i), apart, 3),
                      expand_ints(x, "columns", all, 3));
}

/* The real numbers of input i, turned back. */
static int
real(struct expand *x, int i, int scale, int zero, int *out, struct err *e)
{
    static const int64_t turn[] = {0, 2, 1};
    const struct value *v = node_in(x->u->g, rewrite_node(x->u, x->node), i);
    const struct shape s = v->shape;
    int in[3];

    if (v->data == NULL || !dtype_is_8bit(v->dtype) || s.rank != 3 ||
        shape_n(&s) == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "input %d must be constant integers of 8 bits and rank "
                       "3",
                       i);
    in[0] = expand_in(x, i);
    in[1] = a_column(x, scale, &s);
    in[2] = a_column(x, zero, &s);
    *out = expand_op(x, OP_DEQUANTIZE_LINEAR, in, 3);
    attr_set_int(x->u->g, expand_last(x), "axis", 1);
    attr_set_int(x->u->g, expand_last(x), "block_size", s.dim[1]);
    *out = expand_transpose(x, *out, turn, 3);
    return 0;
}

static int
dynamic_quantize_lstm(struct upgrade *u, int node, struct err *e)
{
    struct node *n = rewrite_node(u, node);
    struct expand x;
    int *in = arena_new_in(u->g->arena, N_OWN, sizeof *in), n_in = N_OWN;

    for (int i = 0; i <= IN_R_ZERO; i++)
        if ((i < IN_B || i >= N_OWN) && (i >= n->n_in || n->in[i] < 0))
            return err_set(e, ERR_INVALID, "input %d is missing", i);
    expand_begin(&x, u, node);
    for (int i = 0; i < N_OWN; i++)
        in[i] = expand_in(&x, i);
    if (real(&x, IN_W, IN_W_SCALE, IN_W_ZERO, &in[IN_W], e) != 0 ||
        real(&x, IN_R, IN_R_SCALE, IN_R_ZERO, &in[IN_R], e) != 0)
        return e->code;
    if (x.short_of_memory)
        return rewrite_no_memory(e);
    while (in[n_in - 1] < 0)
        n_in--;
    n = rewrite_node(u, node); /* keeps its outputs and attributes */
    n->in = in;
    n->n_in = n->n_own = n_in;
    return 0;
}

const struct rule rules_contrib_lstm[] = {
    {"DynamicQuantizeLSTM",
     OPSET_ANY,
     OPSET_LAST,
     {OP_LSTM, 1, 12, 3, dynamic_quantize_lstm}},
    {NULL, 0, 0, {0}},
};
