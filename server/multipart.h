/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart/form-data, byte by byte: the body may come cut anywhere, and
 * nothing but the headers of one part is ever held in memory.
 *
 * Source: RFC 7578; RFC 2046, section 5.1.
 */
#ifndef SERVER_MULTIPART_H
#define SERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct multipart;

/* What is told of the parts; an error ends it. */
struct multipart_events {
    /* filename: as the client says, or NULL. */
    int (*begin)(void *arg, const char *name, const char *filename,
                 struct err *e);
    int (*data)(void *arg, const void *p, size_t n, struct err *e);
    int (*end)(void *arg, struct err *e);
};

/* True when a Content-Type (may be NULL) says multipart/form-data. */
bool multipart_is(const char *content_type);

/* Fails: ERR_INVALID when the type has no proper boundary. */
int multipart_new(const char *content_type, const struct multipart_events *ev,
                  void *arg, struct multipart **out, struct err *e);
void multipart_free(struct multipart **m);

/* The next bytes.  Fails: ERR_INVALID with the byte offset; what events do. */
int multipart_feed(struct multipart *m, const void *p, size_t n, struct err *e);

/* The body has ended.  Fails: ERR_INVALID when the last part has no end. */
int multipart_end(struct multipart *m, struct err *e);

#endif
