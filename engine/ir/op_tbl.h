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
/* control.c: the bodies are attributes, see graph.h on what they capture */
OP(IF, "", "If", 13, 1, 1, OP_MANY, control_infer)
OP(LOOP, "", "Loop", 13, 0, OP_MANY, OP_MANY, control_infer)
OP(SCAN, "", "Scan", 11, 1, OP_MANY, OP_MANY, control_infer)
/* unary.c: one input, elementwise */
OP(ABS, "", "Abs", 13, 1, 1, 1, unary_infer)
OP(ACOS, "", "Acos", 7, 1, 1, 1, unary_infer)
OP(ACOSH, "", "Acosh", 9, 1, 1, 1, unary_infer)
OP(ASIN, "", "Asin", 7, 1, 1, 1, unary_infer)
OP(ASINH, "", "Asinh", 9, 1, 1, 1, unary_infer)
OP(ATAN, "", "Atan", 7, 1, 1, 1, unary_infer)
OP(ATANH, "", "Atanh", 9, 1, 1, 1, unary_infer)
OP(BITWISE_NOT, "", "BitwiseNot", 18, 1, 1, 1, unary_infer)
OP(CEIL, "", "Ceil", 13, 1, 1, 1, unary_infer)
OP(CELU, "", "Celu", 12, 1, 1, 1, unary_infer)
OP(CLIP, "", "Clip", 13, 1, 3, 1, unary_infer)
OP(COS, "", "Cos", 7, 1, 1, 1, unary_infer)
OP(COSH, "", "Cosh", 9, 1, 1, 1, unary_infer)
OP(ELU, "", "Elu", 6, 1, 1, 1, unary_infer)
OP(ERF, "", "Erf", 13, 1, 1, 1, unary_infer)
OP(EXP, "", "Exp", 13, 1, 1, 1, unary_infer)
OP(FLOOR, "", "Floor", 13, 1, 1, 1, unary_infer)
OP(GELU, "", "Gelu", 20, 1, 1, 1, unary_infer)
OP(HARD_SIGMOID, "", "HardSigmoid", 6, 1, 1, 1, unary_infer)
OP(HARD_SWISH, "", "HardSwish", 14, 1, 1, 1, unary_infer)
OP(IDENTITY, "", "Identity", 13, 1, 1, 1, unary_infer)
OP(IS_INF, "", "IsInf", 10, 1, 1, 1, is_infer)
OP(IS_NAN, "", "IsNaN", 13, 1, 1, 1, is_infer)
OP(LEAKY_RELU, "", "LeakyRelu", 6, 1, 1, 1, unary_infer)
OP(LOG, "", "Log", 13, 1, 1, 1, unary_infer)
OP(MISH, "", "Mish", 18, 1, 1, 1, unary_infer)
OP(NEG, "", "Neg", 13, 1, 1, 1, unary_infer)
OP(NOT, "", "Not", 1, 1, 1, 1, unary_infer)
OP(RECIPROCAL, "", "Reciprocal", 13, 1, 1, 1, unary_infer)
OP(RELU, "", "Relu", 13, 1, 1, 1, unary_infer)
OP(ROUND, "", "Round", 11, 1, 1, 1, unary_infer)
OP(SELU, "", "Selu", 6, 1, 1, 1, unary_infer)
OP(SHRINK, "", "Shrink", 9, 1, 1, 1, unary_infer)
OP(SIGMOID, "", "Sigmoid", 13, 1, 1, 1, unary_infer)
OP(SIGN, "", "Sign", 13, 1, 1, 1, unary_infer)
OP(SIN, "", "Sin", 7, 1, 1, 1, unary_infer)
OP(SINH, "", "Sinh", 9, 1, 1, 1, unary_infer)
OP(SOFTPLUS, "", "Softplus", 1, 1, 1, 1, unary_infer)
OP(SOFTSIGN, "", "Softsign", 1, 1, 1, 1, unary_infer)
OP(SQRT, "", "Sqrt", 13, 1, 1, 1, unary_infer)
OP(SWISH, "quantd", "Swish", 1, 1, 1, 1, unary_infer) /* x * sigmoid(x) */
OP(TAN, "", "Tan", 7, 1, 1, 1, unary_infer)
OP(TANH, "", "Tanh", 13, 1, 1, 1, unary_infer)
OP(THRESHOLDED_RELU, "", "ThresholdedRelu", 10, 1, 1, 1, unary_infer)
OP(CAST, "", "Cast", 13, 1, 1, 1, cast_infer)
OP(CAST_LIKE, "", "CastLike", 15, 2, 2, 1, cast_like_infer)
OP(BIT_CAST, "", "BitCast", 26, 1, 1, 1, bit_cast_infer)
/* binary.c: two inputs (or more), broadcast */
OP(ADD, "", "Add", 14, 2, 2, 1, binary_infer)
OP(AND, "", "And", 7, 2, 2, 1, compare_infer)
OP(BITWISE_AND, "", "BitwiseAnd", 18, 2, 2, 1, bitwise_infer)
OP(BITWISE_OR, "", "BitwiseOr", 18, 2, 2, 1, bitwise_infer)
OP(BITWISE_XOR, "", "BitwiseXor", 18, 2, 2, 1, bitwise_infer)
OP(BIT_SHIFT, "", "BitShift", 11, 2, 2, 1, bit_shift_infer)
OP(DIV, "", "Div", 14, 2, 2, 1, binary_infer)
OP(EQUAL, "", "Equal", 13, 2, 2, 1, compare_infer)
OP(GREATER, "", "Greater", 13, 2, 2, 1, compare_infer)
OP(GREATER_EQUAL, "", "GreaterOrEqual", 16, 2, 2, 1, compare_infer)
OP(LESS, "", "Less", 13, 2, 2, 1, compare_infer)
OP(LESS_EQUAL, "", "LessOrEqual", 16, 2, 2, 1, compare_infer)
OP(MAX, "", "Max", 13, 1, OP_MANY, 1, binary_infer)
OP(MIN, "", "Min", 13, 1, OP_MANY, 1, binary_infer)
OP(MOD, "", "Mod", 13, 2, 2, 1, binary_infer)
OP(MUL, "", "Mul", 14, 2, 2, 1, binary_infer)
OP(OR, "", "Or", 7, 2, 2, 1, compare_infer)
OP(POW, "", "Pow", 15, 2, 2, 1, binary_infer)
OP(PRELU, "", "PRelu", 16, 2, 2, 1, binary_infer)
OP(SUB, "", "Sub", 14, 2, 2, 1, binary_infer)
OP(SUM, "", "Sum", 13, 1, OP_MANY, 1, binary_infer)
OP(WHERE, "", "Where", 16, 3, 3, 1, where_infer)
OP(XOR, "", "Xor", 7, 2, 2, 1, compare_infer)
/* attention.c */
OP(FUSED_ATTENTION, "quantd", "FusedAttention", 1, 3, 6, 1, fused_attention_infer)
/* conv.c */
OP(CONV, "", "Conv", 11, 2, 3, 1, conv_infer)
OP(CONV_TRANSPOSE, "", "ConvTranspose", 11, 2, 3, 1, conv_transpose_infer)
OP(DEFORM_CONV, "", "DeformConv", 19, 3, 5, 1, deform_conv_infer)
OP(CONV_INTEGER, "", "ConvInteger", 10, 2, 4, 1, conv_integer_infer)
/* and behind it Cast, Mul with input 4, Add of input 5: see pass/integer.c */
OP(CONV_SCALED, "quantd", "ConvIntegerToFloat", 1, 2, 6, 1, conv_integer_infer)
/* pool.c */
OP(AVERAGE_POOL, "", "AveragePool", 11, 1, 1, 1, pool_infer)
OP(GLOBAL_AVERAGE_POOL, "", "GlobalAveragePool", 1, 1, 1, 1, global_pool_infer)
OP(GLOBAL_MAX_POOL, "", "GlobalMaxPool", 1, 1, 1, 1, global_pool_infer)
OP(LP_POOL, "", "LpPool", 11, 1, 1, 1, pool_infer)
OP(MAX_POOL, "", "MaxPool", 12, 1, 1, 2, pool_infer)
OP(MAX_UNPOOL, "", "MaxUnpool", 11, 2, 3, 1, max_unpool_infer) /* unpool.c */
/* det.c, einsum.c, matmul.c */
OP(DET, "", "Det", 11, 1, 1, 1, det_infer)
OP(EINSUM, "", "Einsum", 12, 1, OP_MANY, 1, einsum_infer)
OP(GEMM, "", "Gemm", 13, 2, 3, 1, gemm_infer)
OP(MATMUL, "", "MatMul", 13, 2, 2, 1, matmul_infer)
OP(MATMUL_INTEGER, "", "MatMulInteger", 10, 2, 4, 1, matmul_infer)
OP(MATMUL_SCALED, "quantd", "MatMulIntegerToFloat", 1, 2, 6, 1, matmul_infer)
/* norm.c */
OP(BATCH_NORMALIZATION, "", "BatchNormalization", 15, 5, 5, 1, norm_infer)
OP(GROUP_NORMALIZATION, "", "GroupNormalization", 21, 3, 3, 1, group_norm_infer)
OP(INSTANCE_NORMALIZATION, "", "InstanceNormalization", 6, 3, 3, 1, norm_infer)
OP(LAYER_NORMALIZATION, "", "LayerNormalization", 17, 2, 3, 3, layer_norm_infer)
OP(RMS_NORMALIZATION, "", "RMSNormalization", 23, 2, 2, 1, layer_norm_infer)
OP(LRN, "", "LRN", 13, 1, 1, 1, norm_infer)
/* loss.c */
OP(NEGATIVE_LOG_LIKELIHOOD_LOSS, "", "NegativeLogLikelihoodLoss", 13, 2, 3, 1, nll_loss_infer)
/* attention_onnx.c, rotary.c */
OP(ATTENTION, "", "Attention", 23, 3, 7, 4, attention_infer)
OP(ROTARY_EMBEDDING, "", "RotaryEmbedding", 23, 3, 4, 1, rotary_infer)
/* recurrent.c */
OP(GRU, "", "GRU", 14, 3, 6, 2, recurrent_infer)
OP(LSTM, "", "LSTM", 14, 3, 8, 3, recurrent_infer)
OP(RNN, "", "RNN", 14, 3, 6, 2, recurrent_infer)
/* reduce.c: axes is an attribute (opset < 18) where it is known */
OP(ARG_MAX, "", "ArgMax", 13, 1, 1, 1, reduce_infer)
OP(ARG_MIN, "", "ArgMin", 13, 1, 1, 1, reduce_infer)
OP(REDUCE_L1, "", "ReduceL1", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_L2, "", "ReduceL2", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_LOG_SUM, "", "ReduceLogSum", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_LOG_SUM_EXP, "", "ReduceLogSumExp", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_MAX, "", "ReduceMax", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_MEAN, "", "ReduceMean", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_MIN, "", "ReduceMin", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_PROD, "", "ReduceProd", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_SUM, "", "ReduceSum", 13, 1, 2, 1, reduce_infer)
OP(REDUCE_SUM_SQUARE, "", "ReduceSumSquare", 13, 1, 2, 1, reduce_infer)
/* softmax.c */
OP(HARDMAX, "", "Hardmax", 13, 1, 1, 1, softmax_infer)
OP(LOG_SOFTMAX, "", "LogSoftmax", 13, 1, 1, 1, softmax_infer)
OP(SOFTMAX, "", "Softmax", 13, 1, 1, 1, softmax_infer)
/* move.c and others: elements go elsewhere, none changes */
OP(CENTER_CROP_PAD, "", "CenterCropPad", 18, 2, 2, 1, pad_infer)
OP(COL2IM, "", "Col2Im", 18, 3, 3, 1, col2im_infer)
OP(CONCAT, "", "Concat", 13, 1, OP_MANY, 1, concat_infer)
OP(DEPTH_TO_SPACE, "", "DepthToSpace", 13, 1, 1, 1, depth_to_space_infer)
OP(EXPAND, "", "Expand", 13, 2, 2, 1, expand_infer)
OP(FLATTEN, "", "Flatten", 13, 1, 1, 1, flatten_infer)
OP(GATHER, "", "Gather", 13, 2, 2, 1, gather_infer)
OP(PAD, "", "Pad", 13, 2, 4, 1, pad_infer)
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
/* scatter.c: elements and slices at places that indices name */
OP(GATHER_ELEMENTS, "", "GatherElements", 13, 2, 2, 1, gather_elements_infer)
OP(GATHER_ND, "", "GatherND", 13, 2, 2, 1, gather_nd_infer)
OP(SCATTER_ELEMENTS, "", "ScatterElements", 16, 3, 3, 1, scatter_elements_infer)
OP(SCATTER_ND, "", "ScatterND", 16, 3, 3, 1, scatter_nd_infer)
OP(TENSOR_SCATTER, "", "TensorScatter", 24, 2, 3, 1, tensor_scatter_infer) /* tensor_scatter.c */
/* select.c: which elements there are is said by constants */
OP(COMPRESS, "", "Compress", 11, 2, 2, 1, compress_infer)
OP(NON_ZERO, "", "NonZero", 13, 1, 1, 1, non_zero_infer)
OP(TFIDF_VECTORIZER, "", "TfIdfVectorizer", 9, 1, 1, 1, tfidf_infer) /* tfidf.c */
OP(TOP_K, "", "TopK", 11, 2, 2, 2, top_k_infer)
OP(UNIQUE, "", "Unique", 11, 1, 1, 4, unique_infer) /* unique.c */
/* suppress.c */
OP(NON_MAX_SUPPRESSION, "", "NonMaxSuppression", 11, 2, 5, 1, suppress_infer)
/* line.c: each line along an axis by itself */
OP(CUM_PROD, "", "CumProd", 26, 2, 2, 1, cum_sum_infer)
OP(CUM_SUM, "", "CumSum", 14, 2, 2, 1, cum_sum_infer)
OP(LP_NORMALIZATION, "", "LpNormalization", 1, 1, 1, 1, lp_normalization_infer)
OP(ONE_HOT, "", "OneHot", 11, 3, 3, 1, one_hot_infer)
OP(REVERSE_SEQUENCE, "", "ReverseSequence", 10, 2, 2, 1, reverse_sequence_infer)
/* fourier.c */
OP(BLACKMAN_WINDOW, "", "BlackmanWindow", 17, 1, 1, 1, window_infer)
OP(DFT, "", "DFT", 17, 1, 3, 1, dft_infer)
OP(HAMMING_WINDOW, "", "HammingWindow", 17, 1, 1, 1, window_infer)
OP(HANN_WINDOW, "", "HannWindow", 17, 1, 1, 1, window_infer)
OP(STFT, "", "STFT", 17, 2, 4, 1, stft_infer)
/* mel.c */
OP(MEL_WEIGHT_MATRIX, "", "MelWeightMatrix", 17, 5, 5, 1, mel_infer)
/* random.c */
OP(BERNOULLI, "", "Bernoulli", 15, 1, 1, 1, random_like_infer)
OP(MULTINOMIAL, "", "Multinomial", 7, 1, 1, 1, multinomial_infer)
OP(RANDOM_NORMAL, "", "RandomNormal", 1, 0, 0, 1, random_infer)
OP(RANDOM_NORMAL_LIKE, "", "RandomNormalLike", 1, 1, 1, 1, random_like_infer)
OP(RANDOM_UNIFORM, "", "RandomUniform", 1, 0, 0, 1, random_infer)
OP(RANDOM_UNIFORM_LIKE, "", "RandomUniformLike", 1, 1, 1, 1, random_like_infer)
/* diagonal.c */
OP(EYE_LIKE, "", "EyeLike", 9, 1, 1, 1, eye_like_infer)
OP(TRILU, "", "Trilu", 14, 1, 2, 1, trilu_infer)
/* affine_grid.c, grid_sample.c, resize.c, roi.c: places between elements */
OP(AFFINE_GRID, "", "AffineGrid", 20, 2, 2, 1, affine_grid_infer)
OP(GRID_SAMPLE, "", "GridSample", 16, 2, 2, 1, grid_sample_infer)
OP(RESIZE, "", "Resize", 13, 1, 4, 1, resize_infer)
OP(ROI_ALIGN, "", "RoiAlign", 16, 3, 3, 1, roi_align_infer)
/* quantize.c */
OP(QUANTIZE_LINEAR, "", "QuantizeLinear", 13, 2, 3, 1, quantize_infer)
OP(DEQUANTIZE_LINEAR, "", "DequantizeLinear", 13, 2, 3, 1, dequantize_infer)
OP(DYNAMIC_QUANTIZE_LINEAR, "", "DynamicQuantizeLinear", 11, 1, 1, 3, dynamic_quantize_infer)
