/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was an attribute and became an input, or the other way round, and how
 * operators said before opset 7 along which axes they broadcast.
 */
#include "engine/onnx/rewrite.h"

#include <float.h>

/* --- attributes that became inputs -------------------------------------- */

/* ReduceSum and Squeeze before 13. */
static int
axes_attr(struct upgrade *u, int node, struct err *e)
{
    return rewrite_ints_to_input(u, node, "axes", 1, e);
}

static int
unsqueeze_attrs(struct upgrade *u, int node, struct err *e)
{
    if (rewrite_need_attr(u, node, "axes", e) != 0)
        return e->code;
    return rewrite_ints_to_input(u, node, "axes", 1, e);
}

static int
split_attrs(struct upgrade *u, int node, struct err *e)
{
    return rewrite_ints_to_input(u, node, "split", 1, e);
}

static int
slice_attrs(struct upgrade *u, int node, struct err *e)
{
    if (rewrite_need_attr(u, node, "starts", e) != 0 ||
        rewrite_need_attr(u, node, "ends", e) != 0 ||
        rewrite_ints_to_input(u, node, "starts", 1, e) != 0 ||
        rewrite_ints_to_input(u, node, "ends", 2, e) != 0)
        return e->code;
    return rewrite_ints_to_input(u, node, "axes", 3, e);
}

/* A bound at the end of float's range, the old default, is none. */
static int
clip_attrs(struct upgrade *u, int node, struct err *e)
{
    float low = attr_float(rewrite_node(u, node), "min", -FLT_MAX);
    float high = attr_float(rewrite_node(u, node), "max", FLT_MAX);

    attr_remove(rewrite_node(u, node), "min");
    attr_remove(rewrite_node(u, node), "max");
    if (low > -FLT_MAX && rewrite_set_scalar(u, node, 1, "min", low, e) != 0)
        return e->code;
    if (high < FLT_MAX && rewrite_set_scalar(u, node, 2, "max", high, e) != 0)
        return e->code;
    return 0;
}

static int
pad_attrs(struct upgrade *u, int node, struct err *e)
{
    const struct attr *value = attr_find(rewrite_node(u, node), "value");
    float v = value == NULL ? 0 : value->f;

    if (rewrite_need_attr(u, node, "pads", e) != 0 ||
        rewrite_ints_to_input(u, node, "pads", 1, e) != 0)
        return e->code;
    attr_remove(rewrite_node(u, node), "value");
    return v == 0 ? 0 : rewrite_set_scalar(u, node, 2, "value", v, e);
}

/* TopK before 10. */
static int
top_k_attr(struct upgrade *u, int node, struct err *e)
{
    int64_t k = attr_int(rewrite_node(u, node), "k", 0);

    if (rewrite_need_attr(u, node, "k", e) != 0)
        return e->code;
    attr_remove(rewrite_node(u, node), "k");
    return rewrite_set_ints(u, node, 1, "k", &k, 1, e);
}

/* --- inputs that are attributes here ------------------------------------ */

/* Reductions that give another number for a single one: |x|, not x. */
static bool
changes_one(enum op op)
{
    return op == OP_REDUCE_L1 || op == OP_REDUCE_L2 ||
           op == OP_REDUCE_LOG_SUM || op == OP_REDUCE_SUM_SQUARE;
}

/* Reductions but ReduceSum from 18 on: axes came as an input. */
static int
reduce_axes(struct upgrade *u, int node, struct err *e)
{
    int64_t axes[SHAPE_MAX_RANK];
    bool noop = attr_int(rewrite_node(u, node), "noop_with_empty_axes", 0) != 0;
    int n = 0;

    if (rewrite_has_input(u, node, 1) &&
        node_in(u->g, rewrite_node(u, node), 1)->data == NULL)
        return 0; /* a constant, it is to be hoped, when shapes are known */
    if (rewrite_has_input(u, node, 1) &&
        rewrite_const_ints(u, node, 1, "axes", axes, SHAPE_MAX_RANK, &n, e) !=
            0)
        return e->code;
    attr_remove(rewrite_node(u, node), "noop_with_empty_axes");
    rewrite_set_input(u, node, 1, -1);
    if (n > 0)
        attr_set_ints(u->g, rewrite_node(u, node), "axes", axes, n);
    else if (noop && changes_one(rewrite_node(u, node)->op))
        return rewrite_refuse(e, "noop_with_empty_axes", 1);
    else if (noop)
        rewrite_to_identity(u, node);
    return 0;
}

/* --- before opset 7 ----------------------------------------------------- */

/* Input 1 gets `n` more axes of 1 behind its own. */
static int
trailing_axes(struct upgrade *u, int node, int rank, int n, struct err *e)
{
    int in = rewrite_node(u, node)->in[1],
        wide = rewrite_value(u, node, "wide"), added;
    int64_t axes[SHAPE_MAX_RANK];

    if (rank + n > SHAPE_MAX_RANK)
        return err_set(e, ERR_INVALID, "input 1 does not fit to input 0");
    for (int i = 0; i < n; i++)
        axes[i] = rank + i;
    rewrite_set_input(u, node, 1, wide);
    added = rewrite_append(u, node, OP_UNSQUEEZE, &in, 1, wide);
    return rewrite_set_ints(u, added, 1, "axes", axes, n, e);
}

/* The axes of input 1 are those of input 0 from `axis` on; the last ones when
 * there is no axis, which is today's rule. */
static int
broadcast_attrs(struct upgrade *u, int node, struct err *e)
{
    struct node *n = rewrite_node(u, node);
    int rank = facts_get(&u->facts, u->g, n->in[0]).rank;
    int own = facts_get(&u->facts, u->g, n->in[1]).rank;
    bool aligned =
        attr_find(n, "axis") != NULL && attr_int(n, "broadcast", 0) != 0;
    int64_t said = attr_int(n, "axis", 0);
    int axis;

    attr_remove(n, "axis");
    attr_remove(n, "broadcast");
    if (!aligned)
        return 0;
    if (rank == SHAPE_UNKNOWN || own == SHAPE_UNKNOWN)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute axis needs tensors of known rank");
    if (own == 0)
        return 0;
    if (shape_axis(said, rank, &axis, e) != 0 || axis + own > rank)
        return err_set(e, ERR_INVALID,
                       "attribute axis = %lld does not fit to %d axes of %d",
                       (long long)said, own, rank);
    if (axis + own == rank)
        return 0;
    return trailing_axes(u, node, own, rank - axis - own, e);
}

/* Gemm said whether C is broadcast; by now it always may be. */
static int
gemm_6(struct upgrade *u, int node, struct err *e)
{
    (void)e;
    attr_remove(rewrite_node(u, node), "broadcast");
    return 0;
}

/* One slope a channel, which is axis 1. */
static int
slope_6(struct upgrade *u, int node, struct err *e)
{
    int rank = rewrite_fact(u, node, 0).rank;
    struct fact slope = rewrite_fact(u, node, 1);

    if (slope.rank != 1 || slope.length == 1 || rank == 2)
        return 0;
    if (rank < 2)
        return err_set(e, ERR_UNSUPPORTED,
                       "the slope needs a tensor of known rank");
    return trailing_axes(u, node, 1, rank - 2, e);
}

const struct rule rules_inputs[] = {
    {"Add", 6, 6, {OP_ADD, 2, 2, 1, broadcast_attrs}},
    {"And", 6, 6, {OP_AND, 2, 2, 1, broadcast_attrs}},
    {"Clip", 6, 10, {OP_CLIP, 1, 1, 1, clip_attrs}},
    {"Div", 6, 6, {OP_DIV, 2, 2, 1, broadcast_attrs}},
    {"Equal", 6, 6, {OP_EQUAL, 2, 2, 1, broadcast_attrs}},
    {"Gemm", 6, 6, {OP_GEMM, 3, 3, 1, gemm_6}},
    {"Greater", 6, 6, {OP_GREATER, 2, 2, 1, broadcast_attrs}},
    {"Less", 6, 6, {OP_LESS, 2, 2, 1, broadcast_attrs}},
    {"Mul", 6, 6, {OP_MUL, 2, 2, 1, broadcast_attrs}},
    {"Or", 6, 6, {OP_OR, 2, 2, 1, broadcast_attrs}},
    {"PRelu", 6, 6, {OP_PRELU, 2, 2, 1, slope_6}},
    {"Pad", 6, 10, {OP_PAD, 1, 1, 1, pad_attrs}},
    {"Pow", 6, 6, {OP_POW, 2, 2, 1, broadcast_attrs}},
    {"ReduceL1", 18, OPSET_LAST, {OP_REDUCE_L1, 1, 2, 1, reduce_axes}},
    {"ReduceL2", 18, OPSET_LAST, {OP_REDUCE_L2, 1, 2, 1, reduce_axes}},
    {"ReduceLogSum", 18, OPSET_LAST, {OP_REDUCE_LOG_SUM, 1, 2, 1, reduce_axes}},
    {"ReduceLogSumExp",
     18,
     OPSET_LAST,
     {OP_REDUCE_LOG_SUM_EXP, 1, 2, 1, reduce_axes}},
    {"ReduceMax", 18, OPSET_LAST, {OP_REDUCE_MAX, 1, 2, 1, reduce_axes}},
    {"ReduceMean", 18, OPSET_LAST, {OP_REDUCE_MEAN, 1, 2, 1, reduce_axes}},
    {"ReduceMin", 18, OPSET_LAST, {OP_REDUCE_MIN, 1, 2, 1, reduce_axes}},
    {"ReduceProd", 18, OPSET_LAST, {OP_REDUCE_PROD, 1, 2, 1, reduce_axes}},
    {"ReduceSum", 6, 12, {OP_REDUCE_SUM, 1, 1, 1, axes_attr}},
    {"ReduceSumSquare",
     18,
     OPSET_LAST,
     {OP_REDUCE_SUM_SQUARE, 1, 2, 1, reduce_axes}},
    {"Scatter", 9, OPSET_LAST, {OP_SCATTER_ELEMENTS, 3, 3, 1, NULL}},
    {"Slice", 6, 9, {OP_SLICE, 1, 1, 1, slice_attrs}},
    {"Split", 6, 12, {OP_SPLIT, 1, 1, OP_MANY, split_attrs}},
    {"Squeeze", 6, 12, {OP_SQUEEZE, 1, 1, 1, axes_attr}},
    {"Sub", 6, 6, {OP_SUB, 2, 2, 1, broadcast_attrs}},
    {"TopK", 6, 9, {OP_TOP_K, 1, 1, 2, top_k_attr}},
    {"Unsqueeze", 6, 12, {OP_UNSQUEEZE, 1, 1, 1, unsqueeze_attrs}},
    {"Xor", 6, 6, {OP_XOR, 2, 2, 1, broadcast_attrs}},
    {NULL, 0, 0, {0}},
};
