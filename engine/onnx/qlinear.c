/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators on integers that stand for real numbers, as ONNX Runtime's
 * quantizer writes them (format QOperator, dynamic quantization) and as its
 * optimizer fuses them, brought to the one form that quantized graphs have
 * here:
 *
 *     QLinearX(x, scale, zero, ...)  DequantizeLinear -> X -> QuantizeLinear
 *     an int32 bias                  DequantizeLinear with x_scale * w_scale
 *     products with dynamic scales   DynamicQuantizeLinear -> MatMulInteger ->
 *                                    Cast -> Mul -> Add
 *
 * Constants stay the integers they are: dnn/ joins the three again, to an
 * integer kernel.  Scales and zero points may be computed as well; then the
 * nodes run as they stand.
 */
#include "engine/onnx/rewrite.h"

#include <string.h>

/* A tensor of integers and what they stand for; -1: absent. */
struct quantized {
    int x, scale, zero;
};

static int
input(struct upgrade *u, int node, int i)
{
    const struct node *n = rewrite_node(u, node);

    return i < n->n_in ? n->in[i] : -1;
}

/* Inputs i, i + 1 and i + 2, of which only the zero point may be absent. */
static int
take(struct upgrade *u, int node, int i, struct quantized *q, struct err *e)
{
    *q = (struct quantized){input(u, node, i), input(u, node, i + 1),
                            input(u, node, i + 2)};
    if (q->x < 0 || q->scale < 0)
        return err_set(e, ERR_INVALID, "input %d is missing",
                       q->x < 0 ? i : i + 1);
    return 0;
}

/* The real tensor; axis counts where there are several scales. */
static int
real(struct upgrade *u, int node, const struct quantized *q, int axis)
{
    const struct fact scale = facts_get(&u->facts, u->g, q->scale);
    const int in[] = {q->x, q->scale, q->zero};
    int out =
        rewrite_op(u, node, OP_DEQUANTIZE_LINEAR, in, q->zero < 0 ? 2 : 3);

    if (scale.rank != 0 && scale.length != 1)
        attr_set_int(u->g, graph_producer(u->g, out), "axis", axis);
    return out;
}

/* An int32 bias, whose scale is the product of those of the factors. */
static int
real_bias(struct upgrade *u, int node, int bias, int x_scale, int w_scale,
          int axis)
{
    const int scales[] = {x_scale, w_scale};
    const struct quantized q = {bias, rewrite_op(u, node, OP_MUL, scales, 2),
                                -1};

    return real(u, node, &q, axis);
}

/* The inputs from now on; absent ones are -1. */
static void
set_inputs(struct upgrade *u, int node, const int *in, int n)
{
    struct node *p = rewrite_node(u, node);

    while (n > 0 && in[n - 1] < 0)
        n--;
    p->in = arena_new_in(u->g->arena, (size_t)n, sizeof *in);
    memcpy(p->in, in, (size_t)n * sizeof *in);
    p->n_in = p->n_own = n;
}

/*
 * The node's output becomes integers again.
 *
 * like: a tensor of the same type, for where there is no zero point.
 */
static int
quantize_output(struct upgrade *u, int node, int scale, int zero, int like,
                struct err *e)
{
    enum dtype t = facts_get(&u->facts, u->g, zero < 0 ? like : zero).dtype;
    const uint8_t none = 0;
    int in[3] = {rewrite_value(u, node, "real"), scale, zero};
    int out = rewrite_redirect(u, node, in[0]);

    if (scale < 0)
        return err_set(e, ERR_INVALID, "the scale of the output is missing");
    if (zero < 0 && !dtype_is_8bit(t))
        return err_set(e, ERR_UNSUPPORTED,
                       "without a zero point the type of the output is not "
                       "known");
    if (zero < 0)
        in[2] = rewrite_const(u, node, "zero", t, &(struct shape){0}, &none);
    if (in[2] < 0)
        return rewrite_no_memory(e);
    rewrite_append(u, node, OP_QUANTIZE_LINEAR, in, 3, out);
    facts_set(&u->facts, out, (struct fact){t, SHAPE_UNKNOWN, SHAPE_UNKNOWN});
    return 0;
}

/* --- channels last ------------------------------------------------------- */

/* The axes of channels last behind x, or before it, moved to where ONNX has
 * them or back. */
static void
turn(struct upgrade *u, int node, int x, int out, int rank, bool to_last)
{
    int64_t perm[SHAPE_MAX_RANK];
    int at = rewrite_append(u, node, OP_TRANSPOSE, &x, 1, out);

    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : to_last ? (i + 1 < rank ? i + 1 : 1) : i - 1;
    if (!to_last)
        perm[1] = rank - 1;
    attr_set_ints(u->g, rewrite_node(u, at), "perm", perm, rank);
}

/*
 * Attribute channels_last of a node whose input 0 and output 0 it is about:
 * Transposes around it.  rank: of both, when it is known otherwise.
 */
static int
channels_last(struct upgrade *u, int node, int rank, struct err *e)
{
    bool last = attr_int(rewrite_node(u, node), "channels_last", 0) != 0;
    int first, out, inner;

    attr_remove(rewrite_node(u, node), "channels_last");
    if (!last)
        return 0;
    if (rank < 0)
        rank = rewrite_fact(u, node, 0).rank;
    if (rank < 3 || rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute channels_last needs a tensor of known rank");
    first = rewrite_value(u, node, "channels_first");
    turn(u, node, rewrite_node(u, node)->in[0], first, rank, false);
    rewrite_node(u, node)->in[0] = first;
    inner = rewrite_value(u, node, "channels");
    out = rewrite_redirect(u, node, inner);
    turn(u, node, inner, out, rank, true);
    facts_set(
        &u->facts, first,
        (struct fact){rewrite_fact(u, node, 0).dtype, rank, SHAPE_UNKNOWN});
    return 0;
}

static int
nhwc_max_pool(struct upgrade *u, int node, struct err *e)
{
    int n;

    attr_ints(rewrite_node(u, node), "kernel_shape", &n);
    attr_set_int(u->g, rewrite_node(u, node), "channels_last", 1);
    return channels_last(u, node, n + 2, e);
}

/* --- products ------------------------------------------------------------ */

/* x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias */
static int
qlinear_conv(struct upgrade *u, int node, struct err *e)
{
    struct quantized x, w;
    int bias = input(u, node, 8), y_scale = input(u, node, 6);
    int y_zero = input(u, node, 7);

    if (take(u, node, 3, &w, e) != 0 ||
        channels_last(u, node, facts_get(&u->facts, u->g, w.x).rank, e) != 0 ||
        take(u, node, 0, &x, e) != 0)
        return e->code;
    set_inputs(
        u, node,
        (const int[]){real(u, node, &x, 1), real(u, node, &w, 0),
                      bias < 0 ? -1
                               : real_bias(u, node, bias, x.scale, w.scale, 0)},
        3);
    return quantize_output(u, node, y_scale, y_zero, x.x, e);
}

/* a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero */
static int
qlinear_matmul(struct upgrade *u, int node, struct err *e)
{
    struct quantized a, b;
    int y_scale = input(u, node, 6), y_zero = input(u, node, 7), q;

    if (take(u, node, 0, &a, e) != 0 || take(u, node, 3, &b, e) != 0)
        return e->code;
    set_inputs(u, node,
               (const int[]){real(u, node, &a, -2), real(u, node, &b, -1)}, 2);
    if (quantize_output(u, node, y_scale, y_zero, a.x, e) != 0)
        return e->code;
    /* One scale a row is possible for the output, too. */
    q = (int)u->g->nodes.n - 1;
    if (facts_get(&u->facts, u->g, y_scale).rank != 0)
        attr_set_int(u->g, rewrite_node(u, q), "axis", -2);
    return 0;
}

/* A, a_scale, a_zero, B, b_scale, b_zero, C (int32), y_scale, y_zero; a float
 * output where there is no y_scale. */
static int
q_gemm(struct upgrade *u, int node, struct err *e)
{
    struct quantized a, b;
    int c = input(u, node, 6), y_scale = input(u, node, 7);
    int y_zero = input(u, node, 8), scale;
    float alpha = attr_float(rewrite_node(u, node), "alpha", 1);
    bool turned = attr_int(rewrite_node(u, node), "transB", 0) != 0;

    if (take(u, node, 0, &a, e) != 0 || take(u, node, 3, &b, e) != 0)
        return e->code;
    if (c >= 0) {
        scale = a.scale;
        if (alpha != 1) {
            int by = rewrite_scalar(u, node, "alpha", DTYPE_FLOAT, alpha);

            if (by < 0)
                return rewrite_no_memory(e);
            scale = rewrite_op(u, node, OP_MUL, (const int[]){a.scale, by}, 2);
        }
        c = real_bias(u, node, c, scale, b.scale, -1);
    }
    set_inputs(u, node,
               (const int[]){real(u, node, &a, 0),
                             real(u, node, &b, turned ? 0 : 1), c},
               3);
    return y_scale < 0 ? 0 : quantize_output(u, node, y_scale, y_zero, a.x, e);
}

/* The node, a product of integers, gets a real output: Cast, Mul, Add. */
static int
scale_product(struct upgrade *u, int node, int a_scale, int b_scale, int bias)
{
    int product = rewrite_value(u, node, "product");
    int out = rewrite_redirect(u, node, product), scale, whole;

    whole = rewrite_op(u, node, OP_CAST, &product, 1);
    attr_set_int(u->g, graph_producer(u->g, whole), "to", DTYPE_FLOAT);
    facts_set(&u->facts, whole,
              (struct fact){DTYPE_FLOAT, SHAPE_UNKNOWN, SHAPE_UNKNOWN});
    scale = rewrite_op(u, node, OP_MUL, (const int[]){a_scale, b_scale}, 2);
    if (bias < 0) {
        rewrite_append(u, node, OP_MUL, (const int[]){whole, scale}, 2, out);
        return 0;
    }
    whole = rewrite_op(u, node, OP_MUL, (const int[]){whole, scale}, 2);
    rewrite_append(u, node, OP_ADD, (const int[]){whole, bias}, 2, out);
    return 0;
}

/* A, B, a_scale, b_scale, a_zero, b_zero, bias (float) */
static int
matmul_integer_to_float(struct upgrade *u, int node, struct err *e)
{
    const struct quantized a = {input(u, node, 0), input(u, node, 2),
                                input(u, node, 4)};
    const struct quantized b = {input(u, node, 1), input(u, node, 3),
                                input(u, node, 5)};
    int bias = input(u, node, 6), product, out;

    (void)e;
    if (graph_value(u->g, a.scale)->data == NULL) {
        set_inputs(u, node, (const int[]){a.x, b.x, a.zero, b.zero}, 4);
        return scale_product(u, node, a.scale, b.scale, bias);
    }
    rewrite_node(u, node)->op = OP_MATMUL;
    set_inputs(u, node,
               (const int[]){real(u, node, &a, -2), real(u, node, &b, -1)}, 2);
    if (bias < 0)
        return 0;
    product = rewrite_value(u, node, "product");
    out = rewrite_redirect(u, node, product);
    rewrite_append(u, node, OP_ADD, (const int[]){product, bias}, 2, out);
    return 0;
}

/* A (float), B, b_scale, b_zero, bias (float) */
static int
dynamic_quantize_matmul(struct upgrade *u, int node, struct err *e)
{
    int a = input(u, node, 0), b = input(u, node, 1);
    int b_scale = input(u, node, 2), b_zero = input(u, node, 3);
    int bias = input(u, node, 4);
    const int out[] = {rewrite_value(u, node, "quantized"),
                       rewrite_value(u, node, "scale"),
                       rewrite_value(u, node, "zero")};

    (void)e;
    graph_add_node(u->g, OP_DYNAMIC_QUANTIZE_LINEAR,
                   names_fresh(u->nodes, u->g->arena,
                               label(rewrite_node(u, node)->name).text),
                   &a, 1, out, 3);
    set_inputs(u, node, (const int[]){out[0], b, out[2], b_zero}, 4);
    return scale_product(u, node, out[1], b_scale, bias);
}

/* --- the others ---------------------------------------------------------- */

/* X, x_scale, x_zero, y_scale, y_zero */
static int
qlinear_unary(struct upgrade *u, int node, struct err *e)
{
    struct quantized x;
    int y_scale = input(u, node, 3), y_zero = input(u, node, 4);

    if (channels_last(u, node, -1, e) != 0 || take(u, node, 0, &x, e) != 0)
        return e->code;
    set_inputs(u, node, (const int[]){real(u, node, &x, 1)}, 1);
    return quantize_output(u, node, y_scale, y_zero, x.x, e);
}

/* Its window says what rank its input has. */
static int
qlinear_average_pool(struct upgrade *u, int node, struct err *e)
{
    int n;

    attr_ints(rewrite_node(u, node), "kernel_shape", &n);
    if (channels_last(u, node, n + 2, e) != 0)
        return e->code;
    return qlinear_unary(u, node, e);
}

/* Attribute opset says which Softmax of ONNX is meant. */
static int
qlinear_softmax(struct upgrade *u, int node, struct err *e)
{
    int64_t opset = attr_int(rewrite_node(u, node), "opset", 13);
    struct form f;

    attr_remove(rewrite_node(u, node), "opset");
    if (opset < 1 || opset > OPSET_LAST ||
        !form_find("", "Softmax", (int)opset, &f))
        return rewrite_refuse(e, "opset", opset);
    if (qlinear_unary(u, node, e) != 0)
        return e->code;
    return f.up == NULL ? 0 : f.up(u, node, e);
}

/* A, a_scale, a_zero, B, b_scale, b_zero, c_scale, c_zero */
static int
qlinear_binary(struct upgrade *u, int node, struct err *e)
{
    struct quantized a, b;
    int c_scale = input(u, node, 6), c_zero = input(u, node, 7);

    if (take(u, node, 0, &a, e) != 0 || take(u, node, 3, &b, e) != 0)
        return e->code;
    set_inputs(u, node,
               (const int[]){real(u, node, &a, 1), real(u, node, &b, 1)}, 2);
    return quantize_output(u, node, c_scale, c_zero, a.x, e);
}

/* condition, X, x_scale, x_zero, Y, y_scale, y_zero, z_scale, z_zero */
static int
qlinear_where(struct upgrade *u, int node, struct err *e)
{
    struct quantized x, y;
    int condition = input(u, node, 0);
    int z_scale = input(u, node, 7), z_zero = input(u, node, 8);

    if (take(u, node, 1, &x, e) != 0 || take(u, node, 4, &y, e) != 0)
        return e->code;
    set_inputs(
        u, node,
        (const int[]){condition, real(u, node, &x, 1), real(u, node, &y, 1)},
        3);
    return quantize_output(u, node, z_scale, z_zero, x.x, e);
}

/* y_scale, y_zero, then X, x_scale, x_zero of each tensor */
static int
qlinear_concat(struct upgrade *u, int node, struct err *e)
{
    int y_scale = input(u, node, 0), y_zero = input(u, node, 1);
    int n = rewrite_node(u, node)->n_in / 3, *in;
    struct quantized x = {-1, -1, -1};

    if (rewrite_node(u, node)->n_in != 3 * n + 2 || n == 0)
        return err_set(e, ERR_INVALID, "%d inputs are no triples behind two",
                       rewrite_node(u, node)->n_in);
    in = arena_new_in(u->g->arena, (size_t)n, sizeof *in);
    for (int i = 0; i < n; i++) {
        if (take(u, node, 3 * i + 2, &x, e) != 0)
            return e->code;
        in[i] = real(u, node, &x, 1);
    }
    set_inputs(u, node, in, n);
    return quantize_output(u, node, y_scale, y_zero, x.x, e);
}

const struct rule rules_qlinear[] = {
    {"QLinearConv", 10, OPSET_LAST, {OP_CONV, 8, 9, 1, qlinear_conv}},
    {"QLinearMatMul", 10, OPSET_LAST, {OP_MATMUL, 8, 8, 1, qlinear_matmul}},
    {0},
};

#define MS(name, op, min, max, up)                                             \
    {                                                                          \
        name, OPSET_ANY, OPSET_LAST,                                           \
        {                                                                      \
            op, min, max, 1, up                                                \
        }                                                                      \
    }

/* Of these the newest form is the only one. */
const struct rule rules_qlinear_ms[] = {
    MS("DequantizeLinear", OP_DEQUANTIZE_LINEAR, 2, 3, NULL),
    MS("DynamicQuantizeMatMul", OP_MATMUL_INTEGER, 3, 5,
       dynamic_quantize_matmul),
    MS("MatMulIntegerToFloat", OP_MATMUL_INTEGER, 4, 7,
       matmul_integer_to_float),
    MS("NhwcMaxPool", OP_MAX_POOL, 1, 1, nhwc_max_pool),
    MS("QGemm", OP_GEMM, 5, 9, q_gemm),
    MS("QLinearAdd", OP_ADD, 2, 8, qlinear_binary),
    MS("QLinearAveragePool", OP_AVERAGE_POOL, 2, 5, qlinear_average_pool),
    MS("QLinearConcat", OP_CONCAT, 5, OP_MANY, qlinear_concat),
    MS("QLinearConv", OP_CONV, 8, 9, qlinear_conv),
    MS("QLinearGlobalAveragePool", OP_GLOBAL_AVERAGE_POOL, 2, 5, qlinear_unary),
    MS("QLinearLeakyRelu", OP_LEAKY_RELU, 2, 5, qlinear_unary),
    MS("QLinearMul", OP_MUL, 2, 8, qlinear_binary),
    MS("QLinearReduceMean", OP_REDUCE_MEAN, 2, 5, qlinear_unary),
    MS("QLinearSigmoid", OP_SIGMOID, 2, 5, qlinear_unary),
    MS("QLinearSoftmax", OP_SOFTMAX, 2, 5, qlinear_softmax),
    MS("QLinearWhere", OP_WHERE, 3, 9, qlinear_where),
    MS("QuantizeLinear", OP_QUANTIZE_LINEAR, 2, 3, NULL),
    {0},
};
