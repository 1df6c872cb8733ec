/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast float kernels against the plain ones, over shapes and attributes
 * that have edges: odd channels, groups, uneven padding, broadcasts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/both.h"

#define NONE OP_COUNT

struct conv_case {
    int rank, n, c, h, w, o, k, stride, dilation, group, lo, hi;
    enum op after; /* NONE, or an activation behind it */
    bool residual;
    const char *want;
};

/* x -> Conv [+ residual] [-> activation] */
static void
one_conv(const struct conv_case *c, bool transposed)
{
    struct graph *g = graph_new();
    struct shape xs = {c->rank, {c->n, c->c, c->h, c->w, 5}};
    struct shape ws = {c->rank, {c->o, c->c / c->group, c->k, c->k, 3}};
    int axes = c->rank - 2, x, y;
    int64_t stride[3], dilation[3], pads[6];
    char what[160];

    if (transposed) {
        ws.dim[0] = c->c;
        ws.dim[1] = c->o / c->group;
    }
    for (int i = 0; i < axes; i++) {
        stride[i] = c->stride;
        dilation[i] = c->dilation;
        pads[i] = c->lo;
        pads[i + axes] = c->hi;
    }
    snprintf(what, sizeof what,
             "%s rank %d x %d,%d,%d,%d o %d k %d s %d d %d g %d",
             transposed ? "ConvTranspose" : "Conv", c->rank, c->n, c->c, c->h,
             c->w, c->o, c->k, c->stride, c->dilation, c->group);
    x = both_input(g, "x", xs);
    y = NODE(g, transposed ? OP_CONV_TRANSPOSE : OP_CONV, x,
             both_const(g, ws, 0.5f), both_const(g, SHAPE(c->o), 0.5f));
    attr_set_ints(g, MADE(g, y), "strides", stride, axes);
    attr_set_ints(g, MADE(g, y), "dilations", dilation, axes);
    attr_set_ints(g, MADE(g, y), "pads", pads, 2 * axes);
    attr_set_int(g, MADE(g, y), "group", c->group);
    if (c->residual) {
        int r =
            NODE(g, OP_CONV, x, both_const(g, SHAPE(c->o, c->c, 1, 1), 0.5f));

        y = NODE(g, OP_ADD, y, r);
    }
    if (c->after != NONE)
        y = NODE(g, c->after, y);
    both_check(g, y, 2e-5, c->want, what);
}

static void
test_conv(void **state)
{
    static const struct conv_case cases[] = {
        {4, 1, 3, 17, 19, 16, 3, 1, 1, 1, 1, 1, OP_RELU, false, "dnn.conv"},
        {4, 2, 16, 8, 8, 33, 1, 1, 1, 1, 0, 0, NONE, true, "dnn.conv"},
        {4, 2, 16, 9, 8, 16, 3, 2, 1, 16, 0, 1, OP_HARD_SWISH, false,
         "dnn.conv"},
        {4, 1, 17, 9, 8, 17, 3, 1, 1, 17, 1, 1, OP_SIGMOID, true, "dnn.conv"},
        {4, 1, 17, 9, 8, 34, 3, 1, 1, 17, 1, 1, NONE, false, "dnn.conv"},
        {4, 2, 32, 9, 8, 32, 3, 1, 2, 4, 2, 2, OP_LEAKY_RELU, true, "dnn.conv"},
        {4, 1, 1, 28, 28, 4, 5, 2, 1, 1, 2, 1, OP_TANH, false, "dnn.conv"},
        {4, 3, 8, 1, 1, 5, 1, 1, 1, 1, 0, 0, OP_HARD_SIGMOID, true, "dnn.conv"},
        {4, 1, 64, 14, 14, 64, 1, 2, 1, 1, 0, 0, OP_ELU, false, "dnn.conv"},
        {4, 1, 64, 14, 14, 48, 1, 1, 1, 1, 0, 0, OP_GELU, false, "dnn.conv"},
        {3, 2, 32, 40, 0, 8, 5, 1, 1, 1, 2, 1, OP_RELU, false, "dnn.conv"},
        {3, 1, 12, 33, 0, 12, 3, 2, 1, 12, 1, 1, NONE, false, "dnn.conv"},
        {5, 1, 4, 6, 7, 6, 3, 1, 1, 1, 1, 1, OP_RELU, false, "dnn.conv"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        one_conv(&cases[i], false);
}

/* What PP-OCRv4 does behind each activation: a factor and an offset. */
static void
test_affine(void **state)
{
    struct graph *g = graph_new();
    int x = both_input(g, "x", SHAPE(1, 8, 9, 9));
    int y = NODE(g, OP_CONV, x, both_const(g, SHAPE(16, 8, 1, 1), 0.5f));

    (void)state;
    y = NODE(g, OP_MUL, both_const(g, SHAPE(1), 2), NODE(g, OP_HARD_SWISH, y));
    y = NODE(g, OP_ADD, y, both_const(g, SHAPE(1), 2));
    both_check(g, NODE(g, OP_RELU, y), 2e-5, "dnn.conv", "Conv, affine");

    g = graph_new();
    x = both_input(g, "x", SHAPE(2, 7, 32));
    y = NODE(g, OP_MATMUL, x, both_const(g, SHAPE(32, 12), 0.5f));
    y = NODE(g, OP_ADD, both_const(g, SHAPE(12), 1), y);
    y = NODE(g, OP_MUL, y, both_const(g, SHAPE(1, 1, 12), 1));
    y = NODE(g, OP_ADD, y, both_const(g, SHAPE(1, 12), 1));
    both_check(g, NODE(g, OP_GELU, y), 2e-5, "dnn.matmul", "MatMul, affine");
}

static void
test_conv_transpose(void **state)
{
    static const struct conv_case cases[] = {
        {4, 1, 24, 9, 11, 24, 2, 2, 1, 1, 0, 0, NONE, false, NULL},
        {4, 2, 16, 8, 8, 8, 4, 2, 1, 1, 1, 1, OP_RELU, false, NULL},
        {4, 1, 24, 9, 11, 1, 2, 2, 1, 1, 0, 0, OP_SIGMOID, false, NULL},
        {4, 1, 8, 5, 5, 8, 3, 1, 1, 2, 1, 1, NONE, false, NULL},
        {3, 1, 8, 5, 0, 6, 3, 2, 1, 1, 1, 0, NONE, false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        one_conv(&cases[i], true);
}

static void
one_pool(enum op op, struct shape x, int k, int stride, int lo, int hi,
         bool ceil_mode, bool count, const char *want)
{
    struct graph *g = graph_new();
    int y = NODE(g, op, both_input(g, "x", x)), axes = x.rank - 2;
    int64_t kernel[3] = {k, k, k}, s[3] = {stride, stride, stride};
    int64_t pads[6];

    for (int i = 0; i < axes; i++) {
        pads[i] = lo;
        pads[i + axes] = hi;
    }
    if (k > 0) {
        attr_set_ints(g, MADE(g, y), "kernel_shape", kernel, axes);
        attr_set_ints(g, MADE(g, y), "strides", s, axes);
        attr_set_ints(g, MADE(g, y), "pads", pads, 2 * axes);
        attr_set_int(g, MADE(g, y), "ceil_mode", ceil_mode);
        attr_set_int(g, MADE(g, y), "count_include_pad", count);
    }
    both_check(g, y, 1e-5, want, op_name(op));
}

static void
test_pool(void **state)
{
    const char *dnn = "dnn.pool";

    (void)state;
    one_pool(OP_MAX_POOL, SHAPE(2, 17, 13, 14), 3, 2, 1, 1, false, false, dnn);
    one_pool(OP_MAX_POOL, SHAPE(1, 64, 13, 13), 3, 2, 0, 0, true, false, dnn);
    one_pool(OP_MAX_POOL, SHAPE(1, 8, 13), 2, 2, 0, 1, false, false, dnn);
    one_pool(OP_AVERAGE_POOL, SHAPE(1, 16, 9, 9), 3, 1, 1, 1, false, false,
             dnn);
    one_pool(OP_AVERAGE_POOL, SHAPE(1, 16, 9, 9), 3, 1, 1, 1, false, true, dnn);
    one_pool(OP_AVERAGE_POOL, SHAPE(1, 16, 8, 8), 3, 2, 1, 0, true, true, NULL);
    one_pool(OP_AVERAGE_POOL, SHAPE(1, 4, 6, 7, 8), 2, 2, 0, 0, false, false,
             dnn);
    one_pool(OP_GLOBAL_AVERAGE_POOL, SHAPE(2, 33, 7, 7), 0, 0, 0, 0, false,
             false, dnn);
    one_pool(OP_GLOBAL_MAX_POOL, SHAPE(2, 33, 5, 3), 0, 0, 0, 0, false, false,
             dnn);
}

static void
test_matmul(void **state)
{
    static const struct {
        struct shape a, b;
        bool constant;
        enum op after;
        const char *want;
    } cases[] = {
        {{2, {7, 33}}, {2, {33, 21}}, true, OP_RELU, "dnn.matmul"},
        {{3, {2, 7, 64}}, {2, {64, 48}}, true, OP_GELU, "dnn.matmul"},
        {{4, {2, 3, 5, 16}}, {4, {2, 3, 16, 9}}, false, NONE, "dnn.matmul"},
        {{4, {2, 3, 5, 16}}, {4, {1, 3, 16, 9}}, false, NONE, "dnn.matmul"},
        {{3, {4, 5, 16}}, {4, {3, 1, 16, 9}}, false, NONE, NULL},
        {{1, {16}}, {2, {16, 9}}, true, NONE, NULL},
        {{2, {5, 16}}, {1, {16}}, true, NONE, NULL},
        {{3, {3, 5, 16}}, {3, {3, 16, 4}}, true, OP_TANH, "dnn.matmul"},
        {{2, {1, 512}}, {2, {512, 1}}, true, OP_SIGMOID, "dnn.matmul"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct graph *g = graph_new();
        int a = both_input(g, "a", cases[i].a);
        int b = cases[i].constant ? both_const(g, cases[i].b, 0.3f)
                                  : both_input(g, "b", cases[i].b);
        int y = NODE(g, OP_MATMUL, a, b);
        char what[32];

        if (cases[i].after != NONE)
            y = NODE(g, cases[i].after, y);
        snprintf(what, sizeof what, "MatMul %zu", i);
        both_check(g, y, 2e-5, cases[i].want, what);
    }
}

static void
one_gemm(bool ta, bool tb, float alpha, float beta, struct shape c,
         const char *want)
{
    struct graph *g = graph_new();
    int a = both_input(g, "a", ta ? SHAPE(37, 6) : SHAPE(6, 37));
    int b = both_const(g, tb ? SHAPE(11, 37) : SHAPE(37, 11), 0.4f);
    int y = c.rank < 0 ? NODE(g, OP_GEMM, a, b)
                       : NODE(g, OP_GEMM, a, b, both_const(g, c, 1));
    char what[80];

    attr_set_int(g, MADE(g, y), "transA", ta);
    attr_set_int(g, MADE(g, y), "transB", tb);
    attr_set_float(g, MADE(g, y), "alpha", alpha);
    attr_set_float(g, MADE(g, y), "beta", beta);
    snprintf(what, sizeof what, "Gemm %d%d %g %g c rank %d", ta, tb,
             (double)alpha, (double)beta, c.rank);
    both_check(g, NODE(g, OP_RELU, y), 2e-5, want, what);
}

static void
test_gemm(void **state)
{
    const struct shape none = {.rank = -1};

    (void)state;
    one_gemm(false, true, 1, 1, SHAPE(11), "dnn.matmul");
    one_gemm(true, false, 1, 1, SHAPE(1, 11), "dnn.matmul");
    one_gemm(false, false, 0.5f, 2, SHAPE(11), "dnn.matmul");
    one_gemm(true, true, 1, 1, none, "dnn.matmul");
    one_gemm(false, false, 1, 1, SHAPE(6, 11), "dnn.matmul");
    one_gemm(false, false, 1, 1, SHAPE(6, 1), NULL);
    one_gemm(false, false, 1, 0.5f, SHAPE(1), "dnn.matmul");
}

static void
test_unary(void **state)
{
    static const enum op ops[] = {
        OP_ABS,  OP_CLIP,         OP_ELU,        OP_ERF,        OP_EXP,
        OP_GELU, OP_HARD_SIGMOID, OP_HARD_SWISH, OP_LEAKY_RELU, OP_NEG,
        OP_RELU, OP_SIGMOID,      OP_SOFTPLUS,   OP_TANH,
    };

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct graph *g = graph_new();
        int x = both_input(g, "x", SHAPE(2, 5, 7, 9));
        int y = NODE(g, ops[i], x);

        both_check(g, y, 1e-5, "dnn.eltwise", op_name(ops[i]));
    }
}

/* Operands in both layouts: one comes from a convolution. */
static void
one_binary(enum op op, struct shape a, struct shape b, bool nxc, bool constant)
{
    struct graph *g = graph_new();
    int x = both_input(g, "a", a);
    int z = constant ? both_const(g, b, 1) : both_input(g, "b", b);
    char what[2 * SHAPE_TEXT + 40], ta[SHAPE_TEXT], tb[SHAPE_TEXT];

    if (op == OP_DIV) /* away from 0 */
        z = NODE(g, OP_ADD, NODE(g, OP_SIGMOID, z),
                 both_const(g, SHAPE(1), 0.1f));
    if (nxc)
        x = NODE(g, OP_CONV, x,
                 both_const(g, SHAPE(a.dim[1], a.dim[1], 1, 1), 0.5f));
    snprintf(what, sizeof what, "%s %s %s%s", op_name(op), shape_text(&a, ta),
             shape_text(&b, tb), nxc ? " nxc" : "");
    /* An Add behind a convolution may have become part of it. */
    both_check(g, NODE(g, op, x, z), 1e-5, nxc ? NULL : "dnn.eltwise", what);
}

static void
test_binary(void **state)
{
    static const enum op ops[] = {OP_ADD, OP_SUB, OP_MUL,
                                  OP_DIV, OP_MIN, OP_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (int k = 0; k < 4; k++) {
            bool nxc = k & 1, constant = k & 2;

            one_binary(ops[i], SHAPE(2, 6, 5, 7), SHAPE(2, 6, 5, 7), nxc,
                       constant);
            one_binary(ops[i], SHAPE(2, 6, 5, 7), SHAPE(1, 6, 1, 1), nxc,
                       constant);
            one_binary(ops[i], SHAPE(2, 6, 5, 7), SHAPE(2, 1, 5, 1), nxc,
                       constant);
            one_binary(ops[i], SHAPE(2, 6, 5, 7), SHAPE(7), nxc, constant);
            one_binary(ops[i], SHAPE(1, 6, 1, 7), SHAPE(3, 1, 5, 1), nxc,
                       constant);
            one_binary(ops[i], SHAPE(1, 3, 90, 91), SHAPE(1), nxc, constant);
            one_binary(ops[i], SHAPE(2, 24, 30, 31), SHAPE(2, 24, 1, 1), nxc,
                       constant);
            one_binary(ops[i], SHAPE(2, 600, 3, 3), SHAPE(1, 600, 1, 1), nxc,
                       constant);
            one_binary(ops[i], SHAPE(300, 40), SHAPE(40), false, constant);
        }
}

static void
test_rows(void **state)
{
    struct graph *g;
    int x, y;

    (void)state;
    for (int axis = 0; axis < 3; axis++) {
        g = graph_new();
        y = NODE(g, OP_SOFTMAX, both_input(g, "x", SHAPE(3, 5, 77)));
        attr_set_int(g, MADE(g, y), "axis", axis);
        both_check(g, y, 1e-5, axis == 2 ? "dnn.softmax" : NULL, "Softmax");
    }
    g = graph_new();
    y = NODE(g, OP_LOG_SOFTMAX, both_input(g, "x", SHAPE(3, 10)));
    both_check(g, y, 1e-5, "dnn.softmax", "LogSoftmax");
    for (int bias = 0; bias < 2; bias++) {
        g = graph_new();
        x = both_input(g, "x", SHAPE(2, 5, 48));
        y = bias
                ? NODE(g, OP_LAYER_NORMALIZATION, x,
                       both_const(g, SHAPE(48), 1), both_const(g, SHAPE(48), 1))
                : NODE(g, OP_LAYER_NORMALIZATION, x,
                       both_const(g, SHAPE(48), 1));
        both_check(g, y, 2e-5, "dnn.norm", "LayerNormalization");
    }
}

static int
number(struct graph *g, float v)
{
    return graph_add_const(g, NULL, DTYPE_FLOAT, &(struct shape){.rank = 0},
                           &v);
}

static int
mean(struct graph *g, int x)
{
    int64_t last = -1;
    int y = NODE(g, OP_REDUCE_MEAN, x);

    attr_set_ints(g, MADE(g, y), "axes", &last, 1);
    return y;
}

/* The argument of Gelu's tanh, in either form. */
static int
tanh_argument(struct graph *g, int x, bool factored)
{
    int f;

    if (factored) {
        f = NODE(g, OP_MUL, NODE(g, OP_MUL, number(g, 0.044715f), x), x);
        f = NODE(g, OP_ADD, number(g, 1), f);
        return NODE(g, OP_MUL, NODE(g, OP_MUL, number(g, 0.7978845608f), x), f);
    }
    f = NODE(g, OP_MUL, NODE(g, OP_POW, x, number(g, 3)), number(g, 0.044715f));
    return NODE(g, OP_MUL, NODE(g, OP_ADD, x, f), number(g, 0.7978845608f));
}

/* Gelu and Mish as older opsets write them, Mish behind a product too. */
static void
test_compound(void **state)
{
    (void)state;
    for (int form = 0; form < 5; form++) {
        struct graph *g = graph_new();
        int x = NODE(g, OP_ADD, both_input(g, "x", SHAPE(3, 5, 77)),
                     both_const(g, SHAPE(77), 1));
        int f, y;

        f = form >= 3
                ? NODE(g, OP_TANH, tanh_argument(g, x, form == 4))
                : NODE(g, OP_ERF, NODE(g, OP_DIV, x, number(g, 1.41421356f)));
        f = NODE(g, OP_ADD, f, number(g, 1));
        y = form == 0 ? NODE(g, OP_MUL, NODE(g, OP_MUL, x, f), number(g, 0.5))
            : form == 1
                ? NODE(g, OP_MUL, x, NODE(g, OP_MUL, f, number(g, 0.5)))
                : NODE(g, OP_MUL, NODE(g, OP_MUL, x, number(g, 0.5)), f);
        both_check(g, y, 1e-5, "dnn.eltwise/jit", "Gelu by parts");
    }
    for (int form = 0; form < 3; form++) {
        struct graph *g = graph_new();
        int x = both_input(g, "x", SHAPE(6, 77)), y;

        if (form == 2)
            x = NODE(g, OP_MATMUL, x, both_const(g, SHAPE(77, 40), 0.1f));
        y = form == 0 ? NODE(g, OP_SOFTPLUS, x)
                      : NODE(g, OP_LOG,
                             NODE(g, OP_ADD, NODE(g, OP_EXP, x), number(g, 1)));
        y = NODE(g, OP_MUL, x, NODE(g, OP_TANH, y));
        both_check(g, y, 1e-5, form == 2 ? "dnn.matmul/brg" : "dnn.eltwise/jit",
                   "Mish by parts");
    }
}

enum layer_form { WITH_DIV, WITH_RECIPROCAL, WITH_POW, TENSORFLOW, FORMS };

/* Normalized x by parts; terms: 0 none, 1 scale, 2 scale and bias. */
static int
layer_by_parts(struct graph *g, int x, enum layer_form form, int terms)
{
    int u = mean(g, x), d = NODE(g, OP_SUB, x, u), m, y;
    int scale = both_const(g, SHAPE(77), 1), bias = both_const(g, SHAPE(77), 1);
    int v = mean(g, form == WITH_DIV ? NODE(g, OP_POW, d, number(g, 2))
                                     : NODE(g, OP_MUL, d, d));

    v = NODE(g, OP_ADD, number(g, 1e-5f), v);
    if (form == TENSORFLOW) {
        m = NODE(g, OP_MUL, NODE(g, OP_RECIPROCAL, NODE(g, OP_SQRT, v)), scale);
        y = NODE(g, OP_SUB, bias, NODE(g, OP_MUL, u, m));
        return NODE(g, OP_ADD, NODE(g, OP_MUL, x, m), y);
    }
    if (form == WITH_DIV)
        y = NODE(g, OP_DIV, d, NODE(g, OP_SQRT, v));
    else if (form == WITH_RECIPROCAL)
        y = NODE(g, OP_MUL, NODE(g, OP_RECIPROCAL, NODE(g, OP_SQRT, v)), d);
    else
        y = NODE(g, OP_MUL, d, NODE(g, OP_POW, v, number(g, -0.5f)));
    if (terms > 0)
        y = NODE(g, OP_MUL, scale, y);
    return terms > 1 ? NODE(g, OP_ADD, bias, y) : y;
}

static void
test_layer_norm_by_parts(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++)
        for (int terms = 0; terms < 3; terms++) {
            struct graph *g = graph_new();
            int x = NODE(g, OP_ADD, both_input(g, "x", SHAPE(3, 5, 77)),
                         both_const(g, SHAPE(77), 1));

            both_check(g, layer_by_parts(g, x, form, terms), 2e-5, "dnn.norm",
                       "LayerNormalization by parts");
        }
}

/* Numbers of a BatchNormalization of `channels`; variances are positive. */
static int
batch_norm(struct graph *g, int x, int64_t channels)
{
    float v[200];
    int var;

    assert_true(channels <= 200);
    for (int64_t i = 0; i < channels; i++)
        v[i] = 0.5f + (float)(i % 7);
    var = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(channels), v);
    return NODE(g, OP_BATCH_NORMALIZATION, x, both_const(g, SHAPE(channels), 1),
                both_const(g, SHAPE(channels), 1),
                both_const(g, SHAPE(channels), 1), var);
}

/* BatchNormalization of its own, in both layouts, and behind a Gemm. */
static void
test_batch_norm(void **state)
{
    struct graph *g = graph_new();
    int x = both_input(g, "x", SHAPE(2, 20, 7, 9));

    (void)state;
    both_check(g, batch_norm(g, x, 20), 1e-5, "dnn.norm", "BatchNormalization");
    g = graph_new();
    x = both_input(g, "x", SHAPE(37, 130));
    both_check(g, batch_norm(g, x, 130), 1e-5, "dnn.norm", "of rank 2");
    g = graph_new();
    x = NODE(g, OP_CONV, both_input(g, "x", SHAPE(2, 8, 30, 40)),
             both_const(g, SHAPE(24, 8, 3, 3), 0.2f));
    x = NODE(g, OP_RELU, batch_norm(g, NODE(g, OP_RELU, x), 24));
    x = NODE(g, OP_CONV, x, both_const(g, SHAPE(8, 24, 1, 1), 0.2f));
    both_check(g, x, 1e-5, "dnn.norm", "between convolutions");
    for (int turned = 0; turned < 2; turned++) {
        int w;

        g = graph_new();
        w = both_const(g, turned ? SHAPE(24, 30) : SHAPE(30, 24), 0.2f);
        x = NODE(g, OP_GEMM, both_input(g, "x", SHAPE(5, 30)), w,
                 both_const(g, SHAPE(24), 1));
        attr_set_int(g, MADE(g, x), "transB", turned);
        x = NODE(g, OP_RELU, batch_norm(g, x, 24));
        both_check(g, x, 1e-5, "dnn.matmul", "behind a Gemm");
    }
}

/* HardSigmoid and HardSwish by parts. */
static void
test_hard(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        struct graph *g = graph_new();
        int x = both_input(g, "x", SHAPE(3, 5, 7, 7)), y;

        y = NODE(g, OP_CLIP, NODE(g, OP_ADD, number(g, 3), x), number(g, 0),
                 number(g, 6));
        y = form == 0 ? NODE(g, OP_DIV, y, number(g, 6))
                      : NODE(g, OP_MUL, y, number(g, 1.0f / 6));
        if (form == 2)
            y = NODE(g, OP_MUL, x, y);
        both_check(g, y, 1e-6, "dnn.eltwise/loop", "a gate by parts");
    }
}

/* Reshapes between a product and what is joined to it; Expand before what
 * broadcasts; Cast to the same type. */
static void
test_views(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct graph *g = graph_new();
        int64_t rows[] = {15, 32}, cube[] = {3, 5, 24}, wide[] = {3, 4, 5, 24};
        int x = both_input(g, "x", SHAPE(3, 5, 32)), y, b;
        int r = both_input(g, "r", SHAPE(3, 5, 24));
        struct shape two = SHAPE(2), three = SHAPE(3), four = SHAPE(4);

        y = NODE(g, OP_RESHAPE, x,
                 graph_add_const(g, NULL, DTYPE_INT64, &two, rows));
        y = NODE(g, OP_GEMM, y, both_const(g, SHAPE(32, 24), 0.2f),
                 both_const(g, SHAPE(24), 1));
        y = NODE(g, OP_RESHAPE, y,
                 graph_add_const(g, NULL, DTYPE_INT64, &three, cube));
        b = form == 0   ? number(g, 0.5f)
            : form == 1 ? both_const(g, SHAPE(24), 1)
                        : r;
        y = form == 0 ? NODE(g, OP_MUL, y, b) : NODE(g, OP_ADD, b, y);
        y = NODE(g, OP_RELU, y);
        if (form == 3) {
            b = NODE(g, OP_RESHAPE, r,
                     graph_add_const(g, NULL, DTYPE_INT64, &four,
                                     (int64_t[]){3, 1, 5, 24}));
            b = NODE(g, OP_EXPAND, b,
                     graph_add_const(g, NULL, DTYPE_INT64, &four, wide));
            b = NODE(g, OP_CAST, NODE(g, OP_SUB, number(g, 1), b));
            attr_set_int(g, MADE(g, b), "to", 1);
            b = NODE(g, OP_MUL, b, number(g, 3));
            y = NODE(g, OP_ADD, b,
                     NODE(g, OP_RESHAPE, y,
                          graph_add_const(g, NULL, DTYPE_INT64, &four,
                                          (int64_t[]){3, 1, 5, 24})));
        }
        both_check(g, y, 1e-5, "dnn.matmul/brg", "reshapes in between");
    }
}

static void
test_concat(void **state)
{
    (void)state;
    for (int axis = 0; axis < 4; axis++)
        for (int nxc = 0; nxc < 2; nxc++) {
            struct graph *g = graph_new();
            struct shape a = SHAPE(2, 6, 5, 7), b = a;
            int x, z, y;

            b.dim[axis] += 2;
            x = both_input(g, "a", a);
            z = both_input(g, "b", b);
            if (nxc)
                x = NODE(g, OP_CONV, x, both_const(g, SHAPE(6, 6, 1, 1), 0.5f));
            y = NODE(g, OP_CONCAT, x, z, x);
            attr_set_int(g, MADE(g, y), "axis", axis);
            both_check(g, y, 1e-5, "dnn.concat", "Concat");
        }
}

static void
one_resize(struct shape x, struct shape out, const char *mode,
           const char *coordinates, const char *nearest, const char *want)
{
    struct graph *g = graph_new();
    int in = both_input(g, "x", x);
    int sizes = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(x.rank), out.dim);
    int y = NODE(g, OP_RESIZE, in, -1, -1, sizes);
    char what[80];

    attr_set_string(g, MADE(g, y), "mode", mode);
    attr_set_string(g, MADE(g, y), "coordinate_transformation_mode",
                    coordinates);
    attr_set_string(g, MADE(g, y), "nearest_mode", nearest);
    snprintf(what, sizeof what, "Resize %s %s %s", mode, coordinates, nearest);
    both_check(g, y, 1e-5, want, what);
}

static void
test_resize(void **state)
{
    static const char *const coordinates[] = {
        "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"};
    static const char *const nearest[] = {"round_prefer_floor",
                                          "round_prefer_ceil", "floor", "ceil"};

    (void)state;
    for (int c = 0; c < 4; c++) {
        one_resize(SHAPE(2, 5, 6, 7), SHAPE(2, 5, 12, 14), "linear",
                   coordinates[c], "floor", "dnn.resize");
        one_resize(SHAPE(1, 16, 9, 7), SHAPE(1, 16, 5, 11), "linear",
                   coordinates[c], "floor", "dnn.resize");
        for (int k = 0; k < 4; k++)
            one_resize(SHAPE(2, 5, 6, 7), SHAPE(2, 5, 12, 9), "nearest",
                       coordinates[c], nearest[k], "dnn.resize");
    }
    one_resize(SHAPE(1, 4, 9), SHAPE(1, 4, 21), "linear", "half_pixel", "floor",
               "dnn.resize");
    one_resize(SHAPE(1, 4, 9, 9), SHAPE(1, 4, 5, 5), "cubic", "half_pixel",
               "floor", NULL);
    one_resize(SHAPE(1, 4, 9, 9), SHAPE(1, 8, 9, 9), "nearest", "asymmetric",
               "floor", NULL);
}

static void
one_transpose(struct shape s, const int64_t *perm, const char *want)
{
    for (int bytes = 0; bytes < 2; bytes++) {
        struct graph *g = graph_new();
        int x = both_input(g, "x", s), y;
        char what[SHAPE_TEXT + 20], text[SHAPE_TEXT];

        if (bytes) {
            x = NODE(g, OP_CAST, x);
            attr_set_int(g, MADE(g, x), "to", DTYPE_INT8);
        }
        y = NODE(g, OP_TRANSPOSE, x);
        if (perm != NULL)
            attr_set_ints(g, MADE(g, y), "perm", perm, s.rank);
        snprintf(what, sizeof what, "Transpose %s", shape_text(&s, text));
        both_check(g, y, 0, want, what);
    }
}

static void
test_transpose(void **state)
{
    (void)state;
    one_transpose(SHAPE(5, 7), NULL, "dnn.transpose/turn");
    one_transpose(SHAPE(131, 67), NULL, "dnn.transpose/turn");
    one_transpose(SHAPE(2, 12, 4, 8), (int64_t[]){0, 2, 1, 3},
                  "dnn.transpose/copy");
    one_transpose(SHAPE(2, 12, 4, 8), (int64_t[]){0, 2, 3, 1},
                  "dnn.transpose/turn");
    one_transpose(SHAPE(3, 1, 70, 1), (int64_t[]){3, 2, 1, 0},
                  "dnn.transpose/turn");
    one_transpose(SHAPE(2, 3, 4, 5, 6), (int64_t[]){4, 1, 3, 0, 2},
                  "dnn.transpose/turn");
    one_transpose(SHAPE(2, 3, 4, 5, 6), NULL, "dnn.transpose/turn");
    one_transpose(SHAPE(4, 5, 6), (int64_t[]){0, 1, 2}, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_conv_transpose),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_compound),
        cmocka_unit_test(test_layer_norm_by_parts),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_hard),
        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_transpose),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
