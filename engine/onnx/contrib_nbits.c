/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights in a few bits, with a scale and perhaps a zero point for each block.
 *
 * MatMulNBits is a product whose constant second factor is kept in 2, 4 or 8
 * bits:
 *
 *     A [..,K]  B [N,blocks,block * bits / 8]  scales, zero points [N,blocks]
 *
 * It becomes MatMul(A, DequantizeLinear(B [K,N])), one byte an integer, in
 * blocks along axis 0.  The integers of a byte stand from the lowest bits up;
 * the zero points of a column are packed in the same way, and are in the
 * middle of the range where there are none.
 *
 * GatherBlockQuantized is a look-up in such a table, whose integers have the
 * type of ONNX or are packed along the last axis.
 */
#include "engine/onnx/contrib.h"

enum {
    IN_A,
    IN_B,
    IN_SCALES,
    IN_ZEROS,
    IN_GROUPS,
    IN_BIAS,
};

enum { MIN_BLOCK = 16, MAX_BLOCK = 1 << 20, MAX_SIDE = 1 << 24 };

struct packed {
    int64_t rows, columns; /* K, N */
    int64_t bits, block, blocks;
};

static int64_t
divided_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int
between(const struct node *n, const char *name, int64_t min, int64_t max,
        int64_t *out, struct err *e)
{
    *out = attr_int(n, name, 0);
    if (*out < min || *out > max)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute %s = %lld is not supported: %lld to %lld are",
                       name, (long long)*out, (long long)min, (long long)max);
    return 0;
}

static int
read_packed(const struct node *n, struct packed *p, struct err *e)
{
    if (between(n, "K", 1, MAX_SIDE, &p->rows, e) != 0 ||
        between(n, "N", 1, MAX_SIDE, &p->columns, e) != 0 ||
        between(n, "block_size", MIN_BLOCK, MAX_BLOCK, &p->block, e) != 0)
        return e->code;
    p->bits = attr_int(n, "bits", 4);
    if (p->bits != 2 && p->bits != 4 && p->bits != 8)
        return rewrite_refuse(e, "bits", p->bits);
    if ((p->block & (p->block - 1)) != 0)
        return err_set(e, ERR_INVALID,
                       "attribute block_size = %lld is no power of two",
                       (long long)p->block);
    p->blocks = divided_up(p->rows, p->block);
    return 0;
}

/* The bytes of input i, a constant of that many. */
static int
bytes_of(struct upgrade *u, int node, int i, const char *what, int64_t n,
         const uint8_t **out, struct err *e)
{
    const struct value *v = node_in(u->g, rewrite_node(u, node), i);

    if (v->data == NULL || v->dtype != DTYPE_UINT8)
        return err_set(e, ERR_UNSUPPORTED,
                       "input %d (%s) must be constant uint8", i, what);
    if (shape_n(&v->shape) != (size_t)n)
        return err_set(e, ERR_INVALID,
                       "input %d (%s) has %zu bytes, must have %lld", i, what,
                       shape_n(&v->shape), (long long)n);
    *out = v->data;
    return 0;
}

/*
 * A constant [rows,columns] of the integers that are packed column by column,
 * each column beginning on a byte of its own; -1: no memory.
 */
static int
unpacked(struct expand *x, const char *what, const uint8_t *from, int64_t rows,
         const struct packed *p)
{
    const int64_t a_byte = 8 / p->bits, stride = divided_up(rows, a_byte);
    const uint8_t mask = (uint8_t)((1 << p->bits) - 1);
    const struct shape s = SHAPE(rows, p->columns);
    size_t n = (size_t)(rows * p->columns);
    uint8_t *to = graph_const_bytes(x->u->g, n);
    int id;

    if (to == NULL) {
        x->short_of_memory = true;
        return -1;
    }
    for (int64_t k = 0; k < rows; k++) {
        const uint8_t *byte = from + k / a_byte;
        const int shift = (int)(k % a_byte * p->bits);

        for (int64_t c = 0; c < p->columns; c++)
            *to++ = (uint8_t)(byte[c * stride] >> shift) & mask;
    }
    id = rewrite_value(x->u, x->node, what);
    graph_value(x->u->g, id)->dtype = DTYPE_UINT8;
    graph_value(x->u->g, id)->shape = s;
    graph_value(x->u->g, id)->data = to - n;
    return id;
}

/* The integers of B; a column's last block may be longer than its rows. */
static int
weights(struct expand *x, const uint8_t *from, const struct packed *p)
{
    const int64_t zero = 0;
    int padded = unpacked(x, "weights", from, p->blocks * p->block, p);

    if (padded < 0 || p->blocks * p->block == p->rows)
        return padded;
    return expand_slice(x, padded, expand_ints(x, "from", &zero, 1),
                        expand_ints(x, "to", &p->rows, 1), 0);
}

/* Zero points [blocks,N], as the file has them or in the middle. */
static int
zero_points(struct expand *x, const uint8_t *from, const struct packed *p)
{
    const uint8_t middle = (uint8_t)(1 << (p->bits - 1));
    const int64_t shape[2] = {p->blocks, p->columns};
    int id;

    if (from != NULL)
        return unpacked(x, "zero_points", from, p->blocks, p);
    id = rewrite_const(x->u, x->node, "zero_point", DTYPE_UINT8, &SHAPE(1),
                       &middle);
    x->short_of_memory |= id < 0;
    return expand_op2(x, OP_EXPAND, id, expand_ints(x, "shape", shape, 2));
}

static int
matmul_nbits(struct upgrade *u, int node, struct err *e)
{
    const uint8_t *b = NULL, *zeros = NULL;
    struct packed p;
    struct expand x;
    int in[3], y;
    int64_t column;

    if (read_packed(rewrite_node(u, node), &p, e) != 0 ||
        rewrite_only_default(u, node, "weight_prepacked", 0, e) != 0)
        return e->code;
    if (rewrite_has_input(u, node, IN_GROUPS))
        return err_set(e, ERR_UNSUPPORTED, "input 4 (g_idx) is not supported");
    column = divided_up(p.blocks * p.bits, 8);
    if (bytes_of(u, node, IN_B, "B",
                 p.columns * p.blocks * (p.block * p.bits / 8), &b, e) != 0 ||
        (rewrite_has_input(u, node, IN_ZEROS) &&
         bytes_of(u, node, IN_ZEROS, "zero_points", p.columns * column, &zeros,
                  e) != 0))
        return e->code;
    expand_begin(&x, u, node);
    in[0] = weights(&x, b, &p);
    in[1] = expand_reshape(&x, expand_in(&x, IN_SCALES),
                           (const int64_t[]){p.columns, p.blocks}, 2);
    in[1] = expand_transpose(&x, in[1], (const int64_t[]){1, 0}, 2);
    in[2] = zero_points(&x, zeros, &p);
    in[1] = expand_op(&x, OP_DEQUANTIZE_LINEAR, in, 3);
    attr_set_int(u->g, expand_last(&x), "axis", 0);
    attr_set_int(u->g, expand_last(&x), "block_size", p.block);
    in[0] = expand_in(&x, IN_A);
    if (expand_in(&x, IN_BIAS) < 0)
        return expand_end(&x, OP_MATMUL, in, 2, e);
    y = expand_op(&x, OP_MATMUL, in, 2);
    in[0] = y;
    in[1] = expand_in(&x, IN_BIAS);
    return expand_end(&x, OP_ADD, in, 2, e);
}

/* --- GatherBlockQuantized ------------------------------------------------ */

enum { GATHER_TABLE, GATHER_INDICES, GATHER_SCALES, GATHER_ZEROS };

/* Input i, a constant whose rows are packed where its type has 8 bits. */
static int
table(struct expand *x, int i, const char *what, int64_t bits, int *out,
      struct err *e)
{
    const struct value *v = node_in(x->u->g, rewrite_node(x->u, x->node), i);
    const int64_t each = 8 / bits;
    struct shape s = v->shape;
    struct packed p = {.bits = bits, .columns = 1};
    size_t n;

    if (v->data == NULL || !dtype_is_8bit(v->dtype) || s.rank < 1)
        return err_set(e, ERR_UNSUPPORTED,
                       "input %d (%s) must be a constant of integers", i, what);
    *out = expand_in(x, i);
    if (each == 1 || facts_has_four_bits(&x->u->facts, *out))
        return 0;
    if (s.dim[s.rank - 1] > INT64_MAX / each)
        return err_set(e, ERR_INVALID, "input %d (%s) is too long", i, what);
    s.dim[s.rank - 1] *= each;
    if (shape_count(&s, &n, e) != 0)
        return e->code;
    *out = unpacked(x, what, v->data, (int64_t)n, &p);
    if (*out >= 0)
        graph_value(x->u->g, *out)->shape = s;
    return 0;
}

static int
gather_block_quantized(struct upgrade *u, int node, struct err *e)
{
    const struct node *n = rewrite_node(u, node);
    int64_t gather_axis = attr_int(n, "gather_axis", 0);
    int64_t axis = attr_int(n, "quantize_axis", 1);
    int64_t block = attr_int(n, "block_size", 128);
    int64_t bits = attr_int(n, "bits", 4);
    struct expand x;
    int in[3], n_in = 2;

    if (bits != 2 && bits != 4 && bits != 8)
        return rewrite_refuse(e, "bits", bits);
    if (block < MIN_BLOCK)
        return rewrite_refuse(e, "block_size", block);
    expand_begin(&x, u, node);
    if (table(&x, GATHER_TABLE, "data", bits, &in[0], e) != 0)
        return e->code;
    in[1] = expand_in(&x, GATHER_SCALES);
    if (expand_in(&x, GATHER_ZEROS) >= 0) {
        if (table(&x, GATHER_ZEROS, "zero_points", bits, &in[2], e) != 0)
            return e->code;
        n_in = 3;
    } else if (!facts_has_four_bits(&u->facts, in[0])) {
        const uint8_t middle = (uint8_t)(1 << (bits - 1));

        in[2] = rewrite_const(u, node, "zero_point", DTYPE_UINT8, &SHAPE(1),
                              &middle);
        x.short_of_memory |= in[2] < 0;
        in[2] =
            expand_op2(&x, OP_EXPAND, in[2], expand_op1(&x, OP_SHAPE, in[1]));
        n_in = 3;
    }
    in[0] = expand_op(&x, OP_DEQUANTIZE_LINEAR, in, n_in);
    attr_set_int(u->g, expand_last(&x), "axis", axis);
    attr_set_int(u->g, expand_last(&x), "block_size", block);
    in[1] = expand_in(&x, GATHER_INDICES);
    if (expand_end(&x, OP_GATHER, in, 2, e) != 0)
        return e->code;
    attr_set_int(u->g, rewrite_node(u, node), "axis", gather_axis);
    return 0;
}

const struct rule rules_contrib_nbits[] = {
    {"GatherBlockQuantized",
     OPSET_ANY,
     OPSET_LAST,
     {OP_GATHER, 3, 4, 1, gather_block_quantized}},
    {"MatMulNBits", OPSET_ANY, OPSET_LAST, {OP_MATMUL, 3, 6, 1, matmul_nbits}},
    {NULL, 0, 0, {0}},
};
