/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of the elements: Compress, NonZero, TopK.  How many there are must be
 * known with the shapes, so what decides it must be a constant.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* ERR_UNSUPPORTED unless input i is a constant. */
static int
need_const(const struct graph *g, const struct node *n, int i, struct err *e)
{
    const struct value *v = node_in(g, n, i);

    if (v->data == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "the number of elements depends on data: input %s is "
                       "no constant",
                       v->name);
    return 0;
}

/* --- Compress ---------------------------------------------------------------
 */

/* Seen as [outer,dim,inner]; without an axis all is one line. */
struct line {
    int64_t outer, dim, inner;
    int axis; /* -1: none */
};

static int
read_line(const struct graph *g, const struct node *n, struct line *l,
          struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;

    *l = (struct line){1, (int64_t)shape_n(x), 1, -1};
    if (attr_find(n, "axis") == NULL)
        return 0;
    if (rule_axis(n, 0, x->rank, &l->axis, e) != 0)
        return e->code;
    l->outer = shape_span(x, 0, l->axis);
    l->dim = x->dim[l->axis];
    l->inner = shape_span(x, l->axis + 1, x->rank);
    return 0;
}

int
compress_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *keep = node_in(g, n, 1);
    struct shape out = x->shape;
    int64_t count = 0;
    struct line l;

    if (rule_type(g, n, 1, TYPE(BOOL), e) != 0 || read_line(g, n, &l, e) != 0 ||
        need_const(g, n, 1, e) != 0)
        return e->code;
    if (keep->shape.rank != 1)
        return err_set(e, ERR_INVALID, "condition %s has rank %d, want 1",
                       keep->name, keep->shape.rank);
    for (int64_t i = 0; i < keep->shape.dim[0] && i < l.dim; i++)
        count += ((const uint8_t *)keep->data)[i] != 0;
    if (l.axis < 0)
        out = SHAPE(count);
    else
        out.dim[l.axis] = count;
    return rule_out(g, n, 0, x->dtype, &out, e);
}

static int
compress_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    const int64_t length = step_in(s, 1)->shape.dim[0];
    const uint8_t *keep = io[1];
    const char *from = io[0];
    char *to = step_io_out(s, io, 0);
    struct line l;
    size_t bytes;

    (void)scratch;
    (void)state;
    if (read_line(s->graph, s->node, &l, e) != 0)
        return e->code;
    if (shape_n(&step_in(s, 0)->shape) == 0)
        return 0;
    bytes = (size_t)l.inner * dtype_size(step_in(s, 0)->dtype);
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.dim; i++, from += bytes)
            if (i < length && keep[i] != 0) {
                memcpy(to, from, bytes);
                to += bytes;
            }
    return 0;
}

/* --- NonZero ----------------------------------------------------------------
 */

static bool
is_zero(enum dtype t, const char *p)
{
    return dtype_is_float(t) ? number_double(t, p) == 0 : number_int(t, p) == 0;
}

int
non_zero_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const size_t size = dtype_size(x->dtype);
    int64_t count = 0;

    if (need_const(g, n, 0, e) != 0)
        return e->code;
    for (size_t i = 0; i < shape_n(&x->shape); i++)
        count += !is_zero(x->dtype, (const char *)x->data + i * size);
    return rule_out(g, n, 0, DTYPE_INT64, &SHAPE(x->shape.rank, count), e);
}

/* y [rank,count]: a row of coordinates an axis. */
static int
non_zero_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    const struct value *x = step_in(s, 0);
    const size_t size = dtype_size(x->dtype);
    const int64_t count = step_out(s, 0)->shape.dim[1];
    int64_t *y = step_io_out(s, io, 0), seen = 0;

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < shape_n(&x->shape); i++) {
        int64_t at = (int64_t)i;

        if (is_zero(x->dtype, (const char *)io[0] + i * size))
            continue;
        for (int axis = x->shape.rank - 1; axis >= 0; axis--) {
            y[axis * count + seen] = at % x->shape.dim[axis];
            at /= x->shape.dim[axis];
        }
        seen++;
    }
    return 0;
}

/* --- TopK -------------------------------------------------------------------
 */

int
top_k_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    int64_t k = 0;
    int axis, count;

    if (rule_type(g, n, 0, TYPES_NUMBER, e) != 0 ||
        rule_axis(n, -1, x->shape.rank, &axis, e) != 0 ||
        rule_ints(g, n, 1, "the number of elements", &k, 1, &count, e) != 0)
        return e->code;
    if (count != 1 || k < 0 || k > x->shape.dim[axis])
        return err_set(e, ERR_INVALID, "K is %" PRId64 " of %" PRId64, k,
                       x->shape.dim[axis]);
    out.dim[axis] = k;
    if (rule_out(g, n, 1, DTYPE_INT64, &out, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* One line of the input. */
struct race {
    enum dtype t;
    const char *x;
    int64_t step; /* in bytes */
    bool largest;
};

/* Does element a come before element b?  Of equals the first does. */
static bool
before(const struct race *r, int64_t a, int64_t b)
{
    int c = number_order(r->t, r->x + a * r->step, r->x + b * r->step);

    if (c == 0)
        return a < b;
    return (c > 0) == r->largest;
}

/* Restores the heap, whose top comes after all others, below place `at`. */
static void
sift(const struct race *r, int64_t *heap, int64_t n, int64_t at)
{
    for (;;) {
        int64_t child = 2 * at + 1, t = heap[at];

        if (child >= n)
            return;
        if (child + 1 < n && before(r, heap[child], heap[child + 1]))
            child++;
        if (before(r, heap[child], t))
            return;
        heap[at] = heap[child];
        heap[child] = t;
        at = child;
    }
}

/* The first k of n, in order, into heap[0..k). */
static void
first_of(const struct race *r, int64_t n, int64_t k, int64_t *heap)
{
    for (int64_t i = 0; i < k; i++)
        heap[i] = i;
    for (int64_t i = k / 2; i-- > 0;)
        sift(r, heap, k, i);
    for (int64_t i = k; i < n; i++)
        if (before(r, i, heap[0])) {
            heap[0] = i;
            sift(r, heap, k, 0);
        }
    for (int64_t i = k; i-- > 1;) {
        int64_t last = heap[0];

        heap[0] = heap[i];
        heap[i] = last;
        sift(r, heap, i, 0);
    }
}

static int
top_k_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    const struct shape *y = &node_out(g, n, 0)->shape;
    int axis;

    (void)w;
    if (rule_axis(n, -1, y->rank, &axis, e) != 0)
        return e->code;
    s->scratch_bytes = (size_t)y->dim[axis] * sizeof(int64_t);
    return 0;
}

/* x [outer,n,inner] y, at [outer,k,inner] */
static int
top_k_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t size = (int64_t)dtype_size(x->dtype);
    struct race r = {.t = x->dtype,
                     .largest = attr_int(s->node, "largest", 1) != 0};
    char *y = step_io_out(s, io, 0);
    int64_t *at = step_out(s, 1) == NULL ? NULL : step_io_out(s, io, 1);
    int64_t outer, n, inner, k, *heap = scratch;
    int axis;

    (void)state;
    if (rule_axis(s->node, -1, x->shape.rank, &axis, e) != 0)
        return e->code;
    outer = shape_span(&x->shape, 0, axis);
    n = x->shape.dim[axis];
    inner = shape_span(&x->shape, axis + 1, x->shape.rank);
    k = step_out(s, 0)->shape.dim[axis];
    r.step = inner * size;
    for (int64_t i = 0; k > 0 && i < outer * inner; i++) {
        int64_t o = i / inner, in = i % inner;

        r.x = (const char *)io[0] + (o * n * inner + in) * size;
        first_of(&r, n, k, heap);
        for (int64_t j = 0; j < k; j++) {
            int64_t to = (o * k + j) * inner + in;

            memcpy(y + to * size, r.x + heap[j] * r.step, (size_t)size);
            if (at != NULL)
                at[to] = heap[j];
        }
    }
    return 0;
}

KERNEL(COMPRESS, "compress", .run = compress_run);
KERNEL(NON_ZERO, "non_zero", .run = non_zero_run);
KERNEL(TOP_K, "top_k", .prepare = top_k_prepare, .run = top_k_run);
