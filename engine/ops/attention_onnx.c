/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention: softmax(Q * transposed K * scale + bias) * V for each head, with
 * the keys and values of earlier runs in front and groups of query heads that
 * share one head of keys.
 *
 * The bias is the mask, and minus infinity where a query may not look: behind
 * its own place (is_causal), outside its window, at padding.  The place of the
 * first query is that behind the past, or, when nonpad_kv_seqlen counts what
 * is in a cache of fixed length, that of the last queries in it.  A query that
 * may look nowhere gives zeros.
 * Source: ONNX Attention, opset 23 to 25.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/floats.h"
#include "engine/ops/number.h"
#include "engine/ops/rule.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, N_VALID };
enum { Y, PRESENT_KEY, PRESENT_VALUE, LOGITS };
enum { RAW, CAPPED, BIASED, SOFTMAX }; /* qk_matmul_output_mode */

/* Elements between neighbours. */
struct lie {
    int64_t batch, head, place;
};

struct heads {
    int64_t B, heads, kv_heads, size, value_size;
    int64_t queries, past, fresh, keys; /* keys = past + fresh */
    struct lie q, k, v, y;
    int64_t mask[4], mask_keys; /* strides over batch, head, query, key */
    int64_t left, right;        /* the window; -1: no limit */
    bool causal;
    int mode;
    float scale, cap;
};

/* [B,heads,n,size], or [B,n,heads*size] */
static struct lie
lie_of(bool packed, int64_t heads, int64_t n, int64_t size)
{
    if (packed)
        return (struct lie){n * heads * size, size, heads * size};
    return (struct lie){heads * n * size, n * size, size};
}

/* One of Q, K, V: how many heads there are, of what length and size. */
static int
read_heads(const struct value *v, int64_t said, int64_t *heads, int64_t *n,
           int64_t *size, struct err *e)
{
    const int64_t *d = v->shape.dim;
    char text[SHAPE_TEXT];

    if (v->shape.rank == 4) {
        *heads = d[1];
        *n = d[2];
        *size = d[3];
        return 0;
    }
    if (said < 1 || d[2] % said != 0)
        return err_set(e, ERR_INVALID,
                       "%s does not divide into %" PRId64 " heads",
                       shape_text(&v->shape, text), said);
    *heads = said;
    *n = d[1];
    *size = d[2] / said;
    return 0;
}

static int
read_mask(const struct value *v, struct heads *a, struct err *e)
{
    const int64_t want[4] = {a->B, a->heads, a->queries, a->keys};
    int64_t step = 1;
    char text[SHAPE_TEXT];

    a->mask_keys = a->keys;
    if (v == NULL)
        return 0;
    if (v->shape.rank < 1 || v->shape.rank > 4)
        return err_set(e, ERR_INVALID, "the mask is %s",
                       shape_text(&v->shape, text));
    a->mask_keys = v->shape.dim[v->shape.rank - 1];
    for (int i = 0; i < v->shape.rank; i++) {
        int axis = 3 - i;
        int64_t dim = v->shape.dim[v->shape.rank - 1 - i];

        if (axis == 3 ? dim > a->keys : dim != 1 && dim != want[axis])
            return err_set(e, ERR_INVALID,
                           "the mask is %s for [%" PRId64 ",%" PRId64
                           ",%" PRId64 ",%" PRId64 "]",
                           shape_text(&v->shape, text), want[0], want[1],
                           want[2], want[3]);
        a->mask[axis] = dim == 1 && axis != 3 ? 0 : step;
        step *= dim;
    }
    return 0;
}

static int
read_past(const struct graph *g, const struct node *n, struct heads *a,
          struct err *e)
{
    const struct value *past = node_in(g, n, PAST_KEY);

    if ((past == NULL) != (node_in(g, n, PAST_VALUE) == NULL))
        return err_set(e, ERR_INVALID, "past_key and past_value go together");
    if (past == NULL)
        return 0;
    if (node_in(g, n, N_VALID) != NULL)
        return err_set(e, ERR_INVALID,
                       "nonpad_kv_seqlen and past_key exclude each other");
    a->past = past->shape.rank == 4 ? past->shape.dim[2] : 0;
    if (rule_shape(g, n, PAST_KEY, &SHAPE(a->B, a->kv_heads, a->past, a->size),
                   e) != 0)
        return e->code;
    return rule_shape(g, n, PAST_VALUE,
                      &SHAPE(a->B, a->kv_heads, a->past, a->value_size), e);
}

/* The attributes that are plain numbers. */
static int
read_numbers(const struct node *n, struct heads *a, struct err *e)
{
    float scale = attr_float(n, "scale", 0);

    a->scale = attr_find(n, "scale") != NULL
                   ? scale
                   : (float)(1 / sqrt((double)a->size));
    a->cap = attr_float(n, "softcap", 0);
    a->causal = attr_int(n, "is_causal", 0) != 0;
    a->left = attr_int(n, "left_window_size", -1);
    a->right = attr_int(n, "right_window_size", -1);
    a->mode = (int)attr_int(n, "qk_matmul_output_mode", RAW);
    if (a->mode < RAW || a->mode > SOFTMAX || a->left < -1 || a->right < -1)
        return err_set(e, ERR_INVALID,
                       "qk_matmul_output_mode is %d, the window %" PRId64
                       " and %" PRId64,
                       a->mode, a->left, a->right);
    return 0;
}

static int
read_attention(const struct graph *g, const struct node *n, struct heads *a,
               struct err *e)
{
    const struct value *q = node_in(g, n, Q), *k = node_in(g, n, K);
    const struct value *v = node_in(g, n, V);
    const int64_t q_heads = attr_int(n, "q_num_heads", 0);
    const int64_t kv_heads = attr_int(n, "kv_num_heads", 0);
    const bool packed = q->shape.rank == 3;
    int64_t v_heads, values, key_size;

    *a = (struct heads){.B = q->shape.dim[0]};
    for (int i = Q; i <= V; i++)
        if (node_in(g, n, i)->shape.rank != (packed ? 3 : 4) ||
            node_in(g, n, i)->shape.dim[0] != a->B)
            return err_set(e, ERR_INVALID,
                           "Q, K and V must be all of rank 3 or of rank 4, "
                           "and of one batch");
    if (read_heads(q, q_heads, &a->heads, &a->queries, &a->size, e) != 0 ||
        read_heads(k, kv_heads, &a->kv_heads, &a->fresh, &key_size, e) != 0 ||
        read_heads(v, kv_heads, &v_heads, &values, &a->value_size, e) != 0)
        return e->code;
    if (key_size != a->size || values != a->fresh || v_heads != a->kv_heads ||
        a->kv_heads < 1 || a->heads % a->kv_heads != 0)
        return err_set(e, ERR_INVALID,
                       "%" PRId64 " heads of %" PRId64 " for %" PRId64
                       " heads of %" PRId64 " keys of %" PRId64 ", %" PRId64
                       " heads of %" PRId64 " values",
                       a->heads, a->size, a->kv_heads, a->fresh, key_size,
                       v_heads, values);
    if (read_past(g, n, a, e) != 0 || read_numbers(n, a, e) != 0)
        return e->code;
    a->keys = a->past + a->fresh;
    a->q = lie_of(packed, a->heads, a->queries, a->size);
    a->k = lie_of(packed, a->kv_heads, a->fresh, a->size);
    a->v = lie_of(packed, a->kv_heads, a->fresh, a->value_size);
    a->y = lie_of(packed, a->heads, a->queries, a->value_size);
    return read_mask(node_in(g, n, MASK), a, e);
}

int
attention_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *q = node_in(g, n, Q);
    struct shape out = q->shape;
    struct heads a;

    for (int i = Q; i <= PAST_VALUE; i++)
        if (rule_type(g, n, i, TYPES_REAL | (i == MASK ? TYPE(BOOL) : 0), e) !=
            0)
            return e->code;
    if (rule_type(g, n, N_VALID, TYPE(INT64), e) != 0 ||
        read_attention(g, n, &a, e) != 0 ||
        rule_shape(g, n, N_VALID, &SHAPE(a.B), e) != 0 ||
        rule_out(g, n, PRESENT_KEY, q->dtype,
                 &SHAPE(a.B, a.kv_heads, a.keys, a.size), e) != 0 ||
        rule_out(g, n, PRESENT_VALUE, q->dtype,
                 &SHAPE(a.B, a.kv_heads, a.keys, a.value_size), e) != 0 ||
        rule_out(g, n, LOGITS, q->dtype,
                 &SHAPE(a.B, a.heads, a.queries, a.keys), e) != 0)
        return e->code;
    out.dim[out.rank - 1] =
        out.rank == 3 ? a.heads * a.value_size : a.value_size;
    return rule_out(g, n, Y, q->dtype, &out, e);
}

static int
attention_prepare(const struct graph *g, const struct node *n, struct step *s,
                  struct weights *w, struct err *e)
{
    struct heads *a;

    (void)w;
    if (step_own(s, sizeof *a, e) != 0)
        return e->code;
    a = s->own;
    if (read_attention(g, n, a, e) != 0) {
        step_done(s);
        return e->code;
    }
    s->scratch_bytes = 2 * (size_t)a->keys * sizeof(float);
    return 0;
}

/* In eight sums, which the compiler keeps in one register. */
static float
dot(const float *a, const float *b, int64_t n)
{
    float sum[8] = {0}, all = 0;
    int64_t i = 0;

    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    for (int k = 0; k < 8; k++)
        all += sum[k];
    for (; i < n; i++)
        all += a[i] * b[i];
    return all;
}

/* A key or a value: of the past, or of this run. */
static const float *
row_of(const struct heads *a, const struct lie *l, const float *past,
       const float *fresh, int64_t b, int64_t h, int64_t j, int64_t size)
{
    if (j < a->past)
        return past + ((b * a->kv_heads + h) * a->past + j) * size;
    return fresh + b * l->batch + h * l->head + (j - a->past) * l->place;
}

/* One query's bias over all keys; returns whether it may look anywhere. */
static bool
fill_bias(const struct heads *a, const void *mask, bool is_bool,
          const int64_t *valid, int64_t b, int64_t h, int64_t i, float *bias)
{
    const int64_t at = a->past + (valid == NULL ? 0 : valid[b] - a->queries);
    const int64_t row = b * a->mask[0] + h * a->mask[1] + i * a->mask[2];
    bool any = false;

    for (int64_t j = 0; j < a->keys; j++) {
        int64_t ahead = j - (i + at);

        bias[j] = 0;
        if (mask != NULL && j >= a->mask_keys)
            bias[j] = -INFINITY;
        else if (mask != NULL && is_bool)
            bias[j] = ((const uint8_t *)mask)[row + j] ? 0 : -INFINITY;
        else if (mask != NULL)
            bias[j] = ((const float *)mask)[row + j];
        if ((a->causal && ahead > 0) || (a->left >= 0 && -ahead > a->left) ||
            (a->right >= 0 && ahead > a->right) ||
            (valid != NULL && j >= valid[b]))
            bias[j] = -INFINITY;
        any |= bias[j] != -INFINITY;
    }
    return any;
}

/* x becomes exp(x - largest) over their sum; all minus infinity: zeros. */
static void
softmax(float *x, int64_t n)
{
    float largest = -INFINITY;
    double sum = 0;

    for (int64_t j = 0; j < n; j++)
        largest = x[j] > largest ? x[j] : largest;
    for (int64_t j = 0; j < n; j++) {
        x[j] = x[j] == -INFINITY ? 0 : expf(x[j] - largest);
        sum += x[j];
    }
    for (int64_t j = 0; sum != 0 && j < n; j++)
        x[j] = (float)(x[j] / sum);
}

/* The row of one query: weights of all keys, in `x`; `told` gets the output
 * of the product, or is NULL. */
static void
weigh(const struct heads *a, const struct step *s, void *const *io,
      const int64_t *at, float *x, float *bias, float *told)
{
    const int64_t b = at[0], h = at[1], i = at[2];
    const int64_t kv = h / (a->heads / a->kv_heads);
    const struct value *mask = step_in(s, MASK);
    const float *past = step_in(s, PAST_KEY) == NULL ? NULL : io[PAST_KEY];
    const float *q =
        (const float *)io[Q] + b * a->q.batch + h * a->q.head + i * a->q.place;
    bool any = fill_bias(a, mask == NULL ? NULL : io[MASK],
                         mask != NULL && mask->dtype == DTYPE_BOOL,
                         step_in(s, N_VALID) == NULL ? NULL : io[N_VALID], b, h,
                         i, bias);

    for (int64_t j = 0; j < a->keys; j++) {
        float raw, capped;

        x[j] = -INFINITY;
        if (bias[j] == -INFINITY && told == NULL)
            continue;
        raw = a->scale *
              dot(q, row_of(a, &a->k, past, io[K], b, kv, j, a->size), a->size);
        capped = a->cap > 0 ? a->cap * tanhf(raw / a->cap) : raw;
        if (bias[j] != -INFINITY)
            x[j] = capped + bias[j];
        if (told != NULL)
            told[j] = a->mode == RAW ? raw : a->mode == CAPPED ? capped : x[j];
    }
    softmax(x, a->keys);
    for (int64_t j = 0; !any && j < a->keys; j++)
        x[j] = 0;
    if (told != NULL && a->mode == SOFTMAX)
        memcpy(told, x, (size_t)a->keys * sizeof *x);
}

/* Keys or values, past and new, one behind the other: [B,kv_heads,keys,size] */
static void
join(const struct heads *a, const struct lie *l, const float *past,
     const float *fresh, int64_t size, float *to)
{
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t h = 0; h < a->kv_heads; h++)
            for (int64_t j = 0; j < a->keys; j++, to += size)
                if (size > 0)
                    memcpy(to, row_of(a, l, past, fresh, b, h, j, size),
                           (size_t)size * sizeof *to);
}

static int
attention_run(const struct step *s, void *const *io, void *scratch, void *state,
              struct err *e)
{
    const struct heads *a = s->own;
    const bool has_past = step_in(s, PAST_KEY) != NULL;
    const float *keys = has_past ? io[PAST_KEY] : NULL;
    const float *values = has_past ? io[PAST_VALUE] : NULL;
    float *x = scratch, *bias = x + a->keys;
    float *told =
        step_out(s, LOGITS) == NULL ? NULL : step_io_out(s, io, LOGITS);
    int64_t at[3];

    (void)state;
    (void)e;
    for (at[0] = 0; at[0] < a->B; at[0]++)
        for (at[1] = 0; at[1] < a->heads; at[1]++)
            for (at[2] = 0; at[2] < a->queries; at[2]++) {
                int64_t kv = at[1] / (a->heads / a->kv_heads);
                float *y = (float *)step_io_out(s, io, Y) + at[0] * a->y.batch +
                           at[1] * a->y.head + at[2] * a->y.place;

                weigh(a, s, io, at, x, bias, told);
                told = told == NULL ? NULL : told + a->keys;
                for (int64_t k = 0; k < a->value_size; k++)
                    y[k] = 0;
                for (int64_t j = 0; j < a->keys; j++) {
                    const float *v = row_of(a, &a->v, values, io[V], at[0], kv,
                                            j, a->value_size);

                    for (int64_t k = 0; x[j] != 0 && k < a->value_size; k++)
                        y[k] += x[j] * v[k];
                }
            }
    if (step_out(s, PRESENT_KEY) != NULL)
        join(a, &a->k, keys, io[K], a->size, step_io_out(s, io, PRESENT_KEY));
    if (step_out(s, PRESENT_VALUE) != NULL)
        join(a, &a->v, values, io[V], a->value_size,
             step_io_out(s, io, PRESENT_VALUE));
    return 0;
}

KERNEL_FLOATS(ATTENTION, "onnx_attention", attention_prepare, attention_run);
