/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LinearAttention: a state of [size,value_size] for each head, to which each
 * step adds its key times its value, and which its queries read.
 *
 *     gated:  the state is multiplied by exp(decay) before
 *     delta:  the value is what is missing in the state, times beta
 *
 * Source: ONNX LinearAttention, opset 27.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/rule.h"

enum { Q, K, V, PAST, DECAY, BETA };

struct linear {
    int64_t B, T, heads, kv_heads, size, value_size;
    bool gated, delta;
    int64_t decays, betas; /* of a step: one a head or one a key element */
    double scale;
};

static int
read_rule(const struct graph *g, const struct node *n, struct linear *l,
          struct err *e)
{
    const char *rule = attr_string(n, "update_rule", "gated_delta");

    l->gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    l->delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!l->gated && !l->delta && strcmp(rule, "linear") != 0)
        return err_set(e, ERR_INVALID, "update_rule is \"%s\"", rule);
    if ((node_in(g, n, DECAY) != NULL) != l->gated ||
        (node_in(g, n, BETA) != NULL) != l->delta)
        return err_set(e, ERR_INVALID, "update_rule \"%s\" needs other inputs",
                       rule);
    return 0;
}

/* The last axis of an input must be one of two lengths. */
static int
read_width(const struct graph *g, const struct node *n, int i,
           const struct linear *l, int64_t a, int64_t b, int64_t *out,
           struct err *e)
{
    const struct value *v = node_in(g, n, i);

    if (v == NULL)
        return 0;
    *out = v->shape.rank == 3 && v->shape.dim[2] == a ? a : b;
    return rule_shape(g, n, i, &SHAPE(l->B, l->T, *out), e);
}

static int
read_linear(const struct graph *g, const struct node *n, struct linear *l,
            struct err *e)
{
    const struct shape *q = &node_in(g, n, Q)->shape;
    const struct shape *v = &node_in(g, n, V)->shape;
    const int64_t heads = attr_int(n, "q_num_heads", 0);
    const int64_t kv_heads = attr_int(n, "kv_num_heads", 0);
    char qt[SHAPE_TEXT], vt[SHAPE_TEXT];

    if (q->rank != 3 || v->rank != 3 || kv_heads < 1 || heads < 1 ||
        heads % kv_heads != 0 || q->dim[2] % heads != 0 ||
        v->dim[2] % kv_heads != 0)
        return err_set(e, ERR_INVALID,
                       "queries %s of %" PRId64 " heads, values %s of %" PRId64,
                       shape_text(q, qt), heads, shape_text(v, vt), kv_heads);
    *l = (struct linear){.B = q->dim[0],
                         .T = q->dim[1],
                         .heads = heads,
                         .kv_heads = kv_heads,
                         .size = q->dim[2] / heads,
                         .value_size = v->dim[2] / kv_heads,
                         .scale = (double)attr_float(n, "scale", 0)};
    if (l->scale == 0)
        l->scale = 1 / sqrt((double)l->size);
    if (read_rule(g, n, l, e) != 0 ||
        rule_shape(g, n, K, &SHAPE(l->B, l->T, kv_heads * l->size), e) != 0 ||
        rule_shape(g, n, V, &SHAPE(l->B, l->T, v->dim[2]), e) != 0 ||
        rule_shape(g, n, PAST, &SHAPE(l->B, kv_heads, l->size, l->value_size),
                   e) != 0 ||
        read_width(g, n, DECAY, l, kv_heads, kv_heads * l->size, &l->decays,
                   e) != 0)
        return e->code;
    return read_width(g, n, BETA, l, kv_heads, 1, &l->betas, e);
}

int
linear_attention_infer(struct graph *g, struct node *n, struct err *e)
{
    struct linear l;

    for (int i = Q; i <= BETA; i++)
        if (rule_type(g, n, i, TYPE(FLOAT), e) != 0)
            return e->code;
    if (read_linear(g, n, &l, e) != 0 ||
        rule_out(g, n, 1, DTYPE_FLOAT,
                 &SHAPE(l.B, l.kv_heads, l.size, l.value_size), e) != 0)
        return e->code;
    return rule_out(g, n, 0, DTYPE_FLOAT,
                    &SHAPE(l.B, l.T, l.heads * l.value_size), e);
}

static int
linear_attention_prepare(const struct graph *g, const struct node *n,
                         struct step *s, struct weights *w, struct err *e)
{
    struct linear *l;

    (void)w;
    if (step_own(s, sizeof *l, e) != 0)
        return e->code;
    l = s->own;
    if (read_linear(g, n, l, e) != 0) {
        step_done(s);
        return e->code;
    }
    s->scratch_bytes =
        (size_t)(l->size * l->value_size + l->value_size) * sizeof(float);
    return 0;
}

/* One step of one head: state [size,value_size], `add` has value_size. */
static void
update(const struct linear *l, const float *decay, bool each, float beta,
       const float *k, const float *v, float *state, float *add)
{
    const int64_t m = l->value_size;

    for (int64_t d = 0; l->gated && d < l->size; d++) {
        float by = expf(decay[each ? d : 0]);

        for (int64_t i = 0; i < m; i++)
            state[d * m + i] *= by;
    }
    for (int64_t i = 0; i < m; i++)
        add[i] = v[i];
    for (int64_t d = 0; l->delta && d < l->size; d++)
        for (int64_t i = 0; i < m; i++)
            add[i] -= state[d * m + i] * k[d];
    for (int64_t i = 0; l->delta && i < m; i++)
        add[i] *= beta;
    for (int64_t d = 0; d < l->size; d++)
        for (int64_t i = 0; i < m; i++)
            state[d * m + i] += k[d] * add[i];
}

static void
look(const struct linear *l, const float *q, const float *state, float *y)
{
    for (int64_t i = 0; i < l->value_size; i++) {
        double sum = 0;

        for (int64_t d = 0; d < l->size; d++)
            sum += (double)q[d] * (double)state[d * l->value_size + i];
        y[i] = (float)(l->scale * sum);
    }
}

/* All steps of sample b, head h of the keys. */
static void
head(const struct linear *l, const struct step *s, void *const *io, int64_t b,
     int64_t h, float *state, float *add)
{
    const int64_t group = l->heads / l->kv_heads;
    const bool each = l->decays != l->kv_heads;
    const float *decay = l->gated ? io[DECAY] : NULL;
    const float *beta = l->delta ? io[BETA] : NULL;

    for (int64_t t = 0; t < l->T; t++) {
        const int64_t at = b * l->T + t, kv = at * l->kv_heads + h;
        float rate = 1;

        if (beta != NULL)
            rate = beta[at * l->betas + (l->betas == 1 ? 0 : h)];
        update(l, decay == NULL ? NULL : decay + kv * (each ? l->size : 1),
               each, rate, (const float *)io[K] + kv * l->size,
               (const float *)io[V] + kv * l->value_size, state, add);
        for (int64_t i = 0; i < group; i++) {
            const int64_t row = at * l->heads + h * group + i;

            look(l, (const float *)io[Q] + row * l->size, state,
                 (float *)step_io_out(s, io, 0) + row * l->value_size);
        }
    }
}

static int
linear_attention_run(const struct step *s, void *const *io, void *scratch,
                     void *unused, struct err *e)
{
    const struct linear *l = s->own;
    const int64_t n = l->size * l->value_size;
    const float *past = step_in(s, PAST) == NULL ? NULL : io[PAST];
    float *last = step_out(s, 1) == NULL ? NULL : step_io_out(s, io, 1);
    float *state = scratch;

    (void)unused;
    (void)e;
    for (int64_t i = 0; i < l->B * l->kv_heads; i++) {
        for (int64_t k = 0; k < n; k++)
            state[k] = past == NULL ? 0 : past[i * n + k];
        head(l, s, io, i / l->kv_heads, i % l->kv_heads, state, state + n);
        for (int64_t k = 0; last != NULL && k < n; k++)
            last[i * n + k] = state[k];
    }
    return 0;
}

KERNEL(LINEAR_ATTENTION, "linear_attention",
       .prepare = linear_attention_prepare, .run = linear_attention_run,
       .done = step_done);
