/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of one value with several int8 weights, as attention makes q, k and
 * v, become one product and a Split: where activations are quantized in the
 * run, that is done once instead of three times.
 *
 *     MatMul(x, DQ(w)) -> Add(b) -> Reshape, several times, becomes
 *     MatMul(x, DQ([w w w])) -> Add([b b b]) -> Split -> Reshape
 *
 * The Reshape says that heads are made, whose kernel reads through the Split.
 * Float products gain nothing from it (measured: within 1 % at 1 to 1024 rows
 * of 768 by 768), nor those whose results are quantized, each by its scale:
 * they stay.
 */
#include <string.h>

#include "engine/pass/pass.h"

enum { MAX_BRANCHES = 8 };

struct branch {
    size_t product, add; /* nodes */
    int w, scale, zero, bias;
    int64_t n; /* columns */
};

struct merge {
    int x, n;
    int64_t k, columns;
    struct branch at[MAX_BRANCHES];
};

static bool
is_vector(const struct graph *g, int id, enum dtype t, int64_t n)
{
    const struct value *v = id < 0 ? NULL : graph_value(g, id);

    return v != NULL && v->data != NULL && v->dtype == t &&
           v->shape.rank == 1 && v->shape.dim[0] == n;
}

/* DequantizeLinear of constant [K,N] bytes with a scale for each column. */
static bool
weights(const struct graph *g, int id, struct branch *b, int64_t *k)
{
    const struct node *d = graph_producer(g, id);
    const struct value *w;
    int64_t axis;

    if (d == NULL || d->op != OP_DEQUANTIZE_LINEAR ||
        attr_int(d, "block_size", 0) != 0)
        return false;
    w = node_in(g, d, 0);
    axis = attr_int(d, "axis", 1);
    if (w->data == NULL || !dtype_is_8bit(w->dtype) || w->shape.rank != 2 ||
        (axis != 1 && axis != -1))
        return false;
    *k = w->shape.dim[0];
    b->n = w->shape.dim[1];
    b->w = d->in[0];
    b->scale = d->in[1];
    b->zero = d->n_in > 2 ? d->in[2] : -1;
    return is_vector(g, b->scale, DTYPE_FLOAT, b->n) &&
           (b->zero < 0 || is_vector(g, b->zero, w->dtype, b->n));
}

/* Value id is reshaped, and nothing else but its shape is asked for. */
static bool
becomes_heads(const struct graph *g, int id)
{
    bool reshaped = false;

    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        for (int k = 0; !n->dead && k < n->n_in; k++) {
            if (n->in[k] != id || n->op == OP_SHAPE)
                continue;
            if (n->op != OP_RESHAPE)
                return false;
            reshaped = true;
        }
    }
    return reshaped && !graph_is_output(g, id);
}

/* The branch that begins with product n, if it is one. */
static bool
branch(const struct graph *g, const struct node *n, struct branch *b,
       int64_t *k)
{
    const struct node *add;
    int side;

    if (n->dead || n->op != OP_MATMUL || n->n_posts > 0 ||
        !weights(g, n->in[1], b, k) || (add = pass_reader(g, n)) == NULL ||
        add->op != OP_ADD || add->n_posts > 0)
        return false;
    side = add->in[0] == n->out[0];
    b->bias = add->in[side];
    b->product = (size_t)(n - g->nodes.at);
    b->add = (size_t)(add - g->nodes.at);
    return is_vector(g, b->bias, DTYPE_FLOAT, b->n) &&
           becomes_heads(g, add->out[0]);
}

/* All branches of the value that the product at `first` reads. */
static void
gather(const struct graph *g, size_t first, struct merge *m)
{
    *m = (struct merge){.x = g->nodes.at[first].in[0]};
    for (size_t i = first; i < g->nodes.n && m->n < MAX_BRANCHES; i++) {
        struct branch *b = &m->at[m->n];
        int64_t k;

        if (g->nodes.at[i].dead || g->nodes.at[i].op != OP_MATMUL ||
            g->nodes.at[i].in[0] != m->x || !branch(g, &g->nodes.at[i], b, &k))
            continue;
        if (m->n > 0 &&
            (k != m->k ||
             graph_value(g, b->w)->dtype != graph_value(g, m->at[0].w)->dtype ||
             (b->zero < 0) != (m->at[0].zero < 0)))
            continue;
        m->k = k;
        m->columns += b->n;
        m->n++;
    }
}

/* Constants of `rows` rows, side by side; which: their ids. */
static int
join(struct graph *g, const struct merge *m, const int *which, int64_t rows)
{
    const enum dtype t = graph_value(g, which[0])->dtype;
    const size_t size = dtype_size(t);
    struct shape s = graph_value(g, which[0])->shape.rank == 2
                         ? SHAPE(rows, m->columns)
                         : SHAPE(m->columns);
    char *to = graph_const_bytes(g, (size_t)(rows * m->columns) * size);
    size_t at = 0;
    int id;

    if (to == NULL)
        return -1;
    for (int64_t r = 0; r < rows; r++)
        for (int i = 0; i < m->n; i++) {
            size_t row = (size_t)m->at[i].n * size;

            memcpy(to + at,
                   (const char *)graph_value(g, which[i])->data +
                       (size_t)r * row,
                   row);
            at += row;
        }
    id = graph_add_value(g, NULL, t, &s);
    graph_value(g, id)->data = to;
    return id;
}

static int
rewrite(struct graph *g, const struct merge *m, struct err *e)
{
    const struct shape unknown = {.rank = SHAPE_UNKNOWN};
    int w[MAX_BRANCHES], scale[MAX_BRANCHES], zero[MAX_BRANCHES];
    int bias[MAX_BRANCHES], out[MAX_BRANCHES], in[3], sum, sizes, made[3];
    int64_t size[MAX_BRANCHES];
    const char *name = g->nodes.at[m->at[0].product].name;
    size_t at = m->at[0].product;

    for (int i = 0; i < m->n; i++) {
        w[i] = m->at[i].w;
        scale[i] = m->at[i].scale;
        zero[i] = m->at[i].zero;
        bias[i] = m->at[i].bias;
        size[i] = m->at[i].n;
        out[i] = g->nodes.at[m->at[i].add].out[0];
    }
    in[0] = join(g, m, w, m->k);
    in[1] = join(g, m, scale, 1);
    in[2] = zero[0] < 0 ? -1 : join(g, m, zero, 1);
    sum = join(g, m, bias, 1);
    sizes = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(m->n), size);
    if (in[0] < 0 || in[1] < 0 || (zero[0] >= 0 && in[2] < 0) || sum < 0 ||
        sizes < 0)
        return err_set(e, ERR_NO_MEMORY, "node %s: no memory for weights",
                       name);
    for (int i = 0; i < m->n; i++) {
        graph_kill_node(g, &g->nodes.at[m->at[i].product]);
        graph_kill_node(g, &g->nodes.at[m->at[i].add]);
    }
    for (int i = 0; i < 3; i++)
        made[i] = graph_add_value(g, NULL, DTYPE_FLOAT, &unknown);
    attr_set_int(g,
                 graph_insert_node(g, at, OP_DEQUANTIZE_LINEAR, name, in,
                                   zero[0] < 0 ? 2 : 3, &made[0], 1),
                 "axis", 1);
    graph_insert_node(g, at + 1, OP_MATMUL, name, (int[]){m->x, made[0]}, 2,
                      &made[1], 1);
    graph_insert_node(g, at + 2, OP_ADD, name, (int[]){made[1], sum}, 2,
                      &made[2], 1);
    attr_set_int(g,
                 graph_insert_node(g, at + 3, OP_SPLIT, name,
                                   (int[]){made[2], sizes}, 2, out, m->n),
                 "axis", -1);
    return 0;
}

int
pass_merge(struct graph *g, struct err *e)
{
    const char *how = graph_meta(g, META_DYNAMIC);

    if (how == NULL || strcmp(how, "row") != 0)
        return 0;
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct branch b;
        struct merge m;
        int64_t k;

        if (!branch(g, &g->nodes.at[i], &b, &k))
            continue;
        gather(g, i, &m);
        if (m.n > 1 && rewrite(g, &m, e) != 0)
            return e->code;
    }
    return 0;
}
