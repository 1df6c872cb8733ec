/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DepthToSpace (mode DCR) with channels innermost: the block_size * C channels
 * that one input pixel gives to one output row are neighbours in both.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"

struct space {
    int64_t rows, block, width; /* input rows N * H; block size; input W */
    size_t chunk;               /* bytes that stay together */
};

static bool
fits(const struct graph *g, const struct node *n)
{
    return n->n_posts == 0 && n->in_q == NULL && n->out_q == NULL &&
           node_in(g, n, 0)->shape.rank == 4 &&
           desc_nonempty(node_in(g, n, 0)) &&
           strcmp(attr_string(n, "mode", "DCR"), "DCR") == 0;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct space *p = mem_new(1, sizeof *p);

    (void)w;
    (void)e;
    p->block = attr_int(n, "blocksize", 1);
    p->rows = x->shape.dim[0] * x->shape.dim[2];
    p->width = x->shape.dim[3];
    p->chunk = (size_t)(x->shape.dim[1] / p->block) * dtype_size(x->dtype);
    s->own = p;
    s->impl = "loop";
    return 0;
}

struct space_run {
    const struct space *p;
    const char *x;
    char *y;
};

/* Input row i to the `block` output rows that are made of it. */
static void
spread_row(void *arg, int64_t i)
{
    const struct space_run *r = arg;
    const struct space *p = r->p;
    size_t pixel = p->chunk * (size_t)p->block;
    char *y = r->y + (size_t)(i * p->block * p->width) * p->chunk;

    for (int64_t b = 0; b < p->block; b++) {
        const char *x =
            r->x + (size_t)(i * p->width) * pixel + (size_t)b * p->chunk;

        if (p->chunk == sizeof(float)) { /* one channel */
            for (int64_t c = 0; c < p->width; c++)
                memcpy(y + (size_t)c * sizeof(float), x + (size_t)c * pixel,
                       sizeof(float));
            y += (size_t)p->width * sizeof(float);
            continue;
        }
        for (int64_t c = 0; c < p->width; c++, y += p->chunk, x += pixel)
            memcpy(y, x, p->chunk);
    }
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct space *p = s->own;
    struct space_run r = {p, io[0], io[s->node->n_in]};

    (void)scratch;
    (void)state;
    (void)e;
    grid_split(p->rows, p->width * p->block * (int64_t)p->chunk / 4 + 1,
               spread_row, &r);
    return 0;
}

static void
done(struct step *s)
{
    mem_free(s->own);
    s->own = NULL;
}

const struct kernel dnn_depth_to_space = {
    .op = OP_DEPTH_TO_SPACE,
    .name = "dnn.space",
    .layout = KERNEL_NXC,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
