/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element types.  The numbers are those of ONNX TensorProto.DataType.
 */
#ifndef ENGINE_IR_DTYPE_H
#define ENGINE_IR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DTYPE(enum, number, bytes, name) */
#define DTYPE_TABLE(DTYPE)                                                     \
    DTYPE(FLOAT, 1, 4, "float32")                                              \
    DTYPE(UINT8, 2, 1, "uint8")                                                \
    DTYPE(INT8, 3, 1, "int8")                                                  \
    DTYPE(UINT16, 4, 2, "uint16")                                              \
    DTYPE(INT16, 5, 2, "int16")                                                \
    DTYPE(INT32, 6, 4, "int32")                                                \
    DTYPE(INT64, 7, 8, "int64")                                                \
    DTYPE(BOOL, 9, 1, "bool")                                                  \
    DTYPE(FLOAT16, 10, 2, "float16")                                           \
    DTYPE(DOUBLE, 11, 8, "float64")                                            \
    DTYPE(UINT32, 12, 4, "uint32")                                             \
    DTYPE(UINT64, 13, 8, "uint64")                                             \
    DTYPE(BFLOAT16, 16, 2, "bfloat16")

enum dtype {
    DTYPE_NONE = 0, /* not known yet */
#define DTYPE(id, number, bytes, name) DTYPE_##id = number,
    DTYPE_TABLE(DTYPE)
#undef DTYPE
};

/* Bytes of one element; 0 for DTYPE_NONE and numbers that are no type here. */
size_t dtype_size(enum dtype t);

/* "float32"; "none" for a number that is no type here. */
const char *dtype_name(enum dtype t);

/* FLOAT16, BFLOAT16, FLOAT, DOUBLE. */
bool dtype_is_float(enum dtype t);

/* The 8-bit integers that quantized tensors are made of. */
static inline bool
dtype_is_8bit(enum dtype t)
{
    return t == DTYPE_INT8 || t == DTYPE_UINT8;
}

/* IEEE half and bfloat16 to float and back, rounding to nearest even. */
float dtype_half_to_float(uint16_t h);
uint16_t dtype_float_to_half(float f);
float dtype_bf16_to_float(uint16_t b);
uint16_t dtype_float_to_bf16(float f);

/* n of them, one behind the other; t: FLOAT16 or BFLOAT16. */
void dtype_widen(enum dtype t, float *to, const uint16_t *from, size_t n);
void dtype_narrow(enum dtype t, uint16_t *to, const float *from, size_t n);

#endif
