/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/layer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "quant/rewrite.h"

const char *
result_string(struct quant_result *r, const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(arena_new_in(r->arena, n, 1), s, n);
}

void
result_warn(struct quant_result *r, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    VEC_PUSH(&r->warnings, result_string(r, text));
}

void
result_warn_unmatched(struct quant_result *r, const struct quant_options *o,
                      const struct graph *g)
{
    for (int i = 0; i < o->n_exclude; i++) {
        struct quant_options one = *o;
        bool used = false;

        one.exclude = &o->exclude[i];
        one.n_exclude = 1;
        for (size_t k = 0; !used && k < g->nodes.n; k++)
            used = !g->nodes.at[k].dead &&
                   sites_excluded(&one, g->nodes.at[k].name);
        if (!used)
            result_warn(r, "exclude=%s matches no node", o->exclude[i]);
    }
}

void
layers_init(struct layers *l, const struct graph *from,
            const struct quant_options *o, struct quant_result *r)
{
    *r = (struct quant_result){
        .arena = arena_new(),
        .calibrator = o->calibrator,
        .reduce_range = o->reduce_range,
    };
    *l = (struct layers){.g = graph_copy(from), .options = o, .result = r};
}

static const struct layer_shared *
find_shared(const struct layers *l, int value, int axis)
{
    for (size_t i = 0; i < l->shared.n; i++)
        if (l->shared.at[i].value == value && l->shared.at[i].axis == axis)
            return &l->shared.at[i];
    return NULL;
}

/* Bytes of the int8 form: integers, scales and zero points. */
static size_t
int8_bytes(const struct value *w, int n_scales)
{
    return shape_n(&w->shape) + (size_t)n_scales * (sizeof(float) + 1);
}

static int
quantize(struct layers *l, int id, int axis, struct quant_layer *q,
         struct err *e)
{
    /* What computes in float multiplies no integers that might saturate. */
    struct weight_spec spec = {l->options->per_tensor ? -1 : axis,
                               l->options->reduce_range &&
                                   q->precision != QUANT_WEIGHT_ONLY};
    struct layer_shared s = {id, axis, -1, l->result->layers.n};
    const struct value *v = graph_value(l->g, id);
    struct arena *arena = arena_new();
    struct weight w;
    int rc = weight_quantize(v, &spec, arena, &w, e);

    if (rc == 0) {
        l->result->weight_bytes += int8_bytes(v, w.n_scales);
        rc = rewrite_weight(l->g, id, spec.axis, &w, &s.real, e);
    }
    if (rc == 0) {
        VEC_PUSH(&l->shared, s);
        q->channels = w.n_scales;
        q->weight_min = w.min;
        q->weight_max = w.max;
        q->weight_sqnr_db = w.sqnr_db;
    }
    arena_free(&arena);
    return rc;
}

static void
copy_weight(struct quant_layer *to, const struct quant_layer *from)
{
    to->channels = from->channels;
    to->weight_min = from->weight_min;
    to->weight_max = from->weight_max;
    to->weight_sqnr_db = from->weight_sqnr_db;
}

int
layers_add(struct layers *l, size_t i, enum quant_precision precision,
           const char *reason, struct err *e)
{
    struct node *n = &l->g->nodes.at[i];
    const struct value *w = node_in(l->g, n, 1);
    bool constant = w != NULL && w->data != NULL;
    struct quant_layer q = {
        .node = result_string(l->result, n->name),
        .op = op_name(n->op),
        .precision = precision,
        .reason = reason,
        .weight_sqnr_db = NAN,
        .sqnr_db = NAN,
        .input = -1,
        .output = -1,
    };
    size_t bytes = constant ? shape_n(&w->shape) * dtype_size(w->dtype) : 0;

    if (precision == QUANT_FLOAT) {
        l->result->n_float++;
        l->result->weight_bytes_float += bytes;
        l->result->weight_bytes += bytes;
    } else {
        int axis = sites_weight_axis(l->g, n), id = n->in[1];
        const struct layer_shared *s = find_shared(l, id, axis);

        if (s != NULL) {
            copy_weight(&q, &l->result->layers.at[s->layer]);
        } else {
            int rc = quantize(l, id, axis, &q, e);

            if (rc != 0)
                return rc;
            l->result->weight_bytes_float += bytes;
            s = &l->shared.at[l->shared.n - 1];
        }
        l->g->nodes.at[i].in[1] = s->real;
        l->result->n_int8++;
    }
    VEC_PUSH(&l->result->layers, q);
    return 0;
}

int
layers_end(struct layers *l, int rc, struct graph **out, struct err *e)
{
    mem_free(l->shared.at);
    if (rc == 0)
        rc = graph_sort(l->g, e);
    if (rc == 0) {
        *out = l->g;
        return 0;
    }
    graph_free(&l->g);
    quant_result_free(l->result);
    return rc;
}
