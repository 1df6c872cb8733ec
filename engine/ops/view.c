/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same bytes under another shape: Reshape, Flatten, Squeeze, Unsqueeze,
 * Identity.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/rule.h"

/*
 * A target dimension of 0 keeps the input's (unless allowzero), one of -1
 * takes what is left.
 */
int
reshape_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const bool allow_zero = attr_int(n, "allowzero", 0) != 0;
    int64_t want[SHAPE_MAX_RANK];
    char from[SHAPE_TEXT], to[SHAPE_TEXT];
    size_t count = 0, have = shape_n(&x->shape);
    int rank, rest = -1;
    struct shape out = {0};

    if (rule_ints(g, n, 1, "the new shape", want, SHAPE_MAX_RANK, &rank, e) !=
        0)
        return e->code;
    out.rank = rank;
    for (int i = 0; i < rank; i++) {
        out.dim[i] = want[i];
        if (want[i] == 0 && !allow_zero) {
            if (i >= x->shape.rank)
                return err_set(e, ERR_INVALID,
                               "new dimension %d is copied from %s", i,
                               shape_text(&x->shape, from));
            out.dim[i] = x->shape.dim[i];
        } else if (want[i] == -1) {
            if (rest >= 0)
                return err_set(e, ERR_INVALID, "two new dimensions are -1");
            rest = i;
            out.dim[i] = 1;
        }
    }
    if (shape_count(&out, &count, e) != 0)
        return e->code;
    if (rest >= 0 && count > 0) {
        out.dim[rest] = (int64_t)(have / count);
        count *= have / count;
    } else if (rest >= 0) {
        out.dim[rest] = 0;
    }
    if (count != have)
        return err_set(e, ERR_INVALID, "%s does not become %s",
                       shape_text(&x->shape, from), shape_text(&out, to));
    return rule_out(g, n, 0, x->dtype, &out, e);
}

int
flatten_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int64_t axis = attr_int(n, "axis", 1);
    int rank = x->shape.rank;

    if (axis < -(int64_t)rank || axis > rank)
        return err_set(e, ERR_INVALID, "axis %" PRId64 " is outside rank %d",
                       axis, rank);
    if (axis < 0)
        axis += rank;
    return rule_out(g, n, 0, x->dtype,
                    &SHAPE(shape_span(&x->shape, 0, (int)axis),
                           shape_span(&x->shape, (int)axis, rank)),
                    e);
}

/*
 * The axes of input 1 marked in `marked`, each at most once: of the input's
 * rank, or of the output's, which they make larger.
 */
static int
marked_axes(const struct graph *g, const struct node *n, bool larger,
            bool marked[SHAPE_MAX_RANK], int *count, struct err *e)
{
    int64_t axes[SHAPE_MAX_RANK];
    int rank = node_in(g, n, 0)->shape.rank;

    if (rule_ints(g, n, 1, "axes", axes, SHAPE_MAX_RANK, count, e) != 0)
        return e->code;
    if (larger)
        rank += *count;
    if (rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "rank %d is over %d", rank,
                       SHAPE_MAX_RANK);
    for (int i = 0; i < *count; i++) {
        int axis;

        if (shape_axis(axes[i], rank, &axis, e) != 0)
            return e->code;
        if (marked[axis])
            return err_set(e, ERR_INVALID, "axis %d is named twice", axis);
        marked[axis] = true;
    }
    return 0;
}

int
squeeze_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    bool gone[SHAPE_MAX_RANK] = {false};
    bool all = n->n_own < 2 || n->in[1] < 0;
    char text[SHAPE_TEXT];
    struct shape out = {0};
    int count;

    if (!all && marked_axes(g, n, false, gone, &count, e) != 0)
        return e->code;
    for (int i = 0; i < x->shape.rank; i++) {
        if (gone[i] && x->shape.dim[i] != 1)
            return err_set(e, ERR_INVALID, "axis %d of %s is not 1", i,
                           shape_text(&x->shape, text));
        if (!gone[i] && !(all && x->shape.dim[i] == 1))
            out.dim[out.rank++] = x->shape.dim[i];
    }
    return rule_out(g, n, 0, x->dtype, &out, e);
}

int
unsqueeze_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    bool added[SHAPE_MAX_RANK] = {false};
    struct shape out = {0};
    int count, from = 0;

    if (marked_axes(g, n, true, added, &count, e) != 0)
        return e->code;
    out.rank = x->shape.rank + count;
    for (int i = 0; i < out.rank; i++)
        out.dim[i] = added[i] ? 1 : x->shape.dim[from++];
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Only where the addresses could not be made one. */
static int
view_run(const struct step *s, void *const *io, void *scratch, void *state,
         struct err *e)
{
    const struct value *y = step_out(s, 0);
    void *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    if (to != io[0] && shape_n(&y->shape) > 0)
        memcpy(to, io[0], shape_n(&y->shape) * dtype_size(y->dtype));
    return 0;
}

#define VIEW(id) KERNEL(id, "view", .view = true, .run = view_run);
VIEW(BIT_CAST)
VIEW(IDENTITY)
VIEW(RESHAPE)
VIEW(FLATTEN)
VIEW(SQUEEZE)
VIEW(UNSQUEEZE)
