/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool, AveragePool and the global ones, channels last, float32 and int8.
 * Pooling of integers needs the output to have the input's scale: a node that
 * also changes the scale is run by the loop in quantize.c.
 *
 * MaxPool passes over a NaN, and finds the least float where a padded window
 * holds minus infinity alone: so do oneDNN and ONNX Runtime, and no finite
 * number becomes an infinity.
 */
#include "engine/dnn/call.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/kernels.h"
#include "engine/ir/window.h"

static int
read_window(const struct graph *g, const struct node *n, struct window *w,
            struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;

    if (n->op != OP_GLOBAL_AVERAGE_POOL && n->op != OP_GLOBAL_MAX_POOL)
        return window_of(g, n, w, e);
    *w = (struct window){.n = x->rank - 2};
    for (int i = 0; i < w->n; i++) {
        w->in[i] = w->kernel[i] = x->dim[i + 2];
        w->out[i] = w->stride[i] = w->dilation[i] = 1;
    }
    return 0;
}

/* Rank 3 is widened in front, and the padding reaches as far as the last
 * window does: with ceil_mode that is beyond what the node says. */
static int
place_window(const struct window *w, struct prim_pool *p, struct err *e)
{
    int wide = w->n == 1;

    for (int i = 0; i < WINDOW_MAX; i++)
        p->kernel[i] = p->stride[i] = p->dilation[i] = 1;
    for (int i = 0; i < w->n; i++) {
        int64_t reach = (w->out[i] - 1) * w->stride[i] +
                        (w->kernel[i] - 1) * w->dilation[i] + 1 - w->in[i] -
                        w->begin[i];

        p->kernel[i + wide] = w->kernel[i];
        p->stride[i + wide] = w->stride[i];
        p->dilation[i + wide] = w->dilation[i];
        p->pad_lo[i + wide] = w->begin[i];
        p->pad_hi[i + wide] = reach > w->end[i] ? reach : w->end[i];
        /* ONNX counts the padding, but not what lies beyond it. */
        if (reach > w->end[i] && p->count_pad && !p->max)
            return err_set(e, ERR_UNSUPPORTED, "ceil_mode");
    }
    return 0;
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
    if ((rc = place_window(&w, &p, e)) != 0)
        return rc;
    c->io[PRIM_SRC] = 0;
    c->io[PRIM_DST] = n->n_in;
    return prim_pool(&p, &c->prim, e);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    return call_fits(describe, g, n);
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    (void)w;
    return call_make(describe, g, n, s, e);
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
