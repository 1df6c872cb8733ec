/* SPDX-License-Identifier: Apache-2.0 */
#include "server/stats.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

struct stats {
    int n_slots;
    _Atomic uint64_t rejects[N_REJECTS];
};

/* A thread's own, on cache lines of its own: the lock is nearly always free. */
struct slot {
    alignas(64) pthread_mutex_t lock;
    struct counts counts;
};

struct series {
    _Atomic unsigned refs;
    _Atomic int in_flight;
    int n_slots;
    struct slot *slots;
};

const uint64_t stats_bounds_us[STATS_BUCKETS - 1] = {
    100,   200,    500,    1000,   2000,    5000,    10000,   20000,
    50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000};

static _Thread_local int own_slot; /* 0: threads that are no workers */

void
stats_thread(int worker)
{
    own_slot = worker + 1;
}

struct stats *
stats_new(int n_workers)
{
    struct stats *s = mem_new(1, sizeof *s);

    s->n_slots = n_workers + 1;
    return s;
}

void
stats_free(struct stats **s)
{
    mem_free(*s);
    *s = NULL;
}

void
stats_reject(struct stats *s, enum reject why)
{
    atomic_fetch_add_explicit(&s->rejects[why], 1, memory_order_relaxed);
}

uint64_t
stats_rejected(const struct stats *s, enum reject why)
{
    return atomic_load_explicit(&s->rejects[why], memory_order_relaxed);
}

struct series *
series_new(struct stats *s)
{
    struct series *x = mem_new(1, sizeof *x);

    x->refs = 1;
    x->n_slots = s->n_slots;
    x->slots = mem_try_aligned((size_t)s->n_slots * sizeof *x->slots);
    if (x->slots == NULL) {
        mem_free(x);
        return NULL;
    }
    for (int i = 0; i < x->n_slots; i++)
        pthread_mutex_init(&x->slots[i].lock, NULL);
    return x;
}

struct series *
series_ref(struct series *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void
series_unref(struct series **sp)
{
    struct series *s = *sp;

    *sp = NULL;
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    for (int i = 0; i < s->n_slots; i++)
        pthread_mutex_destroy(&s->slots[i].lock);
    mem_free(s->slots);
    mem_free(s);
}

static struct counts *
begin(struct series *s)
{
    pthread_mutex_lock(&s->slots[own_slot].lock);
    return &s->slots[own_slot].counts;
}

static void
end(struct series *s)
{
    pthread_mutex_unlock(&s->slots[own_slot].lock);
}

static void
observe(struct histogram *h, uint64_t ns)
{
    int i = 0;

    while (i < STATS_BUCKETS - 1 && ns > stats_bounds_us[i] * 1000)
        i++;
    h->bucket[i]++;
    h->count++;
    h->sum_ns += ns;
}

static void
count_duration(struct duration *d, uint64_t ns)
{
    d->count++;
    d->ns += ns;
}

static int
code_index(int status)
{
    switch (status) {
#define CODE(n)                                                                \
    case n:                                                                    \
        return STATS_CODE_##n;
        STATS_CODES(CODE)
#undef CODE
    default:
        return STATS_CODE_500;
    }
}

void
series_answered(struct series *s, const struct answered *a)
{
    struct counts *c = begin(s);

    c->requests[a->route][code_index(a->status)]++;
    observe(&c->request, a->total);
    if (a->status == 200) {
        observe(&c->queue, a->wait);
        observe(&c->compute, a->infer);
        count_duration(&c->success, a->total);
        count_duration(&c->wait, a->wait);
        count_duration(&c->input, a->input);
        count_duration(&c->infer, a->infer);
        count_duration(&c->output, a->output);
    } else {
        count_duration(&c->fail, a->total);
    }
    end(s);
    atomic_fetch_sub(&s->in_flight, 1);
}

void
series_ran(struct series *s, int rows, uint64_t input_ns, uint64_t infer_ns,
           uint64_t output_ns)
{
    struct counts *c = begin(s);
    int i = rows <= STATS_BATCHES ? rows : 0;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    c->last_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    c->rows += (uint64_t)rows;
    c->runs++;
    c->batch[i].runs++;
    c->batch[i].input_ns += input_ns;
    c->batch[i].infer_ns += infer_ns;
    c->batch[i].output_ns += output_ns;
    end(s);
}

void
series_nonfinite(struct series *s, int outputs)
{
    begin(s)->nonfinite += (uint64_t)outputs;
    end(s);
}

void
series_enter(struct series *s)
{
    atomic_fetch_add(&s->in_flight, 1);
}

int
series_in_flight(const struct series *s)
{
    return atomic_load(&s->in_flight);
}

/*
 * struct counts is all uint64_t counters but for last_ms, which is a time: so
 * a sum is a loop, and the latest time is put right behind it.
 */
void
counts_add(struct counts *sum, const struct counts *one)
{
    enum { N = sizeof *sum / sizeof(uint64_t) };
    uint64_t last = sum->last_ms > one->last_ms ? sum->last_ms : one->last_ms;
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)one;

    _Static_assert(N * sizeof(uint64_t) == sizeof *sum, "only counters");
    for (int i = 0; i < N; i++)
        to[i] += from[i];
    sum->last_ms = last;
}

void
series_read(struct series *s, struct counts *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < s->n_slots; i++) {
        struct counts one;

        pthread_mutex_lock(&s->slots[i].lock);
        one = s->slots[i].counts;
        pthread_mutex_unlock(&s->slots[i].lock);
        counts_add(out, &one);
    }
}
