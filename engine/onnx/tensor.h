/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto: raw, typed or external data to dtype, shape, bytes. */
#ifndef ENGINE_ONNX_TENSOR_H
#define ENGINE_ONNX_TENSOR_H

#include "engine/ir/shape.h"
#include "engine/onnx/external.h"

/*
 * Integers of 4 bits, two a byte in the file, which are bytes in memory.  The
 * values are the same; only what is rounded to that type must know its range.
 */
bool tensor_has_four_bits(const Onnx__TensorProto *t);

/*
 * Reads t.  Its data are taken out of t where they can be used as they are,
 * copied where not.
 *
 * out->data: lives as long as x->arena; not NULL also when it is empty.
 * Fails:     ERR_INVALID (shape and data don't fit), ERR_UNSUPPORTED (type,
 *            rank), ERR_NO_MEMORY, and as external_map() does.
 */
int tensor_import(Onnx__TensorProto *t, struct external *x, struct tensor *out,
                  struct err *e);

/* Fails: ERR_UNSUPPORTED, naming the type, when there is no such dtype. */
int dtype_import(int32_t data_type, enum dtype *out, struct err *e);

#endif
