/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts of a float32 node that its primitive does not do: run behind it, in
 * place, by our own loops or by oneDNN's eltwise where it takes exponentials.
 */
#ifndef ENGINE_DNN_TAIL_H
#define ENGINE_DNN_TAIL_H

#include "engine/dnn/prim.h"
#include "engine/ir/kernel.h"

struct tail {
    int first;                          /* posts before it are done */
    struct prim *unary[NODE_MAX_POSTS]; /* or NULL: a loop */
};

struct tail_calls {
    struct prim_call *unary[NODE_MAX_POSTS];
};

/*
 * Posts from `first` on.  The elements of operands repeat as struct post has
 * it, in the order in which the output lies.
 * Fails: ERR_UNSUPPORTED when one can't be done; t is to be freed all the same.
 */
int tail_make(const struct graph *g, const struct node *n, int first,
              struct tail *t, struct err *e);
int tail_build(struct tail *t, struct err *e);
size_t tail_scratch_bytes(const struct tail *t);
void tail_free(struct tail *t);

int tail_bind(const struct tail *t, void *y, void *scratch,
              struct tail_calls *c, struct err *e);
int tail_run(const struct tail *t, const struct step *s, void *const *io,
             const struct tail_calls *c, struct err *e);
/*
 * When no post needs a primitive: all of them on the n elements from `at` on,
 * which do not reach over the end of an operand.
 */
bool tail_is_loops(const struct tail *t);
void tail_part(const struct step *s, void *const *io, int first, int64_t at,
               int64_t n);

void tail_unbind(struct tail_calls *c);

#endif
