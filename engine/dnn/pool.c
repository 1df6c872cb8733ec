/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool, AveragePool and the global ones, channels last, float32 and int8.
 * Pooling of integers needs the output to have the input's scale: a node that
 * also changes the scale is run by the loop in quantize.c.
 */
#include <string.h>

#include "engine/dnn/call.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/kernels.h"

static int
read_window(const struct graph *g, const struct node *n, struct window *w,
            struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *y = &node_out(g, n, 0)->shape;
    const int64_t *kernel;
    int count;

    memset(w, 0, sizeof *w);
    if (n->op == OP_GLOBAL_AVERAGE_POOL || n->op == OP_GLOBAL_MAX_POOL) {
        for (int i = 2; i < x->rank; i++)
            w->kernel[i - 2] = x->dim[i];
        return desc_window(n, x, y, w, e);
    }
    kernel = attr_ints(n, "kernel_shape", &count);
    if (count != x->rank - 2)
        return err_set(e, ERR_UNSUPPORTED, "kernel_shape");
    for (int i = 0; i < count; i++)
        w->kernel[i] = kernel[i];
    return desc_window(n, x, y, w, e);
}

static int
describe(const struct graph *g, const struct node *n, struct call *c,
         struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct prim_pool p = {0};
    struct window w;
    int rc;

    call_init(c);
    if (!desc_nonempty(x) || !desc_nonempty(y) || x->dtype != y->dtype ||
        (x->dtype != DTYPE_FLOAT && !dtype_is_8bit(x->dtype)))
        return err_set(e, ERR_UNSUPPORTED, "%s", dtype_name(x->dtype));
    if (n->n_posts > 0 || n->in_q != NULL || n->out_q != NULL)
        return err_set(e, ERR_UNSUPPORTED, "posts or scales");
    if (n->n_out > 1 && n->out[1] >= 0)
        return err_set(e, ERR_UNSUPPORTED, "Indices");
    if ((rc = desc_image(x, &p.src, e)) != 0 ||
        (rc = desc_image(y, &p.dst, e)) != 0 ||
        (rc = read_window(g, n, &w, e)) != 0)
        return rc;
    p.max = n->op == OP_MAX_POOL || n->op == OP_GLOBAL_MAX_POOL;
    p.count_pad = attr_int(n, "count_include_pad", 0) != 0;
    /* ONNX counts the padding, but not what ceil_mode reaches beyond it. */
    if (p.count_pad && !p.max && w.ceil)
        return err_set(e, ERR_UNSUPPORTED, "ceil_mode");
    memcpy(p.kernel, w.kernel, sizeof p.kernel);
    memcpy(p.stride, w.stride, sizeof p.stride);
    memcpy(p.dilation, w.dilation, sizeof p.dilation);
    memcpy(p.pad_lo, w.lo, sizeof p.pad_lo);
    memcpy(p.pad_hi, w.hi, sizeof p.pad_hi);
    c->io[PRIM_SRC] = 0;
    c->io[PRIM_DST] = n->n_in;
    return prim_pool(&p, &c->prim, e);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct call c;
    struct err e;
    int rc = describe(g, n, &c, &e);

    prim_free(&c.prim);
    return rc == 0;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    struct call c;
    int rc = describe(g, n, &c, e);

    (void)w;
    if (rc == 0)
        rc = call_prepare(&c, s, e);
    if (rc != 0)
        prim_free(&c.prim);
    return rc;
}

#define POOL(id, op_id)                                                        \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.pool",                                                    \
        .layout = KERNEL_NXC,                                                  \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .bind = call_bind,                                                     \
        .unbind = call_unbind,                                                 \
        .run = call_run,                                                       \
        .done = call_done,                                                     \
    }

POOL(dnn_max_pool, OP_MAX_POOL);
POOL(dnn_average_pool, OP_AVERAGE_POOL);
POOL(dnn_global_average_pool, OP_GLOBAL_AVERAGE_POOL);
POOL(dnn_global_max_pool, OP_GLOBAL_MAX_POOL);
