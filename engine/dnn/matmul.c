/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul and Gemm, float32 or int8.  A constant second factor is packed once
 * for all plans; leading axes are folded into the rows when the second factor
 * has none, and into one batch axis when both have the same.
 */
#include "engine/dnn/matmul.h"

#include <string.h>

#include "base/mem.h"
#include "engine/dnn/kernels.h"

/* --- shapes -------------------------------------------------------------- */

/* A vector counts as a row on the left and as a column on the right. */
static struct shape
as_matrix(const struct shape *s, bool left)
{
    if (s->rank != 1)
        return *s;
    return left ? SHAPE(1, s->dim[0]) : SHAPE(s->dim[0], 1);
}

static bool
same_batch(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank)
        return false;
    return memcmp(a->dim, b->dim, (size_t)(a->rank - 2) * sizeof *a->dim) == 0;
}

/* [batch, rows, cols] of s, its axes before the last two folded. */
static void
folded(const struct shape *s, enum dtype t, struct prim_tensor *out)
{
    int r = s->rank;

    *out = (struct prim_tensor){
        .dtype = t,
        .rank = 3,
        .dim = {shape_span(s, 0, r - 2), s->dim[r - 2], s->dim[r - 1]}};
    desc_row_major(out);
}

/* s as it is, with axes of 1 before it up to rank. */
static void
padded(const struct shape *s, enum dtype t, int rank, struct prim_tensor *out)
{
    *out = (struct prim_tensor){.dtype = t, .rank = rank};
    for (int i = 0; i < rank; i++) {
        int k = i - (rank - s->rank);

        out->dim[i] = k < 0 ? 1 : s->dim[k];
    }
    desc_row_major(out);
}

static int
matmul_shapes(const struct value *a, const struct value *b,
              const struct value *y, struct prim_matmul *m, struct err *e)
{
    struct shape as = as_matrix(&a->shape, true);
    struct shape bs = as_matrix(&b->shape, false);
    int64_t rows = as.dim[as.rank - 2], cols = bs.dim[bs.rank - 1];
    int rank = as.rank > bs.rank ? as.rank : bs.rank;

    if (shape_span(&bs, 0, bs.rank - 2) == 1) {
        int64_t k = as.dim[as.rank - 1];

        rows = shape_span(&as, 0, as.rank - 1);
        m->src = (struct prim_tensor){a->dtype, 2, {rows, k}, {k, 1}};
        m->weights = (struct prim_tensor){b->dtype, 2, {k, cols}, {cols, 1}};
        m->dst = (struct prim_tensor){y->dtype, 2, {rows, cols}, {cols, 1}};
        return 0;
    }
    if (same_batch(&as, &bs)) {
        folded(&as, a->dtype, &m->src);
        folded(&bs, b->dtype, &m->weights);
        m->dst = m->src;
        m->dst.dtype = y->dtype;
        m->dst.dim[2] = cols;
        desc_row_major(&m->dst);
        return 0;
    }
    if (rank > PRIM_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "rank %d", rank);
    padded(&as, a->dtype, rank, &m->src);
    padded(&bs, b->dtype, rank, &m->weights);
    m->dst = m->src;
    m->dst.dtype = y->dtype;
    for (int i = 0; i < rank - 2; i++)
        if (m->weights.dim[i] != 1)
            m->dst.dim[i] = m->weights.dim[i];
    m->dst.dim[rank - 1] = cols;
    desc_row_major(&m->dst);
    return 0;
}

static void
gemm_shapes(const struct node *n, const struct value *a, const struct value *b,
            const struct value *y, struct prim_matmul *m)
{
    int64_t rows = y->shape.dim[0], cols = y->shape.dim[1];
    bool ta = attr_int(n, "transA", 0) != 0, tb = attr_int(n, "transB", 0) != 0;
    int64_t k = a->shape.dim[ta ? 0 : 1];

    m->src = (struct prim_tensor){a->dtype, 2, {rows, k}, {k, 1}};
    if (ta)
        m->src.stride[0] = 1, m->src.stride[1] = rows;
    m->weights = (struct prim_tensor){b->dtype, 2, {k, cols}, {cols, 1}};
    if (tb)
        m->weights.stride[0] = 1, m->weights.stride[1] = k;
    m->dst = (struct prim_tensor){y->dtype, 2, {rows, cols}, {cols, 1}};
}

int
matmul_shape(const struct graph *g, const struct node *n, struct prim_matmul *m,
             struct err *e)
{
    const struct value *a = node_in(g, n, 0), *b = node_in(g, n, 1);
    const struct value *y = node_out(g, n, 0);
    int rc = 0;

    if (!desc_nonempty(a) || !desc_nonempty(b) || !desc_nonempty(y) ||
        a->shape.rank == 0 || b->shape.rank == 0)
        return err_set(e, ERR_UNSUPPORTED, "empty tensor");
    if (n->op == OP_GEMM)
        gemm_shapes(n, a, b, y, m);
    else
        rc = matmul_shapes(a, b, y, m, e);
    m->pack = b->data != NULL;
    if (m->pack && m->weights.dtype == DTYPE_UINT8)
        m->weights.dtype = DTYPE_INT8; /* shifted by 128 when packed */
    return rc;
}

int
matmul_column_axis(const struct graph *g, const struct node *n)
{
    if (n->op == OP_GEMM && attr_int(n, "transB", 0) != 0)
        return 0;
    return node_in(g, n, 1)->shape.rank - 1;
}

/* --- numbers ------------------------------------------------------------- */

static int
float_types(const struct graph *g, const struct node *n, struct err *e)
{
    if (node_in(g, n, 0)->dtype != DTYPE_FLOAT ||
        node_in(g, n, 1)->dtype != DTYPE_FLOAT || n->out_q != NULL)
        return err_set(e, ERR_UNSUPPORTED, "%s",
                       dtype_name(node_in(g, n, 0)->dtype));
    return 0;
}

/* Scales and zero points of two quantized factors. */
static int
integer_types(const struct graph *g, const struct node *n, float alpha,
              struct matmul_plan *p, struct err *e)
{
    const struct value *a = node_in(g, n, 0), *b = node_in(g, n, 1);
    const struct qparam *aq = node_in_q(n, 0), *bq = node_in_q(n, 1);
    const char *fault = NULL;

    if (aq == NULL || bq == NULL || !dtype_is_8bit(a->dtype))
        return err_set(e, ERR_UNSUPPORTED, "only one side is quantized");
    if (aq->n != 1)
        return err_set(e, ERR_UNSUPPORTED, "per-channel activation scale");
    if (b->data != NULL)
        fault = desc_weights_fault(b, bq, matmul_column_axis(g, n),
                                   &p->math.weights_zero);
    else if (b->dtype != DTYPE_INT8 || bq->n != 1)
        fault = "the second factor is not int8 with one scale";
    else if (!prim_has_vnni())
        fault = "two activations saturate on a CPU without VNNI";
    if (fault != NULL)
        return err_set(e, ERR_UNSUPPORTED, "%s", fault);
    p->scale = desc_scales(alpha * aq->scale[0], bq);
    if (p->scale == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for scales");
    p->math.scale = p->scale;
    p->math.n_scales = bq->n;
    p->math.src_zero = aq->zero[0];
    if (b->data == NULL)
        p->math.weights_zero = bq->zero[0];
    return 0;
}

static int
types(const struct graph *g, const struct node *n, struct matmul_plan *p,
      struct err *e)
{
    const struct value *y = node_out(g, n, 0);
    float alpha = n->op == OP_GEMM ? attr_float(n, "alpha", 1) : 1;

    if (n->out_q != NULL ? !dtype_is_8bit(y->dtype) : y->dtype != DTYPE_FLOAT)
        return err_set(e, ERR_UNSUPPORTED, "output is %s",
                       dtype_name(y->dtype));
    if (node_in_q(n, 0) != NULL || node_in_q(n, 1) != NULL)
        return integer_types(g, n, alpha, p, e);
    if (alpha != 1) {
        static const int32_t zero = 0;
        const struct qparam q = {-1, 1, &alpha, &zero};

        p->scale = desc_scales(1, &q);
        if (p->scale == NULL)
            return err_set(e, ERR_NO_MEMORY, "no memory for scales");
        p->math.scale = p->scale;
        p->math.n_scales = 1;
    }
    return float_types(g, n, e);
}

/* Of one number for each column, or of one for all. */
static bool
is_vector(const struct value *v)
{
    size_t count = shape_n(&v->shape);

    return v->data != NULL &&
           (count == 1 || v->shape.dim[v->shape.rank - 1] == (int64_t)count);
}

int
matmul_bias(const struct graph *g, const struct node *n, struct matmul_plan *p,
            struct err *e)
{
    const struct value *c =
        n->op == OP_GEMM && n->n_own > 2 ? node_in(g, n, 2) : NULL;
    int in = 2, cols = (int)p->mul.dst.dim[p->mul.dst.rank - 1];
    float beta = attr_float(n, "beta", 1);

    p->math.n_channels = cols;
    p->first_post = 0;
    if (c == NULL && n->n_posts > 0 && n->posts[0].op == OP_ADD) {
        in = n->posts[0].in;
        c = node_in(g, n, in);
        beta = 1;
        if (!is_vector(c) || (c->dtype != DTYPE_FLOAT))
            return 0;
        p->first_post = 1;
    }
    if (c == NULL || !is_vector(c))
        return 0;
    return desc_bias(c, node_in_q(n, in), cols, beta, &p->bias, e);
}

/* Gemm's C when it is no vector: an operand to add. */
static int
addend(const struct graph *g, const struct node *n, struct matmul_plan *p,
       struct err *e)
{
    const struct value *c =
        n->op == OP_GEMM && n->n_own > 2 ? node_in(g, n, 2) : NULL;
    struct prim_post *post = &p->math.post[0];
    int rc = matmul_bias(g, n, p, e);

    if (rc != 0)
        return rc;
    p->math.bias = p->bias;
    if (c == NULL || p->bias != NULL)
        return 0;
    if (c->dtype != DTYPE_FLOAT || attr_float(n, "beta", 1) != 1 ||
        node_in_q(n, 2) != NULL || c->shape.rank < 1 ||
        c->shape.dim[c->shape.rank - 1] != p->mul.dst.dim[1])
        return err_set(e, ERR_UNSUPPORTED, "C is no vector");
    *post = (struct prim_post){.kind = PRIM_ADD, .scale = 1};
    padded(&c->shape, c->dtype, 2, &post->other);
    p->call.io[PRIM_POST] = 2;
    p->math.n_posts = 1;
    return 0;
}

void
matmul_drop(struct matmul_plan *p)
{
    prim_free(&p->call.prim);
    mem_free(p->scale);
    mem_free(p->bias);
    memset(p, 0, sizeof *p);
}

static int
try(const struct graph *g, const struct node *n, bool sum,
    struct matmul_plan *p, struct err *e)
{
    int rc;

    call_init(&p->call);
    if ((rc = matmul_shape(g, n, &p->mul, e)) != 0 ||
        (rc = types(g, n, p, e)) != 0 || (rc = addend(g, n, p, e)) != 0 ||
        (rc = desc_posts(g, n, p->first_post, false, sum, &p->mul.dst, &p->math,
                         &p->call, e)) != 0)
        return rc;
    p->call.io[PRIM_SRC] = 0;
    p->call.io[PRIM_DST] = n->n_in;
    if (!p->mul.pack)
        p->call.io[PRIM_WEIGHTS] = 1;
    rc = prim_matmul(&p->mul, &p->math, &p->call.prim, e);
    return rc != 0 ? rc : prim_build(p->call.prim, e);
}

/* As for convolutions: the residual in place or from where it is. */
static int
describe(const struct graph *g, const struct node *n, struct matmul_plan *p,
         struct err *e)
{
    bool sum = desc_sum_free(g, n);
    int rc = try(g, n, sum, p, e);

    if (rc == 0 || n->n_posts == 0)
        return rc;
    matmul_drop(p);
    return try(g, n, !sum, p, e);
}

int
dnn_matmul_probe(const struct graph *g, const struct node *n, struct err *e)
{
    struct matmul_plan p = {0};
    int rc = describe(g, n, &p, e);

    matmul_drop(&p);
    return rc;
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct err e;

    return dnn_matmul_probe(g, n, &e) == 0;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    struct matmul_plan p = {0};
    const struct value *b = node_in(g, n, 1);
    int rc = describe(g, n, &p, e);

    if (rc == 0 && p.mul.pack)
        rc = call_weights(&p.call, b, b->dtype == DTYPE_UINT8, w, e);
    if (rc == 0)
        rc = call_prepare(&p.call, s, e);
    if (rc == 0)
        p.call.prim = NULL;
    matmul_drop(&p);
    return rc;
}

#define MATMUL(id, op_id)                                                      \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.matmul",                                                  \
        .layout = KERNEL_PLAIN,                                                \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .bind = call_bind,                                                     \
        .unbind = call_unbind,                                                 \
        .run = call_run,                                                       \
        .done = call_done,                                                     \
    }

MATMUL(dnn_matmul, OP_MATMUL);
MATMUL(dnn_gemm, OP_GEMM);
