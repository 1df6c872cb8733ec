/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's run of a model: its stages one after the other, and between
 * them the nodes that data hold up.
 */
#include "engine/run/session.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "engine/run/control.h"
#include "engine/run/eager.h"

struct session {
    struct model *model;
    struct quota *quota, own; /* own: unless it is a body's */
    struct runner **runners;  /* one a stage */
    struct tensor *in;        /* one an input of the model: as shaped */
    struct tensor *outputs;   /* of the last run */

    /* Of a staged model, by value and node id: what has been computed so far,
     * and what nodes run by themselves keep. */
    struct tensor *now;
    struct tensor *stage_in;
    struct eager *eager;
    struct control **control;

    unsigned long *profile;
    size_t n_profile;
};

static struct session *
session_alloc(struct model *m, struct quota *q)
{
    struct session *s = mem_new(1, sizeof *s);
    size_t max_bounds = m->max_shapes + (size_t)m->n_ladder;

    s->model = model_ref(m);
    /* Arena and scratch may each be those of another plan. */
    s->own.max_bytes = 2 * m->limits.bytes;
    s->own.max_work = m->limits.work;
    s->quota = q != NULL ? q : &s->own;
    s->runners = mem_new((size_t)m->stages.n, sizeof *s->runners);
    for (int i = 0; i < m->stages.n; i++)
        s->runners[i] = runner_new(&m->plans[i], max_bounds, s->quota);
    s->in = mem_new(m->graph->inputs.n, sizeof *s->in);
    s->outputs = mem_new(m->graph->outputs.n, sizeof *s->outputs);
    if (!model_is_staged(m))
        return s;
    s->now = mem_new(m->graph->values.n, sizeof *s->now);
    s->stage_in = mem_new(m->graph->values.n, sizeof *s->stage_in);
    s->eager = mem_new(m->graph->nodes.n, sizeof *s->eager);
    s->control = mem_new(m->graph->nodes.n, sizeof *s->control);
    for (size_t i = 0; i < m->graph->values.n; i++) {
        const struct value *v = &m->graph->values.at[i];

        if (v->data != NULL)
            s->now[i] = (struct tensor){v->dtype, v->shape, (void *)v->data};
    }
    return s;
}

void
session_free(struct session **sp)
{
    struct session *s = *sp;

    if (s == NULL)
        return;
    for (size_t i = 0; s->now != NULL && i < s->model->graph->nodes.n; i++) {
        eager_free(&s->eager[i], s->quota);
        control_free(&s->control[i]);
    }
    for (int i = 0; i < s->model->stages.n; i++)
        runner_free(&s->runners[i]);
    mem_free(s->runners);
    mem_free(s->in);
    mem_free(s->outputs);
    mem_free(s->now);
    mem_free(s->stage_in);
    mem_free(s->eager);
    mem_free(s->control);
    model_unref(&s->model);
    mem_free(s);
    *sp = NULL;
}

struct session *
session_of_body(struct model *m, struct quota *q)
{
    return session_alloc(m, q);
}

struct session *
session_bare(struct model *m)
{
    return session_alloc(m, NULL);
}

const struct model *
session_model(const struct session *s)
{
    return s->model;
}

const struct session *
session_body(const struct session *s, int node, int k)
{
    return s->control[node] == NULL ? NULL
                                    : control_session(s->control[node], k);
}

const struct plan *
session_plan(const struct session *s, int k)
{
    return runner_plan(s->runners[k]);
}

const struct tensor *
session_value(const struct session *s, int id)
{
    return &s->now[id];
}

/* --- shapes -------------------------------------------------------------- */

int
session_shape_as(struct session *s, const struct tensor *in, struct err *e)
{
    for (int i = 0; i < model_n_inputs(s->model); i++)
        s->in[i] = (struct tensor){in[i].dtype, in[i].shape, NULL};
    return runner_shape(s->runners[0], s->in, e);
}

int
session_shape(struct session *s, const struct shape *shapes, struct err *e)
{
    for (int i = 0; i < model_n_inputs(s->model); i++)
        s->in[i] =
            (struct tensor){model_input(s->model, i)->dtype, shapes[i], NULL};
    if (!runner_seen(s->runners[0], s->in) &&
        model_check_shapes(s->model, shapes, e) != 0)
        return e->code;
    return runner_shape(s->runners[0], s->in, e);
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
    struct session *s = session_alloc(m, NULL);

    if (bind_ladder(s, e) != 0) {
        session_free(&s);
        return e->code;
    }
    *out = s;
    return 0;
}

void *
session_input(struct session *s, int i)
{
    return runner_input(s->runners[0], i);
}

/* --- stages -------------------------------------------------------------- */

/* Shapes stage k for what is there now, and writes its inputs. */
static int
enter_stage(struct session *s, int k, struct err *e)
{
    const struct stage *st = &s->model->stages.at[k];
    struct runner *r = s->runners[k];

    for (size_t i = 0; i < st->in.n; i++) {
        s->stage_in[i] = s->now[st->in.at[i]];
        if (!st->known[i])
            s->stage_in[i].data = NULL;
    }
    if (runner_shape(r, s->stage_in, e) != 0)
        return e->code;
    for (size_t i = 0; i < st->in.n; i++) {
        const struct tensor *t = &s->now[st->in.at[i]];
        size_t bytes = shape_n(&t->shape) * dtype_size(t->dtype);

        if (!st->known[i] && bytes > 0)
            memcpy(runner_input(r, (int)i), t->data, bytes);
    }
    return 0;
}

static int
run_alone(struct session *s, int node, struct err *e)
{
    const struct graph *g = s->model->graph;
    const struct node *n = &g->nodes.at[node];

    if (!op_is_control(n->op))
        return eager_run(&s->eager[node], g, n, s->now, s->quota, e);
    if (s->control[node] == NULL)
        s->control[node] = control_new(s->model->bodies[node], s->quota);
    return control_run(s->control[node], n, s->now, e);
}

static unsigned long
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long)t.tv_sec * 1000000000ul + (unsigned long)t.tv_nsec;
}

/* The nodes behind stage k; *at counts the steps for the profile. */
static int
run_nodes(struct session *s, int k, size_t *at, struct err *e)
{
    const struct stage *st = &s->model->stages.at[k];

    for (size_t i = 0; i < st->nodes.n; i++, ++*at) {
        unsigned long t = s->profile != NULL ? now_ns() : 0;

        if (run_alone(s, st->nodes.at[i], e) != 0)
            return e->code;
        if (*at < s->n_profile)
            s->profile[*at] += now_ns() - t;
    }
    return 0;
}

static int
run_stages(struct session *s, struct err *e)
{
    size_t at = 0;

    for (int k = 0; k < s->model->stages.n; k++) {
        const struct stage *st = &s->model->stages.at[k];
        struct runner *r = s->runners[k];
        bool all = at >= s->n_profile;

        if ((k > 0 && enter_stage(s, k, e) != 0) ||
            runner_run(r, all ? NULL : s->profile + at,
                       all ? 0 : s->n_profile - at, e) != 0)
            return e->code;
        for (size_t i = 0; i < st->out.n; i++)
            s->now[st->out.at[i]] = *runner_output(r, (int)i);
        at += runner_plan(r)->n_steps;
        if (run_nodes(s, k, &at, e) != 0)
            return e->code;
    }
    for (size_t i = 0; i < s->model->graph->outputs.n; i++)
        s->outputs[i] = s->now[s->model->graph->outputs.at[i]];
    return 0;
}

int
session_run(struct session *s, struct err *e)
{
    if (s->quota == &s->own)
        s->quota->work = 0;
    if (!model_is_staged(s->model))
        return runner_run(s->runners[0], s->profile, s->n_profile, e);
    return run_stages(s, e);
}

const struct tensor *
session_output(const struct session *s, int i)
{
    return model_is_staged(s->model) ? &s->outputs[i]
                                     : runner_output(s->runners[0], i);
}

void
session_profile(struct session *s, unsigned long *ns, int n_steps)
{
    s->profile = ns;
    s->n_profile = ns == NULL ? 0 : (size_t)n_steps;
}
