/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gather: slices of one axis, in the order that the indices name.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

int
gather_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *index = node_in(g, n, 1);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct shape out = {0};
    int axis;

    if (rule_type(g, n, 1, TYPES_INDEX, e) != 0 ||
        rule_axis(n, 0, x->shape.rank, &axis, e) != 0)
        return e->code;
    if (x->shape.rank - 1 + index->shape.rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s by indices %s: the rank is over %d",
                       shape_text(&x->shape, a), shape_text(&index->shape, b),
                       SHAPE_MAX_RANK);
    for (int i = 0; i < axis; i++)
        out.dim[out.rank++] = x->shape.dim[i];
    for (int i = 0; i < index->shape.rank; i++)
        out.dim[out.rank++] = index->shape.dim[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        out.dim[out.rank++] = x->shape.dim[i];
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* x [outer,dim,inner] index [n] y [outer,n,inner] */
static int
gather_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct value *x = step_in(s, 0), *index = step_in(s, 1);
    const size_t n = shape_n(&index->shape), size = dtype_size(index->dtype);
    size_t outer, inner;
    char *y = step_io_out(s, io, 0);
    int64_t dim;
    int axis;

    (void)scratch;
    (void)state;
    if (rule_axis(s->node, 0, x->shape.rank, &axis, e) != 0)
        return e->code;
    dim = x->shape.dim[axis];
    outer = (size_t)shape_span(&x->shape, 0, axis);
    inner = (size_t)shape_span(&x->shape, axis + 1, x->shape.rank) *
            dtype_size(x->dtype);
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < n; i++, y += inner) {
            int64_t k =
                number_int(index->dtype, (const char *)io[1] + i * size);

            if (k < -dim || k >= dim)
                return err_set(e, ERR_INVALID,
                               "index %" PRId64
                               " in %s is outside an axis of %" PRId64,
                               k, index->name, dim);
            k = k < 0 ? k + dim : k;
            if (inner > 0)
                memcpy(y,
                       (const char *)io[0] +
                           (o * (size_t)dim + (size_t)k) * inner,
                       inner);
        }
    return 0;
}

KERNEL(GATHER, "gather", .run = gather_run);
