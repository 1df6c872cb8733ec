/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models from graphs built by hand: what batching they get, and that sessions
 * answer right at one shape after another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "engine/ir/graph.h"

static int
input(struct graph *g, const char *name, struct shape s)
{
    int id = graph_add_value(g, name, DTYPE_FLOAT, &s);

    VEC_PUSH(&g->inputs, id);
    return id;
}

static int
node(struct graph *g, enum op op, const char *out, int a, int b)
{
    int in[2] = {a, b};
    int id = graph_add_value(g, out, DTYPE_FLOAT,
                             &(struct shape){.rank = SHAPE_UNKNOWN});

    graph_add_node(g, op, out, in, b < 0 ? 1 : 2, &id, 1);
    return id;
}

static struct model *
build(struct graph *g, int output)
{
    struct model *m;
    struct err e;

    VEC_PUSH(&g->outputs, output);
    assert_int_equal(model_build(&g, NULL, &m, &e), 0);
    assert_null(g);
    return m;
}

static void
warm(struct model *m)
{
    struct err e;

    assert_int_equal(model_warm(m, &e), 0);
}

static void
rows_alone_are_batched(void **state)
{
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(SHAPE_DYNAMIC, 3));
    struct model *m = build(g, node(g, OP_RELU, "y", x, -1));

    (void)state;
    warm(m);
    assert_int_equal(model_max_batch(m), 8);
    assert_int_equal(model_batch_fit(m, 1), 1);
    assert_int_equal(model_batch_fit(m, 7), 4);
    assert_int_equal(model_batch_fit(m, 100), 8);
    assert_true(
        shape_equal(&model_output(m, 0)->shape, &SHAPE(SHAPE_DYNAMIC, 3)));
    model_unref(&m);
}

/* y = x - mean of x over the rows: shapes say yes, numbers say no. */
static void
rows_that_meet_are_not(void **state)
{
    static const int64_t axis = 0;
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(SHAPE_DYNAMIC, 3)), mean;
    struct model *m;

    (void)state;
    mean = node(g, OP_REDUCE_MEAN, "m", x, -1);
    attr_set_ints(g, &g->nodes.at[0], "axes", &axis, 1);
    m = build(g, node(g, OP_SUB, "y", x, mean));
    warm(m);
    assert_int_equal(model_max_batch(m), 0);
    model_unref(&m);
}

static void
a_fixed_one_is_freed(void **state)
{
    static const int64_t to[2] = {1, -1};
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(1, 3, 2));
    int s = graph_add_const(g, "s", DTYPE_INT64, &SHAPE(2), to);
    struct model *m = build(g, node(g, OP_RESHAPE, "y", x, s));

    (void)state;
    warm(m);
    assert_int_equal(model_max_batch(m), 8);
    assert_true(
        shape_equal(&model_input(m, 0)->shape, &SHAPE(SHAPE_DYNAMIC, 3, 2)));
    assert_true(
        shape_equal(&model_output(m, 0)->shape, &SHAPE(SHAPE_DYNAMIC, 6)));
    model_unref(&m);
}

static void
a_one_that_is_no_batch_stays(void **state)
{
    static const int64_t to[2] = {3, 2};
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(1, 6));
    int s = graph_add_const(g, "s", DTYPE_INT64, &SHAPE(2), to);
    struct model *m = build(g, node(g, OP_RESHAPE, "y", x, s));

    (void)state;
    warm(m);
    assert_int_equal(model_max_batch(m), 0);
    assert_true(shape_equal(&model_input(m, 0)->shape, &SHAPE(1, 6)));
    assert_true(shape_equal(&model_output(m, 0)->shape, &SHAPE(3, 2)));
    model_unref(&m);
}

/*
 * x + (column - row), the row being the column after a Reshape to [1,-1] that
 * has nothing to do with the batch: a row it stays when the batch is freed.
 */
static void
a_column_made_a_row_stays(void **state)
{
    static const float column[2] = {1, 2};
    static const int64_t row[2] = {1, -1};
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(1, 2, 2)), c, r;
    struct session *s;
    struct model *m;
    struct err e;

    (void)state;
    /* It hangs on the shape of x (2 at most), so it is not folded at once. */
    c = node(g, OP_CAST, "cast", node(g, OP_SHAPE, "shape", x, -1), -1);
    attr_set_int(g, graph_producer(g, c), "to", DTYPE_FLOAT);
    c = node(g, OP_REDUCE_MAX, "two", c, -1);
    r = graph_add_const(g, "w", DTYPE_FLOAT, &SHAPE(2, 1), column);
    c = node(g, OP_MUL, "column", r, c);
    r = graph_add_const(g, "r", DTYPE_INT64, &SHAPE(2), row);
    r = node(g, OP_RESHAPE, "row", c, r);
    m = build(g, node(g, OP_ADD, "y", x, node(g, OP_SUB, "apart", c, r)));
    assert_int_equal(model_max_batch(m), 8);
    assert_int_equal(session_new(m, &s, &e), 0);
    assert_int_equal(session_shape(s, &SHAPE(1, 2, 2), &e), 0);
    memset(session_input(s, 0), 0, 4 * sizeof(float));
    assert_int_equal(session_run(s, &e), 0);
    assert_memory_equal(session_output(s, 0)->data, ((float[]){0, -2, 2, 0}),
                        4 * sizeof(float));
    session_free(&s);
    model_unref(&m);
}

static void
sessions_follow_the_shape(void **state)
{
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(SHAPE_DYNAMIC, SHAPE_DYNAMIC));
    struct model *m = build(g, node(g, OP_NEG, "y", x, -1));
    struct model_shapes seen;
    struct session *s;
    struct err e;

    (void)state;
    warm(m);
    assert_int_equal(session_new(m, &s, &e), 0);
    for (int round = 0; round < 3; round++)
        for (int64_t n = 1; n <= 40; n++) { /* more than are kept */
            struct shape shape = SHAPE(n, 2 * n);
            float *in;

            assert_int_equal(session_shape(s, &shape, &e), 0);
            in = session_input(s, 0);
            for (size_t i = 0; i < shape_n(&shape); i++)
                in[i] = (float)i;
            assert_int_equal(session_run(s, &e), 0);
            assert_true(shape_equal(&session_output(s, 0)->shape, &shape));
            for (size_t i = 0; i < shape_n(&shape); i++)
                assert_true(((float *)session_output(s, 0)->data)[i] ==
                            -(float)i);
        }
    model_shapes(m, &seen);
    assert_true(seen.kept <= 16 + 4);
    session_free(&s);
    model_unref(&m);
}

static void
wrong_shapes_are_named(void **state)
{
    static const char *const batch[2] = {"batch", NULL};
    struct graph *g = graph_new();
    int a = input(g, "a", SHAPE(SHAPE_DYNAMIC, 3));
    int b = input(g, "b", SHAPE(SHAPE_DYNAMIC, 3));
    struct session *s;
    struct model *m;
    struct err e;

    (void)state;
    graph_value(g, a)->dim_name = batch;
    graph_value(g, b)->dim_name = batch;
    m = build(g, node(g, OP_ADD, "y", a, b));
    assert_int_equal(session_new(m, &s, &e), 0);
    assert_int_equal(
        session_shape(s, (struct shape[]){SHAPE(2, 3), SHAPE(2, 4)}, &e),
        ERR_INVALID);
    assert_string_equal(e.msg, "input \"b\": expected shape [?,3], got [2,4]");
    assert_int_equal(
        session_shape(s, (struct shape[]){SHAPE(2, 3), SHAPE(1, 3)}, &e),
        ERR_INVALID);
    assert_string_equal(
        e.msg, "input \"b\": axis 0 (batch) is 1, but 2 in another input");
    session_free(&s);
    model_unref(&m);
}

/* A file of some hundred bytes must not take all memory when it runs. */
static void
memory_of_a_run_is_bounded(void **state)
{
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(SHAPE_DYNAMIC, 1000));
    struct model_options o = {.max_run_bytes = 1 << 20};
    struct session *s;
    struct model *m;
    struct err e;

    (void)state;
    VEC_PUSH(&g->outputs, node(g, OP_NEG, "y", x, -1));
    assert_int_equal(model_build(&g, &o, &m, &e), 0);
    assert_int_equal(session_new(m, &s, &e), 0);
    assert_int_equal(session_shape(s, &SHAPE(100, 1000), &e), 0);
    assert_int_equal(session_shape(s, &SHAPE(200, 1000), &e), ERR_TOO_LARGE);
    assert_string_equal(e.msg, "a run takes 1 MB, the limit is 1 MB");
    assert_int_equal(session_shape(s, &SHAPE(1000, 1000), &e), ERR_TOO_LARGE);
    assert_string_equal(
        e.msg, "value x is [1000,1000]: 3 MB, the limit of a run is 1 MB");
    assert_int_equal(session_shape(s, &SHAPE((int64_t)1 << 40, 1000), &e),
                     ERR_TOO_LARGE);
    session_free(&s);
    model_unref(&m);
}

/* Nor all time: little memory does not mean little work. */
static void
work_of_a_run_is_bounded(void **state)
{
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(SHAPE_DYNAMIC, 2));
    struct model_options o = {.max_run_work = 1e5};
    struct session *s;
    struct model *m;
    struct node *n;
    struct err e;
    int y = node(g, OP_EINSUM, "y", x, x);

    (void)state;
    n = graph_producer(g, y);
    attr_set_string(g, n, "equation", "ab,cd->bd");
    VEC_PUSH(&g->outputs, y);
    assert_int_equal(model_build(&g, &o, &m, &e), 0);
    assert_int_equal(session_new(m, &s, &e), 0);
    assert_int_equal(session_shape(s, &SHAPE(100, 2), &e), 0);
    assert_int_equal(session_shape(s, &SHAPE(1000, 2), &e), ERR_TOO_LARGE);
    assert_string_equal(e.msg, "up to node y (Einsum) a run takes 4e+06 "
                               "steps, the limit is 1e+05");
    session_free(&s);
    model_unref(&m);
}

/* Outputs that are an input, a constant, or a view of one. */
static void
outputs_need_no_node_of_their_own(void **state)
{
    static const float k[4] = {1, 2, 3, 4};
    static const int64_t to[2] = {2, 2};
    struct graph *g = graph_new();
    int x = input(g, "x", SHAPE(4));
    int c = graph_add_const(g, "c", DTYPE_FLOAT, &SHAPE(4), k);
    int s = graph_add_const(g, "s", DTYPE_INT64, &SHAPE(2), to);
    int v = node(g, OP_RESHAPE, "v", x, s);
    struct session *session;
    struct model *m;
    struct err e;

    (void)state;
    VEC_PUSH(&g->outputs, x);
    VEC_PUSH(&g->outputs, c);
    m = build(g, v);
    assert_int_equal(session_new(m, &session, &e), 0);
    assert_int_equal(session_shape(session, &SHAPE(4), &e), 0);
    memcpy(session_input(session, 0), k, sizeof k);
    for (int run = 0; run < 2; run++) { /* inputs outlive a run */
        assert_int_equal(session_run(session, &e), 0);
        for (int i = 0; i < 3; i++)
            assert_memory_equal(session_output(session, i)->data, k, sizeof k);
    }
    assert_true(shape_equal(&session_output(session, 2)->shape, &SHAPE(2, 2)));
    session_free(&session);
    model_unref(&m);
}

/* y[o, 2h+i, 2w+j] = relu(b[o] + sum over c of x[c,h,w] W[c,o,i,j]) */
static float
deconv_at(const float *x, const float *w, const float *b, int o, int r, int q)
{
    float y = b[o];

    for (int c = 0; c < 2; c++)
        y += x[(c * 4 + r / 2) * 5 + q / 2] *
             w[((c * 3 + o) * 2 + r % 2) * 2 + q % 2];
    return y > 0 ? y : 0;
}

static void
a_deconv_by_blocks_is_what_it_was(void **state)
{
    static const int64_t two[2] = {2, 2};
    struct graph *g = graph_new();
    float w[2 * 3 * 4], b[3] = {0.5f, -1, 2};
    int x = input(g, "x", SHAPE(1, 2, 4, 5)), in[3], out;
    struct session *s;
    struct model *m;
    struct err e;
    float *data;

    (void)state;
    for (int i = 0; i < 24; i++)
        w[i] = (float)(i * 7 % 11 - 5);
    in[0] = x;
    in[1] = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(2, 3, 2, 2), w);
    in[2] = graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(3), b);
    out = graph_add_value(g, "d", DTYPE_FLOAT,
                          &(struct shape){.rank = SHAPE_UNKNOWN});
    attr_set_ints(g, graph_add_node(g, OP_CONV_TRANSPOSE, "d", in, 3, &out, 1),
                  "strides", two, 2);
    m = build(g, node(g, OP_RELU, "y", out, -1));
    assert_int_equal(session_new(m, &s, &e), 0);
    assert_int_equal(session_shape(s, &SHAPE(1, 2, 4, 5), &e), 0);
    data = session_input(s, 0);
    for (int i = 0; i < 40; i++)
        data[i] = (float)(i * 5 % 13 - 6);
    assert_int_equal(session_run(s, &e), 0);
    assert_true(shape_equal(&session_output(s, 0)->shape, &SHAPE(1, 3, 8, 10)));
    for (int o = 0; o < 3; o++)
        for (int r = 0; r < 8; r++)
            for (int q = 0; q < 10; q++)
                assert_true(((float *)session_output(s, 0)
                                 ->data)[(o * 8 + r) * 10 + q] ==
                            deconv_at(data, w, b, o, r, q));
    session_free(&s);
    model_unref(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_alone_are_batched),
        cmocka_unit_test(rows_that_meet_are_not),
        cmocka_unit_test(a_fixed_one_is_freed),
        cmocka_unit_test(a_one_that_is_no_batch_stays),
        cmocka_unit_test(a_column_made_a_row_stays),
        cmocka_unit_test(sessions_follow_the_shape),
        cmocka_unit_test(wrong_shapes_are_named),
        cmocka_unit_test(memory_of_a_run_is_bounded),
        cmocka_unit_test(work_of_a_run_is_bounded),
        cmocka_unit_test(a_deconv_by_blocks_is_what_it_was),
        cmocka_unit_test(outputs_need_no_node_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
