/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/run/runner.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

/* A plan bound to this session's memory. */
struct bound {
    struct plan *plan;
    void ***io;   /* by step */
    void **state; /* by step; what bind made */
    size_t n_up;  /* steps bound so far */
    bool up;      /* all are */
    struct tensor *outputs;
    unsigned long used;
};

struct runner {
    struct plans *plans;
    struct quota *quota;
    size_t max_bounds;
    VEC(struct bound *) bounds;
    struct bound *now;
    void *arena, *scratch;
    size_t arena_bytes, scratch_bytes;
    unsigned long clock;
};

int
quota_take(struct quota *q, size_t n, struct err *e)
{
    if (n > q->max_bytes - q->bytes)
        return err_set(e, ERR_TOO_LARGE, "a run takes over %zu MB, the limit",
                       q->max_bytes >> 20);
    q->bytes += n;
    return 0;
}

int
quota_work(struct quota *q, double work, struct err *e)
{
    q->work += work;
    if (q->work <= q->max_work)
        return 0;
    return err_set(e, ERR_TOO_LARGE, "a run takes over %.3g steps, the limit",
                   q->max_work);
}

void
quota_give(struct quota *q, size_t n)
{
    q->bytes -= n;
}

static void
unbind(struct bound *b)
{
    for (size_t i = 0; i < b->n_up; i++)
        if (b->plan->steps[i].kernel->unbind != NULL)
            b->plan->steps[i].kernel->unbind(&b->plan->steps[i], b->state[i]);
    b->n_up = 0;
    b->up = false;
}

static void
bound_free(struct runner *r, struct bound *b)
{
    unbind(b);
    for (size_t i = 0; i < b->plan->n_steps; i++)
        mem_free(b->io[i]);
    mem_free(b->io);
    mem_free(b->state);
    mem_free(b->outputs);
    plans_put(r->plans, &b->plan);
    mem_free(b);
}

static int
bind(struct runner *r, struct bound *b, struct err *e)
{
    const struct plan *p = b->plan;

    for (size_t i = 0; i < p->n_steps; i++) {
        const struct step *st = &p->steps[i];
        const struct node *n = st->node;
        int rc = 0;

        for (int k = 0; k < n->n_in; k++)
            b->io[i][k] =
                n->in[k] < 0 ? NULL : plan_address(p, n->in[k], r->arena);
        for (int k = 0; k < n->n_out; k++)
            b->io[i][n->n_in + k] =
                n->out[k] < 0 || p->offset[n->out[k]] == PLAN_NOWHERE
                    ? NULL
                    : plan_address(p, n->out[k], r->arena);
        if (st->kernel->bind != NULL && !st->kernel->view)
            rc = st->kernel->bind(st, b->io[i], r->scratch, &b->state[i], e);
        if (rc != 0)
            return err_wrap(e, "node %s", n->name);
        b->n_up++;
    }
    for (size_t i = 0; i < p->graph->outputs.n; i++) {
        int id = p->graph->outputs.at[i];
        const struct value *v = &p->graph->values.at[id];

        b->outputs[i] =
            (struct tensor){v->dtype, v->shape, plan_address(p, id, r->arena)};
    }
    b->up = true;
    return 0;
}

/* A buffer of at least `bytes` bytes in place of *p; *moved when it is new. */
static int
grow_one(struct runner *r, void **p, size_t *have, size_t bytes, bool *moved,
         struct err *e)
{
    void *fresh;

    if (*p != NULL && bytes <= *have)
        return 0;
    if (quota_take(r->quota, bytes, e) != 0)
        return e->code;
    fresh = mem_try_aligned(bytes);
    if (fresh == NULL) {
        quota_give(r->quota, bytes);
        return err_set(e, ERR_NO_MEMORY, "%zu bytes to run in", bytes);
    }
    if (*p != NULL)
        quota_give(r->quota, *have);
    mem_free(*p);
    *p = fresh;
    *have = bytes;
    *moved = true;
    return 0;
}

/* Makes the memory at least as large as p needs; bindings go when it moves. */
static int
grow(struct runner *r, const struct plan *p, struct err *e)
{
    bool moved = false;
    int rc = grow_one(r, &r->arena, &r->arena_bytes, p->arena_bytes, &moved, e);

    if (rc == 0)
        rc = grow_one(r, &r->scratch, &r->scratch_bytes, p->scratch_bytes,
                      &moved, e);
    for (size_t i = 0; moved && i < r->bounds.n; i++)
        unbind(r->bounds.at[i]);
    return rc;
}

static struct bound *
bound_new(struct plan *p)
{
    struct bound *b = mem_new(1, sizeof *b);

    b->plan = p;
    b->io = mem_new(p->n_steps, sizeof *b->io);
    b->state = mem_new(p->n_steps, sizeof *b->state);
    b->outputs = mem_new(p->graph->outputs.n, sizeof *b->outputs);
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct node *n = p->steps[i].node;

        b->io[i] = mem_new((size_t)(n->n_in + n->n_out), sizeof *b->io[i]);
    }
    return b;
}

static struct bound *
find_bound(const struct runner *r, const struct tensor *in)
{
    for (size_t i = 0; i < r->bounds.n; i++)
        if (plan_is_for(r->bounds.at[i]->plan, in))
            return r->bounds.at[i];
    return NULL;
}

bool
runner_seen(const struct runner *r, const struct tensor *in)
{
    return find_bound(r, in) != NULL;
}

static void
drop_oldest(struct runner *r)
{
    size_t oldest = 0;

    if (r->bounds.n < r->max_bounds)
        return;
    for (size_t i = 1; i < r->bounds.n; i++)
        if (r->bounds.at[i]->used < r->bounds.at[oldest]->used)
            oldest = i;
    bound_free(r, r->bounds.at[oldest]);
    r->bounds.at[oldest] = r->bounds.at[--r->bounds.n];
}

static int
find_or_add(struct runner *r, const struct tensor *in, struct bound **out,
            struct err *e)
{
    struct plan *p;

    *out = find_bound(r, in);
    if (*out != NULL) {
        atomic_fetch_add_explicit(&r->plans->hits, 1, memory_order_relaxed);
        return 0;
    }
    if (plans_get(r->plans, in, false, &p, e) != 0)
        return e->code;
    drop_oldest(r);
    *out = bound_new(p);
    VEC_PUSH(&r->bounds, *out);
    return 0;
}

int
runner_shape(struct runner *r, const struct tensor *in, struct err *e)
{
    struct bound *b;
    int rc;

    r->now = NULL;
    rc = find_or_add(r, in, &b, e);
    if (rc == 0)
        rc = grow(r, b->plan, e);
    if (rc == 0 && !b->up) {
        unbind(b);
        rc = bind(r, b, e);
    }
    if (rc != 0)
        return rc;
    b->used = ++r->clock;
    r->now = b;
    return 0;
}

struct runner *
runner_new(struct plans *plans, size_t max_bounds, struct quota *q)
{
    struct runner *r = mem_new(1, sizeof *r);

    r->plans = plans;
    r->max_bounds = max_bounds;
    r->quota = q;
    return r;
}

void
runner_free(struct runner **r)
{
    if (*r == NULL)
        return;
    for (size_t i = 0; i < (*r)->bounds.n; i++)
        bound_free(*r, (*r)->bounds.at[i]);
    mem_free((*r)->bounds.at);
    quota_give((*r)->quota, (*r)->arena_bytes + (*r)->scratch_bytes);
    mem_free((*r)->arena);
    mem_free((*r)->scratch);
    mem_free(*r);
    *r = NULL;
}

void *
runner_input(struct runner *r, int i)
{
    const struct plan *p;

    assert(r->now != NULL);
    p = r->now->plan;
    return plan_address(p, p->graph->inputs.at[i], r->arena);
}

const struct plan *
runner_plan(const struct runner *r)
{
    return r->now == NULL ? NULL : r->now->plan;
}

/* A view whose input is a constant has no buffer to share: it is copied. */
static void
run_view(const struct step *st, void *const *io)
{
    const struct value *v = step_in(st, 0);
    void *to = io[st->node->n_in];

    if (to != NULL && to != io[0])
        memcpy(to, io[0], shape_n(&v->shape) * dtype_size(v->dtype));
}

static unsigned long
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long)t.tv_sec * 1000000000ul + (unsigned long)t.tv_nsec;
}

int
runner_run(struct runner *r, unsigned long *ns, size_t n_ns, struct err *e)
{
    struct bound *b = r->now;
    unsigned long t = 0;

    assert(b != NULL);
    if (quota_work(r->quota, b->plan->work, e) != 0)
        return e->code;
    if (ns != NULL)
        t = now_ns();
    for (size_t i = 0; i < b->plan->n_steps; i++) {
        const struct step *st = &b->plan->steps[i];
        int rc = 0;

        if (st->kernel->view)
            run_view(st, b->io[i]);
        else
            rc = st->kernel->run(st, b->io[i], r->scratch, b->state[i], e);
        if (rc != 0)
            return err_wrap(e, "node %s (%s)", st->node->name,
                            op_name(st->node->op));
        if (ns != NULL && i < n_ns) {
            unsigned long u = now_ns();

            ns[i] += u - t;
            t = u;
        }
    }
    return 0;
}

const struct tensor *
runner_output(const struct runner *r, int i)
{
    assert(r->now != NULL);
    return &r->now->outputs[i];
}
