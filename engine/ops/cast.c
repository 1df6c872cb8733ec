/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast: the same numbers in another type; BitCast: the same bits; Reorder: in
 * another layout.
 */
#include <inttypes.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"
#include "engine/ops/walk.h"

int
cast_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int64_t to = attr_int(n, "to", DTYPE_NONE);

    if (to <= 0 || to > INT32_MAX || dtype_size((enum dtype)to) == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "to is %" PRId64 ", no type that is supported", to);
    return rule_out(g, n, 0, (enum dtype)to, &x->shape, e);
}

int
cast_like_infer(struct graph *g, struct node *n, struct err *e)
{
    return rule_out(g, n, 0, node_in(g, n, 1)->dtype, &node_in(g, n, 0)->shape,
                    e);
}

int
bit_cast_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int64_t to = attr_int(n, "to", DTYPE_NONE);

    if (cast_infer(g, n, e) != 0)
        return e->code;
    if (dtype_size((enum dtype)to) != dtype_size(x->dtype))
        return err_set(e, ERR_UNSUPPORTED, "%s has other bits than %s: %s",
                       dtype_name((enum dtype)to), x->name,
                       dtype_name(x->dtype));
    return 0;
}

static void
cast_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    const struct step *s = arg;

    number_convert(step_out(s, 0)->dtype, p[0], step[0], step_in(s, 0)->dtype,
                   p[1], step[1], n);
}

/* A walk that leaves out the second input, whose shape is any. */
static int
cast_like_prepare(const struct graph *g, const struct node *n, struct step *s,
                  struct weights *w, struct err *e)
{
    struct walk *walk;

    (void)w;
    if (step_own(s, sizeof *walk, e) != 0)
        return e->code;
    walk = s->own;
    walk_begin(walk, &node_out(g, n, 0)->shape);
    walk_add(walk, node_out(g, n, 0));
    walk_add(walk, node_in(g, n, 0));
    walk_end(walk);
    return 0;
}

static int
cast_run(const struct step *s, void *const *io, void *scratch, void *state,
         struct err *e)
{
    (void)scratch;
    (void)state;
    (void)e;
    walk_run(s->own, (char *const[]){step_io_out(s, io, 0), io[0]}, cast_row,
             (void *)s);
    return 0;
}

static int
reorder_run(const struct step *s, void *const *io, void *scratch, void *state,
            struct err *e)
{
    (void)scratch;
    (void)state;
    (void)e;
    walk_copy(s->own, step_io_out(s, io, 0), io[0],
              dtype_size(step_in(s, 0)->dtype));
    return 0;
}

KERNEL(CAST, "cast", .layout = KERNEL_SAME, .prepare = walk_prepare,
       .run = cast_run, .done = step_done);
KERNEL(CAST_LIKE, "cast", .prepare = cast_like_prepare, .run = cast_run,
       .done = step_done);
KERNEL(REORDER, "reorder", .layout = KERNEL_CONVERT, .prepare = walk_prepare,
       .run = reorder_run, .done = step_done);
