/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tensors (or more) broadcast to one shape and joined element by element:
 * arithmetic, comparison, logic, Where.
 *
 * Integers wrap.  What the processor would trap on is defined here: division
 * by zero gives 0, as numpy does, and the quotient is cut toward zero.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ops/number.h"
#include "engine/ops/rule.h"
#include "engine/ops/walk.h"

/* --- rules ---------------------------------------------------------------- */

/* The shape that inputs first, first + 1, ... n_own - 1 broadcast to. */
static int
broadcast_all(const struct graph *g, const struct node *n, int first,
              struct shape *out, struct err *e)
{
    *out = node_in(g, n, first)->shape;
    for (int i = first + 1; i < n->n_own; i++) {
        const struct value *v = node_in(g, n, i);
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        struct shape before = *out;

        if (v == NULL)
            return err_set(e, ERR_INVALID, "input %d is absent", i);
        if (shape_broadcast(&before, &v->shape, out, e) != 0)
            return err_wrap(e, "%s and %s", shape_text(&before, a),
                            shape_text(&v->shape, b));
    }
    return 0;
}

int
binary_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct shape out;

    if (rule_type(g, n, 0, n->op == OP_PRELU ? TYPES_REAL : TYPES_NUMBER, e) !=
        0)
        return e->code;
    for (int i = 1; i < n->n_own; i++)
        if ((n->op == OP_POW ? rule_type(g, n, i, TYPES_NUMBER, e)
                             : rule_same_type(g, n, i, e)) != 0)
            return e->code;
    if (broadcast_all(g, n, 0, &out, e) != 0)
        return e->code;
    if (n->op == OP_PRELU && !shape_equal(&out, &x->shape))
        return err_set(e, ERR_INVALID, "slope %s does not broadcast to %s",
                       shape_text(&node_in(g, n, 1)->shape, a),
                       shape_text(&x->shape, b));
    return rule_out(g, n, 0, x->dtype, &out, e);
}

int
bit_shift_infer(struct graph *g, struct node *n, struct err *e)
{
    const char *where = attr_string(n, "direction", "");

    if (strcmp(where, "LEFT") != 0 && strcmp(where, "RIGHT") != 0)
        return err_set(e, ERR_INVALID, "direction is \"%s\"", where);
    if (rule_type(g, n, 0, TYPES_SIGNED | TYPES_UNSIGNED, e) != 0)
        return e->code;
    return binary_infer(g, n, e);
}

int
bitwise_infer(struct graph *g, struct node *n, struct err *e)
{
    if (rule_type(g, n, 0, TYPES_SIGNED | TYPES_UNSIGNED, e) != 0)
        return e->code;
    return binary_infer(g, n, e);
}

int
compare_infer(struct graph *g, struct node *n, struct err *e)
{
    unsigned types = TYPES_NUMBER;
    struct shape out;

    if (n->op == OP_AND || n->op == OP_OR || n->op == OP_XOR)
        types = TYPE(BOOL);
    else if (n->op == OP_EQUAL)
        types |= TYPE(BOOL);
    if (rule_type(g, n, 0, types, e) != 0 || rule_same_type(g, n, 1, e) != 0 ||
        broadcast_all(g, n, 0, &out, e) != 0)
        return e->code;
    return rule_out(g, n, 0, DTYPE_BOOL, &out, e);
}

int
where_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 1), *y = node_in(g, n, 2);
    struct shape out;

    if (rule_type(g, n, 0, TYPE(BOOL), e) != 0 ||
        broadcast_all(g, n, 0, &out, e) != 0)
        return e->code;
    if (x->dtype != y->dtype)
        return err_set(e, ERR_INVALID, "input %s is %s but %s is %s", x->name,
                       dtype_name(x->dtype), y->name, dtype_name(y->dtype));
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* --- rows: y = f(a, b) ---------------------------------------------------- */

#define REALS(X) X(FLOAT, float) X(DOUBLE, double)
#define SIGNED_INTS(X)                                                         \
    X(INT8, int8_t) X(INT16, int16_t) X(INT32, int32_t) X(INT64, int64_t)
#define UNSIGNED_INTS(X)                                                       \
    X(UINT8, uint8_t)                                                          \
    X(UINT16, uint16_t) X(UINT32, uint32_t) X(UINT64, uint64_t)
#define INTS(X) SIGNED_INTS(X) UNSIGNED_INTS(X)
#define NUMBERS(X) REALS(X) INTS(X)

#define ROW(name, T, R, expr)                                                  \
    static void name(void *arg, int64_t n, char *const *p,                     \
                     const int64_t *step)                                      \
    {                                                                          \
        (void)arg;                                                             \
        for (int64_t i = 0; i < n; i++) {                                      \
            const T a = *(const T *)(p[1] + i * step[1]);                      \
            const T b = *(const T *)(p[2] + i * step[2]);                      \
                                                                               \
            *(R *)(p[0] + i * step[0]) = (R)(expr);                            \
        }                                                                      \
    }

/* What is left has the sign of b, also when it is 0. */
static double
real_mod(double a, double b)
{
    double r = fmod(a, b);

    if (r == 0)
        return copysign(0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

#define REAL_ROWS(id, T)                                                       \
    ROW(add_##id, T, T, a + b)                                                 \
    ROW(sub_##id, T, T, a - b)                                                 \
    ROW(mul_##id, T, T, a *b)                                                  \
    ROW(div_##id, T, T, a / b)                                                 \
    ROW(prelu_##id, T, T, a < 0 ? a * b : a)                                   \
    ROW(rem_##id, T, T, fmod(a, b))                                            \
    ROW(mod_##id, T, T, real_mod(a, b))                                        \
    ROW(max_##id, T, T, a >= b ? a : b >= a ? b : a + b) /* a NaN stays */     \
    ROW(min_##id, T, T, a <= b ? a : b <= a ? b : a + b)
REALS(REAL_ROWS)

/* In 64 unsigned bits nothing overflows; the cast back wraps. */
#define INT_ROWS(id, T)                                                        \
    ROW(add_##id, T, T, (uint64_t)a + (uint64_t)b)                             \
    ROW(sub_##id, T, T, (uint64_t)a - (uint64_t)b)                             \
    ROW(mul_##id, T, T, (uint64_t)a *(uint64_t)b)                              \
    ROW(bits_and_##id, T, T, a &b)                                             \
    ROW(bits_or_##id, T, T, a | b)                                             \
    ROW(bits_xor_##id, T, T, a ^ b)                                            \
    ROW(max_##id, T, T, a >= b ? a : b)                                        \
    ROW(min_##id, T, T, a <= b ? a : b)
INTS(INT_ROWS)

/* What is left has the sign of a, or of b.  Shifted by more places than there
 * are bits the sign is left, or nothing. */
#define SIGNED_ROWS(id, T)                                                     \
    ROW(rem_##id, T, T, b == 0 || b == -1 ? 0 : a % b)                         \
    ROW(mod_##id, T, T,                                                        \
        b == 0 || b == -1                      ? 0                             \
        : a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b                     \
                                               : a % b)                        \
    ROW(left_##id, T, T,                                                       \
        b < 0 || b >= (T)(8 * sizeof a) ? 0 : (uint64_t)a << b)                \
    ROW(right_##id, T, T,                                                      \
        a >> (b < 0 || b >= (T)(8 * sizeof a) ? (T)(8 * sizeof a - 1) : b))    \
    ROW(div_##id, T, T, b == 0 ? 0 : b == -1 ? (T)(0 - (uint64_t)a) : a / b)
SIGNED_INTS(SIGNED_ROWS)
#define UNSIGNED_ROWS(id, T)                                                   \
    ROW(rem_##id, T, T, b == 0 ? 0 : a % b)                                    \
    ROW(mod_##id, T, T, b == 0 ? 0 : a % b)                                    \
    ROW(left_##id, T, T, b >= 8 * sizeof a ? 0 : (uint64_t)a << b)             \
    ROW(right_##id, T, T, b >= 8 * sizeof a ? 0 : (uint64_t)a >> b)            \
    ROW(div_##id, T, T, b == 0 ? 0 : a / b)
UNSIGNED_INTS(UNSIGNED_ROWS)

#define COMPARE_ROWS(id, T)                                                    \
    ROW(equal_##id, T, uint8_t, a == b)                                        \
    ROW(greater_##id, T, uint8_t, a > b)                                       \
    ROW(greater_equal_##id, T, uint8_t, a >= b)                                \
    ROW(less_##id, T, uint8_t, a < b)                                          \
    ROW(less_equal_##id, T, uint8_t, a <= b)
NUMBERS(COMPARE_ROWS)

ROW(and_bool, uint8_t, uint8_t, a != 0 && b != 0)
ROW(or_bool, uint8_t, uint8_t, a != 0 || b != 0)
ROW(xor_bool, uint8_t, uint8_t, (a != 0) != (b != 0))
ROW(equal_bool, uint8_t, uint8_t, (a != 0) == (b != 0))

/* Whole powers of integers wrap; 1 / x is 0 but for x = 1 and -1. */
static int64_t
power(int64_t x, int64_t k)
{
    uint64_t base = (uint64_t)x, y = 1;

    if (k < 0)
        return x == 1 ? 1 : x == -1 ? (k % 2 == 0 ? 1 : -1) : 0;
    for (; k > 0; k /= 2, base *= base)
        if (k % 2 == 1)
            y *= base;
    return (int64_t)y;
}

/* The exponent has a type of its own; the result has the base's. */
static void
pow_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    const struct step *s = arg;
    enum dtype ta = step_in(s, 0)->dtype, tb = step_in(s, 1)->dtype;

    for (int64_t i = 0; i < n; i++) {
        char *y = p[0] + i * step[0];
        const char *a = p[1] + i * step[1], *b = p[2] + i * step[2];

        if (dtype_is_float(ta) || dtype_is_float(tb)) {
            double r = pow(number_double(ta, a), number_double(tb, b));

            number_convert(ta, y, 0, DTYPE_DOUBLE, (const char *)&r, 0, 1);
        } else {
            number_set_int(ta, y, power(number_int(ta, a), number_int(tb, b)));
        }
    }
}

/* --- kernels -------------------------------------------------------------- */

static bool
is_other(const struct node *n)
{
    if (n->op == OP_MOD)
        return attr_int(n, "fmod", 0) != 0;
    return n->op == OP_BIT_SHIFT &&
           strcmp(attr_string(n, "direction", ""), "RIGHT") == 0;
}

/* Two operators have two rows a type: an attribute chooses the other one. */
static walk_row *
other_row_of(enum op op, enum dtype t)
{
    switch (op * 64 + (int)t) {
#define CASE(op, name, id)                                                     \
    case OP_##op * 64 + DTYPE_##id:                                            \
        return name##_##id;
#define REMAINDER(id, T) CASE(MOD, rem, id)
#define RIGHT(id, T) CASE(BIT_SHIFT, right, id)
        NUMBERS(REMAINDER)
        INTS(RIGHT)
#undef CASE
    default:
        return NULL;
    }
}

static walk_row *
row_of(enum op op, enum dtype t)
{
    switch (op * 64 + (int)t) {
#define CASE(op, name, id)                                                     \
    case OP_##op * 64 + DTYPE_##id:                                            \
        return name##_##id;
#define ARITHMETIC(id, T)                                                      \
    CASE(MOD, mod, id)                                                         \
    CASE(ADD, add, id)                                                         \
    CASE(SUM, add, id)                                                         \
    CASE(SUB, sub, id)                                                         \
    CASE(MUL, mul, id)                                                         \
    CASE(DIV, div, id)                                                         \
    CASE(MAX, max, id)                                                         \
    CASE(MIN, min, id)                                                         \
    CASE(EQUAL, equal, id)                                                     \
    CASE(GREATER, greater, id)                                                 \
    CASE(GREATER_EQUAL, greater_equal, id)                                     \
    CASE(LESS, less, id)                                                       \
    CASE(LESS_EQUAL, less_equal, id)
#define WHOLE(id, T)                                                           \
    CASE(BITWISE_AND, bits_and, id)                                            \
    CASE(BITWISE_OR, bits_or, id)                                              \
    CASE(BITWISE_XOR, bits_xor, id)
#define LEFT(id, T) CASE(BIT_SHIFT, left, id)
        NUMBERS(ARITHMETIC)
        INTS(WHOLE)
        INTS(LEFT)
        CASE(PRELU, prelu, FLOAT)
        CASE(PRELU, prelu, DOUBLE)
#undef CASE
    case OP_AND * 64 + DTYPE_BOOL:
        return and_bool;
    case OP_OR * 64 + DTYPE_BOOL:
        return or_bool;
    case OP_XOR * 64 + DTYPE_BOOL:
        return xor_bool;
    case OP_EQUAL * 64 + DTYPE_BOOL:
        return equal_bool;
    default:
        return pow_row;
    }
}

/*
 * One walk for each pair: the first two inputs, then what there is so far and
 * the next.  A single input is copied.
 */
struct binary {
    walk_row *row;
    int n_walks;
    struct walk walk[];
};

static int
binary_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    const struct value *a = node_in(g, n, 0), *y = node_out(g, n, 0);
    int walks = n->n_own == 1 ? 1 : n->n_own - 1;
    struct binary *b;

    (void)w;
    if (step_own(s, sizeof *b + (size_t)walks * sizeof b->walk[0], e) != 0)
        return e->code;
    b = s->own;
    b->row =
        is_other(n) ? other_row_of(n->op, a->dtype) : row_of(n->op, a->dtype);
    b->n_walks = walks;
    for (int k = 0; k < walks; k++) {
        walk_begin(&b->walk[k], &y->shape);
        walk_add(&b->walk[k], y);
        walk_add(&b->walk[k], k == 0 ? a : y);
        if (n->n_own > 1)
            walk_add(&b->walk[k], node_in(g, n, k + 1));
        walk_end(&b->walk[k]);
    }
    /* With more inputs an early result would overwrite a later operand. */
    if (n->n_own <= 2 && a->dtype == y->dtype &&
        shape_equal(&a->shape, &y->shape))
        s->inplace = 0;
    return 0;
}

static int
binary_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct binary *b = s->own;
    char *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    if (s->node->n_own == 1) {
        if (y != io[0])
            walk_copy(&b->walk[0], y, io[0], dtype_size(step_in(s, 0)->dtype));
        return 0;
    }
    for (int k = 0; k < b->n_walks; k++)
        walk_run(&b->walk[k], (char *const[]){y, k == 0 ? io[0] : y, io[k + 1]},
                 b->row, (void *)s);
    return 0;
}

static void
where_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    const size_t size = *(const size_t *)arg;

    for (int64_t i = 0; i < n; i++) {
        int from = *(const uint8_t *)(p[1] + i * step[1]) != 0 ? 2 : 3;
        const char *x = p[from] + i * step[from];
        char *y = p[0] + i * step[0];

        for (size_t k = 0; k < size; k++)
            y[k] = x[k];
    }
}

static int
where_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    size_t size = dtype_size(step_out(s, 0)->dtype);

    (void)scratch;
    (void)state;
    (void)e;
    walk_run(s->own,
             (char *const[]){step_io_out(s, io, 0), io[0], io[1], io[2]},
             where_row, &size);
    return 0;
}

#define BINARY(id)                                                             \
    KERNEL(id, "binary", .layout = KERNEL_SAME, .prepare = binary_prepare,     \
           .run = binary_run, .done = step_done);
BINARY(ADD)
BINARY(AND)
BINARY(BITWISE_AND)
BINARY(BITWISE_OR)
BINARY(BITWISE_XOR)
BINARY(BIT_SHIFT)
BINARY(DIV)
BINARY(EQUAL)
BINARY(GREATER)
BINARY(GREATER_EQUAL)
BINARY(LESS)
BINARY(LESS_EQUAL)
BINARY(MAX)
BINARY(MIN)
BINARY(MOD)
BINARY(MUL)
BINARY(OR)
BINARY(POW)
BINARY(PRELU)
BINARY(SUB)
BINARY(SUM)
BINARY(XOR)
KERNEL(WHERE, "where", .layout = KERNEL_SAME, .prepare = walk_prepare,
       .run = where_run, .done = step_done);
