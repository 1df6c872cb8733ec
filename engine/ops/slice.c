/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slice: some places of some axes, at a step, forwards or backwards.
 */
#include "engine/ops/move.h"
#include "engine/ops/rule.h"

struct slice {
    int64_t start[SHAPE_MAX_RANK], step[SHAPE_MAX_RANK];
};

static int64_t
clip(int64_t v, int64_t low, int64_t high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

/*
 * One axis of dim elements; returns how many are taken.  Unlike numpy's, a
 * start before the axis is its first element also where steps go back.
 */
static int64_t
slice_axis(int64_t dim, int64_t *start, int64_t end, int64_t step)
{
    int64_t room;

    if (*start < 0)
        *start = *start < -dim ? -1 : *start + dim;
    if (end < 0)
        end = end < -dim ? -1 : end + dim;
    if (step > 0) {
        *start = clip(*start, 0, dim);
        room = clip(end, 0, dim) - *start;
    } else {
        *start = clip(*start, 0, dim - 1);
        room = *start - clip(end, -1, dim - 1);
        step = step == INT64_MIN ? INT64_MAX : -step;
    }
    return room <= 0 ? 0 : (room - 1) / step + 1;
}

/* x[start:end:step] on the axes named, all of the others. */
static int
slice_of(const struct graph *g, const struct node *n, struct slice *c,
         struct shape *out, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    /* starts, ends, axes, steps */
    int64_t v[4][SHAPE_MAX_RANK];
    int count[4], axis;
    bool seen[SHAPE_MAX_RANK] = {false};

    *out = *x;
    for (int i = 0; i < SHAPE_MAX_RANK; i++) {
        c->start[i] = 0;
        c->step[i] = 1;
        v[2][i] = i;
        v[3][i] = 1;
    }
    for (int k = 0; k < 4; k++) {
        if (k + 1 >= n->n_own || n->in[k + 1] < 0)
            count[k] = count[0];
        else if (rule_ints(g, n, k + 1, "the slice", v[k], SHAPE_MAX_RANK,
                           &count[k], e) != 0)
            return e->code;
        if (count[k] != count[0])
            return err_set(e, ERR_INVALID,
                           "starts, ends, axes and steps differ in length");
    }
    for (int i = 0; i < count[0]; i++) {
        if (shape_axis(v[2][i], x->rank, &axis, e) != 0)
            return e->code;
        if (seen[axis])
            return err_set(e, ERR_INVALID, "axis %d is named twice", axis);
        if (v[3][i] == 0)
            return err_set(e, ERR_INVALID, "the step of axis %d is 0", axis);
        seen[axis] = true;
        c->start[axis] = v[0][i];
        c->step[axis] = v[3][i];
        out->dim[axis] =
            slice_axis(x->dim[axis], &c->start[axis], v[1][i], v[3][i]);
    }
    return 0;
}

int
slice_infer(struct graph *g, struct node *n, struct err *e)
{
    struct shape out;
    struct slice c;

    if (slice_of(g, n, &c, &out, e) != 0)
        return e->code;
    return rule_out(g, n, 0, node_in(g, n, 0)->dtype, &out, e);
}

static int
slice_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const int64_t size = (int64_t)dtype_size(x->dtype);
    int64_t from[SHAPE_MAX_RANK], to[SHAPE_MAX_RANK];
    struct shape out;
    struct slice c;
    struct moves *m;

    (void)w;
    if (slice_of(g, n, &c, &out, e) != 0)
        return e->code;
    m = moves_new(s, 1, x->dtype, e);
    if (m == NULL)
        return e->code;
    layout_strides(&x->shape, x->layout, from);
    layout_strides(&y->shape, y->layout, to);
    if (shape_n(&out) > 0)
        for (int i = 0; i < out.rank; i++) {
            m->at[0].from += c.start[i] * from[i] * size;
            /* A step taken never leaves the axis; one not taken may be huge.*/
            from[i] = out.dim[i] > 1 ? from[i] * c.step[i] : 0;
        }
    move_set(&m->at[0], &out, to, from, (size_t)size);
    return 0;
}

KERNEL(SLICE, "slice", .layout = KERNEL_SAME, .prepare = slice_prepare,
       .run = moves_run, .done = step_done);
