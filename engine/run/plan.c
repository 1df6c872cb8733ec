/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes, joining, kernels, layouts, memory: in this order.
 */
#include "engine/run/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/dnn.h"
#include "engine/ops/ops.h"
#include "engine/pass/pass.h"
#include "engine/run/layout.h"
#include "engine/run/place.h"

/*
 * QUANTD_KERNELS=plain leaves dnn/ out, QUANTD_KERNELS=written the joining of
 * nodes too: tests compare the three.
 */
static bool
kernels_are(const char *what)
{
    const char *s = getenv("QUANTD_KERNELS");

    return s != NULL && strcmp(s, what) == 0;
}

static bool
as_written(void)
{
    return kernels_are("written");
}

static bool
plain_only(void)
{
    return kernels_are("plain") || as_written();
}

static const struct kernel *
choose(const struct graph *g, const struct node *n)
{
    for (size_t i = 0; !plain_only() && dnn_kernels[i] != NULL; i++)
        if (dnn_kernels[i]->op == n->op &&
            (dnn_kernels[i]->fits == NULL || dnn_kernels[i]->fits(g, n)))
            return dnn_kernels[i];
    return ops_find(g, n);
}

static int
no_kernel(const struct graph *g, const struct node *n, struct err *e)
{
    const struct value *v = node_in(g, n, 0);

    if (v == NULL)
        v = node_out(g, n, 0);
    return err_set(e, ERR_UNSUPPORTED, "node %s (%s): no kernel for %s",
                   n->name, op_name(n->op),
                   v == NULL ? "it" : dtype_name(v->dtype));
}

static int
choose_kernels(struct graph *g, const struct kernel ***out, struct err *e)
{
    const struct kernel **k = mem_new(g->nodes.n, sizeof(*k));
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++) {
        if (g->nodes.at[i].dead)
            continue;
        k[i] = choose(g, &g->nodes.at[i]);
        if (k[i] == NULL)
            rc = no_kernel(g, &g->nodes.at[i], e);
    }
    *out = k; /* the caller's in any case */
    return rc;
}

static int
set_input(struct graph *g, size_t i, const struct shape *s, struct err *e)
{
    struct value *v = &g->values.at[g->inputs.at[i]];
    size_t n;

    if (shape_count(s, &n, e) != 0)
        return err_wrap(e, "input %s", v->name);
    v->shape = *s;
    return 0;
}

static int
set_inputs(struct graph *g, const struct shape *in_shapes, struct err *e)
{
    for (size_t i = 0; i < g->inputs.n; i++)
        if (set_input(g, i, &in_shapes[i], e) != 0)
            return e->code;
    return 0;
}

/* Types, and the numbers that the plan is for. */
static int
set_known(struct plan *p, const struct tensor *in, struct err *e)
{
    struct graph *g = p->graph;

    for (size_t i = 0; i < g->inputs.n; i++) {
        struct value *v = &g->values.at[g->inputs.at[i]];
        size_t bytes = shape_n(&in[i].shape) * dtype_size(in[i].dtype);

        v->dtype = in[i].dtype;
        p->in[i] = in[i];
        if (in[i].data == NULL)
            continue;
        p->in[i].data = arena_try(g->arena, bytes > 0 ? bytes : 1, 1);
        if (p->in[i].data == NULL)
            return err_set(e, ERR_NO_MEMORY, "no memory for %s", v->name);
        memcpy(p->in[i].data, in[i].data, bytes);
        v->data = p->in[i].data;
    }
    return 0;
}

bool
plan_is_for(const struct plan *p, const struct tensor *in)
{
    for (size_t i = 0; i < p->graph->inputs.n; i++) {
        const struct tensor *a = &p->in[i], *b = &in[i];

        if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape))
            return false;
        if (a->data != NULL &&
            (b->data == NULL ||
             memcmp(a->data, b->data,
                    shape_n(&a->shape) * dtype_size(a->dtype)) != 0))
            return false;
    }
    return true;
}

/* --- memory -------------------------------------------------------------- */

struct life {
    int *root;  /* by value: which value's buffer it shares (itself: its own) */
    int *first; /* by root: the steps between which its bytes are needed */
    int *last;
    bool *pinned; /* by root: an input or output of the graph */
};

static int
root_of(const struct life *l, int id)
{
    while (l->root[id] != id)
        id = l->root[id];
    return id;
}

static void
share(struct life *l, int into, int id)
{
    int a = root_of(l, into), b = root_of(l, id);

    if (a == b)
        return;
    l->root[b] = a;
    if (l->first[b] < l->first[a])
        l->first[a] = l->first[b];
    if (l->last[b] > l->last[a])
        l->last[a] = l->last[b];
    l->pinned[a] |= l->pinned[b];
}

static size_t
bytes_of(const struct graph *g, int id)
{
    return shape_n(&g->values.at[id].shape) *
           dtype_size(g->values.at[id].dtype);
}

static void
find_lives(const struct plan *p, struct life *l)
{
    const struct graph *g = p->graph;
    int end = (int)p->n_steps;

    for (size_t i = 0; i < g->values.n; i++) {
        l->root[i] = (int)i;
        l->first[i] = end;
        l->last[i] = -1;
    }
    for (int s = 0; s < end; s++) {
        const struct node *n = p->steps[s].node;

        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0)
                l->first[n->out[k]] = l->last[n->out[k]] = s;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0)
                l->last[n->in[k]] = s;
    }
    /* Inputs stay as the caller wrote them, so that a run can be repeated. */
    for (size_t i = 0; i < g->inputs.n; i++) {
        int id = g->inputs.at[i];

        l->first[id] = 0;
        l->last[id] = end;
        l->pinned[id] = true;
    }
    for (size_t i = 0; i < g->outputs.n; i++) {
        l->last[g->outputs.at[i]] = end;
        l->pinned[g->outputs.at[i]] = true;
    }
}

static void
share_buffers(const struct plan *p, struct life *l)
{
    const struct graph *g = p->graph;

    for (size_t s = 0; s < p->n_steps; s++)
        if (p->steps[s].kernel->view && step_in(&p->steps[s], 0)->data == NULL)
            share(l, p->steps[s].node->in[0], p->steps[s].node->out[0]);
    for (int s = 0; s < (int)p->n_steps; s++) {
        const struct node *n = p->steps[s].node;
        int at = p->steps[s].inplace, readers = 0, root;

        if (at < 0 || p->steps[s].kernel->view || n->in[at] < 0 ||
            g->values.at[n->in[at]].data != NULL ||
            bytes_of(g, n->in[at]) != bytes_of(g, n->out[0]))
            continue;
        root = root_of(l, n->in[at]);
        for (int k = 0; k < n->n_in; k++)
            readers += n->in[k] >= 0 && root_of(l, n->in[k]) == root;
        if (l->last[root] == s && !l->pinned[root] && readers == 1)
            share(l, n->in[at], n->out[0]);
    }
}

static int
place_values(struct plan *p, struct life *l, struct err *e)
{
    const struct graph *g = p->graph;
    struct place *at = mem_new(g->values.n, sizeof *at);
    int *slot = mem_new(g->values.n, sizeof *slot);
    size_t n = 0;
    int rc;

    for (int i = 0; i < (int)g->values.n; i++) {
        if (root_of(l, i) != i || l->last[i] < 0 || g->values.at[i].data)
            continue;
        slot[i] = (int)n;
        at[n++] = (struct place){
            .first = l->first[i], .last = l->last[i], .bytes = bytes_of(g, i)};
        if (at[n - 1].bytes == 0)
            at[n - 1].bytes = 1; /* an address of its own all the same */
    }
    rc = place_buffers(at, n, &p->arena_bytes, e);
    for (int i = 0; rc == 0 && i < (int)g->values.n; i++)
        p->offset[i] = l->last[root_of(l, i)] < 0 || g->values.at[i].data
                           ? PLAN_NOWHERE
                           : at[slot[root_of(l, i)]].offset;
    mem_free(slot);
    mem_free(at);
    return rc;
}

static int
plan_memory(struct plan *p, struct err *e)
{
    size_t n = p->graph->values.n;
    struct life l = {
        .root = mem_new(n, sizeof(int)),
        .first = mem_new(n, sizeof(int)),
        .last = mem_new(n, sizeof(int)),
        .pinned = mem_new(n, sizeof(bool)),
    };
    int rc;

    p->offset = mem_new(n, sizeof *p->offset);
    find_lives(p, &l);
    share_buffers(p, &l);
    rc = place_values(p, &l, e);
    mem_free(l.root);
    mem_free(l.first);
    mem_free(l.last);
    mem_free(l.pinned);
    return rc;
}

/* --- limits -------------------------------------------------------------- */

/* The sum of a few such sizes must not overflow where they are added up. */
static int
check_size(const struct value *v, const struct plan_limits *limits,
           struct err *e)
{
    size_t bytes = shape_rounds(&v->shape) * dtype_size(v->dtype);
    char text[SHAPE_TEXT];

    if (v->data != NULL || bytes <= limits->bytes)
        return 0;
    return err_set(e, ERR_TOO_LARGE,
                   "value %s is %s: %zu MB, the limit of a run is %zu MB",
                   v->name, shape_text(&v->shape, text), bytes >> 20,
                   limits->bytes >> 20);
}

/* Before kernels see the shapes: libraries count in ints. */
static int
check_limits(struct plan *p, const struct plan_limits *limits, struct err *e)
{
    const struct graph *g = p->graph;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < g->inputs.n; i++)
        rc = check_size(graph_value(g, g->inputs.at[i]), limits, e);
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        if (n->dead)
            continue;
        for (int k = 0; rc == 0 && k < n->n_out; k++)
            if (n->out[k] >= 0)
                rc = check_size(node_out(g, n, k), limits, e);
        p->work += ops_work(g, n);
        if (rc == 0 && !(p->work <= limits->work))
            rc = err_set(e, ERR_TOO_LARGE,
                         "up to node %s (%s) a run takes %.3g steps, the limit "
                         "is %.3g",
                         n->name, op_name(n->op), p->work, limits->work);
    }
    return rc;
}

/* --- building ------------------------------------------------------------ */

static int
prepare_steps(struct plan *p, const struct kernel *const *kernels,
              struct weights *w, struct err *e)
{
    struct graph *g = p->graph;

    p->steps = mem_new(g->nodes.n, sizeof *p->steps);
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct step *s = &p->steps[i];
        int rc = 0;

        *s = (struct step){
            .kernel = kernels[i],
            .graph = g,
            .node = &g->nodes.at[i],
            .inplace = -1,
            .impl = "",
        };
        if (s->kernel->prepare != NULL)
            rc = s->kernel->prepare(g, s->node, s, w, e);
        if (rc != 0)
            return err_wrap(e, "node %s (%s)", s->node->name,
                            op_name(s->node->op));
        p->n_steps++;
        if (s->scratch_bytes > p->scratch_bytes)
            p->scratch_bytes = s->scratch_bytes;
    }
    return 0;
}

int
plan_build(const struct graph *base, const struct tensor *in, struct weights *w,
           const struct plan_limits *limits, struct plan **out, struct err *e)
{
    struct plan *p = mem_new(1, sizeof *p);
    const struct kernel **kernels = NULL;
    int rc = 0;

    p->refs = 1;
    p->graph = graph_copy(base);
    p->in = mem_new(base->inputs.n, sizeof *p->in);
    for (size_t i = 0; rc == 0 && i < base->inputs.n; i++)
        rc = set_input(p->graph, i, &in[i].shape, e);
    if (rc == 0)
        rc = set_known(p, in, e);
    if (rc == 0)
        rc = pass_shapes(p->graph, e);
    if (rc == 0)
        rc = check_limits(p, limits, e);
    if (rc == 0 && !as_written())
        rc = pass_plan(p->graph, e);
    if (rc == 0 && !plain_only())
        rc = dnn_join(p->graph, w, e);
    if (rc == 0)
        rc = choose_kernels(p->graph, &kernels, e);
    if (rc == 0)
        rc = layout_assign(p->graph, &kernels, choose, e);
    if (rc == 0)
        rc = prepare_steps(p, kernels, w, e);
    if (rc == 0)
        rc = plan_memory(p, e);
    if (rc == 0 && (p->arena_bytes > limits->bytes ||
                    p->scratch_bytes > limits->bytes - p->arena_bytes))
        rc = err_set(
            e, ERR_TOO_LARGE, "a run takes %zu MB, the limit is %zu MB",
            (p->arena_bytes + p->scratch_bytes) >> 20, limits->bytes >> 20);
    mem_free(kernels);
    if (rc != 0) {
        plan_free(&p);
        return rc;
    }
    *out = p;
    return 0;
}

void
plan_free(struct plan **p)
{
    if (*p == NULL)
        return;
    for (size_t i = 0; i < (*p)->n_steps; i++)
        if ((*p)->steps[i].kernel->done != NULL)
            (*p)->steps[i].kernel->done(&(*p)->steps[i]);
    mem_free((*p)->steps);
    mem_free((*p)->offset);
    mem_free((*p)->in);
    graph_free(&(*p)->graph);
    mem_free(*p);
    *p = NULL;
}

int
plan_shapes(const struct graph *base, const struct shape *in_shapes,
            struct graph **out, struct err *e)
{
    struct graph *g = graph_copy(base);
    int rc = set_inputs(g, in_shapes, e);

    if (rc == 0)
        rc = pass_shapes(g, e);
    if (rc != 0)
        graph_free(&g);
    else
        *out = g;
    return rc;
}

int
plan_output_shapes(const struct graph *base, const struct shape *in_shapes,
                   struct shape *out, struct err *e)
{
    struct graph *g;
    int rc = plan_shapes(base, in_shapes, &g, e);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < g->outputs.n; i++)
        out[i] = g->values.at[g->outputs.at[i]].shape;
    graph_free(&g);
    return 0;
}
