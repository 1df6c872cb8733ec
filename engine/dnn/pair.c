/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/pair.h"

#include <math.h>
#include <string.h>

#include "engine/dnn/prim.h"

static int32_t
zero_at(const struct value *v, size_t i)
{
    switch (v->dtype) {
    case DTYPE_UINT8:
        return ((const uint8_t *)v->data)[i];
    case DTYPE_INT8:
        return ((const int8_t *)v->data)[i];
    default:
        return ((const int32_t *)v->data)[i];
    }
}

static bool
readable(const struct value *s, const struct value *z)
{
    if (s == NULL || s->data == NULL || s->dtype != DTYPE_FLOAT ||
        s->shape.rank > 1)
        return false;
    if (z == NULL)
        return true;
    return z->data != NULL && shape_n(&z->shape) == shape_n(&s->shape) &&
           (dtype_is_8bit(z->dtype) || z->dtype == DTYPE_INT32);
}

const struct qparam *
pair_qparam(struct graph *g, const struct node *n)
{
    const struct value *s = node_in(g, n, 1), *z = node_in(g, n, 2);
    int rank = node_in(g, n, 0)->shape.rank, axis = -1;
    struct qparam *q;
    float *scale;
    int32_t *zero;
    size_t count;
    struct err e;

    if (!readable(s, z) || attr_int(n, "block_size", 0) != 0)
        return NULL;
    count = shape_n(&s->shape);
    if (count != 1 &&
        (shape_axis(attr_int(n, "axis", 1), rank, &axis, &e) != 0 ||
         node_in(g, n, 0)->shape.dim[axis] != (int64_t)count))
        return NULL;
    q = arena_new_in(g->arena, 1, sizeof *q);
    scale = arena_try(g->arena, count, sizeof *scale);
    zero = arena_try(g->arena, count, sizeof *zero);
    if (scale == NULL || zero == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        scale[i] = ((const float *)s->data)[i];
        zero[i] = z == NULL ? 0 : zero_at(z, i);
        if (!isfinite(scale[i]) || scale[i] <= 0)
            return NULL;
    }
    *q = (struct qparam){axis, (int)count, scale, zero};
    return q;
}

struct node *
pair_dequantize(struct graph *g, int id)
{
    struct node *d = graph_producer(g, id);

    if (d == NULL || d->op != OP_DEQUANTIZE_LINEAR ||
        node_out(g, d, 0)->dtype != DTYPE_FLOAT)
        return NULL;
    return dtype_is_8bit(node_in(g, d, 0)->dtype) ||
                   node_in(g, d, 0)->dtype == DTYPE_INT32
               ? d
               : NULL;
}

struct node *
pair_quantize(struct graph *g, int id)
{
    struct node *q;

    graph_uses(g, id, &q);
    return q != NULL && q->op == OP_QUANTIZE_LINEAR && q->in[0] == id &&
                   dtype_is_8bit(node_out(g, q, 0)->dtype)
               ? q
               : NULL;
}

bool
pair_same(const struct qparam *a, const struct qparam *b)
{
    return a->n == b->n && a->axis == b->axis &&
           memcmp(a->scale, b->scale, (size_t)a->n * sizeof *a->scale) == 0 &&
           memcmp(a->zero, b->zero, (size_t)a->n * sizeof *a->zero) == 0;
}

/* --- one Q for each scale ------------------------------------------------ */

static bool
says_the_same(struct graph *g, const struct node *a, const struct node *b)
{
    const struct qparam *p, *q;

    if (b->dead || b->op != OP_QUANTIZE_LINEAR || a->in[0] != b->in[0] ||
        node_out(g, a, 0)->dtype != node_out(g, b, 0)->dtype ||
        graph_is_output(g, b->out[0]))
        return false;
    p = pair_qparam(g, a);
    q = pair_qparam(g, b);
    return p != NULL && q != NULL && pair_same(p, q);
}

void
pair_merge(struct graph *g)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *a = &g->nodes.at[i];

        if (a->dead || a->op != OP_QUANTIZE_LINEAR)
            continue;
        for (size_t k = i + 1; k < g->nodes.n; k++) {
            struct node *b = &g->nodes.at[k];

            if (b->op != OP_QUANTIZE_LINEAR || !says_the_same(g, a, b))
                continue;
            graph_replace_uses(g, b->out[0], a->out[0]);
            graph_kill_node(g, b);
        }
    }
}

/* --- moving integers ----------------------------------------------------- */

/* Elements of input 0 go elsewhere, and nothing else comes out. */
static bool
only_moves(const struct graph *g, const struct node *n)
{
    switch (n->op) {
    case OP_DEPTH_TO_SPACE:
    case OP_EXPAND:
    case OP_FLATTEN:
    case OP_GATHER:
    case OP_IDENTITY:
    case OP_RESHAPE:
    case OP_SLICE:
    case OP_SPACE_TO_DEPTH:
    case OP_SPLIT:
    case OP_SQUEEZE:
    case OP_TILE:
    case OP_TRANSPOSE:
    case OP_UNSQUEEZE:
    case OP_GLOBAL_MAX_POOL:
        return true;
    case OP_MAX_POOL: /* scales are positive: the order stays */
        return n->n_out < 2 || n->out[1] < 0;
    case OP_RESIZE:
        return strcmp(attr_string(n, "mode", "nearest"), "nearest") == 0 &&
               strcmp(attr_string(n, "coordinate_transformation_mode", ""),
                      "tf_crop_and_resize") != 0;
    case OP_PAD:  /* with what stands for 0 */
    case OP_RELU: /* at least that */
    case OP_CONCAT:
        return n->n_posts == 0;
    default:
        (void)g;
        return false;
    }
}

/*
 * Pad's value as an integer: a new constant, or -1 when q has no integer that
 * stands for it exactly.
 */
static int
pad_value(struct graph *g, const struct node *n, enum dtype t,
          const struct qparam *q)
{
    const struct value *v = node_in(g, n, 2);
    float real = 0;
    int32_t byte;
    uint8_t bits;

    if (v != NULL &&
        (v->data == NULL || v->dtype != DTYPE_FLOAT || shape_n(&v->shape) != 1))
        return -1;
    if (v != NULL)
        real = *(const float *)v->data;
    byte = q->zero[0] +
           (int32_t)fminf(fmaxf(rintf(real / q->scale[0]), -512), 512);
    if ((float)(byte - q->zero[0]) * q->scale[0] != real ||
        byte < (t == DTYPE_INT8 ? -128 : 0) ||
        byte > (t == DTYPE_INT8 ? 127 : 255))
        return -1;
    bits = (uint8_t)byte;
    return graph_add_const(g, NULL, t, &(struct shape){.rank = 0}, &bits);
}

/* The one scale that all dequantized inputs of Concat n have, or NULL; what
 * the first input has for the others. */
static const struct qparam *
common_scale(struct graph *g, const struct node *n, enum dtype *t)
{
    const struct qparam *first = NULL;

    for (int i = 0; i < (n->op == OP_CONCAT ? n->n_in : 1); i++) {
        const struct node *d = pair_dequantize(g, n->in[i]);
        const struct qparam *q = d == NULL ? NULL : pair_qparam(g, d);

        if (q == NULL || q->n != 1 || !dtype_is_8bit(node_in(g, d, 0)->dtype))
            return NULL;
        if (first == NULL) {
            first = q;
            *t = node_in(g, d, 0)->dtype;
        }
        if (!pair_same(first, q) || node_in(g, d, 0)->dtype != *t)
            return NULL;
    }
    return first;
}

/* Puts a DQ behind output k of node `at`; returns where it now stands. */
static void
dequantize_output(struct graph *g, size_t at, int k, enum dtype t,
                  const struct node *like)
{
    int real = g->nodes.at[at].out[k];
    int in[3] = {-1, like->in[1], like->n_in > 2 ? like->in[2] : -1};

    if (real < 0)
        return;
    in[0] = graph_add_value(g, NULL, t, &g->values.at[real].shape);
    g->nodes.at[at].out[k] = in[0];
    g->values.at[in[0]].producer = (int)at;
    graph_insert_node(g, at + 1, OP_DEQUANTIZE_LINEAR, g->values.at[real].name,
                      in, like->n_in > 2 ? 3 : 2, &real, 1);
}

/* Relu of integers: none is less than the one that stands for 0. */
static bool
clip_integers(struct graph *g, struct node *n, enum dtype t,
              const struct qparam *q)
{
    const uint8_t zero = (uint8_t)q->zero[0];
    int low;

    if (pair_quantize(g, n->out[0]) != NULL) /* one step with that */
        return false;
    low = graph_add_const(g, NULL, t, &(struct shape){.rank = 0}, &zero);
    if (low < 0)
        return false;
    n->op = OP_CLIP;
    n->n_own = graph_append_input(g, n, low) + 1;
    return true;
}

static bool
sink_one(struct graph *g, size_t at)
{
    struct node *n = &g->nodes.at[at];
    struct node like;
    enum dtype t = DTYPE_NONE;
    const struct qparam *q = common_scale(g, n, &t);
    int value = -1;

    if (q == NULL)
        return false;
    like = *pair_dequantize(g, n->in[0]);
    /* A constant that is moved once at load is better folded as floats; rows
     * that are picked by an index are not. */
    if (node_in(g, &like, 0)->data != NULL && n->op != OP_GATHER)
        return false;
    if (n->op == OP_RELU && !clip_integers(g, n, t, q))
        return false;
    if (n->op == OP_PAD) {
        value = pad_value(g, n, t, q);
        if (value < 0)
            return false;
        n = &g->nodes.at[at];
        while (n->n_in < 3)
            graph_append_input(g, n, -1);
        n->n_own = n->n_in;
        n->in[2] = value;
    }
    for (int i = 0; i < (n->op == OP_CONCAT ? n->n_in : 1); i++)
        n->in[i] = pair_dequantize(g, n->in[i])->in[0];
    for (int k = 0; k < g->nodes.at[at].n_out; k++)
        dequantize_output(g, at, k, t, &like);
    return true;
}

void
pair_sink(struct graph *g)
{
    /* In run order, so that a DQ goes on behind the next one. */
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead && only_moves(g, &g->nodes.at[i]))
            sink_one(g, i);
    graph_sweep(g);
}

/* --- second factors ------------------------------------------------------ */

/* The DQ of node n's second factor, when that is computed uint8 with one scale
 * and the first is quantized as well. */
static const struct node *
unsigned_factor(struct graph *g, const struct node *n)
{
    const struct node *d;

    if (n->dead || n->op != OP_MATMUL || pair_dequantize(g, n->in[0]) == NULL ||
        (d = pair_dequantize(g, n->in[1])) == NULL ||
        node_in(g, d, 0)->dtype != DTYPE_UINT8 ||
        node_in(g, d, 0)->data != NULL)
        return NULL;
    return d;
}

/* Puts the shift and a DQ of its own before node `at`. */
static int
shift_factor(struct graph *g, size_t at, const struct node *d,
             const struct qparam *q, struct err *e)
{
    const struct shape s = node_in(g, d, 0)->shape, one = {.rank = 0};
    const int8_t zero = (int8_t)(q->zero[0] - 128);
    int bytes = d->in[0], in[3] = {-1, d->in[1], -1}, real;
    struct qparam *to = arena_new_in(g->arena, 1, sizeof *to);
    int32_t *shifted = arena_new_in(g->arena, 1, sizeof *shifted);
    const char *name = g->nodes.at[at].name;
    struct node *n;

    *shifted = zero;
    *to = (struct qparam){-1, 1, q->scale, shifted};
    in[0] = graph_add_value(g, NULL, DTYPE_INT8, &s);
    real = graph_add_value(g, NULL, DTYPE_FLOAT, &s);
    in[2] = graph_add_const(g, NULL, DTYPE_INT8, &one, &zero);
    if (in[2] < 0)
        return err_set(e, ERR_NO_MEMORY, "node %s: zero point", name);
    n = graph_insert_node(g, at, OP_IDENTITY, name, &bytes, 1, in, 1);
    node_set_in_q(g, n, 0, q);
    n->out_q = to;
    graph_insert_node(g, at + 1, OP_DEQUANTIZE_LINEAR, name, in, 3, &real, 1);
    g->nodes.at[at + 2].in[1] = real;
    return 0;
}

int
pair_signed(struct graph *g, struct err *e)
{
    if (!prim_has_vnni()) /* two activations saturate then */
        return 0;
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *d = unsigned_factor(g, &g->nodes.at[i]);
        const struct qparam *q = d == NULL ? NULL : pair_qparam(g, d);
        int rc;

        if (q == NULL || q->n != 1)
            continue;
        rc = shift_factor(g, i, d, q, e);
        if (rc != 0)
            return rc;
        i += 2;
    }
    graph_sweep(g);
    return 0;
}

/* --- DQ -> Q ------------------------------------------------------------- */

void
pair_cancel(struct graph *g)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *q = &g->nodes.at[i], *d;
        const struct qparam *from, *to;

        if (q->dead || q->op != OP_QUANTIZE_LINEAR ||
            !dtype_is_8bit(node_out(g, q, 0)->dtype) ||
            (d = pair_dequantize(g, q->in[0])) == NULL ||
            node_in(g, d, 0)->data != NULL ||
            !dtype_is_8bit(node_in(g, d, 0)->dtype))
            continue;
        from = pair_qparam(g, d);
        to = pair_qparam(g, q);
        if (from == NULL || to == NULL || from->n != 1 || to->n != 1)
            continue;
        if (pair_same(from, to) &&
            node_in(g, d, 0)->dtype == node_out(g, q, 0)->dtype &&
            !graph_is_output(g, q->out[0])) {
            graph_replace_uses(g, q->out[0], d->in[0]);
            graph_kill_node(g, q);
            continue;
        }
        q->op = OP_IDENTITY;
        q->in[0] = d->in[0];
        q->n_in = q->n_own = 1;
        q->in_q = NULL;
        node_set_in_q(g, q, 0, from);
        q->out_q = to;
    }
    graph_sweep(g);
}
