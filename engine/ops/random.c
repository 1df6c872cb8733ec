/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RandomNormal, RandomUniform, both "like" another tensor, Bernoulli,
 * Multinomial.
 *
 * Numbers are drawn by counting: element i is a mixture of the bits of i and
 * of the seed, which is the attribute or, without one, made of the node's
 * name.  So each run draws the same, as a server is expected to: the answer
 * to a request does not depend on those before it.
 * Source: the mixture is splitmix64 (Steele, Lea, Flood 2014); normal numbers
 * by Box and Muller 1958.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

#define TAU 6.28318530717958647692

static uint64_t
mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t
seed_of(const struct node *n)
{
    uint64_t seed = 14695981039346656037u; /* FNV-1a */
    float said = attr_float(n, "seed", 0);
    uint32_t bits;

    if (attr_find(n, "seed") != NULL) {
        memcpy(&bits, &said, sizeof bits);
        return mix(bits);
    }
    for (const char *p = n->name; *p != '\0'; p++)
        seed = (seed ^ (unsigned char)*p) * 1099511628211u;
    return mix(seed);
}

/* Draw i: a number in [0, 1). */
static double
uniform(uint64_t seed, uint64_t i)
{
    return (double)(mix(seed + (i + 1) * 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
}

static double
normal(uint64_t seed, uint64_t i)
{
    double r = sqrt(-2 * log(1 - uniform(seed, 2 * i)));

    return r * cos(TAU * uniform(seed, 2 * i + 1));
}

/* --- rules ------------------------------------------------------------------
 */

/* The type is said, or that of the input. */
static int
read_type(const struct node *n, unsigned types, enum dtype dflt,
          enum dtype *out, struct err *e)
{
    int64_t t = attr_int(n, "dtype", dflt);

    if (t <= 0 || t >= 32 || (types & 1u << t) == 0)
        return err_set(e, ERR_UNSUPPORTED, "dtype is %" PRId64, t);
    *out = (enum dtype)t;
    return 0;
}

int
random_infer(struct graph *g, struct node *n, struct err *e)
{
    struct shape out = {.rank = 0};
    enum dtype t = DTYPE_NONE;
    int count;
    const int64_t *dim = attr_ints(n, "shape", &count);

    if (read_type(n, TYPES_REAL, DTYPE_FLOAT, &t, e) != 0)
        return e->code;
    if (dim == NULL || count > SHAPE_MAX_RANK)
        return err_set(e, ERR_INVALID, "shape has %d numbers", count);
    for (int i = 0; i < count; i++)
        out.dim[out.rank++] = dim[i];
    return rule_out(g, n, 0, t, &out, e);
}

int
random_like_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    unsigned types =
        n->op == OP_BERNOULLI ? TYPES_NUMBER | TYPE(BOOL) : TYPES_REAL;
    enum dtype t = DTYPE_NONE;

    if (n->op == OP_BERNOULLI && rule_type(g, n, 0, TYPES_REAL, e) != 0)
        return e->code;
    if (read_type(n, types, x->dtype, &t, e) != 0)
        return e->code;
    return rule_out(g, n, 0, t, &x->shape, e);
}

/* x [N,classes] -> [N,sample_size] */
int
multinomial_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int64_t draws = attr_int(n, "sample_size", 1);
    char text[SHAPE_TEXT];
    enum dtype t = DTYPE_NONE;

    if (rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        read_type(n, TYPES_INDEX, DTYPE_INT32, &t, e) != 0)
        return e->code;
    if (x->shape.rank != 2 || x->shape.dim[1] < 1 || draws < 1)
        return err_set(e, ERR_INVALID, "%" PRId64 " samples of %s", draws,
                       shape_text(&x->shape, text));
    return rule_out(g, n, 0, t, &SHAPE(x->shape.dim[0], draws), e);
}

/* --- kernels ----------------------------------------------------------------
 */

static int
random_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct node *n = s->node;
    const struct value *y = step_out(s, 0);
    const bool is_normal =
        n->op == OP_RANDOM_NORMAL || n->op == OP_RANDOM_NORMAL_LIKE;
    const double low = attr_float(n, "low", 0), high = attr_float(n, "high", 1);
    const double mean = attr_float(n, "mean", 0);
    const double scale = attr_float(n, "scale", 1);
    const uint64_t seed = seed_of(n);
    const size_t size = dtype_size(y->dtype);
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < shape_n(&y->shape); i++, to += size) {
        double v = is_normal ? mean + scale * normal(seed, i)
                             : low + (high - low) * uniform(seed, i);

        number_convert(y->dtype, to, 0, DTYPE_DOUBLE, (const char *)&v, 0, 1);
    }
    return 0;
}

static int
bernoulli_run(const struct step *s, void *const *io, void *scratch, void *state,
              struct err *e)
{
    const struct value *x = step_in(s, 0), *y = step_out(s, 0);
    const uint64_t seed = seed_of(s->node);
    const size_t from = dtype_size(x->dtype), to = dtype_size(y->dtype);

    (void)scratch;
    (void)state;
    (void)e;
    for (size_t i = 0; i < shape_n(&y->shape); i++) {
        double p = number_double(x->dtype, (const char *)io[0] + i * from);
        double v = uniform(seed, i) < p;

        number_convert(y->dtype, (char *)step_io_out(s, io, 0) + i * to, 0,
                       DTYPE_DOUBLE, (const char *)&v, 0, 1);
    }
    return 0;
}

static int
multinomial_prepare(const struct graph *g, const struct node *n, struct step *s,
                    struct weights *w, struct err *e)
{
    (void)w;
    (void)e;
    s->scratch_bytes = (size_t)node_in(g, n, 0)->shape.dim[1] * sizeof(double);
    return 0;
}

/* x are logarithms of weights, to which `sum` gets the sums up to each. */
static void
add_up(enum dtype t, const char *x, int64_t classes, double *sum)
{
    const size_t size = dtype_size(t);
    double largest = -INFINITY, all = 0;

    for (int64_t c = 0; c < classes; c++)
        largest = fmax(largest, number_double(t, x + (size_t)c * size));
    for (int64_t c = 0; c < classes; c++) {
        all += exp(number_double(t, x + (size_t)c * size) - largest);
        sum[c] = all;
    }
}

static int
multinomial_run(const struct step *s, void *const *io, void *scratch,
                void *state, struct err *e)
{
    const struct value *x = step_in(s, 0), *y = step_out(s, 0);
    const int64_t classes = x->shape.dim[1], draws = y->shape.dim[1];
    const size_t row = (size_t)classes * dtype_size(x->dtype);
    const uint64_t seed = seed_of(s->node);
    char *to = step_io_out(s, io, 0);
    double *sum = scratch;

    (void)state;
    (void)e;
    for (int64_t i = 0; i < y->shape.dim[0]; i++) {
        add_up(x->dtype, (const char *)io[0] + (size_t)i * row, classes, sum);
        for (int64_t k = 0; k < draws; k++, to += dtype_size(y->dtype)) {
            double at =
                uniform(seed, (uint64_t)(i * draws + k)) * sum[classes - 1];
            int64_t c = 0;

            while (c < classes - 1 && !(at < sum[c]))
                c++;
            number_set_int(y->dtype, to, c);
        }
    }
    return 0;
}

KERNEL(RANDOM_NORMAL, "random", .run = random_run);
KERNEL(RANDOM_NORMAL_LIKE, "random", .run = random_run);
KERNEL(RANDOM_UNIFORM, "random", .run = random_run);
KERNEL(RANDOM_UNIFORM_LIKE, "random", .run = random_run);
KERNEL(BERNOULLI, "bernoulli", .run = bernoulli_run);
KERNEL(MULTINOMIAL, "multinomial", .prepare = multinomial_prepare,
       .run = multinomial_run);
