/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ONNX Runtime's dynamic quantizer writes for one layer becomes one node:
 *
 *     MatMulInteger -> Cast -> Mul(scale) [-> Add(bias)]  MatMulIntegerToFloat
 *     ConvInteger   -> Cast -> Mul(scale) [-> Add(bias)]  ConvIntegerToFloat
 *
 * with scale and bias of one number, or of one for each channel (columns of a
 * matrix), computed or constant.  Float activations that follow can then be
 * joined to it like to any other layer.  The new node takes the place of the
 * last, as scales are computed in between.
 */
#include "engine/pass/pass.h"

static bool
is_sum(const struct node *n)
{
    return n->op == OP_MATMUL_INTEGER || n->op == OP_CONV_INTEGER;
}

/* The axis of the output that has one scale each, and how many they are. */
static int
channel_axis(const struct graph *g, const struct node *n, int64_t *channels)
{
    const struct shape *y = &node_out(g, n, 0)->shape;
    int axis = n->op == OP_CONV_INTEGER ? 1 : y->rank - 1;

    *channels = axis < 0 ? 1 : y->dim[axis];
    return axis;
}

/* True when v broadcasts to one number, or one a channel, of sum n. */
static bool
by_channel(const struct graph *g, const struct node *n, const struct value *v)
{
    const struct shape *y = &node_out(g, n, 0)->shape;
    int64_t channels;
    int axis = channel_axis(g, n, &channels) - (y->rank - v->shape.rank);

    if (v->dtype != DTYPE_FLOAT || v->shape.rank > y->rank)
        return false;
    if (shape_n(&v->shape) == 1)
        return true;
    return axis >= 0 && v->shape.dim[axis] == channels &&
           (int64_t)shape_n(&v->shape) == channels;
}

/* The operand of the `op` that reads n alone, which *next then is; else -1. */
static int
operand(const struct graph *g, const struct node *sum, const struct node *n,
        enum op op, struct node **next)
{
    struct node *r = pass_reader(g, n);
    int other;

    if (r == NULL || r->op != op || r->n_posts > 0)
        return -1;
    other = r->in[r->in[0] == n->out[0]];
    if (other == n->out[0] || !by_channel(g, sum, &g->values.at[other]))
        return -1;
    *next = r;
    return other;
}

static int
input(const struct node *n, int i)
{
    return i < n->n_in ? n->in[i] : -1;
}

static void
join_scale(struct graph *g, struct node *sum)
{
    struct node *cast = pass_reader(g, sum), *mul, *last;
    int scale, bias, in[6];

    if (cast == NULL || cast->op != OP_CAST ||
        node_out(g, cast, 0)->dtype != DTYPE_FLOAT ||
        (scale = operand(g, sum, cast, OP_MUL, &mul)) < 0)
        return;
    last = mul;
    bias = operand(g, sum, mul, OP_ADD, &last);
    for (int i = 0; i < 4; i++)
        in[i] = input(sum, i);
    in[4] = scale;
    in[5] = bias;
    last->op = sum->op == OP_CONV_INTEGER ? OP_CONV_SCALED : OP_MATMUL_SCALED;
    last->name = sum->name;
    last->n_in = 0;
    for (int i = 0; i < 6; i++)
        graph_append_input(g, last, in[i]);
    last->n_own = 6;
    last->attrs = sum->attrs;
    last->n_attrs = sum->n_attrs;
}

int
pass_integer(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead && is_sum(&g->nodes.at[i]))
            join_scale(g, &g->nodes.at[i]);
    graph_sweep(g);
    return 0;
}
