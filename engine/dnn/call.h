/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that is one primitive: which address goes where.  call_bind() to
 * call_done() are the functions of struct kernel.
 */
#ifndef ENGINE_DNN_CALL_H
#define ENGINE_DNN_CALL_H

#include "engine/dnn/prim.h"
#include "engine/ir/kernel.h"

struct call {
    struct prim *prim;
    const void *fixed[PRIM_ARGS]; /* known when the plan is made, or NULL */
    int io[PRIM_ARGS];            /* index into io[] of bind, or -1 */
    int sum; /* input that has to lie in dst before the call, or -1 */
    size_t sum_bytes;
};

void call_init(struct call *c);

/*
 * Packs the constant v (shared through w) and makes it the weights.
 * unsign: v is uint8 around 128 and the primitive wants int8.
 */
int call_weights(struct call *c, const struct value *v, bool unsign,
                 struct weights *w, struct err *e);

/* Builds the primitive; a copy of *c becomes s->own, which owns it then. */
int call_prepare(const struct call *c, struct step *s, struct err *e);

/*
 * A kernel that is nothing but one primitive: describe() fills in *c, whose
 * prim the caller then owns, also when it fails half-way (or it is NULL).
 * call_fits() asks whether it can; call_make() prepares the step.
 */
typedef int call_describe(const struct graph *g, const struct node *n,
                          struct call *c, struct err *e);
bool call_fits(call_describe *describe, const struct graph *g,
               const struct node *n);
int call_make(call_describe *describe, const struct graph *g,
              const struct node *n, struct step *s, struct err *e);

int call_bind(const struct step *s, void *const *io, void *scratch,
              void **state, struct err *e);
void call_unbind(const struct step *s, void *state);
int call_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e);
void call_done(struct step *s);

/* A 64-bit fingerprint of content, for keys of the weights store. */
uint64_t call_hash(const void *p, size_t bytes);

#endif
