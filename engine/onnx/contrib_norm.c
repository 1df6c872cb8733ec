/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization as ONNX Runtime's optimizer fuses it with the sums and look-ups
 * before it:
 *
 *     SkipLayerNormalization   LayerNormalization(input + skip + bias)
 *     Simplified...            x / sqrt(mean(x^2) + epsilon) * scale
 *     EmbedLayerNormalization  LayerNormalization(word + position + segment)
 */
#include "engine/onnx/contrib.h"

/* Of com.microsoft's operators; that of ONNX's own domain is 1e-5. */
#define SKIP_EPSILON 1e-12f

/* LayerNormalization of `sum` over its last axis; beta: -1 where absent. */
static int
end_layer_norm(struct expand *x, int sum, int gamma, int beta, struct err *e)
{
    float epsilon =
        attr_float(rewrite_node(x->u, x->node), "epsilon", SKIP_EPSILON);
    int in[3] = {sum, gamma, beta};
    struct node *n;

    if (expand_end(x, OP_LAYER_NORMALIZATION, in, beta < 0 ? 2 : 3, e) != 0)
        return e->code;
    n = rewrite_node(x->u, x->node);
    attr_set_int(x->u->g, n, "axis", -1);
    attr_set_float(x->u->g, n, "epsilon", epsilon);
    return 0;
}

/* a / sqrt(mean(a^2) + epsilon) * scale; the mean is over the last axis. */
static int
end_root_mean_square(struct expand *x, int a, int scale, float epsilon,
                     struct err *e)
{
    const int64_t last = -1;
    int in[2], mean;

    mean = expand_op1(x, OP_REDUCE_MEAN, expand_op2(x, OP_MUL, a, a));
    attr_set_ints(x->u->g, expand_last(x), "axes", &last, 1);
    in[0] = expand_op2(x, OP_ADD, mean, expand_number(x, "epsilon", epsilon));
    in[0] = expand_op2(x, OP_DIV, a, expand_op1(x, OP_SQRT, in[0]));
    in[1] = scale;
    return expand_end(x, OP_MUL, in, 2, e);
}

/* Inputs 0 and 1 and the bias, which is output 3. */
static int
skip_sum(struct expand *x, int bias)
{
    int sum = expand_op2(x, OP_ADD, expand_in(x, 0), expand_in(x, 1));

    if (bias >= 0)
        sum = expand_op2(x, OP_ADD, sum, bias);
    expand_give(x, 3, sum);
    return sum;
}

static int
skip_layer_norm(struct upgrade *u, int node, struct err *e)
{
    struct expand x;
    int sum;

    expand_begin(&x, u, node);
    sum = skip_sum(&x, expand_in(&x, 4));
    return end_layer_norm(&x, sum, expand_in(&x, 2), expand_in(&x, 3), e);
}

static int
skip_simplified(struct upgrade *u, int node, struct err *e)
{
    float epsilon = attr_float(rewrite_node(u, node), "epsilon", SKIP_EPSILON);
    struct expand x;
    int sum;

    expand_begin(&x, u, node);
    sum = skip_sum(&x, expand_in(&x, 3));
    return end_root_mean_square(&x, sum, expand_in(&x, 2), epsilon, e);
}

static int
simplified(struct upgrade *u, int node, struct err *e)
{
    const int64_t axis = attr_int(rewrite_node(u, node), "axis", -1);
    const int rank = rewrite_fact(u, node, 0).rank;
    float epsilon = attr_float(rewrite_node(u, node), "epsilon", 1e-5f);
    struct expand x;

    if (axis != -1 && (rank < 0 || axis != rank - 1))
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute axis = %lld is not supported: only the last "
                       "one is",
                       (long long)axis);
    expand_begin(&x, u, node);
    return end_root_mean_square(&x, expand_in(&x, 0), expand_in(&x, 1), epsilon,
                                e);
}

/* --- embedding ----------------------------------------------------------- */

enum {
    EMBED_IDS,
    EMBED_SEGMENT_IDS,
    EMBED_WORD,
    EMBED_POSITION,
    EMBED_SEGMENT,
    EMBED_GAMMA,
    EMBED_BETA,
    EMBED_MASK,
    EMBED_POSITION_IDS,
};

/* A row a place: those that ids say, or the first ones. */
static int
positions(struct expand *x)
{
    const int64_t zero = 0;
    int table = expand_in(x, EMBED_POSITION), length;

    if (expand_in(x, EMBED_POSITION_IDS) >= 0)
        return expand_op2(x, OP_GATHER, table,
                          expand_in(x, EMBED_POSITION_IDS));
    length = expand_dim(x, expand_in(x, EMBED_IDS), 1);
    return expand_slice(x, table, expand_ints(x, "first", &zero, 1), length, 0);
}

/* How many ones each row of the mask has; without a mask, zeros. */
static void
give_mask_index(struct expand *x)
{
    const int64_t last = 1;
    int mask = expand_in(x, EMBED_MASK), sum;

    if (x->n_out < 2)
        return;
    if (mask < 0) /* the ids, each 0 times */
        mask = expand_op2(x, OP_SUB, expand_in(x, EMBED_IDS),
                          expand_in(x, EMBED_IDS));
    sum = expand_op2(x, OP_REDUCE_SUM, expand_cast(x, mask, DTYPE_INT32),
                     expand_ints(x, "axes", &last, 1));
    attr_set_int(x->u->g, expand_last(x), "keepdims", 0);
    facts_set(&x->u->facts, sum, (struct fact){DTYPE_INT32, 1, SHAPE_UNKNOWN});
    expand_give(x, 1, sum);
}

static int
embed_layer_norm(struct upgrade *u, int node, struct err *e)
{
    struct expand x;
    int sum, segment;

    expand_begin(&x, u, node);
    for (int i = 0; i <= EMBED_BETA; i++)
        if (expand_in(&x, i) < 0 && i != EMBED_SEGMENT_IDS &&
            i != EMBED_SEGMENT)
            return err_set(e, ERR_INVALID, "input %d is missing", i);
    if ((expand_in(&x, EMBED_SEGMENT_IDS) < 0) !=
        (expand_in(&x, EMBED_SEGMENT) < 0))
        return err_set(e, ERR_INVALID,
                       "of inputs 1 (segment_ids) and 4 (segment_embedding) "
                       "only one is given");
    sum = expand_op2(&x, OP_GATHER, expand_in(&x, EMBED_WORD),
                     expand_in(&x, EMBED_IDS));
    sum = expand_op2(&x, OP_ADD, sum, positions(&x));
    if (expand_in(&x, EMBED_SEGMENT) >= 0) {
        segment = expand_op2(&x, OP_GATHER, expand_in(&x, EMBED_SEGMENT),
                             expand_in(&x, EMBED_SEGMENT_IDS));
        sum = expand_op2(&x, OP_ADD, sum, segment);
    }
    expand_give(&x, 2, sum);
    give_mask_index(&x);
    return end_layer_norm(&x, sum, expand_in(&x, EMBED_GAMMA),
                          expand_in(&x, EMBED_BETA), e);
}

#define ANY OPSET_ANY, OPSET_LAST

const struct rule rules_contrib_norm[] = {
    {"EmbedLayerNormalization", ANY, {OP_GATHER, 1, 9, 3, embed_layer_norm}},
    {"SkipLayerNormalization",
     ANY,
     {OP_LAYER_NORMALIZATION, 3, 5, 4, skip_layer_norm}},
    {"SkipSimplifiedLayerNormalization",
     ANY,
     {OP_MUL, 3, 4, 4, skip_simplified}},
    {NULL, 0, 0, {0}},
};

const struct rule rules_simplified[] = {
    {"SimplifiedLayerNormalization", ANY, {OP_MUL, 2, 2, 2, simplified}},
    {NULL, 0, 0, {0}},
};
