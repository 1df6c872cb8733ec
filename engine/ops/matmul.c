/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices: MatMul as numpy has it, Gemm, MatMulInteger.
 *
 * Real numbers are summed in double precision; integers wrap.
 */
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/*
 * y[b,m,n] = sum over k of a[b,m,k] * b[b,k,n], each operand by strides in
 * elements; batch axes broadcast by a stride of 0.
 */
struct product {
    int64_t M, N, K;
    int64_t a_m, a_k, b_k, b_n;
    struct shape batch;
    int64_t a_step[SHAPE_MAX_RANK], b_step[SHAPE_MAX_RANK];
};

/* --- MatMul's shapes -------------------------------------------------------
 */

/* Steps of the batch axes of s (all but the last two) as seen from `batch`. */
static void
batch_steps(const struct shape *s, const struct shape *batch, int64_t *step)
{
    int own = s->rank - 2, lead = batch->rank - own;

    for (int i = 0; i < batch->rank; i++)
        step[i] = i < lead || s->dim[i - lead] == 1
                      ? 0
                      : shape_span(s, i - lead + 1, s->rank);
}

/*
 * Numpy's rules: a vector on the left is a row, on the right a column, and
 * the axis it was given is taken away again.
 */
static int
matmul_shapes(const struct shape *a, const struct shape *b, struct product *p,
              struct shape *out, struct err *e)
{
    struct shape A = *a, B = *b, lead_a, lead_b;
    char at[SHAPE_TEXT], bt[SHAPE_TEXT];

    if (a->rank == 0 || b->rank == 0)
        return err_set(e, ERR_INVALID, "%s x %s: a scalar is no matrix",
                       shape_text(a, at), shape_text(b, bt));
    if (a->rank == 1)
        A = SHAPE(1, a->dim[0]);
    if (b->rank == 1)
        B = SHAPE(b->dim[0], 1);
    *p = (struct product){
        .M = A.dim[A.rank - 2], .N = B.dim[B.rank - 1], .K = A.dim[A.rank - 1]};
    lead_a = A;
    lead_a.rank -= 2;
    lead_b = B;
    lead_b.rank -= 2;
    if (p->K != B.dim[B.rank - 2])
        return err_set(e, ERR_INVALID, "%s x %s: inner sizes differ",
                       shape_text(a, at), shape_text(b, bt));
    if (shape_broadcast(&lead_a, &lead_b, &p->batch, e) != 0)
        return err_wrap(e, "%s x %s", shape_text(a, at), shape_text(b, bt));
    p->a_m = p->K;
    p->a_k = 1;
    p->b_k = p->N;
    p->b_n = 1;
    batch_steps(&A, &p->batch, p->a_step);
    batch_steps(&B, &p->batch, p->b_step);
    *out = p->batch;
    if (a->rank > 1)
        out->dim[out->rank++] = p->M;
    if (b->rank > 1)
        out->dim[out->rank++] = p->N;
    return 0;
}

static int
integer_zero_points(const struct graph *g, const struct node *n,
                    const struct product *p, struct err *e)
{
    for (int i = 0; i < 2; i++) {
        const struct value *x = node_in(g, n, i);
        const struct value *z = i + 2 < n->n_own ? node_in(g, n, i + 2) : NULL;
        char text[SHAPE_TEXT];

        if (z == NULL)
            continue;
        if (z->dtype != x->dtype)
            return err_set(e, ERR_INVALID, "zero point %s is %s, want %s",
                           z->name, dtype_name(z->dtype), dtype_name(x->dtype));
        if (shape_n(&z->shape) == 1)
            continue;
        if (z->shape.rank != 1)
            return err_set(e, ERR_UNSUPPORTED,
                           "zero point %s is %s: only one number or one row "
                           "is supported",
                           z->name, shape_text(&z->shape, text));
        if (z->shape.dim[0] != (i == 0 ? p->M : p->N))
            return err_set(e, ERR_INVALID, "zero point %s is %s", z->name,
                           shape_text(&z->shape, text));
    }
    return 0;
}

int
matmul_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *a = node_in(g, n, 0), *b = node_in(g, n, 1);
    const bool integer =
        n->op == OP_MATMUL_INTEGER || n->op == OP_MATMUL_SCALED;
    const unsigned types =
        integer ? TYPE(INT8) | TYPE(UINT8)
                : TYPES_REAL | TYPES_INDEX | TYPE(UINT32) | TYPE(UINT64);
    struct product p;
    struct shape out;

    if (rule_type(g, n, 0, types, e) != 0 ||
        rule_type(g, n, 1, types, e) != 0 ||
        (!integer && rule_same_type(g, n, 1, e) != 0) ||
        matmul_shapes(&a->shape, &b->shape, &p, &out, e) != 0 ||
        (integer && integer_zero_points(g, n, &p, e) != 0) ||
        (n->op == OP_MATMUL_SCALED && post_scale_check(g, n, p.N, e) != 0))
        return e->code;
    return rule_out(g, n, 0,
                    n->op == OP_MATMUL_INTEGER  ? DTYPE_INT32
                    : n->op == OP_MATMUL_SCALED ? DTYPE_FLOAT
                                                : a->dtype,
                    &out, e);
}

/* --- Gemm's shapes ---------------------------------------------------------
 */

static int
gemm_shapes(const struct node *n, const struct shape *a, const struct shape *b,
            struct product *p, struct err *e)
{
    bool ta = attr_int(n, "transA", 0) != 0, tb = attr_int(n, "transB", 0) != 0;
    char at[SHAPE_TEXT], bt[SHAPE_TEXT];

    if (a->rank != 2 || b->rank != 2 || a->dim[!ta] != b->dim[tb])
        return err_set(e, ERR_INVALID, "%s%s x %s%s does not fit",
                       shape_text(a, at), ta ? "'" : "", shape_text(b, bt),
                       tb ? "'" : "");
    *p = (struct product){.M = a->dim[ta], .N = b->dim[!tb], .K = a->dim[!ta]};
    p->a_m = ta ? 1 : p->K;
    p->a_k = ta ? p->M : 1;
    p->b_k = tb ? 1 : p->N;
    p->b_n = tb ? p->K : 1;
    return 0;
}

int
gemm_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *a = node_in(g, n, 0), *b = node_in(g, n, 1);
    const struct value *c = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    char ct[SHAPE_TEXT], yt[SHAPE_TEXT];
    struct shape out, both;
    struct product p;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_same_type(g, n, 1, e) != 0 || rule_same_type(g, n, 2, e) != 0 ||
        gemm_shapes(n, &a->shape, &b->shape, &p, e) != 0)
        return e->code;
    out = SHAPE(p.M, p.N);
    if (c != NULL && (shape_broadcast(&out, &c->shape, &both, e) != 0 ||
                      !shape_equal(&out, &both)))
        return err_set(e, ERR_INVALID, "C %s does not broadcast to %s",
                       shape_text(&c->shape, ct), shape_text(&out, yt));
    return rule_out(g, n, 0, a->dtype, &out, e);
}

/* --- kernels ---------------------------------------------------------------
 */

static double
dot_real(enum dtype t, const void *a, int64_t as, const void *b, int64_t bs,
         int64_t K)
{
    double sum = 0;

    if (t == DTYPE_FLOAT)
        for (int64_t k = 0; k < K; k++)
            sum +=
                (double)((const float *)a)[k * as] * ((const float *)b)[k * bs];
    else
        for (int64_t k = 0; k < K; k++)
            sum += ((const double *)a)[k * as] * ((const double *)b)[k * bs];
    return sum;
}

static uint64_t
dot_integer(enum dtype t, const char *a, int64_t as, const char *b, int64_t bs,
            int64_t K)
{
    const int64_t size = (int64_t)dtype_size(t);
    uint64_t sum = 0;

    for (int64_t k = 0; k < K; k++)
        sum += (uint64_t)number_int(t, a + k * as * size) *
               (uint64_t)number_int(t, b + k * bs * size);
    return sum;
}

/* One matrix by one matrix. */
static void
multiply(enum dtype t, const struct product *p, const char *a, const char *b,
         char *y)
{
    const int64_t size = (int64_t)dtype_size(t);

    for (int64_t m = 0; m < p->M; m++)
        for (int64_t n = 0; n < p->N; n++, y += size) {
            const char *row = a + m * p->a_m * size;
            const char *col = b + n * p->b_n * size;

            if (t == DTYPE_FLOAT)
                *(float *)y =
                    (float)dot_real(t, row, p->a_k, col, p->b_k, p->K);
            else if (t == DTYPE_DOUBLE)
                *(double *)y = dot_real(t, row, p->a_k, col, p->b_k, p->K);
            else
                number_set_int(
                    t, y,
                    (int64_t)dot_integer(t, row, p->a_k, col, p->b_k, p->K));
        }
}

/* Elements to the i-th matrix of an operand with these batch steps. */
static int64_t
matrix_at(const struct product *p, const int64_t *step, int64_t i)
{
    int64_t at = 0;

    for (int axis = p->batch.rank - 1; axis >= 0; axis--) {
        at += i % p->batch.dim[axis] * step[axis];
        i /= p->batch.dim[axis];
    }
    return at;
}

static int
matmul_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    const struct shape *a = &node_in(g, n, 0)->shape;
    const struct shape *b = &node_in(g, n, 1)->shape;
    struct shape out;
    int rc;

    (void)w;
    if (step_own(s, sizeof(struct product), e) != 0)
        return e->code;
    rc = n->op == OP_GEMM ? gemm_shapes(n, a, b, s->own, e)
                          : matmul_shapes(a, b, s->own, &out, e);
    if (rc != 0)
        step_done(s);
    return rc;
}

static int
matmul_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct product *p = s->own;
    const enum dtype t = step_in(s, 0)->dtype;
    const int64_t size = (int64_t)dtype_size(t);
    char *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < (int64_t)shape_n(&p->batch); i++)
        multiply(t, p, (char *)io[0] + matrix_at(p, p->a_step, i) * size,
                 (char *)io[1] + matrix_at(p, p->b_step, i) * size,
                 y + i * p->M * p->N * size);
    post_apply(s, io);
    return 0;
}

/* Zero point of row or column i: none, one for all, or one each. */
static int64_t
zero_at(const struct value *z, const void *p, int64_t i)
{
    if (z == NULL)
        return 0;
    return number_int(z->dtype,
                      (const char *)p + (shape_n(&z->shape) == 1 ? 0 : i));
}

/* a [...,M,K] b [...,K,N] of 8 bits; y [...,M,N] int32 */
static int
matmul_integer_run(const struct step *s, void *const *io, void *scratch,
                   void *state, struct err *e)
{
    const struct product *p = s->own;
    const enum dtype ta = step_in(s, 0)->dtype, tb = step_in(s, 1)->dtype;
    const struct value *za = step_in(s, 2), *zb = step_in(s, 3);
    int32_t *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < (int64_t)shape_n(&p->batch); i++) {
        const char *a = (char *)io[0] + matrix_at(p, p->a_step, i);
        const char *b = (char *)io[1] + matrix_at(p, p->b_step, i);

        for (int64_t m = 0; m < p->M; m++)
            for (int64_t n = 0; n < p->N; n++) {
                int64_t a0 = zero_at(za, za == NULL ? NULL : io[2], m);
                int64_t b0 = zero_at(zb, zb == NULL ? NULL : io[3], n);
                uint32_t sum = 0;

                for (int64_t k = 0; k < p->K; k++)
                    sum +=
                        (uint32_t)((number_int(ta, a + m * p->a_m + k) - a0) *
                                   (number_int(tb, b + k * p->b_k + n) - b0));
                *y++ = (int32_t)sum;
            }
    }
    if (s->node->op == OP_MATMUL_SCALED)
        post_scale(s, io, p->N, 1);
    return 0;
}

/* Y = alpha * A' * B' + beta * C */
static int
gemm_run(const struct step *s, void *const *io, void *scratch, void *state,
         struct err *e)
{
    const struct product *p = s->own;
    const struct value *c = s->node->n_own > 2 ? step_in(s, 2) : NULL;
    const enum dtype t = step_in(s, 0)->dtype;
    const int64_t size = (int64_t)dtype_size(t);
    const double alpha = attr_float(s->node, "alpha", 1);
    const double beta = attr_float(s->node, "beta", 1);
    int64_t c_m = 0, c_n = 0;
    char *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    if (c != NULL && c->shape.rank > 0 && c->shape.dim[c->shape.rank - 1] > 1)
        c_n = 1;
    if (c != NULL && c->shape.rank > 1 && c->shape.dim[0] > 1)
        c_m = c->shape.dim[1];
    for (int64_t m = 0; m < p->M; m++)
        for (int64_t n = 0; n < p->N; n++, y += size) {
            double r =
                alpha * dot_real(t, (char *)io[0] + m * p->a_m * size, p->a_k,
                                 (char *)io[1] + n * p->b_n * size, p->b_k,
                                 p->K);

            if (c != NULL)
                r += beta * number_double(t, (char *)io[2] +
                                                 (m * c_m + n * c_n) * size);
            if (t == DTYPE_FLOAT)
                *(float *)y = (float)r;
            else
                *(double *)y = r;
        }
    post_apply(s, io);
    return 0;
}

KERNEL(MATMUL, "matmul", .prepare = matmul_prepare, .run = matmul_run,
       .done = step_done);
KERNEL(MATMUL_INTEGER, "matmul_integer", .prepare = matmul_prepare,
       .run = matmul_integer_run, .done = step_done);
KERNEL(MATMUL_SCALED, "matmul_integer", .prepare = matmul_prepare,
       .run = matmul_integer_run, .done = step_done);
KERNEL(GEMM, "gemm", .prepare = matmul_prepare, .run = gemm_run,
       .done = step_done);
