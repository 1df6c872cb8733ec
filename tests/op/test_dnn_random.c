/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes by chance, with chains of posts by chance, against the plain kernels.
 * This is how the kernels of oneDNN that err were found (see prim2.c).
 *
 *     RANDOM_FROM=1 RANDOM_TO=100000 tests/op/test_dnn_random
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/both.h"

static int
scalar_float(struct graph *g, float v)
{
    return graph_add_const(g, NULL, DTYPE_FLOAT, &(struct shape){.rank = 0},
                           &v);
}

static int
scalar_byte(struct graph *g, enum dtype t, int v)
{
    uint8_t byte = (uint8_t)v;

    return graph_add_const(g, NULL, t, &(struct shape){.rank = 0}, &byte);
}

static bool
chance(int one_in)
{
    return both_int(1, one_in) == 1;
}

/* Q with a type and a zero point by chance, DQ behind it unless `half`. */
static int
quantized(struct graph *g, int x, float scale, bool half)
{
    enum dtype t = chance(2) ? DTYPE_UINT8 : DTYPE_INT8;
    int zero = chance(3) ? 0 : both_int(0, 60);

    x = NODE(g, OP_QUANTIZE_LINEAR, x, scalar_float(g, scale),
             scalar_byte(g, t, zero));
    return half ? x
                : NODE(g, OP_DEQUANTIZE_LINEAR, x, scalar_float(g, scale),
                       scalar_byte(g, t, zero));
}

/* int8 weights behind a DQ, one scale for each index of axis. */
static int
int8_weights(struct graph *g, struct shape s, int axis)
{
    const int max = engine_has_vnni() ? 127 : 64;
    size_t n = shape_n(&s), scales = (size_t)s.dim[axis];
    struct shape ss = SHAPE(s.dim[axis]);
    int8_t *w = mem_new(n, 1), *zero = mem_new(scales, 1);
    float *scale = mem_new(scales, sizeof *scale);
    int y;

    for (size_t i = 0; i < n; i++)
        w[i] = (int8_t)both_int(-max, max);
    for (size_t i = 0; i < scales; i++)
        scale[i] = 0.001f * (1 + fabsf(both_random()));
    y = NODE(g, OP_DEQUANTIZE_LINEAR,
             graph_add_const(g, NULL, DTYPE_INT8, &s, w),
             graph_add_const(g, NULL, DTYPE_FLOAT, &ss, scale),
             graph_add_const(g, NULL, DTYPE_INT8, &ss, zero));
    attr_set_int(g, MADE(g, y), "axis", axis);
    mem_free(w);
    mem_free(zero);
    mem_free(scale);
    return y;
}

/* Up to four steps behind y, whose shape is s; columns: of a product. */
static int
posts(struct graph *g, int y, struct shape s, bool int8, int64_t columns)
{
    static const enum op unary[] = {OP_RELU, OP_SIGMOID,    OP_HARD_SWISH,
                                    OP_TANH, OP_LEAKY_RELU, OP_GELU,
                                    OP_ELU,  OP_SWISH,      OP_HARD_SIGMOID};

    for (int n = both_int(0, 4); n > 0; n--) {
        int what = both_int(0, 5);

        if (what == 0) {
            int r = both_input(g, NULL, s);

            if (int8 && chance(2))
                r = quantized(g, r, 0.017f, false);
            y = NODE(g, OP_ADD, y, r);
        } else if (what == 1) {
            y = NODE(g, chance(2) ? OP_ADD : OP_MUL, y,
                     scalar_float(g, 1 + 0.5f * both_random()));
        } else if (what == 2 && columns > 0) {
            y = NODE(g, chance(2) ? OP_ADD : OP_MUL, y,
                     both_const(g, SHAPE(columns), 1));
        } else {
            enum op op = unary[both_int(0, 8)];

            /* Swish is known by its parts. */
            y = op == OP_SWISH ? NODE(g, OP_MUL, y, NODE(g, OP_SIGMOID, y))
                               : NODE(g, op, y);
        }
    }
    return y;
}

/* Output y, quantized by chance when int8; then both ways. */
static void
finish(struct graph *g, int y, bool int8, double tol, const char *what)
{
    bool bytes = int8 && chance(2);

    if (bytes)
        y = quantized(g, y, 0.03f, true);
    both_check(g, y, bytes ? 1 : tol, NULL, what);
}

static void
one_conv(unsigned seed)
{
    struct graph *g = graph_new();
    bool int8 = chance(2), depthwise = chance(3);
    int rank = both_int(3, int8 ? 4 : 5), axes = rank - 2, x, y;
    int groups = depthwise ? both_int(1, 40) : chance(3) ? both_int(2, 4) : 1;
    int c = depthwise ? groups : both_int(1, 20) * groups;
    int o = depthwise ? c * both_int(1, 2) : both_int(1, 20) * groups;
    struct shape xs = {rank, {both_int(1, 2), c}};
    struct shape ws = {rank, {o, c / groups}}, ys = {rank, {xs.dim[0], o}};
    int64_t stride[3], dilation[3], pads[6];
    char what[120], text[SHAPE_TEXT], wtext[SHAPE_TEXT];

    for (int i = 0; i < axes; i++) {
        int64_t reach;

        ws.dim[i + 2] = both_int(1, 5);
        stride[i] = both_int(1, 4);
        dilation[i] = chance(4) ? both_int(1, 3) : 1;
        pads[i] = both_int(0, 3);
        pads[i + axes] = both_int(0, 3);
        reach =
            (ws.dim[i + 2] - 1) * dilation[i] + 1 - pads[i] - pads[i + axes];
        xs.dim[i + 2] = both_int(1, 14);
        if (xs.dim[i + 2] < reach)
            xs.dim[i + 2] = reach;
        ys.dim[i + 2] = (xs.dim[i + 2] - reach) / stride[i] + 1;
    }
    snprintf(what, sizeof what, "seed %u: conv %s by %s", seed,
             shape_text(&xs, text), shape_text(&ws, wtext));
    x = both_input(g, "x", xs);
    if (int8)
        x = quantized(g, x, 0.02f, false);
    y = NODE(g, OP_CONV, x,
             int8 ? int8_weights(g, ws, 0) : both_const(g, ws, 0.5f),
             both_const(g, SHAPE(o), 0.5f));
    attr_set_ints(g, MADE(g, y), "strides", stride, axes);
    attr_set_ints(g, MADE(g, y), "dilations", dilation, axes);
    attr_set_ints(g, MADE(g, y), "pads", pads, 2 * axes);
    attr_set_int(g, MADE(g, y), "group", groups);
    finish(g, posts(g, y, ys, int8, 0), int8, 5e-5, what);
}

static void
one_matmul(unsigned seed)
{
    struct graph *g = graph_new();
    int m = both_int(1, 20), k = both_int(1, 90), n = both_int(1, 70);
    int batch = chance(3) ? both_int(1, 3) : 0;
    bool gemm = batch == 0 && chance(2), turned = gemm && chance(2);
    bool int8 = chance(2), dynamic = !int8 && chance(2);
    struct shape xs = batch > 0 ? SHAPE(batch, m, k) : SHAPE(m, k);
    struct shape ys = batch > 0 ? SHAPE(batch, m, n) : SHAPE(m, n);
    struct shape ws = turned ? SHAPE(n, k) : SHAPE(k, n);
    struct shape cs[] = {SHAPE(n), SHAPE(m, n), SHAPE(1)};
    int x = both_input(g, "x", xs), w, y;
    char what[80];

    snprintf(what, sizeof what, "seed %u: %s %d x %d by %d", seed,
             gemm ? "Gemm" : "MatMul", m, k, n);
    if (dynamic)
        graph_set_meta(g, META_DYNAMIC, "row");
    if (int8)
        x = quantized(g, x, 0.02f, false);
    w = int8 || dynamic ? int8_weights(g, ws, turned ? 0 : 1)
                        : both_const(g, ws, 0.3f);
    y = !gemm || chance(4)
            ? NODE(g, gemm ? OP_GEMM : OP_MATMUL, x, w)
            : NODE(g, OP_GEMM, x, w, both_const(g, cs[both_int(0, 2)], 0.5f));
    if (gemm) {
        attr_set_int(g, MADE(g, y), "transB", turned);
        attr_set_float(g, MADE(g, y), "alpha", chance(4) ? 0.7f : 1);
        attr_set_float(g, MADE(g, y), "beta", chance(4) ? 0.7f : 1);
    }
    finish(g, posts(g, y, ys, int8, n), int8, dynamic ? 0.05 : 5e-5, what);
}

static unsigned
limit(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : (unsigned)strtoul(text, NULL, 10);
}

static void
test_random(void **state)
{
    (void)state;
    for (unsigned i = limit("RANDOM_FROM", 1); i < limit("RANDOM_TO", 250);
         i++) {
        both_seed = i * 2654435761u ^ 0x9e3779b9u;
        both_random(); /* neighbours are alike until now */
        both_random();
        one_conv(i);
        both_seed = i * 2246822519u ^ 0x85ebca6bu;
        both_random();
        both_random();
        one_matmul(i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
