/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul and Gemm of a float32 activation with int8 weights, one scale a
 * column: each row of the activation gets its own symmetric scale when it is
 * there (largest magnitude / 127), so rows never influence each other and a
 * batch is answered as its rows are alone.
 *
 *     y[r,c] = row[r] * column[c] * sum_k q[r,k] * w[k,c] + bias[c], posts
 *
 * Activations that oneDNN would have to shift are shifted here: q + 128 is
 * uint8 with the zero point 128, for which the primitive's kernels are best.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/matmul.h"
#include "engine/dnn/row.h"
#include "engine/dnn/tail.h"

struct rows {
    struct prim *prim; /* uint8 [rows,k] x int8 [k,cols] -> float32 */
    struct tail tail;
    const void *weights;
    float *bias;
    int64_t rows, k, cols;
    size_t integers, scales; /* where they lie in the scratch memory */
};

struct rows_state {
    struct prim_call *call;
    struct tail_calls tail;
};

enum { ZERO = 128 };

static int
check(const struct graph *g, const struct node *n, struct matmul_plan *p,
      struct err *e)
{
    const struct value *a = node_in(g, n, 0), *b = node_in(g, n, 1);
    const struct qparam *q = node_in_q(n, 1);
    const char *fault;
    int rc = matmul_shape(g, n, &p->mul, e);

    if (rc != 0)
        return rc;
    if (a->dtype != DTYPE_FLOAT || node_in_q(n, 0) != NULL || q == NULL ||
        n->out_q != NULL || node_out(g, n, 0)->dtype != DTYPE_FLOAT)
        return err_set(e, ERR_UNSUPPORTED, "types");
    fault = desc_weights_fault(b, q, matmul_column_axis(g, n), NULL);
    if (fault != NULL)
        return err_set(e, ERR_UNSUPPORTED, "%s", fault);
    /* Rows have to lie one behind the other. */
    if (p->mul.src.rank != 2 || p->mul.src.stride[1] != 1)
        return err_set(e, ERR_UNSUPPORTED, "the second factor has batches");
    return 0;
}

/* The integer product in floats; the rest is done here, row by row. */
static int
describe(const struct graph *g, const struct node *n, struct matmul_plan *p,
         struct err *e)
{
    float alpha = n->op == OP_GEMM ? attr_float(n, "alpha", 1) : 1;
    int rc = check(g, n, p, e);

    if (rc != 0 || (rc = matmul_bias(g, n, p, e)) != 0)
        return rc;
    if (p->bias == NULL && n->op == OP_GEMM && n->n_own > 2 && n->in[2] >= 0)
        return err_set(e, ERR_UNSUPPORTED, "C is no vector");
    p->scale = desc_scales(alpha, node_in_q(n, 1));
    if (p->scale == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for scales");
    p->math = (struct prim_math){
        .scale = p->scale,
        .n_scales = node_in_q(n, 1)->n,
        .src_zero = ZERO,
        .dst_scale = 1,
    };
    p->mul.src.dtype = DTYPE_UINT8;
    return prim_matmul(&p->mul, &p->math, &p->call.prim, e);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct matmul_plan p = {0};
    struct tail tail = {0};
    struct err e;
    int rc = describe(g, n, &p, &e);

    if (rc == 0)
        rc = tail_make(g, n, p.first_post, &tail, &e);
    tail_free(&tail);
    matmul_drop(&p);
    return rc == 0;
}

static size_t
aligned(size_t bytes)
{
    return (bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
}

/* Scratch: the primitives', the integers, a scale a row. */
static void
plan_scratch(struct rows *r, struct step *s)
{
    size_t most = prim_scratch_bytes(r->prim);

    if (tail_scratch_bytes(&r->tail) > most)
        most = tail_scratch_bytes(&r->tail);
    r->integers = aligned(most);
    r->scales = r->integers + aligned((size_t)(r->rows * r->k));
    s->scratch_bytes = r->scales + aligned((size_t)r->rows * sizeof(float));
}

static void
done(struct step *s)
{
    struct rows *r = s->own;

    if (r == NULL)
        return;
    prim_free(&r->prim);
    tail_free(&r->tail);
    mem_free(r->bias);
    mem_free(r);
    s->own = NULL;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *b = node_in(g, n, 1);
    struct matmul_plan p = {0};
    struct rows *r = mem_new(1, sizeof *r);
    int rc = describe(g, n, &p, e);

    s->own = r;
    if (rc == 0)
        rc = tail_make(g, n, p.first_post, &r->tail, e);
    if (rc == 0)
        rc = call_weights(&p.call, b, b->dtype == DTYPE_UINT8, w, e);
    r->prim = p.call.prim;
    r->weights = p.call.fixed[PRIM_WEIGHTS];
    r->bias = p.bias;
    r->rows = p.mul.src.dim[0];
    r->k = p.mul.src.dim[1];
    r->cols = p.mul.dst.dim[1];
    p.call.prim = NULL;
    p.bias = NULL;
    matmul_drop(&p);
    if (rc == 0)
        rc = prim_build(r->prim, e);
    if (rc == 0)
        rc = tail_build(&r->tail, e);
    if (rc != 0) {
        done(s);
        return rc;
    }
    plan_scratch(r, s);
    s->impl = prim_impl(r->prim);
    return 0;
}

static void
unbind(const struct step *s, void *state)
{
    struct rows_state *t = state;

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
    const struct rows *r = s->own;
    struct rows_state *t = mem_new(1, sizeof *t);
    void *y = io[s->node->n_in];
    void *arg[PRIM_ARGS] = {0};
    int rc;

    arg[PRIM_SRC] = (char *)scratch + r->integers;
    arg[PRIM_WEIGHTS] = (void *)r->weights;
    arg[PRIM_DST] = y;
    rc = prim_bind(r->prim, arg, scratch, &t->call, e);
    if (rc == 0)
        rc = tail_bind(&r->tail, y, scratch, &t->tail, e);
    if (rc != 0) {
        unbind(s, t);
        return rc;
    }
    *state = t;
    return 0;
}

struct rows_run {
    const struct rows *r;
    const struct node *node;
    const struct step *step;
    bool whole; /* the posts too are done row by row */
    void *const *io;
    uint8_t *q;
    float *scale;
};

static void
quantize_row(void *arg, int64_t i)
{
    const struct rows_run *run = arg;
    int64_t k = run->r->k;
    const float *x = (const float *)run->io[0] + i * k;
    float scale = row_max_abs(x, k) / 127;

    /* A row of zeros, or of less than can be told from them. */
    if (!(scale > 0) || scale > 1e37f)
        scale = 1;
    run->scale[i] = scale;
    row_store(run->q + i * k, DTYPE_UINT8, x, k, scale, ZERO);
}

static void
scale_row(void *arg, int64_t i)
{
    const struct rows_run *run = arg;
    int64_t n = run->r->cols;

    row_scale_add((float *)run->io[run->node->n_in] + i * n, run->scale[i],
                  run->r->bias, n);
    if (run->whole) /* while the row is near */
        tail_part(run->step, run->io, run->r->tail.first, i * n, n);
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct rows *r = s->own;
    const struct rows_state *t = state;
    struct rows_run a = {
        .r = r,
        .node = s->node,
        .step = s,
        .whole = tail_is_loops(&r->tail),
        .io = io,
        .q = (uint8_t *)scratch + r->integers,
        .scale = (float *)(void *)((char *)scratch + r->scales),
    };
    int rc;

    grid_split(r->rows, r->k, quantize_row, &a);
    rc = prim_run(t->call, e);
    if (rc == 0)
        grid_split(r->rows, r->cols, scale_row, &a);
    if (rc == 0 && !a.whole)
        rc = tail_run(&r->tail, s, io, &t->tail, e);
    return rc;
}

#define ROWS(id, op_id)                                                        \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.matmul_row",                                              \
        .layout = KERNEL_PLAIN,                                                \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .bind = bind,                                                          \
        .unbind = unbind,                                                      \
        .run = run,                                                            \
        .done = done,                                                          \
    }

ROWS(dnn_matmul_row, OP_MATMUL);
ROWS(dnn_gemm_row, OP_GEMM);
