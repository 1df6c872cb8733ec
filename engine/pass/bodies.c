/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of If, Loop and Scan: a captured constant becomes a constant of the
 * body, what no body reads is captured no more, and the bodies are simplified
 * as the graph around them is.
 */
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/pass/pass.h"

enum { MAX_BODIES = 2 };

static int
bodies_of(const struct node *n, struct graph *out[MAX_BODIES])
{
    int count = 0;

    for (int k = 0; k < n->n_attrs && count < MAX_BODIES; k++)
        if (n->attrs[k].type == ATTR_GRAPH)
            out[count++] = n->attrs[k].graph;
    return count;
}

static int
captured_id(const struct graph *body, int i)
{
    return body->inputs
        .at[body->inputs.n - (size_t)body->n_captured + (size_t)i];
}

/* Lets capture i of the node go: it is a constant, or nobody reads it. */
static void
drop_capture(struct node *n, struct graph *const *bodies, int count, int i)
{
    for (int b = 0; b < count; b++) {
        struct graph *g = bodies[b];
        size_t at = g->inputs.n - (size_t)g->n_captured + (size_t)i;

        for (size_t k = at; k + 1 < g->inputs.n; k++)
            g->inputs.at[k] = g->inputs.at[k + 1];
        g->inputs.n--;
        g->n_captured--;
    }
    for (int k = n->n_own + i; k + 1 < n->n_in; k++)
        n->in[k] = n->in[k + 1];
    n->n_in--;
}

static void
take_constants(struct graph *g, struct node *n, struct graph *const *bodies,
               int count)
{
    for (int i = n->n_in - n->n_own; i-- > 0;) {
        const struct value *from = graph_value(g, n->in[n->n_own + i]);

        if (from->data == NULL)
            continue;
        for (int b = 0; b < count; b++) {
            struct value *to =
                graph_value(bodies[b], captured_id(bodies[b], i));

            to->data = from->data;
            to->dtype = from->dtype;
            to->shape = from->shape;
        }
        drop_capture(n, bodies, count, i);
    }
}

static void
drop_unread(struct node *n, struct graph *const *bodies, int count)
{
    for (int i = n->n_in - n->n_own; i-- > 0;) {
        bool read = false;

        for (int b = 0; b < count; b++)
            read |= graph_uses(bodies[b], captured_id(bodies[b], i), NULL) > 0;
        if (!read)
            drop_capture(n, bodies, count, i);
    }
}

int
pass_bodies(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];
        struct graph *bodies[MAX_BODIES];
        int count;

        if (n->dead || !op_is_control(n->op))
            continue;
        count = bodies_of(n, bodies);
        take_constants(g, n, bodies, count);
        for (int b = 0; b < count; b++)
            if (graph_simplify(bodies[b], e) != 0)
                return err_wrap(e, "node %s (%s)", n->name, op_name(n->op));
        drop_unread(n, bodies, count);
    }
    return 0;
}
