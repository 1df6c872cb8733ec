/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/tail.h"

#include <string.h>

#include "engine/dnn/func.h"
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
        if (row_has_post(p->op) || p->op == OP_GELU)
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

/* Post p on n elements from `at` on. */
static void
one_post(const struct step *s, void *const *io, const struct post *p,
         int64_t at, int64_t n)
{
    float *y = (float *)io[s->node->n_in] + at;
    int64_t repeat;

    if (p->op == OP_GELU) {
        func_gelu(y, p->alpha == 1, n);
    } else if (p->op != OP_ADD && p->op != OP_MUL) {
        row_post(p->op, p->alpha, p->beta, y, n);
    } else {
        repeat = (int64_t)shape_n(&step_in(s, p->in)->shape);
        row_binary(p->op, y, y, 1, (const float *)io[p->in] + at % repeat,
                   repeat != 1, n);
    }
}

bool
tail_is_loops(const struct tail *t)
{
    for (int i = 0; i < NODE_MAX_POSTS; i++)
        if (t->unary[i] != NULL)
            return false;
    return true;
}

void
tail_part(const struct step *s, void *const *io, int first, int64_t at,
          int64_t n)
{
    for (int i = first; i < s->node->n_posts; i++)
        one_post(s, io, &s->node->posts[i], at, n);
}

struct pieces {
    const struct step *s;
    void *const *io;
    const struct post *post;
    int64_t piece, total;
};

static void
one_piece(void *arg, int64_t i)
{
    const struct pieces *p = arg;
    int64_t at = i * p->piece, left = p->total - at;

    one_post(p->s, p->io, p->post, at, left < p->piece ? left : p->piece);
}

/* One post by loops.  Pieces do not reach over the end of an operand. */
static void
by_loop(const struct step *s, void *const *io, const struct post *post)
{
    struct pieces p = {
        .s = s,
        .io = io,
        .post = post,
        .piece = PIECE,
        .total = (int64_t)shape_n(&step_out(s, 0)->shape),
    };

    if (post->op == OP_ADD || post->op == OP_MUL) {
        int64_t repeat = (int64_t)shape_n(&step_in(s, post->in)->shape);

        if (repeat != 1 && repeat != p.total)
            p.piece = repeat;
    }
    grid_split((p.total + p.piece - 1) / p.piece, p.piece, one_piece, &p);
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
