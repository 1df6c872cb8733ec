/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/rewrite.h"

#include <string.h>

#include "base/mem.h"

/* NAME_ending, or NAME_ending_2, _3 ... when that is taken. */
static char *
fresh(const struct graph *g, const char *name, const char *ending)
{
    char *s = mem_printf("%s_%s", name, ending);

    for (int i = 2; graph_find_value(g, s) >= 0; i++) {
        mem_free(s);
        s = mem_printf("%s_%s_%d", name, ending, i);
    }
    return s;
}

/* A value named after `name`; a constant when there are bytes. */
static int
add(struct graph *g, const char *name, const char *ending, enum dtype t,
    const struct shape *s, const void *bytes)
{
    char *full = fresh(g, name, ending);
    int id = bytes == NULL ? graph_add_value(g, full, t, s)
                           : graph_add_const(g, full, t, s, bytes);

    mem_free(full);
    return id;
}

static void
add_node(struct graph *g, enum op op, int x, int scale, int zero, int y,
         int axis)
{
    char *name = mem_printf("%s_%s", g->values.at[x].name, op_name(op));
    struct node *n =
        graph_add_node(g, op, name, (int[]){x, scale, zero}, 3, &y, 1);

    mem_free(name);
    if (axis >= 0)
        attr_set_int(g, n, "axis", axis);
}

static int
no_memory(const char *name, struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "tensor %s: no memory to quantize it",
                   name);
}

int
rewrite_weight(struct graph *g, int id, int axis, const struct weight *w,
               int *real, struct err *e)
{
    const char *name = g->values.at[id].name;
    struct shape shape = g->values.at[id].shape;
    struct shape scales =
        axis < 0 ? (struct shape){0} : SHAPE((int64_t)w->n_scales);
    /* The zero points: one a scale, all zero. */
    int8_t *zeros = mem_try((size_t)w->n_scales, sizeof *zeros);
    int q, scale, zero;

    if (zeros == NULL)
        return no_memory(name, e);
    q = add(g, name, "quantized", DTYPE_INT8, &shape, w->q);
    scale = add(g, name, "scale", DTYPE_FLOAT, &scales, w->scale);
    zero = add(g, name, "zero_point", DTYPE_INT8, &scales, zeros);
    mem_free(zeros);
    if (q < 0 || scale < 0 || zero < 0)
        return no_memory(name, e);
    *real = add(g, name, "dequantized", DTYPE_FLOAT, &shape, NULL);
    add_node(g, OP_DEQUANTIZE_LINEAR, q, scale, zero, *real, axis);
    return 0;
}

int
rewrite_tensor(struct graph *g, int id, struct range_u8 q,
               bool (*follow)(void *arg, int id, size_t node), void *arg,
               struct err *e)
{
    const char *name = g->values.at[id].name;
    struct shape shape = g->values.at[id].shape, scalar = {0};
    uint8_t zp = (uint8_t)q.zero;
    int scale = add(g, name, "scale", DTYPE_FLOAT, &scalar, &q.scale);
    int zero = add(g, name, "zero_point", DTYPE_UINT8, &scalar, &zp);
    int quantized, real;

    if (scale < 0 || zero < 0)
        return no_memory(name, e);
    quantized = add(g, name, "quantized", DTYPE_UINT8, &shape, NULL);
    real = add(g, name, "dequantized", DTYPE_FLOAT, &shape, NULL);
    for (size_t i = 0; i < g->nodes.n; i++)
        for (int k = 0; !g->nodes.at[i].dead && k < g->nodes.at[i].n_in; k++)
            if (g->nodes.at[i].in[k] == id && follow(arg, id, i))
                g->nodes.at[i].in[k] = real;
    add_node(g, OP_QUANTIZE_LINEAR, id, scale, zero, quantized, -1);
    add_node(g, OP_DEQUANTIZE_LINEAR, quantized, scale, zero, real, -1);
    return 0;
}
