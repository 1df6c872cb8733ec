/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One number in, one out: activations and two-operand arithmetic, float32 or
 * 8-bit with scales, in whatever layout they come.
 *
 * An 8-bit activation is a table of 256 answers.  8-bit arithmetic goes
 * through floats in the first cache: it is bound by memory anyway, and gives
 * the bits that DequantizeLinear, the operator and QuantizeLinear give.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/call.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/eltwise.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"

/* --- activations --------------------------------------------------------- */

/* A bound of Clip; false when it is not known when the plan is made. */
static bool
bound(const struct value *v, float *out)
{
    if (v == NULL)
        return true;
    if (v->data == NULL || shape_n(&v->shape) != 1 ||
        (v->dtype != DTYPE_FLOAT && !dtype_is_8bit(v->dtype)))
        return false;
    row_load(out, v->data, v->dtype, 1, 1, 0);
    return true;
}

bool
eltwise_post(const struct graph *g, const struct node *n, struct post *p)
{
    *p = (struct post){.op = n->op, .in = -1};
    switch (n->op) {
    case OP_LEAKY_RELU:
        p->alpha = attr_float(n, "alpha", 0.01f);
        return true;
    case OP_ELU:
        p->alpha = attr_float(n, "alpha", 1);
        return true;
    case OP_HARD_SIGMOID:
        p->alpha = attr_float(n, "alpha", 0.2f);
        p->beta = attr_float(n, "beta", 0.5f);
        return true;
    case OP_GELU:
        p->alpha = strcmp(attr_string(n, "approximate", "none"), "tanh") == 0;
        return true;
    case OP_CLIP:
        p->alpha = -FLT_MAX;
        p->beta = FLT_MAX;
        return bound(node_in(g, n, 1), &p->alpha) &&
               bound(node_in(g, n, 2), &p->beta);
    default:
        return true;
    }
}

/* What row_post() and oneDNN compute, for tables. */
static float
answer(const struct post *p, float x)
{
    float y = x;

    if (p->op == OP_IDENTITY)
        return x;
    if (row_has_post(p->op)) {
        row_post(p->op, p->alpha, p->beta, &y, 1);
        return y;
    }
    switch (p->op) {
    case OP_SIGMOID:
        return 1 / (1 + expf(-x));
    case OP_SWISH:
        return x / (1 + expf(-x));
    case OP_TANH:
        return tanhf(x);
    case OP_ELU:
        return x < 0 ? p->alpha * expm1f(x) : x;
    case OP_EXP:
        return expf(x);
    case OP_LOG:
        return logf(x);
    case OP_SQRT:
        return sqrtf(x);
    case OP_SOFTPLUS:
        return x > 20 ? x : log1pf(expf(x));
    case OP_MISH:
        return x * tanhf(x > 20 ? x : log1pf(expf(x)));
    case OP_GELU:
        if (p->alpha == 1)
            return 0.5f * x *
                   (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
        return 0.5f * x * (1 + erff(x * 0.7071067812f));
    default:
        return NAN;
    }
}

void
eltwise_table(const struct post *posts, int n_posts, enum dtype from,
              const struct qparam *xq, enum dtype to, const struct qparam *yq,
              uint8_t table[256])
{
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        float v;

        row_load(&v, &byte, from, 1, xq->scale[0], xq->zero[0]);
        for (int k = 0; k < n_posts; k++)
            v = answer(&posts[k], v);
        row_store(&table[i], to, &v, 1, yq->scale[0], yq->zero[0]);
    }
}

/* own of the kernels that do not consist of a primitive. */
struct unary {
    struct post post; /* for a loop */
    bool by_table;
    size_t count;
    uint8_t table[256];
};

static bool
one_scale(const struct qparam *q)
{
    return q != NULL && q->n == 1;
}

/* What n does, its own operator first; 0 when it can't be said now. */
static int
chain(const struct graph *g, const struct node *n,
      struct post posts[NODE_MAX_POSTS + 1])
{
    if (!eltwise_post(g, n, &posts[0]))
        return 0;
    for (int i = 0; i < n->n_posts; i++)
        posts[i + 1] = n->posts[i];
    return n->n_posts + 1;
}

/* Both ends quantized: by table. */
static bool
table_fits(const struct graph *g, const struct node *n)
{
    struct post posts[NODE_MAX_POSTS + 1];
    int n_posts = chain(g, n, posts);

    if (n_posts == 0 || !one_scale(node_in_q(n, 0)) || !one_scale(n->out_q) ||
        !dtype_is_8bit(node_in(g, n, 0)->dtype) ||
        !dtype_is_8bit(node_out(g, n, 0)->dtype))
        return false;
    for (int i = 0; i < n_posts; i++)
        if (isnan(answer(&posts[i], 1)))
            return false;
    return true;
}

/* Clip of bytes as they are: PyTorch writes it behind Q for 7-bit tensors. */
static bool
clips_bytes(const struct graph *g, const struct node *n)
{
    struct post p;

    return n->op == OP_CLIP && n->in_q == NULL && n->n_posts == 0 &&
           dtype_is_8bit(node_in(g, n, 0)->dtype) && eltwise_post(g, n, &p);
}

static bool
unary_fits(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct prim *prim = NULL;
    struct post p;
    struct err e;
    int rc;

    if (!desc_nonempty(x))
        return false;
    if (n->in_q != NULL || n->out_q != NULL)
        return table_fits(g, n);
    if (clips_bytes(g, n))
        return true;
    if (x->dtype != DTYPE_FLOAT || y->dtype != DTYPE_FLOAT || n->n_posts > 0 ||
        !eltwise_post(g, n, &p))
        return false;
    if (row_has_post(n->op))
        return true;
    rc = prim_unary(n->op, p.alpha, p.beta, (int64_t)shape_n(&x->shape), &prim,
                    &e);
    prim_free(&prim);
    return rc == 0;
}

static int
prepare_prim(const struct node *n, const struct post *p, size_t count,
             struct step *s, struct err *e)
{
    struct call c;
    int rc;

    call_init(&c);
    c.io[PRIM_SRC] = 0;
    c.io[PRIM_DST] = n->n_in;
    rc = prim_unary(n->op, p->alpha, p->beta, (int64_t)count, &c.prim, e);
    if (rc == 0)
        rc = call_prepare(&c, s, e);
    if (rc != 0)
        prim_free(&c.prim);
    return rc;
}

/* A primitive is told from a loop of ours by the impl that call.c sets. */
static bool
by_prim(const struct step *s)
{
    return s->node->out_q == NULL && !row_has_post(s->node->op);
}

static int
unary_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    static const float one = 1;
    static const int32_t zero = 0;
    static const struct qparam bytes = {-1, 1, &one, &zero};
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const struct qparam *xq = node_in_q(n, 0), *yq = n->out_q;
    size_t count = shape_n(&x->shape);
    struct unary *u;
    struct post p, posts[NODE_MAX_POSTS + 1];
    int rc = 0;

    (void)w;
    if (!eltwise_post(g, n, &p))
        return err_set(e, ERR_UNSUPPORTED, "bounds are not constant");
    if (by_prim(s)) {
        rc = prepare_prim(n, &p, count, s, e);
        s->inplace = n->op == OP_EXP ? -1 : 0; /* see keep_nans() */
        return rc;
    }
    u = mem_new(1, sizeof *u);
    u->post = p;
    u->count = count;
    if (clips_bytes(g, n))
        xq = yq = &bytes;
    u->by_table = yq != NULL;
    if (u->by_table)
        eltwise_table(posts, chain(g, n, posts), x->dtype, xq, y->dtype, yq,
                      u->table);
    s->own = u;
    s->impl = u->by_table ? "table" : "loop";
    s->inplace = 0;
    return 0;
}

static int
unary_bind(const struct step *s, void *const *io, void *scratch, void **state,
           struct err *e)
{
    return by_prim(s) ? call_bind(s, io, scratch, state, e) : 0;
}

static void
unary_unbind(const struct step *s, void *state)
{
    if (by_prim(s))
        call_unbind(s, state);
}

enum { PIECE = 8192 };

struct unary_run {
    const struct unary *u;
    const void *x;
    void *y;
};

static void
unary_piece(void *arg, int64_t i)
{
    const struct unary_run *r = arg;
    int64_t at = i * PIECE, n = (int64_t)r->u->count - at;

    n = n < PIECE ? n : PIECE;
    if (r->u->by_table) {
        row_lookup((uint8_t *)r->y + at, (const uint8_t *)r->x + at,
                   r->u->table, n);
        return;
    }
    if (r->x != r->y)
        memcpy((float *)r->y + at, (const float *)r->x + at,
               (size_t)n * sizeof(float));
    row_post(r->u->post.op, r->u->post.alpha, r->u->post.beta,
             (float *)r->y + at, n);
}

/* oneDNN's exp takes a NaN for a large number. */
static void
keep_nans(const float *restrict x, float *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = isnan(x[i]) ? x[i] : y[i];
}

static int
unary_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    struct unary_run r;

    if (by_prim(s)) {
        int rc = call_run(s, io, scratch, state, e);

        if (rc == 0 && s->node->op == OP_EXP)
            keep_nans(io[0], io[s->node->n_in], shape_n(&step_in(s, 0)->shape));
        return rc;
    }
    r = (struct unary_run){s->own, io[0], io[s->node->n_in]};
    grid_split(((int64_t)r.u->count + PIECE - 1) / PIECE, PIECE, unary_piece,
               &r);
    return 0;
}

static void
unary_done(struct step *s)
{
    if (by_prim(s)) {
        call_done(s);
        return;
    }
    mem_free(s->own);
    s->own = NULL;
}

/* --- two operands -------------------------------------------------------- */

struct side {
    enum dtype dtype;
    float scale;
    int32_t zero;
};

struct binary {
    enum op op;
    struct grid grid;
    struct side in[2], out;
    struct post posts[NODE_MAX_POSTS];
    int n_posts;
};

static bool
side(const struct value *v, const struct qparam *q, struct side *out)
{
    *out = (struct side){v->dtype, 1, 0};
    if (q == NULL)
        return v->dtype == DTYPE_FLOAT;
    if (q->n != 1 || !dtype_is_8bit(v->dtype))
        return false;
    out->scale = q->scale[0];
    out->zero = q->zero[0];
    return true;
}

static bool
binary_describe(const struct graph *g, const struct node *n, struct binary *b)
{
    const struct value *y = node_out(g, n, 0);

    if (n->n_own != 2 || !desc_nonempty(y))
        return false;
    b->op = n->op;
    b->n_posts = n->n_posts;
    for (int k = 0; k < 2; k++)
        if (!side(node_in(g, n, k), node_in_q(n, k), &b->in[k]))
            return false;
    for (int k = 0; k < n->n_posts; k++) {
        b->posts[k] = n->posts[k];
        if (!row_has_post(n->posts[k].op))
            return false;
    }
    return side(y, n->out_q, &b->out);
}

static bool
binary_fits(const struct graph *g, const struct node *n)
{
    struct binary b;

    return binary_describe(g, n, &b);
}

static int
binary_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    const struct value *in[2] = {node_in(g, n, 0), node_in(g, n, 1)};
    struct binary *b = mem_new(1, sizeof *b);

    (void)w;
    if (!binary_describe(g, n, b)) {
        mem_free(b);
        return err_set(e, ERR_UNSUPPORTED, "%s", dtype_name(in[0]->dtype));
    }
    grid_make(&b->grid, node_out(g, n, 0), in, 2);
    s->own = b;
    s->impl = "loop";
    for (int k = 2; k-- > 0;)
        if (in[k]->data == NULL && in[k]->dtype == node_out(g, n, 0)->dtype &&
            shape_equal(&in[k]->shape, &node_out(g, n, 0)->shape))
            s->inplace = k;
    return 0;
}

enum { CHUNK = 1024 }; /* floats of one operand that are in work at once */

/* n elements as floats, in buf unless they can be read from where they are;
 * *step becomes 0 or 1. */
static const float *
operand(const struct side *d, const void *base, int64_t at, int64_t stride,
        int64_t n, float *buf, int *step)
{
    const char *p = (const char *)base + (size_t)at * dtype_size(d->dtype);

    *step = stride != 0;
    if (stride == 0)
        n = 1;
    if (d->dtype == DTYPE_FLOAT && stride <= 1)
        return (const float *)(const void *)p;
    if (stride <= 1) {
        row_load(buf, p, d->dtype, n, d->scale, d->zero);
        return buf;
    }
    for (int64_t i = 0; i < n; i++)
        row_load(&buf[i], p + (size_t)(i * stride) * dtype_size(d->dtype),
                 d->dtype, 1, d->scale, d->zero);
    return buf;
}

/* n elements that begin anew after each period. */
static void
repeat(const struct side *d, const void *base, int64_t at, int64_t period,
       int64_t n, float *buf)
{
    row_load(buf, (const char *)base + (size_t)at * dtype_size(d->dtype),
             d->dtype, period, d->scale, d->zero);
    for (int64_t have = period; have < n; have *= 2)
        memcpy(buf + have, buf,
               (size_t)(n - have < have ? n - have : have) * sizeof *buf);
}

struct binary_run {
    const struct binary *b;
    const void *in[2];
    void *out;
};

/* One piece; the chunks it is cut into are whole periods too. */
static void
binary_row(void *arg, const int64_t *at, const int64_t *step, int64_t n)
{
    const struct binary_run *r = arg;
    const struct binary *b = r->b;
    const int64_t *period = b->grid.period;
    bool direct = b->out.dtype == DTYPE_FLOAT;
    int64_t chunk = CHUNK;
    float bufs[3][CHUNK];

    for (int k = 0; k < 2; k++)
        if (period[k + 1] != 0) {
            chunk = CHUNK / period[k + 1] * period[k + 1];
            repeat(&b->in[k], r->in[k], at[k + 1], period[k + 1],
                   n < chunk ? n : chunk, bufs[k]);
        }
    for (int64_t i = 0; i < n; i += chunk) {
        int64_t m = n - i < chunk ? n - i : chunk;
        char *y =
            (char *)r->out + (size_t)(at[0] + i) * dtype_size(b->out.dtype);
        float *f = direct ? (float *)(void *)y : bufs[2];
        const float *p[2] = {bufs[0], bufs[1]};
        int s[2] = {1, 1};

        for (int k = 0; k < 2; k++)
            if (period[k + 1] == 0)
                p[k] = operand(&b->in[k], r->in[k], at[k + 1] + i * step[k + 1],
                               step[k + 1], m, bufs[k], &s[k]);
        row_binary(b->op, f, p[0], s[0], p[1], s[1], m);
        for (int k = 0; k < b->n_posts; k++)
            row_post(b->posts[k].op, b->posts[k].alpha, b->posts[k].beta, f, m);
        if (!direct)
            row_store(y, b->out.dtype, f, m, b->out.scale, b->out.zero);
    }
}

static int
binary_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    struct binary_run r = {s->own, {io[0], io[1]}, io[s->node->n_in]};

    (void)scratch;
    (void)state;
    (void)e;
    grid_each(&r.b->grid, binary_row, &r);
    return 0;
}

static void
binary_done(struct step *s)
{
    mem_free(s->own);
    s->own = NULL;
}

/* --- tables -------------------------------------------------------------- */

#define UNARY(id, op_id)                                                       \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.eltwise",                                                 \
        .layout = KERNEL_SAME,                                                 \
        .fits = unary_fits,                                                    \
        .prepare = unary_prepare,                                              \
        .bind = unary_bind,                                                    \
        .unbind = unary_unbind,                                                \
        .run = unary_run,                                                      \
        .done = unary_done,                                                    \
    }

#define BINARY(id, op_id)                                                      \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.eltwise",                                                 \
        .layout = KERNEL_SAME,                                                 \
        .fits = binary_fits,                                                   \
        .prepare = binary_prepare,                                             \
        .run = binary_run,                                                     \
        .done = binary_done,                                                   \
    }

UNARY(dnn_abs, OP_ABS);
UNARY(dnn_clip, OP_CLIP);
UNARY(dnn_elu, OP_ELU);
UNARY(dnn_erf, OP_ERF);
UNARY(dnn_exp, OP_EXP);
UNARY(dnn_gelu, OP_GELU);
UNARY(dnn_hard_sigmoid, OP_HARD_SIGMOID);
UNARY(dnn_hard_swish, OP_HARD_SWISH);
UNARY(dnn_identity, OP_IDENTITY); /* from one scale to another */
UNARY(dnn_leaky_relu, OP_LEAKY_RELU);
UNARY(dnn_log, OP_LOG);
UNARY(dnn_mish, OP_MISH);
UNARY(dnn_neg, OP_NEG);
UNARY(dnn_reciprocal, OP_RECIPROCAL);
UNARY(dnn_relu, OP_RELU);
UNARY(dnn_sigmoid, OP_SIGMOID);
UNARY(dnn_softplus, OP_SOFTPLUS);
UNARY(dnn_sqrt, OP_SQRT);
UNARY(dnn_swish, OP_SWISH);
UNARY(dnn_tanh, OP_TANH);
BINARY(dnn_add, OP_ADD);
BINARY(dnn_div, OP_DIV);
BINARY(dnn_max, OP_MAX);
BINARY(dnn_min, OP_MIN);
BINARY(dnn_mul, OP_MUL);
BINARY(dnn_sub, OP_SUB);
