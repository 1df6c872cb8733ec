/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values made from shapes, and shapes from values: Shape, Size, Range,
 * ConstantOfShape.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* --- Shape, Size ------------------------------------------------------------
 */

/* The axes [from, to) that Shape gives: start and end count from the end when
 * negative and are cut to the rank. */
static void
shape_part(const struct node *n, int rank, int *from, int *to)
{
    int64_t v[2] = {attr_int(n, "start", 0), attr_int(n, "end", rank)};

    for (int i = 0; i < 2; i++) {
        if (v[i] < 0)
            v[i] += rank;
        v[i] = v[i] < 0 ? 0 : v[i] > rank ? rank : v[i];
    }
    *from = (int)v[0];
    *to = (int)(v[1] < v[0] ? v[0] : v[1]);
}

int
shape_infer(struct graph *g, struct node *n, struct err *e)
{
    int from, to;

    if (n->op == OP_SIZE)
        return rule_out(g, n, 0, DTYPE_INT64, &(struct shape){.rank = 0}, e);
    shape_part(n, node_in(g, n, 0)->shape.rank, &from, &to);
    return rule_out(g, n, 0, DTYPE_INT64, &SHAPE(to - from), e);
}

static int
shape_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct shape *x = &step_in(s, 0)->shape;
    int64_t *y = step_io_out(s, io, 0);
    int from, to;

    (void)scratch;
    (void)state;
    (void)e;
    if (s->node->op == OP_SIZE) {
        *y = (int64_t)shape_n(x);
        return 0;
    }
    shape_part(s->node, x->rank, &from, &to);
    for (int i = from; i < to; i++)
        *y++ = x->dim[i];
    return 0;
}

/* --- ConstantOfShape --------------------------------------------------------
 */

/* The attribute: a tensor of one element; absent it is a float 0. */
static const struct tensor *
fill_value(const struct node *n)
{
    const struct attr *a = attr_find(n, "value");

    return a != NULL && a->type == ATTR_TENSOR ? a->tensor : NULL;
}

int
constant_of_shape_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct tensor *fill = fill_value(n);
    struct shape out = {0};

    if (fill == NULL && attr_find(n, "value") != NULL)
        return err_set(e, ERR_INVALID, "value is no tensor");
    if (fill != NULL && (dtype_size(fill->dtype) == 0 ||
                         shape_n(&fill->shape) != 1 || fill->data == NULL))
        return err_set(e, ERR_INVALID, "value is no single element");
    if (rule_ints(g, n, 0, "the shape", out.dim, SHAPE_MAX_RANK, &out.rank,
                  e) != 0)
        return e->code;
    return rule_out(g, n, 0, fill == NULL ? DTYPE_FLOAT : fill->dtype, &out, e);
}

static int
constant_of_shape_run(const struct step *s, void *const *io, void *scratch,
                      void *state, struct err *e)
{
    static const char zero[8];
    const struct value *y = step_out(s, 0);
    const struct tensor *fill = fill_value(s->node);
    const size_t size = dtype_size(y->dtype), n = shape_n(&y->shape);
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * size, fill == NULL ? zero : fill->data, size);
    return 0;
}

/* --- Range ------------------------------------------------------------------
 */

/* max(ceil((limit - start) / delta), 0), without passing int64 through a
 * double, which has fewer digits. */
static int
range_count(enum dtype t, const void *const in[3], int64_t *n, struct err *e)
{
    if (dtype_is_float(t)) {
        double k = ceil((number_double(t, in[1]) - number_double(t, in[0])) /
                        number_double(t, in[2]));

        if (isnan(k) || k > 0x1p53)
            return err_set(e, ERR_INVALID, "the range has no end");
        *n = k < 0 ? 0 : (int64_t)k;
        return 0;
    }
    int64_t start = number_int(t, in[0]), limit = number_int(t, in[1]);
    int64_t delta = number_int(t, in[2]);
    uint64_t room, step;

    if (delta == 0)
        return err_set(e, ERR_INVALID, "delta is 0");
    room = delta > 0 ? (uint64_t)limit - (uint64_t)start
                     : (uint64_t)start - (uint64_t)limit;
    step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    *n = 0;
    if (delta > 0 ? limit > start : limit < start)
        *n = (int64_t)((room - 1) / step + 1);
    return 0;
}

int
range_infer(struct graph *g, struct node *n, struct err *e)
{
    const enum dtype t = node_in(g, n, 0)->dtype;
    const void *in[3];
    int64_t count = 0;

    if (rule_type(g, n, 0, TYPES_REAL | TYPES_INDEX | TYPE(INT16), e) != 0)
        return e->code;
    for (int i = 0; i < 3; i++) {
        const struct value *v = node_in(g, n, i);

        if (rule_same_type(g, n, i, e) != 0)
            return e->code;
        if (shape_n(&v->shape) != 1)
            return err_set(e, ERR_INVALID, "input %s is no scalar", v->name);
        if (v->data == NULL)
            return err_set(e, ERR_UNSUPPORTED,
                           "the range's length depends on data: input %s is "
                           "no constant",
                           v->name);
        in[i] = v->data;
    }
    if (range_count(t, in, &count, e) != 0)
        return e->code;
    return rule_out(g, n, 0, t, &SHAPE(count), e);
}

static int
range_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct value *y = step_out(s, 0);
    const enum dtype t = y->dtype;
    const size_t size = dtype_size(t);
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (int64_t i = 0; i < y->shape.dim[0]; i++, to += size) {
        if (dtype_is_float(t)) {
            double v =
                number_double(t, io[0]) + (double)i * number_double(t, io[2]);

            number_convert(t, to, 0, DTYPE_DOUBLE, (const char *)&v, 0, 1);
        } else {
            number_set_int(
                t, to,
                (int64_t)((uint64_t)number_int(t, io[0]) +
                          (uint64_t)i * (uint64_t)number_int(t, io[2])));
        }
    }
    return 0;
}

KERNEL(SHAPE, "shape", .run = shape_run);
KERNEL(SIZE, "shape", .run = shape_run);
KERNEL(CONSTANT_OF_SHAPE, "constant_of_shape", .run = constant_of_shape_run);
KERNEL(RANGE, "range", .run = range_run);
