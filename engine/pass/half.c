/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float16 and bfloat16 become float32.
 *
 * Types flow from inputs, constants and attributes through the shape rules, so
 * it is enough to change these sources: constants are converted, attributes
 * that name a half type name float32, declared types are float32.  At the
 * door of a model stands a Cast, so that its inputs and outputs keep the type
 * that its clients know:
 *
 *     x16 -> net -> y16   becomes   x16 -> Cast -> net in float32 -> Cast ->
 * y16
 *
 * What was Cast from float32 to half and back is not rounded any more, and
 * what overflowed to an infinity in half is a number: both only come closer to
 * the net that was exported.  -65504 and the infinities of masks stay what
 * they are.
 *
 * The body of an If, Loop or Scan has no door: what goes in and out of it has
 * the types of the graph around it, in which there is no half any more.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/ops/number.h"
#include "engine/pass/pass.h"

static bool
is_half(enum dtype t)
{
    return t == DTYPE_FLOAT16 || t == DTYPE_BFLOAT16;
}

/* The float32 elements of half ones, from `to` on. */
static void
widen(enum dtype t, const void *from, void *to, size_t n)
{
    number_convert(DTYPE_FLOAT, to, sizeof(float), t, from,
                   (int64_t)dtype_size(t), (int64_t)n);
}

static int
widen_const(struct graph *g, struct value *v, struct err *e)
{
    size_t n = shape_n(&v->shape);
    void *wide = graph_const_bytes(g, n * sizeof(float));

    if (wide == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for constant %s", v->name);
    widen(v->dtype, v->data, wide, n);
    v->data = wide;
    return 0;
}

static int
widen_tensor(struct graph *g, struct attr *a, struct err *e)
{
    size_t n = shape_n(&a->tensor->shape);
    struct tensor *t = arena_new_in(g->arena, 1, sizeof *t);

    *t = (struct tensor){DTYPE_FLOAT, a->tensor->shape,
                         arena_try(g->arena, n, sizeof(float))};
    if (t->data == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for attribute %s", a->name);
    widen(a->tensor->dtype, a->tensor->data, t->data, n);
    a->tensor = t;
    return 0;
}

/* Integers that are the number of an element type. */
static bool
names_type(const char *attr)
{
    static const char *const names[] = {"dtype", "output_datatype",
                                        "output_dtype", "stash_type", "to"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], attr) == 0)
            return true;
    return false;
}

static int
widen_attrs(struct graph *g, struct node *n, struct err *e)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < n->n_attrs; i++) {
        struct attr *a = &n->attrs[i];

        if (a->type == ATTR_INT && names_type(a->name) &&
            (a->i == DTYPE_FLOAT16 || a->i == DTYPE_BFLOAT16))
            a->i = DTYPE_FLOAT;
        else if (a->type == ATTR_TENSOR && is_half(a->tensor->dtype))
            rc = widen_tensor(g, a, e);
        else if (a->type == ATTR_GRAPH)
            rc = pass_half_body(a->graph, e);
    }
    return rc;
}

int
pass_half_body(struct graph *g, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < g->values.n; i++) {
        struct value *v = graph_value(g, (int)i);

        if (!is_half(v->dtype))
            continue;
        if (v->data != NULL)
            rc = widen_const(g, v, e);
        v->dtype = DTYPE_FLOAT;
    }
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead)
            rc = widen_attrs(g, &g->nodes.at[i], e);
    return rc;
}

/* --- the door ------------------------------------------------------------- */

/* An input or output, its half type and, of a constant, its half bytes. */
struct door {
    int outside, inside;
    enum dtype dtype;
    const void *data;
};

/*
 * A new value takes the place of `outside` for all nodes: its maker, if there
 * is one, makes it, and its readers read it.
 */
static struct door
door_open(struct graph *g, int outside)
{
    const struct value *old = graph_value(g, outside);
    struct door d = {outside, -1, old->dtype, old->data};
    struct node *maker = graph_producer(g, outside);

    d.inside = graph_add_value(g, NULL, old->dtype, &old->shape);
    old = graph_value(g, outside);
    graph_value(g, d.inside)->dim_name = old->dim_name;
    graph_value(g, d.inside)->data = old->data;
    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; k < g->nodes.at[i].n_in; k++)
            if (g->nodes.at[i].in[k] == outside)
                g->nodes.at[i].in[k] = d.inside;
    if (maker != NULL) {
        for (int k = 0; k < maker->n_out; k++)
            if (maker->out[k] == outside)
                maker->out[k] = d.inside;
        graph_value(g, d.inside)->producer = old->producer;
        graph_value(g, outside)->producer = -1;
    }
    return d;
}

/* Named after the value outside. */
static void
add_cast(struct graph *g, size_t at, int from, int to, int outside)
{
    char *name = mem_printf("%s_cast", graph_value(g, outside)->name);
    struct node *n = graph_insert_node(g, at, OP_CAST, name, &from, 1, &to, 1);

    attr_set_int(g, n, "to", graph_value(g, to)->dtype);
    mem_free(name);
}

int
pass_half(struct graph *g, struct err *e)
{
    VEC(struct door) doors = {0};
    size_t n_in;
    int rc;

    for (size_t i = 0; i < g->inputs.n; i++)
        if (is_half(graph_value(g, g->inputs.at[i])->dtype))
            VEC_PUSH(&doors, door_open(g, g->inputs.at[i]));
    n_in = doors.n;
    for (size_t i = 0; i < g->outputs.n; i++) {
        const struct value *v = graph_value(g, g->outputs.at[i]);

        /* An input that is an output has its door already. */
        if (is_half(v->dtype) && (v->producer >= 0 || v->data != NULL))
            VEC_PUSH(&doors, door_open(g, g->outputs.at[i]));
    }
    rc = pass_half_body(g, e);
    for (size_t i = 0; rc == 0 && i < doors.n; i++) {
        const struct door *d = &doors.at[i];

        graph_value(g, d->outside)->dtype = d->dtype;
        graph_value(g, d->outside)->data = d->data;
        if (d->data != NULL)
            continue;
        if (i < n_in)
            add_cast(g, 0, d->outside, d->inside, d->outside);
        else
            add_cast(g, g->nodes.n, d->inside, d->outside, d->outside);
    }
    mem_free(doors.at);
    return rc;
}
