/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tensor in, one of the same shape out, element by element.
 *
 * Real numbers are computed in double precision and rounded once to the
 * tensor's type, so that these kernels are a reference for faster ones.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* --- the functions, as ONNX has them ------------------------------------ */

#define FN(name, expr)                                                         \
    static double fn_##name(double x, double alpha, double beta)               \
    {                                                                          \
        (void)alpha;                                                           \
        (void)beta;                                                            \
        return expr;                                                           \
    }

/* NaN stays NaN: a comparison with it is false and x is taken. */
static double
clamp(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static double
sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Source: ONNX Gelu, approximate="none" and "tanh". */
static double
gelu(double x, bool by_tanh)
{
    const double root_half = 0.70710678118654752440;
    const double root_2_over_pi = 0.79788456080286535588;

    if (by_tanh)
        return 0.5 * x *
               (1 + tanh(root_2_over_pi * (x + 0.044715 * x * x * x)));
    return 0.5 * x * (1 + erf(x * root_half));
}

static double
softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

FN(ABS, fabs(x))
FN(ACOS, acos(x))
FN(ACOSH, acosh(x))
FN(ASIN, asin(x))
FN(ASINH, asinh(x))
FN(ATAN, atan(x))
FN(ATANH, atanh(x))
FN(CEIL, ceil(x))
FN(CELU, x < 0 ? alpha * expm1(x / alpha) : x)
FN(CLIP, clamp(x, alpha, beta))
FN(COS, cos(x))
FN(COSH, cosh(x))
FN(ELU, x < 0 ? alpha * expm1(x) : x)
FN(ERF, erf(x))
FN(EXP, exp(x))
FN(FLOOR, floor(x))
FN(GELU, gelu(x, alpha != 0))
FN(HARD_SIGMOID, clamp(alpha *x + beta, 0, 1))
FN(HARD_SWISH, x *clamp(x / 6 + 0.5, 0, 1))
FN(LEAKY_RELU, x < 0 ? alpha * x : x)
FN(LOG, log(x))
FN(MISH, x *tanh(softplus(x)))
FN(NEG, -x)
FN(RECIPROCAL, 1 / x)
FN(RELU, x < 0 ? 0 : x)
FN(ROUND, nearbyint(x)) /* halves to even */
FN(SELU, x > 0 ? beta * x : beta * alpha * expm1(x))
FN(SHRINK, x<-alpha ? x + beta : x> alpha ? x - beta : 0)
FN(SIGMOID, sigmoid(x))
FN(SIGN, x > 0 ? 1 : x < 0 ? -1 : x)
FN(SIN, sin(x))
FN(SINH, sinh(x))
FN(SOFTPLUS, softplus(x))
FN(SOFTSIGN, x / (1 + fabs(x)))
FN(SQRT, sqrt(x))
FN(SWISH, x *sigmoid(x))
FN(TAN, tan(x))
FN(TANH, tanh(x))
FN(THRESHOLDED_RELU, x > alpha ? x : 0)

unary_fn *
unary_find(enum op op)
{
    switch (op) {
#define CASE(id)                                                               \
    case OP_##id:                                                              \
        return fn_##id;
        CASE(ABS)
        CASE(ACOS)
        CASE(ACOSH)
        CASE(ASIN)
        CASE(ASINH)
        CASE(ATAN)
        CASE(ATANH)
        CASE(CEIL)
        CASE(CELU)
        CASE(CLIP)
        CASE(COS)
        CASE(COSH)
        CASE(ELU)
        CASE(ERF)
        CASE(EXP)
        CASE(FLOOR)
        CASE(GELU)
        CASE(HARD_SIGMOID)
        CASE(HARD_SWISH)
        CASE(LEAKY_RELU)
        CASE(LOG)
        CASE(MISH)
        CASE(NEG)
        CASE(RECIPROCAL)
        CASE(RELU)
        CASE(ROUND)
        CASE(SELU)
        CASE(SHRINK)
        CASE(SIGMOID)
        CASE(SIGN)
        CASE(SIN)
        CASE(SINH)
        CASE(SOFTPLUS)
        CASE(SOFTSIGN)
        CASE(SQRT)
        CASE(SWISH)
        CASE(TAN)
        CASE(TANH)
        CASE(THRESHOLDED_RELU)
#undef CASE
    default:
        return NULL;
    }
}

/* --- the rule ------------------------------------------------------------ */

/* Integers are allowed where ONNX allows them; negation wraps. */
static unsigned
types_of(enum op op)
{
    switch (op) {
    case OP_ABS:
    case OP_CLIP:
    case OP_SHRINK:
    case OP_SIGN:
        return TYPES_NUMBER;
    case OP_NEG:
    case OP_RELU:
        return TYPES_REAL | TYPES_SIGNED;
    case OP_BITWISE_NOT:
        return TYPES_SIGNED | TYPES_UNSIGNED;
    case OP_NOT:
        return TYPE(BOOL);
    case OP_IDENTITY:
    case OP_REORDER:
        return TYPES_ANY;
    default:
        return TYPES_REAL;
    }
}

/* CLIP's bounds: scalars (or one element) of the input's type. */
static int
check_bounds(const struct graph *g, const struct node *n, struct err *e)
{
    for (int i = 1; i < n->n_own; i++) {
        const struct value *v = node_in(g, n, i);

        if (v == NULL)
            continue;
        if (rule_same_type(g, n, i, e) != 0)
            return e->code;
        if (shape_n(&v->shape) != 1)
            return err_set(e, ERR_INVALID, "bound %s is no scalar", v->name);
    }
    return 0;
}

int
unary_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const char *approx = attr_string(n, "approximate", "none");

    if (rule_type(g, n, 0, types_of(n->op), e) != 0)
        return e->code;
    if (n->op == OP_CLIP && check_bounds(g, n, e) != 0)
        return e->code;
    if (n->op == OP_GELU && strcmp(approx, "none") != 0 &&
        strcmp(approx, "tanh") != 0)
        return err_set(e, ERR_INVALID, "approximate is \"%s\"", approx);
    return rule_out(g, n, 0, x->dtype, &x->shape, e);
}

/* --- the kernels --------------------------------------------------------- */

struct unary {
    unary_fn *fn;
    double alpha, beta;
};

/* Which attributes alpha and beta are, and what they are when absent. */
static const struct {
    enum op op;
    const char *alpha, *beta;
    float alpha_else, beta_else;
} numbers[] = {
    {OP_CELU, "alpha", NULL, 1, 0},
    {OP_ELU, "alpha", NULL, 1, 0},
    {OP_HARD_SIGMOID, "alpha", "beta", 0.2f, 0.5f},
    {OP_LEAKY_RELU, "alpha", NULL, 0.01f, 0},
    {OP_SELU, "alpha", "gamma", 1.67326319217681884765625f,
     1.05070102214813232421875f},
    {OP_SHRINK, "lambd", "bias", 0.5f, 0},
    {OP_THRESHOLDED_RELU, "alpha", NULL, 1, 0},
};

static int
unary_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    struct unary *u;
    float alpha = 0, beta = 0;

    (void)g;
    (void)w;
    if (step_own(s, sizeof *u, e) != 0)
        return e->code;
    if (n->op == OP_GELU)
        alpha = strcmp(attr_string(n, "approximate", "none"), "tanh") == 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].op != n->op)
            continue;
        alpha = attr_float(n, numbers[i].alpha, numbers[i].alpha_else);
        if (numbers[i].beta != NULL)
            beta = attr_float(n, numbers[i].beta, numbers[i].beta_else);
    }
    u = s->own;
    *u = (struct unary){unary_find(n->op), alpha, beta};
    s->inplace = 0;
    return 0;
}

/* What integers do differently: they wrap, and 64 bits stay 64 bits. */
static int64_t
on_integer(enum op op, int64_t x, int64_t low, int64_t high)
{
    switch (op) {
    case OP_ABS:
        return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    case OP_BITWISE_NOT:
        return ~x;
    case OP_NEG:
        return (int64_t)(0 - (uint64_t)x);
    case OP_SIGN:
        return (x > 0) - (x < 0);
    case OP_RELU:
        return x < 0 ? 0 : x;
    default: /* CLIP */
        x = x < low ? low : x;
        return x > high ? high : x;
    }
}

static uint64_t
on_uint64(enum op op, uint64_t x, uint64_t low, uint64_t high)
{
    if (op == OP_SIGN)
        return x > 0;
    if (op == OP_BITWISE_NOT)
        return ~x;
    if (op != OP_CLIP)
        return x;
    x = x < low ? low : x;
    return x > high ? high : x;
}

static int
unary_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct value *x = step_in(s, 0);
    const struct unary *u = s->own;
    const enum dtype t = x->dtype;
    const size_t size = dtype_size(t), n = shape_n(&x->shape);
    const char *in = io[0];
    char *out = step_io_out(s, io, 0);
    const void *low = NULL, *high = NULL;
    double alpha = u->alpha, beta = u->beta;

    (void)scratch;
    (void)state;
    (void)e;
    if (s->node->op == OP_CLIP) {
        low = step_in(s, 1) == NULL ? NULL : io[1];
        high = step_in(s, 2) == NULL ? NULL : io[2];
        alpha = low == NULL ? -INFINITY : number_double(t, low);
        beta = high == NULL ? INFINITY : number_double(t, high);
    }
    if (t == DTYPE_FLOAT) {
        for (size_t i = 0; i < n; i++)
            ((float *)out)[i] =
                (float)u->fn(((const float *)in)[i], alpha, beta);
    } else if (t == DTYPE_DOUBLE) {
        for (size_t i = 0; i < n; i++)
            ((double *)out)[i] = u->fn(((const double *)in)[i], alpha, beta);
    } else if (s->node->op == OP_SHRINK) { /* by real numbers, then cut */
        for (size_t i = 0; i < n; i++) {
            double y = u->fn(number_double(t, in + i * size), alpha, beta);

            number_convert(t, out + i * size, 0, DTYPE_DOUBLE, (char *)&y, 0,
                           1);
        }
    } else if (t == DTYPE_UINT64) {
        uint64_t lo = low == NULL ? 0 : *(const uint64_t *)low;
        uint64_t hi = high == NULL ? UINT64_MAX : *(const uint64_t *)high;

        for (size_t i = 0; i < n; i++)
            ((uint64_t *)out)[i] =
                on_uint64(s->node->op, ((const uint64_t *)in)[i], lo, hi);
    } else {
        int64_t lo = low == NULL ? INT64_MIN : number_int(t, low);
        int64_t hi = high == NULL ? INT64_MAX : number_int(t, high);

        for (size_t i = 0; i < n; i++)
            number_set_int(
                t, out + i * size,
                on_integer(s->node->op, number_int(t, in + i * size), lo, hi));
    }
    return 0;
}

static int
not_run(const struct step *s, void *const *io, void *scratch, void *state,
        struct err *e)
{
    const uint8_t *in = io[0];
    uint8_t *out = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < shape_n(&step_in(s, 0)->shape); i++)
        out[i] = in[i] == 0;
    return 0;
}

/* --- IsInf, IsNaN --------------------------------------------------------- */

int
is_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);

    if (rule_type(g, n, 0, TYPES_REAL | TYPE(FLOAT16) | TYPE(BFLOAT16), e) != 0)
        return e->code;
    return rule_out(g, n, 0, DTYPE_BOOL, &x->shape, e);
}

static int
is_run(const struct step *s, void *const *io, void *scratch, void *state,
       struct err *e)
{
    const struct value *x = step_in(s, 0);
    const bool nan = s->node->op == OP_IS_NAN;
    const bool below = attr_int(s->node, "detect_negative", 1) != 0;
    const bool above = attr_int(s->node, "detect_positive", 1) != 0;
    const char *in = io[0];
    uint8_t *out = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < shape_n(&x->shape); i++) {
        double v = number_double(x->dtype, in + i * dtype_size(x->dtype));

        out[i] = nan ? isnan(v) : isinf(v) && (v < 0 ? below : above);
    }
    return 0;
}

#define UNARY(id)                                                              \
    KERNEL(id, "unary", .layout = KERNEL_SAME, .prepare = unary_prepare,       \
           .run = unary_run, .done = step_done);
UNARY(ABS)
UNARY(ACOS)
UNARY(ACOSH)
UNARY(ASIN)
UNARY(ASINH)
UNARY(ATAN)
UNARY(ATANH)
UNARY(BITWISE_NOT)
UNARY(CEIL)
UNARY(CELU)
UNARY(CLIP)
UNARY(COS)
UNARY(COSH)
UNARY(ELU)
UNARY(ERF)
UNARY(EXP)
UNARY(FLOOR)
UNARY(GELU)
UNARY(HARD_SIGMOID)
UNARY(HARD_SWISH)
UNARY(LEAKY_RELU)
UNARY(LOG)
UNARY(MISH)
UNARY(NEG)
UNARY(RECIPROCAL)
UNARY(RELU)
UNARY(ROUND)
UNARY(SELU)
UNARY(SHRINK)
UNARY(SIGMOID)
UNARY(SIGN)
UNARY(SIN)
UNARY(SINH)
UNARY(SOFTPLUS)
UNARY(SOFTSIGN)
UNARY(SQRT)
UNARY(SWISH)
UNARY(TAN)
UNARY(TANH)
UNARY(THRESHOLDED_RELU)
KERNEL(NOT, "not", .layout = KERNEL_SAME, .run = not_run);
KERNEL(IS_INF, "is", .layout = KERNEL_SAME, .run = is_run);
KERNEL(IS_NAN, "is", .layout = KERNEL_SAME, .run = is_run);
