/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to protobuf messages.  The bytes are checked before protobuf-c sees
 * them, because it bounds neither its recursion nor its memory, and because
 * all it says of a broken file is NULL.
 */
#ifndef ENGINE_ONNX_WIRE_H
#define ENGINE_ONNX_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/err.h"

/*
 * out:   wire_free() frees it.  Every allocation in it is one of mem_try(), so
 *        that a member may be taken out (set to NULL) and kept by the caller.
 * Fails: ERR_INVALID with the byte where it went wrong, ERR_TOO_LARGE when
 *        the message would take far more memory than the file,
 *        ERR_NO_MEMORY.
 */
int wire_parse(const ProtobufCMessageDescriptor *d, const void *p, size_t bytes,
               ProtobufCMessage **out, struct err *e);

void wire_free(ProtobufCMessage *m);

#endif
