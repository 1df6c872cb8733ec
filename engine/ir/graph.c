/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ir/graph.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Constants of at least this size get memory of their own, which can be given
 * back while the graph lives. */
enum { LARGE_CONST = 4096 };

bool
layout_same(const struct shape *s)
{
    return s->rank < 3 || s->dim[1] == 1 || shape_span(s, 2, s->rank) == 1;
}

void
layout_strides(const struct shape *s, enum layout l,
               int64_t stride[SHAPE_MAX_RANK])
{
    bool nxc = l == LAYOUT_NXC && s->rank >= 3;
    int64_t run = nxc ? s->dim[1] : 1; /* channels are innermost */

    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = run;
        if (nxc && i == 1)
            stride[i] = 1;
        else
            run *= s->dim[i];
    }
}

struct graph *
graph_new(void)
{
    struct graph *g = mem_new(1, sizeof *g);

    g->arena = arena_new();
    g->name = "";
    return g;
}

void
graph_free(struct graph **g)
{
    if (*g == NULL)
        return;
    for (size_t i = 0; i < (*g)->nodes.n; i++)
        for (int k = 0; k < (*g)->nodes.at[i].n_attrs; k++)
            if ((*g)->nodes.at[i].attrs[k].type == ATTR_GRAPH)
                graph_free(&(*g)->nodes.at[i].attrs[k].graph);
    mem_free((*g)->values.at);
    mem_free((*g)->nodes.at);
    mem_free((*g)->inputs.at);
    mem_free((*g)->outputs.at);
    mem_free((*g)->metas.at);
    arena_free(&(*g)->arena);
    mem_free(*g);
    *g = NULL;
}

static void *
dup_in(struct graph *g, const void *p, size_t n, size_t size)
{
    void *q = arena_new_in(g->arena, n, size);

    if (n > 0)
        memcpy(q, p, n * size);
    return q;
}

static int *
map_ids(struct graph *g, const int *ids, int n, const int *map)
{
    int *to = dup_in(g, ids, (size_t)n, sizeof *to);

    for (int i = 0; map != NULL && i < n; i++)
        if (ids[i] >= 0)
            to[i] = map[ids[i]];
    return to;
}

void
graph_copy_node(struct graph *g, const struct node *from, const int *map)
{
    struct node n = *from;

    n.in = map_ids(g, from->in, from->n_in, map);
    n.out = map_ids(g, from->out, from->n_out, map);
    n.attrs = dup_in(g, from->attrs, (size_t)from->n_attrs, sizeof *n.attrs);
    for (int k = 0; k < n.n_attrs; k++)
        if (n.attrs[k].type == ATTR_GRAPH)
            n.attrs[k].graph = graph_copy(from->attrs[k].graph);
    if (from->in_q != NULL)
        n.in_q = dup_in(g, from->in_q, (size_t)from->n_in, sizeof *n.in_q);
    VEC_PUSH(&g->nodes, n);
    for (int k = 0; map != NULL && k < n.n_out; k++)
        if (n.out[k] >= 0)
            g->values.at[n.out[k]].producer = (int)g->nodes.n - 1;
}

struct graph *
graph_copy(const struct graph *from)
{
    struct graph *g = graph_new();

    g->name = from->name;
    g->opset = from->opset;
    g->n_captured = from->n_captured;
    for (size_t i = 0; i < from->values.n; i++)
        VEC_PUSH(&g->values, from->values.at[i]);
    for (size_t i = 0; i < from->nodes.n; i++)
        graph_copy_node(g, &from->nodes.at[i], NULL);
    for (size_t i = 0; i < from->inputs.n; i++)
        VEC_PUSH(&g->inputs, from->inputs.at[i]);
    for (size_t i = 0; i < from->outputs.n; i++)
        VEC_PUSH(&g->outputs, from->outputs.at[i]);
    for (size_t i = 0; i < from->metas.n; i++)
        VEC_PUSH(&g->metas, from->metas.at[i]);
    return g;
}

static const char *
own_name(struct graph *g, const char *name)
{
    char fresh[40];

    if (name == NULL) {
        int n = (int)g->values.n;

        do
            snprintf(fresh, sizeof fresh, "quantd_%d", n++);
        while (graph_find_value(g, fresh) >= 0);
        name = fresh;
    }
    return dup_in(g, name, strlen(name) + 1, 1);
}

int
graph_add_value(struct graph *g, const char *name, enum dtype t,
                const struct shape *s)
{
    struct value v = {
        .name = own_name(g, name), .dtype = t, .shape = *s, .producer = -1};

    VEC_PUSH(&g->values, v);
    return (int)g->values.n - 1;
}

void *
graph_const_bytes(struct graph *g, size_t bytes)
{
    void *p;

    if (bytes < LARGE_CONST)
        return arena_try(g->arena, bytes, 1);
    p = mem_try_aligned(bytes);
    if (p != NULL)
        arena_defer(g->arena, mem_free, p);
    return p;
}

int
graph_add_const(struct graph *g, const char *name, enum dtype t,
                const struct shape *s, const void *bytes)
{
    struct err e;
    size_t n;
    void *p;
    int id;

    if (shape_count(s, &n, &e) != 0)
        return -1;
    p = graph_const_bytes(g, n * dtype_size(t));
    if (p == NULL)
        return -1;
    if (n > 0)
        memcpy(p, bytes, n * dtype_size(t));
    id = graph_add_value(g, name, t, s);
    g->values.at[id].data = p;
    return id;
}

struct node *
graph_insert_node(struct graph *g, size_t at, enum op op, const char *name,
                  const int *in, int n_in, const int *out, int n_out)
{
    struct node n = {
        .op = op,
        .n_in = n_in,
        .n_own = n_in,
        .n_out = n_out,
    };

    assert(at <= g->nodes.n);
    n.name = dup_in(g, name, strlen(name) + 1, 1);
    n.in = dup_in(g, in, (size_t)n_in, sizeof *in);
    n.out = dup_in(g, out, (size_t)n_out, sizeof *out);
    VEC_PUSH(&g->nodes, n);
    if (at + 1 < g->nodes.n) {
        memmove(&g->nodes.at[at + 1], &g->nodes.at[at],
                (g->nodes.n - 1 - at) * sizeof n);
        g->nodes.at[at] = n;
        for (size_t i = 0; i < g->values.n; i++)
            if (g->values.at[i].producer >= (int)at)
                g->values.at[i].producer++;
    }
    for (int i = 0; i < n_out; i++)
        if (out[i] >= 0)
            g->values.at[out[i]].producer = (int)at;
    return &g->nodes.at[at];
}

struct node *
graph_add_node(struct graph *g, enum op op, const char *name, const int *in,
               int n_in, const int *out, int n_out)
{
    return graph_insert_node(g, g->nodes.n, op, name, in, n_in, out, n_out);
}

void
node_set_in_q(struct graph *g, struct node *n, int i, const struct qparam *q)
{
    if (n->in_q == NULL)
        n->in_q = arena_new_in(g->arena, (size_t)n->n_in, sizeof *n->in_q);
    n->in_q[i] = q;
}

struct node *
graph_producer(const struct graph *g, int id)
{
    int p = id < 0 ? -1 : g->values.at[id].producer;

    return p < 0 || g->nodes.at[p].dead ? NULL : &g->nodes.at[p];
}

bool
graph_is_output(const struct graph *g, int id)
{
    for (size_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i] == id)
            return true;
    return false;
}

int
graph_uses(const struct graph *g, int id, struct node **one)
{
    struct node *seen = NULL;
    int by_nodes = 0, by_outputs = 0;

    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; !g->nodes.at[i].dead && k < g->nodes.at[i].n_in; k++)
            if (g->nodes.at[i].in[k] == id) {
                by_nodes++;
                seen = &g->nodes.at[i];
            }
    for (size_t i = 0; i < g->outputs.n; i++)
        by_outputs += g->outputs.at[i] == id;
    if (one != NULL)
        *one = by_nodes == 1 && by_outputs == 0 ? seen : NULL;
    return by_nodes + by_outputs;
}

void
graph_replace_uses(struct graph *g, int from, int to)
{
    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; !g->nodes.at[i].dead && k < g->nodes.at[i].n_in; k++)
            if (g->nodes.at[i].in[k] == from)
                g->nodes.at[i].in[k] = to;
    for (size_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i] == from)
            g->outputs.at[i] = to;
}

int
graph_append_input(struct graph *g, struct node *n, int value)
{
    int *in = arena_new_in(g->arena, (size_t)n->n_in + 1, sizeof *in);

    memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
    in[n->n_in] = value;
    n->in = in;
    if (n->in_q != NULL) {
        const struct qparam **q =
            arena_new_in(g->arena, (size_t)n->n_in + 1, sizeof *q);

        memcpy(q, n->in_q, (size_t)n->n_in * sizeof *q);
        n->in_q = q;
    }
    return n->n_in++;
}

static void
free_body(void *arg)
{
    struct graph *body = arg;

    graph_free(&body);
}

/* A dead node may be thrown out, and others may borrow from its bodies: from
 * here on these belong to g. */
static void
keep_bodies(struct graph *g, struct node *n)
{
    int left = 0;

    for (int k = 0; k < n->n_attrs; k++) {
        if (n->attrs[k].type == ATTR_GRAPH)
            arena_defer(g->arena, free_body, n->attrs[k].graph);
        else
            n->attrs[left++] = n->attrs[k];
    }
    n->n_attrs = left;
}

void
graph_kill_node(struct graph *g, struct node *n)
{
    int id = (int)(n - g->nodes.at);

    n->dead = true;
    keep_bodies(g, n);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && g->values.at[n->out[i]].producer == id)
            g->values.at[n->out[i]].producer = -1;
}

void
graph_sweep(struct graph *g)
{
    int *uses = mem_new(g->values.n, sizeof *uses);

    for (size_t i = 0; i < g->outputs.n; i++)
        uses[g->outputs.at[i]]++;
    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; !g->nodes.at[i].dead && k < g->nodes.at[i].n_in; k++)
            if (g->nodes.at[i].in[k] >= 0)
                uses[g->nodes.at[i].in[k]]++;
    /* Consumers come after producers, so one walk backwards is enough. */
    for (size_t i = g->nodes.n; i-- > 0;) {
        struct node *n = &g->nodes.at[i];
        bool read = n->dead;

        for (int k = 0; k < n->n_out; k++)
            read |= n->out[k] >= 0 && uses[n->out[k]] > 0;
        if (read)
            continue;
        graph_kill_node(g, n);
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0)
                uses[n->in[k]]--;
    }
    mem_free(uses);
}

/* --- constants ----------------------------------------------------------- */

struct wanted {
    const void **at; /* sorted */
    size_t n;
};

static int
by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const void *const *)a;
    uintptr_t y = (uintptr_t) * (const void *const *)b;

    return (x > y) - (x < y);
}

static bool
is_wanted(const void *arg, void *ctx)
{
    const struct wanted *w = ctx;

    return w->n > 0 &&
           bsearch(&arg, w->at, w->n, sizeof(*w->at), by_address) != NULL;
}

/* Marks the values that somebody reads. */
static bool *
read_values(const struct graph *g)
{
    bool *read = mem_new(g->values.n, sizeof *read);

    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; !g->nodes.at[i].dead && k < g->nodes.at[i].n_in; k++)
            if (g->nodes.at[i].in[k] >= 0)
                read[g->nodes.at[i].in[k]] = true;
    for (size_t i = 0; i < g->outputs.n; i++)
        read[g->outputs.at[i]] = true;
    return read;
}

struct addresses {
    VEC(const void *) all;
};

/* What attributes hold; all constants of bodies, which are borrowed here. */
static void
keep_attrs(const struct graph *g, struct addresses *kept)
{
    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; k < g->nodes.at[i].n_attrs; k++) {
            const struct attr *a = &g->nodes.at[i].attrs[k];

            if (a->type == ATTR_TENSOR)
                VEC_PUSH(&kept->all, a->tensor->data);
            if (a->type != ATTR_GRAPH)
                continue;
            keep_attrs(a->graph, kept);
            for (size_t v = 0; v < a->graph->values.n; v++)
                if (a->graph->values.at[v].data != NULL)
                    VEC_PUSH(&kept->all, a->graph->values.at[v].data);
        }
}

void
graph_drop_constants(struct graph *g)
{
    bool *read = read_values(g);
    struct addresses kept = {0};
    struct wanted w;

    for (size_t i = 0; i < g->values.n; i++) {
        if (!read[i])
            g->values.at[i].data = NULL;
        else if (g->values.at[i].data != NULL)
            VEC_PUSH(&kept.all, g->values.at[i].data);
    }
    keep_attrs(g, &kept);
    w = (struct wanted){kept.all.at, kept.all.n};
    if (kept.all.n > 0)
        qsort(kept.all.at, kept.all.n, sizeof(*kept.all.at), by_address);
    arena_settle(g->arena, mem_free, is_wanted, &w);
    mem_free(kept.all.at);
    mem_free(read);
}

static int
made_by_nobody(const struct graph *g, const struct node *n, int id,
               struct err *e)
{
    return err_set(e, ERR_INVALID, "node %s (%s): input %s is made by no node",
                   n->name, op_name(n->op), g->values.at[id].name);
}

/*
 * Depth first: before a node come the nodes that make its inputs, so a graph
 * that is in order already stays as it is.
 */
enum sort_state { UNSEEN, OPEN, SORTED };

struct sorter {
    struct graph *g;
    enum sort_state *state; /* of each node */
    int *next;  /* the input to look at, of each node; once sorted its place */
    int *stack; /* open nodes, outermost first */
    int n_stack;
    const bool *have; /* graph inputs */
    struct node *to;
    int n_to;
};

static void
sort_open(struct sorter *s, int i)
{
    s->state[i] = OPEN;
    s->stack[s->n_stack++] = i;
}

/* The node at the top is complete: all that makes its inputs stands before. */
static void
sort_close(struct sorter *s)
{
    int i = s->stack[--s->n_stack];
    const struct node *n = &s->g->nodes.at[i];

    s->state[i] = SORTED;
    s->to[s->n_to] = *n;
    s->next[i] = s->n_to++;
}

static int
sort_from(struct sorter *s, int root, struct err *e)
{
    sort_open(s, root);
    while (s->n_stack > 0) {
        int i = s->stack[s->n_stack - 1];
        const struct node *n = &s->g->nodes.at[i];
        int id, maker;

        if (s->next[i] == n->n_in) {
            sort_close(s);
            continue;
        }
        id = n->in[s->next[i]++];
        if (id < 0 || s->have[id] || s->g->values.at[id].data != NULL)
            continue;
        maker = s->g->values.at[id].producer;
        if (maker < 0 || s->g->nodes.at[maker].dead)
            return made_by_nobody(s->g, n, id, e);
        if (s->state[maker] == OPEN)
            return err_set(e, ERR_INVALID,
                           "the nodes of the graph form a cycle through "
                           "node %s (%s)",
                           n->name, op_name(n->op));
        if (s->state[maker] == UNSEEN)
            sort_open(s, maker);
    }
    return 0;
}

int
graph_sort(struct graph *g, struct err *e)
{
    bool *have = mem_new(g->values.n, sizeof *have);
    struct sorter s = {
        .g = g,
        .state = mem_new(g->nodes.n, sizeof *s.state),
        .next = mem_new(g->nodes.n, sizeof *s.next),
        .stack = mem_new(g->nodes.n, sizeof *s.stack),
        .have = have,
        .to = mem_new(g->nodes.n, sizeof *s.to),
    };
    int rc = 0;

    for (size_t i = 0; i < g->inputs.n; i++)
        have[g->inputs.at[i]] = true;
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead && s.state[i] == UNSEEN)
            rc = sort_from(&s, (int)i, e);
    if (rc == 0) {
        for (size_t i = 0; i < g->values.n; i++) {
            int p = g->values.at[i].producer;

            if (p >= 0)
                g->values.at[i].producer =
                    s.state[p] == SORTED ? s.next[p] : -1;
        }
        if (s.n_to > 0)
            memcpy(g->nodes.at, s.to, (size_t)s.n_to * sizeof *s.to);
        g->nodes.n = (size_t)s.n_to;
    }
    mem_free(s.to);
    mem_free(s.stack);
    mem_free(s.next);
    mem_free(s.state);
    mem_free(have);
    return rc;
}

const char *
graph_meta(const struct graph *g, const char *key)
{
    for (size_t i = 0; i < g->metas.n; i++)
        if (strcmp(g->metas.at[i].key, key) == 0)
            return g->metas.at[i].text;
    return NULL;
}

void
graph_set_meta(struct graph *g, const char *key, const char *text)
{
    const char *own = dup_in(g, text, strlen(text) + 1, 1);

    for (size_t i = 0; i < g->metas.n; i++)
        if (strcmp(g->metas.at[i].key, key) == 0) {
            g->metas.at[i].text = own;
            return;
        }
    key = dup_in(g, key, strlen(key) + 1, 1);
    VEC_PUSH(&g->metas, (struct meta){key, own});
}

int
graph_find_value(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->values.n; i++)
        if (strcmp(g->values.at[i].name, name) == 0)
            return (int)i;
    return -1;
}

bool
value_ints(const struct value *v, int64_t *out, int max, int *n)
{
    size_t count;
    struct err e;

    if (v == NULL || v->data == NULL ||
        shape_count(&v->shape, &count, &e) != 0 || count > (size_t)max)
        return false;
    for (size_t i = 0; i < count; i++)
        if (v->dtype == DTYPE_INT64)
            out[i] = ((const int64_t *)v->data)[i];
        else if (v->dtype == DTYPE_INT32)
            out[i] = ((const int32_t *)v->data)[i];
        else
            return false;
    *n = (int)count;
    return true;
}
