/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic unsigned fail_at;

static int
fails_now(void)
{
    /* Tests set this in one thread; the load never races with a decrement. */
    return atomic_load_explicit(&fail_at, memory_order_relaxed) != 0 &&
           atomic_fetch_sub(&fail_at, 1) == 1;
}

static void *
or_abort(void *p)
{
    if (p == NULL) {
        fputs("<2>out of memory\n", stderr);
        abort();
    }
    return p;
}

void *
mem_new(size_t n, size_t size)
{
    return or_abort(calloc(n ? n : 1, size ? size : 1));
}

void *
mem_try(size_t n, size_t size)
{
    if (fails_now())
        return NULL;
    return calloc(n ? n : 1, size ? size : 1); /* calloc checks n * size */
}

static void *
aligned(size_t bytes)
{
    void *p;

    if (bytes > SIZE_MAX - MEM_ALIGN)
        return NULL;
    bytes = (bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
    p = aligned_alloc(MEM_ALIGN, bytes ? bytes : MEM_ALIGN);
    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

void *
mem_try_aligned(size_t bytes)
{
    return fails_now() ? NULL : aligned(bytes);
}

void *
mem_new_aligned(size_t bytes)
{
    return or_abort(aligned(bytes));
}

void
mem_free(void *p)
{
    free(p);
}

char *
mem_strdup(const char *s)
{
    return or_abort(strdup(s));
}

char *
mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    s = mem_new(1, n < 0 ? 1 : (size_t)n + 1);
    va_start(ap, fmt);
    if (n > 0)
        vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

void
mem_fail_at(unsigned k)
{
    atomic_store(&fail_at, k);
}
