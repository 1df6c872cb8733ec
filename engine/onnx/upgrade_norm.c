/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization, Softmax and Dropout of other opsets, and Mean, which is two
 * operators here.
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

static int
dropout(struct upgrade *u, int node, struct err *e)
{
    const struct value *training = node_in(u->g, rewrite_node(u, node), 2);

    if (training != NULL &&
        (training->data == NULL || training->dtype != DTYPE_BOOL ||
         shape_n(&training->shape) != 1 || *(const uint8_t *)training->data))
        return err_set(e, ERR_UNSUPPORTED,
                       "input 2 (training_mode) must be constant and false");
    rewrite_to_identity(u, node);
    rewrite_drop_outputs(u, node, 1);
    return 0;
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

/* Less its mean, divided by its deviation; ONNX adds 1e-9 to that. */
static int
mean_variance(struct upgrade *u, int node, struct err *e)
{
    static const int64_t usual[] = {0, 2, 3};
    int n, add, x = rewrite_node(u, node)->in[0];
    const int64_t *axes = attr_ints(rewrite_node(u, node), "axes", &n);
    int average = rewrite_value(u, node, "mean"),
        less = rewrite_value(u, node, "less");
    int square = rewrite_value(u, node, "square"),
        sum = rewrite_value(u, node, "variance");
    int root = rewrite_value(u, node, "deviation"),
        by = rewrite_value(u, node, "divisor");
    int out = rewrite_redirect(u, node, average), last;

    if (axes == NULL)
        attr_set_ints(u->g, rewrite_node(u, node), "axes", usual, n = 3);
    axes = attr_ints(rewrite_node(u, node), "axes", &n);
    rewrite_append(u, node, OP_SUB, (const int[]){x, average}, 2, less);
    rewrite_append(u, node, OP_MUL, (const int[]){less, less}, 2, square);
    last = rewrite_append(u, node, OP_REDUCE_MEAN, &square, 1, sum);
    attr_set_ints(u->g, rewrite_node(u, last), "axes", axes, n);
    rewrite_append(u, node, OP_SQRT, &sum, 1, root);
    facts_set(&u->facts, root, facts_get(&u->facts, u->g, x));
    add = rewrite_append(u, node, OP_ADD, &root, 1, by);
    rewrite_append(u, node, OP_DIV, (const int[]){less, by}, 2, out);
    return rewrite_set_scalar(u, add, 1, "epsilon", 1e-9f, e);
}

/* Mean is a Sum and a division by how many they are. */
static int
mean(struct upgrade *u, int node, struct err *e)
{
    int n = rewrite_node(u, node)->n_in, sum, div, out;

    if (n == 1) {
        rewrite_to_identity(u, node);
        return 0;
    }
    sum = rewrite_value(u, node, "sum");
    out = rewrite_redirect(u, node, sum);
    facts_follow(&u->facts, u->g, rewrite_node(u, node));
    div = rewrite_append(u, node, OP_DIV, &sum, 1, out);
    return rewrite_set_scalar(u, div, 1, "count", (float)n, e);
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

/* --- losses ------------------------------------------------------------- */

/* A NegativeLogLikelihoodLoss of what LogSoftmax makes of the classes. */
static int
cross_entropy(struct upgrade *u, int node, struct err *e)
{
    struct node *n = rewrite_node(u, node);
    const char *reduction = attr_string(n, "reduction", "mean");
    bool ignores = attr_find(n, "ignore_index") != NULL;
    int64_t ignored = attr_int(n, "ignore_index", 0);
    int in[3] = {-1, n->in[1], n->n_in > 2 ? n->in[2] : -1}, loss, added;

    (void)e;
    n->n_in = n->n_own = 1;
    n->n_attrs = 0;
    attr_set_int(u->g, n, "axis", 1);
    in[0] = n->n_out > 1 ? n->out[1] : rewrite_value(u, node, "log_prob");
    rewrite_drop_outputs(u, node, 1);
    loss = rewrite_redirect(u, node, in[0]);
    facts_follow(&u->facts, u->g, rewrite_node(u, node));
    added = rewrite_append(u, node, OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, in,
                           in[2] < 0 ? 2 : 3, loss);
    n = rewrite_node(u, added);
    attr_set_string(u->g, n, "reduction", reduction);
    if (ignores)
        attr_set_int(u->g, n, "ignore_index", ignored);
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
    {"Mean", 6, OPSET_LAST, {OP_SUM, 1, OP_MANY, 1, mean}},
    {"MeanVarianceNormalization",
     9,
     OPSET_LAST,
     {OP_REDUCE_MEAN, 1, 1, 1, mean_variance}},
    {"Softmax", 6, 12, {OP_SOFTMAX, 1, 1, 1, softmax_rows}},
    {"SoftmaxCrossEntropyLoss",
     12,
     OPSET_LAST,
     {OP_LOG_SOFTMAX, 2, 3, 2, cross_entropy}},
    {NULL, 0, 0, {0}},
};
