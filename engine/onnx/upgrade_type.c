/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that name an element type, which a file does by ONNX's numbers, and
 * those that quantize.
 */
#include "engine/onnx/rewrite.h"

#include "engine/onnx/tensor.h"

static int
cast(struct upgrade *u, int node, struct err *e)
{
    enum dtype to;

    if (rewrite_need_attr(u, node, "to", e) != 0)
        return e->code;
    attr_remove(rewrite_node(u, node), "saturate"); /* matters to float8 only */
    if (dtype_import((int32_t)attr_int(rewrite_node(u, node), "to", 0), &to,
                     e) != 0)
        return e->code;
    attr_set_int(u->g, rewrite_node(u, node), "to", to);
    return 0;
}

/* A Cast where the type is known by now. */
static int
cast_like(struct upgrade *u, int node, struct err *e)
{
    struct fact like = rewrite_fact(u, node, 1);

    if (facts_has_four_bits(&u->facts, rewrite_node(u, node)->in[1]))
        return err_set(e, ERR_UNSUPPORTED,
                       "input 1 (target_type) has 4 bits: not supported");
    attr_remove(rewrite_node(u, node), "saturate"); /* of float8 only */
    if (like.dtype == DTYPE_NONE)
        return 0;
    rewrite_node(u, node)->op = OP_CAST;
    rewrite_set_input(u, node, 1, -1);
    attr_set_int(u->g, rewrite_node(u, node), "to", like.dtype);
    return 0;
}

/* An attribute dtype: the result has that of the input without it. */
static int
named_type(struct upgrade *u, int node, struct err *e)
{
    enum dtype t;

    if (attr_find(rewrite_node(u, node), "dtype") == NULL)
        return 0;
    if (dtype_import((int32_t)attr_int(rewrite_node(u, node), "dtype", 0), &t,
                     e) != 0)
        return e->code;
    attr_set_int(u->g, rewrite_node(u, node), "dtype", t);
    return 0;
}

static int
constant_of_shape(struct upgrade *u, int node, struct err *e)
{
    const struct attr *a = attr_find(rewrite_node(u, node), "value");

    if (a != NULL && shape_n(&a->tensor->shape) != 1)
        return err_set(e, ERR_INVALID, "attribute value must be one element");
    return 0;
}

/* The type is a number of ONNX's. */
static int
spectral_window(struct upgrade *u, int node, struct err *e)
{
    int64_t type =
        attr_int(rewrite_node(u, node), "output_datatype", DTYPE_FLOAT);
    enum dtype t;

    if (dtype_import((int32_t)type, &t, e) != 0)
        return err_wrap(e, "attribute output_datatype");
    attr_set_int(u->g, rewrite_node(u, node), "output_datatype", t);
    return 0;
}

/* --- quantization ------------------------------------------------------- */

/* To 4 bits: to 8 of them, and then into the range of 4. */
static int
into_four_bits(struct upgrade *u, int node, struct err *e)
{
    const bool negative = rewrite_fact(u, node, 2).dtype == DTYPE_INT8;
    const int8_t low = negative ? -8 : 0, high = negative ? 7 : 15;
    const enum dtype t = negative ? DTYPE_INT8 : DTYPE_UINT8;
    const struct shape scalar = {.rank = 0};
    int wide = rewrite_value(u, node, "wide");
    const int in[3] = {wide, rewrite_const(u, node, "low", t, &scalar, &low),
                       rewrite_const(u, node, "high", t, &scalar, &high)};

    if (in[1] < 0 || in[2] < 0)
        return rewrite_no_memory(e);
    rewrite_append(u, node, OP_CLIP, in, 3, rewrite_redirect(u, node, wide));
    return 0;
}

/* From 21 on the type may be an attribute instead of that of a zero point. */
static int
quantize(struct upgrade *u, int node, struct err *e)
{
    int64_t type = attr_int(rewrite_node(u, node), "output_dtype", 0);
    const struct value *scale = node_in(u->g, rewrite_node(u, node), 1);
    struct shape shape = scale->shape;
    enum dtype t;
    void *zeros;

    attr_remove(rewrite_node(u, node), "saturate"); /* matters to float8 only */
    attr_remove(rewrite_node(u, node), "output_dtype");
    if (rewrite_has_input(u, node, 2) &&
        facts_has_four_bits(&u->facts, rewrite_node(u, node)->in[2]))
        return into_four_bits(u, node, e);
    if (type == 0 || rewrite_has_input(u, node, 2))
        return 0;
    if (dtype_import((int32_t)type, &t, e) != 0)
        return err_wrap(e, "attribute output_dtype");
    if (scale->data == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute output_dtype needs a constant scale");
    zeros = arena_try(u->g->arena, shape_n(&shape), dtype_size(t));
    if (zeros == NULL)
        return rewrite_no_memory(e);
    return rewrite_set_const(u, node, 2, "zero_point", t, &shape, zeros, e);
}

static int
dynamic_quantize(struct upgrade *u, int node, struct err *e)
{
    if (rewrite_node(u, node)->n_out != 3)
        return err_set(e, ERR_INVALID, "%d outputs, must be 3",
                       rewrite_node(u, node)->n_out);
    return 0;
}

const struct rule rules_type[] = {
    {"BitCast", 26, OPSET_LAST, {OP_BIT_CAST, 1, 1, 1, cast}},
    {"BlackmanWindow",
     17,
     OPSET_LAST,
     {OP_BLACKMAN_WINDOW, 1, 1, 1, spectral_window}},
    {"Cast", 6, OPSET_LAST, {OP_CAST, 1, 1, 1, cast}},
    {"CastLike", 15, OPSET_LAST, {OP_CAST_LIKE, 2, 2, 1, cast_like}},
    {"ConstantOfShape",
     9,
     OPSET_LAST,
     {OP_CONSTANT_OF_SHAPE, 1, 1, 1, constant_of_shape}},
    {"DynamicQuantizeLinear",
     11,
     OPSET_LAST,
     {OP_DYNAMIC_QUANTIZE_LINEAR, 1, 1, 3, dynamic_quantize}},
    {"EyeLike", 9, OPSET_LAST, {OP_EYE_LIKE, 1, 1, 1, named_type}},
    {"HammingWindow",
     17,
     OPSET_LAST,
     {OP_HAMMING_WINDOW, 1, 1, 1, spectral_window}},
    {"HannWindow", 17, OPSET_LAST, {OP_HANN_WINDOW, 1, 1, 1, spectral_window}},
    {"QuantizeLinear", 19, OPSET_LAST, {OP_QUANTIZE_LINEAR, 2, 3, 1, quantize}},
    {"MelWeightMatrix",
     17,
     OPSET_LAST,
     {OP_MEL_WEIGHT_MATRIX, 5, 5, 1, spectral_window}},
    {"Bernoulli", 1, OPSET_LAST, {OP_BERNOULLI, 1, 1, 1, named_type}},
    {"Multinomial", 1, OPSET_LAST, {OP_MULTINOMIAL, 1, 1, 1, named_type}},
    {"RandomNormal", 1, OPSET_LAST, {OP_RANDOM_NORMAL, 0, 0, 1, named_type}},
    {"RandomNormalLike",
     1,
     OPSET_LAST,
     {OP_RANDOM_NORMAL_LIKE, 1, 1, 1, named_type}},
    {"RandomUniform", 1, OPSET_LAST, {OP_RANDOM_UNIFORM, 0, 0, 1, named_type}},
    {"RandomUniformLike",
     1,
     OPSET_LAST,
     {OP_RANDOM_UNIFORM_LIKE, 1, 1, 1, named_type}},
    {NULL, 0, 0, {0}},
};
