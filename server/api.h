/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all endpoints share: the table of them (api_tbl.h), JSON replies, and
 * the one table from error to HTTP status.
 */
#ifndef SERVER_API_H
#define SERVER_API_H

#include <jansson.h>

#include "base/err.h"
#include "server/http.h"

/*
 * The endpoint for this path and method, or NULL; then *allowed has the
 * methods that the path takes, 0 when nobody knows it.
 *
 * captured: which segments its {} are, with -1 behind the last; room for one
 *           more than there are segments.
 */
const struct endpoint *api_find(enum method method, char *const *segment,
                                int n_segments, int *captured,
                                unsigned *allowed);

/* Takes the reference to body. */
void api_reply(struct request *r, int status, json_t *body);

/* {"error": e->msg} with the status of e->code. */
void api_fail(struct daemon *d, struct request *r, const struct err *e);

/* The same with a status that no error code has (401, 405, 422 ...). */
void api_fail_status(struct request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The HTTP status of an error: the one table. */
int api_status(const struct daemon *d, enum err_code code);

/*
 * The body as a JSON object, at most 100 deep; an empty body is {}.
 * Fails: ERR_INVALID with the byte offset.  *out is the caller's.
 */
int api_body(const struct request *r, json_t **out, struct err *e);

/* ?version= or path segment: digits without leading zeros, 1 .. INT64_MAX.
 * Fails: ERR_INVALID. */
int api_version(const char *text, long *out, struct err *e);

#endif
