/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/ir/window.h"

struct given {
    struct graph *g;
    struct node *n;
};

/* A node of input [1,2,in] whose weights, if it has any, are [2,2,kernel]. */
static struct given
node_of(enum op op, int64_t in, int64_t kernel, int64_t stride)
{
    struct given f = {.g = graph_new()};
    bool conv = op == OP_CONV || op == OP_CONV_TRANSPOSE;
    int ids[2], out;

    ids[0] = graph_add_value(f.g, "x", DTYPE_FLOAT, &SHAPE(1, 2, in));
    ids[1] = graph_add_value(f.g, "w", DTYPE_FLOAT, &SHAPE(2, 2, kernel));
    out = graph_add_value(f.g, "y", DTYPE_FLOAT, &SHAPE(0));
    f.n = graph_add_node(f.g, op, "n", ids, conv ? 2 : 1, &out, 1);
    attr_set_ints(f.g, f.n, "strides", &stride, 1);
    if (!conv)
        attr_set_ints(f.g, f.n, "kernel_shape", &kernel, 1);
    return f;
}

static void
pads_are_split(void **state)
{
    static const struct {
        const char *pad;
        int64_t begin, end, out;
    } cases[] = {
        {"SAME_UPPER", 0, 1, 3},
        {"SAME_LOWER", 1, 0, 3},
        {"VALID", 0, 0, 2},
        {"NOTSET", 0, 0, 2},
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct given f = node_of(OP_CONV, 6, 3, 2);
        struct window w;
        struct err e;

        attr_set_string(f.g, f.n, "auto_pad", cases[i].pad);
        assert_int_equal(window_of(f.g, f.n, &w, &e), 0);
        assert_int_equal(w.n, 1);
        assert_int_equal(w.begin[0], cases[i].begin);
        assert_int_equal(w.end[0], cases[i].end);
        assert_int_equal(w.out[0], cases[i].out);
        /* Axes that are not there are one place wide. */
        assert_int_equal(w.out[2] * w.in[2] * w.kernel[2] * w.stride[2], 1);
        graph_free(&f.g);
    }
}

static void
transposed_is_the_other_way(void **state)
{
    struct given f = node_of(OP_CONV_TRANSPOSE, 3, 3, 2);
    struct window w;
    struct err e;

    (void)state;
    assert_int_equal(window_of(f.g, f.n, &w, &e), 0);
    assert_int_equal(w.out[0], 7);
    attr_set_ints(f.g, f.n, "output_shape", (int64_t[]){6}, 1);
    assert_int_equal(window_of(f.g, f.n, &w, &e), 0);
    assert_int_equal(w.out[0], 6);
    assert_int_equal(w.begin[0], 1);
    assert_int_equal(w.end[0], 0);
    /* The batch and the channels may be named too. */
    attr_set_ints(f.g, f.n, "output_shape", (int64_t[]){1, 2, 8}, 3);
    assert_int_equal(window_of(f.g, f.n, &w, &e), 0);
    assert_int_equal(w.out[0], 8);
    assert_int_equal(w.begin[0] + w.end[0], 0);
    graph_free(&f.g);
}

static void
ceil_adds_a_window(void **state)
{
    struct given f = node_of(OP_MAX_POOL, 6, 3, 2);
    struct window w;
    struct err e;

    (void)state;
    attr_set_int(f.g, f.n, "ceil_mode", 1);
    assert_int_equal(window_of(f.g, f.n, &w, &e), 0);
    assert_int_equal(w.out[0], 3);
    graph_free(&f.g);
}

static void
refuses_nonsense(void **state)
{
    static const struct {
        const char *name;
        int64_t v[2];
        int n;
    } cases[] = {
        {"strides", {0}, 1},      {"strides", {1, 1}, 2},
        {"dilations", {-1}, 1},   {"dilations", {INT64_MAX}, 1},
        {"pads", {1}, 1},         {"pads", {-1, 0}, 2},
        {"kernel_shape", {0}, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct given f = node_of(OP_MAX_POOL, 6, 3, 2);
        struct window w;
        struct err e;

        attr_set_ints(f.g, f.n, cases[i].name, cases[i].v, cases[i].n);
        assert_int_equal(window_of(f.g, f.n, &w, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, cases[i].name));
        graph_free(&f.g);
    }
}

static void
strides_of_both_layouts(void **state)
{
    int64_t s[SHAPE_MAX_RANK];

    (void)state;
    layout_strides(&SHAPE(2, 3, 4, 5), LAYOUT_PLAIN, s);
    assert_memory_equal(s, ((int64_t[]){60, 20, 5, 1}), 4 * sizeof s[0]);
    layout_strides(&SHAPE(2, 3, 4, 5), LAYOUT_NXC, s);
    assert_memory_equal(s, ((int64_t[]){60, 1, 15, 3}), 4 * sizeof s[0]);
    layout_strides(&SHAPE(2, 3), LAYOUT_NXC, s);
    assert_memory_equal(s, ((int64_t[]){3, 1}), 2 * sizeof s[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pads_are_split),
        cmocka_unit_test(transposed_is_the_other_way),
        cmocka_unit_test(ceil_adds_a_window),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(strides_of_both_layouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
