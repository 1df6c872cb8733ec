/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small networks made by hand, for tests of the quantizer.  Each function adds
 * a node, names it and its output alike, and returns the output's id; weights
 * are made up, the same in each process.
 */
#ifndef TESTS_UNIT_NET_H
#define TESTS_UNIT_NET_H

#include <assert.h>
#include <math.h>
#include <stdint.h>

#include "base/mem.h"
#include "engine/ir/graph.h"

static inline float
net_random(uint32_t *state) /* evenly in [-1, 1) */
{
    *state = *state * 1664525u + 1013904223u; /* Knuth's LCG */
    return (float)(int32_t)*state * 0x1p-31f;
}

static inline int
net_input(struct graph *g, const char *name, struct shape s)
{
    int id = graph_add_value(g, name, DTYPE_FLOAT, &s);

    VEC_PUSH(&g->inputs, id);
    return id;
}

static inline void
net_output(struct graph *g, int id)
{
    VEC_PUSH(&g->outputs, id);
}

static inline int
net_const(struct graph *g, const char *name, struct shape s, float amplitude)
{
    size_t n = shape_n(&s);
    float *w = mem_new(n, sizeof *w);
    uint32_t state = (uint32_t)g->values.n * 2654435761u + 1;
    int id;

    for (size_t i = 0; i < n; i++)
        w[i] = amplitude * net_random(&state);
    id = graph_add_const(g, name, DTYPE_FLOAT, &s, w);
    mem_free(w);
    return id;
}

static inline int
net_node(struct graph *g, enum op op, const char *name, const int *in, int n)
{
    int out = graph_add_value(g, name, DTYPE_FLOAT,
                              &(struct shape){.rank = SHAPE_UNKNOWN});

    graph_add_node(g, op, name, in, n, &out, 1);
    return out;
}

static inline int
net_unary(struct graph *g, enum op op, const char *name, int x)
{
    return net_node(g, op, name, &x, 1);
}

static inline int
net_binary(struct graph *g, enum op op, const char *name, int x, int y)
{
    return net_node(g, op, name, (int[]){x, y}, 2);
}

/* A convolution from C to O channels that keeps height and width. */
static inline int
net_conv(struct graph *g, const char *name, int x, int64_t C, int64_t O,
         int64_t k, int64_t group)
{
    const int64_t pads[] = {k / 2, k / 2, k / 2, k / 2};
    float fan_in = (float)(C / group * k * k);
    int w = net_const(g, NULL, SHAPE(O, C / group, k, k),
                      sqrtf(6.0f / fan_in)); /* He et al. 2015 */
    int b = net_const(g, NULL, SHAPE(O), 0.1f);
    int y = net_node(g, OP_CONV, name, (int[]){x, w, b}, 3);
    struct node *n = graph_producer(g, y);

    attr_set_ints(g, n, "pads", pads, 4);
    attr_set_int(g, n, "group", group);
    return y;
}

static inline int
net_max_pool(struct graph *g, const char *name, int x)
{
    int y = net_unary(g, OP_MAX_POOL, name, x);

    attr_set_ints(g, graph_producer(g, y), "kernel_shape",
                  (const int64_t[]){2, 2}, 2);
    attr_set_ints(g, graph_producer(g, y), "strides", (const int64_t[]){2, 2},
                  2);
    return y;
}

static inline int
net_concat(struct graph *g, const char *name, int x, int y)
{
    int z = net_binary(g, OP_CONCAT, name, x, y);

    attr_set_int(g, graph_producer(g, z), "axis", 1);
    return z;
}

static inline int
net_gemm(struct graph *g, const char *name, int x, int64_t K, int64_t N)
{
    int w = net_const(g, NULL, SHAPE(K, N), sqrtf(6.0f / (float)K));
    int b = net_const(g, NULL, SHAPE(N), 0.1f);

    return net_node(g, OP_GEMM, name, (int[]){x, w, b}, 3);
}

static inline int
net_matmul(struct graph *g, const char *name, int x, int64_t K, int64_t N)
{
    int w = net_const(g, NULL, SHAPE(K, N), sqrtf(6.0f / (float)K));

    return net_node(g, OP_MATMUL, name, (int[]){x, w}, 2);
}

#endif
