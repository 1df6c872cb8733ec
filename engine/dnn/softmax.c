/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax and LogSoftmax along the last axis, LayerNormalization: rows of
 * float32, by oneDNN.
 */
#include "base/mem.h"
#include "engine/dnn/call.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/kernels.h"

/* x as [rows, cols], cols being the axes from `axis` on. */
static int
as_rows(const struct value *x, const struct value *y, int axis,
        struct prim_tensor *t, struct err *e)
{
    const struct shape *s = &x->shape;

    if (x->dtype != DTYPE_FLOAT || y->dtype != DTYPE_FLOAT ||
        !desc_nonempty(x) || s->rank < 1)
        return err_set(e, ERR_UNSUPPORTED, "%s", dtype_name(x->dtype));
    *t = (struct prim_tensor){
        .dtype = DTYPE_FLOAT,
        .rank = 2,
        .dim = {shape_span(s, 0, axis), shape_span(s, axis, s->rank)}};
    desc_row_major(t);
    return 0;
}

static int
describe_softmax(const struct graph *g, const struct node *n, struct call *c,
                 struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct prim_tensor t;
    int rank = x->shape.rank, axis, rc;

    call_init(c);
    if (n->n_posts > 0 || n->in_q != NULL || n->out_q != NULL)
        return err_set(e, ERR_UNSUPPORTED, "posts or scales");
    if ((rc = shape_axis(attr_int(n, "axis", -1), rank, &axis, e)) != 0)
        return rc;
    /* Axes of 1 behind the last one change nothing. */
    if (shape_span(&x->shape, axis + 1, rank) != 1)
        return err_set(e, ERR_UNSUPPORTED, "axis %d of %d", axis, rank);
    if ((rc = as_rows(x, y, axis, &t, e)) != 0)
        return rc;
    c->io[PRIM_SRC] = 0;
    c->io[PRIM_DST] = n->n_in;
    return prim_softmax(&t, n->op == OP_LOG_SOFTMAX, &c->prim, e);
}

/* A constant of n floats, or nothing. */
static bool
is_vector(const struct value *v, int64_t n)
{
    return v != NULL && v->data != NULL && v->dtype == DTYPE_FLOAT &&
           (int64_t)shape_n(&v->shape) == n;
}

static int
describe_norm(const struct graph *g, const struct node *n, struct call *c,
              struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const struct value *b = node_in(g, n, 2);
    struct prim_tensor t;
    int axis, rc;

    call_init(c);
    if (n->n_posts > 0 || n->in_q != NULL || n->out_q != NULL ||
        (n->n_out > 1 && n->out[1] >= 0) || (n->n_out > 2 && n->out[2] >= 0))
        return err_set(e, ERR_UNSUPPORTED, "posts, scales or Mean");
    if ((rc = shape_axis(attr_int(n, "axis", -1), x->shape.rank, &axis, e)) !=
            0 ||
        (rc = as_rows(x, y, axis, &t, e)) != 0)
        return rc;
    if (!is_vector(node_in(g, n, 1), t.dim[1]) ||
        (b != NULL && !is_vector(b, t.dim[1])))
        return err_set(e, ERR_UNSUPPORTED, "Scale and B are no vectors");
    c->io[PRIM_SRC] = 0;
    c->io[PRIM_GAMMA] = 1;
    if (b != NULL)
        c->io[PRIM_BETA] = 2;
    c->io[PRIM_DST] = n->n_in;
    return prim_layer_norm(&t, attr_float(n, "epsilon", 1e-5f), b != NULL,
                           &c->prim, e);
}

static int
describe(const struct graph *g, const struct node *n, struct call *c,
         struct err *e)
{
    return n->op == OP_LAYER_NORMALIZATION ? describe_norm(g, n, c, e)
                                           : describe_softmax(g, n, c, e);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    return call_fits(describe, g, n);
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    int rc = call_make(describe, g, n, s, e);

    (void)w;
    if (rc == 0)
        s->inplace = 0;
    return rc;
}

#define ROWS(id, op_id, text)                                                  \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = text,                                                          \
        .layout = KERNEL_PLAIN,                                                \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .bind = call_bind,                                                     \
        .unbind = call_unbind,                                                 \
        .run = call_run,                                                       \
        .done = call_done,                                                     \
    }

ROWS(dnn_softmax, OP_SOFTMAX, "dnn.softmax");
ROWS(dnn_log_softmax, OP_LOG_SOFTMAX, "dnn.softmax");
ROWS(dnn_layer_norm, OP_LAYER_NORMALIZATION, "dnn.norm");
