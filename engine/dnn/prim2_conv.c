/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prim_conv(), and which convolutions of oneDNN 2.6.3 are not to be trusted.
 */
#include "engine/dnn/prim2.h"

#include <string.h>

#include "base/mem.h"

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

/* The window of a depthwise convolution has 8 places. */
static bool
has_eight_taps(const struct prim_conv *c)
{
    int spatial = c->src.rank - 2, at = c->weights.rank - spatial;
    int64_t taps = 1;

    for (int i = 0; i < spatial; i++)
        taps *= c->weights.dim[at + i];
    return taps == 8 && at == 3 && c->weights.dim[1] == 1 &&
           c->weights.dim[2] == 1 && c->weights.dtype == DTYPE_INT8 &&
           dnnl_get_effective_cpu_isa() < dnnl_cpu_isa_avx512_core;
}

/*
 * What 2.6.3 does wrong, found by comparing random nodes with the plain
 * kernels.  With an operand (sum or binary) among the posts: brgconv crashes
 * where a window sees only padding and an eltwise post follows; convolutions
 * by gemm give wrong numbers; so do depthwise ones, on AVX2 and AVX-512, for
 * channels that fill no vector.  In int8, those by gemm err without an
 * operand too (4 channels in 4 groups, 8 out, kernel 4x2, padding 3 above and
 * 2 left); where a window sees only padding, too much is taken away for the
 * zero point; and depthwise windows of 8 places are wrong on AVX2.
 */
static bool
conv_errs(const struct prim *p, const struct prim_conv *c,
          const struct prim_math *m)
{
    bool depthwise = c->weights.rank > c->src.rank && c->weights.dim[2] == 1;
    bool operand = p->has_binary || p->has_sum;

    if (strstr(p->impl, "gemm_s8") != NULL || has_eight_taps(c))
        return true;
    if ((m->src_zero != 0 || m->zero_at_run) && !c->transposed &&
        sees_only_padding(c))
        return true;
    return operand &&
           (sees_only_padding(c) || strstr(p->impl, "gemm") != NULL ||
            (depthwise && c->dst.dim[1] % 16 != 0));
}

static dnnl_status_t
conv_desc(const struct prim_conv *c, const dnnl_memory_desc_t *src,
          const dnnl_memory_desc_t *w, const dnnl_memory_desc_t *bias,
          const dnnl_memory_desc_t *dst, dnnl_convolution_desc_t *d)
{
    struct prim2_window win;

    prim2_copy(win.stride, c->stride, 0);
    prim2_copy(win.dilation, c->dilation, 1); /* oneDNN counts the gap */
    prim2_copy(win.pad_lo, c->pad_lo, 0);
    prim2_copy(win.pad_hi, c->pad_hi, 0);
    if (c->transposed)
        return dnnl_dilated_deconvolution_forward_desc_init(
            d, dnnl_forward_inference, dnnl_deconvolution_direct, src, w, bias,
            dst, win.stride, win.dilation, win.pad_lo, win.pad_hi);
    return dnnl_dilated_convolution_forward_desc_init(
        d, dnnl_forward_inference, dnnl_convolution_direct, src, w, bias, dst,
        win.stride, win.dilation, win.pad_lo, win.pad_hi);
}

int
prim_conv(const struct prim_conv *c, const struct prim_math *m,
          struct prim **out, struct err *e)
{
    dnnl_memory_desc_t src, w, dst, bias;
    dnnl_convolution_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st;
    struct prim *p = mem_new(1, sizeof *p);
    int rc = prim2_math_attr(m, c->dst.rank, 1, p, &attr, e);
    if (rc != 0)
        return prim2_give_up(p, attr, rc);
    if ((st = prim2_strided(&c->src, &src)) != dnnl_success ||
        (st = prim2_strided(&c->weights, &p->plain)) != dnnl_success ||
        (st = prim2_any_form(&c->weights, &w)) != dnnl_success ||
        (st = prim2_strided(&c->dst, &dst)) != dnnl_success ||
        (st = prim2_bias_desc(p, m, 1, &bias)) != dnnl_success ||
        (st = conv_desc(c, &src, &w, p->bias != NULL ? &bias : NULL, &dst,
                        &d)) != dnnl_success)
        return prim2_give_up(p, attr, prim2_failed(st, "convolution", e));
    rc = prim2_finish(p, &d, "convolution", attr, out, e);
    if (rc != 0)
        return rc;
    prim2_add_weights(p);
    if (m->zero_at_run && (rc = prim2_add_zero(p, e)) != 0) {
        prim_free(out);
        return rc;
    }
    if (!conv_errs(p, c, m))
        return 0;
    rc = err_set(e, ERR_UNSUPPORTED, "oneDNN has only %s, which errs here",
                 p->impl);
    prim_free(out);
    return rc;
}
