/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx/rewrite.h"

#include <stdio.h>

#include "engine/onnx/onnx.h"

struct node *
rewrite_node(struct upgrade *u, int node)
{
    return &u->g->nodes.at[node];
}

struct fact
rewrite_fact(struct upgrade *u, int node, int i)
{
    const struct node *n = rewrite_node(u, node);

    return facts_get(&u->facts, u->g, i < n->n_in ? n->in[i] : -1);
}

int
rewrite_no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "no memory for a constant");
}

int
rewrite_refuse(struct err *e, const char *attr, int64_t value)
{
    return err_set(e, ERR_UNSUPPORTED, "attribute %s = %lld is not supported",
                   attr, (long long)value);
}

void
rewrite_set_input(struct upgrade *u, int node, int at, int value)
{
    struct node *n = rewrite_node(u, node);

    while (n->n_in <= at)
        graph_append_input(u->g, n, -1);
    n->in[at] = value;
    while (n->n_in > 0 && n->in[n->n_in - 1] < 0)
        n->n_in--;
    n->n_own = n->n_in;
}

int
rewrite_const(struct upgrade *u, int node, const char *what, enum dtype t,
              const struct shape *s, const void *bytes)
{
    char base[128];

    snprintf(base, sizeof base, "%s_%s",
             label(rewrite_node(u, node)->name).text, what);
    return graph_add_const(u->g, names_fresh(u->values, u->g->arena, base), t,
                           s, bytes);
}

int
rewrite_scalar(struct upgrade *u, int node, const char *what, enum dtype t,
               float v)
{
    struct shape scalar = {.rank = 0};
    uint16_t half = dtype_float_to_half(v), bf16 = dtype_float_to_bf16(v);
    double wide = v;

    switch (t) {
    case DTYPE_FLOAT16:
        return rewrite_const(u, node, what, t, &scalar, &half);
    case DTYPE_BFLOAT16:
        return rewrite_const(u, node, what, t, &scalar, &bf16);
    case DTYPE_DOUBLE:
        return rewrite_const(u, node, what, t, &scalar, &wide);
    default:
        return rewrite_const(u, node, what, DTYPE_FLOAT, &scalar, &v);
    }
}

int
rewrite_set_const(struct upgrade *u, int node, int at, const char *what,
                  enum dtype t, const struct shape *s, const void *bytes,
                  struct err *e)
{
    int id = rewrite_const(u, node, what, t, s, bytes);

    if (id < 0)
        return rewrite_no_memory(e);
    rewrite_set_input(u, node, at, id);
    return 0;
}

int
rewrite_set_ints(struct upgrade *u, int node, int at, const char *what,
                 const int64_t *v, int n, struct err *e)
{
    return rewrite_set_const(u, node, at, what, DTYPE_INT64, &SHAPE(n), v, e);
}

int
rewrite_set_scalar(struct upgrade *u, int node, int at, const char *what,
                   float v, struct err *e)
{
    enum dtype t = rewrite_fact(u, node, 0).dtype;
    int id = rewrite_scalar(u, node, what, t, v);

    if (id < 0)
        return rewrite_no_memory(e);
    rewrite_set_input(u, node, at, id);
    return 0;
}

int
rewrite_ints_to_input(struct upgrade *u, int node, const char *name, int at,
                      struct err *e)
{
    int n;
    const int64_t *v = attr_ints(rewrite_node(u, node), name, &n);

    if (attr_find(rewrite_node(u, node), name) == NULL)
        return 0;
    attr_remove(rewrite_node(u, node), name);
    return rewrite_set_ints(u, node, at, name, v, n, e);
}

int
rewrite_need_attr(struct upgrade *u, int node, const char *name, struct err *e)
{
    if (attr_find(rewrite_node(u, node), name) == NULL)
        return err_set(e, ERR_INVALID, "attribute %s is missing", name);
    return 0;
}

int
rewrite_only_default(struct upgrade *u, int node, const char *name,
                     int64_t dflt, struct err *e)
{
    int64_t v = attr_int(rewrite_node(u, node), name, dflt);

    if (v != dflt)
        return rewrite_refuse(e, name, v);
    attr_remove(rewrite_node(u, node), name);
    return 0;
}

bool
rewrite_has_input(struct upgrade *u, int node, int i)
{
    return node_in(u->g, rewrite_node(u, node), i) != NULL;
}

int
rewrite_const_ints(struct upgrade *u, int node, int i, const char *what,
                   int64_t *out, int max, int *n, struct err *e)
{
    if (!value_ints(node_in(u->g, rewrite_node(u, node), i), out, max, n))
        return err_set(e, ERR_UNSUPPORTED,
                       "input %d (%s) must be a constant list of at most %d "
                       "integers",
                       i, what, max);
    return 0;
}

void
rewrite_to_identity(struct upgrade *u, int node)
{
    struct node *n = rewrite_node(u, node);

    n->op = OP_IDENTITY;
    n->n_attrs = 0;
    n->n_in = n->n_own = 1;
}

void
rewrite_drop_outputs(struct upgrade *u, int node, int from)
{
    struct node *n = rewrite_node(u, node);

    for (int i = from; i < n->n_out; i++)
        if (n->out[i] >= 0)
            u->g->values.at[n->out[i]].producer = -1;
    n->n_out = n->n_out < from ? n->n_out : from;
}

int
rewrite_value(struct upgrade *u, int node, const char *what)
{
    char base[128];

    snprintf(base, sizeof base, "%s_%s",
             label(rewrite_node(u, node)->name).text, what);
    return graph_add_value(u->g, names_fresh(u->values, u->g->arena, base),
                           DTYPE_NONE, &(struct shape){.rank = SHAPE_UNKNOWN});
}

int
rewrite_append(struct upgrade *u, int node, enum op op, const int *in, int n_in,
               int out)
{
    char base[128];

    snprintf(base, sizeof base, "%s_%s",
             label(rewrite_node(u, node)->name).text, op_name(op));
    graph_add_node(u->g, op, names_fresh(u->nodes, u->g->arena, base), in, n_in,
                   &out, 1);
    facts_follow(&u->facts, u->g, rewrite_node(u, (int)u->g->nodes.n - 1));
    return (int)u->g->nodes.n - 1;
}

int
rewrite_op(struct upgrade *u, int node, enum op op, const int *in, int n_in)
{
    int out = rewrite_value(u, node, op_name(op));

    rewrite_append(u, node, op, in, n_in, out);
    return out;
}

int
rewrite_redirect(struct upgrade *u, int node, int value)
{
    struct node *n = rewrite_node(u, node);
    int was = n->out[0];

    n->out[0] = value;
    u->g->values.at[value].producer = node;
    return was;
}
