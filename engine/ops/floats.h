/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_OPS_FLOATS_H
#define ENGINE_OPS_FLOATS_H

#include "engine/ir/kernel.h"
#include "engine/ops/rule.h"

/* The `run` of a kernel that looks at no element type: all is float32. */
typedef int floats_kernel(const struct step *s, void *const *io, void *scratch,
                          void *state, struct err *e);

/*
 * Adds what floats_run() needs to s->scratch_bytes; called behind the
 * kernel's own `prepare`, with the types that floats_run() gets.
 */
void floats_prepare(const struct graph *g, const struct node *n, unsigned types,
                    struct step *s);

/*
 * Runs `kernel` with every input and output of one of these types as float32;
 * others, as lengths and indices, it gets as they are.
 */
int floats_run(const struct step *s, void *const *io, void *scratch,
               void *state, unsigned types, floats_kernel *kernel,
               struct err *e);

/* A kernel whose `run` is written for float32; double goes through it. */
#define KERNEL_FLOATS(id, family, prepare_, run_)                              \
    static int floats_prepare_##id(const struct graph *g,                      \
                                   const struct node *n, struct step *s,       \
                                   struct weights *w, struct err *e)           \
    {                                                                          \
        int rc = prepare_(g, n, s, w, e);                                      \
                                                                               \
        floats_prepare(g, n, TYPE(DOUBLE), s);                                 \
        return rc;                                                             \
    }                                                                          \
    static int floats_run_##id(const struct step *s, void *const *io,          \
                               void *scratch, void *state, struct err *e)      \
    {                                                                          \
        return floats_run(s, io, scratch, state, TYPE(DOUBLE), run_, e);       \
    }                                                                          \
    KERNEL(id, family, .prepare = floats_prepare_##id, .run = floats_run_##id, \
           .done = step_done)

/* The `prepare` of a kernel that has nothing to prepare. */
int floats_nothing(const struct graph *g, const struct node *n, struct step *s,
                   struct weights *w, struct err *e);

#endif
