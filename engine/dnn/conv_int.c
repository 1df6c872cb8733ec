/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of bytes whose sums the primitive alone can't finish: those with
 * weights that have a zero point (q), which oneDNN doesn't know for
 * convolutions, and those whose input has its zero point (p) and scale at run
 * time.
 *
 *     sum (x - p)(w - q) = sum (x - p) w - q sum (x - p)
 *
 * The first sum is the primitive's, p included; the second is that of another
 * one, whose weights are all 1.  It is the same for all channels of a group, so
 * one channel is enough when there is one group; with several, oneDNN is fast
 * only with as many as there are.  What is left is done here, place by place:
 * scale, bias, posts, the quantized output.
 *
 * Depthwise, p may differ by channel, and so may the scale: then the primitive
 * sums x w, and what p takes away, - p sum (w - q), is a matter of weights and
 * of the edges.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/border.h"
#include "engine/dnn/call.h"
#include "engine/dnn/conv.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/row.h"
#include "engine/dnn/tail.h"

struct sums {
    struct prim *prim, *ones; /* ones: NULL when no q differs from 0 */
    const void *weights, *one_weights;
    struct tail tail; /* posts, when they are not done by_row */
    int64_t rows, channels;
    int64_t windows;     /* channels of ones: 1, or as many */
    int32_t *w_zero;     /* by channel */
    struct border edge;  /* what p takes away, when it differs by channel */
    float *scale, *bias; /* of Conv; the others have inputs for them */
    int n_scales;
    bool by_row, zero_at_run;
    size_t zero, sum, window; /* where they lie in the scratch memory */
};

struct sums_state {
    struct prim_call *call, *ones;
    struct tail_calls tail;
};

/* --- what it is ---------------------------------------------------------- */

static int32_t
byte_at(const struct value *v, const void *data, int64_t i)
{
    return v->dtype == DTYPE_UINT8 ? ((const uint8_t *)data)[i]
                                   : ((const int8_t *)data)[i];
}

/* Zero points of the weights, shifted as those are; false when they are not
 * known.  *any: one is not 0. */
static bool
weight_zeros(const struct graph *g, const struct node *n, int32_t *zero,
             int64_t channels, bool *any)
{
    const struct value *w = node_in(g, n, 1), *z = node_in(g, n, 3);
    const struct qparam *q = node_in_q(n, 1);
    const int32_t shift = w->dtype == DTYPE_UINT8 ? 128 : 0;

    if (n->op == OP_CONV)
        z = NULL;
    if (z != NULL && z->data == NULL)
        return false;
    *any = false;
    for (int64_t c = 0; c < channels; c++) {
        int32_t v = 0;

        if (q != NULL)
            v = q->zero[q->n == 1 ? 0 : c];
        else if (z != NULL)
            v = byte_at(z, z->data, shape_n(&z->shape) == 1 ? 0 : c);
        zero[c] = v - shift;
        *any |= zero[c] != 0;
    }
    return true;
}

/* Several scales of the input: one an output channel, too. */
static bool
depthwise(const struct graph *g, const struct node *n, const struct qparam *q)
{
    const struct shape *w = &node_in(g, n, 1)->shape;

    return q->axis == 1 && w->dim[1] == 1 && w->dim[0] == q->n &&
           attr_int(n, "group", 1) == q->n;
}

static const char *
fault(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0), *w = node_in(g, n, 1);
    const struct qparam *xq = node_in_q(n, 0), *wq = node_in_q(n, 1);
    static const float one = 1;
    const int32_t middle = w->dtype == DTYPE_UINT8 ? 128 : 0;
    const struct qparam symmetric = {-1, 1, &one, &middle};

    if (!dtype_is_8bit(x->dtype) || !dtype_is_8bit(w->dtype))
        return "types";
    if (n->op == OP_CONV &&
        (xq == NULL || wq == NULL || (wq->n != 1 && wq->axis != 0)))
        return "scales";
    if (n->op == OP_CONV && xq->n != 1 && !depthwise(g, n, xq))
        return "per-channel activation scale";
    if (x->dtype == DTYPE_INT8 && !prim_has_vnni())
        return "int8 input is inexact on a CPU without VNNI";
    return desc_weights_fault(w, &symmetric, 0, NULL);
}

/* The zero point of x: a number, or read at run time, or none that the
 * primitive could know. */
static int
input_zero(const struct graph *g, const struct node *n, struct sums *p,
           struct prim_math *m, struct err *e)
{
    const struct value *z = n->op == OP_CONV ? NULL : node_in(g, n, 2);
    const struct value *w = node_in(g, n, 1);
    const struct qparam *q = node_in_q(n, 0);
    struct window window;
    int rc;

    if (q != NULL && q->n == 1)
        m->src_zero = q->zero[0];
    else if (z != NULL && z->data != NULL)
        m->src_zero = byte_at(z, z->data, 0);
    else
        m->zero_at_run = p->zero_at_run = z != NULL;
    if (q == NULL || q->n == 1)
        return 0;
    rc = window_of(g, n, &window, e);
    return rc != 0 ? rc
                   : border_make(&p->edge, &window, w,
                                 w->dtype == DTYPE_UINT8 ? 128 : 0, p->w_zero,
                                 q->zero, e);
}

/* Scale and bias of a Conv whose tensors are quantized. */
static int
read_scales(const struct graph *g, const struct node *n, struct sums *p,
            struct err *e)
{
    const struct value *b = n->n_own > 2 ? node_in(g, n, 2) : NULL;

    const struct qparam *x = node_in_q(n, 0), *w = node_in_q(n, 1);

    p->n_scales = x->n > w->n ? x->n : w->n;
    p->scale = mem_try((size_t)p->n_scales, sizeof *p->scale);
    if (p->scale == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for scales");
    for (int i = 0; i < p->n_scales; i++)
        p->scale[i] = x->scale[x->n == 1 ? 0 : i] * w->scale[w->n == 1 ? 0 : i];
    if (b == NULL)
        return 0;
    return desc_bias(b, node_in_q(n, 2), (int)p->channels, 1, &p->bias, e);
}

/* The convolution that sums windows: its weights are [windows,C/G,k...]. */
static int
describe_ones(const struct graph *g, const struct node *n,
              const struct prim_math *m, struct sums *p, struct err *e)
{
    struct value w = *node_in(g, n, 1), y = *node_out(g, n, 0);
    struct prim_conv c = {0};
    int rc;

    w.dtype = DTYPE_INT8;
    w.shape.dim[0] = y.shape.dim[1] = p->windows;
    rc = conv_shape(g, n, &w, &y, &c, e);
    c.dst.dtype = DTYPE_INT32;
    return rc != 0 ? rc : prim_conv(&c, m, &p->ones, e);
}

/* Posts that finish() does: on rows, with operands of one number or of as many
 * as the output has. */
static bool
posts_by_row(const struct graph *g, const struct node *n)
{
    const size_t total = shape_n(&node_out(g, n, 0)->shape);

    for (int i = 0; i < n->n_posts; i++) {
        const struct post *p = &n->posts[i];
        const struct value *v;
        const struct qparam *q;

        if (p->op != OP_ADD && p->op != OP_MUL) {
            if (!row_has_post(p->op))
                return false;
            continue;
        }
        v = node_in(g, n, p->in);
        q = node_in_q(n, p->in);
        if (shape_n(&v->shape) != 1 && shape_n(&v->shape) != total)
            return false;
        if (q == NULL ? v->dtype != DTYPE_FLOAT
                      : q->n != 1 || !dtype_is_8bit(v->dtype))
            return false;
    }
    return true;
}

static int
check_output(const struct graph *g, const struct node *n, struct sums *p,
             struct err *e)
{
    const struct value *y = node_out(g, n, 0);

    p->by_row = posts_by_row(g, n);
    if (n->out_q != NULL && (n->out_q->n != 1 || !dtype_is_8bit(y->dtype)))
        return err_set(e, ERR_UNSUPPORTED, "output has many scales");
    if (n->out_q == NULL && y->dtype != DTYPE_FLOAT && n->op != OP_CONV_INTEGER)
        return err_set(e, ERR_UNSUPPORTED, "output is %s",
                       dtype_name(y->dtype));
    if (!p->by_row && n->out_q != NULL)
        return err_set(e, ERR_UNSUPPORTED, "posts before the output's scale");
    return p->by_row ? 0 : tail_make(g, n, 0, &p->tail, e);
}

static int
describe(const struct graph *g, const struct node *n, struct sums *p,
         struct err *e)
{
    const struct value *w = node_in(g, n, 1), *y = node_out(g, n, 0);
    const char *why = fault(g, n);
    struct prim_math m = {.dst_scale = 1};
    struct prim_conv c = {0};
    bool any = false;
    int rc;

    if (why != NULL)
        return err_set(e, ERR_UNSUPPORTED, "%s", why);
    if ((rc = conv_shape(g, n, w, y, &c, e)) != 0)
        return rc;
    c.dst.dtype = DTYPE_INT32;
    p->channels = y->shape.dim[1];
    p->windows = attr_int(n, "group", 1) == 1 ? 1 : p->channels;
    p->rows = (int64_t)shape_n(&y->shape) / p->channels;
    p->w_zero = mem_try((size_t)p->channels, sizeof *p->w_zero);
    if (p->w_zero == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for zero points");
    if (!weight_zeros(g, n, p->w_zero, p->channels, &any))
        return err_set(e, ERR_UNSUPPORTED, "zero points are not constant");
    if ((rc = input_zero(g, n, p, &m, e)) != 0 ||
        (n->op == OP_CONV && (rc = read_scales(g, n, p, e)) != 0) ||
        (rc = check_output(g, n, p, e)) != 0 ||
        (rc = prim_conv(&c, &m, &p->prim, e)) != 0)
        return rc;
    return any ? describe_ones(g, n, &m, p, e) : 0;
}

static void
drop(struct sums *p)
{
    prim_free(&p->prim);
    prim_free(&p->ones);
    tail_free(&p->tail);
    border_free(&p->edge);
    mem_free(p->w_zero);
    mem_free(p->scale);
    mem_free(p->bias);
}

static int
build(struct sums *p, struct err *e)
{
    int rc = prim_build(p->prim, e);

    if (rc == 0 && p->ones != NULL)
        rc = prim_build(p->ones, e);
    return rc != 0 ? rc : tail_build(&p->tail, e);
}

static bool
fits(const struct graph *g, const struct node *n)
{
    struct sums p = {0};
    struct err e;
    int rc = describe(g, n, &p, &e);

    if (rc == 0)
        rc = build(&p, &e);
    drop(&p);
    return rc == 0;
}

/* --- the plan ------------------------------------------------------------ */

static int
pack_weights(const struct graph *g, const struct node *n, struct sums *p,
             struct weights *w, struct err *e)
{
    const struct value *from = node_in(g, n, 1);
    struct value ones = *from;
    struct call c;
    int8_t *one;
    size_t count;
    int rc;

    call_init(&c);
    c.prim = p->prim;
    rc = call_weights(&c, from, from->dtype == DTYPE_UINT8, w, e);
    p->weights = c.fixed[PRIM_WEIGHTS];
    if (rc != 0 || p->ones == NULL)
        return rc;
    ones.dtype = DTYPE_INT8;
    ones.shape.dim[0] = p->windows;
    count = shape_n(&ones.shape);
    one = mem_try(count, sizeof *one);
    if (one == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for weights");
    memset(one, 1, count);
    ones.data = one;
    c.prim = p->ones;
    rc = call_weights(&c, &ones, false, w, e);
    p->one_weights = c.fixed[PRIM_WEIGHTS];
    mem_free(one);
    return rc;
}

static size_t
aligned(size_t bytes)
{
    return (bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
}

static size_t
larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Scratch: the primitives', the zero point, the sums. */
static void
plan_scratch(struct sums *p, struct step *s)
{
    size_t most =
        larger(prim_scratch_bytes(p->prim), tail_scratch_bytes(&p->tail));

    if (p->ones != NULL)
        most = larger(most, prim_scratch_bytes(p->ones));
    p->zero = aligned(most);
    p->sum = p->zero + aligned(sizeof(int32_t));
    p->window =
        p->sum + aligned((size_t)(p->rows * p->channels) * sizeof(int32_t));
    s->scratch_bytes =
        p->window + (size_t)(p->rows * p->windows) * sizeof(int32_t);
}

static void
done(struct step *s)
{
    if (s->own == NULL)
        return;
    drop(s->own);
    mem_free(s->own);
    s->own = NULL;
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    struct sums *p = mem_new(1, sizeof *p);
    int rc = describe(g, n, p, e);

    s->own = p;
    if (rc == 0)
        rc = build(p, e);
    if (rc == 0)
        rc = pack_weights(g, n, p, w, e);
    if (rc != 0) {
        done(s);
        return rc;
    }
    plan_scratch(p, s);
    s->impl = prim_impl(p->prim);
    return 0;
}

/* --- the run ------------------------------------------------------------- */

static void
unbind(const struct step *s, void *state)
{
    struct sums_state *t = state;

    (void)s;
    if (t == NULL)
        return;
    prim_unbind(&t->call);
    prim_unbind(&t->ones);
    tail_unbind(&t->tail);
    mem_free(t);
}

static int
bind(const struct step *s, void *const *io, void *scratch, void **state,
     struct err *e)
{
    const struct sums *p = s->own;
    struct sums_state *t = mem_new(1, sizeof *t);
    void *arg[PRIM_ARGS] = {0}, *y = io[s->node->n_in];
    int rc;

    arg[PRIM_SRC] = io[0];
    arg[PRIM_ZERO] = (char *)scratch + p->zero;
    arg[PRIM_WEIGHTS] = (void *)p->weights;
    arg[PRIM_DST] =
        s->node->op == OP_CONV_INTEGER ? y : (char *)scratch + p->sum;
    rc = prim_bind(p->prim, arg, scratch, &t->call, e);
    if (rc == 0 && p->ones != NULL) {
        arg[PRIM_WEIGHTS] = (void *)p->one_weights;
        arg[PRIM_DST] = (char *)scratch + p->window;
        rc = prim_bind(p->ones, arg, scratch, &t->ones, e);
    }
    if (rc == 0 && !p->by_row)
        rc = tail_bind(&p->tail, y, scratch, &t->tail, e);
    if (rc != 0) {
        unbind(s, t);
        return rc;
    }
    *state = t;
    return 0;
}

enum { CHUNK = 1024 }; /* channels in work at once */

struct sums_run {
    const struct sums *p;
    const struct step *s;
    void *const *io;
    int32_t *sum;
    const int32_t *window;
};

/* What zero points take away at place i. */
static void
correct(const struct sums_run *r, int64_t i)
{
    const struct sums *p = r->p;
    int32_t *sum = r->sum + i * p->channels;
    const int32_t *window = r->window + i * p->windows;

    if (p->edge.sum != NULL)
        row_subtract(sum, 1, border_row(&p->edge, i), p->channels);
    if (p->ones == NULL)
        return;
    if (p->windows == 1)
        row_subtract(sum, *window, p->w_zero, p->channels);
    else
        row_subtract_each(sum, window, p->w_zero, p->channels);
}

/* ADD or MUL of n elements from number `at` of the output on. */
static void
with_operand(const struct sums_run *r, const struct post *post, float *y,
             int64_t at, int64_t n)
{
    const struct value *v = step_in(r->s, post->in);
    const struct qparam *q = node_in_q(r->s->node, post->in);
    const bool one = shape_n(&v->shape) == 1;
    float b[CHUNK];

    if (one)
        at = 0;
    row_load(b,
             (const char *)r->io[post->in] + (size_t)at * dtype_size(v->dtype),
             v->dtype, one ? 1 : n, q == NULL ? 1 : q->scale[0],
             q == NULL ? 0 : q->zero[0]);
    row_binary(post->op, y, y, 1, b, one ? 0 : 1, n);
}

/* Sums of n channels from c on become real, at y. */
static void
make_real(const struct sums_run *r, float *y, const int32_t *sum, int64_t c,
          int64_t n)
{
    const struct sums *p = r->p;
    const float *scale = p->scale, *bias = p->bias;
    bool many = p->n_scales > 1, biases = true;

    if (r->s->node->op == OP_CONV_SCALED) {
        const struct value *b = step_in(r->s, 5);

        scale = r->io[4];
        bias = b == NULL ? NULL : r->io[5];
        many = shape_n(&step_in(r->s, 4)->shape) > 1;
        biases = b != NULL && shape_n(&b->shape) > 1;
    }
    row_real(y, sum, many ? scale + c : scale, many,
             bias == NULL ? NULL
             : biases     ? bias + c
                          : bias,
             biases, n);
}

/* Place i, of which the channels lie together. */
static void
finish(void *arg, int64_t i)
{
    const struct sums_run *r = arg;
    const struct sums *p = r->p;
    const struct node *n = r->s->node;
    const enum dtype t = step_out(r->s, 0)->dtype;
    char *out = r->io[n->n_in];
    float row[CHUNK];

    correct(r, i);
    if (n->op == OP_CONV_INTEGER)
        return;
    for (int64_t c = 0; c < p->channels; c += CHUNK) {
        int64_t at = i * p->channels + c;
        int64_t count = p->channels - c < CHUNK ? p->channels - c : CHUNK;
        float *y = n->out_q != NULL ? row : (float *)(void *)out + at;

        make_real(r, y, r->sum + at, c, count);
        for (int k = 0; p->by_row && k < n->n_posts; k++) {
            const struct post *post = &n->posts[k];

            if (post->op == OP_ADD || post->op == OP_MUL)
                with_operand(r, post, y, at, count);
            else
                row_post(post->op, post->alpha, post->beta, y, count);
        }
        if (n->out_q != NULL)
            row_store(out + at, t, y, count, n->out_q->scale[0],
                      n->out_q->zero[0]);
    }
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct sums *p = s->own;
    const struct sums_state *t = state;
    const bool integers = s->node->op == OP_CONV_INTEGER;
    struct sums_run r = {
        .p = p,
        .s = s,
        .io = io,
        .sum =
            integers ? io[s->node->n_in] : (void *)((char *)scratch + p->sum),
        .window = (const void *)((char *)scratch + p->window),
    };
    int rc;

    if (p->zero_at_run) {
        int32_t zero = byte_at(step_in(s, 2), io[2], 0);

        memcpy((char *)scratch + p->zero, &zero, sizeof zero);
    }
    rc = prim_run(t->call, e);
    if (rc == 0 && p->ones != NULL)
        rc = prim_run(t->ones, e);
    if (rc == 0 && (!integers || p->ones != NULL))
        grid_split(p->rows, p->channels, finish, &r);
    if (rc == 0 && !p->by_row)
        rc = tail_run(&p->tail, s, io, &t->tail, e);
    return rc;
}

#define SUMS(id, op_id)                                                        \
    const struct kernel id = {                                                 \
        .op = op_id,                                                           \
        .name = "dnn.conv_int",                                                \
        .layout = KERNEL_NXC,                                                  \
        .fits = fits,                                                          \
        .prepare = prepare,                                                    \
        .bind = bind,                                                          \
        .unbind = unbind,                                                      \
        .run = run,                                                            \
        .done = done,                                                          \
    }

SUMS(dnn_conv_int, OP_CONV);
SUMS(dnn_conv_integer, OP_CONV_INTEGER);
SUMS(dnn_conv_scaled, OP_CONV_SCALED);
