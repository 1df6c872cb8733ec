/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The questions that shape rules ask, and what kernels share.
 */
#include "engine/ops/rule.h"

#include "base/mem.h"
#include "engine/ir/window.h"
#include "engine/ops/walk.h"

/* Input i of the operator itself: behind them stand those of the posts. */
static const struct value *
own_in(const struct graph *g, const struct node *n, int i)
{
    return i < n->n_own ? node_in(g, n, i) : NULL;
}

int
rule_type(const struct graph *g, const struct node *n, int i, unsigned types,
          struct err *e)
{
    const struct value *v = own_in(g, n, i);

    if (v != NULL && (types & (1u << v->dtype)) == 0)
        return err_set(e, ERR_UNSUPPORTED, "input %s is %s: not supported here",
                       v->name, dtype_name(v->dtype));
    return 0;
}

int
rule_same_type(const struct graph *g, const struct node *n, int i,
               struct err *e)
{
    const struct value *a = node_in(g, n, 0), *v = own_in(g, n, i);

    if (v != NULL && v->dtype != a->dtype)
        return err_set(e, ERR_INVALID, "input %s is %s but %s is %s", v->name,
                       dtype_name(v->dtype), a->name, dtype_name(a->dtype));
    return 0;
}

int
rule_shape(const struct graph *g, const struct node *n, int i,
           const struct shape *want, struct err *e)
{
    const struct value *v = own_in(g, n, i);
    char have_text[SHAPE_TEXT], want_text[SHAPE_TEXT];

    if (v != NULL && !shape_equal(&v->shape, want))
        return err_set(e, ERR_INVALID, "input %s is %s, want %s", v->name,
                       shape_text(&v->shape, have_text),
                       shape_text(want, want_text));
    return 0;
}

int
rule_out(struct graph *g, struct node *n, int i, enum dtype t,
         const struct shape *s, struct err *e)
{
    struct value *v = node_out(g, n, i);
    size_t count;

    if (v == NULL)
        return 0;
    if (shape_count(s, &count, e) != 0)
        return err_wrap(e, "output %s", v->name);
    v->dtype = t;
    v->shape = *s;
    return 0;
}

int
rule_ints(const struct graph *g, const struct node *n, int i, const char *what,
          int64_t *out, int max, int *count, struct err *e)
{
    const struct value *v = node_in(g, n, i);

    if (v->data == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s depends on data: input %s is no constant", what,
                       v->name);
    if (v->shape.rank > 1)
        return err_set(e, ERR_INVALID, "%s: input %s has rank %d, want 1", what,
                       v->name, v->shape.rank);
    if (!value_ints(v, out, max, count))
        return err_set(e, ERR_INVALID,
                       "%s: input %s must be up to %d integers (int64)", what,
                       v->name, max);
    return 0;
}

int
rule_axis(const struct node *n, int64_t dflt, int rank, int *axis,
          struct err *e)
{
    return shape_axis(attr_int(n, "axis", dflt), rank, axis, e);
}

int
step_own(struct step *s, size_t bytes, struct err *e)
{
    s->own = mem_try(1, bytes);
    if (s->own == NULL)
        return err_set(e, ERR_NO_MEMORY, "%zu bytes for node %s", bytes,
                       s->node->name);
    return 0;
}

void
step_done(struct step *s)
{
    mem_free(s->own);
    s->own = NULL;
}

int
walk_prepare(const struct graph *g, const struct node *n, struct step *s,
             struct weights *w, struct err *e)
{
    struct walk *walk;

    (void)w;
    if (step_own(s, sizeof *walk, e) != 0)
        return e->code;
    walk = s->own;
    walk_begin(walk, &node_out(g, n, 0)->shape);
    walk_add(walk, node_out(g, n, 0));
    for (int i = 0; i < n->n_own; i++)
        walk_add(walk, node_in(g, n, i));
    walk_end(walk);
    return 0;
}

int
window_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    (void)w;
    if (step_own(s, sizeof(struct window), e) != 0)
        return e->code;
    if (window_of(g, n, s->own, e) == 0)
        return 0;
    step_done(s);
    return e->code;
}
