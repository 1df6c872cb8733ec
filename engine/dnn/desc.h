/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the engine's nouns to those of prim.h: tensors, windows, posts.
 */
#ifndef ENGINE_DNN_DESC_H
#define ENGINE_DNN_DESC_H

#include "engine/dnn/call.h"
#include "engine/dnn/prim.h"
#include "engine/ir/graph.h"

/* Every dimension of v is known and > 0, and there are no more elements than
 * an int counts: oneDNN uses ints within. */
bool desc_nonempty(const struct value *v);

/* Row-major strides for t->dim, whatever was there. */
void desc_row_major(struct prim_tensor *t);

/* Rank 1 to PRIM_MAX_RANK, row-major. */
int desc_plain(const struct value *v, struct prim_tensor *t, struct err *e);

/*
 * [N,C,spatial...] of rank 3 to 5, channels innermost; rank 3 becomes 4 with
 * a height of 1.
 */
int desc_image(const struct value *v, struct prim_tensor *t, struct err *e);

/*
 * The posts of n from number `first` on and the scale of its output, appended
 * to m; addresses of the operands are noted in c.
 *
 * dst:  output 0 as the primitive sees it.
 * sum:  an ADD whose operand has the bytes of the output is done in place
 *       (call_run() copies the operand there if it must); otherwise it is read
 *       from where it is.
 */
int desc_posts(const struct graph *g, const struct node *n, int first,
               bool image, bool sum, const struct prim_tensor *dst,
               struct prim_math *m, struct call *c, struct err *e);

/* True when the operand of n's first ADD is read by nobody after n: then in
 * place is the better way. */
bool desc_sum_free(const struct graph *g, const struct node *n);

/*
 * Can the constant bytes w be int8 weights with scales along axis?  uint8 are
 * shifted by 128 when they are packed, and their zero points with them.
 * Without VNNI no magnitude may exceed 64, as pairs of products would
 * saturate.  Returns NULL when they can, else the reason, for people.
 *
 * zero: out; the zero point of all of them, shifted.  NULL: it must be 0.
 */
const char *desc_weights_fault(const struct value *w, const struct qparam *q,
                               int axis, int32_t *zero);

/* q->scale[i] * a, q->n of them; mem_free() frees it, NULL: no memory. */
float *desc_scales(float a, const struct qparam *q);

/*
 * A constant bias of n (or 1) elements as n floats times factor: float32, or
 * int32 that q makes real.  mem_free() frees it.
 * Fails: ERR_UNSUPPORTED when it is anything else, ERR_NO_MEMORY.
 */
int desc_bias(const struct value *v, const struct qparam *q, int n,
              float factor, float **out, struct err *e);

#endif
