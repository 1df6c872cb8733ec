/* SPDX-License-Identifier: Apache-2.0 */
/* AttributeProto to struct attr. */
#ifndef ENGINE_ONNX_ATTR_H
#define ENGINE_ONNX_ATTR_H

#include "engine/ir/attr.h"
#include "engine/onnx/external.h"

/*
 * Reads one attribute into the arena of x.
 *
 * want:  the type it must have, or 0: any that struct attr can hold.
 * Fails: ERR_INVALID (wrong type, no name), ERR_UNSUPPORTED (graphs and other
 *        types that no operator here has), ERR_NO_MEMORY, and as
 *        tensor_import() does.
 */
int attr_import(const Onnx__AttributeProto *p, enum attr_type want,
                struct external *x, struct attr *out, struct err *e);

#endif
