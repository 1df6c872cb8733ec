/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization, Softmax and Dropout of other opsets.
 */
#include "engine/onnx/rewrite.h"

#include <string.h>

/* --- normalization, dropout --------------------------------------------- */

static int
batch_normalization(struct upgrade *u, int node, struct err *e)
{
    struct node *n = rewrite_node(u, node);

    attr_remove(n, "is_test"); /* of 6: with one output it is meant */
    if (rewrite_only_default(u, node, "spatial", 1, e) != 0 ||
        rewrite_only_default(u, node, "training_mode", 0, e) != 0)
        return e->code;
    if (n->n_out > 1)
        return err_set(e, ERR_UNSUPPORTED,
                       "%d outputs: training mode is not supported", n->n_out);
    return 0;
}

/* A list of one number, or a scalar, as a constant: is it 0? */
static bool
is_zero(const struct value *v)
{
    const unsigned char *p = v->data;
    bool zero = p != NULL && shape_n(&v->shape) == 1;

    for (size_t i = 0; zero && i < dtype_size(v->dtype); i++)
        zero = p[i] == 0;
    return zero;
}

/* The mask keeps all. */
static int
mask_of(struct upgrade *u, int node, int x, int mask, struct err *e)
{
    const uint8_t yes = 1;
    int shape, one = rewrite_const(u, node, "kept", DTYPE_BOOL,
                                   &(struct shape){.rank = 0}, &yes);

    if (one < 0)
        return rewrite_no_memory(e);
    shape = rewrite_op(u, node, OP_SHAPE, &x, 1);
    rewrite_append(u, node, OP_EXPAND, (const int[]){one, shape}, 2, mask);
    return 0;
}

/* Drops nothing but in training, and then nothing at a ratio of 0. */
static int
dropout(struct upgrade *u, int node, struct err *e)
{
    struct node *n = rewrite_node(u, node);
    const struct value *ratio = node_in(u->g, n, 1);
    const struct value *training = node_in(u->g, n, 2);
    int x = n->in[0], mask = n->n_out > 1 ? n->out[1] : -1;

    if (training != NULL && !is_zero(training) &&
        (ratio == NULL || !is_zero(ratio)))
        return err_set(e, ERR_UNSUPPORTED,
                       "input 2 (training_mode) must be constant and false: "
                       "training is not supported");
    rewrite_to_identity(u, node);
    rewrite_drop_outputs(u, node, 1);
    return mask < 0 ? 0 : mask_of(u, node, x, mask, e);
}

/* The accumulator's type is always wide enough here. */
static int
group_normalization(struct upgrade *u, int node, struct err *e)
{
    if (rewrite_need_attr(u, node, "num_groups", e) != 0)
        return e->code;
    attr_remove(rewrite_node(u, node), "stash_type");
    return 0;
}

/* --- softmax ------------------------------------------------------------ */

/*
 * Before 13, Softmax made a matrix of its input, split at `axis`, and worked
 * on the rows of that.  It is today's one only when axis is the last;
 * otherwise the matrix is made for it, and the shape given back behind it.
 */
static int
softmax_rows(struct upgrade *u, int node, struct err *e)
{
    struct node *n = rewrite_node(u, node);
    int64_t axis = attr_int(n, "axis", 1);
    int rank = facts_get(&u->facts, u->g, n->in[0]).rank;
    int x = n->in[0], rows, flat, shape, out, flatten;

    if (rank < 0) /* it is that of the output, which a file may declare */
        rank = facts_get(&u->facts, u->g, n->out[0]).rank;
    attr_set_int(u->g, n, "axis", -1);
    if (axis == -1 || (rank >= 0 && axis == rank - 1))
        return 0;
    if (axis < -SHAPE_MAX_RANK || axis > SHAPE_MAX_RANK)
        return err_set(e, ERR_INVALID, "attribute axis = %lld is out of range",
                       (long long)axis);
    flat = rewrite_value(u, node, "flat");
    rows = rewrite_value(u, node, "rows");
    shape = rewrite_value(u, node, "shape");
    out = rewrite_redirect(u, node, rows);
    rewrite_set_input(u, node, 0, flat);
    rewrite_append(u, node, OP_SHAPE, &x, 1, shape);
    flatten = rewrite_append(u, node, OP_FLATTEN, &x, 1, flat);
    attr_set_int(u->g, rewrite_node(u, flatten), "axis", axis);
    rewrite_append(u, node, OP_RESHAPE, (const int[]){rows, shape}, 2, out);
    facts_set(&u->facts, out, (struct fact){DTYPE_NONE, rank, SHAPE_UNKNOWN});
    return 0;
}

const struct rule rules_norm[] = {
    {"BatchNormalization",
     6,
     13,
     {OP_BATCH_NORMALIZATION, 5, 5, 5, batch_normalization}},
    {"BatchNormalization",
     14,
     OPSET_LAST,
     {OP_BATCH_NORMALIZATION, 5, 5, 3, batch_normalization}},
    {"Dropout", 6, 11, {OP_IDENTITY, 1, 1, 2, dropout}},
    {"Dropout", 12, OPSET_LAST, {OP_IDENTITY, 1, 3, 2, dropout}},
    {"GroupNormalization",
     18,
     OPSET_LAST,
     {OP_GROUP_NORMALIZATION, 3, 3, 1, group_normalization}},
    {"Hardmax", 6, 12, {OP_HARDMAX, 1, 1, 1, softmax_rows}},
    {"LogSoftmax", 6, 12, {OP_LOG_SOFTMAX, 1, 1, 1, softmax_rows}},
    {"Softmax", 6, 12, {OP_SOFTMAX, 1, 1, 1, softmax_rows}},
    {NULL, 0, 0, {0}},
};
