/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention and MultiHeadAttention, written as exporters do:
 *
 *     q [B,N,S,H] = Transpose(Reshape(q [B,S,N*H])), k and v alike, behind
 *                   what the past holds of them
 *     y [B,S,N*H] = Reshape(Transpose(Softmax(q * k' * scale + mask) * v))
 *
 * with letters as in contrib_attention.h.
 *
 * The mask is a sum of up to three: the file's attention bias, a large
 * negative number where its mask is 0, and a larger one above the diagonal when
 * no place may look at later ones.
 */
#include "engine/onnx/contrib_attention.h"

#include <float.h>
#include <math.h>

int
attend_begin(struct attend *a, struct upgrade *u, int node, struct err *e)
{
    const struct node *n = rewrite_node(u, node);

    if (rewrite_need_attr(u, node, "num_heads", e) != 0)
        return e->code;
    *a = (struct attend){
        .heads = attr_int(n, "num_heads", 0),
        .scale = attr_float(n, "scale", 0),
        .filter = attr_float(n, "mask_filter_value", -10000.0f),
        .causal = attr_int(n, "unidirectional", 0) != 0,
        .q = -1,
        .k = -1,
        .v = -1,
        .mask = -1,
        .bias = -1,
    };
    a->kv_heads = a->heads;
    if (a->heads < 1 || a->heads > 1 << 16)
        return err_set(e, ERR_INVALID, "attribute num_heads = %lld",
                       (long long)a->heads);
    if (!isfinite(a->scale) || isnan(a->filter))
        return err_set(e, ERR_INVALID, "attribute %s is no number",
                       isnan(a->filter) ? "mask_filter_value" : "scale");
    expand_begin(&a->x, u, node);
    return 0;
}

/* --- heads --------------------------------------------------------------- */

/* [B,S,N,H] as [B,N,S,H], or back. */
static int
turned(struct attend *a, int value)
{
    return expand_transpose(&a->x, value, (const int64_t[]){0, 2, 1, 3}, 4);
}

int
attend_by_head(struct attend *a, int value, int64_t heads)
{
    return turned(
        a, expand_reshape(&a->x, value, (const int64_t[]){0, 0, heads, -1}, 4));
}

/* k or v of the past, then the new one. */
static int
behind(struct attend *a, int past, int value)
{
    return expand_concat(&a->x, (const int[]){past, value}, 2, 2);
}

/* --- masks --------------------------------------------------------------- */

static int
add(struct attend *a, int sum, int term)
{
    if (sum < 0 || term < 0)
        return sum < 0 ? term : sum;
    return expand_op2(&a->x, OP_ADD, sum, term);
}

/* 0 where a condition holds, the filter where not. */
static int
filter_where_not(struct attend *a, int condition)
{
    int zero = expand_number(&a->x, "kept", 0);
    int filter = expand_number(&a->x, "masked", a->filter);

    return expand_op(&a->x, OP_WHERE, (const int[]){condition, zero, filter},
                     3);
}

/* Length T of what is looked at, a list of one. */
static int
total(struct attend *a)
{
    return expand_dim(&a->x, a->k, 2);
}

/*
 * A list of where the valid places end in each row, and perhaps behind it of
 * where they begin: [B] or [2*B].
 */
static int
by_ends(struct attend *a)
{
    static const int64_t zero = 0, one = 1, any = -1, column[] = {-1, 1};
    struct expand *x = &a->x;
    int rows[2], shape[2], list[2], in[3], at;

    shape[0] = expand_ints(x, "one", &one, 1);
    shape[1] = expand_dim(x, a->q, 0);
    /* A row of zeros behind the file's: where no list says so, all begin. */
    rows[1] = expand_op2(x, OP_EXPAND, expand_ints(x, "zero", &zero, 1),
                         expand_concat(x, shape, 2, 0));
    shape[0] = expand_ints(x, "any", &any, 1);
    rows[0] = expand_op2(x, OP_RESHAPE, expand_cast(x, a->mask, DTYPE_INT64),
                         expand_concat(x, shape, 2, 0));
    rows[0] = expand_concat(x, rows, 2, 0);
    for (int i = 0; i < 2; i++) {
        list[i] = expand_op2(x, OP_GATHER, rows[0], expand_index(x, "row", i));
        list[i] = expand_reshape(x, list[i], column, 2);
    }
    in[0] = expand_index(x, "from", 0);
    in[1] = expand_op1(x, OP_SQUEEZE, total(a));
    in[2] = expand_index(x, "step", 1);
    at = expand_op(x, OP_RANGE, in, 3);
    return expand_op2(x, OP_AND, expand_op2(x, OP_LESS, at, list[0]),
                      expand_op2(x, OP_GREATER_EQUAL, at, list[1]));
}

/* Of a square mask [B,1,M,M]: the rows that are asked about, T columns. */
static int
part_of_square(struct attend *a)
{
    struct expand *x = &a->x;
    const int64_t zero = 0;
    int from = expand_ints(x, "from", &zero, 1), end = total(a);
    int start = expand_op2(x, OP_SUB, end, expand_dim(x, a->q, 2));

    return expand_slice(x, expand_slice(x, a->mask, start, end, 2), from, end,
                        3);
}

/* The file's mask as a number to add, [B or 1,1,S or 1,T]; *out -1: none. */
static int
mask_term(struct attend *a, int *out, struct err *e)
{
    static const int64_t inner[] = {1, 2};
    struct expand *x = &a->x;
    int rank, valid;

    *out = -1;
    if (a->mask < 0)
        return 0;
    rank = facts_get(&x->u->facts, x->u->g, a->mask).rank;
    if (rank < 1 || rank > 4)
        return err_set(e, ERR_UNSUPPORTED,
                       rank < 0 ? "the rank of its mask is not known"
                                : "its mask has rank %d, must be 1 to 4",
                       rank);
    if (rank == 1) {
        valid = by_ends(a);
    } else {
        valid = expand_cast(x, rank == 4 ? part_of_square(a) : a->mask,
                            DTYPE_INT64);
        valid = expand_op2(x, OP_GREATER, valid, expand_index(x, "zero", 0));
    }
    *out = filter_where_not(a, valid);
    if (rank < 4)
        *out = expand_unsqueeze(x, *out, inner, rank == 3 ? 1 : 2);
    return 0;
}

/* A number of the type that no sum of scores comes near. */
float
attend_lowest(enum dtype t)
{
    return t == DTYPE_FLOAT16    ? -65504.0f
           : t == DTYPE_BFLOAT16 ? -0x1.fep127f
                                 : -FLT_MAX;
}

/*
 * The lowest number above the diagonal that the last place lies on: [S,T].
 * It is not the filter: a place that sees nothing but what is masked sees that
 * rather than what comes later.
 */
static int
causal_term(struct attend *a)
{
    struct expand *x = &a->x;
    int shape[2] = {expand_dim(x, a->q, 2), total(a)}, full, past, in[2];
    const int64_t one = 1;

    if (!a->causal)
        return -1;
    full = expand_op2(x, OP_EXPAND,
                      expand_number(x, "later", attend_lowest(x->type)),
                      expand_concat(x, shape, 2, 0));
    past = expand_op2(x, OP_SUB, shape[1], shape[0]);
    in[0] = full;
    in[1] = expand_op2(x, OP_ADD, past, expand_ints(x, "one", &one, 1));
    return expand_op(x, OP_TRILU, in, 2);
}

/* --- softmax(q * k' * scale + mask) * v ---------------------------------- */

static int
scaled(struct attend *a, int scores)
{
    struct expand *x = &a->x;
    int cap;

    if (a->scale != 0) {
        scores =
            expand_op2(x, OP_MUL, scores, expand_number(x, "scale", a->scale));
    } else {
        int size = expand_cast(x, expand_dim(x, a->q, 3), x->type);

        scores = expand_op2(x, OP_DIV, scores, expand_op1(x, OP_SQRT, size));
    }
    if (a->softcap == 0)
        return scores;
    cap = expand_number(x, "softcap", a->softcap);
    scores = expand_op1(x, OP_TANH, expand_op2(x, OP_DIV, scores, cap));
    return expand_op2(x, OP_MUL, scores, cap);
}

/*
 * Where several heads of q share one of k and v, they are as if one were
 * longer: [B,from,..,last] as [B,to,..,last], the axis in between what fits.
 */
static int
shared(struct attend *a, int value, int64_t to)
{
    struct expand *x = &a->x;
    int dims[2];

    if (a->kv_heads == a->heads)
        return value;
    dims[0] = expand_ints(x, "heads", (const int64_t[]){0, to, -1}, 3);
    dims[1] = expand_dim(x, value, 3);
    return expand_op2(x, OP_RESHAPE, value, expand_concat(x, dims, 2, 0));
}

int
attend_end(struct attend *a, struct err *e)
{
    struct expand *x = &a->x;
    int in[2], mask, y, k;

    if (mask_term(a, &mask, e) != 0)
        return e->code;
    mask = add(a, mask, causal_term(a));
    mask = add(a, mask, a->bias);
    k = expand_transpose(x, a->k, (const int64_t[]){0, 1, 3, 2}, 4);
    y = expand_op2(x, OP_MATMUL, shared(a, a->q, a->kv_heads), k);
    y = add(a, shared(a, scaled(a, y), a->heads), mask);
    y = expand_op1(x, OP_SOFTMAX, y);
    attr_set_int(x->u->g, expand_last(x), "axis", -1);
    y = expand_op2(x, OP_MATMUL, shared(a, y, a->kv_heads), a->v);
    in[0] = turned(a, shared(a, y, a->heads));
    in[1] = expand_ints(x, "shape", (const int64_t[]){0, 0, -1}, 3);
    return expand_end(x, OP_RESHAPE, in, 2, e);
}

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

/* The product of input and weights, [B,S,q + k + v], in its three parts. */
static void
project(struct attend *a, const int64_t size[3], bool equal, int part[3])
{
    struct expand *x = &a->x;
    int y = expand_op2(x, OP_MATMUL, expand_in(x, ATT_INPUT),
                       expand_in(x, ATT_WEIGHTS));
    int in[2];
    struct node *n;

    y = add(a, y, expand_in(x, ATT_BIAS));
    in[0] = y;
    in[1] = equal ? -1 : expand_ints(x, "sizes", size, 3);
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
past_and_present(struct attend *a)
{
    static const int64_t first = 0;
    struct expand *x = &a->x;
    int past = expand_in(x, ATT_PAST), both[2];

    if (past >= 0) {
        int keys = expand_op2(x, OP_GATHER, past, expand_index(x, "keys", 0));
        int values =
            expand_op2(x, OP_GATHER, past, expand_index(x, "values", 1));

        a->k = behind(a, keys, a->k);
        a->v = behind(a, values, a->v);
    }
    if (x->n_out < 2)
        return;
    both[0] = expand_unsqueeze(x, a->k, &first, 1);
    both[1] = expand_unsqueeze(x, a->v, &first, 1);
    expand_give(x, 1, expand_concat(x, both, 2, 0));
}

static int
attention(struct upgrade *u, int node, struct err *e)
{
    int64_t size[3] = {0};
    struct attend a;
    bool equal;
    int part[3];

    if (rewrite_only_default(u, node, "do_rotary", 0, e) != 0 ||
        rewrite_only_default(u, node, "past_present_share_buffer", 0, e) != 0 ||
        attend_begin(&a, u, node, e) != 0 ||
        read_sizes(&a, size, &equal, e) != 0)
        return e->code;
    if (expand_in(&a.x, ATT_PAST_LENGTH) >= 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "input 6 (past_sequence_length) is not supported");
    project(&a, size, equal, part);
    a.mask = expand_in(&a.x, ATT_MASK);
    a.bias = expand_in(&a.x, ATT_ATTENTION_BIAS);
    a.q = attend_by_head(&a, part[0], a.heads);
    a.k = attend_by_head(&a, part[1], a.heads);
    a.v = attend_by_head(&a, part[2], a.heads);
    past_and_present(&a);
    return attend_end(&a, e);
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
        if (part[i] >= 0 && rank[i] == SHAPE_UNKNOWN)
            return err_set(e, ERR_UNSUPPORTED,
                           "the rank of input %d is not known", i);
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
        a.k = behind(&a, past_key, a.k);
        a.v = behind(&a, past_value, a.v);
    }
    expand_give(&a.x, 1, a.k);
    expand_give(&a.x, 2, a.v);
    return attend_end(&a, e);
}

#define ANY OPSET_ANY, OPSET_LAST

const struct rule rules_contrib_attention[] = {
    {"Attention", ANY, {OP_RESHAPE, 2, 7, 2, attention}},
    {"MultiHeadAttention", ANY, {OP_RESHAPE, 1, 10, 3, multi_head_attention}},
    {NULL, 0, 0, {0}},
};
