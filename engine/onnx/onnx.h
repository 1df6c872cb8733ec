/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX files in and out.  The door is engine.h: graph_load(), graph_save(),
 * tensor_load(); this header is for the files of this room and its tests.
 *
 *     wire.c      bytes -> protobuf messages, within bounds
 *     external.c  tensors whose bytes lie in a file beside the model
 *     tensor.c    TensorProto -> dtype, shape, data
 *     attr.c      AttributeProto -> struct attr
 *     import.c    ModelProto -> graph
 *     upgrade.c   nodes of older and newer opsets -> the forms of op_tbl.h;
 *                 the rules by theme in upgrade_*.c
 *     qlinear.c   operators on quantized tensors -> DequantizeLinear, the
 *                 operator, QuantizeLinear
 *     rewrite.c   what such a rule is made of
 *     facts.c     types and ranks, as far as an upgrade needs them
 *     names.c     which name is which value
 *     save.c      graph -> file
 */
#ifndef ENGINE_ONNX_ONNX_H
#define ENGINE_ONNX_ONNX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/ir/graph.h"

/* What a model may say.  Each is far above the largest real model known. */
enum {
    ONNX_MIN_OPSET = 1, /* before 6, operators that have not changed since */
    ONNX_MAX_OPSET = 28,

    /* Passes look through all nodes for each node: keeps that to seconds. */
    ONNX_MAX_NODES = 1 << 16,
    ONNX_MAX_VALUES = 1 << 18,

    /* Each is looked for among all others of its kind. */
    ONNX_MAX_IO = 4096, /* inputs, outputs, metadata entries */
    ONNX_MAX_ATTRS = 256,

    /* Names come back in messages, logs and JSON. */
    ONNX_MAX_NAME = 1024,
};

/*
 * graph_load() of bytes in memory.
 *
 * folder: where external data lie; NULL: a model that has some is refused.
 */
int onnx_import(const void *p, size_t bytes, const char *folder,
                struct graph **out, struct err *e);

/*
 * graph_save() that moves the weights into PATH.data when all constants take
 * more than max_inline bytes.  That file keeps its name: the model refers to
 * it.
 */
int onnx_save(const struct graph *g, const char *path, size_t max_inline,
              struct err *e);

/*
 * A name as it may stand in a message: whole characters, at most 80 bytes.
 * Used as label(name).text, which lives until the end of the statement.
 */
struct label {
    char text[84];
};
struct label label(const char *name);

/* Fails: ERR_INVALID when it is too long or not UTF-8; what: "node name". */
int name_check(const char *name, const char *what, struct err *e);

/* "float32"; also for types that quantd can't hold: "string", "float8e5m2". */
const char *onnx_type_name(int32_t data_type);

#endif
