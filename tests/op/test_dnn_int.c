/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joined integer nodes against the plain chain DequantizeLinear -> operator ->
 * QuantizeLinear: at most one step of the quantized output apart, and joined
 * where they are meant to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/integers.h"

struct conv_case {
    int c, h, o, k, stride, group, pad;
    enum dtype x, y; /* y FLOAT: no Q behind it */
    int x_zero, y_zero;
    enum op after;
    enum dtype residual; /* NONE: none */
    bool per_tensor, unsign;
};

static void
one_conv(const struct conv_case *c, int i)
{
    struct graph *g = graph_new();
    int64_t two[4] = {c->stride, c->stride, 0, 0},
            pads[4] = {c->pad, c->pad, c->pad, c->pad};
    int x = pair(g, both_input(g, "x", SHAPE(2, c->c, c->h, c->h)), c->x, 0.02f,
                 c->x_zero);
    int w = weights(g, SHAPE(c->o, c->c / c->group, c->k, c->k),
                    c->per_tensor ? -1 : 0, c->unsign);
    int y = NODE(g, OP_CONV, x, w, both_const(g, SHAPE(c->o), 0.5f));
    int n_pairs = 1; /* the Q of the input */
    char what[80];

    attr_set_ints(g, MADE(g, y), "strides", two, 2);
    attr_set_ints(g, MADE(g, y), "pads", pads, 4);
    attr_set_int(g, MADE(g, y), "group", c->group);
    if (c->residual != DTYPE_NONE) {
        int out = (c->h + 2 * c->pad - c->k) / c->stride + 1;
        int r = both_input(g, "r", SHAPE(2, c->o, out, out));

        if (c->residual != DTYPE_FLOAT) {
            r = pair(g, r, c->residual, 0.017f,
                     c->residual == DTYPE_INT8 ? -3 : 130);
            n_pairs++;
        }
        y = NODE(g, OP_ADD, y, r);
    }
    if (c->after == OP_CLIP)
        y = NODE(g, OP_CLIP, y, scalar_float(g, 0), scalar_float(g, 1.5f));
    else if (c->after != NONE)
        y = NODE(g, c->after, y);
    if (c->y != DTYPE_FLOAT)
        y = quantize(g, y, c->y, 0.03f, c->y_zero);
    snprintf(what, sizeof what, "Conv case %d", i);
    /* oneDNN has no exact kernel for these. */
    if ((c->x == DTYPE_INT8 && !engine_has_vnni()) || c->group == 17)
        n_pairs = -1;
    check(g, y, c->y == DTYPE_FLOAT ? 1e-4 : 1,
          c->group == c->c && c->o == c->c && engine_has_vnni()
              ? "dnn.depthwise/"
              : "dnn.conv/",
          n_pairs, what);
}

/* Widths that fill the vectors and such that don't; all kinds of windows. */
static void
one_depthwise(int c, int h, int w, const int64_t *kernel, const int64_t *step,
              int variant)
{
    static const enum op after[] = {NONE, OP_RELU, OP_CLIP, OP_HARD_SWISH};
    const enum dtype x = variant & 1 ? S : U, y = variant & 2 ? S : U;
    const enum op post = after[variant % 4];
    const int64_t spread[] = {1 + variant % 2, 1 + variant / 2 % 2};
    const int64_t pads[] = {kernel[0] / 2, variant % 3, kernel[0] - 1,
                            kernel[1] / 2};
    struct graph *g = graph_new();
    int in = pair(g, both_input(g, "x", SHAPE(2, c, h, w)), x, 0.02f,
                  x == U ? 7 : -20);
    int out = NODE(g, OP_CONV, in,
                   weights(g, SHAPE(c, 1, kernel[0], kernel[1]),
                           variant % 5 == 0 ? -1 : 0, variant % 7 == 0),
                   both_const(g, SHAPE(c), 0.5f));
    char what[80];

    attr_set_ints(g, MADE(g, out), "strides", step, 2);
    attr_set_ints(g, MADE(g, out), "pads", pads, 4);
    attr_set_ints(g, MADE(g, out), "dilations", spread, 2);
    attr_set_int(g, MADE(g, out), "group", c);
    if (post == OP_CLIP)
        out = NODE(g, post, out, scalar_float(g, -0.2f), scalar_float(g, 1.1f));
    else if (post != NONE)
        out = NODE(g, post, out);
    out = quantize(g, out, y, 0.013f, y == U ? 90 : 11);
    snprintf(what, sizeof what, "depthwise %dx%dx%d by %dx%d, variant %d", c, h,
             w, (int)kernel[0], (int)kernel[1], variant);
    both_check(g, out, 1, engine_has_vnni() ? "dnn.depthwise/own" : NULL, what);
}

/* One axis, as in nets that hear. */
static void
one_depthwise_line(int c, int kernel, int stride)
{
    const int64_t pads[] = {kernel / 2, kernel - 1}, steps[] = {stride};
    struct graph *g = graph_new();
    int in = pair(g, both_input(g, "x", SHAPE(2, c, 37)), U, 0.02f, 7);
    int out = NODE(g, OP_CONV, in, weights(g, SHAPE(c, 1, kernel), 0, false),
                   both_const(g, SHAPE(c), 0.5f));
    char what[80];

    attr_set_ints(g, MADE(g, out), "strides", steps, 1);
    attr_set_ints(g, MADE(g, out), "pads", pads, 2);
    attr_set_int(g, MADE(g, out), "group", c);
    out = quantize(g, out, U, 0.013f, 90);
    snprintf(what, sizeof what, "depthwise %dx37 by %d, step %d", c, kernel,
             stride);
    both_check(g, out, 1, engine_has_vnni() ? "dnn.depthwise/own" : NULL, what);
}

static void
test_depthwise(void **state)
{
    static const int channels[] = {2, 8, 16, 24, 63, 64, 72, 130, 256};
    static const int64_t kernels[][2] = {
        {3, 3}, {5, 5}, {1, 3}, {4, 2}, {7, 7}};
    static const int64_t steps[][2] = {{1, 1}, {2, 2}, {1, 2}, {3, 1}};
    int variant = 0;

    (void)state;
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
        for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
            for (size_t s = 0; s < sizeof steps / sizeof *steps; s++, variant++)
                one_depthwise(channels[c], 13, 13 + variant % 23, kernels[k],
                              steps[s], variant);
    for (int k = 1; k < 10; k++)
        for (int step = 1; step < 3; step++) {
            one_depthwise_line(24, k, step);
            one_depthwise_line(130, k, step);
        }
}

#define NO DTYPE_NONE

static void
test_conv(void **state)
{
    static const struct conv_case cases[] = {
        {16, 9, 24, 3, 1, 1, 1, U, U, 0, 0, OP_RELU, NO, false, false},
        {3, 17, 16, 7, 2, 1, 3, U, U, 113, 0, OP_RELU, NO, false, false},
        {64, 7, 32, 1, 1, 1, 0, U, U, 17, 128, NONE, NO, false, false},
        {64, 7, 32, 1, 1, 1, 0, S, S, 0, 0, NONE, NO, false, false},
        {64, 7, 32, 1, 1, 1, 0, S, S, -9, 5, OP_RELU, NO, true, false},
        {32, 7, 32, 3, 1, 1, 1, U, U, 0, 3, OP_RELU, U, false, false},
        {32, 7, 32, 3, 1, 1, 1, U, S, 7, 3, NONE, S, false, false},
        {32, 7, 32, 1, 1, 1, 0, U, U, 0, 0, OP_RELU, S, false, false},
        {32, 7, 32, 1, 1, 1, 0, S, S, 2, 0, OP_HARD_SWISH, S, false, false},
        {32, 7, 32, 1, 1, 1, 0, S, S, 2, 0, OP_RELU, F, false, false},
        {32, 7, 32, 3, 1, 32, 1, U, U, 5, 3, OP_CLIP, NO, false, false},
        {32, 9, 32, 3, 2, 32, 1, S, S, 5, -3, OP_HARD_SWISH, NO, false, false},
        {32, 9, 16, 3, 2, 4, 1, U, U, 0, 9, OP_SWISH, NO, false, false},
        {17, 9, 34, 3, 1, 17, 1, U, U, 4, 9, OP_LEAKY_RELU, NO, false, false},
        {16, 9, 24, 3, 1, 1, 1, U, F, 12, 0, OP_RELU, NO, false, false},
        {16, 9, 24, 3, 1, 1, 1, S, F, 0, 0, OP_SIGMOID, NO, false, false},
        {16, 9, 24, 3, 1, 1, 1, U, U, 3, 20, OP_CLIP, NO, false, true},
        {1, 28, 8, 5, 1, 1, 2, U, U, 0, 128, OP_TANH, NO, true, true},
        {32, 1, 8, 1, 1, 1, 0, U, U, 0, 0, OP_HARD_SIGMOID, NO, false, false},
        {32, 7, 32, 1, 1, 1, 0, U, U, 0, 0, OP_GELU, U, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        one_conv(&cases[i], (int)i);
}

/* The residual is read by others too, so it can't be added in place. */
static void
test_shared_residual(void **state)
{
    struct graph *g = graph_new();
    int x = pair(g, both_input(g, "x", SHAPE(1, 32, 9, 9)), U, 0.02f, 3);
    int a = pair(
        g,
        NODE(g, OP_RELU,
             NODE(g, OP_CONV, x, weights(g, SHAPE(32, 32, 1, 1), 0, false))),
        U, 0.04f, 0);
    int b = NODE(g, OP_CONV, a, weights(g, SHAPE(32, 32, 1, 1), 0, false));
    int c = pair(g, NODE(g, OP_RELU, NODE(g, OP_ADD, b, a)), U, 0.05f, 2);
    int d = NODE(g, OP_CONV, a, weights(g, SHAPE(32, 32, 1, 1), 0, false));

    (void)state;
    check(g, quantize(g, NODE(g, OP_ADD, d, c), U, 0.1f, 90), 1, "dnn.conv/", 1,
          "shared residual");
}

static void
one_matmul(bool gemm, enum dtype x, int zero, enum dtype out, enum op after,
           bool per_column, bool bias)
{
    struct graph *g = graph_new();
    int a = pair(g, both_input(g, "a", SHAPE(6, 48)), x, 0.02f, zero);
    int w = gemm ? weights(g, SHAPE(20, 48), per_column ? 0 : -1, false)
                 : weights(g, SHAPE(48, 20), per_column ? 1 : -1, false);
    int y = !gemm  ? NODE(g, OP_MATMUL, a, w)
            : bias ? NODE(g, OP_GEMM, a, w, both_const(g, SHAPE(20), 1))
                   : NODE(g, OP_GEMM, a, w);

    if (gemm)
        attr_set_int(g, MADE(g, y), "transB", 1);
    if (bias && !gemm)
        y = NODE(g, OP_ADD, y, both_const(g, SHAPE(20), 1));
    if (after != NONE)
        y = NODE(g, after, y);
    if (out != F)
        y = quantize(g, y, out, 0.03f, out == U ? 120 : 4);
    check(g, y, out == F ? 1e-4 : 1, "dnn.matmul/", 1,
          gemm ? "Gemm" : "MatMul");
}

static void
test_matmul(void **state)
{
    (void)state;
    one_matmul(true, U, 0, U, OP_RELU, true, true);
    one_matmul(true, U, 77, F, NONE, true, true);
    one_matmul(true, S, 0, S, NONE, false, false);
    one_matmul(true, S, -20, U, OP_TANH, true, true);
    one_matmul(false, U, 128, F, OP_GELU, true, false);
    one_matmul(false, S, 3, S, NONE, true, false);
    one_matmul(false, U, 0, U, NONE, false, false);
    one_matmul(false, U, 100, F, OP_RELU, true, true);
    one_matmul(false, S, 1, S, OP_GELU, true, true);
}

/* A factor and an offset behind the activation stay in the product. */
static void
test_affine(void **state)
{
    struct graph *g = graph_new();
    int x = pair(g, both_input(g, "x", SHAPE(1, 16, 9, 9)), U, 0.02f, 3);
    int y = NODE(g, OP_CONV, x, weights(g, SHAPE(16, 16, 1, 1), 0, false));

    (void)state;
    y = NODE(g, OP_MUL, scalar_float(g, 1.7f), NODE(g, OP_HARD_SWISH, y));
    y = NODE(g, OP_ADD, y, scalar_float(g, -0.6f));
    check(g, quantize(g, y, U, 0.02f, 60), 1, "dnn.conv/", 1, "Conv, affine");

    g = graph_new();
    x = pair(g, both_input(g, "x", SHAPE(1, 16, 9, 9)), U, 0.02f, 3);
    y = NODE(g, OP_CONV, x, weights(g, SHAPE(16, 16, 1, 1), 0, false));
    y = NODE(g, OP_ADD, y, scalar_float(g, -0.6f));
    check(g, quantize(g, NODE(g, OP_RELU, y), U, 0.02f, 0), 1, "dnn.conv/", 1,
          "Conv, offset, Relu");
}

/* PyTorch's 7-bit activations: Q -> Clip to 127 -> DQ. */
static void
test_clipped_bytes(void **state)
{
    struct graph *g = graph_new();
    int x = quantize(g, both_input(g, "x", SHAPE(1, 16, 9, 9)), U, 0.02f, 60);
    int y;

    (void)state;
    x = NODE(g, OP_CLIP, x, scalar_byte(g, U, 0), scalar_byte(g, U, 127));
    x = dequantize(g, x, U, 0.02f, 60);
    y = NODE(g, OP_CONV, x, weights(g, SHAPE(16, 16, 1, 1), 0, false));
    check(g, quantize(g, y, U, 0.02f, 60), 1, "dnn.eltwise/table", 1,
          "Conv of clipped bytes");
}

/* Two steps of one kind behind a product: oneDNN 2.6.3 runs the second with
 * the parameters of the first. */
static void
test_twice(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct graph *g = graph_new();
        int x = pair(g, both_input(g, "x", SHAPE(1, 16, 9, 9)), U, 0.02f, 3);
        int r = pair(g, both_input(g, "r", SHAPE(1, 16, 9, 9)), U, 0.02f, 50);
        int y = NODE(g, OP_CONV, x, weights(g, SHAPE(16, 16, 1, 1), 0, false));

        if (form == 0) { /* linear, hard sigmoid */
            y = NODE(g, OP_MUL, y, scalar_float(g, 1.3f));
            y = NODE(g, OP_ADD, y, scalar_float(g, -0.3f));
            y = NODE(g, OP_HARD_SIGMOID, y);
        } else if (form == 1) { /* clip, clip */
            y = NODE(g, OP_CLIP, y, scalar_float(g, -1), scalar_float(g, 1));
            y = NODE(g, OP_ADD, y, scalar_float(g, 0.2f));
            y = NODE(g, OP_CLIP, y, scalar_float(g, 0), scalar_float(g, 1.1f));
        } else if (form == 2) { /* leaky, sum, relu */
            y = NODE(g, OP_ADD, NODE(g, OP_LEAKY_RELU, y), r);
            y = NODE(g, OP_RELU, y);
        } else { /* leaky twice */
            y = NODE(g, OP_ADD, NODE(g, OP_LEAKY_RELU, y), r);
            y = NODE(g, OP_LEAKY_RELU, y);
            attr_set_float(g, MADE(g, y), "alpha", 0.3f);
        }
        check(g, quantize(g, y, U, 0.01f, 90), 1,
              form == 3 ? NULL : "dnn.conv/", form == 3 ? -1 : form / 2 + 1,
              "two steps of one kind");
    }
}

/* Weights that are turned behind their DequantizeLinear. */
static void
test_turned_weights(void **state)
{
    (void)state;
    for (int per_column = 0; per_column < 2; per_column++) {
        struct graph *g = graph_new();
        int x = pair(g, both_input(g, "x", SHAPE(3, 5, 32)), U, 0.02f, 100);
        int w = weights(g, SHAPE(24, 32), per_column ? 0 : -1, false);
        int64_t perm[2] = {1, 0};
        int t = NODE(g, OP_TRANSPOSE, w);

        attr_set_ints(g, MADE(g, t), "perm", perm, 2);
        check(g, NODE(g, OP_MATMUL, x, t), 1e-4, "dnn.matmul/", 1,
              "MatMul with turned weights");
    }
}

static void
one_pair_of_activations(enum dtype t, int zero, enum dtype out)
{
    struct graph *g = graph_new();
    int a = pair(g, both_input(g, "a", SHAPE(2, 3, 5, 16)), U, 0.02f, 100);
    int b = pair(g, both_input(g, "b", SHAPE(2, 3, 16, 9)), t, 0.02f, zero);
    int y = NODE(g, OP_MATMUL, a, b);

    if (out != F)
        y = quantize(g, y, out, 0.02f, 100);
    check(g, y, out == F ? 1e-4 : 1, "dnn.matmul/",
          engine_has_vnni() ? 2
          : out == F        ? 4
                            : 5,
          "MatMul of two activations");
}

static void
test_two_activations(void **state)
{
    (void)state;
    one_pair_of_activations(S, 0, F);
    one_pair_of_activations(S, -7, F);
    one_pair_of_activations(U, 128, U);
    one_pair_of_activations(U, 0, F);
    one_pair_of_activations(U, 131, U);
}

/* Operators that only move elements leave no Q and DQ behind. */
static void
test_movement(void **state)
{
    static const enum op ops[] = {OP_RESHAPE,  OP_TRANSPOSE,       OP_FLATTEN,
                                  OP_MAX_POOL, OP_GLOBAL_MAX_POOL, OP_PAD,
                                  OP_RESIZE,   OP_SLICE,           OP_SQUEEZE};

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (int change = 0; change < 2; change++) {
            struct graph *g = graph_new();
            int x = pair(g, both_input(g, "x", SHAPE(1, 8, 6, 6)), U, 0.02f, 9);
            int64_t v[8] = {8, 36, 0, 0, 1, 2, 0, 1};
            int64_t sizes[4] = {1, 8, 12, 12}, one = 1, zero = 0;
            int in[4] = {x, -1, -1, -1}, n_in = 1, y;

            if (ops[i] == OP_RESHAPE)
                in[n_in++] =
                    graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(2), v);
            if (ops[i] == OP_PAD) {
                v[0] = v[1] = 0;
                v[2] = 1;
                in[n_in++] =
                    graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(8), v);
            }
            if (ops[i] == OP_SQUEEZE)
                in[n_in++] =
                    graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(1), &zero);
            if (ops[i] == OP_SLICE) {
                in[1] = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(1), &one);
                in[2] =
                    graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(1), &sizes[1]);
                in[3] = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(1), &one);
                n_in = 4;
            }
            if (ops[i] == OP_RESIZE) {
                in[3] = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(4), sizes);
                n_in = 4;
            }
            y = both_node(g, ops[i], in, n_in);
            if (ops[i] == OP_MAX_POOL) {
                int64_t two[2] = {2, 2};

                attr_set_ints(g, MADE(g, y), "kernel_shape", two, 2);
                attr_set_ints(g, MADE(g, y), "strides", two, 2);
            }
            y = change ? quantize(g, y, S, 0.03f, -5)
                       : quantize(g, y, U, 0.02f, 9);
            check(g, y, 0, change ? "dnn.eltwise/table" : NULL, 1,
                  op_name(ops[i]));
        }
}

static void
test_concat(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++)
        for (int axis = 0; axis < 4; axis++) {
            struct graph *g = graph_new();
            int a = pair(g, both_input(g, "a", SHAPE(2, 6, 5, 7)), U, 0.02f, 9);
            int b = pair(g, both_input(g, "b", SHAPE(2, 6, 5, 7)), same ? U : S,
                         same ? 0.02f : 0.015f, 9);
            int y = NODE(g, OP_CONCAT, a, b);

            attr_set_int(g, MADE(g, y), "axis", axis);
            check(g, quantize(g, y, U, 0.02f, 9), 0, "dnn.concat/", 2,
                  "Concat");
        }
}

static void
test_binary(void **state)
{
    static const enum op ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MAX};
    static const enum dtype types[] = {U, S};
    const struct shape others[] = {SHAPE(2, 6, 5, 7), SHAPE(2, 6, 1, 1)};

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (int k = 0; k < 16; k++) {
            struct graph *g = graph_new();
            int a = pair(g, both_input(g, "a", SHAPE(2, 6, 5, 7)), types[k & 1],
                         0.02f, 9);
            int b = pair(g, both_input(g, "b", others[k >> 3]),
                         types[k >> 1 & 1], 0.013f, 30);
            int y = NODE(g, ops[i], a, b);

            if (k >> 2 & 1)
                y = NODE(g, OP_RELU, y);
            check(g, quantize(g, y, types[k & 1], 0.03f, 11), 0,
                  "dnn.eltwise/loop", 2, op_name(ops[i]));
        }
}

static void
test_unary(void **state)
{
    static const enum op ops[] = {
        OP_ABS,  OP_CLIP,         OP_ELU,        OP_ERF,        OP_EXP,
        OP_GELU, OP_HARD_SIGMOID, OP_HARD_SWISH, OP_LEAKY_RELU, OP_NEG,
        OP_RELU, OP_SIGMOID,      OP_SOFTPLUS,   OP_TANH};

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct graph *g = graph_new();
        int x = pair(g, both_input(g, "x", SHAPE(2, 5, 7, 9)), S, 0.03f, 9);
        int y = NODE(g, OP_RELU, NODE(g, ops[i], x));

        check(g, quantize(g, y, U, 0.02f, 3), 1, "dnn.eltwise/table", 1,
              op_name(ops[i]));
    }
}

static void
test_average(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        struct graph *g = graph_new();
        int x = pair(g, both_input(g, "x", SHAPE(2, 33, 7, 7)), k & 1 ? U : S,
                     0.03f, 9);
        bool global = k & 2, quantized = k & 4;
        int y = NODE(g, global ? OP_GLOBAL_AVERAGE_POOL : OP_AVERAGE_POOL, x);

        if (!global) {
            int64_t kernel[2] = {3, 3}, pads[4] = {1, 0, 1, 2};

            attr_set_ints(g, MADE(g, y), "kernel_shape", kernel, 2);
            attr_set_ints(g, MADE(g, y), "pads", pads, 4);
            attr_set_int(g, MADE(g, y), "count_include_pad", k & 1);
        }
        if (quantized)
            y = quantize(g, y, U, 0.011f, 100);
        check(g, y, quantized ? 1 : 1e-5, "dnn.pool_int/", 1, "average");
    }
}

/* Few channels and many points: sums are taken several points at once. */
static void
test_average_of_many(void **state)
{
    (void)state;
    for (int c = 1; c < 40; c += 13) {
        struct graph *g = graph_new();
        int x = pair(g, both_input(g, "x", SHAPE(2, c, 45, 50)), U, 0.03f, 9);
        int y = NODE(g, OP_GLOBAL_AVERAGE_POOL, x);

        check(g, quantize(g, y, S, 0.003f, -100), 1, "dnn.pool_int/", 1,
              "average of many");
    }
}

/* Rows get their scale at run time: a row alone is answered as in a batch. */
static void
test_dynamic(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct graph *g = graph_new();
        int a = both_input(g, "a", SHAPE(3, 4, 96));
        int w = weights(g, SHAPE(96, 40), 1, k & 1);
        int y = NODE(g, OP_MATMUL, a, w);

        graph_set_meta(g, META_DYNAMIC, "row");
        if (k & 2)
            y = NODE(g, OP_GELU,
                     NODE(g, OP_ADD, y, both_const(g, SHAPE(40), 1)));
        both_check(g, y, 0.02, "dnn.matmul_row/", "MatMul by rows");
    }
}

/* As ONNX Runtime's dynamic quantizer writes it: the scale of the tensor is
 * found at run time, the product has integers only. */
static void
one_integer_product(bool unsign, int zero, bool per_column)
{
    struct graph *g = graph_new();
    struct shape unknown = {.rank = SHAPE_UNKNOWN};
    enum dtype t = unsign ? U : S;
    int8_t w[48 * 20];
    uint8_t zeros[20];
    int x = both_input(g, "x", SHAPE(2, 3, 48)), out[3], y, max = weight_max();

    for (int i = 0; i < 3; i++)
        out[i] = graph_add_value(g, NULL, DTYPE_NONE, &unknown);
    graph_add_node(g, OP_DYNAMIC_QUANTIZE_LINEAR, "quantize", &x, 1, out, 3);
    for (size_t i = 0; i < sizeof w; i++)
        w[i] = (int8_t)(both_int(-max, max) + (unsign ? 128 : 0));
    for (int i = 0; i < 20; i++)
        zeros[i] = (uint8_t)(zero + i % 3);
    y = NODE(g, OP_MATMUL_INTEGER, out[0],
             graph_add_const(g, NULL, t, &SHAPE(48, 20), w), out[2],
             per_column ? graph_add_const(g, NULL, t, &SHAPE(20), zeros)
                        : scalar_byte(g, t, zero));
    both_check(g, y, 0, "dnn.matmul_int/", "MatMulInteger");
}

static void
test_integer_product(void **state)
{
    (void)state;
    one_integer_product(false, 0, false);
    one_integer_product(false, 5, false);
    one_integer_product(true, 128, false);
    one_integer_product(true, 120, true);
    one_integer_product(false, -3, true);
}

/* PyTorch's fake quantization of a net that was not fused first: Relu stands
 * behind the DQ of what comes before it. */
static void
test_late_relu(void **state)
{
    static const enum dtype types[] = {U, S};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct graph *g = graph_new();
        int x = pair(g, both_input(g, "x", SHAPE(2, 8, 9, 9)), types[i], 0.02f,
                     i ? -3 : 120);
        int y = NODE(g, OP_CONV, NODE(g, OP_RELU, x),
                     weights(g, SHAPE(16, 8, 3, 3), 0, false));

        both_check(g, quantize(g, y, U, 0.03f, 99), 1,
                   types[i] == U || engine_has_vnni()
                       ? "dnn.eltwise/table dnn.reorder/jit:uni dnn.conv/"
                       : "dnn.conv/",
                   "Relu behind DQ");
    }
}

/* Integers of 16 bits are computed with as floats, and turned as they are. */
static void
test_sixteen_bits(void **state)
{
    static const struct {
        enum dtype t;
        uint16_t zero;
    } types[] = {{DTYPE_UINT16, 40000}, {DTYPE_INT16, (uint16_t)-1234}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct graph *g = graph_new();
        int x = both_input(g, "x", SHAPE(2, 6, 7, 9)), y;
        int zero =
            graph_add_const(g, NULL, types[i & 1].t, &(struct shape){.rank = 0},
                            &types[i & 1].zero);
        int scale = scalar_float(g, i & 2 ? 1e-4f : 1e-6f);

        if (i & 2) /* channels lie innermost */
            x = NODE(g, OP_CONV, x, both_const(g, SHAPE(6, 6, 1, 1), 1));
        y = NODE(g, OP_QUANTIZE_LINEAR, x, scale, zero);
        y = NODE(g, OP_DEQUANTIZE_LINEAR, NODE(g, OP_TRANSPOSE, y), scale,
                 zero);
        both_check(g, y, i & 2 ? 1.1e-4 : 1e-6, "dnn.quantize/loop", "16 bits");
    }
}

/* What can't be joined says why, and is right all the same. */
static void
test_not_joined(void **state)
{
    struct graph *g = graph_new();
    int x = pair(g, both_input(g, "x", SHAPE(1, 8, 5, 5)), U, 0.02f, 9);
    int w = pair(g, both_input(g, "w", SHAPE(8, 8, 1, 1)), S, 0.02f, 0);

    (void)state;
    check(g, NODE(g, OP_CONV, x, w), 1e-5, "weights are not constant", 4,
          "Conv with weights that are an input");
    g = graph_new();
    x = both_input(g, "x", SHAPE(1, 8, 5, 5));
    check(g, NODE(g, OP_CONV, x, weights(g, SHAPE(8, 8, 1, 1), 0, false)), 1e-5,
          "the input is not quantized", 0, "Conv of floats");
}

/* Without VNNI, pairs of 8-bit products saturate. */
static void
test_full_range(void **state)
{
    int8_t bytes[8 * 8];
    struct graph *g = graph_new();
    int x = pair(g, both_input(g, "x", SHAPE(1, 8, 5, 5)), U, 0.008f, 0), w;

    (void)state;
    memset(bytes, 127, sizeof bytes);
    w = graph_add_const(g, NULL, S, &SHAPE(8, 8, 1, 1), bytes);
    w = dequantize(g, w, S, 0.01f, 0);
    check(g, quantize(g, NODE(g, OP_CONV, x, w), U, 0.1f, 0), 1,
          engine_has_vnni() ? "dnn.conv/" : "without VNNI",
          engine_has_vnni() ? 1 : 3, "Conv with weights of 127");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_shared_residual),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_clipped_bytes),
        cmocka_unit_test(test_turned_weights),
        cmocka_unit_test(test_two_activations),
        cmocka_unit_test(test_movement),
        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_average_of_many),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_integer_product),
        cmocka_unit_test(test_late_relu),
        cmocka_unit_test(test_sixteen_bits),
        cmocka_unit_test(test_not_joined),
        cmocka_unit_test(test_full_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
