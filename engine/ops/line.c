/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each line along an axis by itself: CumSum, CumProd, LpNormalization, OneHot,
 * ReverseSequence.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* A tensor as [outer,n,inner] around an axis; of an empty one outer is 0. */
struct lines {
    int64_t outer, n, inner;
};

static struct lines
lines_of(const struct shape *s, int axis)
{
    return (struct lines){shape_n(s) == 0 ? 0 : shape_span(s, 0, axis),
                          s->dim[axis], shape_span(s, axis + 1, s->rank)};
}

/* --- CumSum, CumProd --------------------------------------------------------
 */

int
cum_sum_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *axis = node_in(g, n, 1);

    if (rule_type(g, n, 0, TYPES_NUMBER, e) != 0 ||
        rule_type(g, n, 1, TYPES_INDEX, e) != 0)
        return e->code;
    if (shape_n(&axis->shape) != 1)
        return err_set(e, ERR_INVALID, "axis %s is no scalar", axis->name);
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* One line: each element becomes the sum, or the product, up to it. */
static void
sum_line(const struct node *n, enum dtype t, const char *x, char *y,
         int64_t count, int64_t step)
{
    const bool exclusive = attr_int(n, "exclusive", 0) != 0;
    const bool reverse = attr_int(n, "reverse", 0) != 0;
    const bool product = n->op == OP_CUM_PROD;
    double real = product;
    uint64_t integer = product;

    for (int64_t i = 0; i < count; i++) {
        int64_t at = (reverse ? count - 1 - i : i) * step;
        double before = real;
        uint64_t before_integer = integer;

        if (dtype_is_float(t)) {
            double v = number_double(t, x + at);

            real = product ? real * v : real + v;
            before = exclusive ? before : real;
            number_convert(t, y + at, 0, DTYPE_DOUBLE, (const char *)&before, 0,
                           1);
        } else {
            uint64_t v = (uint64_t)number_int(t, x + at);

            integer = product ? integer * v : integer + v;
            number_set_int(t, y + at,
                           (int64_t)(exclusive ? before_integer : integer));
        }
    }
}

static int
cum_sum_run(const struct step *s, void *const *io, void *scratch, void *state,
            struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t size = (int64_t)dtype_size(x->dtype);
    char *y = step_io_out(s, io, 0);
    struct lines l;
    int axis;

    (void)scratch;
    (void)state;
    if (shape_axis(number_int(step_in(s, 1)->dtype, io[1]), x->shape.rank,
                   &axis, e) != 0)
        return e->code;
    l = lines_of(&x->shape, axis);
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            int64_t at = (o * l.n * l.inner + i) * size;

            sum_line(s->node, x->dtype, (const char *)io[0] + at, y + at, l.n,
                     l.inner * size);
        }
    return 0;
}

/* --- LpNormalization --------------------------------------------------------
 */

int
lp_normalization_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int64_t p = attr_int(n, "p", 2);
    int axis;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_axis(n, -1, x->shape.rank, &axis, e) != 0)
        return e->code;
    if (p != 1 && p != 2)
        return err_set(e, ERR_INVALID, "p is %" PRId64, p);
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* A line of norm 0 stays 0. */
static void
normalize_line(enum dtype t, bool squares, const char *x, char *y, int64_t n,
               int64_t step)
{
    double norm = 0;

    for (int64_t i = 0; i < n; i++) {
        double v = number_double(t, x + i * step);

        norm += squares ? v * v : fabs(v);
    }
    norm = squares ? sqrt(norm) : norm;
    for (int64_t i = 0; i < n; i++) {
        double v = number_double(t, x + i * step);

        v = norm == 0 ? 0 : v / norm;
        number_convert(t, y + i * step, 0, DTYPE_DOUBLE, (const char *)&v, 0,
                       1);
    }
}

static int
lp_normalization_run(const struct step *s, void *const *io, void *scratch,
                     void *state, struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t size = (int64_t)dtype_size(x->dtype);
    const bool squares = attr_int(s->node, "p", 2) == 2;
    char *y = step_io_out(s, io, 0);
    struct lines l;
    int axis;

    (void)scratch;
    (void)state;
    if (rule_axis(s->node, -1, x->shape.rank, &axis, e) != 0)
        return e->code;
    l = lines_of(&x->shape, axis);
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            int64_t at = (o * l.n * l.inner + i) * size;

            normalize_line(x->dtype, squares, (const char *)io[0] + at, y + at,
                           l.n, l.inner * size);
        }
    return 0;
}

/* --- OneHot -----------------------------------------------------------------
 */

/* depth [] or [1] of any number type, constant. */
static int
read_depth(const struct graph *g, const struct node *n, int64_t *depth,
           struct err *e)
{
    const struct value *v = node_in(g, n, 1);

    if (rule_type(g, n, 1, TYPES_NUMBER, e) != 0)
        return e->code;
    if (shape_n(&v->shape) != 1)
        return err_set(e, ERR_INVALID, "depth %s is no scalar", v->name);
    if (v->data == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "the depth depends on data: input %s is no constant",
                       v->name);
    number_convert(DTYPE_INT64, (char *)depth, 0, v->dtype, v->data, 0, 1);
    if (*depth < 0)
        return err_set(e, ERR_INVALID, "depth is %" PRId64, *depth);
    return 0;
}

int
one_hot_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *index = node_in(g, n, 0), *values = node_in(g, n, 2);
    struct shape out = {.rank = index->shape.rank + 1};
    char text[SHAPE_TEXT];
    int64_t depth;
    int axis;

    if (rule_type(g, n, 0, TYPES_NUMBER, e) != 0 ||
        read_depth(g, n, &depth, e) != 0 ||
        rule_axis(n, -1, out.rank, &axis, e) != 0)
        return e->code;
    if (out.rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "the output's rank is over %d",
                       SHAPE_MAX_RANK);
    if (!shape_equal(&values->shape, &SHAPE(2)))
        return err_set(e, ERR_INVALID, "values %s are %s, want [2]",
                       values->name, shape_text(&values->shape, text));
    for (int i = 0; i < out.rank; i++)
        out.dim[i] = i == axis  ? depth
                     : i < axis ? index->shape.dim[i]
                                : index->shape.dim[i - 1];
    return rule_out(g, n, 0, values->dtype, &out, e);
}

/* index [outer,inner] y [outer,depth,inner]; out of range is all off */
static int
one_hot_run(const struct step *s, void *const *io, void *scratch, void *state,
            struct err *e)
{
    const struct value *index = step_in(s, 0), *y = step_out(s, 0);
    const size_t size = dtype_size(y->dtype);
    const char *off = io[2], *on = off + size;
    char *to = step_io_out(s, io, 0);
    struct lines l;
    int axis;

    (void)scratch;
    (void)state;
    if (rule_axis(s->node, -1, y->shape.rank, &axis, e) != 0)
        return e->code;
    l = lines_of(&y->shape, axis);
    for (size_t i = 0; i < shape_n(&y->shape); i++)
        memcpy(to + i * size, off, size);
    for (int64_t i = 0; i < l.outer * l.inner; i++) {
        int64_t k;

        number_convert(
            DTYPE_INT64, (char *)&k, 0, index->dtype,
            (const char *)io[0] + (size_t)i * dtype_size(index->dtype), 0, 1);
        if (k < -l.n || k >= l.n)
            continue;
        k = k < 0 ? k + l.n : k;
        memcpy(to + (size_t)((i / l.inner * l.n + k) * l.inner + i % l.inner) *
                        size,
               on, size);
    }
    return 0;
}

/* --- ReverseSequence --------------------------------------------------------
 */

int
reverse_sequence_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int64_t batch = attr_int(n, "batch_axis", 1);
    int64_t time = attr_int(n, "time_axis", 0);

    if (rule_type(g, n, 1, TYPE(INT64), e) != 0)
        return e->code;
    if (x->shape.rank < 2 || batch < 0 || time < 0 || batch + time != 1)
        return err_set(e, ERR_INVALID,
                       "batch_axis %" PRId64 ", time_axis %" PRId64
                       ": must be the first two axes",
                       batch, time);
    if (rule_shape(g, n, 1, &SHAPE(x->shape.dim[batch]), e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* x, y [d0,d1,inner]: the first length[batch] places in time turn round. */
static int
reverse_sequence_run(const struct step *s, void *const *io, void *scratch,
                     void *state, struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t *d = x->shape.dim, *length = io[1];
    const bool time_first = attr_int(s->node, "time_axis", 0) == 0;
    const int64_t T = time_first ? d[0] : d[1], B = time_first ? d[1] : d[0];
    const int64_t bytes =
        shape_span(&x->shape, 2, x->shape.rank) * (int64_t)dtype_size(x->dtype);
    char *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    for (int64_t b = 0; b < B; b++) {
        if (length[b] < 0 || length[b] > T)
            return err_set(e, ERR_INVALID,
                           "length %" PRId64 " in %s is outside 0..%" PRId64,
                           length[b], step_in(s, 1)->name, T);
        for (int64_t t = 0; bytes > 0 && t < T; t++) {
            int64_t from = t < length[b] ? length[b] - 1 - t : t;

            memcpy(y + (time_first ? t * B + b : b * T + t) * bytes,
                   (const char *)io[0] +
                       (time_first ? from * B + b : b * T + from) * bytes,
                   (size_t)bytes);
        }
    }
    return 0;
}

KERNEL(CUM_PROD, "cum_prod", .run = cum_sum_run);
KERNEL(CUM_SUM, "cum_sum", .run = cum_sum_run);
KERNEL(LP_NORMALIZATION, "lp_normalization", .run = lp_normalization_run);
KERNEL(ONE_HOT, "one_hot", .run = one_hot_run);
KERNEL(REVERSE_SEQUENCE, "reverse_sequence", .run = reverse_sequence_run);
