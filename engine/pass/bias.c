/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Some exporters (Paddle's) write a convolution's bias as an Add of a constant
 * [1,O,1,...] or [O,1,...] behind it.
 */
#include "engine/pass/pass.h"

/* One number for each of the channels of [N,channels,spatial...]? */
static bool
per_channel(const struct value *v, int64_t channels, int rank)
{
    int axis = v->shape.rank - (rank - 1); /* of the channels, from the front */

    if (v->data == NULL || v->dtype != DTYPE_FLOAT || axis < 0 || axis > 1 ||
        v->shape.dim[axis] != channels)
        return false;
    return shape_n(&v->shape) == (size_t)channels;
}

/* The channels of a Conv without a float bias that can be changed, or 0. */
static int64_t
channels_of(const struct graph *g, const struct node *conv)
{
    const struct value *w = node_in(g, conv, 1), *b = node_in(g, conv, 2);
    int64_t channels;

    if (w == NULL || w->shape.rank < 3)
        return 0;
    channels = conv->op == OP_CONV
                   ? w->shape.dim[0]
                   : w->shape.dim[1] * attr_int(conv, "group", 1);
    if (b != NULL && (b->data == NULL || b->dtype != DTYPE_FLOAT ||
                      b->shape.rank != 1 || b->shape.dim[0] != channels))
        return 0;
    return channels;
}

static int
add_to_bias(struct graph *g, struct node *conv, const struct value *v,
            int64_t channels, struct err *e)
{
    const struct value *old = node_in(g, conv, 2);
    const float *was = old == NULL ? NULL : old->data;
    int id = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(channels), v->data);
    float *bias;

    if (id < 0)
        return err_set(e, ERR_NO_MEMORY, "node %s: bias", conv->name);
    bias = (float *)graph_value(g, id)->data; /* ours until here */
    for (int64_t o = 0; was != NULL && o < channels; o++)
        bias[o] += was[o];
    if (conv->n_in > 2)
        conv->in[2] = id;
    else {
        graph_append_input(g, conv, id);
        conv->n_own = conv->n_in;
    }
    return 0;
}

int
pass_bias(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *add = &g->nodes.at[i], *conv = NULL;
        int64_t channels = 0;
        int side, rc;

        if (add->dead || add->op != OP_ADD)
            continue;
        for (side = 0; side < 2; side++) {
            conv = graph_producer(g, add->in[side]);
            if (conv == NULL ||
                (conv->op != OP_CONV && conv->op != OP_CONV_TRANSPOSE) ||
                pass_reader(g, conv) != add)
                continue;
            channels = channels_of(g, conv);
            if (channels > 0 && per_channel(node_in(g, add, 1 - side), channels,
                                            node_in(g, conv, 1)->shape.rank))
                break;
        }
        if (side == 2)
            continue;
        rc = add_to_bias(g, conv, node_in(g, add, 1 - side), channels, e);
        if (rc != 0)
            return rc;
        conv->out[0] = add->out[0];
        graph_kill_node(g, add);
        graph_value(g, conv->out[0])->producer = (int)(conv - g->nodes.at);
    }
    return 0;
}
