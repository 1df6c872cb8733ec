/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of operators by chance behind a convolution, which leaves its output
 * channels-last: what elementwise and moving kernels make of that layout,
 * broadcast operands and constants included, must be what plain layouts give.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/ops/ops.h"
#include "tests/op/both.h"

enum { CHAINS = 120, LINKS = 7 };

static struct shape
shape_at(const struct graph *g, int id)
{
    return graph_value(g, id)->shape;
}

/* Makes the shape of the node's output known, so that the next can be made. */
static int
known(struct graph *g, int id)
{
    struct err e;

    if (ops_infer(g, MADE(g, id), &e) != 0)
        fail_msg("%s", e.msg);
    return id;
}

static int
ints_const(struct graph *g, const int64_t *v, int n)
{
    return graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(n), v);
}

static int
conv(struct graph *g, int x, int64_t channels)
{
    int w = both_const(g, SHAPE(channels, shape_at(g, x).dim[1], 1, 1), 0.5f);

    return known(g, NODE(g, OP_CONV, x, w));
}

/* A constant that broadcasts to x: some axes, of lower rank at times. */
static int
operand(struct graph *g, int x)
{
    struct shape s = shape_at(g, x);
    int from = both_int(0, 2);

    for (int i = 0; i < s.rank; i++)
        if (both_int(0, 1) == 0)
            s.dim[i] = 1;
    for (int i = from; i < s.rank; i++)
        s.dim[i - from] = s.dim[i];
    s.rank -= from;
    return both_const(g, s, 1);
}

static int
slice(struct graph *g, int x)
{
    int axis = both_int(1, 3), back = both_int(0, 1);
    int64_t d = shape_at(g, x).dim[axis];
    int64_t start = back ? d - 1 : d > 1, end = back ? INT64_MIN : d;
    int64_t step = (back ? -1 : 1) * both_int(1, 2), at = axis;

    return NODE(g, OP_SLICE, x, ints_const(g, &start, 1),
                ints_const(g, &end, 1), ints_const(g, &at, 1),
                ints_const(g, &step, 1));
}

static int
pad(struct graph *g, int x)
{
    static const char *const modes[] = {"constant", "edge", "reflect"};
    int64_t pads[8];
    int y;

    for (int i = 0; i < 8; i++)
        pads[i] = i % 4 == 0 ? 0 : both_int(0, 1);
    y = NODE(g, OP_PAD, x, ints_const(g, pads, 8));
    attr_set_string(g, MADE(g, y), "mode", modes[both_int(0, 2)]);
    return y;
}

static int
cast(struct graph *g, int x, enum dtype t)
{
    int y = NODE(g, OP_CAST, x);

    attr_set_int(g, MADE(g, y), "to", t);
    return known(g, y);
}

/* Another value of x's shape that comes from x. */
static int
twin(struct graph *g, int x)
{
    int y = known(g, NODE(g, OP_ERF, x));

    return both_int(0, 1) == 0 ? y : conv(g, x, shape_at(g, x).dim[1]);
}

/* Two of three parts of x along an axis, in the other order. */
static int
split_concat(struct graph *g, int x)
{
    struct shape unknown = {.rank = SHAPE_UNKNOWN};
    int axis = both_int(1, 3), out[2], y;
    int64_t d = shape_at(g, x).dim[axis], parts[2] = {d / 2, d - d / 2};
    int in[2] = {x, ints_const(g, parts, 2)};

    for (int i = 0; i < 2; i++)
        out[i] = graph_add_value(g, NULL, DTYPE_NONE, &unknown);
    graph_add_node(g, OP_SPLIT, "split", in, 2, out, 2);
    attr_set_int(g, MADE(g, out[0]), "axis", axis);
    known(g, out[0]);
    y = NODE(g, OP_CONCAT, out[1], out[0], out[1]);
    attr_set_int(g, MADE(g, y), "axis", axis);
    return y;
}

static int
link_of_chance(struct graph *g, int x)
{
    static const enum op unary[] = {OP_ERF, OP_RELU, OP_SIGN, OP_ROUND,
                                    OP_TANH};
    static const enum op binary[] = {OP_ADD, OP_MUL, OP_MAX, OP_SUB, OP_PRELU};
    int y;

    switch (both_int(0, 10)) {
    case 0:
        return NODE(g, unary[both_int(0, 3)], x);
    case 1:
        return NODE(g, binary[both_int(0, 4)], x, operand(g, x));
    case 2:
        return NODE(g, binary[both_int(0, 3)], operand(g, x), x);
    case 3:
        return NODE(g, binary[both_int(0, 3)], x, twin(g, x));
    case 4:
        return NODE(g, OP_MUL, x, known(g, NODE(g, OP_GLOBAL_AVERAGE_POOL, x)));
    case 5:
        return slice(g, x);
    case 6:
        return pad(g, x);
    case 7:
        return cast(g, cast(g, x, DTYPE_DOUBLE), DTYPE_FLOAT);
    case 8:
        return split_concat(g, x);
    case 9:
        y = known(g, NODE(g, OP_GREATER, x, operand(g, x)));
        return NODE(g, OP_WHERE, y, twin(g, x), x);
    default:
        return conv(g, x, both_int(1, 5));
    }
}

static void
chains_mean_the_same_in_any_layout(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= CHAINS; i++) {
        struct graph *g = graph_new();
        char what[32];
        int x;

        both_seed = i * 7919;
        x = both_input(g, "x",
                       SHAPE(both_int(1, 2), both_int(1, 4), both_int(2, 5),
                             both_int(2, 5)));
        x = conv(g, x, both_int(2, 6));
        for (int k = 0; k < LINKS; k++)
            x = known(g, link_of_chance(g, x));
        snprintf(what, sizeof what, "chain %u", i);
        both_check(g, x, 2e-4, NULL, what);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_mean_the_same_in_any_layout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
