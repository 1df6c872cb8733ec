/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expand before an operator that broadcasts by itself is work for nothing:
 * masks are written so by the exporters of transformers.  The operator reads
 * what was expanded; when that makes its result smaller, the Expand moves
 * behind it, where the next operator may do without.
 */
#include "engine/pass/pass.h"

/* One result for each element of the broadcast inputs. */
static bool
is_elementwise(enum op op)
{
    switch (op) {
    case OP_ABS:
    case OP_CAST:
    case OP_IDENTITY:
    case OP_NEG:
    case OP_NOT:
    case OP_ADD:
    case OP_AND:
    case OP_DIV:
    case OP_EQUAL:
    case OP_GREATER:
    case OP_GREATER_EQUAL:
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_MAX:
    case OP_MIN:
    case OP_MUL:
    case OP_OR:
    case OP_SUB:
    case OP_WHERE:
        return true;
    default:
        return false;
    }
}

/* What Expand makes value id of, or id itself. */
static int
before_expand(const struct graph *g, int id)
{
    const struct node *p = graph_producer(g, id);

    return p != NULL && p->op == OP_EXPAND ? p->in[0] : id;
}

/* n computes `small`; an Expand behind it makes what n made before. */
static int
move_behind(struct graph *g, size_t at, const struct shape *small,
            struct err *e)
{
    int out = g->nodes.at[at].out[0], now, dims;
    const struct value *v = graph_value(g, out);
    int n_dims = v->shape.rank;
    const char *name = v->name;

    dims = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(n_dims), v->shape.dim);
    if (dims < 0)
        return err_set(e, ERR_NO_MEMORY, "no memory for a shape");
    now = graph_add_value(g, NULL, graph_value(g, out)->dtype, small);
    g->nodes.at[at].out[0] = now;
    g->values.at[now].producer = (int)at;
    graph_insert_node(g, at + 1, OP_EXPAND, name, (int[]){now, dims}, 2, &out,
                      1);
    return 0;
}

static int
visit(struct graph *g, size_t at, struct err *e)
{
    struct node *n = &g->nodes.at[at];
    const struct shape *y = &node_out(g, n, 0)->shape;
    struct shape small = {0};
    bool any = false;

    for (int i = 0; i < n->n_in; i++) {
        int id = before_expand(g, n->in[i]);

        any |= id != n->in[i];
        if (id < 0 ||
            shape_broadcast(&small, &graph_value(g, id)->shape, &small, e) != 0)
            return id < 0 ? 0 : e->code;
    }
    if (!any)
        return 0;
    for (int i = 0; i < n->n_in; i++)
        n->in[i] = before_expand(g, n->in[i]);
    return shape_equal(&small, y) ? 0 : move_behind(g, at, &small, e);
}

int
pass_expand(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        int rc = 0;

        if (!g->nodes.at[i].dead && is_elementwise(g->nodes.at[i].op))
            rc = visit(g, i, e);
        if (rc != 0)
            return rc;
    }
    graph_sweep(g);
    return 0;
}
