/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements and slices at places that indices name, taken (GatherElements,
 * GatherND) or given (ScatterElements, ScatterND).
 *
 * Indices are data: each is checked when it is used.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"
#include "engine/ops/walk.h"

static int
out_of_range(const struct value *index, int64_t k, int64_t dim, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "index %" PRId64 " in %s is outside an axis of %" PRId64, k,
                   index->name, dim);
}

/* --- what becomes of what was there ----------------------------------------
 */

enum how { REPLACE, ADD, MUL, MAX, MIN };

static int
read_how(const struct graph *g, const struct node *n, enum how *how,
         struct err *e)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *said = attr_string(n, "reduction", "none");

    for (int i = 0; i < 5; i++)
        if (strcmp(said, names[i]) == 0) {
            *how = (enum how)i;
            return i == REPLACE
                       ? 0
                       : rule_type(g, n, 0, TYPES_NUMBER | TYPE(BOOL), e);
        }
    return err_set(e, ERR_UNSUPPORTED, "reduction is \"%s\"", said);
}

static void
combine_real(enum how how, enum dtype t, char *y, const char *u)
{
    double a = number_double(t, y), b = number_double(t, u);

    if (how == ADD)
        a += b;
    else if (how == MUL)
        a *= b;
    else if (isnan(b) || (how == MAX ? b > a : b < a))
        a = b;
    number_convert(t, y, 0, DTYPE_DOUBLE, (const char *)&a, 0, 1);
}

/* Of bools a sum is their or, a product their and. */
static void
combine_integer(enum how how, enum dtype t, char *y, const char *u)
{
    int64_t a = number_int(t, y), b = number_int(t, u);
    bool less = t == DTYPE_UINT64 ? (uint64_t)b < (uint64_t)a : b < a;

    if (how == ADD)
        a = (int64_t)((uint64_t)a + (uint64_t)b);
    else if (how == MUL)
        a = (int64_t)((uint64_t)a * (uint64_t)b);
    else if ((how == MIN) == less)
        a = b;
    number_set_int(t, y, a);
}

/* n elements in a row. */
static void
combine(enum how how, enum dtype t, char *y, const char *u, size_t n)
{
    const size_t size = dtype_size(t);

    if (how == REPLACE && n > 0)
        memcpy(y, u, n * size);
    for (size_t i = 0; how != REPLACE && i < n; i++)
        if (dtype_is_float(t))
            combine_real(how, t, y + i * size, u + i * size);
        else
            combine_integer(how, t, y + i * size, u + i * size);
}

/* The output begins as input 0. */
static char *
begin(const struct step *s, void *const *io)
{
    const struct value *x = step_in(s, 0);
    const size_t bytes = shape_n(&x->shape) * dtype_size(x->dtype);
    char *y = step_io_out(s, io, 0);

    if (y != io[0] && bytes > 0)
        memcpy(y, io[0], bytes);
    return y;
}

/* --- elements ---------------------------------------------------------------
 */

/* The indices' shape must lie inside that of x but along the axis. */
static int
elements_axis(const struct graph *g, const struct node *n, int *axis,
              struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *index = &node_in(g, n, 1)->shape;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    bool fits = x->rank == index->rank;

    if (rule_type(g, n, 1, TYPES_INDEX, e) != 0 ||
        rule_axis(n, 0, x->rank, axis, e) != 0)
        return e->code;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == *axis || index->dim[i] <= x->dim[i];
    if (!fits)
        return err_set(e, ERR_INVALID, "indices %s do not fit into %s",
                       shape_text(index, a), shape_text(x, b));
    return 0;
}

int
gather_elements_infer(struct graph *g, struct node *n, struct err *e)
{
    int axis;

    if (elements_axis(g, n, &axis, e) != 0)
        return e->code;
    return rule_out(g, n, 0, node_in(g, n, 0)->dtype, &node_in(g, n, 1)->shape,
                    e);
}

int
scatter_elements_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    enum how how;
    int axis;

    if (elements_axis(g, n, &axis, e) != 0 || read_how(g, n, &how, e) != 0 ||
        rule_same_type(g, n, 2, e) != 0 ||
        rule_shape(g, n, 2, &node_in(g, n, 1)->shape, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/*
 * A walk over the indices: with each comes an element of the same place in
 * the output or the updates, and the line of x that it points into.
 */
struct elements {
    struct walk walk; /* (output or updates, indices, x at 0 of the axis) */
    enum how how;
    int64_t dim, step; /* along the axis, in bytes */
};

static int
elements_prepare(const struct graph *g, const struct node *n, struct step *s,
                 struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *index = node_in(g, n, 1);
    int64_t into[SHAPE_MAX_RANK], own[SHAPE_MAX_RANK];
    struct elements *v;
    enum how how;
    int axis;

    (void)w;
    if (elements_axis(g, n, &axis, e) != 0 || read_how(g, n, &how, e) != 0 ||
        step_own(s, sizeof *v, e) != 0)
        return e->code;
    v = s->own;
    v->how = how;
    layout_strides(&x->shape, LAYOUT_PLAIN, into);
    layout_strides(&index->shape, LAYOUT_PLAIN, own);
    v->dim = x->shape.dim[axis];
    v->step = into[axis] * (int64_t)dtype_size(x->dtype);
    into[axis] = 0;
    walk_begin(&v->walk, &index->shape);
    walk_add_strides(&v->walk, own, dtype_size(x->dtype));
    walk_add_strides(&v->walk, own, dtype_size(index->dtype));
    walk_add_strides(&v->walk, into, dtype_size(x->dtype));
    walk_end(&v->walk);
    if (n->op == OP_SCATTER_ELEMENTS)
        s->inplace = 0;
    return 0;
}

struct elements_run {
    const struct step *step;
    struct err *e;
    int rc;
};

static void
elements_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    struct elements_run *r = arg;
    const struct elements *v = r->step->own;
    const struct value *x = step_in(r->step, 0), *index = step_in(r->step, 1);

    for (int64_t i = 0; r->rc == 0 && i < n; i++) {
        int64_t k = number_int(index->dtype, p[1] + i * step[1]);
        char *own = p[0] + i * step[0], *there = p[2] + i * step[2];

        if (k < -v->dim || k >= v->dim) {
            r->rc = out_of_range(index, k, v->dim, r->e);
            return;
        }
        there += (k < 0 ? k + v->dim : k) * v->step;
        if (r->step->node->op == OP_GATHER_ELEMENTS)
            memcpy(own, there, dtype_size(x->dtype));
        else
            combine(v->how, x->dtype, there, own, 1);
    }
}

static int
gather_elements_run(const struct step *s, void *const *io, void *scratch,
                    void *state, struct err *e)
{
    const struct elements *v = s->own;
    struct elements_run r = {.step = s, .e = e};

    (void)scratch;
    (void)state;
    walk_run(&v->walk, (char *const[]){step_io_out(s, io, 0), io[1], io[0]},
             elements_row, &r);
    return r.rc;
}

static int
scatter_elements_run(const struct step *s, void *const *io, void *scratch,
                     void *state, struct err *e)
{
    const struct elements *v = s->own;
    struct elements_run r = {.step = s, .e = e};

    (void)scratch;
    (void)state;
    walk_run(&v->walk, (char *const[]){io[2], io[1], begin(s, io)},
             elements_row, &r);
    return r.rc;
}

/* --- slices -----------------------------------------------------------------
 */

/*
 * Indices of shape [batch..., more..., k] name slices x[batch..., i1...ik].
 */
struct slices {
    int batch_dims, k;
    int64_t n, per_batch; /* slices; of each batch */
    int64_t batch;        /* elements of x from one batch to the next */
    int64_t slice;        /* elements of a slice */
};

static int
read_slices(const struct graph *g, const struct node *n, struct slices *v,
            struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *index = &node_in(g, n, 1)->shape;
    const int last = index->rank - 1;
    const int64_t b = n->op == OP_GATHER_ND ? attr_int(n, "batch_dims", 0) : 0;
    char at[SHAPE_TEXT], bt[SHAPE_TEXT];
    bool fits = last >= 0 && b >= 0 && b <= last && b <= x->rank &&
                index->dim[last] <= x->rank - b;

    if (rule_type(g, n, 1, TYPES_INDEX, e) != 0)
        return e->code;
    for (int i = 0; fits && i < b; i++)
        fits = index->dim[i] == x->dim[i];
    if (!fits)
        return err_set(e, ERR_INVALID,
                       "indices %s do not fit to %s with batch_dims %" PRId64,
                       shape_text(index, at), shape_text(x, bt), b);
    v->batch_dims = (int)b;
    v->k = (int)index->dim[last];
    v->n = shape_span(index, 0, last);
    v->per_batch = shape_span(index, (int)b, last);
    v->batch = shape_span(x, (int)b, x->rank);
    v->slice = shape_span(x, (int)b + v->k, x->rank);
    return 0;
}

/* The shape of what the indices name: one slice for each. */
static int
slices_shape(const struct graph *g, const struct node *n,
             const struct slices *v, struct shape *out, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *index = &node_in(g, n, 1)->shape;
    const int lead = index->rank - 1, from = v->batch_dims + v->k;

    if (lead + x->rank - from > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "the slices' rank is over %d",
                       SHAPE_MAX_RANK);
    *out = (struct shape){.rank = lead + x->rank - from};
    for (int i = 0; i < out->rank; i++)
        out->dim[i] = i < lead ? index->dim[i] : x->dim[i - lead + from];
    return 0;
}

int
gather_nd_infer(struct graph *g, struct node *n, struct err *e)
{
    struct slices v;
    struct shape out;

    if (read_slices(g, n, &v, e) != 0 || slices_shape(g, n, &v, &out, e) != 0)
        return e->code;
    return rule_out(g, n, 0, node_in(g, n, 0)->dtype, &out, e);
}

int
scatter_nd_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct slices v;
    struct shape updates;
    enum how how;

    if (read_slices(g, n, &v, e) != 0 ||
        slices_shape(g, n, &v, &updates, e) != 0 ||
        read_how(g, n, &how, e) != 0 || rule_same_type(g, n, 2, e) != 0 ||
        rule_shape(g, n, 2, &updates, e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* Elements of x before the slice that tuple i of the indices names. */
static int
slice_at(const struct step *s, const struct slices *v, const char *indices,
         int64_t i, int64_t *at, struct err *e)
{
    const struct value *index = step_in(s, 1);
    const struct shape *x = &step_in(s, 0)->shape;
    const int64_t size = (int64_t)dtype_size(index->dtype);

    *at = i / v->per_batch * v->batch;
    for (int j = 0; j < v->k; j++) {
        int axis = v->batch_dims + j;
        int64_t k = number_int(index->dtype, indices + (i * v->k + j) * size);

        if (k < -x->dim[axis] || k >= x->dim[axis])
            return out_of_range(index, k, x->dim[axis], e);
        k = k < 0 ? k + x->dim[axis] : k;
        *at += k * shape_span(x, axis + 1, x->rank);
    }
    return 0;
}

static int
slices_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const enum dtype t = step_in(s, 0)->dtype;
    const int64_t size = (int64_t)dtype_size(t);
    const bool gather = s->node->op == OP_GATHER_ND;
    enum how how = REPLACE;
    struct slices v;
    char *y;

    (void)scratch;
    (void)state;
    if (read_slices(s->graph, s->node, &v, e) != 0 ||
        (!gather && read_how(s->graph, s->node, &how, e) != 0))
        return e->code;
    y = gather ? step_io_out(s, io, 0) : begin(s, io);
    for (int64_t i = 0; v.slice > 0 && i < v.n; i++) {
        int64_t at, own = i * v.slice * size;

        if (slice_at(s, &v, io[1], i, &at, e) != 0)
            return e->code;
        if (gather)
            combine(REPLACE, t, y + own, (char *)io[0] + at * size,
                    (size_t)v.slice);
        else
            combine(how, t, y + at * size, (char *)io[2] + own,
                    (size_t)v.slice);
    }
    return 0;
}

KERNEL(GATHER_ELEMENTS, "gather_elements", .prepare = elements_prepare,
       .run = gather_elements_run, .done = step_done);
KERNEL(GATHER_ND, "gather_nd", .run = slices_run);
KERNEL(SCATTER_ELEMENTS, "scatter_elements", .prepare = elements_prepare,
       .run = scatter_elements_run, .done = step_done);
KERNEL(SCATTER_ND, "scatter_nd", .run = slices_run);
