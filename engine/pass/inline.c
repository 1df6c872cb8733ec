/* SPDX-License-Identifier: Apache-2.0 */
/*
 * If whose condition is known: the branch that is taken stands in its place.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/pass/pass.h"

/* A name for a value of the branch; unique where g may be written. */
static const char *
name_in(struct graph *g, const struct node *n, const char *name, bool unique)
{
    size_t len = strlen(n->name) + strlen(name) + 2;
    char *text;

    if (!unique)
        return name;
    text = arena_new_in(g->arena, len, 1);
    snprintf(text, len, "%s/%s", n->name, name);
    return graph_find_value(g, text) < 0 ? text : NULL;
}

/* Adds the branch's values to g; returns their ids there. */
static int *
add_values(struct graph *g, const struct node *n, const struct graph *branch,
           bool unique)
{
    int *map = mem_new(branch->values.n, sizeof *map);

    for (size_t i = 0; i < branch->values.n; i++)
        map[i] = -1;
    for (size_t i = 0; i < branch->inputs.n; i++)
        map[branch->inputs.at[i]] = n->in[n->n_own + (int)i];
    for (size_t i = 0; i < branch->values.n; i++) {
        const struct value *v = &branch->values.at[i];

        if (map[i] >= 0)
            continue;
        map[i] = graph_add_value(g, name_in(g, n, v->name, unique), v->dtype,
                                 &v->shape);
        g->values.at[map[i]].data = v->data;
    }
    return map;
}

/* Nodes from..end come before those at..from. */
static void
move_nodes(struct graph *g, size_t at, size_t from)
{
    size_t n = g->nodes.n - from;
    struct node *moved = mem_new(n, sizeof *moved);

    if (n > 0)
        memcpy(moved, &g->nodes.at[from], n * sizeof *moved);
    memmove(&g->nodes.at[at + n], &g->nodes.at[at],
            (from - at) * sizeof *moved);
    if (n > 0)
        memcpy(&g->nodes.at[at], moved, n * sizeof *moved);
    mem_free(moved);
    for (size_t i = at; i < g->nodes.n; i++)
        for (int k = 0; !g->nodes.at[i].dead && k < g->nodes.at[i].n_out; k++)
            if (g->nodes.at[i].out[k] >= 0)
                g->values.at[g->nodes.at[i].out[k]].producer = (int)i;
}

bool
pass_inline(struct graph *g, size_t i, bool unique)
{
    struct node n = g->nodes.at[i];
    const struct value *condition =
        n.op == OP_IF ? graph_value(g, n.in[0]) : NULL;
    size_t end = g->nodes.n;
    const struct graph *branch;
    int *map;

    if (condition == NULL || condition->data == NULL ||
        condition->dtype != DTYPE_BOOL || shape_n(&condition->shape) != 1)
        return false;
    branch =
        attr_graph(&n, *(const uint8_t *)condition->data != 0 ? "then_branch"
                                                              : "else_branch");
    graph_kill_node(g, &g->nodes.at[i]);
    map = add_values(g, &n, branch, unique);
    for (size_t k = 0; k < branch->nodes.n; k++)
        if (!branch->nodes.at[k].dead)
            graph_copy_node(g, &branch->nodes.at[k], map);
    for (int k = 0; k < n.n_out; k++)
        if (n.out[k] >= 0)
            graph_add_node(g, OP_IDENTITY, n.name, &map[branch->outputs.at[k]],
                           1, &n.out[k], 1);
    move_nodes(g, i + 1, end);
    mem_free(map);
    return true;
}
