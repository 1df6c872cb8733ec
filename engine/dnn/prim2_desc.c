/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptions of operations: cheap enough to ask whether a primitive exists.
 */
#include "engine/dnn/prim2.h"

#include <string.h>

#include "base/mem.h"

/* From here on p->pd exists: notes what is asked of it later. */
static int
describe(struct prim *p, struct err *e)
{
    const dnnl_memory_desc_t *md;
    dnnl_status_t st;

    st =
        dnnl_primitive_desc_query(p->pd, dnnl_query_impl_info_str, 0, &p->impl);
    if (st != dnnl_success)
        return prim2_failed(st, "implementation name", e);
    if (strstr(p->impl, "ref") != NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "oneDNN has only its reference code (%s)", p->impl);
    md = dnnl_primitive_desc_query_md(p->pd, dnnl_query_scratchpad_md, 0);
    p->scratch_bytes = md == NULL ? 0 : dnnl_memory_desc_get_size(md);
    return 0;
}

static void
add_arg(struct prim *p, int dnnl_arg, int role)
{
    const dnnl_memory_desc_t *md =
        dnnl_primitive_desc_query_md(p->pd, dnnl_query_exec_arg_md, dnnl_arg);

    if (md == NULL || md->ndims == 0)
        return;
    p->arg[p->n_args++] = (struct arg){dnnl_arg, role, *md};
}

/* Takes p, and attr when there is one. */
int
prim2_finish(struct prim *p, const void *desc, const char *what,
             dnnl_primitive_attr_t attr, struct prim **out, struct err *e)
{
    dnnl_status_t st =
        dnnl_primitive_desc_create(&p->pd, desc, attr, prim2_engine(), NULL);
    int rc = st == dnnl_success ? describe(p, e) : prim2_failed(st, what, e);

    if (rc == 0) {
        add_arg(p, DNNL_ARG_SRC, PRIM_SRC);
        add_arg(p, DNNL_ARG_DST, PRIM_DST);
        *out = p;
    } else {
        prim_free(&p);
    }
    dnnl_primitive_attr_destroy(attr);
    return rc;
}

int
prim2_give_up(struct prim *p, dnnl_primitive_attr_t attr, int rc)
{
    prim_free(&p);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    return rc;
}

/* Weights and bias become arguments once the primitive has chosen a form. */
void
prim2_add_weights(struct prim *p)
{
    add_arg(p, DNNL_ARG_WEIGHTS, PRIM_WEIGHTS);
    p->packed = p->arg[p->n_args - 1].md;
    if (p->bias != NULL)
        add_arg(p, DNNL_ARG_BIAS, ROLE_BIAS);
}

/* The zero point of the source becomes an argument. */
int
prim2_add_zero(struct prim *p, struct err *e)
{
    struct arg *a = &p->arg[p->n_args++];
    const dnnl_dims_t one = {1};
    dnnl_status_t st;

    a->dnnl_arg = DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC;
    a->role = PRIM_ZERO;
    st = dnnl_memory_desc_init_by_tag(&a->md, 1, one, dnnl_s32, dnnl_a);
    return st == dnnl_success ? 0 : prim2_failed(st, "zero point", e);
}

dnnl_status_t
prim2_bias_desc(const struct prim *p, const struct prim_math *m, int rank,
                dnnl_memory_desc_t *md)
{
    dnnl_dims_t dim, stride;

    memset(md, 0, sizeof *md);
    if (p->bias == NULL)
        return dnnl_success;
    for (int i = 0; i < rank; i++) {
        dim[i] = i == rank - 1 ? m->n_channels : 1;
        stride[i] = i == rank - 1 ? 1 : m->n_channels;
    }
    return dnnl_memory_desc_init_by_strides(md, rank, dim, dnnl_f32, stride);
}

int
prim_matmul(const struct prim_matmul *c, const struct prim_math *m,
            struct prim **out, struct err *e)
{
    struct prim *p = mem_new(1, sizeof *p);
    dnnl_memory_desc_t src, w, dst, bias;
    dnnl_matmul_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;
    int rc = prim2_math_attr(m, c->dst.rank, c->dst.rank - 1, p, &attr, e);

    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    if ((st = prim2_strided(&c->src, &src)) != dnnl_success ||
        (st = prim2_strided(&c->weights, &p->plain)) != dnnl_success ||
        (st = c->pack ? prim2_any_form(&c->weights, &w)
                      : prim2_strided(&c->weights, &w)) != dnnl_success ||
        (st = prim2_strided(&c->dst, &dst)) != dnnl_success ||
        (st = prim2_bias_desc(p, m, c->dst.rank, &bias)) != dnnl_success ||
        (st = dnnl_matmul_desc_init(&d, &src, &w,
                                    p->bias != NULL ? &bias : NULL, &dst)) !=
            dnnl_success)
        return prim2_give_up(p, attr, prim2_failed(st, "matmul", e));
    rc = prim2_finish(p, &d, "matmul", attr, out, e);
    if (rc != 0)
        return rc;
    prim2_add_weights(p);
    return 0;
}

int
prim_pool(const struct prim_pool *c, struct prim **out, struct err *e)
{
    struct prim *p = mem_new(1, sizeof *p);
    dnnl_memory_desc_t src, dst;
    dnnl_pooling_v2_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    struct prim2_window win;
    dnnl_status_t st;
    int rc = prim2_new_attr(&attr, e);

    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    prim2_copy(win.kernel, c->kernel, 0);
    prim2_copy(win.stride, c->stride, 0);
    prim2_copy(win.dilation, c->dilation, 1);
    prim2_copy(win.pad_lo, c->pad_lo, 0);
    prim2_copy(win.pad_hi, c->pad_hi, 0);
    if ((st = prim2_strided(&c->src, &src)) != dnnl_success ||
        (st = prim2_strided(&c->dst, &dst)) != dnnl_success ||
        (st = dnnl_pooling_v2_forward_desc_init(
             &d, dnnl_forward_inference,
             c->max         ? dnnl_pooling_max
             : c->count_pad ? dnnl_pooling_avg_include_padding
                            : dnnl_pooling_avg_exclude_padding,
             &src, &dst, win.stride, win.kernel, win.dilation, win.pad_lo,
             win.pad_hi)) != dnnl_success)
        return prim2_give_up(p, attr, prim2_failed(st, "pooling", e));
    return prim2_finish(p, &d, "pooling", attr, out, e);
}

int
prim_unary(enum op op, float alpha, float beta, int64_t n, struct prim **out,
           struct err *e)
{
    struct prim *p = mem_new(1, sizeof *p);
    struct prim_tensor t = {DTYPE_FLOAT, 1, {n}, {1}};
    dnnl_memory_desc_t md;
    dnnl_eltwise_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;
    struct link l;
    int rc = prim2_new_attr(&attr, e);

    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    if (!chain_unary(op, alpha, beta, &l) || op == OP_HARD_SIGMOID)
        return prim2_give_up(p, attr,
                             err_set(e, ERR_UNSUPPORTED,
                                     "oneDNN has no eltwise %s", op_name(op)));
    if ((st = prim2_strided(&t, &md)) != dnnl_success ||
        (st = dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, l.alg,
                                             &md, l.alpha, l.beta)) !=
            dnnl_success)
        return prim2_give_up(p, attr, prim2_failed(st, "eltwise", e));
    return prim2_finish(p, &d, "eltwise", attr, out, e);
}

int
prim_softmax(const struct prim_tensor *t, bool log, struct prim **out,
             struct err *e)
{
    struct prim *p = mem_new(1, sizeof *p);
    dnnl_memory_desc_t md;
    dnnl_softmax_v2_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;
    int rc = prim2_new_attr(&attr, e);

    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    if ((st = prim2_strided(t, &md)) != dnnl_success ||
        (st = dnnl_softmax_v2_forward_desc_init(
             &d, dnnl_forward_inference,
             log ? dnnl_softmax_log : dnnl_softmax_accurate, &md, &md,
             t->rank - 1)) != dnnl_success)
        return prim2_give_up(p, attr, prim2_failed(st, "softmax", e));
    return prim2_finish(p, &d, "softmax", attr, out, e);
}

int
prim_layer_norm(const struct prim_tensor *t, float epsilon, bool beta,
                struct prim **out, struct err *e)
{
    struct prim *p = mem_new(1, sizeof *p);
    dnnl_memory_desc_t md;
    dnnl_layer_normalization_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;
    int rc = prim2_new_attr(&attr, e);

    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    if ((st = prim2_strided(t, &md)) != dnnl_success ||
        (st = dnnl_layer_normalization_forward_desc_init(
             &d, dnnl_forward_inference, &md, NULL, epsilon,
             dnnl_use_scale | (beta ? dnnl_use_shift : 0u))) != dnnl_success)
        return prim2_give_up(p, attr,
                             prim2_failed(st, "layer normalization", e));
    rc = prim2_finish(p, &d, "layer normalization", attr, out, e);
    if (rc == 0) {
        add_arg(*out, DNNL_ARG_SCALE, PRIM_GAMMA);
        if (beta)
            add_arg(*out, DNNL_ARG_SHIFT, PRIM_BETA);
    }
    return rc;
}

int
prim_reorder(const struct prim_tensor *src, const struct prim_tensor *dst,
             struct prim **out, struct err *e)
{
    struct prim *p = mem_new(1, sizeof *p);
    dnnl_memory_desc_t from, to;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;
    int rc = prim2_new_attr(&attr, e);

    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    if ((st = prim2_strided(src, &from)) != dnnl_success ||
        (st = prim2_strided(dst, &to)) != dnnl_success ||
        (st = dnnl_reorder_primitive_desc_create(&p->pd, &from, prim2_engine(),
                                                 &to, prim2_engine(), attr)) !=
            dnnl_success)
        return prim2_give_up(p, attr, prim2_failed(st, "reorder", e));
    rc = describe(p, e);
    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    p->arg[p->n_args++] = (struct arg){DNNL_ARG_FROM, PRIM_SRC, from};
    p->arg[p->n_args++] = (struct arg){DNNL_ARG_TO, PRIM_DST, to};
    dnnl_primitive_attr_destroy(attr);
    *out = p;
    return 0;
}
