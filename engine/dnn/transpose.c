/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transpose of elements of 1, 2 or 4 bytes.  Axes that stay neighbours count as
 * one.  Then either the last axis stays the last, and rows are copied, or the
 * axis that was the last and the one that becomes it are turned, tile by tile,
 * for each place along the others.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"

struct turn {
    int rank; /* of the axes besides rows and cols */
    int64_t dim[SHAPE_MAX_RANK];
    int64_t from[SHAPE_MAX_RANK], to[SHAPE_MAX_RANK]; /* strides */
    /* y[c * to_cols + r] = x[r * from_rows + c]; rows is 1: cols are copied */
    int64_t rows, cols, from_rows, to_cols;
    int64_t places;
    size_t element;
};

static bool
fits(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0);
    const size_t element = dtype_size(x->dtype);

    return n->in_q == NULL && n->out_q == NULL && n->n_posts == 0 &&
           element <= 4 && x->shape.rank >= 2 && desc_nonempty(x);
}

/* Dimensions of the output with their strides in x, as few as can be. */
static void
find_axes(const struct shape *x, const struct node *n, struct turn *t)
{
    int64_t stride[SHAPE_MAX_RANK];
    int count;
    const int64_t *perm = attr_ints(n, "perm", &count);

    layout_strides(x, LAYOUT_PLAIN, stride);
    for (int i = 0; i < x->rank; i++) {
        int axis = perm == NULL ? x->rank - 1 - i : (int)perm[i];
        int k = t->rank - 1;

        if (x->dim[axis] == 1)
            continue;
        if (k >= 0 && t->from[k] == x->dim[axis] * stride[axis]) {
            t->dim[k] *= x->dim[axis];
            t->from[k] = stride[axis];
            continue;
        }
        t->dim[t->rank] = x->dim[axis];
        t->from[t->rank++] = stride[axis];
    }
}

static void
remove_axis(struct turn *t, int axis)
{
    t->rank--;
    for (int i = axis; i < t->rank; i++) {
        t->dim[i] = t->dim[i + 1];
        t->from[i] = t->from[i + 1];
        t->to[i] = t->to[i + 1];
    }
}

static void
choose_pair(struct turn *t)
{
    int64_t step = 1;
    int last = t->rank - 1, unit = last;

    for (int i = t->rank; i-- > 0; step *= t->dim[i])
        t->to[i] = step;
    t->rows = t->cols = 1;
    if (t->rank == 0)
        return;
    while (unit > 0 && t->from[unit] != 1)
        unit--;
    t->cols = t->dim[unit];
    t->to_cols = t->to[unit];
    if (unit != last) {
        t->rows = t->dim[last];
        t->from_rows = t->from[last];
        remove_axis(t, last);
    }
    remove_axis(t, unit);
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct turn *t = mem_new(1, sizeof *t);

    (void)w;
    (void)e;
    t->element = dtype_size(x->dtype);
    find_axes(&x->shape, n, t);
    choose_pair(t);
    t->places = 1;
    for (int i = 0; i < t->rank; i++)
        t->places *= t->dim[i];
    s->own = t;
    s->impl = t->rows == 1 ? "copy" : "turn";
    return 0;
}

struct turn_run {
    const struct turn *t;
    const char *x;
    char *y;
    int64_t bands; /* of columns, for each place */
};

enum { BAND = 64 };

static void
turn_piece(void *arg, int64_t i)
{
    const struct turn_run *r = arg;
    const struct turn *t = r->t;
    int64_t from = 0, to = 0, place = i / r->bands;
    int64_t c = i % r->bands * BAND, cols = t->cols - c;

    for (int k = t->rank; k-- > 0; place /= t->dim[k]) {
        from += place % t->dim[k] * t->from[k];
        to += place % t->dim[k] * t->to[k];
    }
    if (t->rows == 1) {
        memcpy(r->y + (size_t)to * t->element, r->x + (size_t)from * t->element,
               (size_t)t->cols * t->element);
        return;
    }
    row_turn(r->y + (size_t)(to + c * t->to_cols) * t->element, t->to_cols,
             r->x + (size_t)(from + c) * t->element, t->from_rows, t->rows,
             cols < BAND ? cols : BAND, t->element);
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct turn *t = s->own;
    struct turn_run r = {t, io[0], io[s->node->n_in], 1};

    (void)scratch;
    (void)state;
    (void)e;
    if (t->rows > 1)
        r.bands = (t->cols + BAND - 1) / BAND;
    grid_split(t->places * r.bands,
               t->rows * (t->rows > 1 && t->cols > BAND ? BAND : t->cols),
               turn_piece, &r);
    return 0;
}

static void
done(struct step *s)
{
    mem_free(s->own);
    s->own = NULL;
}

const struct kernel dnn_transpose = {
    .op = OP_TRANSPOSE,
    .name = "dnn.transpose",
    .layout = KERNEL_PLAIN,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
