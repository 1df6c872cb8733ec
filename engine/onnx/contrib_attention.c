/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention, with the projection of its input to query, key and value;
 * QAttention, which is the same of integers; and MultiHeadAttention, behind a
 * projection.
 */
#include "engine/onnx/attend.h"
#include "engine/onnx/contrib.h"

/* --- Attention ----------------------------------------------------------- */

enum {
    ATT_INPUT,
    ATT_WEIGHTS,
    ATT_BIAS,
    ATT_MASK,
    ATT_PAST,
    ATT_ATTENTION_BIAS,
    ATT_PAST_LENGTH,
};

/* Columns of q, k and v among those of the weights; equal when not said. */
static int
read_sizes(struct attend *a, int64_t size[3], bool *equal, struct err *e)
{
    int n;
    const int64_t *s =
        attr_ints(rewrite_node(a->x.u, a->x.node), "qkv_hidden_sizes", &n);

    *equal = n == 0;
    if (*equal)
        return 0;
    if (n != 3 || s[0] != s[1])
        return err_set(e, ERR_INVALID,
                       "attribute qkv_hidden_sizes must be three sizes, the "
                       "first two equal");
    for (int i = 0; i < 3; i++) {
        if (s[i] < 1 || s[i] % a->heads != 0)
            return err_set(e, ERR_INVALID,
                           "attribute qkv_hidden_sizes: %lld does not divide "
                           "into %lld heads",
                           (long long)s[i], (long long)a->heads);
        size[i] = s[i];
    }
    return 0;
}

/* The projection [B,S,q + k + v], in its three parts. */
static void
take_apart(struct attend *a, int y, const int64_t size[3], bool equal,
           int part[3])
{
    struct expand *x = &a->x;
    const int in[2] = {y, equal ? -1 : expand_ints(x, "sizes", size, 3)};
    struct node *n;

    for (int i = 0; i < 3; i++)
        part[i] = rewrite_value(x->u, x->node, "qkv");
    rewrite_append(x->u, x->node, OP_SPLIT, in, equal ? 1 : 2, part[0]);
    n = expand_last(x);
    n->out = arena_new_in(x->u->g->arena, 3, sizeof *n->out);
    n->n_out = 3;
    for (int i = 0; i < 3; i++) {
        n->out[i] = part[i];
        x->u->g->values.at[part[i]].producer = (int)x->u->g->nodes.n - 1;
    }
    attr_set_int(x->u->g, n, "axis", -1);
    facts_follow(&x->u->facts, x->u->g, n);
}

/* Input past [2,B,N,P,H], output present [2,B,N,T,H]. */
static void
past_and_present(struct attend *a, int past)
{
    static const int64_t first = 0;
    struct expand *x = &a->x;
    int both[2];

    if (past >= 0) {
        int keys = expand_op2(x, OP_GATHER, past, expand_index(x, "keys", 0));
        int values =
            expand_op2(x, OP_GATHER, past, expand_index(x, "values", 1));

        a->k = attend_behind(a, keys, a->k);
        a->v = attend_behind(a, values, a->v);
    }
    if (x->n_out < 2)
        return;
    both[0] = expand_unsqueeze(x, a->k, &first, 1);
    both[1] = expand_unsqueeze(x, a->v, &first, 1);
    expand_give(x, 1, expand_concat(x, both, 2, 0));
}

/* All behind the projection y; mask and bias are set. */
static int
attend_to(struct attend *a, int y, int past, struct err *e)
{
    int64_t size[3] = {0};
    bool equal;
    int part[3];

    if (read_sizes(a, size, &equal, e) != 0)
        return e->code;
    take_apart(a, y, size, equal, part);
    a->q = attend_by_head(a, part[0], a->heads);
    a->k = attend_by_head(a, part[1], a->heads);
    a->v = attend_by_head(a, part[2], a->heads);
    past_and_present(a, past);
    return attend_end(a, e);
}

static int
begin(struct attend *a, struct upgrade *u, int node, struct err *e)
{
    if (rewrite_only_default(u, node, "do_rotary", 0, e) != 0 ||
        rewrite_only_default(u, node, "past_present_share_buffer", 0, e) != 0)
        return e->code;
    return attend_begin(a, u, node, e);
}

static int
attention(struct upgrade *u, int node, struct err *e)
{
    struct attend a;
    struct expand *x = &a.x;
    int y;

    if (begin(&a, u, node, e) != 0)
        return e->code;
    if (expand_in(x, ATT_PAST_LENGTH) >= 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "input 6 (past_sequence_length) is not supported");
    y = expand_op2(x, OP_MATMUL, expand_in(x, ATT_INPUT),
                   expand_in(x, ATT_WEIGHTS));
    if (expand_in(x, ATT_BIAS) >= 0)
        y = expand_op2(x, OP_ADD, y, expand_in(x, ATT_BIAS));
    a.mask = expand_in(x, ATT_MASK);
    a.bias = expand_in(x, ATT_ATTENTION_BIAS);
    return attend_to(&a, y, expand_in(x, ATT_PAST), e);
}

/* --- QAttention ---------------------------------------------------------- */

enum {
    QATT_INPUT,
    QATT_WEIGHTS,
    QATT_BIAS,
    QATT_INPUT_SCALE,
    QATT_WEIGHTS_SCALE,
    QATT_MASK,
    QATT_INPUT_ZERO,
    QATT_WEIGHTS_ZERO,
    QATT_PAST,
};

/* What the integers of input i mean. */
static int
real(struct expand *x, int i, int scale, int zero)
{
    const int in[3] = {expand_in(x, i), expand_in(x, scale),
                       expand_in(x, zero)};
    int y = expand_op(x, OP_DEQUANTIZE_LINEAR, in, in[2] < 0 ? 2 : 3);

    attr_set_int(x->u->g, expand_last(x), "axis", -1);
    return y;
}

/* The product of integers, with the scale of an input that is known at run
 * time only. */
static int
integer_product(struct expand *x)
{
    const int in[4] = {expand_in(x, QATT_INPUT), expand_in(x, QATT_WEIGHTS),
                       expand_in(x, QATT_INPUT_ZERO),
                       expand_in(x, QATT_WEIGHTS_ZERO)};
    int y = expand_op(x, OP_MATMUL_INTEGER, in, 4);
    int scale = expand_op2(x, OP_MUL, expand_in(x, QATT_INPUT_SCALE),
                           expand_in(x, QATT_WEIGHTS_SCALE));

    return expand_op2(x, OP_MUL, expand_cast(x, y, DTYPE_FLOAT), scale);
}

static int
q_attention(struct upgrade *u, int node, struct err *e)
{
    struct attend a;
    struct expand *x = &a.x;
    int y;

    if (begin(&a, u, node, e) != 0)
        return e->code;
    if (graph_value(u->g, expand_in(x, QATT_INPUT_SCALE))->data == NULL)
        y = integer_product(x);
    else
        y = expand_op2(
            x, OP_MATMUL,
            real(x, QATT_INPUT, QATT_INPUT_SCALE, QATT_INPUT_ZERO),
            real(x, QATT_WEIGHTS, QATT_WEIGHTS_SCALE, QATT_WEIGHTS_ZERO));
    y = expand_op2(x, OP_ADD, y, expand_in(x, QATT_BIAS));
    a.mask = expand_in(x, QATT_MASK);
    return attend_to(&a, y, expand_in(x, QATT_PAST), e);
}

/* --- MultiHeadAttention -------------------------------------------------- */

enum {
    MHA_QUERY,
    MHA_KEY,
    MHA_VALUE,
    MHA_BIAS,
    MHA_MASK,
    MHA_ATTENTION_BIAS,
    MHA_PAST_KEY,
    MHA_PAST_VALUE,
    MHA_PAST_LENGTH,
};

/* Part i of n of a packed tensor [B,S,N,n,H], as [B,S,N*H]. */
static int
packed_part(struct attend *a, int value, int i)
{
    struct expand *x = &a->x;
    int part = expand_op2(x, OP_GATHER, value, expand_index(x, "part", i));

    attr_set_int(x->u->g, expand_last(x), "axis", 3);
    return expand_reshape(x, part, (const int64_t[]){0, 0, -1}, 3);
}

/*
 * [B,S,N*H] of query, key and value in part; those that the file already has
 * by head, as [B,N,S,H], are not.
 */
static int
parts(struct attend *a, int part[3], bool *by_head_already, struct err *e)
{
    struct expand *x = &a->x;
    int rank[3];

    *by_head_already = false;
    for (int i = 0; i < 3; i++) {
        part[i] = expand_in(x, i);
        rank[i] = rewrite_fact(x->u, x->node, i).rank;
        if (part[i] >= 0 && rank[i] == SHAPE_UNKNOWN) /* the last is packed */
            rank[i] = i < 2 && expand_in(x, i + 1) < 0 ? 5 : 3;
    }
    if (rank[0] == 5 && part[1] < 0 && part[2] < 0) {
        for (int i = 0; i < 3; i++)
            part[i] = packed_part(a, expand_in(x, 0), i);
        return 0;
    }
    if (rank[0] == 3 && part[1] >= 0 && rank[1] == 5 && part[2] < 0) {
        for (int i = 0; i < 2; i++)
            part[1 + i] = packed_part(a, expand_in(x, 1), i);
        return 0;
    }
    *by_head_already = rank[1] == 4 && rank[2] == 4;
    if (rank[0] == 3 && part[1] >= 0 && part[2] >= 0 &&
        (*by_head_already || (rank[1] == 3 && rank[2] == 3)))
        return 0;
    return err_set(e, ERR_UNSUPPORTED,
                   "query, key and value of rank %d, %d and %d (-1: absent) "
                   "are not supported",
                   rank[0], rank[1], rank[2]);
}

/* Adds to each part its own piece of input bias: [q + k + v]. */
static void
add_biases(struct attend *a, int part[3])
{
    static const int64_t zero = 0, end = INT64_MAX;
    struct expand *x = &a->x;
    int bias = expand_in(x, MHA_BIAS), from, to;

    if (bias < 0)
        return;
    from = expand_ints(x, "bias_from", &zero, 1);
    for (int i = 0; i < 3; i++) {
        to = i == 2 ? expand_ints(x, "bias_to", &end, 1)
                    : expand_op2(x, OP_ADD, from, expand_dim(x, part[i], 2));
        part[i] =
            expand_op2(x, OP_ADD, part[i], expand_slice(x, bias, from, to, 0));
        from = to;
    }
}

static int
multi_head_attention(struct upgrade *u, int node, struct err *e)
{
    struct attend a;
    bool already;
    int part[3], past_key, past_value;

    if (attend_begin(&a, u, node, e) != 0 || parts(&a, part, &already, e) != 0)
        return e->code;
    for (int i = MHA_PAST_LENGTH; i < a.x.n_in; i++)
        if (expand_in(&a.x, i) >= 0)
            return err_set(e, ERR_UNSUPPORTED, "input %d (%s) is not supported",
                           i,
                           i == MHA_PAST_LENGTH ? "past_sequence_length"
                                                : "cache_indirection");
    a.mask = expand_in(&a.x, MHA_MASK);
    a.bias = expand_in(&a.x, MHA_ATTENTION_BIAS);
    past_key = expand_in(&a.x, MHA_PAST_KEY);
    past_value = expand_in(&a.x, MHA_PAST_VALUE);
    if ((past_key < 0) != (past_value < 0))
        return err_set(e, ERR_INVALID,
                       "of inputs 6 (past_key) and 7 (past_value) only one is "
                       "given");
    if (already && (expand_in(&a.x, MHA_BIAS) >= 0 || past_key >= 0))
        return err_set(e, ERR_INVALID,
                       "a key of rank 4 goes with neither bias nor past");
    add_biases(&a, part);
    a.q = attend_by_head(&a, part[0], a.heads);
    a.k = already ? part[1] : attend_by_head(&a, part[1], a.heads);
    a.v = already ? part[2] : attend_by_head(&a, part[2], a.heads);
    if (past_key >= 0) {
        a.k = attend_behind(&a, past_key, a.k);
        a.v = attend_behind(&a, past_value, a.v);
    }
    expand_give(&a.x, 1, a.k);
    expand_give(&a.x, 2, a.v);
    return attend_end(&a, e);
}

#define ANY OPSET_ANY, OPSET_LAST

const struct rule rules_contrib_attention[] = {
    {"Attention", ANY, {OP_RESHAPE, 2, 7, 2, attention}},
    {"MultiHeadAttention", ANY, {OP_RESHAPE, 1, 10, 3, multi_head_attention}},
    {"QAttention", ANY, {OP_RESHAPE, 5, 9, 2, q_attention}},
    {NULL, 0, 0, {0}},
};
