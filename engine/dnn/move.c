/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Concat, in any layout and of any type; 8-bit arms that have a scale of their
 * own are brought to that of the output by a table.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/eltwise.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"

struct arm {
    size_t bytes;   /* of one outer row */
    uint8_t *table; /* NULL: as it is */
};

struct concat {
    size_t outer, row_bytes;
    int n_arms;
    struct arm *arm;
};

static bool
same_q(const struct qparam *a, const struct qparam *b)
{
    return a->scale[0] == b->scale[0] && a->zero[0] == b->zero[0];
}

static bool
fits(const struct graph *g, const struct node *n)
{
    const struct value *y = node_out(g, n, 0);

    if (n->n_posts > 0 || y->shape.rank < 1 || !desc_nonempty(y))
        return false;
    if (n->out_q != NULL && (n->out_q->n != 1 || !dtype_is_8bit(y->dtype)))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        const struct value *x = node_in(g, n, i);
        const struct qparam *q = node_in_q(n, i);

        /* A constant lies row-major, whatever the layout of the rest. */
        if (x->data != NULL && !layout_same(&x->shape))
            return false;
        if ((q != NULL) != (n->out_q != NULL) ||
            (q == NULL ? x->dtype != y->dtype
                       : q->n != 1 || !dtype_is_8bit(x->dtype)))
            return false;
    }
    return true;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *y = node_out(g, n, 0);
    bool nxc = y->layout == LAYOUT_NXC && y->shape.rank >= 3;
    int rank = y->shape.rank, axis;
    struct concat *c;
    int64_t inner, channels = nxc ? y->shape.dim[1] : 1;
    int rc = shape_axis(attr_int(n, "axis", 0), rank, &axis, e);

    (void)w;
    if (rc != 0)
        return rc;
    c = mem_new(1, sizeof *c);
    c->arm = mem_new((size_t)n->n_in, sizeof *c->arm);
    c->n_arms = n->n_in;
    s->own = c;
    s->impl = "loop";
    /* What lies behind the axis in memory, and so is copied with it. */
    inner = shape_span(&y->shape, axis + 1, rank);
    if (nxc && axis == 0)
        inner = shape_span(&y->shape, 1, rank);
    else if (nxc)
        inner = axis == 1 ? 1 : inner * channels;
    for (int i = 0; i < n->n_in; i++) {
        const struct value *x = node_in(g, n, i);
        const struct qparam *q = node_in_q(n, i);

        c->arm[i].bytes =
            (size_t)(x->shape.dim[axis] * inner) * dtype_size(x->dtype);
        c->row_bytes += c->arm[i].bytes;
        if (q == NULL || (x->dtype == y->dtype && same_q(q, n->out_q)))
            continue;
        c->arm[i].table = mem_new(256, 1);
        eltwise_table(NULL, 0, x->dtype, q, y->dtype, n->out_q,
                      c->arm[i].table);
    }
    c->outer = shape_n(&y->shape) * dtype_size(y->dtype) / c->row_bytes;
    return 0;
}

struct concat_run {
    const struct concat *c;
    void *const *in;
    char *y;
};

static void
copy_row(void *arg, int64_t i)
{
    const struct concat_run *r = arg;
    char *y = r->y + (size_t)i * r->c->row_bytes;

    for (int k = 0; k < r->c->n_arms; k++) {
        const struct arm *a = &r->c->arm[k];
        const char *x = (const char *)r->in[k] + (size_t)i * a->bytes;

        if (a->table != NULL)
            row_lookup((uint8_t *)y, (const uint8_t *)x, a->table,
                       (int64_t)a->bytes);
        else if (a->bytes > 0)
            memcpy(y, x, a->bytes);
        y += a->bytes;
    }
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    struct concat_run r = {s->own, io, io[s->node->n_in]};

    (void)scratch;
    (void)state;
    (void)e;
    grid_split((int64_t)r.c->outer, (int64_t)r.c->row_bytes / 4 + 1, copy_row,
               &r);
    return 0;
}

static void
done(struct step *s)
{
    struct concat *c = s->own;

    if (c == NULL)
        return;
    for (int i = 0; i < c->n_arms; i++)
        mem_free(c->arm[i].table);
    mem_free(c->arm);
    mem_free(c);
    s->own = NULL;
}

const struct kernel dnn_concat = {
    .op = OP_CONCAT,
    .name = "dnn.concat",
    .layout = KERNEL_SAME,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
