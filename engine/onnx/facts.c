/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx/facts.h"

#include <string.h>

#include "base/mem.h"

struct fact
facts_get(const struct facts *f, const struct graph *g, int id)
{
    struct fact r = FACT_NONE;
    const struct value *v;

    if (id < 0)
        return r;
    v = &g->values.at[id];
    if ((size_t)id < f->all.n)
        r = f->all.at[id];
    if (v->dtype != DTYPE_NONE)
        r.dtype = v->dtype;
    if (v->shape.rank >= 0)
        r.rank = v->shape.rank;
    if (v->shape.rank == 1 && v->shape.dim[0] >= 0 &&
        v->shape.dim[0] <= SHAPE_MAX_RANK)
        r.length = (int)v->shape.dim[0];
    return r;
}

void
facts_set(struct facts *f, int id, struct fact fact)
{
    while (f->all.n <= (size_t)id)
        VEC_PUSH(&f->all, FACT_NONE);
    if (fact.dtype != DTYPE_NONE)
        f->all.at[id].dtype = fact.dtype;
    if (fact.rank != SHAPE_UNKNOWN)
        f->all.at[id].rank = fact.rank;
    if (fact.length != SHAPE_UNKNOWN)
        f->all.at[id].length = fact.length;
}

bool
facts_has_four_bits(const struct facts *f, int id)
{
    for (size_t i = 0; i < f->four_bits.n; i++)
        if (f->four_bits.at[i] == id)
            return true;
    return false;
}

static enum dtype
result_dtype(const struct node *n, const struct fact *in)
{
    switch (n->op) {
    case OP_BIT_CAST:
    case OP_CAST:
        return (enum dtype)attr_int(n, "to", DTYPE_NONE);
    case OP_NON_MAX_SUPPRESSION:
    case OP_NON_ZERO:
    case OP_SHAPE:
    case OP_SIZE:
    case OP_ARG_MAX:
    case OP_ARG_MIN:
        return DTYPE_INT64;
    case OP_EQUAL:
    case OP_GREATER:
    case OP_GREATER_EQUAL:
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_AND:
    case OP_OR:
    case OP_NOT:
    case OP_XOR:
    case OP_IS_INF:
    case OP_IS_NAN:
        return DTYPE_BOOL;
    case OP_CAST_LIKE:
    case OP_WHERE:
    case OP_DEQUANTIZE_LINEAR: /* that of the scale */
        return in[1].dtype;
    case OP_CONV_INTEGER:
    case OP_MATMUL_INTEGER:
        return DTYPE_INT32;
    case OP_DYNAMIC_QUANTIZE_LINEAR:
        return DTYPE_UINT8;
    case OP_IF: /* whatever their graphs make */
    case OP_LOOP:
    case OP_SCAN:
    case OP_QUANTIZE_LINEAR:
    case OP_CONSTANT_OF_SHAPE:
    case OP_TFIDF_VECTORIZER:
    case OP_ONE_HOT:
    case OP_BLACKMAN_WINDOW:
    case OP_HAMMING_WINDOW:
    case OP_HANN_WINDOW:
    case OP_MEL_WEIGHT_MATRIX:
        return DTYPE_NONE;
    case OP_MULTINOMIAL:
    case OP_RANDOM_NORMAL:
    case OP_RANDOM_UNIFORM:
        return (enum dtype)attr_int(
            n, "dtype", n->op == OP_MULTINOMIAL ? DTYPE_INT32 : DTYPE_FLOAT);
    case OP_BERNOULLI:
    case OP_RANDOM_NORMAL_LIKE:
    case OP_RANDOM_UNIFORM_LIKE:
    case OP_EYE_LIKE:
        return (enum dtype)attr_int(n, "dtype", in[0].dtype);
    default:
        return in[0].dtype;
    }
}

static int
broadcast_rank(const struct node *n, const struct facts *f,
               const struct graph *g)
{
    int rank = 0;

    for (int i = 0; i < n->n_in; i++) {
        int r = facts_get(f, g, n->in[i]).rank;

        if (r == SHAPE_UNKNOWN)
            return SHAPE_UNKNOWN;
        rank = r > rank ? r : rank;
    }
    return rank;
}

static int
reduced_rank(const struct node *n, const struct fact *in)
{
    return attr_int(n, "keepdims", 1) ? in[0].rank : SHAPE_UNKNOWN;
}

static int
result_rank(const struct node *n, const struct fact *in, const struct facts *f,
            const struct graph *g)
{
    int by;

    if (op_is_reduction(n->op))
        return reduced_rank(n, in);
    switch (n->op) {
    case OP_GEMM:
    case OP_FLATTEN:
    case OP_MEL_WEIGHT_MATRIX:
        return 2;
    case OP_GRU:
    case OP_LSTM:
    case OP_RNN:
    case OP_STFT:
        return 4;
    case OP_BLACKMAN_WINDOW:
    case OP_HAMMING_WINDOW:
    case OP_HANN_WINDOW:
    case OP_SHAPE:
    case OP_RANGE:
        return 1;
    case OP_NON_MAX_SUPPRESSION:
    case OP_NON_ZERO:
        return 2;
    case OP_ONE_HOT:
        return in[0].rank == SHAPE_UNKNOWN ? SHAPE_UNKNOWN : in[0].rank + 1;
    case OP_NEGATIVE_LOG_LIKELIHOOD_LOSS:
        return strcmp(attr_string(n, "reduction", "mean"), "none") == 0
                   ? in[1].rank
                   : 0;
    case OP_DET:
        return in[0].rank < 2 ? SHAPE_UNKNOWN : in[0].rank - 2;
    case OP_SIZE:
        return 0;
    case OP_AFFINE_GRID:
    case OP_RESHAPE:
        return in[1].length;
    case OP_SQUEEZE:
    case OP_UNSQUEEZE:
        by = in[1].length;
        if (in[0].rank == SHAPE_UNKNOWN || by == SHAPE_UNKNOWN)
            return SHAPE_UNKNOWN;
        by = in[0].rank + (n->op == OP_SQUEEZE ? -by : by);
        return by < 0 ? SHAPE_UNKNOWN : by;
    case OP_GATHER:
        if (in[0].rank < 1 || in[1].rank == SHAPE_UNKNOWN)
            return SHAPE_UNKNOWN;
        return in[0].rank + in[1].rank - 1;
    case OP_MATMUL:
    case OP_MATMUL_INTEGER:
        if (in[0].rank < 2 || in[1].rank < 2)
            return SHAPE_UNKNOWN;
        return in[0].rank > in[1].rank ? in[0].rank : in[1].rank;
    case OP_ARG_MAX:
    case OP_ARG_MIN:
        return reduced_rank(n, in);
    case OP_ADD:
    case OP_AND:
    case OP_DIV:
    case OP_EQUAL:
    case OP_GREATER:
    case OP_GREATER_EQUAL:
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_MAX:
    case OP_MIN:
    case OP_MOD:
    case OP_MUL:
    case OP_OR:
    case OP_POW:
    case OP_PRELU:
    case OP_SUB:
    case OP_SUM:
    case OP_WHERE:
    case OP_XOR:
        return broadcast_rank(n, f, g);
    case OP_IF:
    case OP_LOOP:
    case OP_SCAN:
    case OP_RANDOM_NORMAL:
    case OP_RANDOM_UNIFORM:
    case OP_COL2IM:
    case OP_COMPRESS:
    case OP_UNIQUE:
    case OP_EINSUM:
    case OP_EXPAND:
    case OP_GATHER_ND:
    case OP_CONSTANT_OF_SHAPE:
        return SHAPE_UNKNOWN;
    default:
        return in[0].rank;
    }
}

/* One index of a slice of a list, brought to 0..length; -1: not constant. */
static int64_t
slice_index(const struct graph *g, const struct node *n, int i, int length)
{
    int64_t at;
    int count;

    if (!value_ints(node_in(g, n, i), &at, 1, &count) || count != 1)
        return -1;
    at = at < 0 ? (at < -length ? 0 : at + length) : at;
    return at < length ? at : length;
}

static int
sliced_length(const struct graph *g, const struct node *n, int length)
{
    int64_t from, to, step = 1;
    int count;

    if (length == SHAPE_UNKNOWN)
        return SHAPE_UNKNOWN;
    from = slice_index(g, n, 1, length);
    to = slice_index(g, n, 2, length);
    if (node_in(g, n, 4) != NULL &&
        !value_ints(node_in(g, n, 4), &step, 1, &count))
        return SHAPE_UNKNOWN;
    if (from < 0 || to < 0 || step != 1)
        return SHAPE_UNKNOWN;
    return to > from ? (int)(to - from) : 0;
}

static int
joined_length(const struct node *n, const struct facts *f,
              const struct graph *g)
{
    int sum = 0;

    for (int i = 0; i < n->n_in; i++) {
        int length = facts_get(f, g, n->in[i]).length;

        if (length == SHAPE_UNKNOWN || sum > SHAPE_MAX_RANK)
            return SHAPE_UNKNOWN;
        sum += length;
    }
    return sum <= SHAPE_MAX_RANK ? sum : SHAPE_UNKNOWN;
}

/* Of a result that is a list. */
static int
result_length(const struct node *n, const struct fact *in,
              const struct facts *f, const struct graph *g)
{
    switch (n->op) {
    case OP_SHAPE:
        return n->n_attrs == 0 ? in[0].rank : SHAPE_UNKNOWN;
    case OP_CAST:
    case OP_IDENTITY:
        return in[0].length;
    case OP_CONCAT:
        return joined_length(n, f, g);
    case OP_GATHER:
        return in[0].rank == 1 ? in[1].length : SHAPE_UNKNOWN;
    case OP_SLICE:
        return sliced_length(g, n, in[0].length);
    case OP_UNSQUEEZE:
        return in[0].rank == 0 ? 1 : SHAPE_UNKNOWN;
    default:
        return SHAPE_UNKNOWN;
    }
}

void
facts_follow(struct facts *f, const struct graph *g, const struct node *n)
{
    struct fact in[2], r;

    for (int i = 0; i < 2; i++)
        in[i] = facts_get(f, g, i < n->n_in ? n->in[i] : -1);
    r = (struct fact){result_dtype(n, in), result_rank(n, in, f, g),
                      SHAPE_UNKNOWN};
    if (r.rank == 1)
        r.length = result_length(n, in, f, g);
    if (n->n_out > 0)
        facts_set(f, n->out[0], r);
    if (n->op == OP_DYNAMIC_QUANTIZE_LINEAR && n->n_out == 3) {
        facts_set(f, n->out[1], (struct fact){DTYPE_FLOAT, 0, SHAPE_UNKNOWN});
        facts_set(f, n->out[2], (struct fact){DTYPE_UINT8, 0, SHAPE_UNKNOWN});
    }
    for (int i = 1; n->op == OP_SPLIT && i < n->n_out; i++)
        facts_set(f, n->out[i], r);
}

void
facts_free(struct facts *f)
{
    mem_free(f->all.at);
    mem_free(f->four_bits.at);
}
