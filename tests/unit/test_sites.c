/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quant/rewrite.h"
#include "quant/sites.h"
#include "tests/unit/net.h"

static const struct quant_options plain = {0};

/* The quantized tensors, by name, in the order they were made. */
static const char *
quantized(const struct sites *p, char text[256])
{
    text[0] = '\0';
    for (size_t v = 0; v < p->g->values.n; v++)
        if (p->quantized[v]) {
            strcat(text, text[0] == '\0' ? "" : " ");
            strcat(text, p->g->values.at[v].name);
        }
    return text;
}

static void
expect(struct graph *g, const struct quant_options *o, const char *want)
{
    struct sites p;
    char text[256];

    sites_init(&p, g, o);
    assert_string_equal(quantized(&p, text), want);
    sites_free(&p);
}

static void
inputs_of_layers_but_not_the_last_output(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 8, 3, 1);
    int r = net_unary(g, OP_RELU, "r", a);
    int b = net_conv(g, "b", r, 8, 8, 3, 1);

    (void)state;
    net_output(g, b);
    expect(g, &plain, "x r");
    graph_free(&g);
}

/* conv -> relu -> (conv, relu, conv) + shortcut -> relu -> conv */
static struct graph *
residual(void)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_unary(g, OP_RELU, "ar", net_conv(g, "a", x, 3, 8, 3, 1));
    int b = net_unary(g, OP_RELU, "br", net_conv(g, "b", a, 8, 8, 3, 1));
    int c = net_conv(g, "c", b, 8, 8, 3, 1);
    int s = net_binary(g, OP_ADD, "s", c, a);
    int d = net_conv(g, "d", net_unary(g, OP_RELU, "sr", s), 8, 8, 1, 1);

    net_output(g, d);
    return g;
}

static void
nothing_comes_between_conv_and_its_residual(void **state)
{
    struct graph *g = residual();
    struct sites p;

    (void)state;
    expect(g, &plain, "x ar br sr"); /* neither c nor s */
    sites_init(&p, g, &plain);
    for (size_t i = 0; i < g->nodes.n; i++)
        assert_true(p.int8[i] == (g->nodes.at[i].op != OP_RELU));
    sites_free(&p);
    graph_free(&g);
}

/* A downsampling block: both operands of the Add come from convolutions. */
static void
one_of_two_convs_is_joined(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 8, 3, 1);
    int b = net_conv(g, "b", x, 3, 8, 1, 1);
    int s = net_unary(g, OP_RELU, "r", net_binary(g, OP_ADD, "s", a, b));

    (void)state;
    net_output(g, net_conv(g, "c", s, 8, 8, 1, 1));
    expect(g, &plain, "x a r");
    graph_free(&g);
}

static void
pools_and_moves_pass_integers_on(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_unary(g, OP_RELU, "r", net_conv(g, "a", x, 3, 8, 3, 1));
    int m = net_max_pool(g, "m", a);
    int b = net_conv(g, "b", m, 8, 8, 3, 1);
    int avg = net_unary(g, OP_GLOBAL_AVERAGE_POOL, "avg", b);
    int shape = net_unary(g, OP_SHAPE, "shape", avg); /* no reader of floats */
    int f = net_binary(g, OP_RESHAPE, "f", avg, shape);
    struct sites p;

    (void)state;
    net_output(g, net_unary(g, OP_SOFTMAX, "y", net_gemm(g, "fc", f, 8, 4)));
    expect(g, &plain, "x r m b avg f");
    sites_init(&p, g, &plain);
    assert_int_equal(sites_group(&p, a), sites_group(&p, m));
    assert_int_equal(sites_group(&p, avg), sites_group(&p, f));
    assert_int_not_equal(sites_group(&p, b), sites_group(&p, avg));
    sites_free(&p);
    graph_free(&g);
}

static void
a_mean_over_space_is_a_pool(void **state)
{
    static const int64_t space[] = {2, 3}, rows[] = {2};
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 8, 3, 1);
    int b = net_conv(g, "b", x, 3, 8, 3, 1);
    int m = net_unary(g, OP_REDUCE_MEAN, "m", a);
    int r = net_unary(g, OP_REDUCE_MEAN, "r", b);

    (void)state;
    attr_set_ints(g, graph_producer(g, m), "axes", space, 2);
    attr_set_ints(g, graph_producer(g, r), "axes", rows, 1);
    net_output(g, net_conv(g, "d", m, 8, 8, 1, 1));
    net_output(g, net_conv(g, "e", r, 8, 8, 1, 1));
    expect(g, &plain, "x a m r");
    graph_free(&g);
}

static void
arms_of_a_concat_share_parameters(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 8, 3, 1);
    int b = net_conv(g, "b", x, 3, 8, 1, 1);
    int c = net_concat(g, "c", a, b);
    struct sites p;

    (void)state;
    net_output(g, net_conv(g, "d", c, 16, 8, 1, 1));
    expect(g, &plain, "x a b c");
    sites_init(&p, g, &plain);
    assert_int_equal(sites_group(&p, a), sites_group(&p, c));
    assert_int_equal(sites_group(&p, b), sites_group(&p, c));
    /* Taken apart, the arms are floats, and what the layer reads is not. */
    p.int8[graph_producer(g, c) - g->nodes.at] = false;
    sites_solve(&p);
    assert_true(p.quantized[c]);
    assert_false(p.quantized[a] || p.quantized[b]);
    sites_free(&p);
    graph_free(&g);
}

/* Squeeze and excite. */
static struct graph *
gated(enum op gate)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_unary(g, OP_RELU, "ar", net_conv(g, "a", x, 3, 8, 3, 1));
    int p = net_unary(g, OP_GLOBAL_AVERAGE_POOL, "p", a);
    int s = net_unary(g, gate, "sg", net_conv(g, "s", p, 8, 8, 1, 1));
    int m = net_binary(g, OP_MUL, "m", a, s);

    net_output(g, net_conv(g, "d", m, 8, 8, 1, 1));
    return g;
}

static void
gates_multiply_integers(void **state)
{
    struct graph *g = gated(OP_SIGMOID);

    (void)state;
    expect(g, &plain, "x ar p sg m");
    graph_free(&g);
}

/* Softmax computes in float, so does the Mul, so what that reads is float. */
static void
a_float_reader_keeps_a_tensor_float(void **state)
{
    struct graph *g = gated(OP_SOFTMAX);

    (void)state;
    expect(g, &plain, "x p m");
    graph_free(&g);
}

/* The side of a box as the mean of a distribution, as YOLOv8 has it. */
static void
means_of_distributions_stay_float(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 16, 3, 1);
    int s = net_unary(g, OP_SOFTMAX, "s", a);
    int t = net_unary(g, OP_TRANSPOSE, "t", s);
    int side = net_conv(g, "side", t, 16, 1, 1, 1);
    struct sites p;

    (void)state;
    net_output(g, side);
    expect(g, &plain, "x");
    sites_init(&p, g, &plain);
    assert_string_equal(p.reason[graph_producer(g, side) - g->nodes.at],
                        "it takes the mean of a distribution (Softmax)");
    sites_free(&p);
    graph_free(&g);
}

static void
relu_stands_alone_where_nothing_takes_it(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 8, 3, 1);
    int b = net_conv(g, "b", x, 3, 8, 1, 1);
    int r = net_unary(g, OP_RELU, "r", net_concat(g, "c", a, b));
    struct sites p;

    (void)state;
    net_output(g, net_conv(g, "d", r, 16, 8, 1, 1));
    expect(g, &plain, "x a b c r");
    sites_init(&p, g, &plain);
    assert_int_not_equal(sites_group(&p, r), sites_group(&p, a));
    sites_free(&p);
    graph_free(&g);
}

static void
swish_written_out_is_one_activation(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 8, 3, 1);
    int m = net_binary(g, OP_MUL, "m", a, net_unary(g, OP_SIGMOID, "s", a));
    int p = net_max_pool(g, "p", m);

    (void)state;
    net_output(g, net_conv(g, "d", p, 8, 8, 1, 1));
    expect(g, &plain, "x m p");
    graph_free(&g);
}

/* conv -> hard-swish -> * constant -> + constant, as Paddle writes it. */
static void
constants_belong_to_the_activation(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int h = net_unary(g, OP_HARD_SWISH, "h", net_conv(g, "a", x, 3, 8, 3, 1));
    int c = net_const(g, NULL, SHAPE(1), 1);
    int m = net_binary(g, OP_MUL, "m", c, h);
    int s = net_binary(g, OP_ADD, "s", m, c);

    (void)state;
    net_output(g, net_conv(g, "d", net_max_pool(g, "p", s), 8, 8, 1, 1));
    expect(g, &plain, "x s p");
    graph_free(&g);
}

/* A float stream with layers beside it, as transformers have. */
static void
exact_values_stay_where_the_maker_is_float(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 4, 16));
    int scale = net_const(g, NULL, SHAPE(16), 1);
    int n = net_binary(g, OP_LAYER_NORMALIZATION, "n", x, scale);
    int m = net_matmul(g, "m", n, 16, 16);
    int s = net_binary(g, OP_ADD, "s", m, n);
    struct sites p;

    (void)state;
    net_output(g, net_binary(g, OP_LAYER_NORMALIZATION, "y", s, scale));
    expect(g, &plain, "n");
    sites_init(&p, g, &plain);
    assert_false(sites_floats_follow(&p, n));
    assert_true(sites_floats_follow(&p, x));
    sites_free(&p);
    graph_free(&g);
}

static void
excluded_layers_stay_float(void **state)
{
    static const char *const names[] = {"b*", "zz"};
    struct quant_options o = {.exclude = names, .n_exclude = 2};
    struct graph *g = residual();
    struct sites p;

    (void)state;
    expect(g, &o, "x br sr"); /* and so does what only b needed */
    sites_init(&p, g, &o);
    for (size_t i = 0; i < g->nodes.n; i++)
        if (strcmp(g->nodes.at[i].name, "b") == 0)
            assert_string_equal(p.reason[i], "excluded");
    sites_free(&p);
    graph_free(&g);
}

static void
unfit_layers_say_why(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int y = net_input(g, "y", SHAPE(4, 4));
    int bad = net_const(g, NULL, SHAPE(4, 3, 1, 1), 1);
    int a = net_binary(g, OP_CONV, "a", x, bad);
    int m = net_binary(g, OP_MATMUL, "m", a, y);
    struct sites p;

    (void)state;
    ((float *)g->values.at[bad].data)[5] = NAN;
    net_output(g, m);
    sites_init(&p, g, &plain);
    assert_string_equal(p.reason[0], "its weights hold NaN or infinity");
    assert_string_equal(p.reason[1], "its weights are computed, not constant");
    assert_false(p.int8[0] || p.int8[1]);
    sites_free(&p);
    graph_free(&g);
}

static bool
all_follow(void *arg, int id, size_t node)
{
    (void)arg;
    (void)id;
    (void)node;
    return true;
}

static void
pairs_leave_outputs_and_names_alone(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 8, 8));
    int a = net_conv(g, "a", x, 3, 8, 3, 1);
    int b = net_conv(g, "b", a, 8, 8, 3, 1);
    int taken = net_input(g, "a_scale", SHAPE(1));
    struct err e;

    (void)state;
    (void)taken;
    net_output(g, a);
    net_output(g, b);
    assert_int_equal(
        rewrite_tensor(g, a, (struct range_u8){0.5f, 3}, all_follow, NULL, &e),
        0);
    assert_int_equal(graph_sort(g, &e), 0);
    assert_int_equal(g->outputs.at[0], a);
    assert_int_equal(g->nodes.n, 4);
    assert_int_equal(g->nodes.at[1].op, OP_QUANTIZE_LINEAR);
    assert_int_equal(g->nodes.at[2].op, OP_DEQUANTIZE_LINEAR);
    assert_string_equal(g->nodes.at[1].name, "a_QuantizeLinear");
    assert_string_equal(node_in(g, &g->nodes.at[1], 1)->name, "a_scale_2");
    assert_string_equal(node_out(g, &g->nodes.at[1], 0)->name, "a_quantized");
    assert_string_equal(node_in(g, &g->nodes.at[3], 0)->name, "a_dequantized");
    assert_int_equal(node_in(g, &g->nodes.at[1], 2)->dtype, DTYPE_UINT8);
    graph_free(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_of_layers_but_not_the_last_output),
        cmocka_unit_test(nothing_comes_between_conv_and_its_residual),
        cmocka_unit_test(one_of_two_convs_is_joined),
        cmocka_unit_test(pools_and_moves_pass_integers_on),
        cmocka_unit_test(a_mean_over_space_is_a_pool),
        cmocka_unit_test(arms_of_a_concat_share_parameters),
        cmocka_unit_test(gates_multiply_integers),
        cmocka_unit_test(a_float_reader_keeps_a_tensor_float),
        cmocka_unit_test(means_of_distributions_stay_float),
        cmocka_unit_test(relu_stands_alone_where_nothing_takes_it),
        cmocka_unit_test(swish_written_out_is_one_activation),
        cmocka_unit_test(constants_belong_to_the_activation),
        cmocka_unit_test(exact_values_stay_where_the_maker_is_float),
        cmocka_unit_test(excluded_layers_stay_float),
        cmocka_unit_test(unfit_layers_say_why),
        cmocka_unit_test(pairs_leave_outputs_and_names_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
