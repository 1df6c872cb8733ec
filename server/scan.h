/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull parser of JSON text (RFC 8259), for requests with arrays too large to
 * make a tree of.
 *
 * The caller walks: it enters an object, takes key after key, and takes or
 * skips each value.  Strings are decoded in place, so the text is changed and
 * nothing is allocated.  Numbers of an array go straight into a tensor, each
 * rounded correctly.
 *
 * Every error names the byte.  Nesting is at most SCAN_DEPTH.
 */
#ifndef SERVER_SCAN_H
#define SERVER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"

enum { SCAN_DEPTH = 100 };

struct scan {
    char *text, *p, *end;
    int depth;
    bool fresh; /* the object or array just entered has given nothing yet */
};

/* text[n] must be a NUL. */
void scan_init(struct scan *s, char *text, size_t n);

/* First byte of the next value: one of {["-0..9tfn, or 0 at the end. */
char scan_peek(struct scan *s);

/* Enters "{" or "[". */
int scan_object(struct scan *s, struct err *e);
int scan_array(struct scan *s, struct err *e);

/*
 * The next key of the object (and its colon), or *key = NULL behind its "}".
 */
int scan_key(struct scan *s, const char **key, struct err *e);

/* *more: another element follows; false behind the "]". */
int scan_item(struct scan *s, bool *more, struct err *e);

/* A string, decoded, valid UTF-8, with a NUL behind it and none in it. */
int scan_string(struct scan *s, const char **out, struct err *e);

int scan_bool(struct scan *s, bool *out, struct err *e);

/* Integers only: no fraction, no exponent. */
int scan_int64(struct scan *s, int64_t *out, struct err *e);

/* Any value, checked and passed over. */
int scan_skip(struct scan *s, struct err *e);

/* Nothing but white space may follow. */
int scan_end(struct scan *s, struct err *e);

/*
 * An array, nested however, of exactly count elements, row-major into out.
 *
 * dtype: a number type but FLOAT16 and BFLOAT16, or BOOL (true, false).
 * Fails: ERR_INVALID for another count, and for a number that the type cannot
 *        hold (a float too large becomes an infinity nowhere).
 */
int scan_tensor(struct scan *s, enum dtype dtype, size_t count, void *out,
                struct err *e);

#endif
