/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of packed constants under one lock.  It is used when a plan is
 * built, never when one runs; packing happens inside the lock, so that two
 * threads that want the same form pack it once.
 */
#include "engine/ir/weights.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ir/kernel.h"

struct entry {
    struct entry *next;
    size_t key_bytes, bytes;
    void *key, *data;
};

enum { N_BUCKETS = 1024 };

struct weights {
    pthread_mutex_t lock;
    struct entry *buckets[N_BUCKETS];
    size_t bytes;
};

struct weights *
weights_new(void)
{
    struct weights *w = mem_new(1, sizeof *w);

    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void
weights_free(struct weights **w)
{
    if (*w == NULL)
        return;
    for (int i = 0; i < N_BUCKETS; i++)
        for (struct entry *e = (*w)->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            mem_free(e->key);
            mem_free(e->data);
            mem_free(e);
        }
    pthread_mutex_destroy(&(*w)->lock);
    mem_free(*w);
    *w = NULL;
}

size_t
weights_bytes(struct weights *w)
{
    size_t n;

    pthread_mutex_lock(&w->lock);
    n = w->bytes;
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* FNV-1a, 64 bits. */
static size_t
bucket_of(const unsigned char *key, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ key[i]) * 0x100000001b3u;
    return (size_t)(h >> 32) % N_BUCKETS;
}

static struct entry *
entry_make(const void *key, size_t key_bytes, size_t bytes,
           int (*make)(void *dst, void *arg, struct err *e), void *arg,
           struct err *e)
{
    struct entry *n = mem_new(1, sizeof *n);

    n->data = mem_try_aligned(bytes);
    if (n->data == NULL) {
        err_set(e, ERR_NO_MEMORY, "%zu bytes of packed weights", bytes);
        goto fail;
    }
    if (make(n->data, arg, e) != 0)
        goto fail;
    n->bytes = bytes;
    n->key_bytes = key_bytes;
    n->key = mem_new(1, key_bytes);
    memcpy(n->key, key, key_bytes);
    return n;
fail:
    mem_free(n->data);
    mem_free(n);
    return NULL;
}

const void *
weights_get(struct weights *w, const void *key, size_t key_bytes, size_t bytes,
            int (*make)(void *dst, void *arg, struct err *e), void *arg,
            struct err *e)
{
    struct entry **bucket = &w->buckets[bucket_of(key, key_bytes)];
    struct entry *found;

    pthread_mutex_lock(&w->lock);
    for (found = *bucket; found != NULL; found = found->next)
        if (found->key_bytes == key_bytes && found->bytes == bytes &&
            memcmp(found->key, key, key_bytes) == 0)
            break;
    if (found == NULL) {
        found = entry_make(key, key_bytes, bytes, make, arg, e);
        if (found != NULL) {
            found->next = *bucket;
            *bucket = found;
            w->bytes += bytes;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return found == NULL ? NULL : found->data;
}
