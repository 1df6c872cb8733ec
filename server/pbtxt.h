/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol buffer text format, as far as Triton's config.pbtxt needs it: a
 * tree of named fields.  What the fields mean is modelconf.c's business;
 * fields that nobody asks for do no harm.
 *
 * Source: protobuf.dev, "Text Format Language Specification".
 */
#ifndef SERVER_PBTXT_H
#define SERVER_PBTXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pbtxt {
    char *name;
    char *value; /* of a scalar, without quotes; NULL for a message */
    int line;
    struct pbtxt *fields; /* of a message, in order; n_fields */
    size_t n_fields, cap;
};

/*
 * The fields of the text as one nameless message.
 * Fails: ERR_INVALID with line.
 */
int pbtxt_parse(const char *text, size_t bytes, struct pbtxt **out,
                struct err *e);
void pbtxt_free(struct pbtxt **p);

/* The last field of that name, or NULL; repeated ones are in fields. */
const struct pbtxt *pbtxt_get(const struct pbtxt *p, const char *name);

/*
 * A scalar as a whole number.
 * Fails: ERR_INVALID, naming field and line.
 */
int pbtxt_int(const struct pbtxt *p, long min, long max, long *out,
              struct err *e);

#endif
