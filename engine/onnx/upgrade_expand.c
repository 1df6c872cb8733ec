/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that are several others here.
 */
#include "engine/onnx/rewrite.h"

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

/* x * sigmoid(alpha * x), which a pass makes one again. */
static int
swish_of(struct upgrade *u, int node, int x, int out, struct err *e)
{
    struct node *n = rewrite_node(u, node);
    float alpha = attr_float(n, "alpha", 1);
    int scaled = x, gate;

    attr_remove(n, "alpha");
    if (alpha != 1) {
        int by = rewrite_scalar(u, node, "alpha",
                                rewrite_fact(u, node, 0).dtype, alpha);

        if (by < 0)
            return rewrite_no_memory(e);
        scaled = rewrite_op(u, node, OP_MUL, (const int[]){x, by}, 2);
    }
    gate = rewrite_value(u, node, "gate");
    rewrite_set_input(u, node, 0, scaled);
    rewrite_redirect(u, node, gate);
    rewrite_append(u, node, OP_MUL, (const int[]){x, gate}, 2, out);
    return 0;
}

static int
swish(struct upgrade *u, int node, struct err *e)
{
    struct node *n = rewrite_node(u, node);

    return swish_of(u, node, n->in[0], n->out[0], e);
}

/* Swish of the first times the second. */
static int
swiglu(struct upgrade *u, int node, struct err *e)
{
    int gate = rewrite_node(u, node)->in[0], by = rewrite_node(u, node)->in[1];
    int y = rewrite_node(u, node)->out[0];
    int swished = rewrite_value(u, node, "swish");

    rewrite_set_input(u, node, 1, -1);
    rewrite_append(u, node, OP_MUL, (const int[]){swished, by}, 2, y);
    return swish_of(u, node, gate, swished, e);
}

const struct rule rules_expand[] = {
    {"Mean", 6, OPSET_LAST, {OP_SUM, 1, OP_MANY, 1, mean}},
    {"MeanVarianceNormalization",
     9,
     OPSET_LAST,
     {OP_REDUCE_MEAN, 1, 1, 1, mean_variance}},
    {"SoftmaxCrossEntropyLoss",
     12,
     OPSET_LAST,
     {OP_LOG_SOFTMAX, 2, 3, 2, cross_entropy}},
    {"SwiGLU", 28, OPSET_LAST, {OP_SIGMOID, 2, 2, 1, swiglu}},
    {"Swish", 24, OPSET_LAST, {OP_SIGMOID, 1, 1, 1, swish}},
    {NULL, 0, 0, {0}},
};
