/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers come in sizes of 4 KB times a power of two.  A freed one waits in
 * the list of its size, as long as all that wait are at most KEEP_BYTES.
 */
#include "server/buf.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum { SMALLEST = 4096, N_SIZES = 36 };

static const size_t KEEP_BYTES = (size_t)64 << 20;

struct idle {
    struct idle *next;
};

static struct {
    pthread_mutex_t lock;
    size_t limit, in_use, kept;
    struct idle *idle[N_SIZES];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .limit = SIZE_MAX};

void
buf_limit(size_t bytes)
{
    pthread_mutex_lock(&pool.lock);
    pool.limit = bytes;
    pthread_mutex_unlock(&pool.lock);
}

size_t
buf_in_use(void)
{
    size_t n;

    pthread_mutex_lock(&pool.lock);
    n = pool.in_use;
    pthread_mutex_unlock(&pool.lock);
    return n;
}

void
buf_trim(void)
{
    pthread_mutex_lock(&pool.lock);
    for (int i = 0; i < N_SIZES; i++)
        while (pool.idle[i] != NULL) {
            struct idle *p = pool.idle[i];

            pool.idle[i] = p->next;
            mem_free(p);
        }
    pool.kept = 0;
    pthread_mutex_unlock(&pool.lock);
}

/* The size class that holds n bytes and a NUL; N_SIZES when none does. */
static int
class_of(size_t n)
{
    int i = 0;

    while (i < N_SIZES && ((size_t)SMALLEST << i) <= n)
        i++;
    return i;
}

/* Memory of a class, counted as in use. */
static int
take(int class, void **out, struct err *e)
{
    size_t bytes;
    struct idle *p = NULL;

    if (class >= N_SIZES)
        return err_set(e, ERR_TOO_LARGE, "the buffer would be too large");
    bytes = (size_t)SMALLEST << class;
    pthread_mutex_lock(&pool.lock);
    if (bytes > pool.limit - pool.in_use || pool.in_use > pool.limit) {
        pthread_mutex_unlock(&pool.lock);
        return err_set(e, ERR_BUSY,
                       "requests hold all the memory that server.body_memory "
                       "allows");
    }
    pool.in_use += bytes;
    p = pool.idle[class];
    if (p != NULL) {
        pool.idle[class] = p->next;
        pool.kept -= bytes;
    }
    pthread_mutex_unlock(&pool.lock);
    if (p == NULL)
        p = mem_try(1, bytes);
    if (p == NULL) {
        pthread_mutex_lock(&pool.lock);
        pool.in_use -= bytes;
        pthread_mutex_unlock(&pool.lock);
        return err_set(e, ERR_NO_MEMORY, "no memory for %zu bytes", bytes);
    }
    *out = p;
    return 0;
}

static void
give_back(void *p, size_t cap)
{
    int class = class_of(cap);
    struct idle *idle = p;

    pthread_mutex_lock(&pool.lock);
    pool.in_use -= cap + 1;
    if (pool.kept + cap + 1 <= KEEP_BYTES) {
        idle->next = pool.idle[class];
        pool.idle[class] = idle;
        pool.kept += cap + 1;
        p = NULL;
    }
    pthread_mutex_unlock(&pool.lock);
    mem_free(p);
}

int
buf_new(size_t want, struct buf **out, struct err *e)
{
    int class = class_of(want);
    struct buf *b;
    void *p;

    if (take(class, &p, e) != 0)
        return e->code;
    b = mem_new(1, sizeof *b);
    b->p = p;
    b->cap = ((size_t)SMALLEST << class) - 1;
    *out = b;
    return 0;
}

void
buf_free(struct buf **b)
{
    if (*b == NULL)
        return;
    give_back((*b)->p, (*b)->cap);
    mem_free(*b);
    *b = NULL;
}

int
buf_reserve(struct buf *b, size_t more, struct err *e)
{
    size_t want = b->n + more;
    void *p;
    int class;

    if (more <= b->cap - b->n)
        return 0;
    if (want < more)
        return err_set(e, ERR_TOO_LARGE, "the buffer would be too large");
    class = class_of(want);
    if (take(class, &p, e) != 0)
        return e->code;
    memcpy(p, b->p, b->n);
    give_back(b->p, b->cap);
    b->p = p;
    b->cap = ((size_t)SMALLEST << class) - 1;
    return 0;
}

int
buf_add(struct buf *b, const void *p, size_t n, struct err *e)
{
    if (buf_reserve(b, n, e) != 0)
        return e->code;
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}
