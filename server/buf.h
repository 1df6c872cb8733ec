/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte buffers that are used again: a body of 600 KB from malloc() costs the
 * page faults of all of it, every time; from here only the first time.
 *
 * All buffers together are bounded (buf_limit): who asks for more is told
 * ERR_BUSY, and the machine keeps its memory.
 */
#ifndef SERVER_BUF_H
#define SERVER_BUF_H

#include <stddef.h>

#include "base/err.h"

/* p[0..n) is in use, p[n] is always writable room for a NUL. */
struct buf {
    char *p;
    size_t n, cap;
};

/* Bytes that all buffers in use may have together; at the start no limit. */
void buf_limit(size_t bytes);

/* Bytes that buffers in use have now. */
size_t buf_in_use(void);

/* Returns what lies ready to the system; for the end and for tests. */
void buf_trim(void);

/*
 * An empty buffer with room for want bytes.
 * Fails: ERR_BUSY when the limit is reached, ERR_NO_MEMORY.
 */
int buf_new(size_t want, struct buf **out, struct err *e);

/* Back to the pool; b may be NULL. */
void buf_free(struct buf **b);

/* Room for more bytes behind n.  Fails: as buf_new(); *b is as it was then. */
int buf_reserve(struct buf *b, size_t more, struct err *e);

int buf_add(struct buf *b, const void *p, size_t n, struct err *e);

#endif
