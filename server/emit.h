/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text written straight into a buffer: for answers with more numbers than
 * a tree should be made of.
 */
#ifndef SERVER_EMIT_H
#define SERVER_EMIT_H

#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "server/buf.h"

/* As they are. */
int emit_text(struct buf *b, const char *text, struct err *e);

/* A string in quotes, escaped as it needs; s is UTF-8. */
int emit_string(struct buf *b, const char *s, struct err *e);

int emit_int(struct buf *b, int64_t x, struct err *e);

/*
 * "[...]": the elements of a tensor, flat.  Floats are as short as reads back
 * to the same number; what is not finite is null, since JSON has no word for
 * it.
 * Fails: ERR_INVALID for FLOAT16 and BFLOAT16, which have no JSON form.
 */
int emit_tensor(struct buf *b, const struct tensor *t, struct err *e);

/* One float, as in emit_tensor(), into text; returns its length. */
enum { EMIT_NUMBER = 32 };
int emit_float(char text[EMIT_NUMBER], float x);
int emit_double(char text[EMIT_NUMBER], double x);

/* Element i of a tensor; 0 for a type without a JSON form. */
int emit_element(char text[EMIT_NUMBER], const struct tensor *t, size_t i);

#endif
