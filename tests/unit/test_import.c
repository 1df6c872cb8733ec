/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "tests/unit/onnx_make.h"

/* --- helpers ------------------------------------------------------------ */

/* y = Relu(Add(x, w)), x [batch,2], w [2] raw. */
static void
small_model(struct make *m)
{
    const float w[] = {1, -2};

    make_begin(m, 13);
    make_input(m, "x", DTYPE_FLOAT, MAKE_DIMS(-1, 2))
        ->type->tensor_type->shape->dim[0]
        ->dim_param = make_text(m, "batch");
    make_output(m, "y", DTYPE_FLOAT, MAKE_DIMS(-1, 2));
    make_initializer(m, "w", DTYPE_FLOAT, MAKE_DIMS(2), w, sizeof w);
    make_node(m, "Add", "x,w", "sum");
    make_node(m, "Relu", "sum", "y");
    make_entry(m, &m->model.metadata_props, &m->model.n_metadata_props, "key",
               "text");
}

static void
refused(struct make *m, int code, const char *message)
{
    struct graph *g = NULL;
    struct err e;

    assert_int_equal(make_import(m, NULL, &g, &e), code);
    assert_string_equal(e.msg, message);
    assert_null(g);
    make_end(m);
}

static struct graph *
imported(struct make *m)
{
    struct graph *g = NULL;
    struct err e = {0};

    if (make_import(m, NULL, &g, &e) != 0)
        fail_msg("%s", e.msg);
    return g;
}

/* --- ordinary files ----------------------------------------------------- */

static void
reads_a_model(void **state)
{
    struct make m;
    struct graph *g;
    struct value *x, *y, *w;

    (void)state;
    small_model(&m);
    g = imported(&m);
    assert_int_equal(g->opset, 13);
    assert_int_equal(g->nodes.n, 2);
    assert_int_equal(g->inputs.n, 1);
    x = graph_value(g, g->inputs.at[0]);
    y = graph_value(g, g->outputs.at[0]);
    w = graph_value(g, graph_find_value(g, "w"));
    assert_string_equal(x->name, "x");
    assert_true(shape_equal(&x->shape, &SHAPE(SHAPE_DYNAMIC, 2)));
    assert_string_equal(x->dim_name[0], "batch");
    assert_null(x->dim_name[1]);
    assert_int_equal(y->dtype, DTYPE_FLOAT);
    assert_int_equal(y->producer, 1);
    assert_true(((const float *)w->data)[1] == -2);
    assert_string_equal(g->nodes.at[0].name, "n_sum");
    assert_string_equal(graph_meta(g, "key"), "text");
    graph_free(&g);
    make_end(&m);
}

static void
reads_typed_data(void **state)
{
    int32_t bytes[] = {-128, 127}, halves[] = {0x3c00, 0xc000};
    int64_t longs[] = {INT64_MIN, 7};
    uint64_t words[] = {UINT32_MAX, 0};
    double doubles[] = {0.5, -0.25};
    float floats[] = {3, 4};
    Onnx__TensorProto *t;
    struct make m;
    struct graph *g;
    struct value *v;

    (void)state;
    small_model(&m);
    t = make_initializer(&m, "i8", DTYPE_INT8, MAKE_DIMS(2), NULL, 0);
    t->int32_data = bytes, t->n_int32_data = 2;
    t = make_initializer(&m, "f16", DTYPE_FLOAT16, MAKE_DIMS(1, 2), NULL, 0);
    t->int32_data = halves, t->n_int32_data = 2;
    t = make_initializer(&m, "i64", DTYPE_INT64, MAKE_DIMS(2), NULL, 0);
    t->int64_data = longs, t->n_int64_data = 2;
    t = make_initializer(&m, "u32", DTYPE_UINT32, MAKE_DIMS(2), NULL, 0);
    t->uint64_data = words, t->n_uint64_data = 2;
    t = make_initializer(&m, "f64", DTYPE_DOUBLE, MAKE_DIMS(2), NULL, 0);
    t->double_data = doubles, t->n_double_data = 2;
    t = make_initializer(&m, "f32", DTYPE_FLOAT, MAKE_DIMS(2), NULL, 0);
    t->float_data = floats, t->n_float_data = 2;
    make_initializer(&m, "none", DTYPE_INT64, MAKE_DIMS(0), NULL, 0);
    g = imported(&m);
    v = graph_value(g, graph_find_value(g, "i8"));
    assert_int_equal(((const int8_t *)v->data)[0], -128);
    assert_int_equal(((const int8_t *)v->data)[1], 127);
    v = graph_value(g, graph_find_value(g, "f16"));
    assert_int_equal(((const uint16_t *)v->data)[1], 0xc000);
    assert_true(shape_equal(&v->shape, &SHAPE(1, 2)));
    v = graph_value(g, graph_find_value(g, "i64"));
    assert_true(((const int64_t *)v->data)[0] == INT64_MIN);
    v = graph_value(g, graph_find_value(g, "u32"));
    assert_int_equal(((const uint32_t *)v->data)[0], UINT32_MAX);
    v = graph_value(g, graph_find_value(g, "f64"));
    assert_true(((const double *)v->data)[1] == -0.25);
    v = graph_value(g, graph_find_value(g, "f32"));
    assert_true(((const float *)v->data)[1] == 4);
    assert_non_null(graph_value(g, graph_find_value(g, "none"))->data);
    graph_free(&g);
    make_end(&m);
}

static void
constant_nodes_become_constants(void **state)
{
    struct make m;
    struct graph *g;
    struct value *v;
    Onnx__NodeProto *n;

    (void)state;
    small_model(&m);
    n = make_node(&m, "Constant", "", "c1");
    make_ints(&m, n, "value_ints", 2, (const int64_t[]){5, -6});
    n = make_node(&m, "Constant", "", "c2");
    make_float(&m, n, "value_float", 0.5f);
    n = make_node(&m, "Constant", "", "c3");
    make_attr(&m, n, "value", ATTR_TENSOR)->t =
        make_tensor(&m, "", DTYPE_UINT8, MAKE_DIMS(3), "abc", 3);
    g = imported(&m);
    assert_int_equal(g->nodes.n, 2);
    v = graph_value(g, graph_find_value(g, "c1"));
    assert_true(shape_equal(&v->shape, &SHAPE(2)));
    assert_true(((const int64_t *)v->data)[1] == -6);
    v = graph_value(g, graph_find_value(g, "c2"));
    assert_int_equal(v->shape.rank, 0);
    assert_true(*(const float *)v->data == 0.5f);
    v = graph_value(g, graph_find_value(g, "c3"));
    assert_memory_equal(v->data, "abc", 3);
    graph_free(&g);
    make_end(&m);
}

/* Before IR 4 every initializer was listed as an input too. */
static void
inputs_with_a_value_are_constants(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    small_model(&m);
    make_input(&m, "a", DTYPE_FLOAT, MAKE_DIMS(2));
    make_input(&m, "z", DTYPE_FLOAT, MAKE_DIMS(2));
    make_input(&m, "w", DTYPE_FLOAT, MAKE_DIMS(2));
    g = imported(&m);
    assert_int_equal(g->inputs.n, 3);
    graph_free(&g);
    make_end(&m);
}

static void
nodes_may_stand_in_any_order_without_names(void **state)
{
    struct make m;
    struct graph *g;
    Onnx__NodeProto *first;

    (void)state;
    small_model(&m);
    first = m.graph.node[0];
    m.graph.node[0] = m.graph.node[1];
    m.graph.node[1] = first;
    m.graph.node[0]->name = m.graph.node[1]->name = NULL;
    g = imported(&m);
    assert_int_equal(g->nodes.at[0].op, OP_ADD);
    assert_string_equal(g->nodes.at[0].name, "Add_1");
    assert_string_equal(g->nodes.at[1].name, "Relu_0");
    graph_free(&g);
    make_end(&m);
}

static void
node_names_become_unique(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    small_model(&m);
    m.graph.node[0]->name = m.graph.node[1]->name = (char *)"same";
    g = imported(&m);
    assert_string_equal(g->nodes.at[0].name, "same");
    assert_string_equal(g->nodes.at[1].name, "same_1_q0");
    graph_free(&g);
    make_end(&m);
}

static void
absent_inputs_and_outputs(void **state)
{
    struct make m;
    struct graph *g;
    struct node *n;

    (void)state;
    small_model(&m);
    make_node(&m, "Clip", "y,,w", "z");
    make_node(&m, "MaxPool", "y", "p,");
    g = imported(&m);
    n = make_maker(g, "z");
    assert_int_equal(n->n_in, 3);
    assert_int_equal(n->in[1], -1);
    assert_int_equal(make_maker(g, "p")->n_out, 1);
    graph_free(&g);
    make_end(&m);
}

static void
unused_domains_do_not_matter(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    small_model(&m);
    make_opset(&m, "com.microsoft", 1);
    g = imported(&m);
    graph_free(&g);
    make_end(&m);
}

/* --- refused with a reason ---------------------------------------------- */

static void
unsupported_operators_are_named(void **state)
{
    struct make m;

    (void)state;
    small_model(&m);
    make_opset(&m, "com.foo", 2);
    make_node(&m, "Bar", "y", "z")->domain = (char *)"com.foo";
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_z\": operator com.foo.Bar (opset 2) is not supported");
    small_model(&m);
    make_node(&m, "SequenceAt", "y", "z")->name = NULL;
    refused(&m, ERR_UNSUPPORTED,
            "node \"SequenceAt_2\": operator SequenceAt (opset 13) is not "
            "supported");
    small_model(&m);
    make_node(&m, "Swish", "y", "z")->domain = (char *)"quantd";
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_z\": operator quantd.Swish (opset 0) is not supported");
}

/* Two integers of 4 bits a byte, raw or typed; an odd one is alone. */
static void
four_bits_become_bytes(void **state)
{
    static const uint8_t raw[] = {0x2f, 0x08};
    static const int8_t want[] = {-1, 2, -8};
    static int32_t typed[] = {0x2f, 0x08};
    struct graph *g;
    struct make m;
    struct err e;

    (void)state;
    for (int i = 0; i < 2; i++) {
        Onnx__TensorProto *t;
        const struct value *v;

        small_model(&m);
        t = make_initializer(&m, "q", 22, MAKE_DIMS(3), i == 0 ? raw : NULL,
                             sizeof raw);
        t->int32_data = i == 0 ? NULL : typed;
        t->n_int32_data = i == 0 ? 0 : 2;
        assert_int_equal(make_import(&m, NULL, &g, &e), 0);
        v = graph_value(g, graph_find_value(g, "q"));
        assert_int_equal(v->dtype, DTYPE_INT8);
        assert_memory_equal(v->data, want, sizeof want);
        graph_free(&g);
        make_end(&m);
    }
    small_model(&m);
    make_initializer(&m, "q", 21, MAKE_DIMS(3), raw, 1);
    refused(&m, ERR_INVALID,
            "initializer \"q\": uint8[2] takes 2 bytes, the file has 1");
}

static void
unsupported_types_are_named(void **state)
{
    struct make m;

    (void)state;
    small_model(&m);
    make_input(&m, "s", 8, MAKE_DIMS(1));
    refused(&m, ERR_UNSUPPORTED,
            "input \"s\": element type string (8) is not supported");
    small_model(&m);
    make_initializer(&m, "q", 23, MAKE_DIMS(2), "a", 1);
    refused(&m, ERR_UNSUPPORTED,
            "initializer \"q\": element type float4e2m1 (23) is not "
            "supported");
    small_model(&m);
    make_input(&m, "q", 22, MAKE_DIMS(2));
    refused(&m, ERR_UNSUPPORTED,
            "input \"q\": element type int4 (22) is not supported");
    small_model(&m);
    make_input(&m, "q", DTYPE_FLOAT, MAKE_DIMS(1))->type->tensor_type = NULL;
    refused(&m, ERR_UNSUPPORTED,
            "input \"q\": no tensor (sequences, maps, optional and sparse "
            "values are not supported)");
    small_model(&m);
    make_initializer(&m, "q", DTYPE_INT8, MAKE_DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1),
                     "a", 1);
    refused(&m, ERR_UNSUPPORTED,
            "initializer \"q\": rank 9, at most 8 is supported");
}

static void
other_opsets_are_refused(void **state)
{
    struct make m;

    (void)state;
    small_model(&m);
    m.model.opset_import[0]->version = 29;
    refused(&m, ERR_UNSUPPORTED,
            "opset 29 of ai.onnx is not supported: 1 to 28 are");
    small_model(&m);
    m.model.n_opset_import = 0;
    refused(&m, ERR_INVALID,
            "node \"n_sum\": Add: the model declares no opset of ai.onnx");
    small_model(&m);
    make_opset(&m, "ai.onnx", 12);
    refused(&m, ERR_INVALID, "opset 13 and 12 of ai.onnx in one model");
}

/* --- hostile files ------------------------------------------------------ */

static void
names_are_made_once(void **state)
{
    struct make m;

    (void)state;
    small_model(&m);
    make_node(&m, "Relu", "x", "sum");
    refused(&m, ERR_INVALID, "value \"sum\" is made twice");
    small_model(&m);
    make_node(&m, "Relu", "x", "x");
    refused(&m, ERR_INVALID, "value \"x\" is made twice");
    small_model(&m);
    make_initializer(&m, "w", DTYPE_INT8, MAKE_DIMS(1), "a", 1);
    refused(&m, ERR_INVALID, "value \"w\" is made twice");
    small_model(&m);
    make_node(&m, "Relu", "nowhere", "z");
    refused(&m, ERR_INVALID,
            "node \"n_z\": Relu: input \"nowhere\" is made by no node");
    small_model(&m);
    make_output(&m, "nowhere", DTYPE_FLOAT, MAKE_DIMS(1));
    refused(&m, ERR_INVALID, "output \"nowhere\": no node makes it");
    small_model(&m);
    make_output(&m, "y", DTYPE_FLOAT, MAKE_DIMS(1));
    refused(&m, ERR_INVALID, "output \"y\": it is listed twice");
}

static void
cycles_are_found(void **state)
{
    struct make m;

    (void)state;
    small_model(&m);
    make_node(&m, "Add", "b,x", "a");
    make_node(&m, "Relu", "a", "b");
    refused(&m, ERR_INVALID,
            "the nodes of the graph form a cycle through node n_b (Relu)");
}

static void
names_are_text(void **state)
{
    char longest[ONNX_MAX_NAME + 2];
    struct make m;

    (void)state;
    small_model(&m);
    make_node(&m, "Relu", "x", "a\xff");
    refused(&m, ERR_INVALID,
            "node 2, output 0: value name \"a...\" is not UTF-8");
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    small_model(&m);
    m.graph.node[0]->name = longest;
    refused(
        &m, ERR_INVALID,
        "node 0: node name \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...\" is longer than 1024 bytes");
}

static void
shapes_and_data_must_fit(void **state)
{
    int32_t wide[] = {128};
    Onnx__TensorProto *t;
    struct make m;

    (void)state;
    small_model(&m);
    make_initializer(&m, "q", DTYPE_INT64, MAKE_DIMS(2), "0123456789", 10);
    refused(&m, ERR_INVALID,
            "initializer \"q\": int64[2] takes 16 bytes, the file has 10");
    small_model(&m);
    make_initializer(&m, "q", DTYPE_INT8, MAKE_DIMS(INT64_MAX / 2, 3, 0), "a",
                     1);
    refused(&m, ERR_INVALID,
            "initializer \"q\": shape [4611686018427387903,3,0] is not "
            "possible");
    small_model(&m);
    make_initializer(&m, "q", DTYPE_INT8, MAKE_DIMS(-2), "a", 1);
    refused(&m, ERR_INVALID, "initializer \"q\": shape [-2] is not possible");
    small_model(&m);
    make_initializer(&m, "q", DTYPE_FLOAT, MAKE_DIMS(INT64_C(1) << 40), NULL,
                     0);
    refused(&m, ERR_INVALID,
            "initializer \"q\": float32[1099511627776] takes 1099511627776 "
            "elements, the file has 0");
    small_model(&m);
    t = make_initializer(&m, "q", DTYPE_INT8, MAKE_DIMS(1), NULL, 0);
    t->int32_data = wide, t->n_int32_data = 1;
    refused(&m, ERR_INVALID, "initializer \"q\": element 0: 128 is no int8");
    small_model(&m);
    make_initializer(&m, "q", DTYPE_BOOL, MAKE_DIMS(2), "\1\2", 2);
    refused(&m, ERR_INVALID, "initializer \"q\": element 1: 2 is no bool");
    small_model(&m);
    make_input(&m, "q", DTYPE_FLOAT, MAKE_DIMS(1))
        ->type->tensor_type->shape->dim[0]
        ->dim_value = -7;
    refused(&m, ERR_INVALID, "input \"q\": dimension 0 is -7");
}

static void
counts_of_inputs_are_checked(void **state)
{
    struct make m;

    (void)state;
    small_model(&m);
    make_node(&m, "Add", "x", "z");
    refused(&m, ERR_INVALID, "node \"n_z\": Add: 1 inputs, at least 2");
    small_model(&m);
    make_node(&m, "Relu", "x,y", "z");
    refused(&m, ERR_INVALID, "node \"n_z\": Relu: 2 inputs, at most 1");
    small_model(&m);
    make_node(&m, "Add", ",x", "z");
    refused(&m, ERR_INVALID, "node \"n_z\": Add: input 0 is missing");
    small_model(&m);
    make_node(&m, "Concat", "x,,x", "z");
    refused(&m, ERR_INVALID, "node \"n_z\": Concat: input 1 is missing");
    small_model(&m);
    make_node(&m, "Relu", "x", "");
    refused(&m, ERR_INVALID, "node \"n_\": Relu: it has no output");
}

static void
attributes_are_checked(void **state)
{
    struct make m;
    Onnx__NodeProto *n;

    (void)state;
    small_model(&m);
    n = make_node(&m, "Transpose", "x", "z");
    make_int(&m, n, "perm", 1);
    refused(&m, ERR_INVALID,
            "node \"n_z\": Transpose: attribute perm has type int, must be "
            "ints");
    small_model(&m);
    n = make_node(&m, "Softmax", "x", "z");
    make_int(&m, n, "axis", 1);
    make_int(&m, n, "axis", 0);
    refused(&m, ERR_INVALID,
            "node \"n_z\": Softmax: attribute axis is there twice");
    small_model(&m);
    n = make_node(&m, "Relu", "x", "z");
    make_attr(&m, n, "body", ATTR_GRAPH)->g = &m.graph;
    n->attribute[0]->g = make_new(&m, sizeof *n->attribute[0]->g);
    onnx__graph_proto__init(n->attribute[0]->g);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_z\": Relu: attribute body: type graph is not supported "
            "here");
    small_model(&m);
    n = make_node(&m, "ConstantOfShape", "x", "z");
    make_attr(&m, n, "value", ATTR_TENSOR)->t =
        make_tensor(&m, "", DTYPE_FLOAT, MAKE_DIMS(0), NULL, 0);
    refused(&m, ERR_INVALID,
            "node \"n_z\": ConstantOfShape: attribute value must be one "
            "element");
}

/* Graphs within graphs, deeper than any stack. */
static void
nesting_is_bounded(void **state)
{
    enum { DEPTH = 40000, LEVEL = 4096 };
    uint8_t *p = mem_new(1, DEPTH * 12 + 16), *at = p + DEPTH * 12 + 16;
    const uint8_t tags[] = {0x0a, 0x2a, 0x32}; /* node, attribute, g */
    struct graph *g = NULL;
    struct err e;
    size_t n;

    (void)state;
    for (int i = 0; i < DEPTH; i++) {
        size_t len = (size_t)(p + DEPTH * 12 + 16 - at);

        /* A length of four bytes, then the tag, written backwards. */
        for (int k = 3; k >= 0; k--)
            *--at = (uint8_t)((len >> 7 * k & 0x7f) | (k < 3 ? 0x80 : 0));
        *--at = i == DEPTH - 1 ? 0x3a : tags[2 - i % 3];
    }
    n = (size_t)(p + DEPTH * 12 + 16 - at);
    assert_int_equal(onnx_import(at, n, NULL, &g, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "nested too deeply"));
    mem_free(p);
}

/* Two bytes of file for each node: all memory would go. */
static void
memory_is_bounded(void **state)
{
    size_t nodes = 6 << 20, n = 0;
    uint8_t *p = mem_new(1, 2 * nodes + 16);
    struct graph *g = NULL;
    struct err e;

    (void)state;
    p[n++] = 0x3a;
    for (size_t left = 2 * nodes; left > 0 || n == 1; left >>= 7)
        p[n++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    for (size_t i = 0; i < nodes; i++) {
        p[n++] = 0x0a;
        p[n++] = 0;
    }
    assert_int_equal(onnx_import(p, n, NULL, &g, &e), ERR_TOO_LARGE);
    mem_free(p);
}

static void
many_nodes_are_refused(void **state)
{
    size_t nodes = ONNX_MAX_NODES + 1;
    struct make m;
    Onnx__NodeProto **all = mem_new(nodes, sizeof *all);

    (void)state;
    small_model(&m);
    for (size_t i = 0; i < nodes; i++)
        all[i] = m.graph.node[0];
    m.graph.node = all;
    m.graph.n_node = nodes;
    refused(&m, ERR_UNSUPPORTED, "65537 nodes, at most 65536");
    mem_free(all);
}

static void
not_a_model(void **state)
{
    const char *text = "# a text file\n";
    struct graph *g = NULL;
    struct err e;

    (void)state;
    assert_int_equal(onnx_import(NULL, 0, NULL, &g, &e), ERR_INVALID);
    assert_string_equal(e.msg, "the file is empty");
    assert_int_equal(onnx_import(text, strlen(text), NULL, &g, &e),
                     ERR_INVALID);
    assert_string_equal(e.msg, "not a valid ONNX file: byte 1: a field of the "
                               "wrong kind (ModelProto, field 4)");
    assert_int_equal(onnx_import("\x08\x07", 2, NULL, &g, &e), ERR_INVALID);
    assert_string_equal(e.msg, "not an ONNX model: there is no graph in it");
}

/* Every prefix, and every byte changed: an answer, never a crash. */
static void
broken_files_are_answered(void **state)
{
    struct make m;
    struct graph *g = NULL;
    struct err e;

    (void)state;
    small_model(&m);
    make_ints(&m, make_node(&m, "Transpose", "x", "z"), "perm", 2,
              (const int64_t[]){1, 0});
    make_pack(&m);
    for (size_t n = 0; n < m.n_bytes; n++) {
        uint8_t *copy = malloc(n + 1); /* so that ASan sees the end */

        memcpy(copy, m.bytes, n);
        if (onnx_import(copy, n, NULL, &g, &e) == 0)
            graph_free(&g);
        free(copy);
    }
    for (size_t i = 0; i < m.n_bytes; i++)
        for (int bit = 0; bit < 8; bit++) {
            m.bytes[i] ^= (uint8_t)(1 << bit);
            if (onnx_import(m.bytes, m.n_bytes, NULL, &g, &e) == 0)
                graph_free(&g);
            m.bytes[i] ^= (uint8_t)(1 << bit);
        }
    make_end(&m);
}

static void
memory_may_fail_anywhere(void **state)
{
    struct make m;
    struct graph *g = NULL;
    struct err e;
    unsigned k = 0;
    int rc;

    (void)state;
    small_model(&m);
    make_float(&m, make_node(&m, "LeakyRelu", "x", "z"), "alpha", 1);
    m.model.opset_import[0]->version = 10;
    make_float(&m, make_node(&m, "Clip", "x", "c"), "min", 1);
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

/* --- external data ------------------------------------------------------ */

static char folder[] = "test-import-XXXXXX"; /* within the build folder */

static int
make_folder(void **state)
{
    char path[64];
    const float w[] = {0, 1, 2, 3};
    struct err e;

    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/in", folder);
    if (mkdir(path, 0755) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/in/w.bin", folder);
    if (file_write(path, w, sizeof w, &e) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/secret", folder);
    if (file_write(path, w, sizeof w, &e) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/in/link", folder);
    if (symlink("../secret", path) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/in/up", folder);
    return symlink("..", path);
}

static int
remove_folder(void **state)
{
    struct err e;

    (void)state;
    return file_remove(folder, &e);
}

/* Imports a model whose w is [2] floats of that file. */
static int
import_external(const char *location, const char *offset, const char *length,
                struct graph **g, struct err *e)
{
    char path[64];
    struct make m;
    int rc;

    small_model(&m);
    m.graph.initializer[0]->has_raw_data = 0;
    m.graph.initializer[0]->raw_data.len = 0;
    make_external(&m, m.graph.initializer[0], "location", location);
    if (offset != NULL)
        make_external(&m, m.graph.initializer[0], "offset", offset);
    if (length != NULL)
        make_external(&m, m.graph.initializer[0], "length", length);
    snprintf(path, sizeof path, "%s/in", folder);
    rc = make_import(&m, path, g, e);
    make_end(&m);
    return rc;
}

static void
external_data_are_mapped(void **state)
{
    static const struct {
        const char *location, *offset;
        float first;
    } cases[] = {
        {"w.bin", "0", 0},
        {"./w.bin", "8", 2},
    };
    struct graph *g = NULL;
    struct err e = {0};
    const float *w;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            import_external(cases[i].location, cases[i].offset, "8", &g, &e),
            0);
        w = graph_value(g, graph_find_value(g, "w"))->data;
        assert_true(w[0] == cases[i].first && w[1] == w[0] + 1);
        graph_free(&g);
    }
    /* At an odd address the data are copied. */
    assert_int_equal(import_external("w.bin", "1", NULL, &g, &e), 0);
    assert_int_equal((uintptr_t)graph_value(g, graph_find_value(g, "w"))->data %
                         sizeof(float),
                     0);
    graph_free(&g);
}

static void
external_data_stay_in_the_folder(void **state)
{
    static const struct {
        const char *location, *offset, *length, *message;
    } cases[] = {
        {"../secret", NULL, NULL, "must lie below the folder"},
        {"a/../../secret", NULL, NULL, "must lie below the folder"},
        {"/etc/passwd", NULL, NULL, "must lie below the folder"},
        {"", NULL, NULL, "must lie below the folder"},
        {"link", NULL, NULL, "symbolic links are not followed"},
        {"up/secret", NULL, NULL, "external data \"up/secret\": "},
        {"absent", NULL, NULL,
         "external data \"absent\": there is no such file"},
        {".", NULL, NULL, "not a regular file"},
        {"w.bin", "12", NULL, "bytes 12 to 12 + 8, the file has 16"},
        {"w.bin", "18446744073709551615", "8", "the file has 16"},
        {"w.bin", "99999999999999999999", NULL, "is no number"},
        {"w.bin", "-1", NULL, "is no number"},
        {"w.bin", "0", "4", "length 4, the shape takes 8"},
    };
    struct graph *g = NULL;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(import_external(cases[i].location, cases[i].offset,
                                             cases[i].length, &g, &e),
                             0);
        if (strstr(e.msg, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].location, e.msg);
    }
    assert_null(g);
}

static void
tensor_files_are_read(void **state)
{
    char path[64];
    struct make m;
    struct tensor t;
    struct err e = {0};
    Onnx__TensorProto *p;
    uint8_t bytes[64];
    size_t n;
    unsigned k = 0;

    (void)state;
    make_begin(&m, 13);
    p = make_tensor(&m, "t", DTYPE_INT16, MAKE_DIMS(3, 1), "\1\0\2\0\3\0", 6);
    n = onnx__tensor_proto__pack(p, bytes);
    snprintf(path, sizeof path, "%s/t.pb", folder);
    assert_int_equal(file_write(path, bytes, n, &e), 0);
    do
        mem_fail_at(++k);
    while (tensor_load(path, &t, &e) == ERR_NO_MEMORY);
    mem_fail_at(0);
    assert_int_equal(t.dtype, DTYPE_INT16);
    assert_true(shape_equal(&t.shape, &SHAPE(3, 1)));
    assert_int_equal(((int16_t *)t.data)[2], 3);
    mem_free(t.data);
    assert_int_equal(tensor_load("/nonexistent", &t, &e), ERR_NOT_FOUND);
    make_end(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_model),
        cmocka_unit_test(reads_typed_data),
        cmocka_unit_test(constant_nodes_become_constants),
        cmocka_unit_test(inputs_with_a_value_are_constants),
        cmocka_unit_test(nodes_may_stand_in_any_order_without_names),
        cmocka_unit_test(node_names_become_unique),
        cmocka_unit_test(absent_inputs_and_outputs),
        cmocka_unit_test(unused_domains_do_not_matter),
        cmocka_unit_test(unsupported_operators_are_named),
        cmocka_unit_test(four_bits_become_bytes),
        cmocka_unit_test(unsupported_types_are_named),
        cmocka_unit_test(other_opsets_are_refused),
        cmocka_unit_test(names_are_made_once),
        cmocka_unit_test(cycles_are_found),
        cmocka_unit_test(names_are_text),
        cmocka_unit_test(shapes_and_data_must_fit),
        cmocka_unit_test(counts_of_inputs_are_checked),
        cmocka_unit_test(attributes_are_checked),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(many_nodes_are_refused),
        cmocka_unit_test(not_a_model),
        cmocka_unit_test(broken_files_are_answered),
        cmocka_unit_test(memory_may_fail_anywhere),
        cmocka_unit_test(external_data_are_mapped),
        cmocka_unit_test(external_data_stay_in_the_folder),
        cmocka_unit_test(tensor_files_are_read),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
