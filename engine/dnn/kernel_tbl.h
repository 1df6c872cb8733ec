/* SPDX-License-Identifier: Apache-2.0 */
/* KERNEL(variable): every kernel of this room; the first that fits is taken.*/
KERNEL(dnn_conv)
KERNEL(dnn_conv_transpose)
KERNEL(dnn_max_pool)
KERNEL(dnn_average_pool)
KERNEL(dnn_global_average_pool)
KERNEL(dnn_global_max_pool)
KERNEL(dnn_matmul)
KERNEL(dnn_gemm)
KERNEL(dnn_softmax)
KERNEL(dnn_log_softmax)
KERNEL(dnn_layer_norm)
