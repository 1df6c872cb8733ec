/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same elements more than once: Expand, Tile.
 */
#include <inttypes.h>

#include "engine/ops/move.h"
#include "engine/ops/rule.h"

int
expand_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape want = {0}, out;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    if (rule_ints(g, n, 1, "the new shape", want.dim, SHAPE_MAX_RANK,
                  &want.rank, e) != 0)
        return e->code;
    if (shape_broadcast(&x->shape, &want, &out, e) != 0)
        return err_wrap(e, "%s and %s", shape_text(&x->shape, a),
                        shape_text(&want, b));
    return rule_out(g, n, 0, x->dtype, &out, e);
}

static int
expand_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct moves *m = moves_new(s, 1, x->dtype, e);

    (void)w;
    if (m == NULL)
        return e->code;
    walk_begin(&m->at[0].walk, &y->shape);
    walk_add(&m->at[0].walk, y);
    walk_add(&m->at[0].walk, x);
    walk_end(&m->at[0].walk);
    return 0;
}

static int
read_repeats(const struct graph *g, const struct node *n,
             int64_t repeat[SHAPE_MAX_RANK], struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int count;

    if (rule_ints(g, n, 1, "the repeats", repeat, SHAPE_MAX_RANK, &count, e) !=
        0)
        return e->code;
    if (count != x->rank)
        return err_set(e, ERR_INVALID, "%d repeats for rank %d", count,
                       x->rank);
    return 0;
}

int
tile_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    int64_t repeat[SHAPE_MAX_RANK];

    if (read_repeats(g, n, repeat, e) != 0)
        return e->code;
    for (int i = 0; i < out.rank; i++)
        if (repeat[i] < 0 ||
            __builtin_mul_overflow(out.dim[i], repeat[i], &out.dim[i]))
            return err_set(e, ERR_INVALID, "axis %d repeats %" PRId64 " times",
                           i, repeat[i]);
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Each axis is walked as two: which repeat, which element. */
static int
tile_prepare(const struct graph *g, const struct node *n, struct step *s,
             struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    int64_t own[SHAPE_MAX_RANK], step[SHAPE_MAX_RANK];
    int64_t from[WALK_RANK] = {0}, to[WALK_RANK] = {0};
    int64_t repeat[SHAPE_MAX_RANK];
    struct moves *m;
    struct walk *walk;

    (void)w;
    if (read_repeats(g, n, repeat, e) != 0)
        return e->code;
    m = moves_new(s, 1, x->dtype, e);
    if (m == NULL)
        return e->code;
    layout_strides(&x->shape, LAYOUT_PLAIN, own);
    layout_strides(&y->shape, LAYOUT_PLAIN, step);
    walk = &m->at[0].walk;
    walk->rank = 2 * x->shape.rank;
    for (int i = 0; i < x->shape.rank; i++) {
        walk->dim[2 * i] = repeat[i];
        walk->dim[2 * i + 1] = x->shape.dim[i];
        to[2 * i] = step[i] * x->shape.dim[i];
        to[2 * i + 1] = step[i];
        from[2 * i + 1] = own[i];
    }
    walk_add_strides(walk, to, m->size);
    walk_add_strides(walk, from, m->size);
    walk_end(walk);
    return 0;
}

KERNEL(EXPAND, "expand", .layout = KERNEL_PLAIN, .prepare = expand_prepare,
       .run = moves_run, .done = step_done);
KERNEL(TILE, "tile", .layout = KERNEL_PLAIN, .prepare = tile_prepare,
       .run = moves_run, .done = step_done);
