/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a request: for http.c, admit.c and request.c only.  Everybody
 * else uses http.h.
 */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/http.h"
#include "server/listen.h"
#include "server/unpack.h"

enum { REQUEST_SEGMENTS = 16, REQUEST_PAIRS = 64, REQUEST_HEADERS = 8 };

/* Where it stands; all but the reply's state belong to the HTTP thread. */
enum request_phase {
    REQUEST_NEW,
    REQUEST_BODY,    /* the body goes to memory */
    REQUEST_OPENING, /* its sink is being opened */
    REQUEST_SINK,    /* the body goes to the endpoint's sink */
    REQUEST_DISCARD, /* answered already; the body is read and dropped */
    REQUEST_RUN,     /* handed to the endpoint */
};

/* The reply may come before or after the connection was put to sleep. */
enum reply_state { REPLY_NONE, REPLY_PARKED, REPLY_READY };

/* An address that is served. */
struct listener {
    struct http *home;
    void *mhd; /* the library's daemon */
    int fd;
    char address[LISTEN_ADDRESS];
    bool loopback;
    bool passed; /* by the service manager */
    bool admin;  /* the control plane is served here */
};

struct request {
    struct daemon *daemon;
    struct listener *listener;
    void *conn; /* the library's connection */
    enum request_phase phase;
    enum method method; /* 0: one that no endpoint has */
    uint64_t since_ns;

    /* Of the URI, decoded in place. */
    const char *base; /* of the configuration, or "" when it came without */
    char *path;       /* as sent, without base and query */
    char *words;      /* what segment[] and pairs[] point into */
    char *segment[REQUEST_SEGMENTS];
    int n_segments;
    struct {
        char *name, *value;
    } pairs[REQUEST_PAIRS];
    int n_pairs;
    const char *bad_uri; /* why it cannot be served, or NULL */

    const struct endpoint *endpoint;
    /* The i-th {} is segment[captured[i]]; -1 behind the last. */
    int captured[REQUEST_SEGMENTS + 1];
    char principal[65];

    uint64_t content_length; /* UINT64_MAX: not said */
    uint64_t received;       /* bytes of the body as sent */
    struct buf *body;
    enum coding coding;
    struct unpack *unpack; /* of a sink's body */

    void *sink_state;
    bool sink_open;
    bool chunk_done;     /* the sink has what body holds of the body */
    struct err sink_err; /* of the last call; code 0: none */

    struct {
        const char *name;
        char *value;
    } headers[REQUEST_HEADERS];
    int n_headers;
    int status;
    void *response; /* the library's */
    uint64_t response_bytes;
    bool is_file;
    _Atomic int reply; /* enum reply_state */
};

/* From "/v2/models/a%20b?x=1", perhaps below base ("" for none, otherwise
 * lent); what is wrong with it is in bad_uri. */
struct request *request_new(const char *uri, const char *base);

/* All that is its own; not conn, and no sink. */
void request_free(struct request **r);

#endif
