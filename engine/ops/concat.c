/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Concat and Split: the parts of one tensor along an axis are tensors.
 */
#include <inttypes.h>

#include "engine/ops/move.h"
#include "engine/ops/rule.h"

int
concat_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    char text[SHAPE_TEXT], first[SHAPE_TEXT];
    int axis;

    if (attr_find(n, "axis") == NULL)
        return err_set(e, ERR_INVALID, "axis is missing");
    if (rule_axis(n, 0, x->shape.rank, &axis, e) != 0)
        return e->code;
    for (int i = 1; i < n->n_own; i++) {
        const struct value *v = node_in(g, n, i);
        struct shape s;

        if (v == NULL)
            return err_set(e, ERR_INVALID, "input %d is absent", i);
        if (rule_same_type(g, n, i, e) != 0)
            return e->code;
        s = v->shape;
        if (s.rank == out.rank)
            s.dim[axis] = out.dim[axis];
        if (!shape_equal(&s, &out))
            return err_set(e, ERR_INVALID,
                           "input %s is %s, which does not fit to %s on axis "
                           "%d",
                           v->name, shape_text(&v->shape, text),
                           shape_text(&x->shape, first), axis);
        if (__builtin_add_overflow(out.dim[axis], v->shape.dim[axis],
                                   &out.dim[axis]))
            return err_set(e, ERR_INVALID, "the output is too large");
    }
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Sets one copy for each of the parts that lie along an axis of `whole`. */
static int
parts_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    const bool concat = n->op == OP_CONCAT;
    const struct value *whole = concat ? node_out(g, n, 0) : node_in(g, n, 0);
    const int parts = concat ? n->n_own : n->n_out;
    const int64_t size = (int64_t)dtype_size(whole->dtype);
    int64_t step[SHAPE_MAX_RANK], own[SHAPE_MAX_RANK], at = 0;
    struct moves *m = moves_new(s, parts, whole->dtype, e);
    struct err ignored;
    int axis;

    (void)w;
    if (m == NULL)
        return e->code;
    shape_axis(attr_int(n, "axis", 0), whole->shape.rank, &axis, &ignored);
    layout_strides(&whole->shape, whole->layout, step);
    for (int i = 0; i < parts; i++) {
        const struct value *part =
            concat ? node_in(g, n, i) : node_out(g, n, i);
        struct move *v = &m->at[i];

        layout_strides(&part->shape, part->layout, own);
        *(concat ? &v->in : &v->out) = i;
        *(concat ? &v->to : &v->from) = at * step[axis] * size;
        move_set(v, &part->shape, concat ? step : own, concat ? own : step,
                 (size_t)size);
        at += part->shape.dim[axis];
    }
    return 0;
}

/* The parts: those of input 1, or num_outputs (n_out) of the same size. */
static int
split_sizes(const struct graph *g, const struct node *n, int64_t dim,
            int64_t *size, struct err *e)
{
    int64_t sum = 0, each = (dim + n->n_out - 1) / n->n_out;
    int count = n->n_out;

    if (n->n_own > 1 && n->in[1] >= 0) {
        if (rule_ints(g, n, 1, "the split", size, n->n_out, &count, e) != 0)
            return e->code;
    } else {
        for (int i = 0; i < n->n_out; i++, sum += each)
            size[i] = dim - sum < each ? dim - sum : each;
        if (attr_find(n, "num_outputs") == NULL && dim % n->n_out != 0)
            return err_set(e, ERR_INVALID,
                           "%" PRId64 " does not split into %d equal parts",
                           dim, n->n_out);
    }
    sum = 0;
    for (int i = 0; i < count; i++) {
        if (size[i] < 0 || size[i] > dim - sum)
            return err_set(e, ERR_INVALID, "part %d of %" PRId64 " is %" PRId64,
                           i, dim, size[i]);
        sum += size[i];
    }
    if (count != n->n_out || sum != dim)
        return err_set(e, ERR_INVALID,
                       "%d parts sum up to %" PRId64 ", want %d and %" PRId64,
                       count, sum, n->n_out, dim);
    return 0;
}

int
split_infer(struct graph *g, struct node *n, struct err *e)
{
    const enum dtype t = node_in(g, n, 0)->dtype;
    struct shape part = node_in(g, n, 0)->shape;
    int64_t *size;
    int axis;

    if (rule_axis(n, 0, part.rank, &axis, e) != 0)
        return e->code;
    size = arena_try(g->arena, (size_t)n->n_out, sizeof *size);
    if (size == NULL)
        return err_set(e, ERR_NO_MEMORY, "%d outputs", n->n_out);
    if (split_sizes(g, n, part.dim[axis], size, e) != 0)
        return e->code;
    for (int i = 0; i < n->n_out; i++) {
        part.dim[axis] = size[i];
        if (n->out[i] < 0)
            return err_set(e, ERR_UNSUPPORTED, "output %d is absent", i);
        if (rule_out(g, n, i, t, &part, e) != 0)
            return e->code;
    }
    return 0;
}

KERNEL(CONCAT, "concat", .layout = KERNEL_SAME, .prepare = parts_prepare,
       .run = moves_run, .done = step_done);
KERNEL(SPLIT, "split", .layout = KERNEL_SAME, .prepare = parts_prepare,
       .run = moves_run, .done = step_done);
