/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ir/window.h"

#include <inttypes.h>
#include <string.h>

/* Attributes stay below this, so that sums of products of two fit. */
#define LIMIT ((int64_t)1 << 30)

/*
 * count numbers of an attribute, each in [min, LIMIT]; *out keeps its default
 * when the attribute is absent.
 */
static int
read_ints(const struct node *n, const char *name, int64_t min, int64_t *out,
          int count, struct err *e)
{
    int have;
    const int64_t *v = attr_ints(n, name, &have);

    if (v == NULL)
        return 0;
    if (have != count)
        return err_set(e, ERR_INVALID, "%s has %d numbers, want %d", name, have,
                       count);
    for (int i = 0; i < count; i++) {
        if (v[i] < min || v[i] > LIMIT)
            return err_set(e, ERR_INVALID, "%s holds %" PRId64, name, v[i]);
        out[i] = v[i];
    }
    return 0;
}

/* Kernel size: of the weights [O,C/g,kernel...], or of the attribute. */
static int
read_kernel(const struct graph *g, const struct node *n, struct window *w,
            struct err *e)
{
    bool conv = n->op == OP_CONV || n->op == OP_CONV_INTEGER ||
                n->op == OP_DEFORM_CONV || n->op == OP_CONV_SCALED ||
                n->op == OP_CONV_TRANSPOSE;
    const struct shape *k = conv ? &node_in(g, n, 1)->shape : NULL;
    int64_t said[WINDOW_MAX] = {0};
    char text[SHAPE_TEXT];

    if (read_ints(n, "kernel_shape", 1, said, w->n, e) != 0)
        return e->code;
    if (conv && k->rank != w->n + 2)
        return err_set(e, ERR_INVALID, "weights are %s, want rank %d",
                       shape_text(k, text), w->n + 2);
    for (int i = 0; i < w->n; i++) {
        w->kernel[i] = conv ? k->dim[i + 2] : said[i];
        if (conv && said[i] != 0 && said[i] != w->kernel[i])
            return err_set(e, ERR_INVALID,
                           "kernel_shape contradicts weights %s",
                           shape_text(k, text));
        if (w->kernel[i] < 1 || w->kernel[i] > LIMIT)
            return err_set(e, ERR_INVALID, "kernel_shape is missing or empty");
    }
    return 0;
}

/* First and last input place that a window covers are this far apart, + 1. */
static int64_t
extent(const struct window *w, int i)
{
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

/* Splits padding in two; SAME_UPPER has the odd one behind. */
static void
split_padding(struct window *w, int i, int64_t total, bool upper)
{
    if (total < 0)
        total = 0;
    w->begin[i] = upper ? total / 2 : total - total / 2;
    w->end[i] = total - w->begin[i];
}

static int
forward(const struct node *n, struct window *w, const char *pad, struct err *e)
{
    bool same = strncmp(pad, "SAME", 4) == 0;
    int64_t ceil_mode = attr_int(n, "ceil_mode", 0);

    for (int i = 0; i < w->n; i++) {
        int64_t s = w->stride[i], room;

        if (same) {
            int64_t out = w->in[i] == 0 ? 0 : (w->in[i] - 1) / s + 1;

            split_padding(w, i, (out - 1) * s + extent(w, i) - w->in[i],
                          strcmp(pad, "SAME_UPPER") == 0);
            w->out[i] = out;
            continue;
        }
        room = w->in[i] + w->begin[i] + w->end[i] - extent(w, i);
        if (room < 0)
            return err_set(e, ERR_INVALID,
                           "a window of %" PRId64 " is larger than the padded "
                           "input of %" PRId64 " (spatial axis %d)",
                           extent(w, i), room + extent(w, i), i);
        w->out[i] = room / s + 1;
        /* One more that hangs over, unless it lies in the padding alone. */
        if (ceil_mode != 0 && room % s != 0 &&
            w->out[i] * s < w->in[i] + w->begin[i])
            w->out[i]++;
    }
    return 0;
}

/* output_shape may name the spatial axes or all of them. */
static int
read_output_shape(const struct node *n, struct window *w, bool *given,
                  struct err *e)
{
    int count;
    const int64_t *v = attr_ints(n, "output_shape", &count);

    *given = v != NULL;
    if (v == NULL)
        return 0;
    if (count != w->n && count != w->n + 2)
        return err_set(e, ERR_INVALID, "output_shape has %d numbers, want %d",
                       count, w->n);
    for (int i = 0; i < w->n; i++) {
        w->out[i] = v[count - w->n + i];
        if (w->out[i] < 0 || w->out[i] > LIMIT)
            return err_set(e, ERR_INVALID, "output_shape holds %" PRId64,
                           w->out[i]);
    }
    return 0;
}

static int
transpose(const struct node *n, struct window *w, const char *pad,
          struct err *e)
{
    int64_t more[WINDOW_MAX] = {0};
    bool given, same = strncmp(pad, "SAME", 4) == 0;

    if (read_ints(n, "output_padding", 0, more, w->n, e) != 0 ||
        read_output_shape(n, w, &given, e) != 0)
        return e->code;
    for (int i = 0; i < w->n; i++) {
        int64_t full;

        if (w->in[i] > LIMIT)
            return err_set(e, ERR_INVALID, "input of %" PRId64 " is too large",
                           w->in[i]);
        full = (w->in[i] - 1) * w->stride[i] + more[i] + extent(w, i);
        if (same && !given)
            w->out[i] = w->in[i] * w->stride[i];
        if (same || given)
            split_padding(w, i, full - w->out[i],
                          strcmp(pad, "SAME_UPPER") == 0);
        else
            w->out[i] = full - w->begin[i] - w->end[i];
        if (w->in[i] == 0 || w->out[i] < 0)
            return err_set(e, ERR_INVALID,
                           "padding leaves no output (spatial axis %d)", i);
    }
    return 0;
}

int
window_of(const struct graph *g, const struct node *n, struct window *w,
          struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const char *pad = attr_string(n, "auto_pad", "NOTSET");
    int64_t pads[2 * WINDOW_MAX] = {0};
    char text[SHAPE_TEXT];

    if (x->rank < 3)
        return err_set(e, ERR_INVALID, "input is %s: no spatial axis",
                       shape_text(x, text));
    if (x->rank > 2 + WINDOW_MAX)
        return err_set(e, ERR_UNSUPPORTED, "input is %s: over %d spatial axes",
                       shape_text(x, text), WINDOW_MAX);
    *w = (struct window){.n = x->rank - 2};
    for (int i = 0; i < WINDOW_MAX; i++) {
        w->in[i] = i < w->n ? x->dim[i + 2] : 1;
        w->out[i] = w->kernel[i] = w->stride[i] = w->dilation[i] = 1;
    }
    if (read_kernel(g, n, w, e) != 0 ||
        read_ints(n, "strides", 1, w->stride, w->n, e) != 0 ||
        read_ints(n, "dilations", 1, w->dilation, w->n, e) != 0)
        return e->code;
    if (strcmp(pad, "NOTSET") == 0 || pad[0] == '\0') {
        if (read_ints(n, "pads", 0, pads, 2 * w->n, e) != 0)
            return e->code;
        memcpy(w->begin, pads, (size_t)w->n * sizeof pads[0]);
        memcpy(w->end, pads + w->n, (size_t)w->n * sizeof pads[0]);
    } else if (strcmp(pad, "VALID") != 0 && strcmp(pad, "SAME_UPPER") != 0 &&
               strcmp(pad, "SAME_LOWER") != 0) {
        return err_set(e, ERR_INVALID, "auto_pad is \"%s\"", pad);
    }
    return n->op == OP_CONV_TRANSPOSE ? transpose(n, w, pad, e)
                                      : forward(n, w, pad, e);
}
