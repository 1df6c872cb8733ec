/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention, written as exporters do:
 *
 *     q [B,N,S,H] = Transpose(Reshape(q [B,S,N*H])), k and v alike, behind
 *                   what the past holds of them
 *     y [B,S,N*H] = Reshape(Transpose(Softmax(q * k' * scale + mask) * v))
 *
 * with letters as in attend.h.
 *
 * The mask is a sum of up to three: the file's attention bias, a large
 * negative number where its mask is 0, and a larger one above the diagonal when
 * no place may look at later ones.
 */
#include "engine/onnx/attend.h"

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

int
attend_behind(struct attend *a, int past, int value)
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
