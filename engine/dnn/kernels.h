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

#endif
