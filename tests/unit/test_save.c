/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "tests/unit/onnx_make.h"

static const char path[] = "test-save.onnx", beside[] = "test-save.onnx.data";

/* --- helpers ------------------------------------------------------------ */

/* The graph of m, written and read again. */
static struct graph *
rewritten(struct make *m, size_t max_inline, struct graph **first)
{
    struct graph *again = NULL;
    struct err e = {0};

    if (make_import(m, NULL, first, &e) != 0 ||
        onnx_save(*first, path, max_inline, &e) != 0 ||
        graph_load(path, &again, &e) != 0)
        fail_msg("%s", e.msg);
    make_end(m);
    return again;
}

static void
same_value(const struct value *a, const struct value *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_true(shape_equal(&a->shape, &b->shape));
    assert_int_equal(a->data == NULL, b->data == NULL);
    if (a->data != NULL)
        assert_memory_equal(a->data, b->data,
                            shape_n(&a->shape) * dtype_size(a->dtype));
    for (int i = 0; a->dim_name != NULL && i < a->shape.rank; i++)
        if (a->dim_name[i] != NULL)
            assert_string_equal(a->dim_name[i], b->dim_name[i]);
        else
            assert_null(b->dim_name[i]);
}

static void
same_attr(const struct attr *a, const struct attr *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->n, b->n);
    switch (a->type) {
    case ATTR_FLOAT:
        assert_true(a->f == b->f);
        break;
    case ATTR_INT:
        assert_true(a->i == b->i);
        break;
    case ATTR_STRING:
        assert_string_equal(a->s, b->s);
        break;
    case ATTR_INTS:
        assert_memory_equal(a->ints, b->ints, (size_t)a->n * sizeof *a->ints);
        break;
    case ATTR_FLOATS:
        assert_memory_equal(a->floats, b->floats,
                            (size_t)a->n * sizeof *a->floats);
        break;
    case ATTR_TENSOR:
        assert_int_equal(a->tensor->dtype, b->tensor->dtype);
        assert_memory_equal(a->tensor->data, b->tensor->data,
                            dtype_size(a->tensor->dtype));
        break;
    default:
        fail();
    }
}

static void
same_node(const struct graph *g, const struct node *a, const struct graph *h,
          const struct node *b)
{
    assert_int_equal(a->op, b->op);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->n_in, b->n_in);
    assert_int_equal(a->n_out, b->n_out);
    assert_int_equal(a->n_attrs, b->n_attrs);
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i] >= 0)
            same_value(node_in(g, a, i), node_in(h, b, i));
        else
            assert_int_equal(b->in[i], -1);
    for (int i = 0; i < a->n_out; i++)
        assert_string_equal(node_out(g, a, i)->name, node_out(h, b, i)->name);
    for (int i = 0; i < a->n_attrs; i++)
        same_attr(&a->attrs[i], &b->attrs[i]);
}

static void
same_graph(const struct graph *g, const struct graph *h)
{
    assert_string_equal(g->name, h->name);
    assert_int_equal(g->nodes.n, h->nodes.n);
    for (size_t i = 0; i < g->nodes.n; i++)
        same_node(g, &g->nodes.at[i], h, &h->nodes.at[i]);
    assert_int_equal(g->inputs.n, h->inputs.n);
    for (size_t i = 0; i < g->inputs.n; i++)
        same_value(graph_value(g, g->inputs.at[i]),
                   graph_value(h, h->inputs.at[i]));
    assert_int_equal(g->outputs.n, h->outputs.n);
    for (size_t i = 0; i < g->outputs.n; i++)
        same_value(graph_value(g, g->outputs.at[i]),
                   graph_value(h, h->outputs.at[i]));
    assert_int_equal(g->metas.n, h->metas.n);
    for (size_t i = 0; i < g->metas.n; i++)
        assert_string_equal(g->metas.at[i].text,
                            graph_meta(h, g->metas.at[i].key));
}

/* One of everything that a file can hold. */
static void
rich_model(struct make *m)
{
    static const float w[600] = {1, 2, 3};
    Onnx__NodeProto *n;

    make_begin(m, 13);
    m->graph.name = (char *)"rich";
    make_input(m, "x", DTYPE_FLOAT, MAKE_DIMS(-1, 3, -1, 20))
        ->type->tensor_type->shape->dim[0]
        ->dim_param = make_text(m, "batch");
    make_input(m, "unshaped", DTYPE_INT64, -1, NULL);
    make_output(m, "y", DTYPE_FLOAT, MAKE_DIMS(-1, 3, -1, 20));
    make_output(m, "w", DTYPE_FLOAT, MAKE_DIMS(600));
    make_initializer(m, "w", DTYPE_FLOAT, MAKE_DIMS(600), w, sizeof w);
    make_initializer(m, "v", DTYPE_FLOAT, MAKE_DIMS(3, 10, 20), w, sizeof w);
    make_initializer(m, "low", DTYPE_FLOAT, 0, NULL, w, sizeof *w);
    make_initializer(m, "none", DTYPE_INT64, MAKE_DIMS(0), NULL, 0);
    make_node(m, "Add", "x,v", "a");
    make_node(m, "Clip", "a,,low", "c");
    n = make_node(m, "LeakyRelu", "c", "l");
    make_float(m, n, "alpha", 0.25f);
    n = make_node(m, "DepthToSpace", "l", "d");
    make_int(m, n, "blocksize", 2);
    make_string(m, n, "mode", "CRD");
    n = make_node(m, "Transpose", "d", "y");
    make_ints(m, n, "perm", 4, (const int64_t[]){0, 1, 3, 2});
    n = make_node(m, "ConstantOfShape", "unshaped", "z");
    make_attr(m, n, "value", ATTR_TENSOR)->t =
        make_tensor(m, "", DTYPE_INT64, MAKE_DIMS(1), "\1\2\3\4\5\6\7\0", 8);
    make_entry(m, &m->model.metadata_props, &m->model.n_metadata_props, "key",
               "text");
}

/* --- cases -------------------------------------------------------------- */

static void
what_is_written_reads_the_same(void **state)
{
    struct make m;
    struct graph *g, *h;

    (void)state;
    rich_model(&m);
    h = rewritten(&m, SIZE_MAX, &g);
    same_graph(g, h);
    assert_int_not_equal(access(beside, F_OK), 0);
    graph_free(&h);
    graph_free(&g);
}

static void
large_weights_go_beside(void **state)
{
    struct make m;
    struct graph *g, *h;
    struct file_map map;
    struct err e;

    (void)state;
    rich_model(&m);
    h = rewritten(&m, 4000, &g);
    same_graph(g, h);
    assert_int_equal(file_map(beside, &map, &e), 0);
    assert_int_equal(map.bytes, 65536 + 2400);
    file_unmap(&map);
    graph_free(&h);
    graph_free(&g);
    assert_int_equal(unlink(beside), 0);
}

/* Opset 18, which Split needs here, has the axes of reductions as inputs. */
static void
the_opset_is_what_the_nodes_need(void **state)
{
    struct make m;
    struct graph *g, *h;

    (void)state;
    rich_model(&m);
    h = rewritten(&m, SIZE_MAX, &g);
    assert_int_equal(h->opset, 14); /* Add */
    graph_free(&h);
    graph_free(&g);
    make_begin(&m, 19);
    m.graph.name = (char *)"resize";
    make_input(&m, "x", DTYPE_FLOAT, MAKE_DIMS(1, 1, 4, 5));
    make_input(&m, "s", DTYPE_FLOAT, MAKE_DIMS(4));
    make_output(&m, "y", DTYPE_FLOAT, -1, NULL);
    make_string(&m, make_node(&m, "Resize", "x,,s", "y"),
                "coordinate_transformation_mode", "half_pixel_symmetric");
    h = rewritten(&m, SIZE_MAX, &g);
    assert_int_equal(h->opset, 19);
    same_graph(g, h);
    graph_free(&h);
    graph_free(&g);
    make_begin(&m, 18);
    m.graph.name = (char *)"parts";
    make_input(&m, "x", DTYPE_FLOAT, MAKE_DIMS(4, 5));
    make_output(&m, "y", DTYPE_FLOAT, -1, NULL);
    make_int(&m, make_node(&m, "Split", "x", "s,t"), "num_outputs", 2);
    make_node(&m, "ReduceMean", "s,axes", "y");
    make_initializer(&m, "axes", DTYPE_INT64, MAKE_DIMS(1), "\1\0\0\0\0\0\0\0",
                     8);
    h = rewritten(&m, SIZE_MAX, &g);
    assert_int_equal(h->opset, 18);
    same_graph(g, h);
    graph_free(&h);
    graph_free(&g);
}

/* Each form is written for the opset that has it, and read back as it was. */
static void
forms_of_newer_opsets(void **state)
{
    static const struct {
        int opset, want;
        const char *op, *in, *name, *text;
    } cases[] = {
        {16, 16, "GridSample", "x,x", "mode", "bilinear"},
        {20, 20, "GridSample", "x,x", "mode", "linear"},
        {17, 17, "DFT", "x", NULL, NULL},
        {20, 20, "DFT", "x", NULL, NULL},
        {18, 18, "ReduceL1", "x,x", NULL, NULL},
        {13, 13, "ReduceL1", "x", NULL, NULL},
        {10, 16, "RoiAlign", "x,x,x", NULL, NULL},
        {9, 16, "Scatter", "x,x,x", NULL, NULL},
        {11, 14, "LSTM", "x,x,x", "direction", "reverse"},
        {13, 13, "Einsum", "x,x", "equation", "...,..."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct make m;
        struct graph *g, *h;
        Onnx__NodeProto *n;

        make_begin(&m, cases[i].opset);
        m.graph.name = (char *)"form";
        make_input(&m, "x", DTYPE_FLOAT, MAKE_DIMS(1, 1, 4, 5));
        make_output(&m, "y", DTYPE_FLOAT, -1, NULL);
        n = make_node(&m, cases[i].op, cases[i].in, "y");
        if (cases[i].name != NULL)
            make_string(&m, n, cases[i].name, cases[i].text);
        h = rewritten(&m, SIZE_MAX, &g);
        assert_int_equal(h->opset, cases[i].want);
        same_graph(g, h);
        graph_free(&h);
        graph_free(&g);
    }
}

/* One number a group is the form of 18, one a channel that of 21. */
static void
group_normalization_of_its_opset(void **state)
{
    static const char zeros[16];

    (void)state;
    for (int i = 0; i < 2; i++) {
        const int64_t numbers = i == 0 ? 2 : 4;
        struct make m;
        struct graph *g, *h;

        make_begin(&m, i == 0 ? 18 : 21);
        m.graph.name = (char *)"groups";
        make_input(&m, "x", DTYPE_FLOAT, MAKE_DIMS(1, 4, 5));
        make_output(&m, "y", DTYPE_FLOAT, -1, NULL);
        make_initializer(&m, "s", DTYPE_FLOAT, MAKE_DIMS(numbers), zeros,
                         (size_t)numbers * 4);
        make_int(&m, make_node(&m, "GroupNormalization", "x,s,s", "y"),
                 "num_groups", 2);
        h = rewritten(&m, SIZE_MAX, &g);
        assert_int_equal(h->opset, i == 0 ? 18 : 21);
        same_graph(g, h);
        graph_free(&h);
        graph_free(&g);
    }
}

static void
dead_nodes_and_unread_constants_stay_out(void **state)
{
    struct make m;
    struct graph *g = NULL, *h = NULL;
    struct err e = {0};

    (void)state;
    rich_model(&m);
    assert_int_equal(make_import(&m, NULL, &g, &e), 0);
    make_end(&m);
    graph_kill_node(g, make_maker(g, "z"));
    assert_int_equal(graph_save(g, path, &e), 0);
    assert_int_equal(graph_load(path, &h, &e), 0);
    assert_int_equal(h->nodes.n, g->nodes.n - 1);
    assert_int_equal(graph_find_value(h, "none"), -1);
    assert_true(graph_find_value(h, "low") >= 0);
    graph_free(&h);
    graph_free(&g);
}

static void
what_lives_in_memory_only_is_refused(void **state)
{
    const struct qparam q = {.axis = -1};
    struct make m;
    struct graph *g = NULL;
    struct err e = {0};

    (void)state;
    rich_model(&m);
    assert_int_equal(make_import(&m, NULL, &g, &e), 0);
    make_end(&m);
    unlink(path);
    make_maker(g, "c")->n_posts = 1;
    assert_int_equal(graph_save(g, path, &e), ERR_INTERNAL);
    assert_string_equal(e.msg, "node n_c (Clip with others joined to it) "
                               "exists in memory only");
    make_maker(g, "c")->n_posts = 0;
    make_maker(g, "c")->op = OP_SWISH;
    assert_int_equal(graph_save(g, path, &e), ERR_INTERNAL);
    make_maker(g, "c")->op = OP_CLIP;
    node_set_in_q(g, make_maker(g, "c"), 0, &q);
    assert_int_equal(graph_save(g, path, &e), ERR_INTERNAL);
    assert_int_not_equal(access(path, F_OK), 0);
    graph_free(&g);
}

static void
a_file_that_cannot_be_written_is_not_left(void **state)
{
    struct make m;
    struct graph *g = NULL;
    struct err e = {0};
    struct rlimit was, small;

    (void)state;
    rich_model(&m);
    assert_int_equal(make_import(&m, NULL, &g, &e), 0);
    make_end(&m);
    assert_int_equal(graph_save(g, "nowhere/model.onnx", &e), ERR_NOT_FOUND);
    assert_int_equal(graph_save(g, "/dev/null", &e), ERR_INVALID);
    assert_int_equal(access("/dev/null", F_OK), 0);

    unlink(path);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = (struct rlimit){1000, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(graph_save(g, path, &e), ERR_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(onnx_save(g, path, 0, &e), ERR_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(beside, F_OK), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    graph_free(&g);
}

static int
remove_files(void **state)
{
    (void)state;
    unlink(path);
    unlink(beside);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(large_weights_go_beside),
        cmocka_unit_test(the_opset_is_what_the_nodes_need),
        cmocka_unit_test(forms_of_newer_opsets),
        cmocka_unit_test(group_normalization_of_its_opset),
        cmocka_unit_test(dead_nodes_and_unread_constants_stay_out),
        cmocka_unit_test(what_lives_in_memory_only_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_written_is_not_left),
    };

    return cmocka_run_group_tests(tests, NULL, remove_files);
}
