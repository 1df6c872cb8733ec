/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts and scales: what stands behind a sum, as attributes of a primitive.
 */
#include "engine/dnn/prim2.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

/* One float, as a tensor of that rank. */
static dnnl_status_t
number_desc(int rank, dnnl_memory_desc_t *md)
{
    dnnl_dims_t ones;

    for (int i = 0; i < rank; i++)
        ones[i] = 1;
    return dnnl_memory_desc_init_by_strides(md, rank, ones, dnnl_f32, ones);
}

static dnnl_status_t
append(dnnl_post_ops_t ops, const struct link *l, struct prim *p, int index,
       int rank)
{
    struct arg *a = &p->arg[p->n_args];
    dnnl_status_t st;

    switch (l->kind) {
    case LINK_ELTWISE:
        return dnnl_post_ops_append_eltwise(ops, l->scale, l->alg, l->alpha,
                                            l->beta);
    case LINK_SUM:
        return dnnl_post_ops_append_sum_v3(ops, l->scale, l->zero,
                                           prim2_type(l->other->dtype));
    case LINK_BINARY:
        break;
    }
    st = l->post < 0 ? number_desc(rank, &a->md)
                     : prim2_strided(l->other, &a->md);
    if (st != dnnl_success)
        return st;
    a->dnnl_arg = DNNL_ARG_ATTR_MULTIPLE_POST_OP(index) | DNNL_ARG_SRC_1;
    a->role = PRIM_POST + l->post;
    if (l->post < 0) {
        a->role = ROLE_CONSTANT - p->n_constants;
        p->constant[p->n_constants++] = l->constant;
    }
    p->n_args++;
    return dnnl_post_ops_append_binary(ops, l->alg, &a->md);
}

/* bias in units of the accumulator; scale has been checked to be > 0. */
static int
make_bias(const struct prim_math *m, struct prim *p, struct err *e)
{
    p->bias = mem_try((size_t)m->n_channels, sizeof *p->bias);
    if (p->bias == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for a bias");
    for (int i = 0; i < m->n_channels; i++) {
        float s = m->scale == NULL ? 1 : m->scale[m->n_scales == 1 ? 0 : i];

        p->bias[i] = m->bias[i] / s;
        if (m->scale != NULL && !isfinite(p->bias[i]))
            return err_set(e, ERR_UNSUPPORTED,
                           "bias %g over scale %g is out of range",
                           (double)m->bias[i], (double)s);
    }
    return 0;
}

static int
set_scales(dnnl_primitive_attr_t attr, const struct prim_math *m, float unit,
           int axis, struct err *e)
{
    float one = 1 / unit;
    float *scale = &one;
    int n = m->scale == NULL ? 1 : m->n_scales;
    dnnl_status_t st = dnnl_success;

    if (m->scale == NULL && unit == 1)
        return 0;
    if (m->scale != NULL) {
        scale = mem_try((size_t)n, sizeof *scale);
        if (scale == NULL)
            return err_set(e, ERR_NO_MEMORY, "no memory for scales");
        for (int i = 0; i < n; i++) {
            scale[i] = m->scale[i] / unit;
            if (!(m->scale[i] >= FLT_MIN) || !isfinite(scale[i]))
                st = dnnl_invalid_arguments;
        }
    }
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_output_scales(
            attr, n, n == 1 ? 0 : 1 << axis, scale);
    if (m->scale != NULL)
        mem_free(scale);
    return st == dnnl_success ? 0 : prim2_failed(st, "output scale", e);
}

static int
set_zero(dnnl_primitive_attr_t attr, int arg, int32_t zero, struct err *e)
{
    dnnl_status_t st;

    if (zero == 0)
        return 0;
    st = dnnl_primitive_attr_set_zero_points(attr, arg, 1, 0, &zero);
    return st == dnnl_success ? 0 : prim2_failed(st, "zero point", e);
}

/* The attribute all primitives here have: the caller gives the scratchpad. */
int
prim2_new_attr(dnnl_primitive_attr_t *attr, struct err *e)
{
    dnnl_status_t st;

    if (prim2_engine() == NULL)
        return err_set(e, ERR_INTERNAL, "oneDNN has no engine for this CPU");
    st = dnnl_primitive_attr_create(attr);
    if (st != dnnl_success)
        return prim2_failed(st, "attribute", e);
    st = dnnl_primitive_attr_set_scratchpad_mode(*attr,
                                                 dnnl_scratchpad_mode_user);
    return st == dnnl_success ? 0 : prim2_failed(st, "attribute", e);
}

/* rank: of dst; axis: of the channels in it. */
int
prim2_math_attr(const struct prim_math *m, int rank, int axis, struct prim *p,
                dnnl_primitive_attr_t *attr, struct err *e)
{
    struct chain c;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t st;
    int rc = prim2_new_attr(attr, e);

    if (rc != 0 || (rc = chain_make(&c, m, e)) != 0 ||
        (rc = set_scales(*attr, m, c.first, axis, e)) != 0 ||
        (rc = set_zero(*attr, DNNL_ARG_SRC,
                       m->zero_at_run ? DNNL_RUNTIME_S32_VAL : m->src_zero,
                       e)) != 0 ||
        (rc = set_zero(*attr, DNNL_ARG_WEIGHTS, m->weights_zero, e)) != 0 ||
        (rc = set_zero(*attr, DNNL_ARG_DST, m->dst_zero, e)) != 0)
        return rc;
    if (m->bias != NULL && (rc = make_bias(m, p, e)) != 0)
        return rc;
    st = dnnl_post_ops_create(&ops);
    for (int i = 0; i < c.n && st == dnnl_success; i++) {
        p->has_binary |= c.at[i].kind == LINK_BINARY;
        p->has_sum |= c.at[i].kind == LINK_SUM;
        st = append(ops, &c.at[i], p, i, rank);
    }
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops != NULL)
        dnnl_post_ops_destroy(ops);
    return st == dnnl_success ? 0 : prim2_failed(st, "post-op", e);
}
