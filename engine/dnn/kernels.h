/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of this room, in the order in which dnn.c offers them.
 */
#ifndef ENGINE_DNN_KERNELS_H
#define ENGINE_DNN_KERNELS_H

#include "engine/ir/kernel.h"

#define KERNEL(id) extern const struct kernel id;
#include "engine/dnn/kernel_tbl.h"
#undef KERNEL

/* What `fits` of these asks, with the reason when the answer is no. */
int dnn_conv_probe(const struct graph *g, const struct node *n, struct err *e);
int dnn_matmul_probe(const struct graph *g, const struct node *n,
                     struct err *e);

#endif
