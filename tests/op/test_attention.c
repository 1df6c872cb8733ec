/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention as exporters write it, node by node and joined to one; the joined
 * one must have been made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/both.h"

static int
number(struct graph *g, float v)
{
    return graph_add_const(g, NULL, DTYPE_FLOAT, &(struct shape){0}, &v);
}

static int
ints(struct graph *g, int n, const int64_t *v)
{
    return graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(n), v);
}

static int
reshape(struct graph *g, int x, int n, const int64_t *dims)
{
    return NODE(g, OP_RESHAPE, x, ints(g, n, dims));
}

static int
transpose(struct graph *g, int x, const int64_t *perm, int n)
{
    int y = NODE(g, OP_TRANSPOSE, x);

    attr_set_ints(g, MADE(g, y), "perm", perm, n);
    return y;
}

static int
softmax(struct graph *g, int x)
{
    int y = NODE(g, OP_SOFTMAX, x);

    attr_set_int(g, MADE(g, y), "axis", -1);
    return y;
}

enum { B = 2, H = 3 };

struct size {
    int64_t rows, cols, depth, width;
};

/* [B,T,H,D] in memory, seen as [B,H,T,D]. */
static int
heads(struct graph *g, const char *name, int64_t t, int64_t d)
{
    int x = reshape(g, both_input(g, name, SHAPE(B, t, H * d)), 4,
                    (int64_t[]){B, t, H, d});

    return transpose(g, x, (int64_t[]){0, 2, 1, 3}, 4);
}

enum scale_at { ON_PRODUCT, ON_PRODUCT_DIV, ON_Q, ON_BOTH, SCALES };
enum mask_kind {
    NONE,
    PADDING,
    CAUSAL,
    CAUSAL_AND_PADDING,
    GPT2,
    SUBTRACT,
    MASKS
};

/* Lower triangle, as a bool constant [1,1,rows,cols]. */
static int
triangle(struct graph *g, const struct size *z, bool upper)
{
    bool *m = mem_new((size_t)(z->rows * z->cols), sizeof *m);
    int id;

    for (int64_t i = 0; i < z->rows; i++)
        for (int64_t j = 0; j < z->cols; j++)
            m[i * z->cols + j] = (j <= i) != upper;
    id =
        graph_add_const(g, NULL, DTYPE_BOOL, &SHAPE(1, 1, z->rows, z->cols), m);
    mem_free(m);
    return id;
}

static int
masked(struct graph *g, int s, enum mask_kind kind, const struct size *z)
{
    int pad = kind == PADDING || kind == CAUSAL_AND_PADDING || kind == SUBTRACT
                  ? both_input(g, "mask", SHAPE(B, 1, 1, z->cols))
                  : -1;
    int ones;

    switch (kind) {
    case PADDING:
        pad = NODE(g, OP_MUL, NODE(g, OP_SUB, number(g, 1), pad), number(g, 4));
        return NODE(g, OP_ADD, s, pad);
    case CAUSAL:
        return NODE(g, OP_WHERE, triangle(g, z, true), number(g, -INFINITY), s);
    case CAUSAL_AND_PADDING:
        s = NODE(g, OP_WHERE, triangle(g, z, false), s, number(g, -1e4f));
        return NODE(g, OP_ADD, pad, s);
    case GPT2: /* s b - 1e4 (1 - b) */
        ones = NODE(g, OP_CAST, triangle(g, z, false));
        attr_set_int(g, MADE(g, ones), "to", 1);
        s = NODE(g, OP_MUL, s, ones);
        pad = NODE(g, OP_SUB, number(g, 1), ones);
        return NODE(g, OP_SUB, s, NODE(g, OP_MUL, number(g, 1e4f), pad));
    case SUBTRACT:
        return NODE(g, OP_SUB, s, pad);
    default:
        return s;
    }
}

static void
check(const struct size *z, enum scale_at at, enum mask_kind kind, bool turned)
{
    struct graph *g = graph_new();
    int q = heads(g, "q", z->rows, z->depth), s, y;
    int k = reshape(g, both_input(g, "k", SHAPE(B, z->cols, H * z->depth)), 4,
                    (int64_t[]){B, z->cols, H, z->depth});
    int v = heads(g, "v", z->cols, z->width);
    char what[100];

    if (turned) {
        k = transpose(g, k, (int64_t[]){0, 2, 3, 1}, 4);
    } else {
        k = transpose(g, k, (int64_t[]){0, 2, 1, 3}, 4);
        k = transpose(g, k, (int64_t[]){0, 1, 3, 2}, 4);
    }
    if (at == ON_Q || at == ON_BOTH)
        q = NODE(g, OP_MUL, q, number(g, 0.7f));
    if (at == ON_BOTH)
        k = NODE(g, OP_DIV, k, number(g, 1.5f));
    s = NODE(g, OP_MATMUL, q, k);
    if (at == ON_PRODUCT)
        s = NODE(g, OP_MUL, number(g, 0.35f), s);
    if (at == ON_PRODUCT_DIV)
        s = NODE(g, OP_DIV, s, number(g, 3));
    s = softmax(g, masked(g, s, kind, z));
    y = NODE(g, OP_MATMUL, s, v);
    if (turned) {
        y = transpose(g, y, (int64_t[]){0, 2, 1, 3}, 4);
        y = reshape(g, y, 3, (int64_t[]){B, z->rows, H * z->width});
    }
    snprintf(what, sizeof what, "attention %dx%dx%dx%d scale %d mask %d",
             (int)z->rows, (int)z->cols, (int)z->depth, (int)z->width, at,
             kind);
    both_check(g, y, 2e-5, "dnn.attention", what);
}

static void
test_forms(void **state)
{
    static const struct size sizes[] = {
        {1, 1, 1, 1},     {7, 7, 5, 3},      {16, 16, 16, 16},
        {1, 40, 64, 64},  {37, 37, 32, 32},  {130, 130, 64, 64},
        {50, 20, 24, 40}, {13, 300, 80, 17},
    };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int kind = 0; kind < MASKS; kind++)
            check(&sizes[i], (enum scale_at)((int)(i + (size_t)kind) % SCALES),
                  kind, (i + (size_t)kind) % 3 != 0);
    for (int at = 0; at < SCALES; at++)
        for (int kind = 0; kind < MASKS; kind++)
            check(&sizes[2], at, kind, at % 2 == 0);
}

/* q, k and v split from one product, as [B,T,3,H,D] (ViT) or [B,T,3HD]. */
static void
test_one_product(void **state)
{
    enum { T = 21, D = 16 };

    (void)state;
    for (int form = 0; form < 2; form++) {
        struct graph *g = graph_new();
        int x = NODE(g, OP_MATMUL, both_input(g, "x", SHAPE(B, T, 40)),
                     both_const(g, SHAPE(40, 3 * H * D), 0.3f));
        int part[3], y;

        if (form == 0) {
            x = reshape(g, x, 5, (int64_t[]){B, T, 3, H, D});
            x = transpose(g, x, (int64_t[]){2, 0, 3, 1, 4}, 5);
            for (int i = 0; i < 3; i++) {
                int64_t index = i;

                part[i] = NODE(g, OP_GATHER, x,
                               graph_add_const(g, NULL, DTYPE_INT64,
                                               &(struct shape){0}, &index));
            }
        } else {
            for (int i = 0; i < 3; i++) {
                int64_t from = i * H * D, to = from + H * D, axis = 2;

                y = NODE(g, OP_SLICE, x, ints(g, 1, &from), ints(g, 1, &to),
                         ints(g, 1, &axis));
                y = reshape(g, y, 4, (int64_t[]){B, T, H, D});
                part[i] = transpose(g, y, (int64_t[]){0, 2, 1, 3}, 4);
            }
        }
        y = transpose(g, part[1], (int64_t[]){0, 1, 3, 2}, 4);
        y = NODE(g, OP_MUL, NODE(g, OP_MATMUL, part[0], y), number(g, 0.25f));
        y = NODE(g, OP_MATMUL, softmax(g, y), part[2]);
        both_check(g, y, 2e-5, "dnn.attention", "one product");
    }
}

/* Rank 3, one key for all heads, softmax flattened, a row of all -inf. */
static void
test_shapes(void **state)
{
    struct graph *g = graph_new();
    struct size z = {6, 6, 8, 8};
    int q = both_input(g, "q", SHAPE(5, 9, 8)), y, k;

    (void)state;
    k = transpose(g, both_input(g, "k", SHAPE(5, 4, 8)), (int64_t[]){0, 2, 1},
                  3);
    y = softmax(g, NODE(g, OP_MATMUL, q, k));
    y = NODE(g, OP_MATMUL, y, both_input(g, "v", SHAPE(5, 4, 8)));
    both_check(g, y, 2e-5, "dnn.attention", "rank 3");

    g = graph_new();
    q = heads(g, "q", 6, 8);
    k = both_input(g, "k", SHAPE(8, 6));
    y = NODE(g, OP_FLATTEN, NODE(g, OP_MATMUL, q, k));
    attr_set_int(g, MADE(g, y), "axis", 3);
    y = reshape(g, softmax(g, y), 4, (int64_t[]){B, H, 6, 6});
    y = NODE(g, OP_MATMUL, y, both_input(g, "v", SHAPE(B, 1, 6, 8)));
    both_check(g, y, 2e-5, "dnn.attention", "one key");

    g = graph_new();
    q = heads(g, "q", 6, 8);
    y = NODE(g, OP_MATMUL, q, both_input(g, "k", SHAPE(B, H, 8, 6)));
    y = NODE(g, OP_WHERE, triangle(g, &z, true), y, number(g, -INFINITY));
    y = NODE(g, OP_MATMUL, softmax(g, y),
             both_input(g, "v", SHAPE(B, H, 6, 8)));
    both_check(g, y, 2e-5, "dnn.attention", "nothing to see");
}

/* Scores that somebody else reads, and scales that no constant gives. */
static void
test_left_alone(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        struct graph *g = graph_new();
        int q = both_input(g, "q", SHAPE(B, H, 5, 8)), s, y;

        s = NODE(g, OP_MATMUL, q, both_input(g, "k", SHAPE(B, H, 8, 6)));
        if (form == 1)
            s = NODE(g, OP_DIV, s, both_input(g, "by", SHAPE(1)));
        s = softmax(g, s);
        y = NODE(g, OP_MATMUL, s, both_input(g, "v", SHAPE(B, H, 6, 8)));
        if (form == 0)
            y = NODE(g, OP_ADD, y, NODE(g, OP_REDUCE_MAX, s));
        both_check(g, y, 1e-5, "dnn.softmax", "left alone");
    }
}

/* Heads of x by int8 weights number i, one scale a column. */
static int
int8_heads(struct graph *g, int x, int i, bool zeros)
{
    enum { K = 20, N = 12 };
    int8_t w[K * N], zero[N] = {0};
    float scale[N];
    int in[3], y;

    for (int k = 0; k < K * N; k++)
        w[k] = (int8_t)((k * 37 + i * 11) % 255 - 127);
    for (int k = 0; k < N; k++)
        scale[k] = 0.001f * (float)(1 + k + i);
    in[0] = graph_add_const(g, NULL, DTYPE_INT8, &SHAPE(K, N), w);
    in[1] = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(N), scale);
    in[2] = graph_add_const(g, NULL, DTYPE_INT8, &SHAPE(N), zero);
    y = both_node(g, OP_DEQUANTIZE_LINEAR, in, zeros ? 3 : 2);
    y = NODE(g, OP_MATMUL, x, y);
    y = NODE(g, OP_ADD, graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(N), scale),
             y);
    return reshape(g, y, 4, (int64_t[]){B, 7, 3, 4});
}

/* Three int8 products of one value are one, to the last bit. */
static void
test_merged(void **state)
{
    (void)state;
    for (int zeros = 0; zeros < 2; zeros++)
        for (int i = 0; i < 3; i++) {
            struct tensor y[2];

            for (int all = 0; all < 2; all++) {
                struct graph *g = graph_new();
                int x = both_input(g, "x", SHAPE(B, 7, 20)), out = -1;
                struct both_kernels k;

                graph_set_meta(g, META_DYNAMIC, "row");
                for (int j = 0; j < 3; j++)
                    if (all || j == i) {
                        int h = int8_heads(g, x, j, zeros);

                        if (j == i)
                            VEC_PUSH(&g->outputs, h);
                        out = h;
                    }
                if (all) /* so that the others are not swept away */
                    for (size_t v = 0; v < g->nodes.n; v++)
                        if (g->nodes.at[v].op == OP_RESHAPE &&
                            g->nodes.at[v].out[0] != g->outputs.at[0])
                            VEC_PUSH(&g->outputs, g->nodes.at[v].out[0]);
                assert_true(out >= 0);
                y[all] = both_run(g, "default", &k);
                assert_non_null(strstr(k.text, "dnn.matmul_row"));
                assert_null(strstr(strstr(k.text, "dnn.matmul_row") + 1,
                                   "dnn.matmul_row"));
                graph_free(&g);
            }
            assert_memory_equal(y[0].data, y[1].data,
                                shape_n(&y[0].shape) * sizeof(float));
            mem_free(y[0].data);
            mem_free(y[1].data);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),  cmocka_unit_test(test_one_product),
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_merged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
