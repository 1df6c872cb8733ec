/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content codings: gzip, and deflate, which HTTP means as a zlib stream.
 * Only unpack.c knows zlib.
 */
#ifndef SERVER_UNPACK_H
#define SERVER_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "server/buf.h"

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_UNKNOWN };

/* Of Content-Encoding; NULL and "identity" are CODING_IDENTITY. */
enum coding coding_parse(const char *name);

/*
 * The coding an Accept-Encoding header likes best among the three, q-values
 * honoured; CODING_IDENTITY wins a tie.  header may be NULL.
 */
enum coding coding_accepted(const char *header);
const char *coding_name(enum coding c);

/* A stream that is taken apart piece by piece. */
struct unpack;
struct unpack *unpack_new(enum coding c);
void unpack_free(struct unpack **u);

/*
 * The next n bytes; what comes out goes to put(arg, ...).
 *
 * most:  bytes that may come out in all; more is ERR_TOO_LARGE.
 * Fails: ERR_INVALID for a damaged stream, what put returns.
 */
int unpack_feed(struct unpack *u, const void *p, size_t n, uint64_t most,
                int (*put)(void *arg, const void *p, size_t n, struct err *e),
                void *arg, struct err *e);

/* Fails: ERR_INVALID when the stream has no end yet. */
int unpack_end(const struct unpack *u, struct err *e);

/* All of in, at most most bytes; *out is the caller's. */
int unpack_whole(enum coding c, const struct buf *in, size_t most,
                 struct buf **out, struct err *e);

/* The other way, fast rather than small; adds to out. */
int pack_add(enum coding c, const struct buf *const *parts, int n_parts,
             struct buf *out, struct err *e);

#endif
