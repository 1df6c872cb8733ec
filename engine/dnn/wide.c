/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMulIntegerToFloat and ConvIntegerToFloat computed in float32, where their
 * integer kernels can't: before VNNI, when weights use all of 8 bits.  Bytes
 * less their zero points are floats exactly, and so are their products; sums
 * are rounded once they pass 2^24.
 */
#include "base/mem.h"
#include "engine/dnn/call.h"
#include "engine/dnn/conv.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/dnn.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/matmul.h"
#include "engine/dnn/row.h"
#include "engine/dnn/tail.h"

struct wide {
    struct prim *prim;
    const void *weights;
    struct tail tail;
    int64_t count, rows, channels; /* elements of x; places, channels of y */
    size_t floats;                 /* where x lies in the scratch memory */
};

struct wide_state {
    struct prim_call *call;
    struct tail_calls tail;
};

static int32_t
byte_at(const struct value *v, const void *data, int64_t i)
{
    return v->dtype == DTYPE_UINT8 ? ((const uint8_t *)data)[i]
                                   : ((const int8_t *)data)[i];
}

/* --- the plan ------------------------------------------------------------ */

static int
check(const struct graph *g, const struct node *n, int64_t channels,
      struct err *e)
{
    const struct value *x = node_in(g, n, 0), *w = node_in(g, n, 1);
    const struct value *xz = node_in(g, n, 2), *wz = node_in(g, n, 3);

    if (!dtype_is_8bit(x->dtype) || !dtype_is_8bit(w->dtype) || w->data == NULL)
        return err_set(e, ERR_UNSUPPORTED, "types");
    if ((xz != NULL && shape_n(&xz->shape) != 1) ||
        (wz != NULL &&
         (wz->data == NULL || (shape_n(&wz->shape) != 1 &&
                               shape_n(&wz->shape) != (size_t)channels))))
        return err_set(e, ERR_UNSUPPORTED, "zero points");
    return 0;
}

static int
describe_conv(const struct graph *g, const struct node *n, struct wide *p,
              struct err *e)
{
    const struct prim_math m = {.dst_scale = 1};
    const struct value *y = node_out(g, n, 0);
    struct value w = *node_in(g, n, 1);
    struct prim_conv c = {0};
    int rc;

    w.dtype = DTYPE_FLOAT;
    rc = conv_shape(g, n, &w, y, &c, e);
    if (rc != 0)
        return rc;
    p->channels = y->shape.dim[1];
    c.src.dtype = DTYPE_FLOAT;
    return prim_conv(&c, &m, &p->prim, e);
}

static int
describe_matmul(const struct graph *g, const struct node *n, struct wide *p,
                struct err *e)
{
    const struct prim_math m = {.dst_scale = 1};
    struct prim_matmul c = {0};
    int rc = matmul_shape(g, n, &c, e);

    if (rc != 0)
        return rc;
    if (c.src.rank != 2 || !c.pack)
        return err_set(e, ERR_UNSUPPORTED, "the second factor has batches");
    p->channels = c.dst.dim[1];
    c.src.dtype = c.weights.dtype = c.dst.dtype = DTYPE_FLOAT;
    return prim_matmul(&c, &m, &p->prim, e);
}

static int
describe(const struct graph *g, const struct node *n, struct wide *p,
         struct err *e)
{
    int rc = n->op == OP_CONV_SCALED ? describe_conv(g, n, p, e)
                                     : describe_matmul(g, n, p, e);

    if (rc == 0)
        rc = check(g, n, p->channels, e);
    if (rc == 0)
        rc = tail_make(g, n, 0, &p->tail, e);
    if (rc == 0)
        rc = prim_build(p->prim, e);
    return rc;
}

static void
drop(struct wide *p)
{
    prim_free(&p->prim);
    tail_free(&p->tail);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct wide p = {0};
    struct err e;
    int rc = describe(g, n, &p, &e);

    drop(&p);
    return rc == 0;
}

struct floats {
    const struct value *w, *zero;
    int64_t inner, channels; /* channel of element i: i / inner % channels */
};

static int
make_floats(void *dst, void *arg, struct err *e)
{
    const struct floats *f = arg;
    const int64_t count = (int64_t)shape_n(&f->w->shape);
    const bool one = f->zero != NULL && shape_n(&f->zero->shape) == 1;
    float *y = dst;

    (void)e;
    for (int64_t i = 0; i < count; i++) {
        int32_t zero = 0;

        if (f->zero != NULL)
            zero = byte_at(f->zero, f->zero->data,
                           one ? 0 : i / f->inner % f->channels);
        y[i] = (float)(byte_at(f->w, f->w->data, i) - zero);
    }
    return 0;
}

static int
pack_weights(const struct graph *g, const struct node *n, struct wide *p,
             struct weights *w, struct err *e)
{
    const struct value *from = node_in(g, n, 1), *zero = node_in(g, n, 3);
    const size_t count = shape_n(&from->shape);
    struct floats f = {from, zero, 1, p->channels};
    struct value real = *from;
    struct {
        char tag[8];
        const void *at;
        uint64_t hash[2];
    } key = {.tag = "widened", .at = from->data};
    struct call c;
    int rc;

    if (n->op == OP_CONV_SCALED)
        f.inner = (int64_t)count / p->channels;
    key.hash[0] = call_hash(from->data, count);
    if (zero != NULL)
        key.hash[1] = call_hash(zero->data, shape_n(&zero->shape));
    real.dtype = DTYPE_FLOAT;
    real.data = weights_get(w, &key, sizeof key, count * sizeof(float),
                            make_floats, &f, e);
    if (real.data == NULL)
        return e->code;
    call_init(&c);
    c.prim = p->prim;
    rc = call_weights(&c, &real, false, w, e);
    p->weights = c.fixed[PRIM_WEIGHTS];
    return rc;
}

static void
done(struct step *s)
{
    if (s->own == NULL)
        return;
    drop(s->own);
    mem_free(s->own);
    s->own = NULL;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    struct wide *p = mem_new(1, sizeof *p);
    size_t most;
    int rc = describe(g, n, p, e);

    s->own = p;
    if (rc == 0)
        rc = tail_build(&p->tail, e);
    if (rc == 0)
        rc = pack_weights(g, n, p, w, e);
    if (rc != 0) {
        done(s);
        return rc;
    }
    p->count = (int64_t)shape_n(&node_in(g, n, 0)->shape);
    p->rows = (int64_t)shape_n(&node_out(g, n, 0)->shape) / p->channels;
    most = prim_scratch_bytes(p->prim);
    if (tail_scratch_bytes(&p->tail) > most)
        most = tail_scratch_bytes(&p->tail);
    p->floats = (most + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
    s->scratch_bytes = p->floats + (size_t)p->count * sizeof(float);
    s->impl = prim_impl(p->prim);
    return 0;
}

/* --- the run ------------------------------------------------------------- */

static void
unbind(const struct step *s, void *state)
{
    struct wide_state *t = state;

    (void)s;
    if (t == NULL)
        return;
    prim_unbind(&t->call);
    tail_unbind(&t->tail);
    mem_free(t);
}

static int
bind(const struct step *s, void *const *io, void *scratch, void **state,
     struct err *e)
{
    const struct wide *p = s->own;
    struct wide_state *t = mem_new(1, sizeof *t);
    void *arg[PRIM_ARGS] = {0}, *y = io[s->node->n_in];
    int rc;

    arg[PRIM_SRC] = (char *)scratch + p->floats;
    arg[PRIM_WEIGHTS] = (void *)p->weights;
    arg[PRIM_DST] = y;
    rc = prim_bind(p->prim, arg, scratch, &t->call, e);
    if (rc == 0)
        rc = tail_bind(&p->tail, y, scratch, &t->tail, e);
    if (rc != 0) {
        unbind(s, t);
        return rc;
    }
    *state = t;
    return 0;
}

enum { PIECE = 8192 };

struct wide_run {
    const struct wide *p;
    const struct step *s;
    void *const *io;
    float *x;
    int32_t zero;
};

static void
widen_piece(void *arg, int64_t i)
{
    const struct wide_run *r = arg;
    const int64_t at = i * PIECE, left = r->p->count - at;

    row_load(r->x + at, (const char *)r->io[0] + at, step_in(r->s, 0)->dtype,
             left < PIECE ? left : PIECE, 1, r->zero);
}

static void
scale_row(void *arg, int64_t i)
{
    const struct wide_run *r = arg;
    const struct value *scale = step_in(r->s, 4), *bias = step_in(r->s, 5);
    const int64_t n = r->p->channels;
    float *y = (float *)r->io[r->s->node->n_in] + i * n;

    row_binary(OP_MUL, y, y, 1, r->io[4], shape_n(&scale->shape) > 1, n);
    if (bias != NULL)
        row_binary(OP_ADD, y, y, 1, r->io[5], shape_n(&bias->shape) > 1, n);
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct wide *p = s->own;
    const struct wide_state *t = state;
    const struct value *zero = step_in(s, 2);
    struct wide_run r = {
        .p = p,
        .s = s,
        .io = io,
        .x = (void *)((char *)scratch + p->floats),
        .zero = zero == NULL ? 0 : byte_at(zero, io[2], 0),
    };
    int rc;

    grid_split((p->count + PIECE - 1) / PIECE, PIECE, widen_piece, &r);
    rc = prim_run(t->call, e);
    if (rc == 0)
        grid_split(p->rows, p->channels, scale_row, &r);
    if (rc == 0)
        rc = tail_run(&p->tail, s, io, &t->tail, e);
    return rc;
}

#define WIDE(id, op_id, in_layout)                                             \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = DNN_WIDE,                                                      \
        .layout = in_layout,                                                   \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .bind = bind,                                                          \
        .unbind = unbind,                                                      \
        .run = run,                                                            \
        .done = done,                                                          \
    }

WIDE(dnn_conv_wide, OP_CONV_SCALED, KERNEL_NXC);
WIDE(dnn_matmul_wide, OP_MATMUL_SCALED, KERNEL_PLAIN);
