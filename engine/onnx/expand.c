/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx/expand.h"

#include <string.h>

void
expand_begin(struct expand *x, struct upgrade *u, int node)
{
    const struct node *n = rewrite_node(u, node);

    *x = (struct expand){.u = u,
                         .node = node,
                         .n_in = n->n_in,
                         .n_out = n->n_out,
                         .in = n->in,
                         .out = n->out,
                         .type = DTYPE_FLOAT};
    for (int i = n->n_in - 1; i >= 0; i--) {
        enum dtype t = facts_get(&u->facts, u->g, n->in[i]).dtype;

        if (dtype_is_float(t))
            x->type = t;
    }
}

int
expand_in(const struct expand *x, int i)
{
    return i < x->n_in ? x->in[i] : -1;
}

static int
constant(struct expand *x, int id)
{
    x->short_of_memory |= id < 0;
    return id;
}

int
expand_number(struct expand *x, const char *what, float v)
{
    return constant(x, rewrite_scalar(x->u, x->node, what, x->type, v));
}

int
expand_ints(struct expand *x, const char *what, const int64_t *v, int n)
{
    return constant(
        x, rewrite_const(x->u, x->node, what, DTYPE_INT64, &SHAPE(n), v));
}

int
expand_index(struct expand *x, const char *what, int64_t v)
{
    struct shape scalar = {.rank = 0};

    return constant(
        x, rewrite_const(x->u, x->node, what, DTYPE_INT64, &scalar, &v));
}

int
expand_op(struct expand *x, enum op op, const int *in, int n_in)
{
    return rewrite_op(x->u, x->node, op, in, n_in);
}

int
expand_op1(struct expand *x, enum op op, int a)
{
    return expand_op(x, op, &a, 1);
}

int
expand_op2(struct expand *x, enum op op, int a, int b)
{
    return expand_op(x, op, (const int[]){a, b}, 2);
}

struct node *
expand_last(struct expand *x)
{
    return rewrite_node(x->u, (int)x->u->g->nodes.n - 1);
}

/* Attributes of the node added last are set: what follows from them? */
static int
settled(struct expand *x, int value)
{
    facts_follow(&x->u->facts, x->u->g, expand_last(x));
    return value;
}

int
expand_cast(struct expand *x, int a, enum dtype to)
{
    int y = expand_op1(x, OP_CAST, a);

    attr_set_int(x->u->g, expand_last(x), "to", to);
    return settled(x, y);
}

int
expand_reshape(struct expand *x, int a, const int64_t *dims, int n)
{
    return expand_op2(x, OP_RESHAPE, a, expand_ints(x, "shape", dims, n));
}

int
expand_transpose(struct expand *x, int a, const int64_t *perm, int n)
{
    int y = expand_op1(x, OP_TRANSPOSE, a);

    attr_set_ints(x->u->g, expand_last(x), "perm", perm, n);
    return y;
}

int
expand_unsqueeze(struct expand *x, int a, const int64_t *axes, int n)
{
    return expand_op2(x, OP_UNSQUEEZE, a, expand_ints(x, "axes", axes, n));
}

int
expand_concat(struct expand *x, const int *in, int n, int axis)
{
    int y = expand_op(x, OP_CONCAT, in, n);

    attr_set_int(x->u->g, expand_last(x), "axis", axis);
    return settled(x, y);
}

int
expand_slice(struct expand *x, int a, int from, int to, int64_t axis)
{
    int axes = expand_ints(x, "axes", &axis, 1);

    return expand_op(x, OP_SLICE, (const int[]){a, from, to, axes}, 4);
}

int
expand_dim(struct expand *x, int a, int64_t axis)
{
    int shape = expand_op1(x, OP_SHAPE, a);

    return expand_op2(x, OP_GATHER, shape, expand_ints(x, "axis", &axis, 1));
}

void
expand_give(struct expand *x, int i, int a)
{
    if (i < x->n_out)
        rewrite_append(x->u, x->node, OP_IDENTITY, &a, 1, x->out[i]);
}

int
expand_end(struct expand *x, enum op op, const int *in, int n_in, struct err *e)
{
    struct node *n = rewrite_node(x->u, x->node);

    if (x->short_of_memory)
        return rewrite_no_memory(e);
    for (int i = 1; i < x->n_out; i++)
        if (x->u->g->values.at[x->out[i]].producer == x->node)
            x->u->g->values.at[x->out[i]].producer = -1;
    n->op = op;
    n->n_out = 1;
    n->n_attrs = 0;
    n->in = arena_new_in(x->u->g->arena, (size_t)n_in, sizeof *n->in);
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
    n->n_in = n->n_own = n_in;
    return 0;
}
