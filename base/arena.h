/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region of memory in which many small things live and die together.
 * Nothing in it is freed alone; under AddressSanitizer its unused tail is
 * poisoned, so that an overrun is seen.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **a);

/* n * size zeroed bytes, 64-byte aligned; NULL on overflow or no memory. */
void *arena_try(struct arena *a, size_t n, size_t size);

/* The same for sizes fixed by the source code: aborts when there is none. */
void *arena_new_in(struct arena *a, size_t n, size_t size);

/* A copy of len bytes of s with a NUL behind them; NULL when memory is short.*/
char *arena_strndup(struct arena *a, const char *s, size_t len);

/* Bytes given out so far. */
size_t arena_bytes(const struct arena *a);

/* done(arg) is called when the arena is freed: for what it does not own. */
void arena_defer(struct arena *a, void (*done)(void *arg), void *arg);

/*
 * Calls done(arg) now for what was deferred with this `done` and is no longer
 * wanted.
 */
void arena_settle(struct arena *a, void (*done)(void *arg),
                  bool (*wanted)(const void *arg, void *ctx), void *ctx);

#endif
