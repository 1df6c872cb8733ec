/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a request may go on, decided from its first line and headers: is
 * there such a path, may this caller, can its body be taken.  For http.c.
 */
#ifndef SERVER_ADMIT_H
#define SERVER_ADMIT_H

#include <stdbool.h>

#include "server/request.h"

/* What headers say about where the body ends; zeroed at first. */
struct framing {
    const char *length; /* Content-Length, NULL: none */
    bool encoded;       /* Transfer-Encoding */
    bool differ;        /* two lengths */
};

/* Looks at one header; call it for each. */
void admit_header(struct framing *f, const char *name, const char *value);

/*
 * Fills in method, content_length, endpoint, principal and coding of r.
 * False: it was answered, and what comes of its body is to be dropped.
 */
bool admit(struct request *r, const char *method, const struct framing *f);

/* Answers without the endpoint; what comes of the body is dropped. */
void admit_refuse(struct request *r, const struct err *e);

#endif
