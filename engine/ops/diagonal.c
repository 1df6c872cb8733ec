/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a diagonal of a matrix divides: EyeLike, Trilu.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

int
eye_like_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int64_t type = attr_int(n, "dtype", x->dtype);
    char text[SHAPE_TEXT];

    if (x->shape.rank != 2)
        return err_set(e, ERR_INVALID, "input is %s, want rank 2",
                       shape_text(&x->shape, text));
    if (type <= 0 || type > INT32_MAX || dtype_size((enum dtype)type) == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "dtype is %" PRId64 ", no type that is supported", type);
    return rule_out(g, n, 0, (enum dtype)type, &x->shape, e);
}

static int
eye_like_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    const struct value *y = step_out(s, 0);
    const int64_t rows = y->shape.dim[0], cols = y->shape.dim[1];
    const int64_t k = attr_int(s->node, "k", 0);
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t r = 0; cols > 0 && r < rows; r++)
        for (int64_t c = 0; c < cols; c++, to += dtype_size(y->dtype)) {
            int64_t one = c - r == k;

            number_convert(y->dtype, to, 0, DTYPE_INT64, (const char *)&one, 0,
                           1);
        }
    return 0;
}

int
trilu_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *k = node_in(g, n, 1);
    char text[SHAPE_TEXT];

    if (rule_type(g, n, 1, TYPE(INT64), e) != 0)
        return e->code;
    if (x->shape.rank < 2)
        return err_set(e, ERR_INVALID, "input is %s: no matrix",
                       shape_text(&x->shape, text));
    if (k != NULL && shape_n(&k->shape) != 1)
        return err_set(e, ERR_INVALID, "input %s is no scalar", k->name);
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* x, y [matrices,rows,cols] */
static int
trilu_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int rank = x->shape.rank;
    const size_t size = dtype_size(x->dtype);
    const int64_t cols = x->shape.dim[rank - 1];
    const int64_t rows = x->shape.dim[rank - 2];
    const int64_t n = shape_span(&x->shape, 0, rank - 1);
    const int64_t k = step_in(s, 1) == NULL ? 0 : *(const int64_t *)io[1];
    const bool upper = attr_int(s->node, "upper", 1) != 0;
    const char *from = io[0];
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; cols > 0 && i < n; i++)
        for (int64_t c = 0; c < cols; c++, from += size, to += size) {
            int64_t off = c - i % rows;

            if (upper ? off >= k : off <= k)
                memcpy(to, from, size);
            else
                memset(to, 0, size);
        }
    return 0;
}

KERNEL(EYE_LIKE, "eye_like", .run = eye_like_run);
KERNEL(TRILU, "trilu", .run = trilu_run);
