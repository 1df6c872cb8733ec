/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

/* One hidden unit that adds what comes in to what it has. */
static void
adder(struct one *c, int64_t directions)
{
    const float ones[] = {1, 1};
    const struct shape s = SHAPE(directions, 1, 1);

    one_in(c, DTYPE_FLOAT, &s, ones);
    one_in(c, DTYPE_FLOAT, &s, ones);
}

static void
set_strings(struct one *c, const char *name, const char *const *words, int n)
{
    attr_set_int(c->g, c->n, name, 0);
    for (int i = 0; i < c->n->n_attrs; i++)
        if (strcmp(c->n->attrs[i].name, name) == 0) {
            c->n->attrs[i].type = ATTR_STRINGS;
            c->n->attrs[i].n = n;
            c->n->attrs[i].strings = words;
        }
}

static const char *const relu[] = {"Relu", "relu"};

static void
walks_both_ways(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(3, 1, 1), 1, 2, 4);
    adder(&c, 2);
    one_node(&c, OP_RNN, 2);
    attr_set_string(c.g, c.n, "direction", "bidirectional");
    set_strings(&c, "activations", relu, 2);
    WANT_F(&c, 0, SHAPE(3, 2, 1, 1), 1, 7, 3, 6, 7, 4);
    WANT_F(&c, 1, SHAPE(2, 1, 1), 7, 7);
    one_end(&c);
}

/* Each row has its own length, also backward; the batch may come first. */
static void
lengths_end_a_row(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 3, 1), 1, 2, 4, 8, 16, 32);
    adder(&c, 1);
    one_absent(&c);
    ONE_IN(&c, INT32, int32_t, SHAPE(2), 2, 0);
    IN_F(&c, SHAPE(2, 1, 1), 10, 20);
    one_node(&c, OP_RNN, 2);
    attr_set_string(c.g, c.n, "direction", "reverse");
    attr_set_int(c.g, c.n, "layout", 1);
    set_strings(&c, "activations", relu, 1);
    WANT_F(&c, 0, SHAPE(2, 3, 1, 1), 13, 12, 0, 0, 0, 0);
    WANT_F(&c, 1, SHAPE(2, 1, 1), 13, 20);
    one_end(&c);

    for (int32_t bad = -1; bad <= 3; bad += 4) {
        one_begin(&c);
        IN_F(&c, SHAPE(2, 1, 1), 1, 2);
        adder(&c, 1);
        one_absent(&c);
        ONE_IN(&c, INT32, int32_t, SHAPE(1), bad);
        one_node(&c, OP_RNN, 1);
        one_fails(&c, ERR_INVALID, "is outside 0..2");
        one_end(&c);
    }
}

/* All weights 0: the gates are what their biases and peepholes say. */
static void
gates_of_lstm(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1), 1);
    IN_F(&c, SHAPE(1, 4, 1), 0, 0, 0, 0);
    IN_F(&c, SHAPE(1, 4, 1), 0, 0, 0, 0);
    IN_F(&c, SHAPE(1, 8), 100, -100, -100, 100, 0, 0, 0, 0);
    one_absent(&c);
    one_absent(&c);
    IN_F(&c, SHAPE(1, 1, 1), 5);
    IN_F(&c, SHAPE(1, 3), 0, 1000, 0);
    one_node(&c, OP_LSTM, 3);
    /* i = 1, f = 0, c = tanh(100): the cell is 1, and its peephole opens o. */
    WANT_F(&c, 0, SHAPE(1, 1, 1, 1), 0.76159416f);
    WANT_F(&c, 1, SHAPE(1, 1, 1), 0.76159416f);
    WANT_F(&c, 2, SHAPE(1, 1, 1), 1);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1), 1);
    IN_F(&c, SHAPE(1, 4, 1), 0, 0, 0, 0);
    IN_F(&c, SHAPE(1, 4, 1), 0, 0, 0, 0);
    IN_F(&c, SHAPE(1, 8), 100, 100, 0, 1, 0, 0, 0, 0);
    one_node(&c, OP_LSTM, 3);
    attr_set_float(c.g, c.n, "clip", 0.5f);
    attr_set_int(c.g, c.n, "input_forget", 1);
    /* c = sigmoid(0.5) * tanh(0.5); h = sigmoid(0.5) * tanh(c) */
    WANT_F(&c, 2, SHAPE(1, 1, 1), 0.28764917f);
    WANT_F(&c, 0, SHAPE(1, 1, 1, 1), 0.17426941f);
    one_end(&c);
}

static void
gru_resets_before_or_after(void **state)
{
    static const float want[] = {0.5f * 0.76159416f + 1,
                                 0.5f * 0.90514825f + 1};
    struct one c;

    (void)state;
    for (int after = 0; after < 2; after++) {
        one_begin(&c);
        IN_F(&c, SHAPE(1, 1, 1), 0);
        IN_F(&c, SHAPE(1, 3, 1), 0, 0, 0);
        IN_F(&c, SHAPE(1, 3, 1), 0, 0, 1);
        /* The bias of R is reset too, or not. */
        IN_F(&c, SHAPE(1, 6), 0, 0, 0.5f * (float)after, 0, 0, 0);
        one_absent(&c);
        IN_F(&c, SHAPE(1, 1, 1), 2);
        one_node(&c, OP_GRU, 2);
        attr_set_int(c.g, c.n, "linear_before_reset", after);
        WANT_F(&c, 1, SHAPE(1, 1, 1), want[after]);
        one_end(&c);
    }
}

static void
nothing_in_nothing_out(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(0, 1, 1), 0);
    adder(&c, 1);
    one_absent(&c);
    one_absent(&c);
    IN_F(&c, SHAPE(1, 1, 1), 3);
    one_node(&c, OP_RNN, 2);
    WANT_F(&c, 0, SHAPE(0, 1, 1, 1), 0);
    WANT_F(&c, 1, SHAPE(1, 1, 1), 3);
    one_end(&c);
}

static void
refuses_shapes_and_words(void **state)
{
    static const char *const bad[] = {"Gelu"};
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2), 1, 2);
    adder(&c, 1);
    one_node(&c, OP_RNN, 1);
    one_fails(&c, ERR_INVALID, "want [1,1,2]");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1), 1);
    adder(&c, 1);
    one_node(&c, OP_RNN, 1);
    attr_set_int(c.g, c.n, "hidden_size", 2);
    one_fails(&c, ERR_INVALID, "hidden_size is 2, the weights have 1");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1), 1);
    adder(&c, 1);
    one_node(&c, OP_RNN, 1);
    set_strings(&c, "activations", bad, 1);
    one_fails(&c, ERR_UNSUPPORTED, "activation \"Gelu\" is not supported");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1), 1);
    adder(&c, 1);
    one_node(&c, OP_RNN, 1);
    set_strings(&c, "activations", relu, 2);
    one_fails(&c, ERR_INVALID, "2 activations, want 1");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_both_ways),
        cmocka_unit_test(lengths_end_a_row),
        cmocka_unit_test(gates_of_lstm),
        cmocka_unit_test(gru_resets_before_or_after),
        cmocka_unit_test(nothing_in_nothing_out),
        cmocka_unit_test(refuses_shapes_and_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
