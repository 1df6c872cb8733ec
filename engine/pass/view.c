/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a value back through the nodes that only move elements: each changes
 * offset and strides, or the view ends there.
 */
#include "engine/pass/view.h"

#include <string.h>

#include "engine/pass/pass.h"

enum { MAX_DEPTH = 16 };

static void look(const struct graph *g, int id, bool scaled, int depth,
                 struct view *v);

static void
itself(const struct graph *g, int id, struct view *v)
{
    *v = (struct view){.base = id, .scale = 1};
    layout_strides(&graph_value(g, id)->shape, LAYOUT_PLAIN, v->stride);
}

/*
 * The strides of `from` as those of `to`, a shape of as many elements.  Axes
 * meet in groups of equal size; within one, those of `from` have to be one run.
 */
static bool
reshape(const struct shape *from, const struct shape *to, struct view *v)
{
    int64_t dim[SHAPE_MAX_RANK], was[SHAPE_MAX_RANK];
    int64_t stride[SHAPE_MAX_RANK] = {0};
    int n = 0;

    for (int i = 0; i < from->rank; i++)
        if (from->dim[i] != 1) {
            dim[n] = from->dim[i];
            was[n++] = v->stride[i];
        }
    for (int i = 0, j = 0, i_end, j_end; i < n; i = i_end, j = j_end) {
        int64_t left = dim[i], right = to->dim[j];

        i_end = i + 1;
        j_end = j + 1;
        while (left != right)
            if (left < right)
                left *= dim[i_end++];
            else
                right *= to->dim[j_end++];
        for (int k = i; k + 1 < i_end; k++)
            if (was[k] != dim[k + 1] * was[k + 1])
                return false;
        stride[j_end - 1] = was[i_end - 1];
        for (int k = j_end - 1; k > j; k--)
            stride[k - 1] = stride[k] * to->dim[k];
    }
    memcpy(v->stride, stride, sizeof stride);
    return true;
}

static void
transpose(const struct graph *g, const struct node *n, struct view *v)
{
    int rank = node_in(g, n, 0)->shape.rank, count;
    const int64_t *perm = attr_ints(n, "perm", &count);
    int64_t stride[SHAPE_MAX_RANK];

    for (int i = 0; i < rank; i++)
        stride[i] = v->stride[perm == NULL ? rank - 1 - i : perm[i]];
    for (int i = 0; i < rank; i++)
        v->stride[i] = stride[i];
}

static void
expand(const struct graph *g, const struct node *n, struct view *v)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *y = &node_out(g, n, 0)->shape;
    int64_t stride[SHAPE_MAX_RANK] = {0};

    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] != 1)
            stride[y->rank - x->rank + i] = v->stride[i];
    memcpy(v->stride, stride, sizeof stride);
}

/* Output `id` of a Split begins behind those before it. */
static bool
split(const struct graph *g, const struct node *n, int id, struct view *v)
{
    int axis;
    struct err e;

    if (shape_axis(attr_int(n, "axis", 0), node_in(g, n, 0)->shape.rank, &axis,
                   &e) != 0)
        return false;
    for (int k = 0; k < n->n_out && n->out[k] != id; k++) {
        if (n->out[k] < 0)
            return false;
        v->offset += node_out(g, n, k)->shape.dim[axis] * v->stride[axis];
    }
    return true;
}

/* A slice with one step forward on each axis. */
static bool
slice(const struct graph *g, const struct node *n, struct view *v)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int64_t start[SHAPE_MAX_RANK], axes[SHAPE_MAX_RANK], step[SHAPE_MAX_RANK];
    int n_start, n_axes, n_step;
    struct err e;

    if (!value_ints(node_in(g, n, 1), start, SHAPE_MAX_RANK, &n_start))
        return false;
    n_axes = n_step = n_start;
    for (int i = 0; i < n_start; i++) {
        axes[i] = i;
        step[i] = 1;
    }
    if ((node_in(g, n, 3) != NULL &&
         !value_ints(node_in(g, n, 3), axes, SHAPE_MAX_RANK, &n_axes)) ||
        (node_in(g, n, 4) != NULL &&
         !value_ints(node_in(g, n, 4), step, SHAPE_MAX_RANK, &n_step)) ||
        n_axes != n_start || n_step != n_start)
        return false;
    for (int i = 0; i < n_start; i++) {
        int axis;

        if (step[i] != 1 || shape_axis(axes[i], x->rank, &axis, &e) != 0)
            return false;
        if (start[i] < 0)
            start[i] = start[i] < -x->dim[axis] ? 0 : start[i] + x->dim[axis];
        if (start[i] >= x->dim[axis])
            return false;
        v->offset += start[i] * v->stride[axis];
    }
    return true;
}

/* Gather of one index, which drops its axis. */
static bool
gather(const struct graph *g, const struct node *n, struct view *v)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int64_t index;
    int axis, count;
    struct err e;

    if (node_in(g, n, 1)->shape.rank != 0 ||
        !value_ints(node_in(g, n, 1), &index, 1, &count) || count != 1 ||
        shape_axis(attr_int(n, "axis", 0), x->rank, &axis, &e) != 0)
        return false;
    index = index < 0 ? index + x->dim[axis] : index;
    if (index < 0 || index >= x->dim[axis])
        return false;
    v->offset += index * v->stride[axis];
    for (int i = axis; i + 1 < x->rank; i++)
        v->stride[i] = v->stride[i + 1];
    return true;
}

/* x * c or x / c: v is the view of x. */
static bool
scale(const struct graph *g, const struct node *n, int depth, struct view *v)
{
    for (int k = 0; k < 2; k++) {
        float c;

        if ((k == 0 && n->op == OP_DIV) || !pass_scalar(node_in(g, n, k), &c) ||
            !shape_equal(&node_in(g, n, 1 - k)->shape,
                         &node_out(g, n, 0)->shape))
            continue;
        look(g, n->in[1 - k], true, depth + 1, v);
        v->scale = n->op == OP_DIV ? v->scale / c : v->scale * c;
        return true;
    }
    return false;
}

/* The view of what n reads, made that of value id. */
static bool
through(const struct graph *g, const struct node *n, int id, bool scaled,
        int depth, struct view *v)
{
    if (n->op == OP_MUL || n->op == OP_DIV)
        return scaled && scale(g, n, depth, v);
    if (n->n_in < 1 || n->in[0] < 0 || n->n_posts > 0 ||
        node_in(g, n, 0)->shape.rank > SHAPE_MAX_RANK)
        return false;
    switch (n->op) {
    case OP_EXPAND:
    case OP_FLATTEN:
    case OP_GATHER:
    case OP_RESHAPE:
    case OP_SLICE:
    case OP_SPLIT:
    case OP_SQUEEZE:
    case OP_TRANSPOSE:
    case OP_UNSQUEEZE:
        break;
    default:
        return false;
    }
    look(g, n->in[0], scaled, depth + 1, v);
    switch (n->op) {
    case OP_EXPAND:
        expand(g, n, v);
        return true;
    case OP_GATHER:
        return gather(g, n, v);
    case OP_SLICE:
        return slice(g, n, v);
    case OP_SPLIT:
        return split(g, n, id, v);
    case OP_TRANSPOSE:
        transpose(g, n, v);
        return true;
    default:
        return reshape(&node_in(g, n, 0)->shape, &graph_value(g, id)->shape, v);
    }
}

static void
look(const struct graph *g, int id, bool scaled, int depth, struct view *v)
{
    const struct node *n = graph_producer(g, id);

    if (graph_value(g, id)->data != NULL || n == NULL || depth > MAX_DEPTH ||
        shape_n(&graph_value(g, id)->shape) == 0 ||
        !through(g, n, id, scaled, depth, v))
        itself(g, id, v);
}

void
view_of(const struct graph *g, int id, bool scaled, struct view *v)
{
    look(g, id, scaled, 0, v);
}
