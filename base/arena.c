/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of blocks, newest first.  Small requests are cut from the newest one;
 * a request larger than a block gets a block of its own behind it.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { REDZONE = 64 };
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
enum { REDZONE = 0 };
#endif

enum { BLOCK = 64 * 1024 };

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(MEM_ALIGN) unsigned char bytes[];
};

struct deferred {
    struct deferred *next;
    void (*done)(void *arg);
    void *arg;
};

struct arena {
    struct block *blocks;
    struct deferred *deferred;
    size_t total;
};

struct arena *
arena_new(void)
{
    return mem_new(1, sizeof(struct arena));
}

void
arena_free(struct arena **a)
{
    if (*a == NULL)
        return;
    for (struct deferred *d = (*a)->deferred, *next; d != NULL; d = next) {
        next = d->next;
        d->done(d->arg);
        mem_free(d);
    }
    for (struct block *b = (*a)->blocks, *next; b != NULL; b = next) {
        next = b->next;
        UNPOISON(b->bytes, b->size);
        mem_free(b);
    }
    mem_free(*a);
    *a = NULL;
}

static struct block *
block_add(struct arena *a, size_t size, void *(*get)(size_t bytes))
{
    struct block *b = get(sizeof *b + size);

    if (b == NULL)
        return NULL;
    b->size = size;
    POISON(b->bytes, size);
    if (a->blocks != NULL && size > BLOCK) {
        b->next = a->blocks->next; /* the newest small block stays in front */
        a->blocks->next = b;
    } else {
        b->next = a->blocks;
        a->blocks = b;
    }
    return b;
}

static void *
cut(struct arena *a, size_t n, size_t size, void *(*get)(size_t bytes))
{
    struct block *b = a->blocks;
    size_t want;
    void *p;

    if (__builtin_mul_overflow(n, size, &want) || want > SIZE_MAX / 2)
        return NULL;
    want = (want + REDZONE + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
    if (want == 0)
        want = MEM_ALIGN;
    if (b == NULL || b->size - b->used < want) {
        b = block_add(a, want > BLOCK / 4 ? want : BLOCK, get);
        if (b == NULL)
            return NULL;
    }
    p = b->bytes + b->used;
    b->used += want;
    a->total += want;
    UNPOISON(p, n * size);
    return p;
}

void *
arena_try(struct arena *a, size_t n, size_t size)
{
    return cut(a, n, size, mem_try_aligned);
}

void *
arena_new_in(struct arena *a, size_t n, size_t size)
{
    void *p = cut(a, n, size, mem_new_aligned);

    if (p == NULL)
        abort();
    return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *p = len < SIZE_MAX ? arena_try(a, len + 1, 1) : NULL;

    if (p != NULL && len > 0)
        memcpy(p, s, len);
    return p;
}

size_t
arena_bytes(const struct arena *a)
{
    return a->total;
}

void
arena_defer(struct arena *a, void (*done)(void *arg), void *arg)
{
    struct deferred *d = mem_new(1, sizeof *d);

    *d = (struct deferred){a->deferred, done, arg};
    a->deferred = d;
}

void
arena_settle(struct arena *a, void (*done)(void *arg),
             bool (*wanted)(const void *arg, void *ctx), void *ctx)
{
    struct deferred **at = &a->deferred;

    while (*at != NULL) {
        struct deferred *d = *at;

        if (d->done != done || wanted(d->arg, ctx)) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        d->done(d->arg);
        mem_free(d);
    }
}
