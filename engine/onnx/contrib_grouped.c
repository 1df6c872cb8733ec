/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RotaryEmbedding and GroupQueryAttention, as the decoders of language models
 * have them.
 *
 * GroupQueryAttention keeps the length of each row of a batch by itself: row b
 * has seen seqlens_k[b] + 1 places, the last S of which are new, so that the
 * new ones begin at
 *
 *     start[b] = max(seqlens_k[b] + 1 - S, 0)
 *
 * and what is kept of the past lies before that; behind the new ones there are
 * zeros.  Place s of row b sees the places up to start[b] + s.
 */
#include "engine/onnx/attend.h"
#include "engine/onnx/contrib.h"

#include <math.h>

/* Places s of [first + s], s = 0..length - 1; first broadcasts. */
static int
counted(struct expand *x, int first, int length)
{
    int at = expand_op(x, OP_RANGE,
                       (const int[]){expand_index(x, "from", 0),
                                     expand_op1(x, OP_SQUEEZE, length),
                                     expand_index(x, "step", 1)},
                       3);

    return first < 0 ? at : expand_op2(x, OP_ADD, at, first);
}

/* --- RotaryEmbedding ----------------------------------------------------- */

enum { ROT_INPUT, ROT_PLACES, ROT_COS, ROT_SIN };

/* Position ids [B,S]; the file may give the first one only. */
static int
places(struct expand *x, int rank, int batch, int length)
{
    int first = expand_in(x, ROT_PLACES);

    if (rank == 2)
        return first;
    return expand_op2(x, OP_EXPAND,
                      counted(x, expand_cast(x, first, DTYPE_INT64), length),
                      expand_concat(x, (const int[]){batch, length}, 2, 0));
}

/*
 * Attributes of the node added last.
 *
 * heads: 0 where x has an axis for them
 */
static void
set_rotary(struct expand *x, int64_t heads, int64_t turned, int64_t interleaved)
{
    struct node *n = expand_last(x);

    attr_set_int(x->u->g, n, "interleaved", interleaved);
    attr_set_int(x->u->g, n, "rotary_embedding_dim", turned);
    attr_set_int(x->u->g, n, "num_heads", heads);
}

/* Input [B,S,N*H], where N is only said by the tables [M,H/2]: [B,S,N,H]. */
static int
with_heads(struct expand *x)
{
    const int64_t two = 2;
    int dims[2] = {expand_ints(x, "heads", (const int64_t[]){0, 0, -1}, 3),
                   expand_op2(x, OP_MUL,
                              expand_dim(x, expand_in(x, ROT_COS), 1),
                              expand_ints(x, "two", &two, 1))};

    return expand_op2(x, OP_RESHAPE, expand_in(x, ROT_INPUT),
                      expand_concat(x, dims, 2, 0));
}

static int
rotary_embedding(struct upgrade *u, int node, struct err *e)
{
    static const int64_t turn[] = {0, 2, 1, 3};
    const struct node *n = rewrite_node(u, node);
    int64_t heads = attr_int(n, "num_heads", 0);
    int64_t turned = attr_int(n, "rotary_embedding_dim", 0);
    int64_t interleaved = attr_int(n, "interleaved", 0);
    int rank = rewrite_fact(u, node, ROT_INPUT).rank;
    int rank_places = rewrite_fact(u, node, ROT_PLACES).rank;
    bool apart = rank == 3 && heads == 0;
    struct expand x;
    int in[4], y;

    if (rewrite_only_default(u, node, "is_packed_batching", 0, e) != 0)
        return e->code;
    if (attr_float(n, "scale", 1) != 1)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute scale = %g is not supported",
                       (double)attr_float(n, "scale", 1));
    if (heads < 0 || (heads == 0 && turned != 0))
        return err_set(e, ERR_INVALID,
                       "attribute num_heads = %lld with rotary_embedding_dim = "
                       "%lld",
                       (long long)heads, (long long)turned);
    if ((rank != 3 && rank != 4) || rank_places < 0 || rank_places > 2)
        return err_set(e, ERR_UNSUPPORTED,
                       "inputs of rank %d and %d (-1: not known): must be 3 or "
                       "4, and at most 2",
                       rank, rank_places);
    expand_begin(&x, u, node);
    in[0] = expand_in(&x, ROT_INPUT);
    in[1] = expand_in(&x, ROT_COS);
    in[2] = expand_in(&x, ROT_SIN);
    in[3] = places(&x, rank_places, expand_dim(&x, in[0], 0),
                   expand_dim(&x, in[0], rank == 3 ? 1 : 2));
    if (apart)
        in[0] = expand_transpose(&x, with_heads(&x), turn, 4);
    y = expand_op(&x, OP_ROTARY_EMBEDDING, in, 4);
    set_rotary(&x, rank == 3 ? heads : 0, turned, interleaved);
    if (!apart)
        return expand_end(&x, OP_IDENTITY, &y, 1, e);
    in[0] = expand_transpose(&x, y, turn, 4);
    in[1] = expand_op1(&x, OP_SHAPE, expand_in(&x, ROT_INPUT));
    return expand_end(&x, OP_RESHAPE, in, 2, e);
}

/* --- GroupQueryAttention -------------------------------------------------- */

enum {
    GQA_QUERY,
    GQA_KEY,
    GQA_VALUE,
    GQA_PAST_KEY,
    GQA_PAST_VALUE,
    GQA_LENGTHS, /* seqlens_k */
    GQA_TOTAL,   /* the longest of them */
    GQA_COS,
    GQA_SIN,
    GQA_PLACES, /* position ids */
    GQA_BIAS,
    GQA_KNOWN, /* inputs from here on are refused */
};

/* Lengths and places, as values: see above. */
struct grouped {
    struct attend a;
    int start;  /* [B,1] */
    int n_new;  /* S, a list of one */
    int n_past; /* P: how long the past is that the file gives */
    int n_all;  /* T */
    int place;  /* [T]: 0, 1, ... */
};

static int
read_grouped(struct grouped *r, struct upgrade *u, int node, struct err *e)
{
    static const struct {
        const char *name;
        int64_t dflt;
    } fixed[] = {
        {"causal", 1},
        {"qk_output", 0},
        {"sliding_window_cache", 0},
        {"smooth_softmax", 0},
    };
    const struct node *n = rewrite_node(u, node);
    struct attend *a = &r->a;

    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (rewrite_only_default(u, node, fixed[i].name, fixed[i].dflt, e) != 0)
            return e->code;
    if (attend_begin(a, u, node, e) != 0 ||
        rewrite_need_attr(u, node, "kv_num_heads", e) != 0)
        return e->code;
    a->kv_heads = attr_int(n, "kv_num_heads", 0);
    a->softcap = attr_float(n, "softcap", 0);
    if (a->kv_heads < 1 || a->heads % a->kv_heads != 0)
        return err_set(e, ERR_INVALID,
                       "attribute kv_num_heads = %lld does not divide %lld "
                       "heads",
                       (long long)a->kv_heads, (long long)a->heads);
    if (!(a->softcap >= 0) || !isfinite(a->softcap))
        return err_set(e, ERR_INVALID, "attribute softcap = %g",
                       (double)a->softcap);
    for (int i = GQA_KNOWN; i < n->n_in; i++)
        if (n->in[i] >= 0)
            return err_set(e, ERR_UNSUPPORTED, "input %d is not supported", i);
    return 0;
}

/* What must be there, and what must be there together. */
static int
check_grouped(const struct expand *x, bool rotary, struct err *e)
{
    static const int pairs[][2] = {{GQA_KEY, GQA_VALUE},
                                   {GQA_PAST_KEY, GQA_PAST_VALUE},
                                   {GQA_COS, GQA_SIN}};

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if ((expand_in(x, pairs[i][0]) < 0) != (expand_in(x, pairs[i][1]) < 0))
            return err_set(e, ERR_INVALID,
                           "of inputs %d and %d only one is given", pairs[i][0],
                           pairs[i][1]);
    if (expand_in(x, GQA_LENGTHS) < 0 || expand_in(x, GQA_TOTAL) < 0)
        return err_set(e, ERR_INVALID, "input %d is missing",
                       expand_in(x, GQA_LENGTHS) < 0 ? GQA_LENGTHS : GQA_TOTAL);
    if (rotary && expand_in(x, GQA_COS) < 0)
        return err_set(e, ERR_INVALID,
                       "attribute do_rotary needs inputs 7 (cos_cache) and 8 "
                       "(sin_cache)");
    return 0;
}

/* Query, key and value by head; packed, they are one tensor. */
static void
take_apart(struct attend *a)
{
    struct expand *x = &a->x;
    const int64_t size[3] = {a->heads, a->kv_heads, a->kv_heads};
    int64_t from = 0, to;
    int *const part[3] = {&a->q, &a->k, &a->v}, all;

    if (expand_in(x, GQA_KEY) >= 0) {
        for (int i = 0; i < 3; i++)
            *part[i] = attend_by_head(a, expand_in(x, i), size[i]);
        return;
    }
    all =
        attend_by_head(a, expand_in(x, GQA_QUERY), a->heads + 2 * a->kv_heads);
    for (int i = 0; i < 3; i++, from = to) {
        to = from + size[i];
        *part[i] = expand_slice(x, all, expand_ints(x, "from", &from, 1),
                                expand_ints(x, "to", &to, 1), 1);
    }
}

static void
find_places(struct grouped *r)
{
    struct expand *x = &r->a.x;
    const int64_t one = 1, zero = 0, list = -1, column[] = {-1, 1};
    int length = expand_reshape(x, expand_in(x, GQA_LENGTHS), column, 2);
    int total = expand_reshape(x, expand_in(x, GQA_TOTAL), &list, 1);

    r->n_new = expand_dim(x, r->a.q, 2);
    length = expand_op2(x, OP_ADD, expand_cast(x, length, DTYPE_INT64),
                        expand_ints(x, "one", &one, 1));
    r->start = expand_op2(x, OP_MAX, expand_op2(x, OP_SUB, length, r->n_new),
                          expand_ints(x, "zero", &zero, 1));
    r->n_past = r->n_all = -1;
    if (expand_in(x, GQA_PAST_KEY) >= 0) {
        r->n_past = expand_dim(x, expand_in(x, GQA_PAST_KEY), 2);
        r->n_all = expand_op2(x, OP_MAX, r->n_past,
                              expand_cast(x, total, DTYPE_INT64));
    } else {
        r->n_all = r->n_new;
    }
    r->place = counted(x, -1, r->n_all);
}

static void
rotate(struct grouped *r, int *value, int ids, int64_t interleaved)
{
    struct expand *x = &r->a.x;
    const int in[4] = {*value, expand_in(x, GQA_COS), expand_in(x, GQA_SIN),
                       ids};

    *value = expand_op(x, OP_ROTARY_EMBEDDING, in, 4);
    set_rotary(x, 0, 0, interleaved);
}

/*
 * Which place of past, new and one of zeros, in this order, each place of the
 * present is: [B,kv_heads,T,1].
 */
static int
present_places(struct grouped *r)
{
    static const int64_t around[] = {1, 3};
    struct expand *x = &r->a.x;
    int end = expand_op2(x, OP_ADD, r->start, r->n_new);
    int none = expand_op2(x, OP_ADD, r->n_past, r->n_new);
    int moved = expand_op2(x, OP_SUB, r->place, r->start), at, dims[4];

    moved = expand_op2(x, OP_ADD, moved, r->n_past);
    at = expand_op(x, OP_WHERE,
                   (const int[]){expand_op2(x, OP_LESS, r->place, r->start),
                                 r->place, moved},
                   3);
    at = expand_op(
        x, OP_WHERE,
        (const int[]){expand_op2(x, OP_LESS, r->place, end), at, none}, 3);
    at = expand_unsqueeze(x, expand_op2(x, OP_MIN, at, none), around, 2);
    dims[0] = expand_dim(x, r->a.k, 0);
    dims[1] = expand_dim(x, r->a.k, 1);
    dims[2] = r->n_all;
    dims[3] = expand_ints(x, "last", &around[0], 1);
    return expand_op2(x, OP_EXPAND, at, expand_concat(x, dims, 4, 0));
}

/* Past and new keys, or values, in their places: [B,kv_heads,T,H]. */
static int
present(struct grouped *r, int past, int new, int at)
{
    struct expand *x = &r->a.x;
    const int64_t one = 1;
    int dims[4], zeros, all, y;

    for (int i = 0; i < 4; i++)
        dims[i] =
            i == 2 ? expand_ints(x, "one", &one, 1) : expand_dim(x, new, i);
    zeros = expand_op2(x, OP_EXPAND, expand_number(x, "zero", 0),
                       expand_concat(x, dims, 4, 0));
    all = expand_concat(x, (const int[]){past, new, zeros}, 3, 2);
    y = expand_op2(x, OP_GATHER_ND, all, at);
    attr_set_int(x->u->g, expand_last(x), "batch_dims", 2);
    return y;
}

/* The lowest number where a place is not seen: [B,1,S,T]. */
static int
unseen(struct grouped *r, int64_t window)
{
    static const int64_t around[] = {1, 3};
    struct expand *x = &r->a.x;
    int at = expand_unsqueeze(x, counted(x, r->start, r->n_new), around, 2);
    int seen = expand_op2(x, OP_LESS_EQUAL, r->place, at), first;

    if (window > 0) {
        first = expand_op2(x, OP_SUB, at, expand_ints(x, "window", &window, 1));
        seen = expand_op2(x, OP_AND, seen,
                          expand_op2(x, OP_GREATER, r->place, first));
    }
    return expand_op(
        x, OP_WHERE,
        (const int[]){seen, expand_number(x, "seen", 0),
                      expand_number(x, "unseen", attend_lowest(x->type))},
        3);
}

static int
group_query_attention(struct upgrade *u, int node, struct err *e)
{
    const struct node *n = rewrite_node(u, node);
    bool rotary = attr_int(n, "do_rotary", 0) != 0;
    int64_t interleaved = attr_int(n, "rotary_interleaved", 0);
    int64_t window = attr_int(n, "local_window_size", -1);
    struct grouped r = {.place = -1};
    struct attend *a = &r.a;
    int ids, at;

    if (read_grouped(&r, u, node, e) != 0 ||
        check_grouped(&a->x, rotary, e) != 0)
        return e->code;
    take_apart(a);
    find_places(&r);
    if (rotary) {
        ids = expand_in(&a->x, GQA_PLACES);
        if (ids < 0)
            ids = counted(&a->x, r.start, r.n_new);
        rotate(&r, &a->q, ids, interleaved);
        rotate(&r, &a->k, ids, interleaved);
    }
    if (r.n_past >= 0) {
        at = present_places(&r);
        a->k = present(&r, expand_in(&a->x, GQA_PAST_KEY), a->k, at);
        a->v = present(&r, expand_in(&a->x, GQA_PAST_VALUE), a->v, at);
    }
    expand_give(&a->x, 1, a->k);
    expand_give(&a->x, 2, a->v);
    a->bias = unseen(&r, window);
    if (expand_in(&a->x, GQA_BIAS) >= 0)
        a->bias =
            expand_op2(&a->x, OP_ADD, a->bias, expand_in(&a->x, GQA_BIAS));
    return attend_end(a, e);
}

#define ANY OPSET_ANY, OPSET_LAST

const struct rule rules_contrib_grouped[] = {
    {"GroupQueryAttention", ANY, {OP_RESHAPE, 1, 17, 3, group_query_attention}},
    {"RotaryEmbedding", ANY, {OP_ROTARY_EMBEDDING, 4, 4, 1, rotary_embedding}},
    {NULL, 0, 0, {0}},
};
