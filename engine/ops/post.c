/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to an output before it counts as stored: node.posts, one after
 * the other, each over the whole tensor.
 */
#include <assert.h>
#include <string.h>

#include "engine/ops/rule.h"

/* ADD or MUL with a tensor whose elements repeat: see struct post. */
static void
with_tensor(const struct step *s, const struct post *p, void *const *io,
            float *y, size_t n)
{
    const float *b = io[p->in];
    size_t count = shape_n(&step_in(s, p->in)->shape);

    for (size_t i = 0; i < n; i++)
        y[i] = p->op == OP_ADD ? y[i] + b[i % count] : y[i] * b[i % count];
}

void
post_apply(const struct step *s, void *const *io)
{
    float *y = step_io_out(s, io, 0);
    size_t n = shape_n(&step_out(s, 0)->shape);

    for (int k = 0; k < s->node->n_posts; k++) {
        const struct post *p = &s->node->posts[k];
        unary_fn *fn = unary_find(p->op);

        if (p->op == OP_ADD || p->op == OP_MUL) {
            with_tensor(s, p, io, y, n);
            continue;
        }
        assert(fn != NULL);
        for (size_t i = 0; i < n; i++)
            y[i] = (float)fn(y[i], p->alpha, p->beta);
    }
}

int
post_scale_check(const struct graph *g, const struct node *n, int64_t channels,
                 struct err *e)
{
    for (int i = 4; i < 6; i++) {
        const struct value *v = i < n->n_own ? node_in(g, n, i) : NULL;

        if (v == NULL)
            continue;
        if (v->dtype != DTYPE_FLOAT ||
            (shape_n(&v->shape) != 1 &&
             (int64_t)shape_n(&v->shape) != channels))
            return err_set(e, ERR_INVALID,
                           "input %s must be one float32, or one a channel",
                           v->name);
    }
    return 0;
}

/* Of channel c: one number for all, or one each; 0 when there is none. */
static float
channel_number(const struct step *s, void *const *io, int i, int64_t c)
{
    const struct value *v = i < s->node->n_own ? step_in(s, i) : NULL;

    if (v == NULL)
        return 0;
    return ((const float *)io[i])[shape_n(&v->shape) == 1 ? 0 : c];
}

void
post_scale(const struct step *s, void *const *io, int64_t channels,
           int64_t inner)
{
    const int64_t n = (int64_t)shape_n(&step_out(s, 0)->shape);
    char *y = step_io_out(s, io, 0);

    for (int64_t i = 0; i < n; i++, y += sizeof(float)) {
        const int64_t c = i / inner % channels;
        int32_t sum;
        float real;

        memcpy(&sum, y, sizeof sum);
        real = (float)sum * channel_number(s, io, 4, c);
        real += channel_number(s, io, 5, c);
        memcpy(y, &real, sizeof real);
    }
    post_apply(s, io);
}
