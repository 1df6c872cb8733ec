/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast LSTM and GRU against the plain ones: sizes around panels and
 * blocks, directions, layouts, lengths, states, clip.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/both.h"

struct form {
    enum op op;
    int T, B, I, H, D, output;
    bool backward, batch_first, bias, lengths, states, reset_after, clip;
};

static struct shape
state_shape(const struct form *f)
{
    return f->batch_first ? SHAPE(f->B, f->D, f->H) : SHAPE(f->D, f->B, f->H);
}

/* Lengths from 0 to T. */
static int
lengths(struct graph *g, const struct form *f)
{
    int32_t n[64];

    assert_true(f->B <= 64);
    for (int b = 0; b < f->B; b++)
        n[b] = b * 7 % (f->T + 1);
    return graph_add_const(g, NULL, DTYPE_INT32, &SHAPE(f->B), n);
}

static void
check(const struct form *f)
{
    struct graph *g = graph_new();
    struct shape unknown = {.rank = SHAPE_UNKNOWN};
    int rows = (f->op == OP_LSTM ? 4 : 3) * f->H, outs[3];
    int in[7] = {
        both_input(g, "x",
                   f->batch_first ? SHAPE(f->B, f->T, f->I)
                                  : SHAPE(f->T, f->B, f->I)),
        both_const(g, SHAPE(f->D, rows, f->I), 0.5f),
        both_const(g, SHAPE(f->D, rows, f->H), 0.5f),
        f->bias ? both_const(g, SHAPE(f->D, 2 * rows), 1) : -1,
        f->lengths ? lengths(g, f) : -1,
        f->states ? both_input(g, "h", state_shape(f)) : -1,
        f->states ? both_input(g, "c", state_shape(f)) : -1,
    };
    int n_out = f->op == OP_LSTM ? 3 : 2;
    struct node *n;
    char what[120];

    for (int i = 0; i < n_out; i++)
        outs[i] = graph_add_value(g, NULL, DTYPE_NONE, &unknown);
    n = graph_add_node(g, f->op, "cell", in, f->op == OP_LSTM ? 7 : 6, outs,
                       n_out);
    if (f->op == OP_GRU &&
        f->states) /* an input that nobody reads is refused */
        outs[1] = NODE(g, OP_ADD, outs[1], in[6]);
    n = graph_producer(g, outs[0]);
    if (f->D == 2 || f->backward)
        attr_set_string(g, n, "direction",
                        f->D == 2 ? "bidirectional" : "reverse");
    attr_set_int(g, n, "hidden_size", f->H);
    attr_set_int(g, n, "layout", f->batch_first);
    if (f->op == OP_GRU)
        attr_set_int(g, n, "linear_before_reset", f->reset_after);
    if (f->clip)
        attr_set_float(g, n, "clip", 0.4f);
    snprintf(what, sizeof what,
             "%s T%d B%d I%d H%d D%d output %d back %d layout %d lengths %d",
             op_name(f->op), f->T, f->B, f->I, f->H, f->D, f->output,
             f->backward, f->batch_first, f->lengths);
    both_check(g, outs[f->output], 2e-5, "dnn.recurrent", what);
}

static void
test_forms(void **state)
{
    (void)state;
    for (int i = 0; i < 96; i++) {
        struct form f = {
            .op = i % 2 == 0 ? OP_LSTM : OP_GRU,
            .T = both_int(1, 40),
            .B = both_int(1, 9),
            .I = both_int(1, 70),
            .H = both_int(1, 70),
            .D = both_int(1, 2),
            .backward = both_int(0, 1),
            .batch_first = both_int(0, 1),
            .bias = both_int(0, 3) > 0,
            .lengths = both_int(0, 2) == 0,
            .states = both_int(0, 1),
            .reset_after = both_int(0, 1),
            .clip = both_int(0, 3) == 0,
        };

        f.output = both_int(0, f.op == OP_LSTM ? 2 : 1);
        check(&f);
        both_seed = 1000u + (unsigned)i;
    }
}

/* More rows than are summed at once, more steps, and whole panels. */
static void
test_sizes(void **state)
{
    (void)state;
    for (int op = 0; op < 2; op++) {
        check(&(struct form){.op = op ? OP_GRU : OP_LSTM,
                             .T = 3,
                             .B = 100,
                             .I = 32,
                             .H = 32,
                             .D = 2,
                             .bias = true});
        check(&(struct form){.op = op ? OP_GRU : OP_LSTM,
                             .T = 200,
                             .B = 1,
                             .I = 8,
                             .H = 64,
                             .D = 1,
                             .bias = true});
        check(&(struct form){.op = op ? OP_GRU : OP_LSTM,
                             .T = 1,
                             .B = 2,
                             .I = 128,
                             .H = 128,
                             .D = 1,
                             .states = true});
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
