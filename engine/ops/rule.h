/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this room share: the rules and kernels that the operator
 * table names, and the questions that shape rules ask.
 *
 * A rule says what is wrong with the shapes; ops_infer() puts the node and
 * the operator before it.
 */
#ifndef ENGINE_OPS_RULE_H
#define ENGINE_OPS_RULE_H

#include <stdint.h>

#include "engine/ops/ops.h"

/* Each operator's rule and kernel: `int conv_infer(...)`, `kernel_CONV`. */
#define OP(id, domain, name, since, in_min, in_max, out_max, infer)            \
    int infer(struct graph *g, struct node *n, struct err *e);                 \
    extern const struct kernel kernel_##id;
#include "engine/ir/op_tbl.h"
#undef OP

/* One kernel of this room; the rest are designated initializers. */
#define KERNEL(id, family, ...)                                                \
    const struct kernel kernel_##id = {                                        \
        .op = OP_##id, .name = "ops." family, .fits = ops_fits, __VA_ARGS__}

/* Sets of element types. */
#define TYPE(id) (1u << DTYPE_##id)
#define TYPES_REAL (TYPE(FLOAT) | TYPE(DOUBLE))
#define TYPES_SIGNED (TYPE(INT8) | TYPE(INT16) | TYPE(INT32) | TYPE(INT64))
#define TYPES_UNSIGNED                                                         \
    (TYPE(UINT8) | TYPE(UINT16) | TYPE(UINT32) | TYPE(UINT64))
#define TYPES_NUMBER (TYPES_REAL | TYPES_SIGNED | TYPES_UNSIGNED)
#define TYPES_INDEX (TYPE(INT32) | TYPE(INT64))
#define TYPES_ANY (TYPES_NUMBER | TYPE(BOOL) | TYPE(FLOAT16) | TYPE(BFLOAT16))

/*
 * True when a kernel of this room may run n: nothing is joined to it but
 * posts behind an operator that applies them.
 */
bool ops_fits(const struct graph *g, const struct node *n);

/* ERR_UNSUPPORTED unless input i (absent: fine) has one of these types. */
int rule_type(const struct graph *g, const struct node *n, int i,
              unsigned types, struct err *e);

/* ERR_INVALID unless input i (absent: fine) has the type of input 0. */
int rule_same_type(const struct graph *g, const struct node *n, int i,
                   struct err *e);

/* ERR_INVALID unless input i (absent: fine) has this shape. */
int rule_shape(const struct graph *g, const struct node *n, int i,
               const struct shape *want, struct err *e);

/* Gives output i (absent: fine) its type and shape, which may be impossible. */
int rule_out(struct graph *g, struct node *n, int i, enum dtype t,
             const struct shape *s, struct err *e);

/*
 * The integers of constant input i, which must be a scalar or one row.
 * Fails: ERR_UNSUPPORTED when it is no constant: `what` depends on data;
 *        ERR_INVALID when it is no int32 or int64, or has over max numbers.
 */
int rule_ints(const struct graph *g, const struct node *n, int i,
              const char *what, int64_t *out, int max, int *count,
              struct err *e);

/* The attribute `axis` brought into 0 <= axis < rank. */
int rule_axis(const struct node *n, int64_t dflt, int rank, int *axis,
              struct err *e);

/* Output k among a kernel's io. */
static inline void *
step_io_out(const struct step *s, void *const *io, int k)
{
    return io[s->node->n_in + k];
}

/* Takes `bytes` of zeroed memory as s->own; step_done() frees it. */
int step_own(struct step *s, size_t bytes, struct err *e);
void step_done(struct step *s);

/*
 * Two usual kinds of `prepare`.  s->own becomes the struct walk over output 0
 * and all inputs, each in its own layout; or the struct window of the node.
 */
int walk_prepare(const struct graph *g, const struct node *n, struct step *s,
                 struct weights *w, struct err *e);
int window_prepare(const struct graph *g, const struct node *n, struct step *s,
                   struct weights *w, struct err *e);

/*
 * The value of a unary operator on a real number; alpha and beta are its
 * attributes, CLIP's bounds; alpha != 0 is GELU's tanh form.
 */
typedef double unary_fn(double x, double alpha, double beta);
unary_fn *unary_find(enum op op);

/* Products that an Einsum adds up. */
double einsum_work(const struct graph *g, const struct node *n);

/* Applies the node's posts to output 0, which is float32 in any layout. */
void post_apply(const struct step *s, void *const *io);

/* Inputs 4 and 5 of CONV_SCALED or MATMUL_SCALED, scale and bias: each one
 * float32, or one a channel. */
int post_scale_check(const struct graph *g, const struct node *n,
                     int64_t channels, struct err *e);

/*
 * Output 0 of CONV_SCALED or MATMUL_SCALED holds int32 sums, `inner` of each
 * of `channels` in turn: they become scale * sum + bias, and posts are applied.
 */
void post_scale(const struct step *s, void *const *io, int64_t channels,
                int64_t inner);

#endif
