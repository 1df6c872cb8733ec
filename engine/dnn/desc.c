/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/desc.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"

bool
desc_nonempty(const struct value *v)
{
    int64_t n = 1;

    for (int i = 0; i < v->shape.rank; i++)
        if (v->shape.dim[i] <= 0 ||
            __builtin_mul_overflow(n, v->shape.dim[i], &n))
            return false;
    return v->shape.rank >= 0 && n <= INT_MAX;
}

void
desc_row_major(struct prim_tensor *t)
{
    int64_t step = 1;

    for (int i = t->rank; i-- > 0;) {
        t->stride[i] = step;
        step *= t->dim[i];
    }
}

int
desc_plain(const struct value *v, struct prim_tensor *t, struct err *e)
{
    if (v->shape.rank < 1 || v->shape.rank > PRIM_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "rank %d", v->shape.rank);
    t->dtype = v->dtype;
    t->rank = v->shape.rank;
    memcpy(t->dim, v->shape.dim, (size_t)t->rank * sizeof *t->dim);
    desc_row_major(t);
    return 0;
}

/* Channels innermost; t->dim is set. */
static void
channels_last(struct prim_tensor *t)
{
    int64_t step = t->dim[1];

    t->stride[1] = 1;
    for (int i = t->rank; i-- > 2;) {
        t->stride[i] = step;
        step *= t->dim[i];
    }
    t->stride[0] = step;
}

int
desc_image(const struct value *v, struct prim_tensor *t, struct err *e)
{
    const struct shape *s = &v->shape;
    int wide = s->rank == 3;

    if (s->rank < 3 || s->rank > 5)
        return err_set(e, ERR_UNSUPPORTED, "rank %d", s->rank);
    t->dtype = v->dtype;
    t->rank = s->rank + wide;
    for (int i = 0; i < s->rank; i++)
        t->dim[i < 2 ? i : i + wide] = s->dim[i];
    if (wide)
        t->dim[2] = 1;
    channels_last(t);
    return 0;
}

/* How often nodes from n on read value id. */
static int
reads_from(const struct graph *g, const struct node *n, int id)
{
    int reads = 0;

    for (const struct node *r = n; r < g->nodes.at + g->nodes.n; r++)
        for (int i = 0; !r->dead && i < r->n_in; i++)
            reads += r->in[i] == id;
    return reads;
}

bool
desc_sum_free(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->n_posts; i++)
        if (n->posts[i].op == OP_ADD &&
            node_in(g, n, n->posts[i].in)->data == NULL) {
            int id = n->in[n->posts[i].in];

            return graph_producer(g, id) != NULL && !graph_is_output(g, id) &&
                   reads_from(g, n, id) == 1;
        }
    return false;
}

static int
operand_scale(const struct value *v, const struct qparam *q,
              struct prim_post *p, struct err *e)
{
    p->scale = 1;
    p->zero = 0;
    if (q == NULL)
        return v->dtype == DTYPE_FLOAT
                   ? 0
                   : err_set(e, ERR_UNSUPPORTED, "operand is %s",
                             dtype_name(v->dtype));
    if (q->n != 1)
        return err_set(e, ERR_UNSUPPORTED, "operand has many scales");
    p->scale = q->scale[0];
    p->zero = q->zero[0];
    return 0;
}

/* ADD or MUL with a constant number is a linear step without an operand. */
static bool
as_linear(const struct value *v, const struct qparam *q, struct prim_post *p)
{
    float c;

    if (v->data == NULL || v->dtype != DTYPE_FLOAT || q != NULL ||
        shape_n(&v->shape) != 1)
        return false;
    c = *(const float *)v->data;
    p->alpha = p->kind == PRIM_ADD ? 1 : c;
    p->beta = p->kind == PRIM_ADD ? c : 0;
    p->kind = PRIM_LINEAR;
    return true;
}

/* The operand of an ADD or MUL. */
static int
operand(const struct graph *g, const struct node *n, bool image,
        const struct prim_tensor *dst, int in, struct prim_post *p,
        struct err *e)
{
    const struct value *v = node_in(g, n, in);
    size_t count = shape_n(&v->shape),
           total = shape_n(&node_out(g, n, 0)->shape);
    int rc = operand_scale(v, node_in_q(n, in), p, e);

    if (rc != 0)
        return rc;
    if (image && count == total) {
        if ((rc = desc_image(v, &p->other, e)) != 0)
            return rc;
    } else {
        p->other = *dst;
    }
    p->other.dtype = v->dtype;
    if (count == total)
        return 0;
    if (count != 1 && (image || (int64_t)count != dst->dim[dst->rank - 1]))
        return err_set(e, ERR_UNSUPPORTED, "operand is broadcast");
    for (int i = 0; i < dst->rank; i++)
        if (count == 1 || i < dst->rank - 1)
            p->other.dim[i] = 1;
    desc_row_major(&p->other);
    return 0;
}

static int
one_post(const struct graph *g, const struct node *n, bool image,
         const struct prim_tensor *dst, const struct post *from,
         struct prim_post *p, struct err *e)
{
    *p = (struct prim_post){.op = from->op,
                            .alpha = from->alpha,
                            .beta = from->beta,
                            .kind = PRIM_UNARY};
    if (from->op != OP_ADD && from->op != OP_MUL)
        return 0;
    p->kind = from->op == OP_ADD ? PRIM_ADD : PRIM_MUL;
    if (as_linear(node_in(g, n, from->in), node_in_q(n, from->in), p))
        return 0;
    return operand(g, n, image, dst, from->in, p, e);
}

/* An ADD of as many bytes as the output has, the first such. */
static bool
can_sum(const struct value *v, const struct value *y, const struct prim_post *p,
        const struct prim_tensor *dst, const struct call *c)
{
    return c->sum < 0 && shape_n(&v->shape) == shape_n(&y->shape) &&
           v->data == NULL &&
           dtype_size(p->other.dtype) == dtype_size(dst->dtype);
}

int
desc_posts(const struct graph *g, const struct node *n, int first, bool image,
           bool sum, const struct prim_tensor *dst, struct prim_math *m,
           struct call *c, struct err *e)
{
    for (int i = first; i < n->n_posts; i++) {
        const struct post *from = &n->posts[i];
        struct prim_post *p = &m->post[m->n_posts];
        int rc = one_post(g, n, image, dst, from, p, e);

        if (rc != 0)
            return rc;
        if (sum && p->kind == PRIM_ADD &&
            can_sum(node_in(g, n, from->in), node_out(g, n, 0), p, dst, c)) {
            const struct value *y = node_out(g, n, 0);

            p->kind = PRIM_SUM;
            c->sum = from->in;
            c->sum_bytes = shape_n(&y->shape) * dtype_size(y->dtype);
        } else if (p->kind == PRIM_ADD || p->kind == PRIM_MUL) {
            c->io[PRIM_POST + m->n_posts] = from->in;
        }
        m->n_posts++;
    }
    m->dst_scale = 1;
    m->dst_zero = 0;
    if (n->out_q != NULL) {
        if (n->out_q->n != 1)
            return err_set(e, ERR_UNSUPPORTED, "output has many scales");
        m->dst_scale = n->out_q->scale[0];
        m->dst_zero = n->out_q->zero[0];
    }
    return 0;
}

const char *
desc_weights_fault(const struct value *w, const struct qparam *q, int axis,
                   int32_t *zero)
{
    int bias = w->dtype == DTYPE_UINT8 ? 128 : 0;
    const uint8_t *at = w->data;

    if (w->data == NULL)
        return "weights are not constant";
    if (!dtype_is_8bit(w->dtype))
        return "weights are not 8-bit";
    if (q->n != 1 && q->axis != axis)
        return "weight scales lie along another axis";
    for (int i = 0; i < q->n; i++)
        if (q->zero[i] != (zero == NULL ? bias : q->zero[0]))
            return zero == NULL ? "weights are not symmetric"
                                : "weights have many zero points";
    if (zero != NULL)
        *zero = q->zero[0] - bias;
    if (prim_has_vnni())
        return NULL;
    for (size_t i = shape_n(&w->shape); i-- > 0;) {
        int x = bias != 0 ? at[i] - bias : (int8_t)at[i];

        if (x > 64 || x < -64)
            return "8-bit weights saturate on a CPU without VNNI";
    }
    return NULL;
}

float *
desc_scales(float a, const struct qparam *q)
{
    float *scale = mem_try((size_t)q->n, sizeof *scale);

    for (int i = 0; scale != NULL && i < q->n; i++)
        scale[i] = a * q->scale[i];
    return scale;
}

int
desc_bias(const struct value *v, const struct qparam *q, int n, float factor,
          float **out, struct err *e)
{
    size_t count = shape_n(&v->shape);
    float *bias;

    if (v->data == NULL || (count != 1 && count != (size_t)n))
        return err_set(e, ERR_UNSUPPORTED, "bias is not a constant vector");
    if (v->dtype != DTYPE_FLOAT && (v->dtype != DTYPE_INT32 || q == NULL))
        return err_set(e, ERR_UNSUPPORTED, "bias is %s", dtype_name(v->dtype));
    if (q != NULL && q->n != 1 && q->n != n)
        return err_set(e, ERR_UNSUPPORTED, "bias has %d scales", q->n);
    bias = mem_try((size_t)n, sizeof *bias);
    if (bias == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for a bias");
    for (int i = 0; i < n; i++) {
        int at = count == 1 ? 0 : i, k = q != NULL && q->n > 1 ? i : 0;

        if (q == NULL)
            bias[i] = factor * ((const float *)v->data)[at];
        else
            bias[i] = factor * q->scale[k] *
                      (float)(((const int32_t *)v->data)[at] - q->zero[k]);
    }
    *out = bias;
    return 0;
}
