/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights whose zero point is not the middle of their type, as ONNX Runtime's
 * quantizer makes them by default for uint8, and products whose scale is found
 * at run time: integer kernels against the plain chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/integers.h"

static void
one_matmul(bool gemm, enum dtype x, int x_zero, bool is_unsigned, int w_zero,
           bool per_column, enum dtype out)
{
    struct graph *g = graph_new();
    int a = pair(g, both_input(g, "a", SHAPE(6, 48)), x, 0.02f, x_zero);
    int w = gemm ? weights_around(g, SHAPE(20, 48), per_column ? 0 : -1,
                                  is_unsigned, w_zero, 0)
                 : weights_around(g, SHAPE(48, 20), per_column ? 1 : -1,
                                  is_unsigned, w_zero, 0);
    int y = gemm ? NODE(g, OP_GEMM, a, w, both_const(g, SHAPE(20), 1))
                 : NODE(g, OP_MATMUL, a, w);

    if (gemm)
        attr_set_int(g, MADE(g, y), "transB", 1);
    y = NODE(g, OP_RELU, y);
    if (out != F)
        y = quantize(g, y, out, 0.03f, out == U ? 120 : 4);
    check(g, y, out == F ? 1e-4 : 1, "dnn.matmul/", 1,
          gemm ? "Gemm" : "MatMul");
}

static void
test_matmul(void **state)
{
    (void)state;
    one_matmul(true, U, 0, true, 120, false, U);
    one_matmul(true, U, 77, true, 255, true, F);
    one_matmul(true, S, -20, false, 9, false, S);
    one_matmul(false, U, 128, true, 0, true, F);
    one_matmul(false, S, 3, false, -128, false, S);
    one_matmul(false, U, 0, false, 1, false, U);
}

/* Zero points that differ by column have no kernel; the note says so. */
static void
test_many_zero_points(void **state)
{
    struct graph *g = graph_new();
    int a = pair(g, both_input(g, "a", SHAPE(6, 48)), U, 0.02f, 3);
    int w = weights_around(g, SHAPE(48, 20), 1, true, 120, 4);

    (void)state;
    check(g, NODE(g, OP_MATMUL, a, w), 1e-5, "weights have many zero points", 2,
          "MatMul with many zero points");
}

/* --- convolutions -------------------------------------------------------- */

struct conv_case {
    int c, o, group, kernel, pad;
    enum dtype x, y;
    int x_zero;
    bool is_unsigned, per_channel;
    int w_zero, step;    /* of the weights' zero points */
    enum dtype residual; /* DTYPE_NONE: none */
    enum op after;
};

static int
window(struct graph *g, int y, const struct conv_case *c)
{
    const int64_t pads[4] = {c->pad, c->pad, c->pad, c->pad};

    attr_set_ints(g, MADE(g, y), "pads", pads, 4);
    attr_set_int(g, MADE(g, y), "group", c->group);
    return y;
}

static void
one_conv(const struct conv_case *c)
{
    struct graph *g = graph_new();
    int x = pair(g, both_input(g, "x", SHAPE(2, c->c, 9, 9)), c->x, 0.02f,
                 c->x_zero);
    int w = weights_around(
        g, SHAPE(c->o, c->c / c->group, c->kernel, c->kernel),
        c->per_channel ? 0 : -1, c->is_unsigned, c->w_zero, c->step);
    int y = NODE(g, OP_CONV, x, w, both_const(g, SHAPE(c->o), 0.5f));
    int out = 9 + 2 * c->pad - c->kernel + 1;

    window(g, y, c);
    if (c->residual != DTYPE_NONE) {
        int r = both_input(g, "r", SHAPE(2, c->o, out, out));

        if (c->residual != F)
            r = pair(g, r, c->residual, 0.017f, 3);
        y = NODE(g, OP_ADD, r, y);
    }
    if (c->after != NONE)
        y = NODE(g, c->after, y);
    if (c->y != F)
        y = quantize(g, y, c->y, 0.04f, 3);
    both_check(g, y, c->y == F ? 1e-4 : 1, "dnn.conv_int/",
               "Conv with a zero point of its weights");
}

static void
test_conv(void **state)
{
    static const struct conv_case cases[] = {
        {8, 16, 1, 3, 1, U, U, 7, true, false, 120, 0, DTYPE_NONE, OP_RELU},
        {8, 16, 1, 3, 1, U, S, 0, false, true, -5, 4, S, OP_RELU},
        {16, 16, 16, 3, 1, U, U, 130, true, true, 130, 3, DTYPE_NONE,
         OP_HARD_SWISH},
        {32, 64, 2, 1, 0, U, U, 9, true, false, 111, 0, U, NONE},
        {3, 20, 1, 5, 2, U, F, 128, true, false, 127, 0, DTYPE_NONE,
         OP_SIGMOID},
        {3, 20, 1, 5, 2, U, F, 128, false, false, 4, 0, F, OP_LEAKY_RELU},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        one_conv(&cases[i]);
}

/* As NNCF writes it: the input of a depthwise convolution has a scale and a
 * zero point for each channel. */
static void
one_depthwise(enum dtype t, int kernel, int stride, int dilation,
              bool is_unsigned, int w_zero, enum dtype out, bool after_conv)
{
    enum { C = 24 };
    struct graph *g = graph_new();
    const int64_t pads[4] = {2, 1, 1, 3}, strides[2] = {stride, 1},
                  dilations[2] = {1, dilation};
    float scale[C];
    uint8_t zero[C];
    int x = both_input(g, "x", SHAPE(2, C, 11, 9)), s, z, y;

    if (after_conv) /* channels lie innermost then */
        x = NODE(g, OP_CONV, x, both_const(g, SHAPE(C, C, 1, 1), 0.5f));
    for (int c = 0; c < C; c++) {
        scale[c] = 0.01f + 0.001f * (float)c;
        zero[c] = (uint8_t)(t == U ? 100 + c : c - 12);
    }
    s = graph_add_const(g, NULL, F, &SHAPE(C), scale);
    z = graph_add_const(g, NULL, t, &SHAPE(C), zero);
    x = NODE(g, OP_QUANTIZE_LINEAR, x, s, z);
    attr_set_int(g, MADE(g, x), "axis", 1);
    x = NODE(g, OP_DEQUANTIZE_LINEAR, x, s, z);
    attr_set_int(g, MADE(g, x), "axis", 1);
    y = NODE(g, OP_CONV, x,
             weights_around(g, SHAPE(C, 1, kernel, kernel), 0, is_unsigned,
                            w_zero, 0),
             both_const(g, SHAPE(C), 0.5f));
    attr_set_ints(g, MADE(g, y), "pads", pads, 4);
    attr_set_ints(g, MADE(g, y), "strides", strides, 2);
    attr_set_ints(g, MADE(g, y), "dilations", dilations, 2);
    attr_set_int(g, MADE(g, y), "group", C);
    y = NODE(g, OP_RELU, y);
    if (out != F)
        y = quantize(g, y, out, 0.04f, 3);
    both_check(g, y, out == F ? 1e-4 : 1,
               t == S && !engine_has_vnni() ? "dnn.conv" : "dnn.conv_int/",
               "depthwise Conv with many zero points");
}

static void
test_depthwise(void **state)
{
    (void)state;
    one_depthwise(S, 3, 1, 1, false, 0, U, false);
    one_depthwise(S, 3, 2, 1, false, 0, F, false);
    one_depthwise(U, 5, 1, 1, true, 122, S, true);
    one_depthwise(U, 3, 2, 3, false, -4, U, false);
    one_depthwise(S, 3, 1, 1, false, 0, U, true);
}

/* --- with the scale of what is there ------------------------------------- */

/* x, its scale and zero point, quantized by its own range. */
static void
dynamic(struct graph *g, int x, int out[3])
{
    const struct shape unknown = {.rank = SHAPE_UNKNOWN};

    for (int i = 0; i < 3; i++)
        out[i] = graph_add_value(g, NULL, DTYPE_NONE, &unknown);
    graph_add_node(g, OP_DYNAMIC_QUANTIZE_LINEAR, "quantize", &x, 1, out, 3);
}

static int
bytes(struct graph *g, struct shape s, enum dtype t)
{
    size_t n = shape_n(&s);
    uint8_t *w = mem_new(n, 1);
    int id, max = weight_max();

    for (size_t i = 0; i < n; i++)
        w[i] = (uint8_t)(both_int(-max, max) + (t == U ? 128 : 0));
    id = graph_add_const(g, NULL, t, &s, w);
    mem_free(w);
    return id;
}

/* Cast, Mul with the product of the scales, Add. */
static int
real(struct graph *g, int sum, int x_scale, int w_scale, int bias)
{
    int y = NODE(g, OP_CAST, sum);

    attr_set_int(g, MADE(g, y), "to", F);
    y = NODE(g, OP_MUL, y, NODE(g, OP_MUL, x_scale, w_scale));
    return bias < 0 ? y : NODE(g, OP_ADD, bias, y);
}

static int
scales(struct graph *g, struct shape s)
{
    return NODE(g, OP_ADD, both_const(g, s, 0.001f), scalar_float(g, 0.002f));
}

static void
one_scaled_matmul(enum dtype t, int zero, bool per_column, bool bias,
                  enum op after)
{
    struct graph *g = graph_new();
    struct shape columns = per_column ? SHAPE(20) : SHAPE(1);
    int q[3], y;

    dynamic(g, both_input(g, "x", SHAPE(2, 3, 48)), q);
    y = NODE(g, OP_MATMUL_INTEGER, q[0], bytes(g, SHAPE(48, 20), t), q[2],
             scalar_byte(g, t, zero));
    y = real(g, y, q[1], scales(g, columns),
             bias ? both_const(g, SHAPE(20), 1) : -1);
    if (after != NONE)
        y = NODE(g, after, y);
    both_check(g, y, 1e-5, "dnn.matmul_int/", "MatMulInteger, Cast, Mul");
}

static void
test_scaled_matmul(void **state)
{
    (void)state;
    one_scaled_matmul(S, 0, false, true, OP_RELU);
    one_scaled_matmul(S, -9, true, false, NONE);
    one_scaled_matmul(U, 128, true, true, OP_GELU);
    one_scaled_matmul(U, 117, false, false, OP_TANH);
}

/* sum_only: nothing makes the sums real. */
static void
one_conv_integer(const struct conv_case *c, bool sum_only, const char *want)
{
    struct graph *g = graph_new();
    enum dtype t = c->is_unsigned ? U : S;
    uint8_t zeros[64];
    int q[3], y, z;

    for (int i = 0; i < c->o; i++)
        zeros[i] = (uint8_t)(c->w_zero + i % 3 * c->step);
    z = c->per_channel ? graph_add_const(g, NULL, t, &SHAPE(c->o), zeros)
                       : scalar_byte(g, t, c->w_zero);
    dynamic(g, both_input(g, "x", SHAPE(2, c->c, 9, 9)), q);
    y = NODE(g, OP_CONV_INTEGER, q[0],
             bytes(g, SHAPE(c->o, c->c / c->group, c->kernel, c->kernel), t),
             q[2], z);
    window(g, y, c);
    if (!sum_only)
        y = real(g, y, q[1],
                 scales(g, c->per_channel ? SHAPE(1, c->o, 1, 1) : SHAPE(1)),
                 c->residual == DTYPE_NONE
                     ? -1
                     : both_const(g, SHAPE(c->o, 1, 1), 1));
    if (c->after != NONE)
        y = NODE(g, c->after, y);
    both_check(g, y, sum_only ? 0 : 1e-5, want, "ConvInteger");
}

static void
test_conv_integer(void **state)
{
    static const struct conv_case cases[] = {
        {8, 16, 1, 3, 1, U, F, 0, false, false, 0, 0, F, OP_RELU},
        {8, 16, 1, 3, 1, U, F, 0, true, true, 122, 5, F, OP_TANH},
        {16, 16, 16, 3, 1, U, F, 0, true, false, 130, 0, DTYPE_NONE, NONE},
        {3, 20, 1, 5, 2, U, F, 0, false, true, 0, 0, F, NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conv_case bare = cases[i];

        one_conv_integer(&cases[i], false, "dnn.conv_int/");
        bare.after = NONE;
        one_conv_integer(&bare, true, "dnn.conv_int/");
    }
}

/* What has no integer kernel is computed in float32: groups of one channel
 * with two outputs, for which oneDNN has only one that errs, and weights of all
 * 8 bits where they saturate. */
static void
test_wide(void **state)
{
    static const struct conv_case c = {8, 16,   8,    3,   1, U, F,
                                       0, true, true, 122, 5, F, OP_TANH};
    struct graph *g = graph_new();
    int8_t w[48 * 20];
    int q[3], y;

    (void)state;
    one_conv_integer(&c, false, "dnn.wide/");
    for (size_t i = 0; i < sizeof w; i++)
        w[i] = (int8_t)both_int(-128, 127);
    dynamic(g, both_input(g, "x", SHAPE(5, 48)), q);
    y = NODE(g, OP_MATMUL_INTEGER, q[0],
             graph_add_const(g, NULL, S, &SHAPE(48, 20), w), q[2],
             scalar_byte(g, S, 3));
    y = real(g, y, q[1], scales(g, SHAPE(20)), both_const(g, SHAPE(20), 1));
    both_check(g, NODE(g, OP_RELU, y), 1e-5,
               engine_has_vnni() ? "dnn.matmul_int/" : "dnn.wide/",
               "MatMulInteger with all of 8 bits");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_many_zero_points),
        cmocka_unit_test(test_scaled_matmul),
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_conv_integer),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_wide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
