/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AffineGrid: where each place of an image comes from under an affine map;
 * GridSample looks there.
 */
#include <inttypes.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* theta [N,axes,axes+1], size (N,C,[D,]H,W) -> [N,[D,]H,W,axes] */
int
affine_grid_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *theta = node_in(g, n, 0);
    int64_t size[5];
    struct shape out = {.rank = 1};
    char text[SHAPE_TEXT];
    int count;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_ints(g, n, 1, "the image's shape", size, 5, &count, e) != 0)
        return e->code;
    if (count < 4 ||
        !shape_equal(&theta->shape, &SHAPE(size[0], count - 2, count - 1)))
        return err_set(e, ERR_INVALID, "theta is %s for an image of rank %d",
                       shape_text(&theta->shape, text), count);
    out.dim[0] = size[0];
    for (int i = 2; i < count; i++)
        out.dim[out.rank++] = size[i];
    out.dim[out.rank++] = count - 2;
    return rule_out(g, n, 0, theta->dtype, &out, e);
}

/* Place i of n in -1..1: of the middles of elements, or from end to end. */
static double
place(int64_t i, int64_t n, bool align_corners)
{
    if (!align_corners)
        return (2 * (double)i + 1) / (double)n - 1;
    return n == 1 ? 0 : 2 * (double)i / (double)(n - 1) - 1;
}

static int
affine_grid_run(const struct step *s, void *const *io, void *scratch,
                void *state, struct err *e)
{
    const struct value *y = step_out(s, 0);
    const int axes = y->shape.rank - 2;
    const int64_t image = shape_span(&y->shape, 1, axes + 1);
    const bool align_corners = attr_int(s->node, "align_corners", 0) != 0;
    const size_t size = dtype_size(y->dtype);
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < y->shape.dim[0] * image; i++) {
        const char *theta = (const char *)io[0] +
                            (size_t)(i / image * axes * (axes + 1)) * size;
        double at[4];
        int64_t rest = i % image;

        /* The last axis of the image is the first coordinate. */
        for (int a = 0; a < axes; a++) {
            int64_t dim = y->shape.dim[axes - a];

            at[a] = place(rest % dim, dim, align_corners);
            rest /= dim;
        }
        at[axes] = 1;
        for (int a = 0; a < axes; a++, to += size) {
            double sum = 0;

            for (int k = 0; k <= axes; k++, theta += size)
                sum += at[k] * number_double(y->dtype, theta);
            number_convert(y->dtype, to, 0, DTYPE_DOUBLE, (const char *)&sum, 0,
                           1);
        }
    }
    return 0;
}

KERNEL(AFFINE_GRID, "affine_grid", .run = affine_grid_run);
