/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling of 8-bit tensors, channels last.  Averages: sums are exact in 32
 * bits, and one rounding follows at the end, to the scale of the output (or
 * none, to float32).  Maxima: for where oneDNN has only its reference code.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"
#include "engine/ir/window.h"

enum { CHUNK = 512 }; /* channels in work at once */

struct pool {
    struct window w;
    bool max, count_pad;
    int64_t images, channels;
    enum dtype from, to;
    float in_scale, out_scale;
    int32_t in_zero, out_zero;
};

static bool
is_max(const struct node *n)
{
    return n->op == OP_MAX_POOL || n->op == OP_GLOBAL_MAX_POOL;
}

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

/* The axes that there are become the last ones: lines of points innermost. */
static void
move_back(struct window *w)
{
    int64_t *lists[] = {w->in,       w->out,   w->kernel, w->stride,
                        w->dilation, w->begin, w->end};
    int shift = WINDOW_MAX - w->n;

    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        for (int i = WINDOW_MAX; i-- > 0;)
            lists[k][i] = i >= shift
                              ? lists[k][i - shift]
                              : lists[k] != w->begin && lists[k] != w->end;
}

static bool
read_window(const struct graph *g, const struct node *n, struct window *w)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    struct err e;

    if (x->rank < 3 || x->rank > 5)
        return false;
    if (n->op == OP_AVERAGE_POOL || n->op == OP_MAX_POOL) {
        if (window_of(g, n, w, &e) != 0)
            return false;
    } else {
        *w = (struct window){.n = x->rank - 2};
        for (int i = 0; i < w->n; i++) {
            w->in[i] = w->kernel[i] = x->dim[i + 2];
            w->out[i] = w->stride[i] = w->dilation[i] = 1;
        }
    }
    move_back(w);
    return window_fits(n, w);
}

/* An average changes the scale, a maximum does not know it. */
static bool
scales_fit(const struct graph *g, const struct node *n)
{
    const struct value *y = node_out(g, n, 0);
    const struct qparam *q = node_in_q(n, 0);

    if (is_max(n))
        return n->in_q == NULL && n->out_q == NULL &&
               y->dtype == node_in(g, n, 0)->dtype &&
               (n->n_out < 2 || n->out[1] < 0);
    return q != NULL && q->n == 1 &&
           (n->out_q == NULL ? y->dtype == DTYPE_FLOAT
                             : n->out_q->n == 1 && dtype_is_8bit(y->dtype));
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct window w;

    return dtype_is_8bit(node_in(g, n, 0)->dtype) && n->n_posts == 0 &&
           desc_nonempty(node_in(g, n, 0)) &&
           desc_nonempty(node_out(g, n, 0)) && scales_fit(g, n) &&
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
    p->max = is_max(n);
    if (n->in_q != NULL) {
        p->in_scale = n->in_q[0]->scale[0];
        p->in_zero = n->in_q[0]->zero[0];
    }
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

/* Where an output point looks: its first input point (perhaps outside), and
 * the part of the window that exists. */
struct look {
    int64_t image, at[WINDOW_MAX], from[WINDOW_MAX], to[WINDOW_MAX];
};

/*
 * Channels [c, c + n) of every input point of the window: added to sum, or
 * their maximum to max.  Where the points of a line are neighbours and n is
 * all channels, `lanes` points are taken at once, side by side.
 */
static void
visit(const struct pool_run *r, const struct look *l, int64_t c, int64_t n,
      int64_t lanes, int32_t *sum, void *max)
{
    const struct pool *p = r->p;
    const struct window *w = &p->w;

    for (int64_t i = l->from[0]; i < l->to[0]; i++)
        for (int64_t j = l->from[1]; j < l->to[1]; j++)
            for (int64_t k = l->from[2]; k < l->to[2]; k += lanes) {
                int64_t left = l->to[2] - k, point = l->image;
                int64_t count = n * (left < lanes ? left : lanes);
                const char *x;

                point = point * w->in[0] + l->at[0] + i * w->dilation[0];
                point = point * w->in[1] + l->at[1] + j * w->dilation[1];
                point = point * w->in[2] + l->at[2] + k * w->dilation[2];
                x = r->x + point * p->channels + c;
                if (p->max)
                    row_max(max, x, p->from, count);
                else
                    row_accumulate(sum, x, p->from, count);
            }
}

static void
average(const struct pool_run *r, const struct look *l, int64_t c, int64_t n,
        char *out)
{
    const struct pool *p = r->p;
    int64_t valid = 1, area = 1, lanes = 1;
    int32_t sum[CHUNK] = {0};
    float f[CHUNK];

    if (n == p->channels && p->w.dilation[WINDOW_MAX - 1] == 1)
        lanes = CHUNK / n;
    visit(r, l, c, n, lanes, sum, NULL);
    for (int64_t i = 1; i < lanes; i++)
        for (int64_t k = 0; k < n; k++)
            sum[k] += sum[i * n + k];
    for (int i = 0; i < WINDOW_MAX; i++) {
        valid *= l->to[i] - l->from[i];
        area *= p->w.kernel[i];
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
    const struct pool *p = r->p;
    const struct window *w = &p->w;
    struct look l = {.image = i};
    char *y = r->y + (size_t)(i * p->channels) * dtype_size(p->to);

    for (int k = WINDOW_MAX; k-- > 0; l.image /= w->out[k]) {
        int64_t o = l.image % w->out[k];

        l.at[k] = o * w->stride[k] - w->begin[k];
        span(w, k, o, &l.from[k], &l.to[k]);
    }
    if (p->max) {
        memset(y, p->from == DTYPE_INT8 ? -128 : 0, (size_t)p->channels);
        visit(r, &l, 0, p->channels, 1, NULL, y);
        return;
    }
    for (int64_t c = 0; c < p->channels; c += CHUNK) {
        int64_t n = p->channels - c;

        average(r, &l, c, n < CHUNK ? n : CHUNK,
                y + (size_t)c * dtype_size(p->to));
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
POOL(dnn_max_pool_int, OP_MAX_POOL);
POOL(dnn_global_max_pool_int, OP_GLOBAL_MAX_POOL);
POOL(dnn_global_average_pool_int, OP_GLOBAL_AVERAGE_POOL);
