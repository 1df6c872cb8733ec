/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory in two kinds: sizes fixed by the source (mem_new, cannot fail) and
 * sizes that come from a file or a request (mem_try, can).
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

enum { MEM_ALIGN = 64 }; /* a cache line, and the widest vector register */

/*
 * Allocates n * size zeroed bytes.  For sizes fixed by the source code: it
 * aborts when the machine has no memory left, so the caller checks nothing.
 */
void *mem_new(size_t n, size_t size);

/*
 * The same, for sizes that come from a model or a request.
 * Returns NULL on overflow or when memory is short; the caller answers
 * ERR_NO_MEMORY.
 */
void *mem_try(size_t n, size_t size);

/*
 * bytes of zeroed memory aligned to MEM_ALIGN, or NULL.  For tensors.
 * Freed by mem_free as the others are.
 */
void *mem_try_aligned(size_t bytes);

/* The same for sizes fixed by the source code: aborts when there is none. */
void *mem_new_aligned(size_t bytes);

void mem_free(void *p);

/* A copy of the string that mem_free frees; aborts when memory is short. */
char *mem_strdup(const char *s);

/* printf into a new string of the right length; aborts when memory is short. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Test hook: the k-th mem_try() from now returns NULL (0 turns it off). */
void mem_fail_at(unsigned k);

#endif
