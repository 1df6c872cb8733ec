/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AveragePool and GlobalAveragePool of 8-bit tensors, channels last: sums are
 * exact in 32 bits, and one rounding follows at the end, to the scale of the
 * output (or none, to float32).
 */
#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"
#include "engine/ir/window.h"

enum { CHUNK = 512 }; /* channels in work at once */

struct pool {
    struct window w;
    bool count_pad;
    int64_t images, channels;
    enum dtype from, to;
    float in_scale, out_scale;
    int32_t in_zero, out_zero;
};

/* Sums stay below 2^31 and the padding that counts is that of the node. */
static bool
window_fits(const struct node *n, const struct window *w)
{
    int64_t area = 1;

    for (int i = 0; i < WINDOW_MAX; i++) {
        int64_t reach = (w->out[i] - 1) * w->stride[i] +
                        (w->kernel[i] - 1) * w->dilation[i] + 1 - w->begin[i] -
                        w->in[i];

        if (reach > w->end[i] && attr_int(n, "count_include_pad", 0) != 0)
            return false;
        area *= w->kernel[i];
        if (area > 1 << 22)
            return false;
    }
    return true;
}

static bool
read_window(const struct graph *g, const struct node *n, struct window *w)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    struct err e;

    if (x->rank < 3 || x->rank > 5)
        return false;
    if (n->op != OP_GLOBAL_AVERAGE_POOL)
        return window_of(g, n, w, &e) == 0 && window_fits(n, w);
    *w = (struct window){.n = x->rank - 2};
    for (int i = 0; i < WINDOW_MAX; i++) {
        w->in[i] = w->kernel[i] = i < w->n ? x->dim[i + 2] : 1;
        w->out[i] = w->stride[i] = w->dilation[i] = 1;
    }
    return window_fits(n, w);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const struct qparam *q = node_in_q(n, 0);
    struct window w;

    return q != NULL && q->n == 1 && dtype_is_8bit(x->dtype) &&
           n->n_posts == 0 && desc_nonempty(x) && desc_nonempty(y) &&
           (n->out_q == NULL ? y->dtype == DTYPE_FLOAT
                             : n->out_q->n == 1 && dtype_is_8bit(y->dtype)) &&
           read_window(g, n, &w);
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct pool *p = mem_new(1, sizeof *p);

    (void)w;
    (void)e;
    read_window(g, n, &p->w);
    p->count_pad = attr_int(n, "count_include_pad", 0) != 0;
    p->images = x->shape.dim[0];
    p->channels = x->shape.dim[1];
    p->from = x->dtype;
    p->to = y->dtype;
    p->in_scale = node_in_q(n, 0)->scale[0];
    p->in_zero = node_in_q(n, 0)->zero[0];
    if (n->out_q != NULL) {
        p->out_scale = n->out_q->scale[0];
        p->out_zero = n->out_q->zero[0];
    }
    s->own = p;
    s->impl = "loop";
    return 0;
}

/* The part of window `o` of an axis that lies within the input. */
static void
span(const struct window *w, int axis, int64_t o, int64_t *from, int64_t *to)
{
    int64_t at = o * w->stride[axis] - w->begin[axis];

    *from = 0;
    *to = w->kernel[axis];
    while (*from < *to && at + *from * w->dilation[axis] < 0)
        ++*from;
    while (*to > *from && at + (*to - 1) * w->dilation[axis] >= w->in[axis])
        --*to;
}

struct pool_run {
    const struct pool *p;
    const char *x;
    char *y;
};

/* Channels [c, c + n) of one output point; at: first input point, from and to:
 * the part of the window that exists. */
static void
average(const struct pool_run *r, int64_t image, const int64_t *at,
        const int64_t *from, const int64_t *to, int64_t c, int64_t n, char *out)
{
    const struct pool *p = r->p;
    const struct window *w = &p->w;
    int64_t valid = 1, area = 1;
    int32_t sum[CHUNK] = {0};
    float f[CHUNK];

    for (int64_t i = from[0]; i < to[0]; i++)
        for (int64_t j = from[1]; j < to[1]; j++)
            for (int64_t k = from[2]; k < to[2]; k++) {
                int64_t point = image;

                point = point * w->in[0] + at[0] + i * w->dilation[0];
                point = point * w->in[1] + at[1] + j * w->dilation[1];
                point = point * w->in[2] + at[2] + k * w->dilation[2];
                row_accumulate(sum, r->x + point * p->channels + c, p->from, n);
            }
    for (int i = 0; i < WINDOW_MAX; i++) {
        valid *= to[i] - from[i];
        area *= w->kernel[i];
    }
    row_load(f, sum, DTYPE_INT32, n,
             p->in_scale / (float)(p->count_pad ? area : valid),
             p->in_zero * (int32_t)valid);
    row_store(out, p->to, f, n, p->out_scale, p->out_zero);
}

static void
one_point(void *arg, int64_t i)
{
    const struct pool_run *r = arg;
    const struct window *w = &r->p->w;
    int64_t rest = i, at[WINDOW_MAX], from[WINDOW_MAX], to[WINDOW_MAX];
    size_t element = dtype_size(r->p->to);

    for (int k = WINDOW_MAX; k-- > 0; rest /= w->out[k]) {
        int64_t o = rest % w->out[k];

        at[k] = o * w->stride[k] - w->begin[k];
        span(w, k, o, &from[k], &to[k]);
    }
    for (int64_t c = 0; c < r->p->channels; c += CHUNK) {
        int64_t n = r->p->channels - c;

        average(r, rest, at, from, to, c, n < CHUNK ? n : CHUNK,
                r->y + (size_t)(i * r->p->channels + c) * element);
    }
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    struct pool_run r = {s->own, io[0], io[s->node->n_in]};
    const struct window *w = &r.p->w;

    (void)scratch;
    (void)state;
    (void)e;
    grid_split(r.p->images * w->out[0] * w->out[1] * w->out[2],
               w->kernel[0] * w->kernel[1] * w->kernel[2] * r.p->channels,
               one_point, &r);
    return 0;
}

static void
done(struct step *s)
{
    mem_free(s->own);
    s->own = NULL;
}

#define POOL(id, op_id)                                                        \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.pool_int",                                                \
        .layout = KERNEL_NXC,                                                  \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .run = run,                                                            \
        .done = done,                                                          \
    }

POOL(dnn_average_pool_int, OP_AVERAGE_POOL);
POOL(dnn_global_average_pool_int, OP_GLOBAL_AVERAGE_POOL);
