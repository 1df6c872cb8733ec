/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which inputs decide the shape of the outputs by their values.  The rules
 * read these, so they must be constants when a rule is called.
 */
#include "engine/ops/ops.h"

enum {
    IN0 = 1 << 0,
    IN1 = 1 << 1,
    IN2 = 1 << 2,
    IN3 = 1 << 3,
    IN4 = 1 << 4,
};

unsigned
ops_deciding_inputs(enum op op)
{
    if (op_is_reduction(op))
        return IN1;
    switch (op) {
    case OP_BLACKMAN_WINDOW:
    case OP_CONSTANT_OF_SHAPE:
    case OP_HAMMING_WINDOW:
    case OP_HANN_WINDOW:
    case OP_NON_ZERO:
    case OP_UNIQUE:
        return IN0;
    case OP_AFFINE_GRID:
    case OP_CENTER_CROP_PAD:
    case OP_COMPRESS:
    case OP_EXPAND:
    case OP_ONE_HOT:
    case OP_RESHAPE:
    case OP_SPLIT:
    case OP_SQUEEZE:
    case OP_TILE:
    case OP_TOP_K:
    case OP_UNSQUEEZE:
        return IN1;
    case OP_MAX_UNPOOL:
        return IN2;
    case OP_COL2IM:
    case OP_DFT:
        return IN1 | IN2;
    case OP_MEL_WEIGHT_MATRIX:
        return IN0 | IN1;
    case OP_PAD:
        return IN1 | IN3;
    case OP_STFT:
        return IN1 | IN3;
    case OP_RANGE:
        return IN0 | IN1 | IN2;
    case OP_RESIZE:
        return IN1 | IN2 | IN3;
    case OP_SLICE:
        return IN1 | IN2 | IN3 | IN4;
    case OP_NON_MAX_SUPPRESSION:
        return IN0 | IN1 | IN2 | IN3 | IN4;
    default:
        return 0;
    }
}
