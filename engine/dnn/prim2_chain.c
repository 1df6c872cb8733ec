/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/prim2_chain.h"

#include <float.h>

static bool
keeps_unit(const struct prim_post *p)
{
    return p->kind == PRIM_SUM || p->kind == PRIM_LINEAR ||
           (p->kind == PRIM_UNARY &&
            (p->op == OP_RELU || p->op == OP_LEAKY_RELU || p->op == OP_CLIP ||
             p->op == OP_ABS));
}

static void
push_eltwise(struct chain *c, dnnl_alg_kind_t alg, float alpha, float beta)
{
    c->at[c->n++] = (struct link){.kind = LINK_ELTWISE,
                                  .alg = alg,
                                  .scale = 1,
                                  .alpha = alpha,
                                  .beta = beta};
}

/* alpha * value + beta, beta in the value's unit; a step of the same kind
 * before it takes it in. */
static void
push_linear(struct chain *c, float alpha, float beta)
{
    struct link *last = c->n > 0 ? &c->at[c->n - 1] : NULL;

    if (last != NULL && last->kind == LINK_ELTWISE &&
        last->alg == dnnl_eltwise_linear) {
        last->alpha *= alpha * last->scale;
        last->beta = last->beta * alpha * last->scale + beta;
        last->scale = 1;
    } else if (last != NULL && last->kind == LINK_ELTWISE && beta == 0) {
        last->scale *= alpha;
    } else {
        push_eltwise(c, dnnl_eltwise_linear, alpha, beta);
    }
}

/* Brings the value to unit u and then adds shift. */
static void
to_unit(struct chain *c, float u, float shift)
{
    if (c->unit != u || shift != 0)
        push_linear(c, c->unit / u, shift);
    c->unit = u;
}

bool
chain_unary(enum op op, float alpha, float beta, struct link *l)
{
    static const struct {
        enum op op;
        dnnl_alg_kind_t alg;
    } table[] = {
        {OP_RELU, dnnl_eltwise_relu},
        {OP_LEAKY_RELU, dnnl_eltwise_relu},
        {OP_CLIP, dnnl_eltwise_clip},
        {OP_ELU, dnnl_eltwise_elu},
        {OP_ABS, dnnl_eltwise_abs},
        {OP_SIGMOID, dnnl_eltwise_logistic},
        {OP_TANH, dnnl_eltwise_tanh},
        {OP_EXP, dnnl_eltwise_exp},
        {OP_LOG, dnnl_eltwise_log},
        {OP_SQRT, dnnl_eltwise_sqrt},
        {OP_SOFTPLUS, dnnl_eltwise_soft_relu},
        {OP_MISH, dnnl_eltwise_mish},
        {OP_HARD_SWISH, dnnl_eltwise_hardswish},
        {OP_SWISH, dnnl_eltwise_swish},
        {OP_GELU, dnnl_eltwise_gelu_erf},
        {OP_HARD_SIGMOID, dnnl_eltwise_linear},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].op != op)
            continue;
        *l = (struct link){.kind = LINK_ELTWISE,
                           .alg = table[i].alg,
                           .scale = 1,
                           .alpha = alpha,
                           .beta = beta};
        if (op == OP_RELU)
            l->alpha = 0;
        if (op == OP_SWISH)
            l->alpha = 1;
        /* struct post says by alpha 1 that Gelu is the tanh form. */
        if (op == OP_GELU && alpha == 1)
            l->alg = dnnl_eltwise_gelu_tanh;
        return true;
    }
    return false;
}

static int
push_unary(struct chain *c, const struct prim_post *p, struct err *e)
{
    struct link l;

    if (!chain_unary(p->op, p->alpha, p->beta, &l))
        return err_set(e, ERR_UNSUPPORTED, "oneDNN has no eltwise %s",
                       op_name(p->op));
    if (!keeps_unit(p))
        to_unit(c, 1, 0);
    if (p->op == OP_HARD_SIGMOID) {
        push_linear(c, p->alpha, p->beta);
        push_eltwise(c, dnnl_eltwise_clip, 0, 1);
        return 0;
    }
    if (p->op == OP_CLIP) {
        l.alpha /= c->unit;
        l.beta /= c->unit;
    }
    c->at[c->n++] = l;
    return 0;
}

static int
push_post(struct chain *c, const struct prim_post *p, int index, struct err *e)
{
    struct link l = {.kind = LINK_BINARY, .other = &p->other, .post = index};

    switch (p->kind) {
    case PRIM_UNARY:
        return push_unary(c, p, e);
    case PRIM_LINEAR:
        push_linear(c, p->alpha, p->beta / c->unit);
        return 0;
    case PRIM_SUM:
        l.kind = LINK_SUM;
        l.scale = p->scale / c->unit;
        l.zero = p->zero;
        break;
    case PRIM_ADD:
        to_unit(c, p->scale, (float)-p->zero);
        l.alg = dnnl_binary_add;
        break;
    case PRIM_MUL:
        if (p->zero != 0)
            return err_set(e, ERR_UNSUPPORTED,
                           "product with a tensor that has a zero point");
        l.alg = dnnl_binary_mul;
        c->unit *= p->scale;
        break;
    }
    c->at[c->n++] = l;
    return 0;
}

/* --- one step of each algorithm ------------------------------------------ */

/* True when an earlier step would lend l its parameters. */
static bool
is_hit(const struct chain *c, const struct link *l)
{
    for (int i = 0; i < c->n; i++) {
        const struct link *k = &c->at[i];

        if (k->kind == LINK_ELTWISE && k->alg == l->alg &&
            (k->scale != l->scale || k->alpha != l->alpha ||
             k->beta != l->beta))
            return true;
    }
    return false;
}

static void
push_constant(struct chain *c, dnnl_alg_kind_t alg, float value)
{
    c->at[c->n++] = (struct link){
        .kind = LINK_BINARY, .alg = alg, .post = -1, .constant = value};
}

/* scale * (alpha x + beta) without an eltwise step. */
static void
push_product_sum(struct chain *c, const struct link *l)
{
    if (l->scale * l->alpha != 1)
        push_constant(c, dnnl_binary_mul, l->scale * l->alpha);
    if (l->beta != 0)
        push_constant(c, dnnl_binary_add, l->scale * l->beta);
}

/* Appends l to c, said differently if need be. */
static int
push_distinct(struct chain *c, struct link l, struct err *e)
{
    float scale = l.scale;

    if (l.kind != LINK_ELTWISE || !is_hit(c, &l)) {
        c->at[c->n++] = l;
        return 0;
    }
    if (l.alg == dnnl_eltwise_linear) {
        push_product_sum(c, &l);
        return 0;
    }
    l.scale = 1;
    if (is_hit(c, &l) && l.alg == dnnl_eltwise_clip)
        l.alg = dnnl_eltwise_clip_v2; /* the same, but for training */
    if (is_hit(c, &l) && l.alg == dnnl_eltwise_relu && l.alpha == 0) {
        l.alg = dnnl_eltwise_clip_v2;
        l.beta = FLT_MAX;
    }
    if (is_hit(c, &l))
        return err_set(e, ERR_UNSUPPORTED,
                       "oneDNN 2.x mixes up two activations of one kind");
    c->at[c->n++] = l;
    if (scale != 1)
        push_constant(c, dnnl_binary_mul, scale);
    return 0;
}

static int
make_distinct(struct chain *c, struct err *e)
{
    struct chain from = *c;
    int rc = 0;

    c->n = 0;
    for (int i = 0; rc == 0 && i < from.n; i++)
        rc = push_distinct(c, from.at[i], e);
    return rc;
}

int
chain_make(struct chain *c, const struct prim_math *m, struct err *e)
{
    bool keep = true;
    int rc;

    for (int i = 0; i < m->n_posts; i++)
        keep &= keeps_unit(&m->post[i]);
    c->n = 0;
    c->first = keep ? m->dst_scale : 1;
    if (!keep && m->post[0].kind == PRIM_ADD)
        c->first = m->post[0].scale;
    c->unit = c->first;
    for (int i = 0; i < m->n_posts; i++)
        if ((rc = push_post(c, &m->post[i], i, e)) != 0)
            return rc;
    to_unit(c, m->dst_scale, 0);
    return make_distinct(c, e);
}
