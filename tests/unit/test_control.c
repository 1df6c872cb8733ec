/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bounds a Loop: memory, work, built shapes.  What it computes is tested
 * against ONNX's vectors and in tests/e2e.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/ir/graph.h"

static int
input(struct graph *g, const char *name, enum dtype t, struct shape s)
{
    int id = graph_add_value(g, name, t, &s);

    VEC_PUSH(&g->inputs, id);
    return id;
}

static int
node(struct graph *g, enum op op, const char *out, int a, int b)
{
    int in[2] = {a, b};
    int id = graph_add_value(g, out, DTYPE_NONE,
                             &(struct shape){.rank = SHAPE_UNKNOWN});

    graph_add_node(g, op, out, in, b < 0 ? 1 : 2, &id, 1);
    return id;
}

/*
 * Carries s (and appends x to it, when it grows) and gathers it:
 *     on = go, t = s + x or Concat(s, x), row = t
 */
static struct graph *
loop_body(bool grows)
{
    struct graph *b = graph_new();
    int go, s, x, t;

    input(b, "i", DTYPE_INT64, (struct shape){.rank = 0});
    go = input(b, "go", DTYPE_BOOL, (struct shape){.rank = 0});
    s = input(b, "s", DTYPE_FLOAT, (struct shape){.rank = SHAPE_UNKNOWN});
    x = input(b, "x", DTYPE_FLOAT, (struct shape){.rank = SHAPE_UNKNOWN});
    b->n_captured = 1;
    VEC_PUSH(&b->outputs, node(b, OP_IDENTITY, "on", go, -1));
    t = node(b, grows ? OP_CONCAT : OP_ADD, "t", s, x);
    if (grows)
        attr_set_int(b, &b->nodes.at[1], "axis", 0);
    VEC_PUSH(&b->outputs, t);
    if (!grows)
        VEC_PUSH(&b->outputs, node(b, OP_IDENTITY, "row", t, -1));
    return b;
}

/* x [N], n: Loop(n, true, x) */
static struct model *
loop(bool grows, bool endless, const struct model_options *o)
{
    static const bool yes = true;
    struct graph *g = graph_new();
    int x = input(g, "x", DTYPE_FLOAT, SHAPE(SHAPE_DYNAMIC));
    int n = input(g, "n", DTYPE_INT64, (struct shape){.rank = 0});
    int go =
        graph_add_const(g, "go", DTYPE_BOOL, &(struct shape){.rank = 0}, &yes);
    int in[] = {endless ? -1 : n, go, x, x}, out[2];
    struct attr *body = arena_new_in(g->arena, 1, sizeof *body);
    struct shape unknown = {.rank = SHAPE_UNKNOWN};
    struct model *m;
    struct err e;
    struct node *l;

    out[0] = graph_add_value(g, "last", DTYPE_FLOAT, &unknown);
    out[1] = graph_add_value(g, "rows", DTYPE_FLOAT, &unknown);
    l = graph_add_node(g, OP_LOOP, "loop", in, 4, out, grows ? 1 : 2);
    l->n_own = 3;
    *body = (struct attr){
        .name = "body", .type = ATTR_GRAPH, .n = 1, .graph = loop_body(grows)};
    l->attrs = body;
    l->n_attrs = 1;
    VEC_PUSH(&g->outputs, out[0]);
    if (!grows)
        VEC_PUSH(&g->outputs, out[1]);
    assert_int_equal(model_build(&g, o, &m, &e), 0);
    return m;
}

/* Runs with x all 1, of that length. */
static int
run(struct session *s, int64_t length, int64_t n, struct err *e)
{
    struct shape shapes[] = {SHAPE(length), {.rank = 0}};
    float *x;

    if (session_shape(s, shapes, e) != 0)
        return e->code;
    x = session_input(s, 0);
    for (int64_t i = 0; i < length; i++)
        x[i] = 1;
    *(int64_t *)session_input(s, 1) = n;
    return session_run(s, e);
}

static void
rows_are_gathered(void **state)
{
    struct model *m = loop(false, false, NULL);
    struct session *s = NULL;
    struct err e;

    (void)state;
    assert_int_equal(session_new(m, &s, &e), 0);
    for (int64_t n = 1; n < 40; n += 3) {
        assert_int_equal(run(s, 5, n, &e), 0);
        assert_true(shape_equal(&session_output(s, 1)->shape, &SHAPE(n, 5)));
        for (int64_t i = 0; i < n * 5; i++)
            assert_true(((float *)session_output(s, 1)->data)[i] ==
                        (float)(2 + i / 5));
    }
    session_free(&s);
    model_unref(&m);
}

static void
no_loop_runs_forever(void **state)
{
    struct model_options o = {.max_run_work = 1e8};
    struct model *m = loop(true, true, &o);
    struct session *s = NULL;
    struct err e;

    (void)state;
    assert_int_equal(session_new(m, &s, &e), 0);
    assert_int_equal(run(s, 1, 0, &e), ERR_TOO_LARGE);
    assert_non_null(strstr(e.msg, "loop"));
    session_free(&s);
    model_unref(&m);
}

static void
what_is_gathered_is_bounded(void **state)
{
    struct model_options o = {.max_run_bytes = 1 << 20};
    struct model *m = loop(false, false, &o);
    struct session *s = NULL;
    struct err e;

    (void)state;
    assert_int_equal(session_new(m, &s, &e), 0);
    for (int again = 0; again < 3; again++) {
        assert_int_equal(run(s, 1000, 1000, &e), ERR_TOO_LARGE);
        assert_non_null(strstr(e.msg, "MB"));
        assert_int_equal(run(s, 1000, 10, &e), 0);
    }
    session_free(&s);
    model_unref(&m);
}

/* Each turn has another shape: built, used once, thrown out. */
static void
built_shapes_are_bounded(void **state)
{
    struct model_options o = {.max_shapes = 4};
    struct model *m = loop(true, false, &o);
    struct session *s = NULL;
    struct model_shapes shapes, before;
    struct err e;

    (void)state;
    assert_int_equal(session_new(m, &s, &e), 0);
    assert_int_equal(run(s, 3, 100, &e), 0);
    assert_true(shape_equal(&session_output(s, 0)->shape, &SHAPE(303)));
    model_shapes(m, &shapes);
    assert_true(shapes.misses >= 100);
    assert_in_range(shapes.kept, 1, 3 * 4);

    assert_int_equal(run(s, 3, 2, &e), 0);
    model_shapes(m, &shapes);
    before = shapes;
    assert_int_equal(run(s, 3, 2, &e), 0);
    model_shapes(m, &shapes);
    assert_int_equal(shapes.misses, before.misses);
    assert_true(shapes.hits > before.hits);
    session_free(&s);
    model_unref(&m);
}

static void
memory_may_fail_anywhere(void **state)
{
    struct model *m = loop(true, false, NULL);
    struct err e = {0};
    bool done = false;

    (void)state;
    for (unsigned k = 1; !done; k++) {
        struct session *s = NULL;

        assert_true(k < 1000);
        assert_int_equal(session_new(m, &s, &e), 0);
        mem_fail_at(k);
        done = run(s, 2, 5, &e) == 0;
        mem_fail_at(0);
        if (!done)
            assert_int_equal(e.code, ERR_NO_MEMORY);
        session_free(&s);
    }
    model_unref(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_gathered),
        cmocka_unit_test(no_loop_runs_forever),
        cmocka_unit_test(what_is_gathered_is_bounded),
        cmocka_unit_test(built_shapes_are_bounded),
        cmocka_unit_test(memory_may_fail_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
