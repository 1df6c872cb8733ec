/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMulInteger with a constant second factor: the product of the bytes by
 * oneDNN, the zero points here, all in exact 32-bit sums:
 *
 *     sum_k (a - p)(b - q) = sum a b - p sum b - q (sum a - K p)
 *
 * A uint8 second factor is shifted by 128 when it is packed, and q with it.
 * MatMulIntegerToFloat has the sums in scratch memory and makes them real row
 * by row; its posts run behind that.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/matmul.h"
#include "engine/dnn/row.h"
#include "engine/dnn/tail.h"

struct product {
    struct prim *prim;
    const void *weights;
    int64_t rows, k, cols;
    int32_t *column_sum;  /* of b, shifted */
    int32_t *column_zero; /* q; NULL when all are 0 */
    bool zero_per_row;
    bool real;   /* MatMulIntegerToFloat */
    size_t sums; /* where they lie in the scratch memory */
    struct tail tail;
};

struct product_state {
    struct prim_call *call;
    struct tail_calls tail;
};

/* Elements of an 8-bit tensor as integers. */
static int32_t
byte_at(const struct value *v, const void *data, int64_t i)
{
    return v->dtype == DTYPE_UINT8 ? ((const uint8_t *)data)[i]
                                   : ((const int8_t *)data)[i];
}

static bool
zeros_fit(const struct graph *g, const struct node *n,
          const struct prim_matmul *m)
{
    const struct value *p = node_in(g, n, 2), *q = node_in(g, n, 3);
    size_t rows = (size_t)m->src.dim[0], cols = (size_t)m->weights.dim[1];

    if (p != NULL && shape_n(&p->shape) != 1 && shape_n(&p->shape) != rows)
        return false;
    return q == NULL || (q->data != NULL && (shape_n(&q->shape) == 1 ||
                                             shape_n(&q->shape) == cols));
}

static int
describe(const struct graph *g, const struct node *n, struct prim_matmul *m,
         struct prim **out, struct err *e)
{
    const struct value *a = node_in(g, n, 0), *b = node_in(g, n, 1);
    static const float one = 1;
    const int32_t middle = b->dtype == DTYPE_UINT8 ? 128 : 0;
    const struct qparam symmetric = {-1, 1, &one, &middle};
    struct prim_math math = {.dst_scale = 1};
    const char *fault;
    int rc = matmul_shape(g, n, m, e);

    if (rc != 0)
        return rc;
    m->dst.dtype = DTYPE_INT32;
    if (!dtype_is_8bit(a->dtype) || m->src.rank != 2 || !zeros_fit(g, n, m))
        return err_set(e, ERR_UNSUPPORTED, "types or zero points");
    fault = desc_weights_fault(b, &symmetric, 0, NULL);
    if (fault == NULL && a->dtype == DTYPE_INT8 && !prim_has_vnni())
        fault = "int8 input is inexact on a CPU without VNNI";
    if (fault != NULL)
        return err_set(e, ERR_UNSUPPORTED, "%s", fault);
    return prim_matmul(m, &math, out, e);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct prim_matmul m;
    struct prim *prim = NULL;
    struct tail tail = {0};
    struct err e;
    int rc = describe(g, n, &m, &prim, &e);

    if (rc == 0)
        rc = tail_make(g, n, 0, &tail, &e);
    tail_free(&tail);
    prim_free(&prim);
    return rc == 0;
}

static void
done(struct step *s)
{
    struct product *p = s->own;

    if (p == NULL)
        return;
    prim_free(&p->prim);
    tail_free(&p->tail);
    mem_free(p->column_sum);
    mem_free(p->column_zero);
    mem_free(p);
    s->own = NULL;
}

/* Sums of the columns, and their zero points when one of them is not 0. */
static int
read_columns(const struct graph *g, const struct node *n, struct product *p,
             struct err *e)
{
    const struct value *b = node_in(g, n, 1), *q = node_in(g, n, 3);
    const int shift = b->dtype == DTYPE_UINT8 ? 128 : 0;
    bool any = false;

    p->column_sum = mem_try((size_t)p->cols, sizeof(int32_t));
    p->column_zero = mem_try((size_t)p->cols, sizeof(int32_t));
    if (p->column_sum == NULL || p->column_zero == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for column sums");
    for (int64_t i = 0; i < p->k; i++)
        for (int64_t c = 0; c < p->cols; c++)
            p->column_sum[c] += byte_at(b, b->data, i * p->cols + c) - shift;
    for (int64_t c = 0; c < p->cols; c++) {
        bool one = q != NULL && shape_n(&q->shape) == 1;

        p->column_zero[c] =
            (q == NULL ? 0 : byte_at(q, q->data, one ? 0 : c)) - shift;
        any |= p->column_zero[c] != 0;
    }
    if (!any) {
        mem_free(p->column_zero);
        p->column_zero = NULL;
    }
    return 0;
}

/* Scratch: the primitives', the sums. */
static void
plan_scratch(struct product *p, struct step *s)
{
    size_t most = prim_scratch_bytes(p->prim);

    if (tail_scratch_bytes(&p->tail) > most)
        most = tail_scratch_bytes(&p->tail);
    p->sums = (most + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
    s->scratch_bytes = most;
    if (p->real)
        s->scratch_bytes =
            p->sums + (size_t)(p->rows * p->cols) * sizeof(int32_t);
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *b = node_in(g, n, 1), *zero = node_in(g, n, 2);
    struct product *p = mem_new(1, sizeof *p);
    struct prim_matmul m;
    struct call c;
    int rc = describe(g, n, &m, &p->prim, e);

    s->own = p;
    call_init(&c);
    c.prim = p->prim;
    if (rc == 0)
        rc = call_weights(&c, b, b->dtype == DTYPE_UINT8, w, e);
    if (rc == 0)
        rc = prim_build(p->prim, e);
    if (rc == 0)
        rc = tail_make(g, n, 0, &p->tail, e);
    if (rc == 0)
        rc = tail_build(&p->tail, e);
    if (rc == 0) {
        p->weights = c.fixed[PRIM_WEIGHTS];
        p->rows = m.src.dim[0];
        p->k = m.src.dim[1];
        p->cols = m.dst.dim[1];
        p->real = n->op == OP_MATMUL_SCALED;
        p->zero_per_row = zero != NULL && shape_n(&zero->shape) > 1;
        rc = read_columns(g, n, p, e);
    }
    if (rc != 0) {
        done(s);
        return rc;
    }
    plan_scratch(p, s);
    s->impl = prim_impl(p->prim);
    return 0;
}

static void
unbind(const struct step *s, void *state)
{
    struct product_state *t = state;

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
    const struct product *p = s->own;
    struct product_state *t = mem_new(1, sizeof *t);
    void *arg[PRIM_ARGS] = {0}, *y = io[s->node->n_in];
    int rc;

    arg[PRIM_SRC] = io[0];
    arg[PRIM_WEIGHTS] = (void *)p->weights;
    arg[PRIM_DST] = p->real ? (char *)scratch + p->sums : y;
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

struct product_run {
    const struct product *p;
    const struct step *s;
    void *const *io;
    int32_t *sums;
};

/* The sum with zero points of row i. */
static void
correct_row(const struct product_run *r, int64_t i)
{
    const struct product *p = r->p;
    const struct value *zeros = step_in(r->s, 2);
    int32_t zero = 0, rest = 0;

    if (zeros != NULL)
        zero = byte_at(zeros, r->io[2], p->zero_per_row ? i : 0);
    if (p->column_zero != NULL) {
        const char *x = (const char *)r->io[0] + i * p->k;

        rest = row_sum(x, step_in(r->s, 0)->dtype, p->k) - (int32_t)p->k * zero;
    }
    if (zero != 0)
        row_subtract(r->sums + i * p->cols, zero, p->column_sum, p->cols);
    if (rest != 0)
        row_subtract(r->sums + i * p->cols, rest, p->column_zero, p->cols);
}

static void
finish_row(void *arg, int64_t i)
{
    const struct product_run *r = arg;
    const struct value *scale, *bias;

    correct_row(r, i);
    if (!r->p->real)
        return;
    scale = step_in(r->s, 4);
    bias = step_in(r->s, 5);
    row_real((float *)r->io[r->s->node->n_in] + i * r->p->cols,
             r->sums + i * r->p->cols, r->io[4], shape_n(&scale->shape) > 1,
             bias == NULL ? NULL : r->io[5],
             bias != NULL && shape_n(&bias->shape) > 1, r->p->cols);
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct product *p = s->own;
    const struct product_state *t = state;
    struct product_run r = {
        .p = p,
        .s = s,
        .io = io,
        .sums =
            p->real ? (void *)((char *)scratch + p->sums) : io[s->node->n_in],
    };
    int rc = prim_run(t->call, e);

    if (rc == 0)
        grid_split(p->rows, p->cols + p->k, finish_row, &r);
    if (rc == 0)
        rc = tail_run(&p->tail, s, io, &t->tail, e);
    return rc;
}

#define PRODUCT(id, op_id)                                                     \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.matmul_int",                                              \
        .layout = KERNEL_PLAIN,                                                \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .bind = bind,                                                          \
        .unbind = unbind,                                                      \
        .run = run,                                                            \
        .done = done,                                                          \
    }

PRODUCT(dnn_matmul_integer, OP_MATMUL_INTEGER);
PRODUCT(dnn_matmul_scaled, OP_MATMUL_SCALED);
