/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two recipes on small networks, from samples to answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quant/observe.h"
#include "quant/quant.h"
#include "tests/unit/net.h"

/* --- samples -------------------------------------------------------------- */

/* n rows of made-up numbers for a model of one input. */
struct rows {
    float *x;
    struct shape shape; /* of one row */
    int n, at, step;    /* step 1: forwards; -1: backwards */
};

static struct rows
rows_new(struct shape shape, int n)
{
    size_t count = shape_n(&shape) * (size_t)n;
    struct rows r = {mem_new(count, sizeof(float)), shape, n, 0, 1};
    uint32_t state = 5;

    for (size_t i = 0; i < count; i++)
        r.x[i] = 2 * net_random(&state);
    return r;
}

static int
rows_next(void *arg, int max_rows, struct tensor *in, int *rows, struct err *e)
{
    struct rows *r = arg;
    size_t each = shape_n(&r->shape);

    (void)e;
    *rows = max_rows < r->n - r->at ? max_rows : r->n - r->at;
    if (r->step < 0 && *rows > 1)
        *rows = 1;
    in[0] = (struct tensor){DTYPE_FLOAT, r->shape, NULL};
    in[0].shape.dim[0] = *rows;
    in[0].data = r->x + each * (size_t)(r->step > 0 ? r->at : r->n - 1 - r->at);
    r->at += *rows;
    return 0;
}

static struct observation *
observe(const struct graph *g, const struct quant_options *o, struct rows *r)
{
    struct quant_source src = {rows_next, r, r->n};
    struct observation *ob = NULL;
    struct err e;

    r->at = 0;
    if (quant_observe(g, o, &src, NULL, &ob, &e) != 0)
        fail_msg("%s", e.msg);
    return ob;
}

/* --- answers -------------------------------------------------------------- */

/* The first output for all rows, one run a row; mem_free(). */
static float *
answers(const struct graph *g, const struct rows *r, size_t *n)
{
    struct graph *copy = graph_copy(g);
    struct model *m;
    struct session *s;
    float *y = NULL;
    struct err e;

    if (model_build(&copy, NULL, &m, &e) != 0 || session_new(m, &s, &e) != 0 ||
        session_shape(s, &r->shape, &e) != 0)
        fail_msg("%s", e.msg);
    for (int i = 0; i < r->n; i++) {
        size_t each = shape_n(&r->shape);
        const struct tensor *t;

        memcpy(session_input(s, 0), r->x + (size_t)i * each,
               each * sizeof(float));
        if (session_run(s, &e) != 0)
            fail_msg("%s", e.msg);
        t = session_output(s, 0);
        *n = shape_n(&t->shape);
        if (y == NULL)
            y = mem_new(*n * (size_t)r->n, sizeof *y);
        memcpy(y + (size_t)i * *n, t->data, *n * sizeof *y);
    }
    session_free(&s);
    model_unref(&m);
    *n *= (size_t)r->n;
    return y;
}

static double
sqnr(const float *want, const float *got, size_t n)
{
    double signal = 0, noise = 0;

    for (size_t i = 0; i < n; i++) {
        double d = (double)want[i] - (double)got[i];

        signal += (double)want[i] * (double)want[i];
        noise += d * d;
    }
    return 10 * log10(signal / noise);
}

static double
sqnr_of_graphs(const struct graph *a, const struct graph *b,
               const struct rows *r)
{
    size_t n;
    float *want = answers(a, r, &n), *got = answers(b, r, &n);
    double db = sqnr(want, got, n);

    mem_free(want);
    mem_free(got);
    return db;
}

struct run {
    struct rows rows;
    struct observation *ob;
    struct quant_result result;
    struct graph *out;
    double db; /* of the answers */
};

static struct run
quantize(const struct graph *g, const struct quant_options *o)
{
    struct run r = {.rows = rows_new(g->values.at[g->inputs.at[0]].shape, 40)};
    struct err e;

    r.ob = observe(g, o, &r.rows);
    if (quant_static(g, o, r.ob, &r.result, &r.out, &e) != 0)
        fail_msg("%s", e.msg);
    r.db = sqnr_of_graphs(g, r.out, &r.rows);
    return r;
}

static void
run_done(struct run *r)
{
    observation_free(&r->ob);
    quant_result_free(&r->result);
    graph_free(&r->out);
    mem_free(r->rows.x);
}

static struct quant_options
defaults(void)
{
    struct quant_options o;

    quant_options_init(&o);
    return o;
}

static int
count(const struct graph *g, enum op op)
{
    int n = 0;

    for (size_t i = 0; i < g->nodes.n; i++)
        n += !g->nodes.at[i].dead && g->nodes.at[i].op == op;
    return n;
}

static const struct quant_tensor *
tensor_named(const struct quant_result *r, const char *name)
{
    for (size_t i = 0; i < r->tensors.n; i++)
        if (strcmp(r->tensors.at[i].name, name) == 0)
            return &r->tensors.at[i];
    return NULL;
}

static bool
warned(const struct quant_result *r, const char *part)
{
    for (size_t i = 0; i < r->warnings.n; i++)
        if (strstr(r->warnings.at[i], part) != NULL)
            return true;
    return false;
}

/* --- networks ------------------------------------------------------------- */

static struct graph *
residual(void)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 12, 12));
    int a = net_unary(g, OP_RELU, "ar", net_conv(g, "a", x, 3, 16, 3, 1));
    int b = net_unary(g, OP_RELU, "br", net_conv(g, "b", a, 16, 16, 3, 16));
    int c = net_conv(g, "c", b, 16, 16, 1, 1);
    int s = net_unary(g, OP_RELU, "sr", net_binary(g, OP_ADD, "s", c, a));
    int m = net_max_pool(g, "m", s);
    int d =
        net_unary(g, OP_HARD_SWISH, "dh", net_conv(g, "d", m, 16, 24, 3, 1));
    int p = net_unary(g, OP_GLOBAL_AVERAGE_POOL, "p", d);

    net_output(g, net_gemm(g, "y", net_unary(g, OP_FLATTEN, "f", p), 24, 10));
    return g;
}

static struct graph *
inception(void)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 3, 12, 12));
    int a = net_unary(g, OP_RELU, "ar", net_conv(g, "a", x, 3, 8, 3, 1));
    int b = net_unary(g, OP_RELU, "br", net_conv(g, "b", a, 8, 8, 3, 1));
    int c = net_unary(g, OP_RELU, "cr", net_conv(g, "c", a, 8, 8, 1, 1));

    net_output(g, net_conv(g, "y", net_concat(g, "bc", b, c), 16, 4, 3, 1));
    return g;
}

/* --- tests ---------------------------------------------------------------- */

static void
static_answers_stay_close(void **state)
{
    struct graph *nets[] = {residual(), inception()};
    struct quant_options o = defaults();

    (void)state;
    for (int i = 0; i < 2; i++) {
        for (o.calibrator = QUANT_MINMAX; o.calibrator <= QUANT_ENTROPY;
             o.calibrator++) {
            struct run r = quantize(nets[i], &o);

            print_message("net %d %s: %.1f dB\n", i,
                          quant_calibrator_name(o.calibrator), r.db);
            assert_true(r.db > (o.calibrator == QUANT_ENTROPY ? 15 : 27));
            assert_int_equal(r.result.n_float, 0);
            run_done(&r);
        }
        graph_free(&nets[i]);
    }
}

static void
pairs_are_as_planned(void **state)
{
    struct graph *g = residual();
    struct quant_options o = defaults();
    struct run r = quantize(g, &o);

    (void)state;
    /* x ar br sr m dh p f, and 5 weights */
    assert_int_equal(count(r.out, OP_QUANTIZE_LINEAR), 8);
    assert_int_equal(count(r.out, OP_DEQUANTIZE_LINEAR), 8 + 5);
    assert_int_equal(r.out->outputs.n, 1);
    assert_string_equal(r.out->values.at[r.out->outputs.at[0]].name, "y");
    assert_int_equal(r.result.n_int8, 5);
    assert_int_equal(r.result.layers.n, 5);
    assert_int_equal(r.result.layers.at[0].channels, 16);
    assert_true(r.result.weight_bytes < r.result.weight_bytes_float / 2);
    assert_int_equal(tensor_named(&r.result, "ar")->zero, 0);
    assert_true(tensor_named(&r.result, "x")->zero > 100);
    assert_true(tensor_named(&r.result, "sr")->scale ==
                tensor_named(&r.result, "m")->scale);
    assert_true(tensor_named(&r.result, "p")->scale ==
                tensor_named(&r.result, "f")->scale);
    for (size_t i = 0; i < r.result.layers.n; i++)
        assert_true(r.result.layers.at[i].sqnr_db > 20);
    assert_true(warned(&r.result, "only 40 calibration samples"));
    run_done(&r);
    graph_free(&g);
}

/* Batches sum in another order than single samples: the last bits differ. */
static void
batches_and_order_do_not_matter(void **state)
{
    static const int batches[] = {1, 7, 32, 1};
    struct graph *g = residual();
    struct quant_options o = defaults();
    struct quant_result first = {0};

    (void)state;
    o.calibrator = QUANT_MINMAX;
    for (int i = 0; i < 4; i++) {
        struct rows rows = rows_new(SHAPE(1, 3, 12, 12), 40);
        struct observation *ob;
        struct quant_result r;
        struct graph *out;
        struct err e;

        rows.step = i == 3 ? -1 : 1;
        o.batch = batches[i];
        ob = observe(g, &o, &rows);
        assert_int_equal(quant_static(g, &o, ob, &r, &out, &e), 0);
        assert_int_equal(r.samples, 40);
        for (size_t k = 0; i > 0 && k < r.tensors.n; k++) {
            const struct quant_tensor *a = &first.tensors.at[k];
            const struct quant_tensor *b = &r.tensors.at[k];

            assert_int_equal(a->values, b->values);
            assert_int_equal(a->zero, b->zero);
            assert_true(fabsf(a->scale - b->scale) <= 1e-5f * a->scale);
        }
        if (i == 0)
            first = r;
        else
            quant_result_free(&r);
        observation_free(&ob);
        graph_free(&out);
        mem_free(rows.x);
    }
    quant_result_free(&first);
    graph_free(&g);
}

static void
bad_samples_are_left_out(void **state)
{
    struct graph *g = residual();
    struct quant_options o = defaults();
    struct rows rows = rows_new(SHAPE(1, 3, 12, 12), 10);
    struct rows good = rows_new(SHAPE(1, 3, 12, 12), 8);
    struct quant_source src = {rows_next, &rows, 10};
    struct observation *ob, *clean;
    struct quant_result r;
    struct graph *out;
    struct err e;

    (void)state;
    rows.x[8 * 432 + 3] = NAN;
    rows.x[9 * 432 + 400] = -INFINITY;
    for (o.batch = 1; o.batch <= 10; o.batch += 9) {
        ob = observe(g, &o, &rows);
        clean = observe(g, &o, &good);
        assert_int_equal(ob->samples, 8);
        assert_int_equal(ob->skipped, 2);
        assert_int_equal(ob->watched.n, clean->watched.n);
        for (size_t i = 0; i < ob->watched.n; i++)
            assert_int_equal(ob->watched.at[i].histogram->n,
                             clean->watched.at[i].histogram->n);
        assert_int_equal(quant_static(g, &o, ob, &r, &out, &e), 0);
        assert_true(warned(&r, "2 calibration samples hold NaN"));
        quant_result_free(&r);
        graph_free(&out);
        observation_free(&ob);
        observation_free(&clean);
    }
    for (int i = 0; i < 10; i++)
        rows.x[i * 432] = NAN;
    rows.at = 0;
    assert_int_equal(quant_observe(g, &o, &src, NULL, &ob, &e), ERR_INVALID);
    assert_string_equal(e.msg,
                        "calibration: all 10 samples hold NaN or infinity");
    rows.at = 10;
    assert_int_equal(quant_observe(g, &o, &src, NULL, &ob, &e), ERR_INVALID);
    assert_string_equal(e.msg, "calibration: no samples");
    mem_free(rows.x);
    mem_free(good.x);
    graph_free(&g);
}

static void
constant_data_are_said_and_survived(void **state)
{
    struct graph *g = residual();
    struct quant_options o = defaults();
    struct rows rows = rows_new(SHAPE(1, 3, 12, 12), 4);
    struct observation *ob;
    struct quant_result r;
    struct graph *out;
    struct err e;

    (void)state;
    for (int i = 0; i < 4 * 432; i++)
        rows.x[i] = 0;
    ob = observe(g, &o, &rows);
    assert_int_equal(quant_static(g, &o, ob, &r, &out, &e), 0);
    assert_true(warned(&r, "input x is the same number, 0, in all"));
    assert_true(tensor_named(&r, "x")->scale == 1);
    assert_true(sqnr_of_graphs(g, out, &rows) > 20);
    quant_result_free(&r);
    graph_free(&out);
    observation_free(&ob);
    mem_free(rows.x);
    graph_free(&g);
}

/* Depthwise channels a hundred times apart, evened out by the next layer. */
static struct graph *
imbalanced(void)
{
    enum { C = 32 };
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, C, 8, 8));
    int d = net_conv(g, "d", x, C, C, 3, C);
    int y = net_conv(g, "y", d, C, 8, 1, 1);
    float *w = (float *)g->values.at[graph_producer(g, d)->in[1]].data;
    float *b = (float *)g->values.at[graph_producer(g, d)->in[2]].data;

    memset(b, 0, C * sizeof *b);
    for (int c = 0; c < C; c++)
        for (int i = 0; i < 9; i++)
            w[c * 9 + i] *= powf(100, (float)c / (C - 1) - 1);
    net_output(g, d);
    net_output(g, y);
    return g;
}

/* SQNR of the worst channel of output [1,C,...] over all rows. */
static double
worst_channel(const struct graph *a, const struct graph *b,
              const struct rows *r, size_t C)
{
    size_t n, each;
    float *want = answers(a, r, &n), *got = answers(b, r, &n);
    double worst = INFINITY;

    each = n / (size_t)r->n / C;
    for (size_t c = 0; c < C; c++) {
        double signal = 0, noise = 0;

        for (size_t i = 0; i < n; i++) {
            double d = (double)(want[i] - got[i]);

            if (i / each % C != c)
                continue;
            signal += (double)want[i] * (double)want[i];
            noise += d * d;
        }
        worst = fmin(worst, 10 * log10(signal / noise));
    }
    mem_free(want);
    mem_free(got);
    return worst;
}

static void
channels_survive_imbalance(void **state)
{
    struct graph *g = imbalanced();
    struct quant_options o = defaults();
    struct run channel = quantize(g, &o), tensor;
    double by_channel, by_tensor;

    (void)state;
    by_channel = worst_channel(g, channel.out, &channel.rows, 32);
    o.per_tensor = true;
    tensor = quantize(g, &o);
    by_tensor = worst_channel(g, tensor.out, &tensor.rows, 32);
    print_message("worst channel: %.1f dB by channel, %.1f dB by tensor\n",
                  by_channel, by_tensor);
    assert_int_equal(channel.result.layers.at[0].channels, 32);
    assert_int_equal(tensor.result.layers.at[0].channels, 1);
    assert_true(by_channel > 30);
    assert_true(by_tensor < 12);
    run_done(&channel);
    run_done(&tensor);
    graph_free(&g);
}

/*
 * Weights of 1e-9 with a bias of 5: in int32 the bias would be 5 / (scale of
 * input * scale of weights), far beyond 2^31.  And a channel without weights.
 */
static void
biases_do_not_overflow(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 4, 8, 8));
    int y = net_conv(g, "y", x, 4, 4, 3, 1);
    float *w = (float *)g->values.at[graph_producer(g, y)->in[1]].data;
    float *b = (float *)g->values.at[graph_producer(g, y)->in[2]].data;
    struct quant_options o = defaults();
    struct run r;
    float *got;
    size_t n;

    (void)state;
    for (int i = 0; i < 36; i++)
        w[i] *= 1e-9f;
    for (int i = 36; i < 72; i++)
        w[i] = 0;
    b[0] = 5;
    b[1] = -3;
    net_output(g, y);
    r = quantize(g, &o);
    got = answers(r.out, &r.rows, &n);
    assert_true(fabsf(got[0] - 5) < 1e-5f);
    assert_true(fabsf(got[64] + 3) < 1e-5f);
    assert_true(r.db > 30);
    mem_free(got);
    run_done(&r);
    graph_free(&g);
}

/* Boxes of hundreds and scores below one, put together and read by a layer. */
static void
unlike_arms_keep_their_scales(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(1, 4, 8, 8));
    int big = net_conv(g, "big", x, 4, 4, 1, 1);
    int small =
        net_unary(g, OP_SIGMOID, "small", net_conv(g, "score", x, 4, 4, 1, 1));
    float *w = (float *)g->values.at[graph_producer(g, big)->in[1]].data;
    struct quant_options o = defaults();
    struct run r;

    (void)state;
    for (int i = 0; i < 16; i++)
        w[i] *= 600;
    net_output(g, net_conv(g, "y", net_concat(g, "c", big, small), 8, 4, 1, 1));
    r = quantize(g, &o);
    assert_true(warned(&r.result, "Concat c stays in float"));
    assert_null(tensor_named(&r.result, "small"));
    assert_non_null(tensor_named(&r.result, "c"));
    run_done(&r);
    graph_free(&g);
}

static void
dynamic_quantizes_weights_only(void **state)
{
    struct graph *g = residual();
    struct quant_options o = defaults();
    struct rows rows = rows_new(SHAPE(1, 3, 12, 12), 5);
    struct quant_result r;
    struct graph *out;
    struct err e;
    double db;

    (void)state;
    assert_int_equal(quant_dynamic(g, &o, &r, &out, &e), 0);
    assert_int_equal(count(out, OP_QUANTIZE_LINEAR), 0);
    assert_int_equal(count(out, OP_DEQUANTIZE_LINEAR), 5);
    assert_string_equal(graph_meta(out, META_DYNAMIC), "row");
    assert_int_equal(r.layers.at[0].precision, QUANT_WEIGHT_ONLY);
    assert_non_null(r.layers.at[0].reason);
    assert_int_equal(r.layers.at[4].precision, QUANT_DYNAMIC);
    assert_int_equal(r.layers.at[4].channels, 10);
    assert_true(warned(&r, "4 convolutions have int8 weights"));
    db = sqnr_of_graphs(g, out, &rows);
    print_message("dynamic: %.1f dB\n", db);
    assert_true(db > 30);
    quant_result_free(&r);
    graph_free(&out);
    mem_free(rows.x);
    graph_free(&g);
}

static void
one_constant_for_two_layers_is_stored_once(void **state)
{
    struct graph *g = graph_new();
    int x = net_input(g, "x", SHAPE(2, 8));
    int w = net_const(g, "w", SHAPE(8, 8), 1);
    int a = net_binary(g, OP_MATMUL, "a", x, w);
    int b = net_binary(g, OP_MATMUL, "b", a, w);
    struct quant_options o = defaults();
    struct quant_result r;
    struct graph *out;
    struct err e;

    (void)state;
    net_output(g, b);
    assert_int_equal(quant_dynamic(g, &o, &r, &out, &e), 0);
    assert_int_equal(count(out, OP_DEQUANTIZE_LINEAR), 1);
    assert_int_equal(r.n_int8, 2);
    assert_int_equal(r.weight_bytes_float, 256);
    assert_int_equal(r.weight_bytes, 64 + 8 * 5);
    assert_true(r.layers.at[1].weight_max == r.layers.at[0].weight_max);
    quant_result_free(&r);
    graph_free(&out);
    graph_free(&g);
}

static void
nothing_to_quantize_is_refused(void **state)
{
    static const char *const all[] = {"*", "nobody"};
    struct graph *g = graph_new(), *r = residual(), *out, *twice;
    struct quant_options o = defaults();
    struct rows rows = rows_new(SHAPE(1, 3, 12, 12), 2);
    struct quant_source src = {rows_next, &rows, 2};
    struct observation *ob;
    struct quant_result res;
    struct err e;

    (void)state;
    net_output(
        g, net_unary(g, OP_RELU, "y", net_input(g, "x", SHAPE(1, 3, 12, 12))));
    assert_int_equal(quant_observe(g, &o, &src, NULL, &ob, &e),
                     ERR_UNSUPPORTED);
    assert_int_equal(quant_dynamic(g, &o, &res, &out, &e), ERR_UNSUPPORTED);
    o.exclude = all;
    o.n_exclude = 2;
    ob = observe(r, &o, &rows);
    assert_int_equal(quant_static(r, &o, ob, &res, &out, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "(see exclude)"));
    observation_free(&ob);
    o.exclude = &all[1];
    o.n_exclude = 1;
    assert_int_equal(quant_dynamic(r, &o, &res, &out, &e), 0);
    assert_true(warned(&res, "exclude=nobody matches no node"));
    quant_result_free(&res);
    o.n_exclude = 0;
    assert_int_equal(quant_dynamic(out, &o, &res, &twice, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "quantized already (node a)"));
    graph_free(&out);
    mem_free(rows.x);
    graph_free(&g);
    graph_free(&r);
}

/* Whichever allocation fails, there is an error and nothing is left behind. */
static void
short_memory_is_an_error(void **state)
{
    struct graph *g = residual(), *out;
    struct quant_options o = defaults();
    struct rows rows = rows_new(SHAPE(1, 3, 12, 12), 4);
    struct quant_source src = {rows_next, &rows, 4};
    struct observation *ob = NULL;
    struct quant_result r;
    struct err e;
    unsigned k = 0;
    int rc;

    (void)state;
    do {
        rows.at = 0;
        mem_fail_at(++k);
        rc = quant_observe(g, &o, &src, NULL, &ob, &e);
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_NO_MEMORY);
    } while (rc != 0);
    assert_true(k > 2);
    k = 0;
    do {
        mem_fail_at(++k);
        rc = quant_static(g, &o, ob, &r, &out, &e);
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_NO_MEMORY);
    } while (rc != 0);
    assert_true(k > 2);
    quant_result_free(&r);
    graph_free(&out);
    observation_free(&ob);
    mem_free(rows.x);
    graph_free(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_answers_stay_close),
        cmocka_unit_test(pairs_are_as_planned),
        cmocka_unit_test(batches_and_order_do_not_matter),
        cmocka_unit_test(bad_samples_are_left_out),
        cmocka_unit_test(constant_data_are_said_and_survived),
        cmocka_unit_test(channels_survive_imbalance),
        cmocka_unit_test(biases_do_not_overflow),
        cmocka_unit_test(unlike_arms_keep_their_scales),
        cmocka_unit_test(dynamic_quantizes_weights_only),
        cmocka_unit_test(one_constant_for_two_layers_is_stored_once),
        cmocka_unit_test(nothing_to_quantize_is_refused),
        cmocka_unit_test(short_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
