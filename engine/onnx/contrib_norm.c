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

/* A table, and where it holds integers, what they mean; -1: absent. */
struct table {
    int at, scale, zero;
};

/* One row a number of ids. */
static int
rows(struct expand *x, struct table t, int ids)
{
    int y = expand_op2(x, OP_GATHER, t.at, ids);

    if (t.scale < 0)
        return y;
    return expand_op(x, OP_DEQUANTIZE_LINEAR, (const int[]){y, t.scale, t.zero},
                     t.zero < 0 ? 2 : 3);
}

/* The first rows, as many as there are places. */
static int
first_rows(struct expand *x, struct table t)
{
    const int64_t zero = 0;
    int y = expand_slice(x, t.at, expand_ints(x, "first", &zero, 1),
                         expand_dim(x, expand_in(x, EMBED_IDS), 1), 0);

    if (t.scale < 0)
        return y;
    return expand_op(x, OP_DEQUANTIZE_LINEAR, (const int[]){y, t.scale, t.zero},
                     t.zero < 0 ? 2 : 3);
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
check_embedding(const struct expand *x, struct err *e)
{
    for (int i = 0; i <= EMBED_BETA; i++)
        if (expand_in(x, i) < 0 && i != EMBED_SEGMENT_IDS && i != EMBED_SEGMENT)
            return err_set(e, ERR_INVALID, "input %d is missing", i);
    if ((expand_in(x, EMBED_SEGMENT_IDS) < 0) !=
        (expand_in(x, EMBED_SEGMENT) < 0))
        return err_set(e, ERR_INVALID,
                       "of inputs 1 (segment_ids) and 4 (segment_embedding) "
                       "only one is given");
    return 0;
}

/* Tables of words, positions and segments; the sum is output 2. */
static int
embedded(struct expand *x, const struct table t[3], int position_ids)
{
    int sum = rows(x, t[0], expand_in(x, EMBED_IDS));
    int place =
        position_ids < 0 ? first_rows(x, t[1]) : rows(x, t[1], position_ids);

    sum = expand_op2(x, OP_ADD, sum, place);
    if (t[2].at >= 0)
        sum = expand_op2(x, OP_ADD, sum,
                         rows(x, t[2], expand_in(x, EMBED_SEGMENT_IDS)));
    give_mask_index(x);
    return sum;
}

static int
embed_layer_norm(struct upgrade *u, int node, struct err *e)
{
    struct table t[3];
    struct expand x;
    int sum;

    expand_begin(&x, u, node);
    if (check_embedding(&x, e) != 0)
        return e->code;
    for (int i = 0; i < 3; i++)
        t[i] = (struct table){expand_in(&x, EMBED_WORD + i), -1, -1};
    sum = embedded(&x, t, expand_in(&x, EMBED_POSITION_IDS));
    expand_give(&x, 2, sum);
    return end_layer_norm(&x, sum, expand_in(&x, EMBED_GAMMA),
                          expand_in(&x, EMBED_BETA), e);
}

/* The same with tables, gamma and beta of integers. */
static int
q_embed_layer_norm(struct upgrade *u, int node, struct err *e)
{
    enum { SCALES = 8, ZEROS = 13 };
    struct table t[5];
    struct expand x;
    int real[2], sum;

    expand_begin(&x, u, node);
    if (check_embedding(&x, e) != 0)
        return e->code;
    for (int i = 0; i < 5; i++) {
        t[i] =
            (struct table){expand_in(&x, EMBED_WORD + i),
                           expand_in(&x, SCALES + i), expand_in(&x, ZEROS + i)};
        if (t[i].at >= 0 && t[i].scale < 0)
            return err_set(e, ERR_INVALID, "input %d is missing", SCALES + i);
    }
    sum = embedded(&x, t, -1);
    for (int i = 0; i < 2; i++)
        real[i] =
            expand_op(&x, OP_DEQUANTIZE_LINEAR,
                      (const int[]){t[3 + i].at, t[3 + i].scale, t[3 + i].zero},
                      t[3 + i].zero < 0 ? 2 : 3);
    return end_layer_norm(&x, sum, real[0], real[1], e);
}

#define ANY OPSET_ANY, OPSET_LAST

const struct rule rules_contrib_norm[] = {
    {"EmbedLayerNormalization", ANY, {OP_GATHER, 1, 9, 3, embed_layer_norm}},
    {"QEmbedLayerNormalization",
     ANY,
     {OP_GATHER, 1, 18, 2, q_embed_layer_norm}},
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
