/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to an output before it counts as stored: node.posts, one after
 * the other, each over the whole tensor.
 */
#include <assert.h>

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
