/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ir/op.h"

#include <assert.h>
#include <string.h>

static const struct op_info infos[OP_COUNT] = {
#define OP(id, domain, name, since, in_min, in_max, out_max, infer)            \
    {domain, name, since, in_min, in_max, out_max},
#include "engine/ir/op_tbl.h"
#undef OP
};

const struct op_info *
op_info(enum op op)
{
    assert(op < OP_COUNT);
    return &infos[op];
}

const char *
op_name(enum op op)
{
    return op_info(op)->name;
}

bool
op_is_reduction(enum op op)
{
    switch (op) {
    case OP_REDUCE_L1:
    case OP_REDUCE_L2:
    case OP_REDUCE_LOG_SUM:
    case OP_REDUCE_LOG_SUM_EXP:
    case OP_REDUCE_MAX:
    case OP_REDUCE_MEAN:
    case OP_REDUCE_MIN:
    case OP_REDUCE_PROD:
    case OP_REDUCE_SUM:
    case OP_REDUCE_SUM_SQUARE:
        return true;
    default:
        return false;
    }
}

bool
op_is_control(enum op op)
{
    return op == OP_IF || op == OP_LOOP || op == OP_SCAN;
}

enum op
op_find(const char *domain, const char *name)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (int i = 0; i < OP_COUNT; i++)
        if (strcmp(infos[i].name, name) == 0 &&
            strcmp(infos[i].domain, domain) == 0)
            return (enum op)i;
    return OP_COUNT;
}
