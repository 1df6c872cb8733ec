/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNormalization that no convolution before it could take in (DenseNet has
 * one before each): y = x * s + t with two numbers a channel, in any layout.
 */
#include <math.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"

enum { PIECE = 8192 /* elements handed out at once */ };

struct batchnorm {
    int64_t channels;
    int64_t rows, row; /* channels last: pixels of `channels`; else images */
    int64_t each;      /* rows handed out at once */
    bool nxc;
    float *s, *t;
};

static bool
fits(const struct graph *g, const struct node *n)
{
    for (int i = 1; i < 5; i++)
        if (node_in(g, n, i)->data == NULL ||
            node_in(g, n, i)->dtype != DTYPE_FLOAT)
            return false;
    return n->n_posts == 0 && n->in_q == NULL && n->out_q == NULL &&
           node_in(g, n, 0)->dtype == DTYPE_FLOAT &&
           desc_nonempty(node_in(g, n, 0));
}

static void
done(struct step *s)
{
    struct batchnorm *b = s->own;

    if (b == NULL)
        return;
    mem_free(b->s);
    mem_free(b->t);
    mem_free(b);
    s->own = NULL;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const double epsilon = (double)attr_float(n, "epsilon", 1e-5f);
    const float *p[5];
    struct batchnorm *b = mem_new(1, sizeof *b);

    (void)w;
    for (int i = 1; i < 5; i++)
        p[i] = node_in(g, n, i)->data;
    b->channels = x->shape.dim[1];
    b->nxc = x->layout == LAYOUT_NXC || x->shape.rank == 2;
    b->row = b->nxc ? b->channels : shape_span(&x->shape, 2, x->shape.rank);
    b->rows = (int64_t)shape_n(&x->shape) / b->row;
    b->each = b->nxc ? (PIECE + b->row - 1) / b->row : 1;
    b->s = mem_try((size_t)b->channels, sizeof *b->s);
    b->t = mem_try((size_t)b->channels, sizeof *b->t);
    s->own = b;
    s->impl = "loop";
    s->inplace = 0;
    if (b->s == NULL || b->t == NULL) {
        done(s);
        return err_set(e, ERR_NO_MEMORY, "no memory for scales");
    }
    for (int64_t c = 0; c < b->channels; c++) {
        double by = (double)p[1][c] / sqrt((double)p[4][c] + epsilon);

        b->s[c] = (float)by;
        b->t[c] = (float)((double)p[2][c] - by * (double)p[3][c]);
    }
    return 0;
}

struct run {
    const struct batchnorm *b;
    const float *x;
    float *y;
};

static void
some_rows(void *arg, int64_t i)
{
    const struct run *r = arg;
    const struct batchnorm *b = r->b;
    const int64_t from = i * b->each, at = from * b->row;
    const int64_t c = b->nxc ? 0 : from % b->channels;
    int64_t n = b->rows - from < b->each ? b->rows - from : b->each;

    row_affine(r->y + at, r->x + at, b->s + c, b->t + c, b->nxc, n, b->row);
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct batchnorm *b = s->own;
    struct run r = {b, io[0], io[s->node->n_in]};

    (void)scratch;
    (void)state;
    (void)e;
    grid_split((b->rows + b->each - 1) / b->each, b->each * b->row, some_rows,
               &r);
    return 0;
}

const struct kernel dnn_batch_norm = {
    .op = OP_BATCH_NORMALIZATION,
    .name = "dnn.norm",
    .layout = KERNEL_SAME,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
