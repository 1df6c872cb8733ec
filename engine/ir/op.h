/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_IR_OP_H
#define ENGINE_IR_OP_H

#include <stdbool.h>

enum op {
#define OP(id, domain, name, since, in_min, in_max, out_max, infer) OP_##id,
#include "engine/ir/op_tbl.h"
#undef OP
    OP_COUNT
};

enum { OP_MANY = 1 << 20 }; /* in_max, out_max of a variadic operator */

struct op_info {
    const char *domain; /* "" is ai.onnx */
    const char *name;
    int since; /* opset of the form used here: see op_tbl.h */
    int in_min, in_max, out_max;
};

const struct op_info *op_info(enum op op);
const char *op_name(enum op op);

/* ReduceX: ArgMax and ArgMin are none. */
bool op_is_reduction(enum op op);

/* If, Loop, Scan: it holds graphs. */
bool op_is_control(enum op op);

/* The operator of that domain ("" or "ai.onnx") and name, or OP_COUNT. */
enum op op_find(const char *domain, const char *name);

#endif
