/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators on quantized tensors become DequantizeLinear, the operator,
 * QuantizeLinear; what can't is refused.  What they compute is held against
 * ONNX's vectors (tests/op/vectors) and against ONNX Runtime (tests/e2e).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/onnx_make.h"

#define MS "com.microsoft"

/* x is uint8 [1,2,4,4]; scales s, t and zero points z (uint8), i (int8). */
static Onnx__NodeProto *
one_node(struct make *m, const char *domain, const char *op_type,
         const char *in)
{
    static const float s = 0.5f, t = 0.25f;
    static const uint8_t z = 7;
    static const int8_t i = -3;
    Onnx__NodeProto *n;

    make_begin(m, 17);
    make_opset(m, MS, 1);
    make_input(m, "x", DTYPE_UINT8, MAKE_DIMS(1, 2, 4, 4));
    make_input(m, "u", DTYPE_FLOAT, -1, NULL);
    make_output(m, "y", DTYPE_UINT8, -1, NULL);
    make_initializer(m, "s", DTYPE_FLOAT, 0, NULL, &s, sizeof s);
    make_initializer(m, "t", DTYPE_FLOAT, 0, NULL, &t, sizeof t);
    make_initializer(m, "z", DTYPE_UINT8, 0, NULL, &z, sizeof z);
    make_initializer(m, "i", DTYPE_INT8, 0, NULL, &i, sizeof i);
    n = make_node(m, op_type, in, "y");
    n->domain = make_text(m, domain);
    return n;
}

static struct graph *
imported(struct make *m)
{
    struct graph *g = NULL;
    struct err e = {0};

    if (make_import(m, NULL, &g, &e) != 0)
        fail_msg("%s", e.msg);
    make_end(m);
    return g;
}

static void
refused(struct make *m, int code, const char *part)
{
    struct graph *g = NULL;
    struct err e;

    assert_int_equal(make_import(m, NULL, &g, &e), code);
    if (strstr(e.msg, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
    make_end(m);
}

/* The node that makes y's real values: y is made by QuantizeLinear. */
static struct node *
expect_quantized(struct graph *g, enum op op, int n_in)
{
    struct node *q = make_maker(g, "y"), *n;

    assert_non_null(q);
    assert_int_equal(q->op, OP_QUANTIZE_LINEAR);
    n = graph_producer(g, q->in[0]);
    assert_non_null(n);
    assert_int_equal(n->op, op);
    assert_int_equal(n->n_own, n_in);
    return n;
}

/* Input i of n is what DequantizeLinear makes of the value of that name. */
static struct node *
expect_real(struct graph *g, const struct node *n, int i, const char *name)
{
    struct node *d = graph_producer(g, n->in[i]);

    assert_non_null(d);
    assert_int_equal(d->op, OP_DEQUANTIZE_LINEAR);
    assert_string_equal(node_in(g, d, 0)->name, name);
    return d;
}

static void
convolutions(void **state)
{
    static const int8_t w[3 * 2] = {1, -2, 3, -4, 5, -6}, zeros[3] = {0};
    static const float scales[3] = {1, 2, 3};
    static const int32_t b[3] = {10, 20, 30};
    Onnx__NodeProto *p;
    struct node *n, *d;
    struct graph *g;
    struct make m;

    (void)state;
    p = one_node(&m, "", "QLinearConv", "x,s,z,w,ws,wz,t,z,b");
    make_int(&m, p, "group", 1);
    make_initializer(&m, "w", DTYPE_INT8, MAKE_DIMS(3, 2, 1, 1), w, sizeof w);
    make_initializer(&m, "ws", DTYPE_FLOAT, MAKE_DIMS(3), scales,
                     sizeof scales);
    make_initializer(&m, "wz", DTYPE_INT8, MAKE_DIMS(3), zeros, sizeof zeros);
    make_initializer(&m, "b", DTYPE_INT32, MAKE_DIMS(3), b, sizeof b);
    g = imported(&m);
    n = expect_quantized(g, OP_CONV, 3);
    assert_int_equal(attr_int(n, "group", 0), 1);
    expect_real(g, n, 0, "x");
    d = expect_real(g, n, 1, "w");
    assert_int_equal(attr_int(d, "axis", -9), 0);
    assert_non_null(node_in(g, d, 0)->data);
    d = expect_real(g, n, 2, "b");
    assert_int_equal(d->n_in, 2);
    assert_int_equal(graph_producer(g, d->in[1])->op, OP_MUL);
    graph_free(&g);
}

static void
two_operands(void **state)
{
    struct graph *g;
    struct node *n;
    struct make m;

    (void)state;
    one_node(&m, MS, "QLinearAdd", "x,s,z,x,t,,s,z");
    g = imported(&m);
    n = expect_quantized(g, OP_ADD, 2);
    assert_int_equal(expect_real(g, n, 0, "x")->n_in, 3);
    assert_int_equal(expect_real(g, n, 1, "x")->n_in, 2);
    graph_free(&g);
    one_node(&m, MS, "QLinearMul", "x,s,z,x,t");
    refused(&m, ERR_INVALID, "the scale of the output is missing");
    one_node(&m, MS, "QLinearAdd", "x,s,z,,t,z,s,z");
    refused(&m, ERR_INVALID, "input 3 is missing");
    one_node(&m, MS, "QLinearAdd", "x,s,z,x");
    refused(&m, ERR_INVALID, "input 4 is missing");
}

/* Without a zero point the output has the type of the input. */
static void
zero_points(void **state)
{
    struct graph *g;
    struct make m;

    (void)state;
    one_node(&m, MS, "QLinearSigmoid", "x,s,z,t");
    g = imported(&m);
    assert_int_equal(node_in(g, make_maker(g, "y"), 2)->dtype, DTYPE_UINT8);
    graph_free(&g);
    one_node(&m, MS, "QLinearLeakyRelu", "x,s,z,t,i");
    g = imported(&m);
    assert_string_equal(node_in(g, make_maker(g, "y"), 2)->name, "i");
    graph_free(&g);
    one_node(&m, MS, "QLinearSigmoid", "u,s,,t");
    refused(&m, ERR_UNSUPPORTED, "without a zero point");
}

static void
many_operands(void **state)
{
    struct graph *g;
    struct node *n;
    struct make m;

    (void)state;
    make_int(&m, one_node(&m, MS, "QLinearConcat", "t,z,x,s,z,x,t,z,x,s,z"),
             "axis", 1);
    g = imported(&m);
    n = expect_quantized(g, OP_CONCAT, 3);
    for (int i = 0; i < 3; i++)
        expect_real(g, n, i, "x");
    graph_free(&g);
    one_node(&m, MS, "QLinearConcat", "t,z,x,s,z,x");
    refused(&m, ERR_INVALID, "no triples");
}

static void
channels_last(void **state)
{
    static const int64_t kernel[] = {2, 2}, many[9] = {1};
    Onnx__NodeProto *p;
    const int64_t *perm;
    struct graph *g;
    struct node *n;
    struct make m;
    int count;

    (void)state;
    p = one_node(&m, MS, "QLinearAveragePool", "x,s,z,t,z");
    make_ints(&m, p, "kernel_shape", 2, kernel);
    make_int(&m, p, "channels_last", 1);
    g = imported(&m);
    n = make_maker(g, "y");
    assert_int_equal(n->op, OP_TRANSPOSE);
    perm = attr_ints(n, "perm", &count);
    assert_int_equal(count, 4);
    assert_memory_equal(perm, ((const int64_t[]){0, 2, 3, 1}),
                        4 * sizeof *perm);
    graph_free(&g);
    make_int(&m, one_node(&m, MS, "QLinearGlobalAveragePool", "u,s,z,t,z"),
             "channels_last", 1);
    refused(&m, ERR_UNSUPPORTED, "channels_last needs a tensor of known rank");
    one_node(&m, MS, "NhwcMaxPool", "x");
    refused(&m, ERR_UNSUPPORTED, "channels_last needs a tensor of known rank");
    make_ints(&m, one_node(&m, MS, "NhwcMaxPool", "x"), "kernel_shape", 9,
              many);
    refused(&m, ERR_UNSUPPORTED, "channels_last needs a tensor of known rank");
}

/* Which Softmax is meant is an attribute. */
static void
softmax(void **state)
{
    Onnx__NodeProto *p;
    struct graph *g;
    struct make m;

    (void)state;
    p = one_node(&m, MS, "QLinearSoftmax", "x,s,z,t,z");
    make_int(&m, p, "opset", 13);
    make_int(&m, p, "axis", 1);
    g = imported(&m);
    assert_int_equal(attr_int(expect_quantized(g, OP_SOFTMAX, 1), "axis", -9),
                     1);
    graph_free(&g);
    p = one_node(&m, MS, "QLinearSoftmax", "x,s,z,t,z");
    make_int(&m, p, "opset", 11);
    make_int(&m, p, "axis", 1);
    g = imported(&m);
    expect_quantized(g, OP_RESHAPE, 2); /* a matrix in between */
    graph_free(&g);
    p = one_node(&m, MS, "QLinearSoftmax", "x,s,z,t,z");
    make_int(&m, p, "opset", 1000);
    refused(&m, ERR_UNSUPPORTED, "opset = 1000");
}

static void
products(void **state)
{
    static const int8_t w[8] = {0};
    struct graph *g;
    struct node *n;
    struct make m;

    (void)state;
    one_node(&m, MS, "DynamicQuantizeMatMul", "u,w,s,i,t");
    make_initializer(&m, "w", DTYPE_INT8, MAKE_DIMS(4, 2), w, sizeof w);
    g = imported(&m);
    n = make_maker(g, "y");
    assert_int_equal(n->op, OP_ADD);
    n = graph_producer(g, n->in[0]);
    assert_int_equal(n->op, OP_MUL);
    n = graph_producer(g, n->in[0]);
    assert_int_equal(n->op, OP_CAST);
    n = graph_producer(g, n->in[0]);
    assert_int_equal(n->op, OP_MATMUL_INTEGER);
    assert_int_equal(graph_producer(g, n->in[0])->op,
                     OP_DYNAMIC_QUANTIZE_LINEAR);
    assert_string_equal(node_in(g, n, 3)->name, "i");
    graph_free(&g);

    /* A float output where no scale says otherwise. */
    one_node(&m, MS, "QGemm", "x,s,z,w,t,i");
    make_initializer(&m, "w", DTYPE_INT8, MAKE_DIMS(4, 2), w, sizeof w);
    g = imported(&m);
    n = make_maker(g, "y");
    assert_int_equal(n->op, OP_GEMM);
    assert_int_equal(n->n_own, 2);
    graph_free(&g);
}

/* As in a hostile file: any count of inputs, all of one kind. */
static void
no_inputs_crash_it(void **state)
{
    static const char *const types[] = {
        "DequantizeLinear",
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
        "NhwcMaxPool",
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearReduceMean",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QLinearWhere",
        "QuantizeLinear",
    };
    static const char *const names[] = {"x", "u", "s", ""};

    (void)state;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int n = 1; n < 13; n++)
            for (int k = 0; k < 16; k++) {
                char in[64] = "";
                struct graph *g = NULL;
                struct make m;
                struct err e;

                for (int i = 0; i < n; i++) {
                    strcat(in, i == 0 ? "" : ",");
                    strcat(in,
                           names[i == 0 ? k % 4 : (k / 4 + i * (k % 3)) % 4]);
                }
                make_int(&m, one_node(&m, MS, types[t], in), "channels_last",
                         k & 1);
                if (make_import(&m, NULL, &g, &e) == 0)
                    graph_free(&g);
                make_end(&m);
            }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),  cmocka_unit_test(two_operands),
        cmocka_unit_test(zero_points),   cmocka_unit_test(many_operands),
        cmocka_unit_test(channels_last), cmocka_unit_test(softmax),
        cmocka_unit_test(products),      cmocka_unit_test(no_inputs_crash_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
