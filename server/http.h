/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP without the library: requests in, replies out.  Only http.c knows
 * libmicrohttpd; nothing here knows JSON (api.h does).
 *
 * A request lives from its first byte until its reply is on the wire.  Who
 * gets one (an endpoint's run, a sink's close) answers it exactly once, from
 * any thread and at any time: until then the connection sleeps and holds no
 * thread.  After request_reply() the request must not be touched.
 */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "server/buf.h"

struct request;
struct daemon;

/* Bits: endpoints may share a path. HEAD is answered as GET. */
enum method { GET = 1, POST = 2, PUT = 4, DELETE = 8 };

/* What a caller must be allowed to do (auth.h). */
enum right { RIGHT_NONE, RIGHT_METRICS, RIGHT_READ, RIGHT_INFER, RIGHT_ADMIN };

/*
 * A body that goes somewhere piece by piece instead of into memory.  All
 * calls of one request come one after the other, never on the HTTP thread:
 * open and write on the spool thread, close on the control thread.
 */
struct sink {
    /* Before the first byte.  An error is answered and the body dropped;
     * close is not called then. */
    int (*open)(struct daemon *d, struct request *r, void **state,
                struct err *e);

    /* The next n bytes, decompressed.  After an error close(complete false)
     * follows, and the error is the answer. */
    int (*write)(void *state, const void *p, size_t n, struct err *e);

    /* The end.  complete: all of the body came, and close must see to it that
     * the request is answered.  Otherwise the peer has gone or an error was
     * answered: tidy up, and don't touch the request. */
    void (*close)(void *state, bool complete);
};

enum endpoint_flag {
    BLOCKING = 1, /* run is called on the control thread, not on HTTP's */
};

/* One row of api_tbl.h. */
struct endpoint {
    enum method method;
    const char *pattern; /* "/v2/models/{}/infer": {} is one segment */
    enum right right;
    unsigned flags;
    void (*run)(struct daemon *d, struct request *r); /* when sink is NULL */
    const struct sink *sink;
};

/* --- what was asked ---------------------------------------------------- */

enum method request_method(const struct request *r);

/* The i-th {} of the pattern, percent-decoded: never empty, no '/', no
 * control bytes, not "." or "..".  NULL for one behind the last. */
const char *request_segment(const struct request *r, int i);

/* What stood before the path, server.base_path or "": for Location. */
const char *request_base(const struct request *r);

/* The path as sent, for messages. */
const char *request_path(const struct request *r);

/* The first ?name=value, percent-decoded; NULL when absent, "" when bare. */
const char *request_query(const struct request *r, const char *name);

/* The i-th query pair, for those who refuse unknown ones; false at the end. */
bool request_query_at(const struct request *r, int i, const char **name,
                      const char **value);

/* The first header of exactly this name, case ignored; NULL when absent. */
const char *request_header(const struct request *r, const char *name);

/* The body, decompressed: p[n] is NUL.  Empty for sinks.  The buffer stays
 * the request's; request_take_body() makes it the caller's. */
const struct buf *request_body(const struct request *r);
struct buf *request_take_body(struct request *r);

/* Content-Length as sent, UINT64_MAX when it was not: for sinks. */
uint64_t request_content_length(const struct request *r);

/* Who asks: the token's name, "local" for nobody on a loopback listener,
 * otherwise "anonymous".  For history and the log. */
const char *request_principal(const struct request *r);

/* CLOCK_MONOTONIC nanoseconds when its headers were there. */
uint64_t request_since_ns(const struct request *r);

/* --- the answer -------------------------------------------------------- */

/* One more header for the reply; value is copied. */
void request_add_header(struct request *r, const char *name, const char *value);

/* Copies body. */
void request_reply(struct request *r, int status, const char *type,
                   const void *body, size_t n);

/* Sends the parts one behind the other without copying; takes the buffers
 * (parts[i] becomes NULL). */
void request_reply_bufs(struct request *r, int status, const char *type,
                        struct buf **parts, int n_parts);

/* Sends a file from where it is; closes fd. */
void request_reply_file(struct request *r, int status, const char *type, int fd,
                        uint64_t bytes);

/* --- the server -------------------------------------------------------- */

struct http;

/* Binds the listeners of the configuration, or takes systemd's.  Fails:
 * ERR_IO, ERR_INVALID. */
int http_new(struct daemon *d, struct http **out, struct err *e);

/* No new connections; what is open goes on, and is closed when it is idle. */
void http_quiesce(struct http *h);

/* Ends the connections that wait for their peer, in the middle of whatever. */
void http_cut(struct http *h);

/* Requests not yet answered. */
int http_in_flight(const struct http *h);

/* "127.0.0.1:8080" of listener i, NULL behind the last. */
const char *http_address(const struct http *h, int i);

/* All requests must have been answered. */
void http_free(struct http **h);

#endif
