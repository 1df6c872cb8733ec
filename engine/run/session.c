/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan with memory.  For each plan that a session has met it keeps the
 * kernels bound to its arena; the arena is as large as the largest of these
 * plans needs, and when it must grow the bindings are made anew.
 */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "engine/run/model.h"

/* A plan bound to this session's memory. */
struct bound {
    struct plan *plan;
    void ***io;   /* by step */
    void **state; /* by step; what bind made */
    size_t n_up;  /* steps bound so far */
    struct tensor *outputs;
    unsigned long used;
};

struct session {
    struct model *model;
    VEC(struct bound *) bounds;
    struct bound *now;
    void *arena, *scratch;
    size_t arena_bytes, scratch_bytes;
    unsigned long clock;
    unsigned long *profile;
    int n_profile;
};

static void
unbind(struct bound *b)
{
    for (size_t i = 0; i < b->n_up; i++)
        if (b->plan->steps[i].kernel->unbind != NULL)
            b->plan->steps[i].kernel->unbind(&b->plan->steps[i], b->state[i]);
    b->n_up = 0;
}

static void
bound_free(struct session *s, struct bound *b)
{
    unbind(b);
    for (size_t i = 0; i < b->plan->n_steps; i++)
        mem_free(b->io[i]);
    mem_free(b->io);
    mem_free(b->state);
    mem_free(b->outputs);
    model_put_plan(s->model, &b->plan);
    mem_free(b);
}

static int
bind(struct session *s, struct bound *b, struct err *e)
{
    const struct plan *p = b->plan;

    for (size_t i = 0; i < p->n_steps; i++) {
        const struct step *st = &p->steps[i];
        const struct node *n = st->node;
        int rc = 0;

        for (int k = 0; k < n->n_in; k++)
            b->io[i][k] =
                n->in[k] < 0 ? NULL : plan_address(p, n->in[k], s->arena);
        for (int k = 0; k < n->n_out; k++)
            b->io[i][n->n_in + k] =
                n->out[k] < 0 || p->offset[n->out[k]] == PLAN_NOWHERE
                    ? NULL
                    : plan_address(p, n->out[k], s->arena);
        if (st->kernel->bind != NULL && !st->kernel->view)
            rc = st->kernel->bind(st, b->io[i], s->scratch, &b->state[i], e);
        if (rc != 0)
            return err_wrap(e, "node %s", n->name);
        b->n_up++;
    }
    for (size_t i = 0; i < p->graph->outputs.n; i++) {
        int id = p->graph->outputs.at[i];
        const struct value *v = &p->graph->values.at[id];

        b->outputs[i] =
            (struct tensor){v->dtype, v->shape, plan_address(p, id, s->arena)};
    }
    return 0;
}

/* Makes the arena at least as large as p needs; bindings go when it moves. */
static int
grow(struct session *s, const struct plan *p, struct err *e)
{
    void *arena = s->arena, *scratch = s->scratch;

    if (s->arena != NULL && p->arena_bytes <= s->arena_bytes &&
        p->scratch_bytes <= s->scratch_bytes)
        return 0;
    if (s->arena == NULL || p->arena_bytes > s->arena_bytes)
        arena = mem_try_aligned(p->arena_bytes);
    if (s->scratch == NULL || p->scratch_bytes > s->scratch_bytes)
        scratch = mem_try_aligned(p->scratch_bytes);
    if (arena == NULL || scratch == NULL) {
        if (arena != s->arena)
            mem_free(arena);
        if (scratch != s->scratch)
            mem_free(scratch);
        return err_set(e, ERR_NO_MEMORY, "%zu bytes to run in",
                       p->arena_bytes + p->scratch_bytes);
    }
    for (size_t i = 0; i < s->bounds.n; i++)
        unbind(s->bounds.at[i]);
    if (arena != s->arena) {
        mem_free(s->arena);
        s->arena = arena;
        s->arena_bytes = p->arena_bytes;
    }
    if (scratch != s->scratch) {
        mem_free(s->scratch);
        s->scratch = scratch;
        s->scratch_bytes = p->scratch_bytes;
    }
    return 0;
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
find_bound(const struct session *s, const struct shape *shapes)
{
    for (size_t i = 0; i < s->bounds.n; i++) {
        const struct plan *p = s->bounds.at[i]->plan;
        size_t k = 0;

        while (k < p->graph->inputs.n &&
               shape_equal(&p->in_shapes[k], &shapes[k]))
            k++;
        if (k == p->graph->inputs.n)
            return s->bounds.at[i];
    }
    return NULL;
}

/* A session keeps no more bindings than the model keeps plans. */
static void
drop_oldest(struct session *s)
{
    size_t limit = s->model->max_shapes + (size_t)s->model->n_ladder;
    size_t oldest = 0;

    if (s->bounds.n < limit)
        return;
    for (size_t i = 1; i < s->bounds.n; i++)
        if (s->bounds.at[i]->used < s->bounds.at[oldest]->used)
            oldest = i;
    bound_free(s, s->bounds.at[oldest]);
    s->bounds.at[oldest] = s->bounds.at[--s->bounds.n];
}

static int
bind_new(struct session *s, const struct shape *shapes, struct bound **out,
         struct err *e)
{
    struct plan *p;
    struct bound *b;
    int rc = model_check_shapes(s->model, shapes, e);

    if (rc == 0)
        rc = model_get_plan(s->model, shapes, false, &p, e);
    if (rc != 0)
        return rc;
    drop_oldest(s);
    b = bound_new(p);
    VEC_PUSH(&s->bounds, b);
    *out = b;
    return 0;
}

int
session_shape(struct session *s, const struct shape *shapes, struct err *e)
{
    struct bound *b = find_bound(s, shapes);
    int rc;

    s->now = NULL;
    if (b == NULL) {
        rc = bind_new(s, shapes, &b, e);
        if (rc != 0)
            return rc;
    }
    rc = grow(s, b->plan, e);
    if (rc == 0 && b->n_up < b->plan->n_steps) {
        unbind(b);
        rc = bind(s, b, e);
    } else if (rc == 0 && b->plan->n_steps == 0) {
        rc = bind(s, b, e);
    }
    if (rc != 0)
        return rc;
    b->used = ++s->clock;
    s->now = b;
    return 0;
}

/* Binds all that model_warm() has built, the largest first. */
static int
bind_ladder(struct session *s, struct err *e)
{
    struct shape *shapes =
        mem_new((size_t)model_n_inputs(s->model) + 1, sizeof *shapes);
    int rc = 0;

    for (int i = s->model->warm ? s->model->n_ladder : 0; rc == 0 && i-- > 0;) {
        bool fixed = true;

        for (int k = 0; k < model_n_inputs(s->model); k++) {
            shapes[k] = model_input(s->model, k)->shape;
            if (s->model->max_batch > 0 && shapes[k].rank > 0)
                shapes[k].dim[0] = s->model->ladder[i];
            fixed &= shape_known(&shapes[k]);
        }
        if (fixed)
            rc = session_shape(s, shapes, e);
    }
    mem_free(shapes);
    return rc;
}

int
session_new(struct model *m, struct session **out, struct err *e)
{
    struct session *s = mem_new(1, sizeof *s);
    int rc;

    s->model = model_ref(m);
    rc = bind_ladder(s, e);
    if (rc != 0) {
        session_free(&s);
        return rc;
    }
    *out = s;
    return 0;
}

void
session_free(struct session **s)
{
    if (*s == NULL)
        return;
    for (size_t i = 0; i < (*s)->bounds.n; i++)
        bound_free(*s, (*s)->bounds.at[i]);
    mem_free((*s)->bounds.at);
    mem_free((*s)->arena);
    mem_free((*s)->scratch);
    model_unref(&(*s)->model);
    mem_free(*s);
    *s = NULL;
}

void *
session_input(struct session *s, int i)
{
    const struct plan *p;

    assert(s->now != NULL);
    p = s->now->plan;
    return plan_address(p, p->graph->inputs.at[i], s->arena);
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
session_run(struct session *s, struct err *e)
{
    struct bound *b = s->now;
    unsigned long t = 0;

    assert(b != NULL);
    if (s->profile != NULL)
        t = now_ns();
    for (size_t i = 0; i < b->plan->n_steps; i++) {
        const struct step *st = &b->plan->steps[i];
        int rc = 0;

        if (st->kernel->view)
            run_view(st, b->io[i]);
        else
            rc = st->kernel->run(st, b->io[i], s->scratch, b->state[i], e);
        if (rc != 0)
            return err_wrap(e, "node %s (%s)", st->node->name,
                            op_name(st->node->op));
        if (s->profile != NULL && (int)i < s->n_profile) {
            unsigned long u = now_ns();

            s->profile[i] += u - t;
            t = u;
        }
    }
    return 0;
}

const struct tensor *
session_output(const struct session *s, int i)
{
    assert(s->now != NULL);
    return &s->now->outputs[i];
}

void
session_profile(struct session *s, unsigned long *ns, int n_steps)
{
    s->profile = ns;
    s->n_profile = n_steps;
}
