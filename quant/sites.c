/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/sites.h"

#include <fnmatch.h>
#include <string.h>

#include "base/mem.h"
#include "quant/weight.h"

/* What an operator can do with integers. */
enum role {
    ROLE_FLOAT,      /* nothing */
    ROLE_LAYER,      /* weights times activations */
    ROLE_BINARY,     /* of two activations, each with its own scale */
    ROLE_POOL,       /* an average: its result has a scale of its own */
    ROLE_MOVE,       /* picks or moves: what goes in comes out */
    ROLE_ACTIVATION, /* elementwise; joined to what makes its input or not */
};

/* Is ReduceMean n a GlobalAveragePool of images?  The engine finds it to be one
 * once it knows the rank. */
static bool
over_image(const struct node *n)
{
    int count;
    const int64_t *axes = attr_ints(n, "axes", &count);

    return count == 2 && ((axes[0] == 2 && axes[1] == 3) ||
                          (axes[0] == -2 && axes[1] == -1) ||
                          (axes[0] == -1 && axes[1] == -2));
}

static enum role
role_of(const struct node *n)
{
    switch (n->op) {
    case OP_CONV:
    case OP_CONV_TRANSPOSE:
    case OP_GEMM:
    case OP_MATMUL:
        return ROLE_LAYER;
    case OP_ADD:
    case OP_MUL:
        return ROLE_BINARY;
    case OP_AVERAGE_POOL:
    case OP_GLOBAL_AVERAGE_POOL:
        return ROLE_POOL;
    case OP_REDUCE_MEAN:
        return over_image(n) ? ROLE_POOL : ROLE_FLOAT;
    case OP_MAX_POOL:
    case OP_GLOBAL_MAX_POOL:
    case OP_CONCAT:
    case OP_DEPTH_TO_SPACE:
    case OP_EXPAND:
    case OP_FLATTEN:
    case OP_GATHER:
    case OP_PAD:
    case OP_RESHAPE:
    case OP_SLICE:
    case OP_SPACE_TO_DEPTH:
    case OP_SPLIT:
    case OP_SQUEEZE:
    case OP_TILE:
    case OP_TRANSPOSE:
    case OP_UNSQUEEZE:
        return ROLE_MOVE;
    case OP_RESIZE:
        return strcmp(attr_string(n, "mode", "nearest"), "nearest") == 0
                   ? ROLE_MOVE
                   : ROLE_FLOAT;
    case OP_RELU:
    case OP_CLIP:
    case OP_ELU:
    case OP_GELU:
    case OP_HARD_SIGMOID:
    case OP_HARD_SWISH:
    case OP_LEAKY_RELU:
    case OP_SIGMOID:
    case OP_SWISH:
    case OP_TANH:
        return ROLE_ACTIVATION;
    default:
        return ROLE_FLOAT;
    }
}

/* Does n read numbers?  Shapes are computed before the model runs, and who asks
 * for one is then gone. */
static bool
reads_numbers(const struct node *n)
{
    return !n->dead && n->op != OP_SHAPE && n->op != OP_SIZE;
}

/* Inputs of n that carry activations: the first ones. */
static int
n_activations(const struct node *n)
{
    switch (role_of(n)) {
    case ROLE_BINARY:
        return 2;
    case ROLE_MOVE:
        return n->op == OP_CONCAT ? n->n_in : 1;
    default:
        return 1;
    }
}

bool
sites_is_layer(const struct node *n)
{
    return !n->dead && role_of(n) == ROLE_LAYER;
}

int
sites_weight_axis(const struct graph *g, const struct node *n)
{
    switch (n->op) {
    case OP_CONV:
        return 0;
    case OP_CONV_TRANSPOSE:
        return 1;
    case OP_GEMM:
        return attr_int(n, "transB", 0) != 0 ? 0 : 1;
    default:
        return node_in(g, n, 1)->shape.rank - 1;
    }
}

bool
sites_excluded(const struct quant_options *o, const char *name)
{
    for (int i = 0; i < o->n_exclude; i++)
        if (strcmp(o->exclude[i], name) == 0 || /* '[' and all */
            fnmatch(o->exclude[i], name, 0) == 0)
            return true;
    return false;
}

static bool
is_dequantized(const struct graph *g, int id)
{
    const struct node *n = graph_producer(g, id);

    return n != NULL && n->op == OP_DEQUANTIZE_LINEAR;
}

/* Is value id what Softmax makes, moved about or not? */
static bool
is_distribution(const struct graph *g, int id)
{
    const struct node *n = graph_producer(g, id);

    while (n != NULL && role_of(n) == ROLE_MOVE && n->op != OP_CONCAT)
        n = graph_producer(g, n->in[0]);
    return n != NULL && n->op == OP_SOFTMAX;
}

/* Why layer n can't be quantized, or NULL. */
static const char *
unfit(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0), *w = node_in(g, n, 1);

    if (is_dequantized(g, n->in[1]))
        return "its weights are quantized already";
    if (w == NULL || w->data == NULL)
        return "its weights are computed, not constant";
    if (x == NULL || x->data != NULL)
        return "its input is a constant";
    /* Detectors read the side of a box off it, 0 to 15 cells: in int8 the
     * numbers 0 to 15 are wrong by a good part of one. */
    if (is_distribution(g, n->in[0]))
        return "it takes the mean of a distribution (Softmax)";
    if (w->dtype != DTYPE_FLOAT)
        return "its weights are not float32";
    if (n->op == OP_MATMUL ? w->shape.rank != 2
                           : w->shape.rank < (n->op == OP_GEMM ? 2 : 3))
        return "its weights have an unusual rank";
    if (n->op == OP_CONV_TRANSPOSE && attr_int(n, "group", 1) != 1)
        return "a transposed convolution in groups has no int8 kernel";
    if (n->op == OP_GEMM && attr_int(n, "transA", 0) != 0)
        return "its input is transposed (transA)";
    if (shape_n(&w->shape) == 0)
        return "its weights are empty";
    if (!weight_finite(w->data, shape_n(&w->shape)))
        return "its weights hold NaN or infinity";
    return NULL;
}

/* Reader i of value v as sites_init() found them, or NULL. */
static const struct node *
reader(const struct sites *p, int v, int i)
{
    int id = i < p->n_uses[v] && p->n_uses[v] <= 2 ? p->reader[v][i] : -1;

    return id < 0 ? NULL : &p->g->nodes.at[id];
}

/*
 * x * sigmoid(x), written out: its two nodes count as one activation.  Returns
 * the Mul when v is read by such a pair only.
 */
static const struct node *
swish_behind(const struct sites *p, int v)
{
    const struct node *a = v < 0 ? NULL : reader(p, v, 0);
    const struct node *b = v < 0 ? NULL : reader(p, v, 1);
    const struct node *mul, *sigmoid;

    if (a == NULL || b == NULL)
        return NULL;
    mul = a->op == OP_MUL ? a : b;
    sigmoid = mul == a ? b : a;
    return mul->op == OP_MUL && sigmoid->op == OP_SIGMOID &&
                   (mul->in[0] == sigmoid->out[0] ||
                    mul->in[1] == sigmoid->out[0])
               ? mul
               : NULL;
}

/* A constant of one number, or a row of them as biases of MatMul are. */
static bool
repeats(const struct value *v)
{
    return v != NULL && v->data != NULL && v->dtype == DTYPE_FLOAT &&
           (shape_n(&v->shape) == 1 ||
            shape_n(&v->shape) == (size_t)v->shape.dim[v->shape.rank - 1]);
}

/*
 * The operand of n that is an activation when n computes elementwise on that
 * alone: unary, or a product or sum with constants; -1 otherwise.
 */
static int
operand(const struct sites *p, const struct node *n)
{
    if (role_of(n) == ROLE_ACTIVATION)
        return n->in[0];
    if (role_of(n) != ROLE_BINARY)
        return -1;
    if (repeats(node_in(p->g, n, 1)))
        return n->in[0];
    return repeats(node_in(p->g, n, 0)) ? n->in[1] : -1;
}

/* The activation that is the only reader of v, or NULL. */
static const struct node *
activation_behind(const struct sites *p, int v)
{
    const struct node *one = p->n_uses[v] == 1 ? reader(p, v, 0) : NULL;

    return one != NULL && operand(p, one) == v ? one : swish_behind(p, v);
}

int
sites_result(const struct sites *p, const struct node *n)
{
    int v = n->out[0];

    for (const struct node *a = activation_behind(p, v); a != NULL;
         a = activation_behind(p, v))
        v = a->out[0];
    return v;
}

/* The node that makes v, activations skipped; NULL without one. */
static const struct node *
maker(const struct sites *p, int v)
{
    const struct node *n = graph_producer(p->g, v);

    while (n != NULL) {
        int before = operand(p, n);

        for (int k = 0; n->op == OP_MUL && k < 2; k++)
            if (n->in[k] >= 0 && swish_behind(p, n->in[k]) == n)
                before = n->in[k];
        if (before < 0 || activation_behind(p, before) != n)
            return n;
        n = graph_producer(p->g, before);
    }
    return NULL;
}

/* Is an activation right behind n joined to it? */
static bool
takes_activation(const struct node *n)
{
    return role_of(n) == ROLE_LAYER || role_of(n) == ROLE_BINARY;
}

/*
 * May n, an activation, work on integers by itself?  Those that keep what they
 * don't clip, where they are not joined; others squeeze part of the range that
 * they read into a few codes, and read floats.
 */
static bool
stands_alone(const struct sites *p, const struct node *n)
{
    const struct node *before = graph_producer(p->g, n->in[0]);

    if (n->op != OP_RELU && n->op != OP_CLIP && n->op != OP_LEAKY_RELU)
        return false;
    return before == NULL || !takes_activation(before) ||
           activation_behind(p, n->in[0]) != n;
}

/* Could n work on integers, as far as n itself can tell? */
static bool
candidate(const struct sites *p, const struct node *n)
{
    switch (n->dead ? ROLE_FLOAT : role_of(n)) {
    case ROLE_FLOAT:
        return false;
    case ROLE_ACTIVATION:
        return stands_alone(p, n);
    case ROLE_BINARY: /* of two tensors: the Mul of a swish has but one */
        return operand(p, n) < 0 && swish_behind(p, n->in[0]) != n &&
               swish_behind(p, n->in[1]) != n;
    default:
        return true;
    }
}

/* Can what makes v write integers, its neighbours being as they are? */
static bool
writes_int8(const struct sites *p, int v)
{
    const struct node *direct = graph_producer(p->g, v), *n;

    if (direct == NULL)
        return true; /* an input of the model: quantized where it comes in */
    if (p->int8[direct - p->g->nodes.at])
        return true;
    n = maker(p, v); /* with activations joined to it */
    return n != NULL && p->int8[n - p->g->nodes.at] && takes_activation(n);
}

/*
 * The operand of residual Add n that its maker adds up before it writes: that
 * of the layer which runs last and which nobody else reads; -1 without one.
 */
static int
joined_operand(const struct sites *p, const struct node *n)
{
    int best = -1;
    long last = -1;

    for (int k = 0; n->op == OP_ADD && k < 2; k++) {
        const struct node *m = maker(p, n->in[k]);
        long at = m == NULL ? -1 : m - p->g->nodes.at;

        if (m != NULL && role_of(m) == ROLE_LAYER && p->int8[at] &&
            p->n_uses[n->in[k]] == 1 && at > last) {
            best = k;
            last = at;
        }
    }
    return best;
}

/* May node n, all of whose surroundings are as they are, use integers? */
static bool
can_stay(const struct sites *p, const struct node *n)
{
    int joined = joined_operand(p, n);

    if (role_of(n) == ROLE_LAYER)
        return true;
    for (int k = 0; k < n_activations(n); k++)
        if (k != joined && (n->in[k] < 0 || !p->quantized[n->in[k]]))
            return false;
    if (role_of(n) == ROLE_BINARY)
        return p->quantized[sites_result(p, n)];
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0 && p->n_uses[n->out[k]] > 0 &&
            !p->quantized[n->out[k]])
            return false;
    return true;
}

/* Does node n want integers at input k? */
enum want { WANT_NOTHING, WANT_FLOAT, WANT_PASS, WANT_INT8 };

static enum want
wants(const struct sites *p, const struct node *n, int k)
{
    if (!p->int8[n - p->g->nodes.at])
        return WANT_FLOAT;
    if (role_of(n) == ROLE_LAYER)
        return k == 0 ? WANT_INT8 : WANT_FLOAT;
    if (k >= n_activations(n) || joined_operand(p, n) == k)
        return WANT_FLOAT;
    return WANT_PASS;
}

static void
choose_tensors(struct sites *p)
{
    const struct graph *g = p->g;
    enum want *least = mem_new(g->values.n + 1, sizeof *least);
    bool *needed = mem_new(g->values.n + 1, sizeof *needed);

    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        for (int k = 0; reads_numbers(n) && k < n->n_in; k++) {
            enum want w = wants(p, n, k);
            int v = n->in[k];

            if (v < 0)
                continue;
            needed[v] |= w == WANT_INT8;
            if (least[v] == WANT_NOTHING || w < least[v])
                least[v] = w;
        }
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        least[g->outputs.at[i]] = WANT_FLOAT;
    for (size_t v = 0; v < g->values.n; v++)
        p->quantized[v] =
            g->values.at[v].data == NULL &&
            (needed[v] || (least[v] >= WANT_PASS && writes_int8(p, (int)v)));
    mem_free(needed);
    mem_free(least);
}

int
sites_group(const struct sites *p, int id)
{
    while (p->group[id] != id)
        id = p->group[id];
    return id;
}

static void
join(struct sites *p, int a, int b)
{
    a = sites_group(p, a);
    b = sites_group(p, b);
    p->group[a < b ? b : a] = a < b ? a : b;
}

static void
choose_groups(struct sites *p)
{
    const struct graph *g = p->g;

    for (size_t v = 0; v < g->values.n; v++)
        p->group[v] = (int)v;
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        if (n->dead || !p->int8[i] || role_of(n) != ROLE_MOVE)
            continue;
        for (int k = 1; k < n_activations(n); k++)
            join(p, n->in[0], n->in[k]);
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0 && p->quantized[n->out[k]])
                join(p, n->in[0], n->out[k]);
    }
}

/*
 * The largest set of nodes on integers that agrees with itself: begin with
 * all that might be, take out those whose surroundings don't allow it, until
 * nothing changes.
 */
void
sites_solve(struct sites *p)
{
    bool changed = true;

    while (changed) {
        changed = false;
        choose_tensors(p);
        for (size_t i = 0; i < p->g->nodes.n; i++)
            if (p->int8[i] && !can_stay(p, &p->g->nodes.at[i])) {
                p->int8[i] = false;
                changed = true;
            }
    }
    choose_groups(p);
}

static void
count_uses(struct sites *p)
{
    const struct graph *g = p->g;

    p->n_uses = mem_new(g->values.n + 1, sizeof *p->n_uses);
    p->reader = mem_new(g->values.n + 1, sizeof *p->reader);
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        for (int k = 0; reads_numbers(n) && k < n->n_in; k++) {
            int v = n->in[k];

            if (v < 0)
                continue;
            if (p->n_uses[v] < 2)
                p->reader[v][p->n_uses[v]] = (int)i;
            p->n_uses[v]++;
        }
    }
    for (size_t i = 0; i < g->outputs.n; i++) {
        int v = g->outputs.at[i];

        if (p->n_uses[v] < 2)
            p->reader[v][p->n_uses[v]] = -1;
        p->n_uses[v]++;
    }
}

void
sites_init(struct sites *p, const struct graph *g,
           const struct quant_options *o)
{
    p->g = g;
    p->int8 = mem_new(g->nodes.n + 1, sizeof *p->int8);
    p->reason = mem_new(g->nodes.n + 1, sizeof *p->reason);
    p->quantized = mem_new(g->values.n + 1, sizeof *p->quantized);
    p->group = mem_new(g->values.n + 1, sizeof *p->group);
    count_uses(p);
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        if (sites_is_layer(n))
            p->reason[i] = unfit(g, n);
        if (sites_excluded(o, n->name))
            p->reason[i] = "excluded";
        p->int8[i] = p->reason[i] == NULL && candidate(p, n);
    }
    sites_solve(p);
}

void
sites_free(struct sites *p)
{
    mem_free(p->int8);
    mem_free(p->reason);
    mem_free(p->quantized);
    mem_free(p->group);
    mem_free(p->n_uses);
    mem_free(p->reader);
}

bool
sites_floats_follow(const struct sites *p, int id)
{
    return writes_int8(p, id);
}

int
sites_nothing(const struct sites *p, const struct quant_options *o,
              struct err *e)
{
    for (size_t i = 0; i < p->g->nodes.n; i++)
        if (sites_is_layer(&p->g->nodes.at[i]) &&
            is_dequantized(p->g, p->g->nodes.at[i].in[1]))
            return err_set(e, ERR_UNSUPPORTED,
                           "nothing to quantize: the model is quantized "
                           "already (node %s)",
                           p->g->nodes.at[i].name);
    return err_set(e, ERR_UNSUPPORTED,
                   "nothing to quantize: no Conv, Gemm or MatMul with constant "
                   "float32 weights%s",
                   o->n_exclude > 0 ? " is left (see exclude)" : "");
}
