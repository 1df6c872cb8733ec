/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorScatter: new keys or values are written into a cache, each sample's
 * at a place of its own.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/rule.h"

int
tensor_scatter_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *more = node_in(g, n, 1);
    const char *mode = attr_string(n, "mode", "linear");
    struct shape want = x->shape;
    int axis;

    if (rule_same_type(g, n, 1, e) != 0 ||
        rule_type(g, n, 2, TYPE(INT64), e) != 0 ||
        rule_axis(n, -2, x->shape.rank, &axis, e) != 0)
        return e->code;
    if (axis == 0 || more->shape.rank != x->shape.rank ||
        more->shape.dim[axis] > x->shape.dim[axis])
        return err_set(e, ERR_INVALID, "%s does not fit into %s along axis %d",
                       more->name, x->name, axis);
    want.dim[axis] = more->shape.dim[axis];
    if (rule_shape(g, n, 1, &want, e) != 0 ||
        rule_shape(g, n, 2, &SHAPE(x->shape.dim[0]), e) != 0)
        return e->code;
    if (strcmp(mode, "linear") != 0 && strcmp(mode, "circular") != 0)
        return err_set(e, ERR_INVALID, "mode is \"%s\"", mode);
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* x, y [outer,n,inner] more [outer,m,inner] */
static int
tensor_scatter_run(const struct step *s, void *const *io, void *scratch,
                   void *state, struct err *e)
{
    const struct value *x = step_in(s, 0);
    const bool wrap =
        strcmp(attr_string(s->node, "mode", "linear"), "circular") == 0;
    const int64_t *at = step_in(s, 2) == NULL ? NULL : io[2];
    const char *from = io[1];
    char *y = step_io_out(s, io, 0);
    int64_t outer, n, m, bytes;
    int axis;

    (void)scratch;
    (void)state;
    if (rule_axis(s->node, -2, x->shape.rank, &axis, e) != 0)
        return e->code;
    if (shape_n(&x->shape) == 0)
        return 0;
    outer = shape_span(&x->shape, 0, axis);
    n = x->shape.dim[axis];
    m = step_in(s, 1)->shape.dim[axis];
    bytes = shape_span(&x->shape, axis + 1, x->shape.rank) *
            (int64_t)dtype_size(x->dtype);
    if (y != io[0])
        memcpy(y, io[0], (size_t)(outer * n * bytes));
    for (int64_t o = 0; o < outer; o++) {
        int64_t b = o / (outer / x->shape.dim[0]);
        int64_t first = at == NULL ? 0 : at[b];

        if (first < 0 || (wrap ? first > INT64_MAX - m : first > n - m))
            return err_set(e, ERR_INVALID,
                           "place %" PRId64 " in %s is outside 0..%" PRId64,
                           first, step_in(s, 2)->name, n - m);
        for (int64_t i = 0; i < m; i++, from += bytes)
            memcpy(y + (o * n + (first + i) % n) * bytes, from, (size_t)bytes);
    }
    return 0;
}

KERNEL(TENSOR_SCATTER, "tensor_scatter", .run = tensor_scatter_run);
