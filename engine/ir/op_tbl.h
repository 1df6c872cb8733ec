/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP(enum, domain, name, since, inputs min, inputs max, outputs max, rule)
 *
 * The operators quantd knows, each in one form: that of the newest opset up to
 * 17 which defines it (later ones as they are).  onnx/upgrade.c brings files of
 * other opsets to this form.  `since` is the oldest opset in which this form
 * is valid; a file that quantd writes declares the largest `since` it needs.
 * Domain "quantd" marks what only exists in memory, between passes.
 * The rule is the shape rule of engine/ops/.
 */
/* unary.c: one input, elementwise */
OP(ABS, "", "Abs", 13, 1, 1, 1, unary_infer)
OP(CEIL, "", "Ceil", 13, 1, 1, 1, unary_infer)
OP(CLIP, "", "Clip", 13, 1, 3, 1, unary_infer)
OP(ELU, "", "Elu", 6, 1, 1, 1, unary_infer)
OP(ERF, "", "Erf", 13, 1, 1, 1, unary_infer)
OP(EXP, "", "Exp", 13, 1, 1, 1, unary_infer)
OP(FLOOR, "", "Floor", 13, 1, 1, 1, unary_infer)
OP(GELU, "", "Gelu", 20, 1, 1, 1, unary_infer)
OP(HARD_SIGMOID, "", "HardSigmoid", 6, 1, 1, 1, unary_infer)
OP(HARD_SWISH, "", "HardSwish", 14, 1, 1, 1, unary_infer)
OP(IDENTITY, "", "Identity", 13, 1, 1, 1, unary_infer)
OP(LEAKY_RELU, "", "LeakyRelu", 6, 1, 1, 1, unary_infer)
OP(LOG, "", "Log", 13, 1, 1, 1, unary_infer)
OP(NEG, "", "Neg", 13, 1, 1, 1, unary_infer)
OP(NOT, "", "Not", 1, 1, 1, 1, unary_infer)
OP(RECIPROCAL, "", "Reciprocal", 13, 1, 1, 1, unary_infer)
OP(RELU, "", "Relu", 13, 1, 1, 1, unary_infer)
OP(ROUND, "", "Round", 11, 1, 1, 1, unary_infer)
OP(SIGMOID, "", "Sigmoid", 13, 1, 1, 1, unary_infer)
OP(SIGN, "", "Sign", 13, 1, 1, 1, unary_infer)
OP(SOFTPLUS, "", "Softplus", 1, 1, 1, 1, unary_infer)
OP(SQRT, "", "Sqrt", 13, 1, 1, 1, unary_infer)
OP(SWISH, "quantd", "Swish", 1, 1, 1, 1, unary_infer) /* x * sigmoid(x) */
OP(TANH, "", "Tanh", 13, 1, 1, 1, unary_infer)
OP(CAST, "", "Cast", 13, 1, 1, 1, cast_infer)
/* binary.c: two inputs (or more), broadcast */
OP(ADD, "", "Add", 14, 2, 2, 1, binary_infer)
OP(AND, "", "And", 7, 2, 2, 1, compare_infer)
OP(DIV, "", "Div", 14, 2, 2, 1, binary_infer)
OP(EQUAL, "", "Equal", 13, 2, 2, 1, compare_infer)
OP(GREATER, "", "Greater", 13, 2, 2, 1, compare_infer)
OP(GREATER_EQUAL, "", "GreaterOrEqual", 16, 2, 2, 1, compare_infer)
OP(LESS, "", "Less", 13, 2, 2, 1, compare_infer)
OP(LESS_EQUAL, "", "LessOrEqual", 16, 2, 2, 1, compare_infer)
OP(MAX, "", "Max", 13, 1, OP_MANY, 1, binary_infer)
OP(MIN, "", "Min", 13, 1, OP_MANY, 1, binary_infer)
OP(MUL, "", "Mul", 14, 2, 2, 1, binary_infer)
OP(OR, "", "Or", 7, 2, 2, 1, compare_infer)
OP(POW, "", "Pow", 15, 2, 2, 1, binary_infer)
OP(PRELU, "", "PRelu", 16, 2, 2, 1, binary_infer)
OP(SUB, "", "Sub", 14, 2, 2, 1, binary_infer)
OP(SUM, "", "Sum", 13, 1, OP_MANY, 1, binary_infer)
OP(WHERE, "", "Where", 16, 3, 3, 1, where_infer)
/* conv.c */
OP(CONV, "", "Conv", 11, 2, 3, 1, conv_infer)
OP(CONV_TRANSPOSE, "", "ConvTranspose", 11, 2, 3, 1, conv_transpose_infer)
/* pool.c */
OP(AVERAGE_POOL, "", "AveragePool", 11, 1, 1, 1, pool_infer)
OP(GLOBAL_AVERAGE_POOL, "", "GlobalAveragePool", 1, 1, 1, 1, global_pool_infer)
OP(GLOBAL_MAX_POOL, "", "GlobalMaxPool", 1, 1, 1, 1, global_pool_infer)
OP(MAX_POOL, "", "MaxPool", 12, 1, 1, 2, pool_infer)
/* matmul.c */
OP(GEMM, "", "Gemm", 13, 2, 3, 1, gemm_infer)
OP(MATMUL, "", "MatMul", 13, 2, 2, 1, matmul_infer)
OP(MATMUL_INTEGER, "", "MatMulInteger", 10, 2, 4, 1, matmul_infer)
/* norm.c */
OP(BATCH_NORMALIZATION, "", "BatchNormalization", 15, 5, 5, 1, norm_infer)
OP(INSTANCE_NORMALIZATION, "", "InstanceNormalization", 6, 3, 3, 1, norm_infer)
OP(LAYER_NORMALIZATION, "", "LayerNormalization", 17, 2, 3, 3, layer_norm_infer)
OP(LRN, "", "LRN", 13, 1, 1, 1, norm_infer)
/* reduce.c: axes is an attribute (opset < 18), but for ReduceSum */
OP(ARG_MAX, "", "ArgMax", 13, 1, 1, 1, reduce_infer)
OP(ARG_MIN, "", "ArgMin", 13, 1, 1, 1, reduce_infer)
OP(REDUCE_L2, "", "ReduceL2", 13, 1, 1, 1, reduce_infer)
OP(REDUCE_MAX, "", "ReduceMax", 13, 1, 1, 1, reduce_infer)
OP(REDUCE_MEAN, "", "ReduceMean", 13, 1, 1, 1, reduce_infer)
OP(REDUCE_MIN, "", "ReduceMin", 13, 1, 1, 1, reduce_infer)
OP(REDUCE_PROD, "", "ReduceProd", 13, 1, 1, 1, reduce_infer)
OP(REDUCE_SUM, "", "ReduceSum", 13, 1, 2, 1, reduce_infer)
/* softmax.c */
OP(LOG_SOFTMAX, "", "LogSoftmax", 13, 1, 1, 1, softmax_infer)
OP(SOFTMAX, "", "Softmax", 13, 1, 1, 1, softmax_infer)
/* move.c and others: elements go elsewhere, none changes */
OP(CONCAT, "", "Concat", 13, 1, OP_MANY, 1, concat_infer)
OP(DEPTH_TO_SPACE, "", "DepthToSpace", 13, 1, 1, 1, depth_to_space_infer)
OP(EXPAND, "", "Expand", 13, 2, 2, 1, expand_infer)
OP(FLATTEN, "", "Flatten", 13, 1, 1, 1, flatten_infer)
OP(GATHER, "", "Gather", 13, 2, 2, 1, gather_infer)
OP(PAD, "", "Pad", 13, 2, 3, 1, pad_infer)
OP(REORDER, "quantd", "Reorder", 1, 1, 1, 1, unary_infer) /* other layout */
OP(RESHAPE, "", "Reshape", 14, 2, 2, 1, reshape_infer)
OP(SLICE, "", "Slice", 13, 3, 5, 1, slice_infer)
OP(SPACE_TO_DEPTH, "", "SpaceToDepth", 13, 1, 1, 1, space_to_depth_infer)
OP(SPLIT, "", "Split", 13, 1, 2, OP_MANY, split_infer)
OP(SQUEEZE, "", "Squeeze", 13, 1, 2, 1, squeeze_infer)
OP(TILE, "", "Tile", 13, 2, 2, 1, tile_infer)
OP(TRANSPOSE, "", "Transpose", 13, 1, 1, 1, transpose_infer)
OP(UNSQUEEZE, "", "Unsqueeze", 13, 2, 2, 1, unsqueeze_infer)
/* shape.c: values made from shapes */
OP(CONSTANT_OF_SHAPE, "", "ConstantOfShape", 9, 1, 1, 1, constant_of_shape_infer)
OP(RANGE, "", "Range", 11, 3, 3, 1, range_infer)
OP(SHAPE, "", "Shape", 15, 1, 1, 1, shape_infer)
OP(SIZE, "", "Size", 13, 1, 1, 1, shape_infer)
/* resize.c */
OP(RESIZE, "", "Resize", 13, 1, 4, 1, resize_infer)
/* quantize.c */
OP(QUANTIZE_LINEAR, "", "QuantizeLinear", 13, 2, 3, 1, quantize_infer)
OP(DEQUANTIZE_LINEAR, "", "DequantizeLinear", 13, 2, 3, 1, dequantize_infer)
OP(DYNAMIC_QUANTIZE_LINEAR, "", "DynamicQuantizeLinear", 11, 1, 1, 3, dynamic_quantize_infer)
