/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prim.h in the API of oneDNN 2.x: operation descriptors, output scales, and
 * memory descriptors that are plain structs.
 */
#include "engine/dnn/prim2_chain.h"

#include <dnnl.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_ARGS = PRIM_ARGS + 2 + MAX_CHAIN };

/* Roles of arguments that p itself has: the bias, and constants from here
 * downwards. */
enum { ROLE_BIAS = -1, ROLE_CONSTANT = -2 };

struct arg {
    int dnnl_arg;
    int role; /* enum prim_arg or one of the above */
    dnnl_memory_desc_t md;
};

struct prim {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t prim;
    dnnl_memory_desc_t plain; /* weights as prim_pack() is given them */
    dnnl_memory_desc_t packed;
    struct arg arg[MAX_ARGS];
    int n_args;
    float *bias;
    float constant[MAX_CHAIN];
    int n_constants;
    bool has_binary, has_sum; /* among the post-ops */
    size_t scratch_bytes;
    const char *impl;
};

struct prim_call {
    const struct prim *prim;
    dnnl_stream_t stream;
    dnnl_exec_arg_t arg[MAX_ARGS + 1];
    int n_args;
};

static dnnl_engine_t engine;
static dnnl_status_t engine_status;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void
make_engine(void)
{
    engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0);
}

static int
failed(dnnl_status_t st, const char *what, struct err *e)
{
    if (st == dnnl_out_of_memory)
        return err_set(e, ERR_NO_MEMORY, "oneDNN %s: out of memory", what);
    if (st == dnnl_unimplemented || st == dnnl_invalid_arguments)
        return err_set(e, ERR_UNSUPPORTED, "oneDNN has no such %s", what);
    return err_set(e, ERR_INTERNAL, "oneDNN %s failed with status %d", what,
                   (int)st);
}

static dnnl_data_type_t
type_of(enum dtype t)
{
    switch (t) {
    case DTYPE_FLOAT:
        return dnnl_f32;
    case DTYPE_INT32:
        return dnnl_s32;
    case DTYPE_INT8:
        return dnnl_s8;
    case DTYPE_UINT8:
        return dnnl_u8;
    default:
        return dnnl_data_type_undef;
    }
}

static dnnl_status_t
strided(const struct prim_tensor *t, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dim, stride;

    for (int i = 0; i < t->rank; i++) {
        dim[i] = t->dim[i];
        stride[i] = t->stride[i];
    }
    return dnnl_memory_desc_init_by_strides(md, t->rank, dim, type_of(t->dtype),
                                            stride);
}

/* The same shape in whatever form the primitive likes. */
static dnnl_status_t
any_form(const struct prim_tensor *t, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dim;

    for (int i = 0; i < t->rank; i++)
        dim[i] = t->dim[i];
    return dnnl_memory_desc_init_by_tag(md, t->rank, dim, type_of(t->dtype),
                                        dnnl_format_tag_any);
}

/* --- posts and scales ---------------------------------------------------- */

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
                                           type_of(l->other->dtype));
    case LINK_BINARY:
        break;
    }
    st = l->post < 0 ? number_desc(rank, &a->md) : strided(l->other, &a->md);
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
    return st == dnnl_success ? 0 : failed(st, "output scale", e);
}

static int
set_zero(dnnl_primitive_attr_t attr, int arg, int32_t zero, struct err *e)
{
    dnnl_status_t st;

    if (zero == 0)
        return 0;
    st = dnnl_primitive_attr_set_zero_points(attr, arg, 1, 0, &zero);
    return st == dnnl_success ? 0 : failed(st, "zero point", e);
}

/* The attribute all primitives here have: the caller gives the scratchpad. */
static int
new_attr(dnnl_primitive_attr_t *attr, struct err *e)
{
    dnnl_status_t st;

    pthread_once(&engine_once, make_engine);
    if (engine_status != dnnl_success)
        return failed(engine_status, "engine", e);
    st = dnnl_primitive_attr_create(attr);
    if (st != dnnl_success)
        return failed(st, "attribute", e);
    st = dnnl_primitive_attr_set_scratchpad_mode(*attr,
                                                 dnnl_scratchpad_mode_user);
    return st == dnnl_success ? 0 : failed(st, "attribute", e);
}

/* rank: of dst; axis: of the channels in it. */
static int
math_attr(const struct prim_math *m, int rank, int axis, struct prim *p,
          dnnl_primitive_attr_t *attr, struct err *e)
{
    struct chain c;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t st;
    int rc = new_attr(attr, e);

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
    return st == dnnl_success ? 0 : failed(st, "post-op", e);
}

/* --- descriptions -------------------------------------------------------- */

/* From here on p->pd exists: notes what is asked of it later. */
static int
describe(struct prim *p, struct err *e)
{
    const dnnl_memory_desc_t *md;
    dnnl_status_t st;

    st =
        dnnl_primitive_desc_query(p->pd, dnnl_query_impl_info_str, 0, &p->impl);
    if (st != dnnl_success)
        return failed(st, "implementation name", e);
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

/* True when the window of output place o of an axis has no place inside. */
static bool
is_outside(const struct prim_conv *c, int axis, int64_t kernel, int64_t o)
{
    int64_t at = o * c->stride[axis] - c->pad_lo[axis];

    for (int64_t k = 0; k < kernel; k++, at += c->dilation[axis])
        if (at >= 0 && at < c->src.dim[axis + 2])
            return false;
    return true;
}

/* True when some window sees nothing but padding; with dilation that happens
 * also between its places. */
static bool
sees_only_padding(const struct prim_conv *c)
{
    int axes = c->src.rank - 2;

    for (int i = 0; i < axes; i++) {
        int64_t kernel = c->weights.dim[c->weights.rank - axes + i];
        int64_t first = c->pad_lo[i] / c->stride[i] + 1;
        int64_t last = c->pad_hi[i] / c->stride[i] + 1;
        int64_t n = c->dst.dim[i + 2];

        /* Only windows that reach over an edge can; far ones surely do. */
        if (first > 64 || last > 64)
            return true;
        for (int64_t o = 0; o < n; o++) {
            if (o == first && o < n - last)
                o = n - last;
            if (is_outside(c, i, kernel, o))
                return true;
        }
    }
    return false;
}

/*
 * What 2.6.3 does wrong, found by comparing random nodes with the plain
 * kernels.  With an operand (sum or binary) among the posts: brgconv crashes
 * where a window sees only padding and an eltwise post follows; convolutions
 * by gemm give wrong numbers; so do depthwise ones, on AVX2 and AVX-512, for
 * channels that fill no vector.  In int8, those by gemm err without an
 * operand too (4 channels in 4 groups, 8 out, kernel 4x2, padding 3 above and
 * 2 left).
 */
static bool
conv_errs(const struct prim *p, const struct prim_conv *c)
{
    bool depthwise = c->weights.rank > c->src.rank && c->weights.dim[2] == 1;
    bool operand = p->has_binary || p->has_sum;

    if (strstr(p->impl, "gemm_s8") != NULL)
        return true;
    return operand &&
           (sees_only_padding(c) || strstr(p->impl, "gemm") != NULL ||
            (depthwise && c->dst.dim[1] % 16 != 0));
}

/* Takes p, and attr when there is one. */
static int
finish(struct prim *p, const void *desc, const char *what,
       dnnl_primitive_attr_t attr, struct prim **out, struct err *e)
{
    dnnl_status_t st =
        dnnl_primitive_desc_create(&p->pd, desc, attr, engine, NULL);
    int rc = st == dnnl_success ? describe(p, e) : failed(st, what, e);

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

static int
give_up(struct prim *p, dnnl_primitive_attr_t attr, int rc)
{
    prim_free(&p);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    return rc;
}

/* Weights and bias become arguments once the primitive has chosen a form. */
static void
add_weights(struct prim *p)
{
    add_arg(p, DNNL_ARG_WEIGHTS, PRIM_WEIGHTS);
    p->packed = p->arg[p->n_args - 1].md;
    if (p->bias != NULL)
        add_arg(p, DNNL_ARG_BIAS, ROLE_BIAS);
}

/* The zero point of the source becomes an argument. */
static int
add_zero(struct prim *p, struct err *e)
{
    struct arg *a = &p->arg[p->n_args++];
    const dnnl_dims_t one = {1};
    dnnl_status_t st;

    a->dnnl_arg = DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC;
    a->role = PRIM_ZERO;
    st = dnnl_memory_desc_init_by_tag(&a->md, 1, one, dnnl_s32, dnnl_a);
    return st == dnnl_success ? 0 : failed(st, "zero point", e);
}

static dnnl_status_t
bias_desc(const struct prim *p, const struct prim_math *m, int rank,
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

/* Spatial arrays as long as oneDNN declares them. */
struct window {
    dnnl_dims_t kernel, stride, dilation, pad_lo, pad_hi;
};

static void
copy3(dnnl_dims_t to, const int64_t from[3], int64_t less)
{
    for (int i = 0; i < 3; i++)
        to[i] = from[i] - less;
}

static dnnl_status_t
conv_desc(const struct prim_conv *c, const dnnl_memory_desc_t *src,
          const dnnl_memory_desc_t *w, const dnnl_memory_desc_t *bias,
          const dnnl_memory_desc_t *dst, dnnl_convolution_desc_t *d)
{
    struct window win;

    copy3(win.stride, c->stride, 0);
    copy3(win.dilation, c->dilation, 1); /* oneDNN counts the gap */
    copy3(win.pad_lo, c->pad_lo, 0);
    copy3(win.pad_hi, c->pad_hi, 0);
    if (c->transposed)
        return dnnl_dilated_deconvolution_forward_desc_init(
            d, dnnl_forward_inference, dnnl_deconvolution_direct, src, w, bias,
            dst, win.stride, win.dilation, win.pad_lo, win.pad_hi);
    return dnnl_dilated_convolution_forward_desc_init(
        d, dnnl_forward_inference, dnnl_convolution_direct, src, w, bias, dst,
        win.stride, win.dilation, win.pad_lo, win.pad_hi);
}

/* oneDNN 2.6.3 takes away too much for the zero point where a whole window
 * lies in the padding. */
static bool
windows_meet_input(const struct prim_conv *c)
{
    int spatial = c->src.rank - 2, at = c->weights.rank - spatial;

    for (int i = 0; i < spatial; i++) {
        int64_t reach = (c->weights.dim[at + i] - 1) * c->dilation[i];

        if (c->pad_lo[i] > reach || c->pad_hi[i] > reach)
            return false;
    }
    return true;
}

/* And its int8 code for AVX2 is wrong for depthwise windows of 8 taps. */
static bool
eight_taps(const struct prim_conv *c)
{
    int spatial = c->src.rank - 2, at = c->weights.rank - spatial;
    int64_t taps = 1;

    for (int i = 0; i < spatial; i++)
        taps *= c->weights.dim[at + i];
    return taps == 8 && at == 3 && c->weights.dim[1] == 1 &&
           c->weights.dim[2] == 1 && c->weights.dtype == DTYPE_INT8 &&
           dnnl_get_effective_cpu_isa() < dnnl_cpu_isa_avx512_core;
}

int
prim_conv(const struct prim_conv *c, const struct prim_math *m,
          struct prim **out, struct err *e)
{
    dnnl_memory_desc_t src, w, dst, bias;
    dnnl_convolution_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;
    struct prim *p;
    int rc;

    if ((m->src_zero != 0 || m->zero_at_run) && !windows_meet_input(c))
        return err_set(e, ERR_UNSUPPORTED, "windows of padding alone");
    if (eight_taps(c))
        return err_set(e, ERR_UNSUPPORTED, "a depthwise window of 8 taps");
    p = mem_new(1, sizeof *p);
    rc = math_attr(m, c->dst.rank, 1, p, &attr, e);
    if (rc != 0)
        return give_up(p, attr, rc);
    if ((st = strided(&c->src, &src)) != dnnl_success ||
        (st = strided(&c->weights, &p->plain)) != dnnl_success ||
        (st = any_form(&c->weights, &w)) != dnnl_success ||
        (st = strided(&c->dst, &dst)) != dnnl_success ||
        (st = bias_desc(p, m, 1, &bias)) != dnnl_success ||
        (st = conv_desc(c, &src, &w, p->bias != NULL ? &bias : NULL, &dst,
                        &d)) != dnnl_success)
        return give_up(p, attr, failed(st, "convolution", e));
    rc = finish(p, &d, "convolution", attr, out, e);
    if (rc != 0)
        return rc;
    add_weights(p);
    if (m->zero_at_run && (rc = add_zero(p, e)) != 0) {
        prim_free(out);
        return rc;
    }
    if (!conv_errs(p, c))
        return 0;
    rc = err_set(e, ERR_UNSUPPORTED, "oneDNN has only %s, which errs here",
                 p->impl);
    prim_free(out);
    return rc;
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
    int rc = math_attr(m, c->dst.rank, c->dst.rank - 1, p, &attr, e);

    if (rc != 0)
        return give_up(p, attr, rc);
    if ((st = strided(&c->src, &src)) != dnnl_success ||
        (st = strided(&c->weights, &p->plain)) != dnnl_success ||
        (st = c->pack ? any_form(&c->weights, &w) : strided(&c->weights, &w)) !=
            dnnl_success ||
        (st = strided(&c->dst, &dst)) != dnnl_success ||
        (st = bias_desc(p, m, c->dst.rank, &bias)) != dnnl_success ||
        (st = dnnl_matmul_desc_init(&d, &src, &w,
                                    p->bias != NULL ? &bias : NULL, &dst)) !=
            dnnl_success)
        return give_up(p, attr, failed(st, "matmul", e));
    rc = finish(p, &d, "matmul", attr, out, e);
    if (rc != 0)
        return rc;
    add_weights(p);
    return 0;
}

int
prim_pool(const struct prim_pool *c, struct prim **out, struct err *e)
{
    struct prim *p = mem_new(1, sizeof *p);
    dnnl_memory_desc_t src, dst;
    dnnl_pooling_v2_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    struct window win;
    dnnl_status_t st;
    int rc = new_attr(&attr, e);

    if (rc != 0)
        return give_up(p, attr, rc);
    copy3(win.kernel, c->kernel, 0);
    copy3(win.stride, c->stride, 0);
    copy3(win.dilation, c->dilation, 1);
    copy3(win.pad_lo, c->pad_lo, 0);
    copy3(win.pad_hi, c->pad_hi, 0);
    if ((st = strided(&c->src, &src)) != dnnl_success ||
        (st = strided(&c->dst, &dst)) != dnnl_success ||
        (st = dnnl_pooling_v2_forward_desc_init(
             &d, dnnl_forward_inference,
             c->max         ? dnnl_pooling_max
             : c->count_pad ? dnnl_pooling_avg_include_padding
                            : dnnl_pooling_avg_exclude_padding,
             &src, &dst, win.stride, win.kernel, win.dilation, win.pad_lo,
             win.pad_hi)) != dnnl_success)
        return give_up(p, attr, failed(st, "pooling", e));
    return finish(p, &d, "pooling", attr, out, e);
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
    int rc = new_attr(&attr, e);

    if (rc != 0)
        return give_up(p, attr, rc);
    if (!chain_unary(op, alpha, beta, &l) || op == OP_HARD_SIGMOID)
        return give_up(p, attr,
                       err_set(e, ERR_UNSUPPORTED, "oneDNN has no eltwise %s",
                               op_name(op)));
    if ((st = strided(&t, &md)) != dnnl_success ||
        (st = dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, l.alg,
                                             &md, l.alpha, l.beta)) !=
            dnnl_success)
        return give_up(p, attr, failed(st, "eltwise", e));
    return finish(p, &d, "eltwise", attr, out, e);
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
    int rc = new_attr(&attr, e);

    if (rc != 0)
        return give_up(p, attr, rc);
    if ((st = strided(t, &md)) != dnnl_success ||
        (st = dnnl_softmax_v2_forward_desc_init(
             &d, dnnl_forward_inference,
             log ? dnnl_softmax_log : dnnl_softmax_accurate, &md, &md,
             t->rank - 1)) != dnnl_success)
        return give_up(p, attr, failed(st, "softmax", e));
    return finish(p, &d, "softmax", attr, out, e);
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
    int rc = new_attr(&attr, e);

    if (rc != 0)
        return give_up(p, attr, rc);
    if ((st = strided(t, &md)) != dnnl_success ||
        (st = dnnl_layer_normalization_forward_desc_init(
             &d, dnnl_forward_inference, &md, NULL, epsilon,
             dnnl_use_scale | (beta ? dnnl_use_shift : 0u))) != dnnl_success)
        return give_up(p, attr, failed(st, "layer normalization", e));
    rc = finish(p, &d, "layer normalization", attr, out, e);
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
    int rc = new_attr(&attr, e);

    if (rc != 0)
        return give_up(p, attr, rc);
    if ((st = strided(src, &from)) != dnnl_success ||
        (st = strided(dst, &to)) != dnnl_success ||
        (st = dnnl_reorder_primitive_desc_create(&p->pd, &from, engine, &to,
                                                 engine, attr)) != dnnl_success)
        return give_up(p, attr, failed(st, "reorder", e));
    rc = describe(p, e);
    if (rc != 0)
        return give_up(p, attr, rc);
    p->arg[p->n_args++] = (struct arg){DNNL_ARG_FROM, PRIM_SRC, from};
    p->arg[p->n_args++] = (struct arg){DNNL_ARG_TO, PRIM_DST, to};
    dnnl_primitive_attr_destroy(attr);
    *out = p;
    return 0;
}

/* --- life ---------------------------------------------------------------- */

int
prim_build(struct prim *p, struct err *e)
{
    dnnl_status_t st = dnnl_success;

    if (p->prim == NULL)
        st = dnnl_primitive_create(&p->prim, p->pd);

    return st == dnnl_success ? 0 : failed(st, "primitive", e);
}

void
prim_free(struct prim **p)
{
    if (*p == NULL)
        return;
    if ((*p)->prim != NULL)
        dnnl_primitive_destroy((*p)->prim);
    if ((*p)->pd != NULL)
        dnnl_primitive_desc_destroy((*p)->pd);
    mem_free((*p)->bias);
    mem_free(*p);
    *p = NULL;
}

const char *
prim_impl(const struct prim *p)
{
    return p->impl;
}

size_t
prim_scratch_bytes(const struct prim *p)
{
    return p->scratch_bytes;
}

size_t
prim_weights_bytes(const struct prim *p)
{
    return dnnl_memory_desc_get_size(&p->packed);
}

const void *
prim_weights_key(const struct prim *p, size_t *bytes)
{
    *bytes = sizeof p->packed;
    return &p->packed;
}

static dnnl_status_t
run_reorder(dnnl_primitive_t prim, dnnl_memory_t from, dnnl_memory_t to)
{
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_stream_t stream;
    dnnl_status_t st =
        dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);

    if (st != dnnl_success)
        return st;
    st = dnnl_primitive_execute(prim, stream, 2, args);
    if (st == dnnl_success)
        st = dnnl_stream_wait(stream);
    dnnl_stream_destroy(stream);
    return st;
}

int
prim_pack(const struct prim *p, const void *plain, void *packed, struct err *e)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    dnnl_memory_t from = NULL, to = NULL;
    dnnl_status_t st;

    /* oneDNN takes addresses as void *; a source is only read. */
    if ((st = dnnl_reorder_primitive_desc_create(&pd, &p->plain, engine,
                                                 &p->packed, engine, NULL)) ==
            dnnl_success &&
        (st = dnnl_primitive_create(&prim, pd)) == dnnl_success &&
        (st = dnnl_memory_create(&from, &p->plain, engine, (void *)plain)) ==
            dnnl_success &&
        (st = dnnl_memory_create(&to, &p->packed, engine, packed)) ==
            dnnl_success)
        st = run_reorder(prim, from, to);
    if (to != NULL)
        dnnl_memory_destroy(to);
    if (from != NULL)
        dnnl_memory_destroy(from);
    if (prim != NULL)
        dnnl_primitive_destroy(prim);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return st == dnnl_success ? 0 : failed(st, "weights reorder", e);
}

/* oneDNN takes addresses as void *, but only reads here. */
static void *
own_constant(const struct prim *p, int role)
{
    return (void *)&p->constant[ROLE_CONSTANT - role];
}

static dnnl_status_t
bind_all(struct prim_call *c, void *const *arg, void *scratch)
{
    const struct prim *p = c->prim;
    dnnl_status_t st =
        dnnl_stream_create(&c->stream, engine, dnnl_stream_default_flags);

    for (int i = 0; i < p->n_args && st == dnnl_success; i++) {
        const struct arg *a = &p->arg[i];
        void *at = a->role >= 0           ? arg[a->role]
                   : a->role == ROLE_BIAS ? p->bias
                                          : own_constant(p, a->role);

        c->arg[i].arg = a->dnnl_arg;
        st = dnnl_memory_create(&c->arg[i].memory, &a->md, engine, at);
        c->n_args = i + (st == dnnl_success);
    }
    if (st != dnnl_success || p->scratch_bytes == 0)
        return st;
    c->arg[c->n_args].arg = DNNL_ARG_SCRATCHPAD;
    st = dnnl_memory_create(
        &c->arg[c->n_args].memory,
        dnnl_primitive_desc_query_md(p->pd, dnnl_query_scratchpad_md, 0),
        engine, scratch);
    c->n_args += st == dnnl_success;
    return st;
}

int
prim_bind(const struct prim *p, void *const *arg, void *scratch,
          struct prim_call **out, struct err *e)
{
    struct prim_call *c = mem_new(1, sizeof *c);
    dnnl_status_t st;

    c->prim = p;
    st = bind_all(c, arg, scratch);
    if (st != dnnl_success) {
        prim_unbind(&c);
        return failed(st, "memory", e);
    }
    *out = c;
    return 0;
}

int
prim_run(const struct prim_call *c, struct err *e)
{
    dnnl_status_t st =
        dnnl_primitive_execute(c->prim->prim, c->stream, c->n_args, c->arg);

    return st == dnnl_success ? 0 : failed(st, "execution", e);
}

void
prim_unbind(struct prim_call **c)
{
    if (*c == NULL)
        return;
    for (int i = 0; i < (*c)->n_args; i++)
        dnnl_memory_destroy((*c)->arg[i].memory);
    if ((*c)->stream != NULL)
        dnnl_stream_destroy((*c)->stream);
    mem_free(*c);
    *c = NULL;
}

/* --- the machine --------------------------------------------------------- */

const char *
prim_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "generic";
    }
}

bool
prim_has_vnni(void)
{
    int isa = (int)dnnl_get_effective_cpu_isa();

    /* Each instruction set has the bits of those it includes. */
    return (isa & dnnl_cpu_isa_avx512_core_vnni) ==
           dnnl_cpu_isa_avx512_core_vnni;
}

const char *
prim_version(void)
{
    static char text[24];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const dnnl_version_t *v = dnnl_version();

    pthread_mutex_lock(&lock);
    if (text[0] == '\0')
        snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    pthread_mutex_unlock(&lock);
    return text;
}
