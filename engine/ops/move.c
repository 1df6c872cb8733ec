/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ops/move.h"

#include "engine/ops/rule.h"

struct moves *
moves_new(struct step *s, int n, enum dtype t, struct err *e)
{
    struct moves *m;

    if (step_own(s, sizeof *m + (size_t)n * sizeof m->at[0], e) != 0)
        return NULL;
    m = s->own;
    m->n = n;
    m->size = dtype_size(t);
    return m;
}

int
moves_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct moves *m = s->own;

    (void)scratch;
    (void)state;
    (void)e;
    for (int i = 0; i < m->n; i++) {
        const struct move *v = &m->at[i];

        walk_copy(&v->walk, (char *)step_io_out(s, io, v->out) + v->to,
                  (char *)io[v->in] + v->from, m->size);
    }
    return 0;
}

void
move_set(struct move *m, const struct shape *dims, const int64_t *to,
         const int64_t *from, size_t size)
{
    walk_begin(&m->walk, dims);
    walk_add_strides(&m->walk, to, size);
    walk_add_strides(&m->walk, from, size);
    walk_end(&m->walk);
}
