/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DQ -> operator -> Q becomes one node that reads and writes integers.
 *
 * Each candidate is rewritten on trial, in the fullest form first (integer
 * output, integer residual), and kept when a kernel of this room says that it
 * fits; otherwise it is put back, and node.note says why.  What is left of
 * Q and DQ runs as plain nodes, so a graph that this file does not understand
 * is slower, never wrong.
 */
#include <stdio.h>
#include <string.h>

#include "engine/dnn/call.h"
#include "engine/dnn/dnn.h"
#include "engine/dnn/eltwise.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/pair.h"
#include "engine/dnn/row.h"

static bool
fits(const struct graph *g, const struct node *n)
{
    for (size_t i = 0; dnn_kernels[i] != NULL; i++)
        if (dnn_kernels[i]->op == n->op && dnn_kernels[i]->fits(g, n))
            return true;
    return false;
}

/* What kind of node it is decides which of its tensors have to be integers. */
enum kind {
    KIND_NONE,
    KIND_PRODUCT, /* Conv, MatMul: both factors; the rest as it comes */
    KIND_BINARY,
    KIND_UNARY,  /* and on: a chain of them */
    KIND_POOL,   /* average */
    KIND_CONCAT, /* all inputs and the output */
};

static enum kind
kind_of(const struct node *n)
{
    switch (n->op) {
    case OP_CONV:
    case OP_CONV_TRANSPOSE:
    case OP_GEMM:
    case OP_MATMUL:
        return KIND_PRODUCT;
    case OP_ADD:
    case OP_DIV:
    case OP_MAX:
    case OP_MIN:
    case OP_MUL:
    case OP_SUB:
        return KIND_BINARY;
    case OP_AVERAGE_POOL:
    case OP_GLOBAL_AVERAGE_POOL:
        return KIND_POOL;
    case OP_CONCAT:
        return KIND_CONCAT;
    case OP_ABS:
    case OP_CLIP:
    case OP_ELU:
    case OP_ERF:
    case OP_EXP:
    case OP_GELU:
    case OP_HARD_SIGMOID:
    case OP_HARD_SWISH:
    case OP_LEAKY_RELU:
    case OP_LOG:
    case OP_MISH:
    case OP_NEG:
    case OP_RECIPROCAL:
    case OP_RELU:
    case OP_SIGMOID:
    case OP_SOFTPLUS:
    case OP_SQRT:
    case OP_SWISH:
    case OP_TANH:
        return KIND_UNARY;
    default:
        return KIND_NONE;
    }
}

/* --- trial and rollback -------------------------------------------------- */

struct trial {
    struct graph *g;
    size_t at;
    struct node old;
    int absorbed[NODE_MAX_POSTS]; /* nodes whose work became posts */
    int n_absorbed;
    int quantize; /* the Q that was joined, or -1 */
};

static struct node *
begin(struct trial *t, struct graph *g, size_t at)
{
    struct node *n = &g->nodes.at[at];

    *t = (struct trial){.g = g, .at = at, .old = *n, .quantize = -1};
    n->in = arena_new_in(g->arena, (size_t)n->n_in, sizeof *n->in);
    memcpy(n->in, t->old.in, (size_t)n->n_in * sizeof *n->in);
    n->out = arena_new_in(g->arena, (size_t)n->n_out, sizeof *n->out);
    memcpy(n->out, t->old.out, (size_t)n->n_out * sizeof *n->out);
    n->in_q = NULL;
    n->out_q = NULL;
    return n;
}

static void
rollback(struct trial *t)
{
    t->g->nodes.at[t->at] = t->old;
}

static void
commit(struct trial *t)
{
    struct graph *g = t->g;

    for (int i = 0; i < t->n_absorbed; i++)
        graph_kill_node(g, &g->nodes.at[t->absorbed[i]]);
    if (t->quantize >= 0)
        graph_kill_node(g, &g->nodes.at[t->quantize]);
    g->values.at[g->nodes.at[t->at].out[0]].producer = (int)t->at;
}

/* Input i reads the integers before its DQ; false when it has none. */
static bool
take_input(struct trial *t, int i)
{
    struct node *n = &t->g->nodes.at[t->at];
    const struct node *d = pair_dequantize(t->g, n->in[i]);
    const struct qparam *q = d == NULL ? NULL : pair_qparam(t->g, d);

    if (q == NULL)
        return false;
    n->in[i] = d->in[0];
    node_set_in_q(t->g, n, i, q);
    return true;
}

/* Activations behind the node become posts, as long as each is read by the
 * next one alone. */
static void
absorb(struct trial *t, bool (*can)(enum op op))
{
    struct graph *g = t->g;
    struct node *n = &g->nodes.at[t->at];

    while (n->n_posts < NODE_MAX_POSTS) {
        struct node *next;
        struct post p;

        graph_uses(g, n->out[0], &next);
        if (next == NULL || kind_of(next) != KIND_UNARY ||
            next->in[0] != n->out[0] || !can(next->op) ||
            !eltwise_post(g, next, &p))
            return;
        n->posts[n->n_posts++] = p;
        n->out[0] = next->out[0];
        t->absorbed[t->n_absorbed++] = (int)(next - g->nodes.at);
    }
}

/* The output becomes that of the Q behind it; false when there is none. */
static bool
take_output(struct trial *t)
{
    struct graph *g = t->g;
    struct node *n = &g->nodes.at[t->at];
    struct node *q = pair_quantize(g, n->out[0]);
    const struct qparam *p = q == NULL ? NULL : pair_qparam(g, q);

    if (p == NULL || p->n != 1)
        return false;
    n->out[0] = q->out[0];
    n->out_q = p;
    t->quantize = (int)(q - g->nodes.at);
    return true;
}

/* --- the kinds ----------------------------------------------------------- */

/* As much as can be of: integer output, integer operands of posts. */
static bool
try_product(struct graph *g, size_t at, bool output, bool operands)
{
    struct trial t;
    struct node *n = begin(&t, g, at);
    bool ok = take_input(&t, 0) && take_input(&t, 1);

    if (ok && n->n_own > 2)
        take_input(&t, 2);
    for (int i = n->n_own; ok && operands && i < n->n_in; i++)
        take_input(&t, i);
    if (ok && output)
        ok = take_output(&t);
    if (ok && fits(g, n)) {
        commit(&t);
        return true;
    }
    rollback(&t);
    return false;
}

/* Integer weights alone: rows of the other factor get a scale at run time. */
static bool
try_dynamic(struct graph *g, size_t at)
{
    const char *how = graph_meta(g, META_DYNAMIC);
    struct trial t;
    struct node *n = begin(&t, g, at);

    if ((n->op == OP_MATMUL || n->op == OP_GEMM) && how != NULL &&
        strcmp(how, "row") == 0 && pair_dequantize(g, n->in[0]) == NULL &&
        take_input(&t, 1) && fits(g, n)) {
        commit(&t);
        return true;
    }
    rollback(&t);
    return false;
}

static bool
join_product(struct graph *g, size_t at)
{
    return try_product(g, at, true, true) || try_product(g, at, true, false) ||
           try_product(g, at, false, true) ||
           try_product(g, at, false, false) || try_dynamic(g, at);
}

static bool
any_unary(enum op op)
{
    (void)op;
    return true;
}

/* Inputs as integers, all of them or some; then the rest of the chain. */
static bool
try_other(struct graph *g, size_t at, enum kind kind, bool output)
{
    struct trial t;
    struct node *n = begin(&t, g, at);
    int taken = 0, n_inputs = kind == KIND_UNARY ? 1 : n->n_in;
    bool ok;

    for (int i = 0; i < n_inputs; i++)
        taken += take_input(&t, i);
    if (output && kind == KIND_BINARY)
        absorb(&t, row_has_post);
    if (output && kind == KIND_UNARY)
        absorb(&t, any_unary);
    ok = taken > 0 && (kind != KIND_CONCAT || taken == n_inputs);
    if (ok && output)
        ok = take_output(&t);
    if (ok && fits(g, n)) {
        commit(&t);
        return true;
    }
    rollback(&t);
    return false;
}

static bool
join(struct graph *g, size_t at, enum kind kind)
{
    if (kind == KIND_PRODUCT)
        return join_product(g, at);
    return try_other(g, at, kind, true) ||
           (kind != KIND_UNARY && kind != KIND_CONCAT &&
            try_other(g, at, kind, false));
}

/* --- notes --------------------------------------------------------------- */

static bool
is_quantized(struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && pair_dequantize(g, n->in[i]) != NULL)
            return true;
    return false;
}

/* Why product n, some of whose inputs are quantized, was not joined. */
static const char *
why_not(struct graph *g, size_t at)
{
    struct trial t;
    struct node *n = begin(&t, g, at);
    const char *why = NULL;
    struct err e;

    if (!take_input(&t, 0))
        why = "the input is not quantized";
    else if (!take_input(&t, 1))
        why = "the weights are not quantized";
    else if ((n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE
                  ? dnn_conv_probe(g, n, &e)
                  : dnn_matmul_probe(g, n, &e)) != 0)
        why = arena_strndup(g->arena, e.msg, strlen(e.msg));
    rollback(&t);
    return why;
}

/* A factor is quantized to more bits than the kernels have. */
static bool
is_wide(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < 2; i++) {
        const struct node *d = graph_producer(g, n->in[i]);

        if (d != NULL && d->op == OP_DEQUANTIZE_LINEAR &&
            dtype_size(node_in(g, d, 0)->dtype) == 2)
            return true;
    }
    return false;
}

static void
explain(struct graph *g, size_t at, enum kind kind)
{
    struct node *n = &g->nodes.at[at];
    const char *why;

    if (n->note == NULL && kind == KIND_PRODUCT && is_wide(g, n)) {
        n->note = "16 bits are computed in float32";
        return;
    }
    if (n->note != NULL || !is_quantized(g, n))
        return;
    if (kind == KIND_PRODUCT) {
        why = why_not(g, at);
        g->nodes.at[at].note = why;
        return;
    }
    if (pair_quantize(g, n->out[0]) != NULL)
        n->note = "no kernel computes it on these integers";
}

/* The same of a product whose scale is found at run time. */
static void
explain_scaled(const struct graph *g, struct node *n)
{
    const struct kernel *k =
        n->op == OP_CONV_SCALED ? &dnn_conv_scaled : &dnn_matmul_scaled;

    if (n->note == NULL && !k->fits(g, n))
        n->note = prim_has_vnni()
                      ? "no kernel computes it on these integers"
                      : "8-bit weights saturate on a CPU without VNNI";
}

/* --- constants ----------------------------------------------------------- */

struct floats {
    const struct value *x;
    const struct qparam *q;
};

static int
make_floats(void *dst, void *arg, struct err *e)
{
    const struct floats *f = arg;
    const struct shape *s = &f->x->shape;
    int axis = f->q->n == 1 ? 0 : f->q->axis;
    int64_t inner =
        f->q->n == 1 ? (int64_t)shape_n(s) : shape_span(s, axis + 1, s->rank);
    int64_t runs = inner == 0 ? 0 : (int64_t)shape_n(s) / inner;
    const char *x = f->x->data;
    float *y = dst;

    (void)e;
    for (int64_t i = 0; i < runs; i++) {
        int k = (int)(i % f->q->n);

        row_load(y + i * inner,
                 x + (size_t)(i * inner) * dtype_size(f->x->dtype), f->x->dtype,
                 inner, f->q->scale[k], f->q->zero[k]);
    }
    return 0;
}

/* A DQ of a constant that nobody took as integers is computed now, once. */
static int
fold_constant(struct graph *g, struct node *n, struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct value *y = node_out(g, n, 0);
    struct floats f = {x, NULL};
    size_t count = shape_n(&x->shape);
    struct {
        char tag[16];
        const void *at;
        uint64_t hash[3];
    } key = {.tag = "dequantized", .at = x->data};

    if (pair_dequantize(g, n->out[0]) != n || count == 0 ||
        graph_is_output(g, n->out[0]) || (f.q = pair_qparam(g, n)) == NULL)
        return 0;
    key.hash[0] = call_hash(x->data, count * dtype_size(x->dtype));
    key.hash[1] = call_hash(f.q->scale, (size_t)f.q->n * sizeof(float));
    key.hash[2] = call_hash(f.q->zero, (size_t)f.q->n * sizeof(int32_t)) +
                  (uint64_t)f.q->axis;
    y->data = weights_get(w, &key, sizeof key, count * sizeof(float),
                          make_floats, &f, e);
    if (y->data == NULL)
        return e->code;
    graph_kill_node(g, n);
    return 0;
}

int
dnn_join(struct graph *g, struct weights *w, struct err *e)
{
    int rc;

    pair_merge(g);
    pair_sink(g);
    pair_cancel(g);
    rc = pair_signed(g, e);
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];
        enum kind kind = n->dead ? KIND_NONE : kind_of(n);

        if (!n->dead && (n->op == OP_CONV_SCALED || n->op == OP_MATMUL_SCALED))
            explain_scaled(g, n);
        if (kind == KIND_NONE || node_out(g, n, 0)->dtype != DTYPE_FLOAT)
            continue;
        if (!join(g, i, kind))
            explain(g, i, kind);
    }
    graph_sweep(g);
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead && g->nodes.at[i].op == OP_DEQUANTIZE_LINEAR &&
            node_in(g, &g->nodes.at[i], 0)->data != NULL)
            rc = fold_constant(g, &g->nodes.at[i], w, e);
    return rc;
}
