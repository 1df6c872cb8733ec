/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ConvTranspose whose kernel is as large as its stride makes of each input
 * pixel a block of output pixels that no other one touches.  That is a 1x1
 * Conv to one channel for each pixel of the block, then DepthToSpace:
 *
 *     W'[(i * s + j) * O + o, c] = W[c, o, i, j]
 *
 * which runs at the speed of a matrix product, and can be quantized like one.
 * DepthToSpace goes behind the activation that follows, so that the activation
 * can be joined to the Conv.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/pass/pass.h"

/* The stride of n if it is such a ConvTranspose, else 0. */
static int64_t
block_of(const struct graph *g, const struct node *n)
{
    const struct value *w = node_in(g, n, 1), *b = node_in(g, n, 2);
    const char *pad = attr_string(n, "auto_pad", "NOTSET");
    const int64_t *v;
    int count;

    if (w == NULL || w->data == NULL || w->dtype != DTYPE_FLOAT ||
        w->shape.rank != 4 || w->shape.dim[2] != w->shape.dim[3] ||
        w->shape.dim[2] < 2 || attr_int(n, "group", 1) != 1 ||
        (b != NULL && (b->data == NULL || b->dtype != DTYPE_FLOAT ||
                       !shape_equal(&b->shape, &SHAPE(w->shape.dim[1])))) ||
        (strcmp(pad, "NOTSET") != 0 && strcmp(pad, "VALID") != 0) ||
        attr_find(n, "output_shape") != NULL)
        return 0;
    v = attr_ints(n, "strides", &count);
    if (count != 2 || v[0] != w->shape.dim[2] || v[1] != w->shape.dim[2])
        return 0;
    v = attr_ints(n, "dilations", &count);
    for (int i = 0; i < count; i++)
        if (v[i] != 1)
            return 0;
    v = attr_ints(n, "pads", &count);
    for (int i = 0; i < count; i++)
        if (v[i] != 0)
            return 0;
    v = attr_ints(n, "output_padding", &count);
    for (int i = 0; i < count; i++)
        if (v[i] != 0)
            return 0;
    return w->shape.dim[2];
}

/* W [C,O,s,s] to [s*s*O,C,1,1]; b [O] to [s*s*O] when there is one. */
static int
rearrange(struct graph *g, struct node *n, int64_t block, struct err *e)
{
    const struct value *w = node_in(g, n, 1), *b = node_in(g, n, 2);
    int64_t C = w->shape.dim[0], O = w->shape.dim[1], area = block * block;
    const float *from = w->data, *bias = b == NULL ? NULL : b->data;
    float *to = mem_try((size_t)(area * O), (size_t)C * sizeof *to);
    int id;

    if (to == NULL)
        return err_set(e, ERR_NO_MEMORY, "node %s: weights", n->name);
    for (int64_t c = 0; c < C; c++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t p = 0; p < area; p++)
                to[(p * O + o) * C + c] = from[(c * O + o) * area + p];
    id = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(area * O, C, 1, 1), to);
    if (id >= 0) {
        n->in[1] = id;
        for (int64_t i = 0; bias != NULL && i < area * O; i++)
            to[i] = bias[i % O]; /* shorter than the weights: C >= 1 */
        if (bias != NULL)
            id = n->in[2] =
                graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(area * O), to);
    }
    mem_free(to);
    return id < 0 ? err_set(e, ERR_NO_MEMORY, "node %s: weights", n->name) : 0;
}

static bool
commutes(const struct graph *g, const struct node *n)
{
    float bound;

    switch (n->op) {
    case OP_RELU:
    case OP_SIGMOID:
    case OP_TANH:
    case OP_HARD_SIGMOID:
    case OP_HARD_SWISH:
    case OP_LEAKY_RELU:
    case OP_ELU:
        return true;
    case OP_CLIP:
        for (int i = 1; i < n->n_in; i++)
            if (node_in(g, n, i) != NULL &&
                !pass_scalar(node_in(g, n, i), &bound))
                return false;
        return true;
    default:
        return false;
    }
}

int
pass_deconv(struct graph *g, struct err *e)
{
    static const int64_t one[2] = {1, 1};

    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i], *last = n, *next;
        int64_t block =
            n->dead || n->op != OP_CONV_TRANSPOSE ? 0 : block_of(g, n);
        int packed, out;
        int rc;

        if (block == 0 || node_in(g, n, 1)->shape.dim[0] < 1)
            continue;
        rc = rearrange(g, n, block, e);
        if (rc != 0)
            return rc;
        n->op = OP_CONV;
        attr_remove(n, "output_padding");
        attr_set_ints(g, n, "kernel_shape", one, 2);
        attr_set_ints(g, n, "strides", one, 2);
        while ((next = pass_reader(g, last)) != NULL && commutes(g, next) &&
               next->in[0] == last->out[0])
            last = next;
        out = last->out[0];
        packed = graph_add_value(g, NULL, DTYPE_FLOAT,
                                 &(struct shape){.rank = SHAPE_UNKNOWN});
        last->out[0] = packed;
        n = graph_insert_node(g, (size_t)(last - g->nodes.at) + 1,
                              OP_DEPTH_TO_SPACE, graph_value(g, out)->name,
                              &packed, 1, &out, 1);
        attr_set_int(g, n, "blocksize", block);
        attr_set_string(g, n, "mode", "DCR");
        graph_value(g, packed)->producer = (int)(n - g->nodes.at) - 1;
    }
    return 0;
}
