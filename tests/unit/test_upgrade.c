/* SPDX-License-Identifier: Apache-2.0 */
/* Each change of an operator between opsets 1 and 22, on one node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/onnx_make.h"

/* --- helpers ------------------------------------------------------------ */

/* A model with input x [2,3,4,5] and one node, whose first output is y. */
static Onnx__NodeProto *
one_node(struct make *m, int opset, const char *op_type, const char *in,
         const char *out)
{
    make_begin(m, opset);
    make_input(m, "x", DTYPE_FLOAT, MAKE_DIMS(2, 3, 4, 5));
    make_output(m, "y", DTYPE_FLOAT, -1, NULL);
    return make_node(m, op_type, in, out);
}

static void
constant_ints(struct make *m, const char *name, int n, const int64_t *v)
{
    make_initializer(m, name, DTYPE_INT64, 1, (const int64_t[]){n}, v,
                     (size_t)n * sizeof *v);
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
refused(struct make *m, int code, const char *message)
{
    struct graph *g = NULL;
    struct err e;

    assert_int_equal(make_import(m, NULL, &g, &e), code);
    assert_string_equal(e.msg, message);
    make_end(m);
}

/* Input i of the node that makes y is a constant with these integers. */
static void
expect_ints(struct graph *g, int i, int n, const int64_t *want)
{
    const struct value *v = node_in(g, make_maker(g, "y"), i);
    int64_t have[16];
    int count;

    assert_true(value_ints(v, have, 16, &count));
    assert_int_equal(count, n);
    assert_int_equal(v->shape.rank, 1);
    assert_memory_equal(have, want, (size_t)n * sizeof *want);
}

static float
scalar_input(struct graph *g, int i)
{
    const struct value *v = node_in(g, make_maker(g, "y"), i);

    assert_non_null(v);
    assert_non_null(v->data);
    assert_int_equal(v->dtype, DTYPE_FLOAT);
    assert_int_equal(v->shape.rank, 0);
    return *(const float *)v->data;
}

static struct node *
expect_op(struct graph *g, enum op op, int n_in)
{
    struct node *n = make_maker(g, "y");

    assert_non_null(n);
    assert_int_equal(n->op, op);
    assert_int_equal(n->n_in, n_in);
    assert_int_equal(n->n_own, n_in);
    return n;
}

/* --- attributes that became inputs -------------------------------------- */

static void
clip_bounds(void **state)
{
    struct make m;
    struct graph *g;
    Onnx__NodeProto *n;

    (void)state;
    n = one_node(&m, 9, "Clip", "x", "y");
    make_float(&m, n, "min", 0);
    make_float(&m, n, "max", 6);
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_CLIP, 3)->n_attrs, 0);
    assert_true(scalar_input(g, 1) == 0 && scalar_input(g, 2) == 6);
    graph_free(&g);
    n = one_node(&m, 9, "Clip", "x", "y");
    make_float(&m, n, "min", -3.4028234663852886e38f);
    g = imported(&m);
    expect_op(g, OP_CLIP, 1);
    graph_free(&g);
}

/* The type follows through other nodes, or comes from value_info. */
static void
clip_bounds_have_the_type_of_the_tensor(void **state)
{
    struct make m;
    struct graph *g;
    const struct value *v;

    (void)state;
    make_begin(&m, 9);
    make_input(&m, "x", DTYPE_FLOAT16, MAKE_DIMS(2));
    make_output(&m, "y", DTYPE_FLOAT16, -1, NULL);
    make_node(&m, "Relu", "x", "r");
    make_float(&m, make_node(&m, "Clip", "r", "y"), "max", 1);
    g = imported(&m);
    v = node_in(g, make_maker(g, "y"), 2);
    assert_int_equal(v->dtype, DTYPE_FLOAT16);
    assert_int_equal(*(const uint16_t *)v->data, 0x3c00);
    graph_free(&g);
}

static void
lists_become_inputs(void **state)
{
    static const struct {
        const char *op_type, *attr;
        enum op op;
    } cases[] = {
        {"ReduceSum", "axes", OP_REDUCE_SUM},
        {"Squeeze", "axes", OP_SQUEEZE},
        {"Unsqueeze", "axes", OP_UNSQUEEZE},
        {"Split", "split", OP_SPLIT},
    };
    const int64_t list[] = {1, 2};
    struct make m;
    struct graph *g;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Onnx__NodeProto *n = one_node(&m, 12, cases[i].op_type, "x", "y");

        make_ints(&m, n, cases[i].attr, 2, list);
        g = imported(&m);
        assert_int_equal(expect_op(g, cases[i].op, 2)->n_attrs, 0);
        expect_ints(g, 1, 2, list);
        graph_free(&g);
    }
    one_node(&m, 11, "Unsqueeze", "x", "y");
    refused(&m, ERR_INVALID,
            "node \"n_y\": Unsqueeze: attribute axes is missing");
}

static void
slice_and_pad(void **state)
{
    struct make m;
    struct graph *g;
    Onnx__NodeProto *n;

    (void)state;
    n = one_node(&m, 9, "Slice", "x", "y");
    make_ints(&m, n, "axes", 1, (const int64_t[]){2});
    make_ints(&m, n, "starts", 1, (const int64_t[]){1});
    make_ints(&m, n, "ends", 1, (const int64_t[]){-1});
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_SLICE, 4)->n_attrs, 0);
    expect_ints(g, 1, 1, (const int64_t[]){1});
    expect_ints(g, 2, 1, (const int64_t[]){-1});
    expect_ints(g, 3, 1, (const int64_t[]){2});
    graph_free(&g);
    n = one_node(&m, 10, "Pad", "x", "y");
    make_ints(&m, n, "pads", 8, (const int64_t[]){0, 0, 1, 1, 0, 0, 2, 2});
    make_float(&m, n, "value", -1);
    make_string(&m, n, "mode", "constant");
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_PAD, 3)->n_attrs, 1);
    expect_ints(g, 1, 8, (const int64_t[]){0, 0, 1, 1, 0, 0, 2, 2});
    assert_true(scalar_input(g, 2) == -1);
    graph_free(&g);
}

/* --- inputs that are attributes ----------------------------------------- */

static void
reductions_of_18(void **state)
{
    struct make m;
    struct graph *g;
    const int64_t *axes;
    int n;

    (void)state;
    one_node(&m, 18, "ReduceMean", "x,a", "y");
    constant_ints(&m, "a", 2, (const int64_t[]){2, 3});
    g = imported(&m);
    axes = attr_ints(expect_op(g, OP_REDUCE_MEAN, 1), "axes", &n);
    assert_true(n == 2 && axes[0] == 2 && axes[1] == 3);
    graph_free(&g);
    make_int(&m, one_node(&m, 20, "ReduceMax", "x", "y"),
             "noop_with_empty_axes", 1);
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_IDENTITY, 1)->n_attrs, 0);
    graph_free(&g);
    one_node(&m, 18, "ReduceMin", "x,a", "y");
    make_input(&m, "a", DTYPE_INT64, MAKE_DIMS(1));
    g = imported(&m); /* known, perhaps, when shapes are */
    assert_int_equal(expect_op(g, OP_REDUCE_MIN, 2)->n_attrs, 0);
    graph_free(&g);
}

/* --- training ----------------------------------------------------------- */

static void
dropout_goes(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    make_float(&m, one_node(&m, 9, "Dropout", "x", "y,mask"), "ratio", 0.5f);
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_IDENTITY, 1)->n_out, 1);
    graph_free(&g);
    one_node(&m, 13, "Dropout", "x,r,t", "y");
    make_initializer(&m, "r", DTYPE_FLOAT, 0, NULL, "\0\0\0", 4);
    make_initializer(&m, "t", DTYPE_BOOL, 0, NULL, "", 1);
    g = imported(&m);
    expect_op(g, OP_IDENTITY, 1);
    graph_free(&g);
    one_node(&m, 13, "Dropout", "x,,t", "y");
    make_initializer(&m, "t", DTYPE_BOOL, 0, NULL, "\1", 1);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": Dropout: input 2 (training_mode) must be constant "
            "and false: training is not supported");
    one_node(&m, 9, "Dropout", "x", "y,mask");
    make_node(&m, "Not", "mask", "z");
    g = imported(&m); /* it keeps all */
    assert_int_equal(make_maker(g, "mask")->op, OP_EXPAND);
    graph_free(&g);
    one_node(&m, 13, "Dropout", "x,r,t", "y");
    make_initializer(&m, "r", DTYPE_FLOAT, 0, NULL, "\0\0\0", 4);
    make_initializer(&m, "t", DTYPE_BOOL, 0, NULL, "\1", 1);
    g = imported(&m); /* a ratio of 0 drops nothing */
    expect_op(g, OP_IDENTITY, 1);
    graph_free(&g);
}

static void
batch_normalization(void **state)
{
    struct make m;
    struct graph *g;
    Onnx__NodeProto *n;

    (void)state;
    n = one_node(&m, 7, "BatchNormalization", "x,x,x,x,x", "y");
    make_int(&m, n, "spatial", 1);
    make_float(&m, n, "epsilon", 1e-3f);
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_BATCH_NORMALIZATION, 5)->n_attrs, 1);
    graph_free(&g);
    make_int(&m, one_node(&m, 8, "BatchNormalization", "x,x,x,x,x", "y"),
             "spatial", 0);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": BatchNormalization: attribute spatial = 0 is not "
            "supported");
    one_node(&m, 9, "BatchNormalization", "x,x,x,x,x", "y,m,v,a,b");
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": BatchNormalization: 5 outputs: training mode is "
            "not supported");
    make_int(&m, one_node(&m, 15, "BatchNormalization", "x,x,x,x,x", "y"),
             "training_mode", 1);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": BatchNormalization: attribute training_mode = 1 "
            "is not supported");
}

/* --- softmax ------------------------------------------------------------ */

static void
softmax_of_the_last_axis(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    make_int(&m, one_node(&m, 11, "Softmax", "x", "y"), "axis", 3);
    g = imported(&m);
    assert_int_equal(attr_int(expect_op(g, OP_SOFTMAX, 1), "axis", 0), -1);
    assert_int_equal(g->nodes.n, 1);
    graph_free(&g);

    /* Through a Gemm, whose result is a matrix; 1 was the default. */
    one_node(&m, 9, "Gemm", "x,x", "g");
    make_node(&m, "LogSoftmax", "g", "y");
    g = imported(&m);
    assert_int_equal(g->nodes.n, 2);
    graph_free(&g);

    /* The rank that Reshape makes is the length of a computed list. */
    one_node(&m, 9, "Shape", "x", "s");
    constant_ints(&m, "one", 1, (const int64_t[]){1});
    constant_ints(&m, "two", 1, (const int64_t[]){-2});
    make_int(&m, make_node(&m, "Cast", "s", "c"), "to", DTYPE_INT64);
    make_node(&m, "Gather", "c,one", "b");
    m.model.opset_import[0]->version = 10;
    make_node(&m, "Slice", "c,one,two", "a");
    make_int(&m, make_node(&m, "Concat", "a,two,b", "list"), "axis", 0);
    make_node(&m, "Reshape", "x,list", "r");
    make_int(&m, make_node(&m, "Softmax", "r", "y"), "axis", 2);
    g = imported(&m);
    assert_int_equal(g->nodes.n, 7);
    graph_free(&g);

    /* Not known but for what the file says of the output. */
    one_node(&m, 9, "Reshape", "x,s", "r");
    make_input(&m, "s", DTYPE_INT64, MAKE_DIMS(-1));
    make_node(&m, "Softmax", "r", "y");
    m.graph.output[0] = make_info(&m, "y", DTYPE_FLOAT, MAKE_DIMS(-1, 10));
    g = imported(&m);
    assert_int_equal(g->nodes.n, 2);
    graph_free(&g);
}

static void
softmax_of_more_axes_is_one_of_a_matrix(void **state)
{
    static const int64_t axes[] = {1, 7};
    struct make m;
    struct graph *g;
    struct node *n, *soft;

    (void)state;
    for (int unknown = 0; unknown < 2; unknown++) {
        make_begin(&m, 11);
        make_input(&m, "x", DTYPE_FLOAT, unknown ? -1 : 4,
                   (const int64_t[]){2, 3, 4, 5});
        make_output(&m, "y", DTYPE_FLOAT, -1, NULL);
        make_int(&m, make_node(&m, "Softmax", "x", "y"), "axis", axes[unknown]);
        make_node(&m, "Relu", "y", "z");
        g = imported(&m);
        assert_int_equal(g->nodes.n, 5);
        n = expect_op(g, OP_RESHAPE, 2);
        assert_int_equal(graph_producer(g, n->in[1])->op, OP_SHAPE);
        soft = graph_producer(g, n->in[0]);
        assert_int_equal(soft->op, OP_SOFTMAX);
        assert_int_equal(attr_int(soft, "axis", 0), -1);
        n = graph_producer(g, soft->in[0]);
        assert_int_equal(n->op, OP_FLATTEN);
        assert_int_equal(attr_int(n, "axis", 0), axes[unknown]);
        assert_string_equal(graph_value(g, n->in[0])->name, "x");
        graph_free(&g);
    }
    make_int(&m, one_node(&m, 11, "Softmax", "x", "y"), "axis", 9);
    refused(&m, ERR_INVALID,
            "node \"n_y\": Softmax: attribute axis = 9 is out of range");
}

/* --- resize ------------------------------------------------------------- */

static void
upsample_becomes_resize(void **state)
{
    const float twice[] = {1, 1, 2, 2}, half[] = {1, 1, 0.5f, 0.5f};
    const float both[] = {1, 1, 0.5f, 2};
    struct make m;
    struct graph *g;
    struct node *r;

    (void)state;
    make_floats(&m, one_node(&m, 7, "Upsample", "x", "y"), "scales", 4, twice);
    g = imported(&m);
    r = expect_op(g, OP_RESIZE, 3);
    assert_int_equal(r->in[1], -1);
    assert_memory_equal(node_in(g, r, 2)->data, twice, sizeof twice);
    assert_null(attr_find(r, "scales"));
    assert_string_equal(attr_string(r, "nearest_mode", ""), "floor");
    assert_string_equal(attr_string(r, "coordinate_transformation_mode", ""),
                        "asymmetric");
    graph_free(&g);

    one_node(&m, 10, "Resize", "x,s", "y");
    make_initializer(&m, "s", DTYPE_FLOAT, MAKE_DIMS(4), half, sizeof half);
    g = imported(&m);
    r = expect_op(g, OP_RESIZE, 3);
    assert_string_equal(attr_string(r, "nearest_mode", ""), "ceil");
    graph_free(&g);

    one_node(&m, 10, "Resize", "x,s", "y");
    make_initializer(&m, "s", DTYPE_FLOAT, MAKE_DIMS(4), both, sizeof both);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": Resize: nearest that grows one axis and shrinks "
            "another is not supported before opset 11");
}

static void
resize_without_what_is_not_meant(void **state)
{
    const int64_t sizes[] = {2, 3, 8, 10};
    struct make m;
    struct graph *g;
    struct node *r;

    (void)state;
    one_node(&m, 11, "Resize", "x,roi,scales,s", "y");
    make_initializer(&m, "roi", DTYPE_FLOAT, MAKE_DIMS(0), NULL, 0);
    make_initializer(&m, "scales", DTYPE_FLOAT, MAKE_DIMS(0), NULL, 0);
    constant_ints(&m, "s", 4, sizes);
    g = imported(&m);
    r = expect_op(g, OP_RESIZE, 4);
    assert_true(r->in[1] == -1 && r->in[2] == -1);
    expect_ints(g, 3, 4, sizes);
    graph_free(&g);
    one_node(&m, 13, "Resize", "x", "y");
    refused(&m, ERR_INVALID,
            "node \"n_y\": Resize: neither scales nor sizes are given");
}

/* --- types -------------------------------------------------------------- */

static void
quantize_to_a_named_type(void **state)
{
    const float scale[] = {0.5f, 0.25f, 1};
    struct make m;
    struct graph *g;
    struct value *zero;
    Onnx__NodeProto *n;

    (void)state;
    n = one_node(&m, 21, "QuantizeLinear", "x,s", "y");
    make_int(&m, n, "output_dtype", DTYPE_INT8);
    make_int(&m, n, "saturate", 1);
    make_int(&m, n, "axis", 1);
    make_initializer(&m, "s", DTYPE_FLOAT, MAKE_DIMS(3), scale, sizeof scale);
    m.graph.output[0]->type->tensor_type->elem_type = DTYPE_INT8;
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_QUANTIZE_LINEAR, 3)->n_attrs, 1);
    zero = node_in(g, make_maker(g, "y"), 2);
    assert_int_equal(zero->dtype, DTYPE_INT8);
    assert_true(shape_equal(&zero->shape, &SHAPE(3)));
    assert_memory_equal(zero->data, "\0\0\0", 3);
    graph_free(&g);
    n = one_node(&m, 21, "QuantizeLinear", "x,s", "y");
    make_int(&m, n, "output_dtype", 17);
    make_initializer(&m, "s", DTYPE_FLOAT, MAKE_DIMS(3), scale, sizeof scale);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": QuantizeLinear: attribute output_dtype: element "
            "type float8e4m3fn (17) is not supported");
}

static void
casts(void **state)
{
    struct make m;
    struct graph *g;
    Onnx__NodeProto *n;

    (void)state;
    n = one_node(&m, 19, "Cast", "x", "y");
    make_int(&m, n, "to", DTYPE_INT64);
    make_int(&m, n, "saturate", 1);
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_CAST, 1)->n_attrs, 1);
    graph_free(&g);
    make_int(&m, one_node(&m, 13, "Cast", "x", "y"), "to", 8);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": Cast: element type string (8) is not supported");
    one_node(&m, 15, "CastLike", "x,t", "y");
    make_input(&m, "t", DTYPE_INT32, MAKE_DIMS(1));
    g = imported(&m);
    assert_int_equal(attr_int(expect_op(g, OP_CAST, 1), "to", 0), DTYPE_INT32);
    graph_free(&g);
}

static void
mean_is_a_sum_divided(void **state)
{
    struct make m;
    struct graph *g;
    struct node *sum;

    (void)state;
    one_node(&m, 13, "Mean", "x,x,x", "y");
    g = imported(&m);
    sum = graph_producer(g, expect_op(g, OP_DIV, 2)->in[0]);
    assert_int_equal(sum->op, OP_SUM);
    assert_int_equal(sum->n_in, 3);
    assert_true(scalar_input(g, 1) == 3);
    graph_free(&g);
}

static void
top_k_of_an_attribute(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    make_int(&m, one_node(&m, 9, "TopK", "x", "y,i"), "k", 3);
    g = imported(&m);
    assert_null(attr_find(expect_op(g, OP_TOP_K, 2), "k"));
    expect_ints(g, 1, 1, (const int64_t[]){3});
    graph_free(&g);
    one_node(&m, 7, "TopK", "x", "y,i");
    refused(&m, ERR_INVALID, "node \"n_y\": TopK: attribute k is missing");
}

/* The same under another name, or with a default that was another. */
static void
names_and_defaults_that_changed(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    one_node(&m, 9, "Scatter", "x,x,x", "y");
    g = imported(&m);
    expect_op(g, OP_SCATTER_ELEMENTS, 3);
    graph_free(&g);
    one_node(&m, 15, "RoiAlign", "x,x,x", "y");
    g = imported(&m);
    assert_string_equal(attr_string(expect_op(g, OP_ROI_ALIGN, 3),
                                    "coordinate_transformation_mode", ""),
                        "output_half_pixel");
    graph_free(&g);
    one_node(&m, 16, "RoiAlign", "x,x,x", "y");
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_ROI_ALIGN, 3)->n_attrs, 0);
    graph_free(&g);
    one_node(&m, 17, "DFT", "x", "y");
    g = imported(&m);
    assert_int_equal(attr_int(expect_op(g, OP_DFT, 1), "axis", 9), 1);
    graph_free(&g);
    one_node(&m, 20, "DFT", "x", "y");
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_DFT, 1)->n_attrs, 0);
    graph_free(&g);
}

static void
types_of_new_tensors(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    make_int(&m, one_node(&m, 9, "EyeLike", "x", "y"), "dtype", 7);
    g = imported(&m);
    assert_int_equal(attr_int(expect_op(g, OP_EYE_LIKE, 1), "dtype", 0),
                     DTYPE_INT64);
    graph_free(&g);
    make_int(&m, one_node(&m, 9, "EyeLike", "x", "y"), "dtype", 8);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": EyeLike: element type string (8) is not supported");
    make_int(&m, one_node(&m, 17, "HannWindow", "x", "y"), "output_datatype",
             8);
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": HannWindow: attribute output_datatype: element "
            "type string (8) is not supported");
}

static void
normalizations_of_more_axes(void **state)
{
    struct make m;
    struct graph *g;
    struct node *less;
    int n;

    (void)state;
    one_node(&m, 13, "MeanVarianceNormalization", "x", "y");
    g = imported(&m);
    less = graph_producer(g, expect_op(g, OP_DIV, 2)->in[0]);
    assert_int_equal(less->op, OP_SUB);
    attr_ints(graph_producer(g, less->in[1]), "axes", &n);
    assert_int_equal(n, 3);
    graph_free(&g);
    make_int(&m, one_node(&m, 21, "GroupNormalization", "x,x,x", "y"),
             "num_groups", 3);
    g = imported(&m);
    assert_int_equal(expect_op(g, OP_GROUP_NORMALIZATION, 3)->n_attrs, 1);
    graph_free(&g);
    one_node(&m, 18, "GroupNormalization", "x,x,x", "y");
    refused(&m, ERR_INVALID,
            "node \"n_y\": GroupNormalization: attribute num_groups is "
            "missing");
}

/* x is [2,3,4,5]; before 7 the axes of b were put beside it by attributes. */
static void
broadcasting_of_6(void **state)
{
    static const float three[3] = {1, 2, 3}, zeros[64];
    struct make m;
    struct graph *g;
    Onnx__NodeProto *n;
    struct node *wide;
    int64_t axes[2];
    int count;

    (void)state;
    n = one_node(&m, 6, "Mul", "x,b", "y");
    make_int(&m, n, "broadcast", 1);
    make_int(&m, n, "axis", 1);
    make_initializer(&m, "b", DTYPE_FLOAT, MAKE_DIMS(3), three, sizeof three);
    g = imported(&m);
    wide = graph_producer(g, expect_op(g, OP_MUL, 2)->in[1]);
    assert_int_equal(wide->op, OP_UNSQUEEZE);
    assert_true(value_ints(node_in(g, wide, 1), axes, 2, &count));
    assert_true(count == 2 && axes[0] == 1 && axes[1] == 2);
    graph_free(&g);

    n = one_node(&m, 6, "Mul", "x,b", "y");
    make_int(&m, n, "broadcast", 1);
    make_int(&m, n, "axis", -1);
    make_initializer(&m, "b", DTYPE_FLOAT, MAKE_DIMS(5), zeros, 20);
    g = imported(&m);
    assert_null(graph_producer(g, expect_op(g, OP_MUL, 2)->in[1]));
    graph_free(&g);

    n = one_node(&m, 6, "Mul", "x,b", "y");
    make_int(&m, n, "broadcast", 1);
    make_int(&m, n, "axis", 3);
    make_initializer(&m, "b", DTYPE_FLOAT, MAKE_DIMS(5, 1), zeros, 20);
    refused(&m, ERR_INVALID,
            "node \"n_y\": Mul: attribute axis = 3 does not fit to 2 axes of "
            "4");

    one_node(&m, 6, "PRelu", "x,b", "y");
    make_initializer(&m, "b", DTYPE_FLOAT, MAKE_DIMS(3), three, sizeof three);
    g = imported(&m);
    wide = graph_producer(g, expect_op(g, OP_PRELU, 2)->in[1]);
    assert_int_equal(wide->op, OP_UNSQUEEZE);
    graph_free(&g);

    one_node(&m, 6, "PRelu", "x,b", "y");
    make_initializer(&m, "b", DTYPE_FLOAT, MAKE_DIMS(1), three, 4);
    g = imported(&m);
    assert_null(graph_producer(g, expect_op(g, OP_PRELU, 2)->in[1]));
    graph_free(&g);
}

/* Older files hold what has not changed since. */
static void
only_the_unchanged_before_6(void **state)
{
    struct make m;
    struct graph *g;

    (void)state;
    one_node(&m, 1, "GlobalMaxPool", "x", "y");
    g = imported(&m);
    expect_op(g, OP_GLOBAL_MAX_POOL, 1);
    graph_free(&g);
    one_node(&m, 5, "Add", "x,x", "y");
    refused(&m, ERR_UNSUPPORTED,
            "node \"n_y\": operator Add (opset 5) is not supported");
}

static int
draw(unsigned *seed, int max)
{
    *seed = *seed * 1103515245 + 12345;
    return (int)(*seed >> 16) % max;
}

/* Attributes and inputs of all kinds against every rule: no crash. */
static void
nothing_is_taken_for_granted(void **state)
{
    static const char *const ops[] = {
        "Add",         "PRelu",
        "AveragePool", "BatchNormalization",
        "Cast",        "CastLike",
        "Clip",        "ConstantOfShape",
        "DFT",         "DequantizeLinear",
        "Dropout",     "DynamicQuantizeLinear",
        "EyeLike",     "GroupNormalization",
        "HannWindow",  "LogSoftmax",
        "Mean",        "MeanVarianceNormalization",
        "Pad",         "QuantizeLinear",
        "ReduceL1",    "ReduceMax",
        "ReduceSum",   "Resize",
        "RoiAlign",    "Slice",
        "Softmax",     "Split",
        "Squeeze",     "TopK",
        "Unsqueeze",   "Upsample",
    };
    static const char *const inputs[] = {
        "", "x", "x,e", "x,s,f", "x,,e,s", "e,e,e,e", "x,x,x,x,x", "f,s", ",x"};
    static const char *const ints[] = {
        "axis",      "to",      "block_size", "output_dtype",
        "broadcast", "spatial", "k",          "noop_with_empty_axes"};
    static const char *const lists[] = {"axes", "split", "starts",
                                        "ends", "pads",  "dilations"};
    struct make m;
    struct graph *g = NULL;
    struct err e;
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        Onnx__NodeProto *n;
        int opset = ONNX_MIN_OPSET + draw(&seed, 22), count;
        const char *op_type =
            ops[draw(&seed, (int)(sizeof ops / sizeof ops[0]))];
        const char *in = inputs[draw(&seed, 9)];

        n = one_node(&m, opset, op_type, in, draw(&seed, 4) ? "y" : "y,z");
        constant_ints(&m, "e", 0, (const int64_t[]){0});
        constant_ints(&m, "s", 3, (const int64_t[]){INT64_MIN, -1, 1 << 30});
        make_initializer(&m, "f", DTYPE_FLOAT, MAKE_DIMS(2),
                         "\0\0\x80\x7f\0\0\0\x40", 8);
        count = draw(&seed, 40);
        if (count < 30)
            make_int(&m, n, ints[draw(&seed, 8)], count - 15);
        count = draw(&seed, 6);
        if (count < 4)
            make_ints(&m, n, lists[draw(&seed, 6)], count,
                      (const int64_t[]){-1, INT64_MAX, 2});
        count = draw(&seed, 16);
        if (count < 3)
            make_floats(&m, n, "scales", count, (const float[]){2, -1, 0});
        if (make_import(&m, NULL, &g, &e) == 0)
            graph_free(&g);
        make_end(&m);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clip_bounds),
        cmocka_unit_test(clip_bounds_have_the_type_of_the_tensor),
        cmocka_unit_test(lists_become_inputs),
        cmocka_unit_test(slice_and_pad),
        cmocka_unit_test(reductions_of_18),
        cmocka_unit_test(dropout_goes),
        cmocka_unit_test(batch_normalization),
        cmocka_unit_test(softmax_of_the_last_axis),
        cmocka_unit_test(softmax_of_more_axes_is_one_of_a_matrix),
        cmocka_unit_test(upsample_becomes_resize),
        cmocka_unit_test(resize_without_what_is_not_meant),
        cmocka_unit_test(quantize_to_a_named_type),
        cmocka_unit_test(casts),
        cmocka_unit_test(mean_is_a_sum_divided),
        cmocka_unit_test(broadcasting_of_6),
        cmocka_unit_test(only_the_unchanged_before_6),
        cmocka_unit_test(top_k_of_an_attribute),
        cmocka_unit_test(names_and_defaults_that_changed),
        cmocka_unit_test(types_of_new_tensors),
        cmocka_unit_test(normalizations_of_more_axes),
        cmocka_unit_test(nothing_is_taken_for_granted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
