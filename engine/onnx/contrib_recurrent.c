/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DynamicQuantizeLSTM, which ONNX Runtime's quantize_dynamic makes of LSTM:
 * weights in 8 bits, [directions,inputs,4*hidden], transposed as ONNX has
 * them.  The file's node becomes LSTM itself, with weights
 *
 *     Transpose((Cast(W) - Cast(zero point)) * scale)
 *
 * that are constants and computed once.  The activations, which ONNX Runtime
 * rounds to 8 bits while it runs, stay as they are: the answers are those of
 * the weights in the file, without that noise.
 */
#include "engine/onnx/contrib.h"

enum {
    IN_W = 1,
    IN_R,
    IN_W_SCALE = 8,
    IN_W_ZERO,
    IN_R_SCALE,
    IN_R_ZERO,
    N_IN,
};

/* A scale or zero point, one a direction or one a column of it, as real
 * numbers beside [directions,inputs,4*hidden]. */
static int
spread(struct expand *x, int i, const char *what, int *out, struct err *e)
{
    static const int64_t tensor[] = {1, 2}, column[] = {1};
    int id = expand_in(x, i), rank = rewrite_fact(x->u, x->node, i).rank;

    if (id < 0)
        return err_set(e, ERR_INVALID, "input %d (%s) is missing", i, what);
    if (rank != 1 && rank != 2)
        return err_set(e, ERR_UNSUPPORTED,
                       "input %d (%s) must have 1 or 2 dimensions", i, what);
    *out = expand_unsqueeze(x, expand_cast(x, id, DTYPE_FLOAT),
                            rank == 1 ? tensor : column, rank == 1 ? 2 : 1);
    return 0;
}

/* The weights as LSTM wants them take their input's place. */
static int
give_weights(struct expand *x, int i, int scale, int zero, struct err *e)
{
    static const int64_t back[] = {0, 2, 1};
    const enum dtype t = rewrite_fact(x->u, x->node, i).dtype;
    int by, from, real;

    if (t != DTYPE_INT8 && t != DTYPE_UINT8)
        return err_set(e, ERR_INVALID, "input %d must be int8 or uint8, is %s",
                       i, dtype_name(t));
    if (spread(x, scale, "scale", &by, e) != 0 ||
        spread(x, zero, "zero point", &from, e) != 0)
        return e->code;
    real = expand_cast(x, expand_in(x, i), DTYPE_FLOAT);
    real = expand_op2(x, OP_MUL, expand_op2(x, OP_SUB, real, from), by);
    rewrite_set_input(x->u, x->node, i, expand_transpose(x, real, back, 3));
    return x->short_of_memory ? rewrite_no_memory(e) : 0;
}

static int
dynamic_lstm(struct upgrade *u, int node, struct err *e)
{
    struct expand x;

    expand_begin(&x, u, node);
    if (give_weights(&x, IN_W, IN_W_SCALE, IN_W_ZERO, e) != 0 ||
        give_weights(&x, IN_R, IN_R_SCALE, IN_R_ZERO, e) != 0)
        return e->code;
    for (int i = N_IN; i-- > IN_W_SCALE;)
        rewrite_set_input(u, node, i, -1);
    return 0;
}

const struct rule rules_contrib_recurrent[] = {
    {"DynamicQuantizeLSTM",
     OPSET_ANY,
     OPSET_LAST,
     {OP_LSTM, 3, N_IN, 3, dynamic_lstm}},
    {NULL, 0, 0, {0}},
};
