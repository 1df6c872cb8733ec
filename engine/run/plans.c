/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/run/plans.h"

#include "base/mem.h"

void
plans_init(struct plans *p, const struct graph *g, struct weights *w,
           size_t max_shapes, const struct plan_limits *limits)
{
    *p = (struct plans){
        .graph = g, .weights = w, .max_shapes = max_shapes, .limits = limits};
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->build, NULL);
}

void
plans_done(struct plans *p)
{
    for (size_t i = 0; i < p->kept.n; i++)
        plan_free(&p->kept.at[i].plan);
    mem_free(p->kept.at);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->build);
}

/* Takes a reference to a kept plan; the caller holds the lock. */
static struct plan *
find_plan(struct plans *p, const struct tensor *in)
{
    for (size_t i = 0; i < p->kept.n; i++) {
        struct kept *k = &p->kept.at[i];

        if (!plan_is_for(k->plan, in))
            continue;
        k->used = ++p->clock;
        k->plan->refs++;
        return k->plan;
    }
    return NULL;
}

/* Makes room for one more plan outside the ladder; the lock is held. */
static struct plan *
evict_oldest(struct plans *p)
{
    size_t others = 0, oldest = 0;
    struct plan *plan;

    for (size_t i = 0; i < p->kept.n; i++) {
        if (p->kept.at[i].ladder)
            continue;
        if (others++ == 0 || p->kept.at[i].used < p->kept.at[oldest].used)
            oldest = i;
    }
    if (others < p->max_shapes)
        return NULL;
    plan = p->kept.at[oldest].plan;
    p->kept.at[oldest] = p->kept.at[--p->kept.n];
    return plan;
}

/* Builds what nobody has built meanwhile. */
static int
find_or_build(struct plans *p, const struct tensor *in, bool ladder,
              struct plan **out, struct err *e)
{
    struct plan *old;

    pthread_mutex_lock(&p->lock);
    *out = find_plan(p, in);
    pthread_mutex_unlock(&p->lock);
    if (*out != NULL)
        return 0;
    if (plan_build(p->graph, in, p->weights, p->limits, out, e) != 0)
        return e->code;
    pthread_mutex_lock(&p->lock);
    old = ladder ? NULL : evict_oldest(p);
    (*out)->refs++;
    VEC_PUSH(&p->kept, (struct kept){*out, ++p->clock, ladder});
    p->misses++;
    pthread_mutex_unlock(&p->lock);
    plans_put(p, &old);
    return 0;
}

int
plans_get(struct plans *p, const struct tensor *in, bool ladder,
          struct plan **out, struct err *e)
{
    int rc;

    pthread_mutex_lock(&p->lock);
    *out = find_plan(p, in);
    pthread_mutex_unlock(&p->lock);
    if (*out != NULL) {
        atomic_fetch_add_explicit(&p->hits, 1, memory_order_relaxed);
        return 0;
    }
    pthread_mutex_lock(&p->build);
    rc = find_or_build(p, in, ladder, out, e);
    pthread_mutex_unlock(&p->build);
    return rc;
}

void
plans_put(struct plans *p, struct plan **plan)
{
    bool last;

    if (*plan == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    last = --(*plan)->refs == 0;
    pthread_mutex_unlock(&p->lock);
    if (last)
        plan_free(plan);
    *plan = NULL;
}

size_t
plans_bytes(struct plans *p)
{
    size_t n = 0;

    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->kept.n; i++)
        n += arena_bytes(p->kept.at[i].plan->graph->arena);
    pthread_mutex_unlock(&p->lock);
    return n;
}
