/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions over axes: sums, products, extremes, and where these are.
 *
 * Two walks: one over the axes that stay, and at each place one over those
 * that go.  Real numbers are summed in double precision; integers wrap.
 */
#include <inttypes.h>
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"
#include "engine/ops/walk.h"

/* --- rule ------------------------------------------------------------------
 */

/* Marks the axes that go; none named is all, but for noop_with_empty_axes. */
static int
read_axes(const struct graph *g, const struct node *n, int rank,
          bool gone[SHAPE_MAX_RANK], struct err *e)
{
    int64_t from_input[SHAPE_MAX_RANK];
    int count = 0, axis;
    const int64_t *axes = attr_ints(n, "axes", &count);

    for (int i = 0; i < SHAPE_MAX_RANK; i++)
        gone[i] = false;
    if (n->op == OP_ARG_MAX || n->op == OP_ARG_MIN) {
        if (rule_axis(n, 0, rank, &axis, e) != 0)
            return e->code;
        gone[axis] = true;
        return 0;
    }
    if (n->n_own > 1 && axes != NULL)
        return err_set(e, ERR_INVALID, "axes: both attribute and input");
    if (n->n_own > 1 && n->in[1] >= 0) {
        if (rule_ints(g, n, 1, "the reduction", from_input, SHAPE_MAX_RANK,
                      &count, e) != 0)
            return e->code;
        axes = from_input;
    }
    for (int i = 0; i < count; i++) {
        if (shape_axis(axes[i], rank, &axis, e) != 0)
            return e->code;
        if (gone[axis])
            return err_set(e, ERR_INVALID, "axis %d is named twice", axis);
        gone[axis] = true;
    }
    if (count == 0 && attr_int(n, "noop_with_empty_axes", 0) == 0)
        for (int i = 0; i < rank; i++)
            gone[i] = true;
    return 0;
}

/* Roots and logarithms: of integers, too, computed with real numbers. */
static bool
needs_real(enum op op)
{
    return op == OP_REDUCE_L2 || op == OP_REDUCE_LOG_SUM ||
           op == OP_REDUCE_LOG_SUM_EXP;
}

/* False is less than true. */
static unsigned
types_of(enum op op)
{
    if (op == OP_REDUCE_MAX || op == OP_REDUCE_MIN)
        return TYPES_NUMBER | TYPE(BOOL);
    return TYPES_NUMBER;
}

int
reduce_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const bool where = n->op == OP_ARG_MAX || n->op == OP_ARG_MIN;
    const bool keep = attr_int(n, "keepdims", 1) != 0;
    bool gone[SHAPE_MAX_RANK];
    struct shape out = {0};

    if (rule_type(g, n, 0, types_of(n->op), e) != 0 ||
        read_axes(g, n, x->shape.rank, gone, e) != 0)
        return e->code;
    for (int i = 0; i < x->shape.rank; i++) {
        if (where && gone[i] && x->shape.dim[i] == 0)
            return err_set(e, ERR_INVALID, "axis %d is empty", i);
        if (!gone[i])
            out.dim[out.rank++] = x->shape.dim[i];
        else if (keep)
            out.dim[out.rank++] = 1;
    }
    return rule_out(g, n, 0, where ? DTYPE_INT64 : x->dtype, &out, e);
}

/* --- what is gathered from the elements ------------------------------------
 */

struct total {
    enum op op;
    enum dtype t;
    bool last;            /* of equal extremes the last counts */
    int64_t n, at;        /* elements seen; where the extreme is */
    double real, largest; /* LogSumExp: the sum of exp(x - largest) */
    int64_t integer;
    uint64_t natural; /* extremes of uint64 */
};

static bool
is_max(enum op op)
{
    return op == OP_ARG_MAX || op == OP_REDUCE_MAX;
}

/* True when x, compared with the extreme so far, takes its place. */
#define BEATS(v, x, best)                                                      \
    (is_max((v)->op) ? (x) > (best) : (x) < (best)) ||                         \
        ((v)->last && (x) == (best))

static void
add_extreme(struct total *v, const char *p)
{
    bool take = v->n == 0;

    if (dtype_is_float(v->t)) {
        double x = number_double(v->t, p);

        /* The first NaN stays. */
        take = take || (!isnan(v->real) && isnan(x)) || BEATS(v, x, v->real);
        v->real = take ? x : v->real;
    } else if (v->t == DTYPE_UINT64) {
        uint64_t x = *(const uint64_t *)p;

        take = take || BEATS(v, x, v->natural);
        v->natural = take ? x : v->natural;
    } else {
        int64_t x = number_int(v->t, p);

        take = take || BEATS(v, x, v->integer);
        v->integer = take ? x : v->integer;
    }
    v->at = take ? v->n : v->at;
}

/* No exponential overflows, whichever element is the largest. */
static void
add_exponential(struct total *v, double x)
{
    if (x == v->largest) {
        v->real += isinf(x) && x < 0 ? 0 : 1;
    } else if (x > v->largest) {
        v->real = v->real * exp(v->largest - x) + 1;
        v->largest = x;
    } else {
        v->real += exp(x - v->largest);
    }
}

/* What a number counts for in a sum. */
static double
term(enum op op, double x)
{
    if (op == OP_REDUCE_L1)
        return fabs(x);
    return op == OP_REDUCE_L2 || op == OP_REDUCE_SUM_SQUARE ? x * x : x;
}

static uint64_t
integer_term(enum op op, enum dtype t, uint64_t x)
{
    if (op == OP_REDUCE_L1 && t != DTYPE_UINT64 && (int64_t)x < 0)
        return 0 - x;
    return op == OP_REDUCE_SUM_SQUARE ? x * x : x;
}

static void
add_number(struct total *v, const char *p)
{
    if (dtype_is_float(v->t) || needs_real(v->op)) {
        double x = number_double(v->t, p);

        if (v->op == OP_REDUCE_PROD)
            v->real *= x;
        else if (v->op == OP_REDUCE_LOG_SUM_EXP)
            add_exponential(v, x);
        else
            v->real += term(v->op, x);
    } else {
        uint64_t x = (uint64_t)number_int(v->t, p);

        v->integer = (int64_t)(v->op == OP_REDUCE_PROD
                                   ? (uint64_t)v->integer * x
                                   : (uint64_t)v->integer +
                                         integer_term(v->op, v->t, x));
    }
}

static bool
is_extreme(enum op op)
{
    return op == OP_ARG_MAX || op == OP_ARG_MIN || op == OP_REDUCE_MAX ||
           op == OP_REDUCE_MIN;
}

static void
total_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    struct total *v = arg;
    bool extreme = is_extreme(v->op);

    for (int64_t i = 0; i < n; i++, v->n++)
        if (extreme)
            add_extreme(v, p[0] + i * step[0]);
        else
            add_number(v, p[0] + i * step[0]);
}

/* The largest and least an integer type holds, by wrapping all-ones. */
static int64_t
limit_of(enum dtype t, bool largest)
{
    int bits = (int)dtype_size(t) * 8;
    bool is_signed = t == DTYPE_INT8 || t == DTYPE_INT16 || t == DTYPE_INT32 ||
                     t == DTYPE_INT64;
    int64_t max = (int64_t)(UINT64_MAX >> (64 - bits + is_signed));

    if (!largest)
        return is_signed ? -max - 1 : 0;
    return max;
}

/* What there is before the first element: the answer for none. */
static struct total
total_begin(enum op op, enum dtype t, bool last)
{
    struct total v = {.op = op, .t = t, .last = last, .largest = -INFINITY};

    if (op == OP_REDUCE_PROD) {
        v.real = v.integer = 1;
    } else if (is_extreme(op)) {
        v.real = is_max(op) ? -INFINITY : INFINITY;
        v.integer = limit_of(t, !is_max(op));
        v.natural = is_max(op) ? 0 : UINT64_MAX;
    }
    return v;
}

static void
total_end(const struct total *v, char *y)
{
    double real = v->real;
    int64_t integer = v->integer;

    if (v->op == OP_ARG_MAX || v->op == OP_ARG_MIN) {
        *(int64_t *)y = v->at;
        return;
    }
    if (v->op == OP_REDUCE_MEAN) {
        real = v->n == 0 ? 0 : real / (double)v->n;
        if (v->n == 0)
            integer = 0;
        else if (v->t == DTYPE_UINT64)
            integer = (int64_t)((uint64_t)integer / (uint64_t)v->n);
        else
            integer /= v->n;
    }
    if (v->op == OP_REDUCE_L2)
        real = sqrt(real);
    else if (v->op == OP_REDUCE_LOG_SUM)
        real = log(real);
    else if (v->op == OP_REDUCE_LOG_SUM_EXP)
        real = v->largest + log(real);
    if (dtype_is_float(v->t) || needs_real(v->op))
        number_convert(v->t, y, 0, DTYPE_DOUBLE, (const char *)&real, 0, 1);
    else if (v->t == DTYPE_UINT64 && is_extreme(v->op))
        *(uint64_t *)y = v->natural;
    else
        number_set_int(v->t, y, integer);
}

/* --- kernel ------------------------------------------------------------------
 */

struct reduce {
    struct walk stay, go; /* (output, input) and (input) */
};

static int
reduce_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const enum dtype t = node_in(g, n, 0)->dtype;
    int64_t in[SHAPE_MAX_RANK], out[SHAPE_MAX_RANK] = {0}, run = 1;
    bool gone[SHAPE_MAX_RANK];
    struct shape stay = *x, go = *x;
    struct reduce *r;

    (void)w;
    if (read_axes(g, n, x->rank, gone, e) != 0 ||
        step_own(s, sizeof *r, e) != 0)
        return e->code;
    r = s->own;
    layout_strides(x, LAYOUT_PLAIN, in);
    for (int i = x->rank - 1; i >= 0; i--) {
        *(gone[i] ? &stay.dim[i] : &go.dim[i]) = 1;
        out[i] = run;
        run *= stay.dim[i];
    }
    walk_begin(&r->stay, &stay);
    walk_add_strides(&r->stay, out, dtype_size(node_out(g, n, 0)->dtype));
    walk_add_strides(&r->stay, in, dtype_size(t));
    walk_end(&r->stay);
    walk_begin(&r->go, &go);
    walk_add_strides(&r->go, in, dtype_size(t));
    walk_end(&r->go);
    return 0;
}

static void
reduce_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    const struct step *s = arg;
    const struct reduce *r = s->own;
    bool last = attr_int(s->node, "select_last_index", 0) != 0;

    for (int64_t i = 0; i < n; i++) {
        struct total v = total_begin(s->node->op, step_in(s, 0)->dtype, last);

        walk_run(&r->go, (char *const[]){p[1] + i * step[1]}, total_row, &v);
        total_end(&v, p[0] + i * step[0]);
    }
}

static int
reduce_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct reduce *r = s->own;

    (void)scratch;
    (void)state;
    (void)e;
    walk_run(&r->stay, (char *const[]){step_io_out(s, io, 0), io[0]},
             reduce_row, (void *)s);
    return 0;
}

#define REDUCE(id)                                                             \
    KERNEL(id, "reduce", .prepare = reduce_prepare, .run = reduce_run,         \
           .done = step_done);
REDUCE(ARG_MAX)
REDUCE(ARG_MIN)
REDUCE(REDUCE_L1)
REDUCE(REDUCE_L2)
REDUCE(REDUCE_LOG_SUM)
REDUCE(REDUCE_LOG_SUM_EXP)
REDUCE(REDUCE_MAX)
REDUCE(REDUCE_MEAN)
REDUCE(REDUCE_MIN)
REDUCE(REDUCE_PROD)
REDUCE(REDUCE_SUM)
REDUCE(REDUCE_SUM_SQUARE)
