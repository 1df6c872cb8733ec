/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each pass on the smallest graph that it changes, and on one it must leave.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "engine/pass/pass.h"

static struct graph *g;

static int
start(void **state)
{
    (void)state;
    g = graph_new();
    return 0;
}

static int
end(void **state)
{
    (void)state;
    graph_free(&g);
    return 0;
}

static int
value(const char *name)
{
    return graph_add_value(g, name, DTYPE_FLOAT,
                           &(struct shape){.rank = SHAPE_UNKNOWN});
}

static int
input(const char *name, struct shape s)
{
    int id = graph_add_value(g, name, DTYPE_FLOAT, &s);

    VEC_PUSH(&g->inputs, id);
    return id;
}

static int
floats(struct shape s, const float *v)
{
    return graph_add_const(g, NULL, DTYPE_FLOAT, &s, v);
}

static int
scalar(float v)
{
    return floats((struct shape){0}, &v);
}

static struct node *
node(enum op op, const char *out, int n_in, ...)
{
    int in[8], id = value(out);
    va_list ap;

    va_start(ap, n_in);
    for (int i = 0; i < n_in; i++)
        in[i] = va_arg(ap, int);
    va_end(ap);
    return graph_add_node(g, op, out, in, n_in, &id, 1);
}

static int
id_of(const char *name)
{
    int id = graph_find_value(g, name);

    assert_true(id >= 0);
    return id;
}

static void
output(const char *name)
{
    VEC_PUSH(&g->outputs, id_of(name));
}

static void
run(int (*pass)(struct graph *, struct err *))
{
    struct err e;

    assert_int_equal(pass(g, &e), 0);
    graph_sweep(g);
}

static int
alive(enum op op)
{
    int n = 0;

    for (size_t i = 0; i < g->nodes.n; i++)
        n += !g->nodes.at[i].dead && g->nodes.at[i].op == op;
    return n;
}

/* What folding made new ones of does not stay in memory. */
static void
old_constants_are_dropped(void **state)
{
    static float big[2048];
    int x = input("x", SHAPE(2048)), a, b;

    (void)state;
    a = floats(SHAPE(2048), big);
    b = floats(SHAPE(2048), big);
    node(OP_ADD, "c", 2, a, b);
    node(OP_ADD, "y", 2, x, id_of("c"));
    output("y");
    run(pass_constants);
    graph_drop_constants(g);
    assert_null(graph_value(g, a)->data);
    assert_null(graph_value(g, b)->data);
    assert_non_null(graph_value(g, id_of("c"))->data);
    assert_memory_equal(graph_value(g, id_of("c"))->data, big, sizeof big);
}

static int
conv_1x1(const char *out, int x)
{
    static const float w[4] = {1, 2, 3, 4};

    node(OP_CONV, out, 2, x, floats(SHAPE(2, 2, 1, 1), w));
    return id_of(out);
}

static void
batchnorm_goes_into_weights(void **state)
{
    static const float gamma[2] = {2, 1}, beta[2] = {1, 0}, mean[2] = {1, 2},
                       var[2] = {3, 0};
    struct node *bn;
    const float *w, *b;
    int x = input("x", SHAPE(1, 2, 4, 4));

    (void)state;
    bn = node(OP_BATCH_NORMALIZATION, "y", 5, conv_1x1("c", x),
              floats(SHAPE(2), gamma), floats(SHAPE(2), beta),
              floats(SHAPE(2), mean), floats(SHAPE(2), var));
    attr_set_float(g, bn, "epsilon", 1.0f);
    output("y");
    run(pass_affine);
    assert_int_equal(alive(OP_BATCH_NORMALIZATION), 0);
    w = graph_value(g, g->nodes.at[0].in[1])->data;
    b = graph_value(g, g->nodes.at[0].in[2])->data;
    assert_true(w[0] == 1.0f && w[1] == 2.0f); /* 2 / sqrt(3 + 1) = 1 */
    assert_true(w[2] == 3.0f && w[3] == 4.0f);
    assert_true(b[0] == 0.0f && b[1] == -2.0f);
    assert_int_equal(g->nodes.at[0].out[0], id_of("y"));
}

static void
batchnorm_stays_when_the_conv_is_read_twice(void **state)
{
    static const float one[2] = {1, 1};
    int x = input("x", SHAPE(1, 2, 4, 4)), c = conv_1x1("c", x);
    int k = floats(SHAPE(2), one);

    (void)state;
    node(OP_BATCH_NORMALIZATION, "y", 5, c, k, k, k, k);
    output("y");
    output("c");
    run(pass_affine);
    assert_int_equal(alive(OP_BATCH_NORMALIZATION), 1);
}

static void
added_constant_becomes_bias(void **state)
{
    static const float b[2] = {5, 6};
    int x = input("x", SHAPE(1, 2, 4, 4));

    (void)state;
    node(OP_ADD, "y", 2, floats(SHAPE(1, 2, 1, 1), b), conv_1x1("c", x));
    output("y");
    run(pass_affine);
    assert_int_equal(alive(OP_ADD), 0);
    assert_memory_equal(graph_value(g, g->nodes.at[0].in[2])->data, b,
                        sizeof b);
}

static void
factors_and_shifts_fold_one_after_another(void **state)
{
    static const float s[2] = {2, 4};
    const float *w, *b;
    int x = input("x", SHAPE(1, 2, 4, 4));

    (void)state;
    node(OP_MUL, "m", 2, conv_1x1("c", x), floats(SHAPE(2, 1, 1), s));
    node(OP_SUB, "u", 2, id_of("m"), scalar(3));
    node(OP_DIV, "y", 2, id_of("u"), scalar(2));
    output("y");
    run(pass_affine);
    assert_int_equal(alive(OP_MUL) + alive(OP_SUB) + alive(OP_DIV), 0);
    w = graph_value(g, g->nodes.at[0].in[1])->data;
    b = graph_value(g, g->nodes.at[0].in[2])->data;
    assert_true(w[0] == 1 && w[1] == 2 && w[2] == 6 && w[3] == 8);
    assert_true(b[0] == -1.5f && b[1] == -1.5f);
}

/* c - y and c / y are no scale and shift of y's channels by constants. */
static void
a_constant_on_the_left_stays(void **state)
{
    int x = input("x", SHAPE(1, 2, 4, 4));

    (void)state;
    node(OP_DIV, "y", 2, scalar(2), conv_1x1("c", x));
    output("y");
    run(pass_affine);
    assert_int_equal(alive(OP_DIV), 1);
}

/* ConvTranspose with groups: weights [C, O/g, ...], channel o = group, column.
 */
static void
transposed_channels_are_columns_of_their_group(void **state)
{
    static const float w4[4] = {1, 1, 1, 1}, s[2] = {2, 3};
    const float *w;
    int x = input("x", SHAPE(1, 4, 4, 4));
    struct node *n =
        node(OP_CONV_TRANSPOSE, "c", 2, x, floats(SHAPE(4, 1, 1, 1), w4));

    (void)state;
    attr_set_int(g, n, "group", 2);
    node(OP_MUL, "y", 2, id_of("c"), floats(SHAPE(1, 2, 1, 1), s));
    output("y");
    run(pass_affine);
    w = graph_value(g, g->nodes.at[0].in[1])->data;
    assert_true(w[0] == 2 && w[1] == 2 && w[2] == 3 && w[3] == 3);
}

static int
deconv(const char *out, int64_t stride)
{
    static const float w[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int x = input("x", SHAPE(1, 1, 4, 4));
    struct node *n =
        node(OP_CONV_TRANSPOSE, out, 2, x, floats(SHAPE(1, 2, 2, 2), w));

    attr_set_ints(g, n, "strides", (int64_t[]){stride, stride}, 2);
    return id_of(out);
}

static void
deconv_by_blocks_becomes_conv(void **state)
{
    const float *w;

    (void)state;
    node(OP_RELU, "y", 1, deconv("d", 2));
    output("y");
    run(pass_deconv);
    assert_int_equal(alive(OP_CONV_TRANSPOSE), 0);
    assert_int_equal(graph_producer(g, id_of("y"))->op, OP_DEPTH_TO_SPACE);
    assert_int_equal(g->nodes.at[1].op, OP_RELU); /* in front of it */
    w = graph_value(g, g->nodes.at[0].in[1])->data;
    assert_true(w[0] == 1 && w[1] == 5 && w[2] == 2 && w[7] == 8);
}

static void
overlapping_deconv_stays(void **state)
{
    (void)state;
    deconv("y", 1);
    output("y");
    run(pass_deconv);
    assert_int_equal(alive(OP_CONV_TRANSPOSE), 1);
}

static void
constant_over_space_is_no_bias(void **state)
{
    static const float b[2] = {5, 6}; /* one a column, not one a channel */
    int x = input("x", SHAPE(1, 2, 4, 2));

    (void)state;
    node(OP_ADD, "y", 2, conv_1x1("c", x), floats(SHAPE(1, 2), b));
    output("y");
    run(pass_affine);
    assert_int_equal(alive(OP_ADD), 1);
}

static void
hardswish_is_found_in_all_its_forms(void **state)
{
    int x = input("x", SHAPE(1, 8));
    struct node *gate;

    (void)state;
    gate = node(OP_HARD_SIGMOID, "h1", 1, x);
    attr_set_float(g, gate, "alpha", 1.0f / 6);
    node(OP_MUL, "y1", 2, x, id_of("h1"));

    node(OP_ADD, "a2", 2, x, scalar(3));
    node(OP_CLIP, "c2", 3, id_of("a2"), scalar(0), scalar(6));
    node(OP_MUL, "m2", 2, x, id_of("c2"));
    node(OP_DIV, "y2", 2, id_of("m2"), scalar(6));

    node(OP_ADD, "a3", 2, scalar(3), x);
    node(OP_CLIP, "c3", 3, id_of("a3"), scalar(0), scalar(6));
    node(OP_DIV, "d3", 2, id_of("c3"), scalar(6));
    node(OP_MUL, "y3", 2, id_of("d3"), x);

    node(OP_ADD, "a4", 2, x, scalar(2)); /* 2: not the same function */
    node(OP_CLIP, "c4", 3, id_of("a4"), scalar(0), scalar(6));
    node(OP_DIV, "d4", 2, id_of("c4"), scalar(6));
    node(OP_MUL, "y4", 2, id_of("d4"), x);

    node(OP_ADD, "a5", 2, x, scalar(3));
    node(OP_CLIP, "c5", 3, id_of("a5"), scalar(0), scalar(6));
    node(OP_MUL, "m5", 2, x, id_of("c5"));
    node(OP_MUL, "y5", 2, id_of("m5"), scalar(0x1.554p-3f)); /* half's 1/6 */
    for (const char *const *y =
             (const char *[]){"y1", "y2", "y3", "y4", "y5", NULL};
         *y != NULL; y++)
        output(*y);
    run(pass_hardswish);
    assert_int_equal(alive(OP_HARD_SWISH), 4);
    assert_int_equal(alive(OP_MUL), 1);
    assert_int_equal(alive(OP_CLIP), 1);
}

static void
identities_go_and_outputs_keep_their_names(void **state)
{
    int x = input("x", SHAPE(4));

    (void)state;
    node(OP_IDENTITY, "i", 1, x);
    node(OP_RELU, "r", 1, id_of("i"));
    node(OP_IDENTITY, "y", 1, id_of("r"));
    node(OP_IDENTITY, "z", 1, x); /* nothing else makes z */
    output("y");
    output("z");
    run(pass_identity);
    assert_int_equal(alive(OP_IDENTITY), 1);
    assert_int_equal(g->outputs.at[0], id_of("y"));
    assert_int_equal(graph_producer(g, id_of("y"))->op, OP_RELU);
    assert_int_equal(graph_producer(g, id_of("y"))->in[0], x);
}

static void
pads_by_nothing_go(void **state)
{
    static const int64_t none[8] = {0}, one[8] = {0, 0, 0, 1};
    int x = input("x", SHAPE(1, 2, 4, 4));
    int pads = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(8), none);
    int more = graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(8), one);

    (void)state;
    node(OP_PAD, "p", 2, x, pads);
    node(OP_PAD, "q", 2, id_of("p"), more);
    node(OP_RELU, "y", 1, id_of("q"));
    output("y");
    run(pass_identity);
    assert_int_equal(alive(OP_PAD), 1);
    assert_int_equal(graph_producer(g, id_of("q"))->in[0], x);
}

static void
known(const char *name, struct shape s)
{
    graph_value(g, id_of(name))->shape = s;
}

static void
residual_and_relu_join_the_conv(void **state)
{
    struct shape s = SHAPE(1, 2, 4, 4);
    int x = input("x", s);
    const struct node *n;

    (void)state;
    conv_1x1("c", x);
    node(OP_TANH, "t", 1, x); /* the other arm runs after the conv */
    node(OP_ADD, "a", 2, id_of("t"), id_of("c"));
    node(OP_RELU, "y", 1, id_of("a"));
    output("y");
    known("c", s);
    known("t", s);
    known("a", s);
    known("y", s);
    run(pass_fuse);
    assert_int_equal(alive(OP_ADD) + alive(OP_RELU), 0);
    n = graph_producer(g, id_of("y"));
    assert_int_equal(n->op, OP_CONV);
    assert_int_equal(n->n_posts, 2);
    assert_int_equal(n->posts[0].op, OP_ADD);
    assert_int_equal(n->in[n->posts[0].in], id_of("t"));
    assert_int_equal(n->in[2], -1); /* no bias came of it */
    assert_int_equal(n->posts[1].op, OP_RELU);
    assert_true(n > graph_producer(g, id_of("t")));
}

static void
what_others_read_is_not_joined(void **state)
{
    struct shape s = SHAPE(1, 2, 4, 4);
    int x = input("x", s);

    (void)state;
    conv_1x1("c", x);
    node(OP_RELU, "y", 1, id_of("c"));
    node(OP_TANH, "z", 1, id_of("c"));
    output("y");
    output("z");
    known("c", s);
    run(pass_fuse);
    assert_int_equal(alive(OP_RELU), 1);
}

static void
a_broadcast_add_is_not_joined(void **state)
{
    struct shape s = SHAPE(1, 2, 4, 4);
    int x = input("x", s), v = input("v", SHAPE(1, 2, 1, 1));

    (void)state;
    conv_1x1("c", x);
    node(OP_ADD, "y", 2, id_of("c"), v);
    output("y");
    known("c", s);
    known("y", s);
    run(pass_fuse);
    assert_int_equal(alive(OP_ADD), 1);
}

static void
shape_chains_become_constants(void **state)
{
    static const int64_t one = 1, minus = -1;
    int x = input("x", SHAPE(2, 3, 4));
    int shape, dim, flat;

    (void)state;
    node(OP_SHAPE, "s", 1, x);
    node(OP_GATHER, "d", 2, id_of("s"),
         graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(1), &one));
    node(OP_CONCAT, "t", 2, id_of("d"),
         graph_add_const(g, NULL, DTYPE_INT64, &SHAPE(1), &minus));
    attr_set_int(g, &g->nodes.at[2], "axis", 0);
    node(OP_RESHAPE, "y", 2, x, id_of("t"));
    output("y");
    shape = id_of("s");
    dim = id_of("d");
    flat = id_of("y");
    run(pass_shapes);
    assert_int_equal(alive(OP_SHAPE) + alive(OP_GATHER) + alive(OP_CONCAT), 0);
    assert_true(graph_value(g, shape)->data != NULL);
    assert_int_equal(*(const int64_t *)graph_value(g, dim)->data, 3);
    assert_true(shape_equal(&graph_value(g, flat)->shape, &SHAPE(3, 8)));
}

static void
mean_over_space_is_a_pool(void **state)
{
    static const int64_t all[] = {-1, 2}, one[] = {2}, two_of_three[] = {2, 3};
    int x = input("x", SHAPE(2, 3, 4, 5)), v = input("v", SHAPE(2, 3, 4, 5, 6));
    struct node *n = node(OP_REDUCE_MEAN, "m", 1, x);

    (void)state;
    attr_set_ints(g, n, "axes", all, 2);
    attr_set_int(g, n, "keepdims", 0);
    n = node(OP_REDUCE_MEAN, "part", 1, x);
    attr_set_ints(g, n, "axes", one, 1);
    n = node(OP_REDUCE_MEAN, "deep", 1, v);
    attr_set_ints(g, n, "axes", two_of_three, 2);
    output("m");
    output("part");
    output("deep");
    run(pass_shapes);
    run(pass_mean);
    n = graph_producer(g, id_of("m"));
    assert_int_equal(n->op, OP_RESHAPE);
    assert_true(shape_equal(&node_in(g, n, 0)->shape, &SHAPE(2, 3, 1, 1)));
    assert_int_equal(graph_producer(g, n->in[0])->op, OP_GLOBAL_AVERAGE_POOL);
    assert_int_equal(graph_producer(g, id_of("part"))->op, OP_REDUCE_MEAN);
    assert_int_equal(graph_producer(g, id_of("deep"))->op, OP_REDUCE_MEAN);
    run(pass_shapes); /* and what it says of the shapes is so */
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, end)

/* x16 * 2 with both ends in half: the net is float32, and Casts stand before
 * and behind it. */
static void
halves_are_widened(void **state)
{
    const uint16_t two = 0x4000;
    int x = input("x", SHAPE(3)), c;
    const struct node *mul;
    struct err e;

    (void)state;
    graph_value(g, x)->dtype = DTYPE_FLOAT16;
    c = graph_add_const(g, "two", DTYPE_FLOAT16, &(struct shape){0}, &two);
    node(OP_MUL, "y", 2, x, c);
    graph_value(g, id_of("y"))->dtype = DTYPE_FLOAT16;
    output("y");
    assert_int_equal(pass_half(g, &e), 0);
    assert_int_equal(alive(OP_CAST), 2);
    assert_int_equal(graph_sort(g, &e), 0);
    assert_int_equal(graph_value(g, x)->dtype, DTYPE_FLOAT16);
    assert_int_equal(graph_value(g, id_of("y"))->dtype, DTYPE_FLOAT16);
    assert_int_equal(graph_producer(g, id_of("y"))->op, OP_CAST);
    mul = graph_producer(g, graph_producer(g, id_of("y"))->in[0]);
    assert_int_equal(mul->op, OP_MUL);
    assert_int_equal(node_in(g, mul, 0)->dtype, DTYPE_FLOAT);
    assert_int_equal(node_in(g, mul, 1)->dtype, DTYPE_FLOAT);
    assert_true(*(const float *)node_in(g, mul, 1)->data == 2);
}

/* A constant and an input that are outputs stay what they are. */
static void
halves_outside_stay(void **state)
{
    const uint16_t two = 0x4000;
    int x = input("x", SHAPE(3)), c;
    struct err e;

    (void)state;
    graph_value(g, x)->dtype = DTYPE_FLOAT16;
    c = graph_add_const(g, "two", DTYPE_FLOAT16, &SHAPE(1), &two);
    node(OP_MUL, "y", 2, x, c);
    output("x");
    output("two");
    output("y");
    assert_int_equal(pass_half(g, &e), 0);
    assert_int_equal(alive(OP_CAST), 1); /* y was declared float32 */
    assert_int_equal(graph_value(g, c)->dtype, DTYPE_FLOAT16);
    assert_int_equal(*(const uint16_t *)graph_value(g, c)->data, two);
    assert_int_equal(node_in(g, graph_producer(g, id_of("y")), 1)->dtype,
                     DTYPE_FLOAT);
    assert_true(graph_is_output(g, x));
}

/* What rounded to half and back does nothing any more, and goes. */
static void
casts_through_half_go(void **state)
{
    int x = input("x", SHAPE(3));

    (void)state;
    node(OP_CAST, "half", 1, x);
    attr_set_int(g, graph_producer(g, id_of("half")), "to", DTYPE_FLOAT16);
    node(OP_CAST, "back", 1, id_of("half"));
    attr_set_int(g, graph_producer(g, id_of("back")), "to", DTYPE_FLOAT);
    node(OP_CAST, "int", 1, id_of("back"));
    attr_set_int(g, graph_producer(g, id_of("int")), "to", DTYPE_INT32);
    output("int");
    run(pass_half);
    run(pass_identity);
    assert_int_equal(alive(OP_CAST), 1);
    assert_int_equal(graph_producer(g, id_of("int"))->in[0], x);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(old_constants_are_dropped),
        T(batchnorm_goes_into_weights),
        T(batchnorm_stays_when_the_conv_is_read_twice),
        T(added_constant_becomes_bias),
        T(factors_and_shifts_fold_one_after_another),
        T(a_constant_on_the_left_stays),
        T(transposed_channels_are_columns_of_their_group),
        T(deconv_by_blocks_becomes_conv),
        T(overlapping_deconv_stays),
        T(constant_over_space_is_no_bias),
        T(hardswish_is_found_in_all_its_forms),
        T(identities_go_and_outputs_keep_their_names),
        T(pads_by_nothing_go),
        T(residual_and_relu_join_the_conv),
        T(what_others_read_is_not_joined),
        T(a_broadcast_add_is_not_joined),
        T(shape_chains_become_constants),
        T(mean_over_space_is_a_pool),
        T(halves_are_widened),
        T(halves_outside_stay),
        T(casts_through_half_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
