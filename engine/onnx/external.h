/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors whose bytes lie in a file beside the model.  The file is named by
 * the model, which is hostile: it may lie nowhere but below the model's own
 * folder.
 */
#ifndef ENGINE_ONNX_EXTERNAL_H
#define ENGINE_ONNX_EXTERNAL_H

#include "base/arena.h"
#include "base/file.h"
#include "base/vec.h"
#include "engine/onnx/onnx.pb-c.h"

struct external {
    const char *folder;  /* NULL: external data is refused */
    struct arena *arena; /* keeps the mappings */
    VEC(struct external_file *) files;
};

/*
 * The `bytes` bytes of t, mapped; they live as long as the arena and may lie
 * at any address.
 * Fails: ERR_INVALID when the location leaves the folder or is not there, or
 *        offset or length don't fit tensor or file; ERR_IO.
 */
int external_map(struct external *x, const Onnx__TensorProto *t, size_t bytes,
                 const void **out, struct err *e);

/* Frees the list, not the mappings. */
void external_free(struct external *x);

#endif
