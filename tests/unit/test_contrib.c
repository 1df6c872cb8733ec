/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators of com.microsoft: what they become, and what of them is refused.
 * Their numbers are held by tests/e2e/test_112_contrib.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/onnx_make.h"

/* --- helpers ------------------------------------------------------------ */

/* A model with float inputs x, w, b [2,3,4] and ids u [2,3], and one node of
 * com.microsoft, whose first output is y. */
static Onnx__NodeProto *
one_node(struct make *m, const char *op_type, const char *in, const char *out)
{
    Onnx__NodeProto *n;

    make_begin(m, 17);
    make_opset(m, "com.microsoft", 1);
    make_input(m, "x", DTYPE_FLOAT, MAKE_DIMS(2, 3, 4));
    make_input(m, "w", DTYPE_FLOAT, MAKE_DIMS(2, 3, 4));
    make_input(m, "b", DTYPE_FLOAT, MAKE_DIMS(2, 3, 4));
    make_input(m, "u", DTYPE_INT32, MAKE_DIMS(2, 3));
    make_input(m, "open", DTYPE_FLOAT, -1, NULL);
    make_output(m, "y", DTYPE_FLOAT, -1, NULL);
    n = make_node(m, op_type, in, out);
    n->domain = make_text(m, "com.microsoft");
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

/* The message follows: node "n_y": OP: */
static void
refused(struct make *m, int code, const char *message)
{
    char want[512];
    struct graph *g = NULL;
    struct err e;

    snprintf(want, sizeof want, "node \"n_y\": %s: %s",
             m->graph.node[0]->op_type, message);
    assert_int_equal(make_import(m, NULL, &g, &e), code);
    assert_string_equal(e.msg, want);
    make_end(m);
}

/* The operators from y back along first inputs, which must be these. */
static void
expect_chain(struct graph *g, const enum op *ops, int n)
{
    const struct node *at = make_maker(g, "y");

    for (int i = 0; i < n; i++) {
        assert_non_null(at);
        assert_string_equal(op_name(at->op), op_name(ops[i]));
        at = graph_producer(g, at->in[0]);
    }
    assert_null(at);
    graph_free(&g);
}

#define CHAIN(g, ...)                                                          \
    expect_chain(g, (const enum op[]){__VA_ARGS__},                            \
                 (int)(sizeof((enum op[]){__VA_ARGS__}) / sizeof(enum op)))

/* --- what they become --------------------------------------------------- */

static void
activations_stand_behind(void **state)
{
    Onnx__NodeProto *n;
    struct graph *g;
    struct make m;

    (void)state;
    n = one_node(&m, "FusedConv", "x,w,b,open", "y");
    make_string(&m, n, "activation", "LeakyRelu");
    make_floats(&m, n, "activation_params", 1, (const float[]){0.25f});
    make_int(&m, n, "group", 1);
    g = imported(&m);
    assert_string_equal(make_maker(g, "y")->name, "n_y");
    assert_float_equal(attr_float(make_maker(g, "y"), "alpha", 0), 0.25f, 0);
    CHAIN(g, OP_LEAKY_RELU, OP_ADD, OP_CONV);

    n = one_node(&m, "FusedConv", "x,w", "y");
    CHAIN(imported(&m), OP_IDENTITY, OP_CONV);

    n = one_node(&m, "FusedGemm", "x,w,b", "y");
    make_string(&m, n, "activation", "HardSigmoid");
    make_float(&m, n, "activation_alpha", 0.5f);
    make_float(&m, n, "activation_beta", 0.125f);
    make_float(&m, n, "alpha", 2);
    g = imported(&m);
    assert_float_equal(attr_float(make_maker(g, "y"), "alpha", 0), 0.5f, 0);
    assert_float_equal(attr_float(make_maker(g, "y"), "beta", 0), 0.125f, 0);
    CHAIN(g, OP_HARD_SIGMOID, OP_GEMM);
}

static void
ranks_decide_how_factors_are_turned(void **state)
{
    Onnx__NodeProto *n;
    struct graph *g;
    struct make m;

    (void)state;
    make_int(&m, one_node(&m, "FusedMatMul", "x,w", "y"), "transB", 1);
    CHAIN(imported(&m), OP_MATMUL);
    n = one_node(&m, "FusedMatMul", "open,w", "y");
    make_int(&m, n, "transA", 1);
    make_int(&m, n, "transBatchB", 1);
    g = imported(&m);
    assert_string_equal(attr_string(make_maker(g, "y"), "equation", ""),
                        "...ki,k...j->...ij");
    CHAIN(g, OP_EINSUM);
    make_float(&m, one_node(&m, "FusedMatMul", "open,w", "y"), "alpha", 2);
    CHAIN(imported(&m), OP_MUL, OP_MATMUL);
}

static void
outputs_are_given_or_have_no_maker(void **state)
{
    struct graph *g;
    struct make m;

    (void)state;
    one_node(&m, "SkipLayerNormalization", "x,w,b", "y,,,sum");
    make_output(&m, "sum", DTYPE_FLOAT, -1, NULL);
    g = imported(&m);
    assert_int_equal(make_maker(g, "sum")->op, OP_IDENTITY);
    assert_int_equal(make_maker(g, "y")->n_out, 1);
    assert_int_equal(make_maker(g, "y")->in[0], make_maker(g, "sum")->in[0]);
    CHAIN(g, OP_LAYER_NORMALIZATION, OP_ADD);

    one_node(&m, "SkipLayerNormalization", "x,w,b", "y,mean");
    make_output(&m, "mean", DTYPE_FLOAT, -1, NULL);
    {
        struct err e;

        assert_int_equal(make_import(&m, NULL, &g, &e), ERR_UNSUPPORTED);
        assert_non_null(strstr(e.msg, "value \"mean\""));
        make_end(&m);
    }
}

/* --- what is refused ---------------------------------------------------- */

static void
attention_is_checked(void **state)
{
    static const int64_t sizes[] = {4, 8, 4};
    Onnx__NodeProto *n;
    struct make m;

    (void)state;
    one_node(&m, "Attention", "x,w,b", "y");
    refused(&m, ERR_INVALID, "attribute num_heads is missing");
    make_int(&m, one_node(&m, "Attention", "x,w,b", "y"), "num_heads",
             INT64_MIN);
    refused(&m, ERR_INVALID, "attribute num_heads = -9223372036854775808");
    n = one_node(&m, "Attention", "x,w,b", "y");
    make_int(&m, n, "num_heads", 2);
    make_ints(&m, n, "qkv_hidden_sizes", 3, sizes);
    refused(&m, ERR_INVALID,
            "attribute qkv_hidden_sizes must be three sizes, the first two "
            "equal");
    n = one_node(&m, "Attention", "x,w,b,open", "y");
    make_int(&m, n, "num_heads", 2);
    refused(&m, ERR_UNSUPPORTED, "the rank of its mask is not known");
    n = one_node(&m, "Attention", "x,w,b,,,,u", "y");
    make_int(&m, n, "num_heads", 2);
    refused(&m, ERR_UNSUPPORTED,
            "input 6 (past_sequence_length) is not supported");

    n = one_node(&m, "MultiHeadAttention", "x,w", "y");
    make_int(&m, n, "num_heads", 2);
    refused(&m, ERR_UNSUPPORTED,
            "query, key and value of rank 3, 3 and -1 (-1: absent) are not "
            "supported");
    n = one_node(&m, "MultiHeadAttention", "x,w,b,,,,x", "y");
    make_int(&m, n, "num_heads", 2);
    refused(&m, ERR_INVALID,
            "of inputs 6 (past_key) and 7 (past_value) only one is given");
}

static void
decoders_are_checked(void **state)
{
    Onnx__NodeProto *n;
    struct make m;

    (void)state;
    n = one_node(&m, "GroupQueryAttention", "x,w,b,,,u,u", "y");
    make_int(&m, n, "num_heads", 4);
    refused(&m, ERR_INVALID, "attribute kv_num_heads is missing");
    n = one_node(&m, "GroupQueryAttention", "x,w,b,,,u,u", "y");
    make_int(&m, n, "num_heads", 4);
    make_int(&m, n, "kv_num_heads", 3);
    refused(&m, ERR_INVALID,
            "attribute kv_num_heads = 3 does not divide 4 heads");
    n = one_node(&m, "GroupQueryAttention", "x,w,b", "y");
    make_int(&m, n, "num_heads", 4);
    make_int(&m, n, "kv_num_heads", 2);
    refused(&m, ERR_INVALID, "input 5 is missing");
    n = one_node(&m, "GroupQueryAttention", "x,w,,,,u,u", "y");
    make_int(&m, n, "num_heads", 4);
    make_int(&m, n, "kv_num_heads", 2);
    refused(&m, ERR_INVALID, "of inputs 1 and 2 only one is given");
    n = one_node(&m, "GroupQueryAttention", "x,w,b,,,u,u,,,,,x", "y");
    make_int(&m, n, "num_heads", 4);
    make_int(&m, n, "kv_num_heads", 2);
    refused(&m, ERR_UNSUPPORTED, "input 11 is not supported");
    n = one_node(&m, "GroupQueryAttention", "x,w,b,,,u,u", "y");
    make_int(&m, n, "num_heads", 4);
    make_int(&m, n, "kv_num_heads", 2);
    make_int(&m, n, "do_rotary", 1);
    refused(&m, ERR_INVALID,
            "attribute do_rotary needs inputs 7 (cos_cache) and 8 "
            "(sin_cache)");
    n = one_node(&m, "GroupQueryAttention", "x,w,b,,,u,u", "y");
    make_int(&m, n, "smooth_softmax", 1);
    refused(&m, ERR_UNSUPPORTED,
            "attribute smooth_softmax = 1 is not supported");

    n = one_node(&m, "RotaryEmbedding", "x,u,w,b", "y");
    make_float(&m, n, "scale", 2);
    refused(&m, ERR_UNSUPPORTED, "attribute scale = 2 is not supported");
    n = one_node(&m, "RotaryEmbedding", "x,u,w,b", "y");
    make_int(&m, n, "rotary_embedding_dim", 2);
    refused(&m, ERR_INVALID,
            "attribute num_heads = 0 with rotary_embedding_dim = 2");
    one_node(&m, "RotaryEmbedding", "open,u,w,b", "y");
    refused(&m, ERR_UNSUPPORTED,
            "inputs of rank -1 and 2 (-1: not known): must be 3 or 4, and at "
            "most 2");
}

/* x [2,3,20] times w [20,2] in blocks of 16: 2 x 2 x 8 bytes. */
static Onnx__NodeProto *
nbits(struct make *m, const char *in, size_t bytes)
{
    static const uint8_t some[64] = {0x12, 0x34};
    static const float scales[4] = {1, 2, 3, 4};
    Onnx__NodeProto *n = one_node(m, "MatMulNBits", in, "y");

    make_initializer(m, "q", DTYPE_UINT8, MAKE_DIMS((int64_t)bytes), some,
                     bytes);
    make_initializer(m, "s", DTYPE_FLOAT, MAKE_DIMS(4), scales, sizeof scales);
    make_initializer(m, "z", DTYPE_UINT8, MAKE_DIMS(2), some, 2);
    make_int(m, n, "K", 20);
    make_int(m, n, "N", 2);
    return n;
}

static void
weights_in_few_bits_become_bytes(void **state)
{
    const struct node *dq;
    const struct value *v;
    struct graph *g;
    struct make m;
    Onnx__NodeProto *n = nbits(&m, "x,q,s,z", 32);

    (void)state;
    make_int(&m, n, "block_size", 16);
    make_int(&m, n, "bits", 4);
    g = imported(&m);
    dq = graph_producer(g, make_maker(g, "y")->in[1]);
    assert_int_equal(dq->op, OP_DEQUANTIZE_LINEAR);
    assert_int_equal(attr_int(dq, "block_size", 0), 16);
    v = node_in(g, dq, 2);
    assert_true(shape_equal(&v->shape, &SHAPE(2, 2)));
    assert_memory_equal(v->data, ((const uint8_t[]){2, 4, 1, 3}), 4);
    v = node_in(g, graph_producer(g, dq->in[0]), 0);
    assert_true(shape_equal(&v->shape, &SHAPE(32, 2)));
    assert_memory_equal(v->data, ((const uint8_t[]){2, 0, 1, 0, 4, 0, 3, 0}),
                        8);
    graph_free(&g);
}

static void
weights_in_few_bits_are_checked(void **state)
{
    static const struct {
        const char *name;
        int64_t value;
        int code;
        const char *message;
    } wrong[] = {
        {"block_size", 24, ERR_INVALID,
         "attribute block_size = 24 is no power of two"},
        {"block_size", 8, ERR_UNSUPPORTED,
         "attribute block_size = 8 is not supported: 16 to 1048576 are"},
        {"bits", 3, ERR_UNSUPPORTED, "attribute bits = 3 is not supported"},
        {"bits", 8, ERR_INVALID, "input 1 (B) has 32 bytes, must have 64"},
        {"weight_prepacked", 1, ERR_UNSUPPORTED,
         "attribute weight_prepacked = 1 is not supported"},
    };
    Onnx__NodeProto *n;
    struct make m;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        n = nbits(&m, "x,q,s", 32);
        if (strcmp(wrong[i].name, "block_size") != 0)
            make_int(&m, n, "block_size", 16);
        make_int(&m, n, wrong[i].name, wrong[i].value);
        refused(&m, wrong[i].code, wrong[i].message);
    }
    make_int(&m, nbits(&m, "x,q,s", 31), "block_size", 16);
    refused(&m, ERR_INVALID, "input 1 (B) has 31 bytes, must have 32");
    make_int(&m, nbits(&m, "x,x,s", 32), "block_size", 16);
    refused(&m, ERR_UNSUPPORTED, "input 1 (B) must be constant uint8");
    make_int(&m, nbits(&m, "x,q,s,s", 32), "block_size", 16);
    refused(&m, ERR_UNSUPPORTED,
            "input 3 (zero_points) must be constant uint8");
    make_int(&m, nbits(&m, "x,q,s,z,u", 32), "block_size", 16);
    refused(&m, ERR_UNSUPPORTED, "input 4 (g_idx) is not supported");
    n = one_node(&m, "MatMulNBits", "x,w,b", "y");
    make_int(&m, n, "K", INT64_MAX);
    make_int(&m, n, "N", INT64_MAX);
    refused(&m, ERR_UNSUPPORTED,
            "attribute K = 9223372036854775807 is not supported: 1 to "
            "16777216 are");
}

static void
tables_and_lstms_are_checked(void **state)
{
    static const uint8_t some[64];
    Onnx__NodeProto *n;
    struct make m;

    (void)state;
    one_node(&m, "GatherBlockQuantized", "x,u,w", "y");
    refused(&m, ERR_UNSUPPORTED,
            "input 0 (data) must be a constant of integers");
    n = one_node(&m, "GatherBlockQuantized", "x,u,w", "y");
    make_int(&m, n, "block_size", -16);
    refused(&m, ERR_UNSUPPORTED, "attribute block_size = -16 is not supported");
    n = one_node(&m, "GatherBlockQuantized", "x,u,w", "y");
    make_int(&m, n, "bits", 0);
    refused(&m, ERR_UNSUPPORTED, "attribute bits = 0 is not supported");

    one_node(&m, "DynamicQuantizeLSTM", "x,w,b", "y");
    refused(&m, ERR_INVALID, "input 8 is missing");
    one_node(&m, "DynamicQuantizeLSTM", "x,w,b,,,,,,x,x,x,x", "y");
    refused(&m, ERR_UNSUPPORTED,
            "input 1 must be constant integers of 8 bits and rank 3");
    one_node(&m, "DynamicQuantizeLSTM", "x,q,b,,,,,,x,x,x,x", "y");
    make_initializer(&m, "q", DTYPE_INT8, MAKE_DIMS(2, 0, 8), some, 0);
    refused(&m, ERR_UNSUPPORTED,
            "input 1 must be constant integers of 8 bits and rank 3");
}

/* Memory may be short anywhere. */
static void
memory_is_bounded(void **state)
{
    struct graph *g = NULL;
    struct make m;
    struct err e;
    int k = 0, rc;
    Onnx__NodeProto *n = nbits(&m, "x,q,s,z", 32);

    (void)state;
    make_int(&m, n, "block_size", 16);
    n = make_node(&m, "GroupQueryAttention", "x,w,b,,,u,u", "gqa");
    n->domain = make_text(&m, "com.microsoft");
    make_int(&m, n, "num_heads", 4);
    make_int(&m, n, "kv_num_heads", 2);
    n = make_node(&m, "Attention", "x,w,b,u", "attention");
    n->domain = make_text(&m, "com.microsoft");
    make_int(&m, n, "num_heads", 2);
    make_int(&m, n, "unidirectional", 1);
    n = make_node(&m, "FastGelu", "x,b", "gelu");
    n->domain = make_text(&m, "com.microsoft");
    make_pack(&m);
    do {
        mem_fail_at(++k);
        rc = onnx_import(m.bytes, m.n_bytes, NULL, &g, &e);
        mem_fail_at(0);
        assert_true(rc == 0 || e.code == ERR_NO_MEMORY);
    } while (rc != 0);
    assert_true(k > 20);
    graph_free(&g);
    make_end(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_stand_behind),
        cmocka_unit_test(ranks_decide_how_factors_are_turned),
        cmocka_unit_test(outputs_are_given_or_have_no_maker),
        cmocka_unit_test(attention_is_checked),
        cmocka_unit_test(decoders_are_checked),
        cmocka_unit_test(weights_in_few_bits_become_bytes),
        cmocka_unit_test(weights_in_few_bits_are_checked),
        cmocka_unit_test(tables_and_lstms_are_checked),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
