/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and ConvTranspose of rank 3 to 5 on channels-last activations, in
 * float32 or int8.  Rank 3 is run as rank 4 with a height of 1.  Weights are
 * constant and packed once for all plans.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/call.h"
#include "engine/dnn/conv.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/tail.h"
#include "engine/ir/window.h"

/* What prim_conv() is asked for, and what the answer needs to be prepared. */
struct plan {
    struct prim_conv conv;
    struct prim_math math;
    struct call call;
    float *scale, *bias;
};

/* w [O,I/g,k...] (transposed: [I,O/g,k...]) -> [G,O/g,I/g,k...], rank 3
 * widened; without the G when there is one group. */
static void
weights_desc(const struct value *w, int64_t groups, bool transposed,
             struct prim_tensor *t)
{
    const struct shape *s = &w->shape;
    int wide = s->rank == 3, g = groups > 1, at = 0;
    int64_t inner = shape_span(s, 2, s->rank);
    int64_t a = s->dim[0] / groups, b = s->dim[1];

    *t = (struct prim_tensor){.dtype = w->dtype, .rank = s->rank + wide + g};
    if (t->dtype == DTYPE_UINT8)
        t->dtype = DTYPE_INT8; /* shifted by 128 when packed */
    if (g) {
        t->dim[at] = groups;
        t->stride[at++] = a * b * inner;
    }
    t->dim[at] = transposed ? b : a;
    t->stride[at++] = transposed ? inner : b * inner;
    t->dim[at] = transposed ? a : b;
    t->stride[at++] = transposed ? b * inner : inner;
    if (wide) {
        t->dim[at] = 1;
        t->stride[at++] = s->dim[2];
    }
    for (int i = 2; i < s->rank; i++) {
        t->dim[at] = s->dim[i];
        t->stride[at++] = shape_span(s, i + 1, s->rank);
    }
}

/* Input, weights and output of types that go together. */
static int
types(const struct graph *g, const struct node *n, struct plan *p,
      struct err *e)
{
    const struct value *x = node_in(g, n, 0), *w = node_in(g, n, 1);
    const struct value *y = node_out(g, n, 0);
    const struct qparam *xq = node_in_q(n, 0), *wq = node_in_q(n, 1);
    const char *fault;

    if (w->data == NULL)
        return err_set(e, ERR_UNSUPPORTED, "weights are not constant");
    if (n->out_q != NULL ? !dtype_is_8bit(y->dtype) : y->dtype != DTYPE_FLOAT)
        return err_set(e, ERR_UNSUPPORTED, "output is %s",
                       dtype_name(y->dtype));
    if (xq == NULL && wq == NULL)
        return x->dtype == DTYPE_FLOAT && w->dtype == DTYPE_FLOAT &&
                       n->out_q == NULL
                   ? 0
                   : err_set(e, ERR_UNSUPPORTED, "types differ");
    if (xq == NULL || wq == NULL || !dtype_is_8bit(x->dtype))
        return err_set(e, ERR_UNSUPPORTED, "only one side is quantized");
    if (xq->n != 1)
        return err_set(e, ERR_UNSUPPORTED, "per-channel activation scale");
    /* oneDNN halves the weights there, to make room for the shift to uint8. */
    if (x->dtype == DTYPE_INT8 && !prim_has_vnni())
        return err_set(e, ERR_UNSUPPORTED,
                       "int8 input is inexact on a CPU without VNNI");
    fault = desc_weights_fault(w, wq, n->op == OP_CONV ? 0 : 1, NULL);
    if (fault != NULL)
        return err_set(e, ERR_UNSUPPORTED, "%s", fault);
    p->scale = desc_scales(xq->scale[0], wq);
    if (p->scale == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for scales");
    p->math.scale = p->scale;
    p->math.n_scales = wq->n;
    p->math.src_zero = xq->zero[0];
    return 0;
}

/* oneDNN wants the padding to lead exactly to the output: a transposed
 * convolution is the way back of one from y to x. */
static int
window(const struct graph *g, const struct node *n, struct prim_conv *c,
       struct err *e)
{
    struct window w;
    int wide, rc = window_of(g, n, &w, e);

    if (rc != 0)
        return rc;
    wide = w.n == 1;
    for (int i = 0; i < WINDOW_MAX; i++)
        c->stride[i] = c->dilation[i] = 1;
    for (int i = 0; i < w.n; i++) {
        c->stride[i + wide] = w.stride[i];
        c->dilation[i + wide] = w.dilation[i];
        c->pad_lo[i + wide] = w.begin[i];
        c->pad_hi[i + wide] = w.end[i];
    }
    c->transposed = n->op == OP_CONV_TRANSPOSE;
    return 0;
}

int
conv_shape(const struct graph *g, const struct node *n, const struct value *w,
           const struct value *y, struct prim_conv *c, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int rc;

    if (!desc_nonempty(x) || !desc_nonempty(y) || !desc_nonempty(w))
        return err_set(e, ERR_UNSUPPORTED, "empty tensor");
    if ((rc = desc_image(x, &c->src, e)) != 0 ||
        (rc = desc_image(y, &c->dst, e)) != 0 || (rc = window(g, n, c, e)) != 0)
        return rc;
    weights_desc(w, attr_int(n, "group", 1), c->transposed, &c->weights);
    return 0;
}

static void
drop(struct plan *p)
{
    prim_free(&p->call.prim);
    mem_free(p->scale);
    mem_free(p->bias);
    memset(p, 0, sizeof *p);
}

/* Who does what stands behind the sum. */
enum posts { POSTS_SUM, POSTS_OPERANDS, POSTS_TAIL };

static int
try(const struct graph *g, const struct node *n, enum posts how, struct plan *p,
    struct err *e)
{
    const struct value *w = node_in(g, n, 1), *y = node_out(g, n, 0);
    const struct value *b = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    int channels = (int)y->shape.dim[1];
    int rc;

    call_init(&p->call);
    if ((rc = conv_shape(g, n, w, y, &p->conv, e)) != 0 ||
        (rc = types(g, n, p, e)) != 0)
        return rc;
    p->math.n_channels = channels;
    if (b != NULL) {
        rc = desc_bias(b, node_in_q(n, 2), channels, 1, &p->bias, e);
        if (rc != 0)
            return rc;
        p->math.bias = p->bias;
    }
    rc = desc_posts(g, n, how == POSTS_TAIL ? n->n_posts : 0, true,
                    how == POSTS_SUM, &p->conv.dst, &p->math, &p->call, e);
    if (rc != 0)
        return rc;
    p->call.io[PRIM_SRC] = 0;
    p->call.io[PRIM_DST] = n->n_in;
    rc = prim_conv(&p->conv, &p->math, &p->call.prim, e);
    /* Code generation fails for some that are on offer (one random node in
     * some thousands); oneDNN caches what it generates, so asking is cheap. */
    return rc != 0 ? rc : prim_build(p->call.prim, e);
}

/* A residual is added in place or read from where it is: oneDNN may have only
 * one of the two, and which is better depends on who else reads it. */
static int
describe(const struct graph *g, const struct node *n, struct plan *p,
         struct err *e)
{
    bool sum = desc_sum_free(g, n);
    int rc = try(g, n, sum ? POSTS_SUM : POSTS_OPERANDS, p, e);

    if (rc == 0 || n->n_posts == 0)
        return rc;
    drop(p);
    return try(g, n, sum ? POSTS_OPERANDS : POSTS_SUM, p, e);
}

int
dnn_conv_probe(const struct graph *g, const struct node *n, struct err *e)
{
    struct plan p = {0};
    int rc = describe(g, n, &p, e);

    drop(&p);
    return rc;
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct err e;

    return dnn_conv_probe(g, n, &e) == 0;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    struct plan p = {0};
    const struct value *weights = node_in(g, n, 1);
    int rc = describe(g, n, &p, e);

    if (rc == 0)
        rc =
            call_weights(&p.call, weights, weights->dtype == DTYPE_UINT8, w, e);
    if (rc == 0)
        rc = call_prepare(&p.call, s, e);
    if (rc == 0)
        p.call.prim = NULL;
    drop(&p);
    return rc;
}

/* --- with the posts behind it -------------------------------------------- */

struct tailed {
    struct call call; /* first: call_bind() and the others find it there */
    struct tail tail;
};

struct tailed_state {
    void *call;
    struct tail_calls tail;
};

/* Float nodes with posts that no kernel of oneDNN does, or does right. */
static int
tailed_describe(const struct graph *g, const struct node *n, struct plan *p,
                struct tail *t, struct err *e)
{
    int rc;

    if (n->n_posts == 0 || n->in_q != NULL || n->out_q != NULL)
        return err_set(e, ERR_UNSUPPORTED, "no posts, or quantized");
    rc = tail_make(g, n, 0, t, e);
    return rc != 0 ? rc : try(g, n, POSTS_TAIL, p, e);
}

static bool
tailed_fits(const struct graph *g, const struct node *n)
{
    struct plan p = {0};
    struct tail t = {0};
    struct err e;
    int rc = tailed_describe(g, n, &p, &t, &e);

    tail_free(&t);
    drop(&p);
    return rc == 0;
}

static void
tailed_done(struct step *s)
{
    struct tailed *own = s->own;

    if (own == NULL)
        return;
    tail_free(&own->tail);
    call_done(s);
}

static int
tailed_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    struct tailed *own = mem_new(1, sizeof *own);
    struct plan p = {0};
    int rc = tailed_describe(g, n, &p, &own->tail, e);

    if (rc == 0)
        rc = call_weights(&p.call, node_in(g, n, 1), false, w, e);
    if (rc == 0)
        rc = prim_build(p.call.prim, e);
    if (rc == 0)
        rc = tail_build(&own->tail, e);
    own->call = p.call;
    p.call.prim = NULL;
    drop(&p);
    s->own = own;
    if (rc != 0) {
        tailed_done(s);
        return rc;
    }
    s->impl = prim_impl(own->call.prim);
    s->scratch_bytes = prim_scratch_bytes(own->call.prim);
    if (tail_scratch_bytes(&own->tail) > s->scratch_bytes)
        s->scratch_bytes = tail_scratch_bytes(&own->tail);
    return 0;
}

static void
tailed_unbind(const struct step *s, void *state)
{
    struct tailed_state *t = state;

    if (t == NULL)
        return;
    call_unbind(s, t->call);
    tail_unbind(&t->tail);
    mem_free(t);
}

static int
tailed_bind(const struct step *s, void *const *io, void *scratch, void **state,
            struct err *e)
{
    const struct tailed *own = s->own;
    struct tailed_state *t = mem_new(1, sizeof *t);
    int rc = call_bind(s, io, scratch, &t->call, e);

    if (rc == 0)
        rc = tail_bind(&own->tail, io[s->node->n_in], scratch, &t->tail, e);
    if (rc != 0) {
        tailed_unbind(s, t);
        return rc;
    }
    *state = t;
    return 0;
}

static int
tailed_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct tailed *own = s->own;
    const struct tailed_state *t = state;
    int rc = call_run(s, io, scratch, t->call, e);

    return rc != 0 ? rc : tail_run(&own->tail, s, io, &t->tail, e);
}

const struct kernel dnn_conv = {
    .op = OP_CONV,
    .name = "dnn.conv",
    .layout = KERNEL_NXC,
    .fits = fits,
    .prepare = prepare,
    .bind = call_bind,
    .unbind = call_unbind,
    .run = call_run,
    .done = call_done,
};

const struct kernel dnn_conv_transpose = {
    .op = OP_CONV_TRANSPOSE,
    .name = "dnn.conv_transpose",
    .layout = KERNEL_NXC,
    .fits = fits,
    .prepare = prepare,
    .bind = call_bind,
    .unbind = call_unbind,
    .run = call_run,
    .done = call_done,
};

#define TAILED(id, op_id)                                                      \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.conv_tail",                                               \
        .layout = KERNEL_NXC,                                                  \
        .fits = tailed_fits,                                                   \
        .prepare = tailed_prepare,                                             \
        .bind = tailed_bind,                                                   \
        .unbind = tailed_unbind,                                               \
        .run = tailed_run,                                                     \
        .done = tailed_done,                                                   \
    }

TAILED(dnn_conv_tail, OP_CONV);
TAILED(dnn_conv_transpose_tail, OP_CONV_TRANSPOSE);
