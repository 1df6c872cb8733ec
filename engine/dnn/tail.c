/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/tail.h"

#include <string.h>

#include "engine/dnn/grid.h"
#include "engine/dnn/row.h"

int
tail_make(const struct graph *g, const struct node *n, int first,
          struct tail *t, struct err *e)
{
    int64_t count = (int64_t)shape_n(&node_out(g, n, 0)->shape);

    memset(t, 0, sizeof *t);
    t->first = first;
    for (int i = first; i < n->n_posts; i++) {
        const struct post *p = &n->posts[i];
        int rc;

        if (p->op == OP_ADD || p->op == OP_MUL) {
            if (node_in(g, n, p->in)->dtype != DTYPE_FLOAT ||
                node_in_q(n, p->in) != NULL)
                return err_set(e, ERR_UNSUPPORTED, "operand is no float32");
            continue;
        }
        if (row_has_post(p->op))
            continue;
        rc = prim_unary(p->op, p->alpha, p->beta, count, &t->unary[i], e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int
tail_build(struct tail *t, struct err *e)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < NODE_MAX_POSTS; i++)
        if (t->unary[i] != NULL)
            rc = prim_build(t->unary[i], e);
    return rc;
}

size_t
tail_scratch_bytes(const struct tail *t)
{
    size_t most = 0;

    for (int i = 0; i < NODE_MAX_POSTS; i++)
        if (t->unary[i] != NULL && prim_scratch_bytes(t->unary[i]) > most)
            most = prim_scratch_bytes(t->unary[i]);
    return most;
}

void
tail_free(struct tail *t)
{
    for (int i = 0; i < NODE_MAX_POSTS; i++)
        prim_free(&t->unary[i]);
}

int
tail_bind(const struct tail *t, void *y, void *scratch, struct tail_calls *c,
          struct err *e)
{
    void *arg[PRIM_ARGS] = {0};
    int rc = 0;

    arg[PRIM_SRC] = arg[PRIM_DST] = y;
    for (int i = 0; rc == 0 && i < NODE_MAX_POSTS; i++)
        if (t->unary[i] != NULL)
            rc = prim_bind(t->unary[i], arg, scratch, &c->unary[i], e);
    return rc;
}

void
tail_unbind(struct tail_calls *c)
{
    for (int i = 0; i < NODE_MAX_POSTS; i++)
        prim_unbind(&c->unary[i]);
}

enum { PIECE = 8192 };

struct tail_part {
    const struct post *post;
    const float *operand;
    int64_t repeat; /* elements after which the operand begins anew */
    int64_t piece, total;
    float *y;
};

static void
one_part(void *arg, int64_t i)
{
    const struct tail_part *p = arg;
    int64_t at = i * p->piece, left = p->total - at;
    int64_t n = left < p->piece ? left : p->piece;
    float *y = p->y + at;

    if (p->operand == NULL)
        row_post(p->post->op, p->post->alpha, p->post->beta, y, n);
    else if (p->repeat == 1)
        row_binary(p->post->op, y, y, 1, p->operand, 0, n);
    else
        row_binary(p->post->op, y, y, 1, p->operand + at % p->repeat, 1, n);
}

/* One post by loops.  Pieces do not reach over the end of an operand. */
static void
by_loop(const struct step *s, void *const *io, const struct post *post)
{
    struct tail_part p = {
        .post = post,
        .repeat = 1,
        .piece = PIECE,
        .total = (int64_t)shape_n(&step_out(s, 0)->shape),
        .y = io[s->node->n_in],
    };

    if (post->op == OP_ADD || post->op == OP_MUL) {
        p.operand = io[post->in];
        p.repeat = (int64_t)shape_n(&step_in(s, post->in)->shape);
        if (p.repeat != 1 && p.repeat != p.total)
            p.piece = p.repeat;
    }
    grid_split((p.total + p.piece - 1) / p.piece, p.piece, one_part, &p);
}

int
tail_run(const struct tail *t, const struct step *s, void *const *io,
         const struct tail_calls *c, struct err *e)
{
    int rc = 0;

    for (int i = t->first; rc == 0 && i < s->node->n_posts; i++) {
        if (c->unary[i] != NULL)
            rc = prim_run(c->unary[i], e);
        else
            by_loop(s, io, &s->node->posts[i]);
    }
    return rc;
}
