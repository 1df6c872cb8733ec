/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ONNX file all the way: imported, written and read again, simplified,
 * quantized, built, warmed up and run at a few shapes, hostile ones among
 * them, on made-up numbers.  Nothing may crash, leak, hang or go beyond the
 * limits; whatever is refused is refused with a message, and never as a fault
 * of ours.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/ir/graph.h"
#include "engine/onnx/onnx.h"
#include "quant/quant.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_corpus = "model";

enum {
    MAX_RUN_BYTES = 64 << 20,
    MAX_RUN_WORK = 1 << 22,
    MAX_BATCH = 2,
    SAMPLES = 3,
    ROUNDS = 4, /* shapes that a model is asked for */
};

static const struct model_options limits = {
    .max_batch = MAX_BATCH,
    .max_shapes = 2,
    .max_run_bytes = MAX_RUN_BYTES,
    .max_run_work = MAX_RUN_WORK,
};

/* What a failure says about us; e is not looked at when rc is 0. */
static void
must_not_blame_us(int rc, const struct err *e)
{
    if (rc == 0 ||
        (rc != ERR_INTERNAL && e->code == (enum err_code)rc &&
         memchr(e->msg, '\0', sizeof e->msg) != NULL && e->msg[0] != '\0'))
        return;
    fprintf(stderr, "code %d: %.*s\n", rc, (int)sizeof e->msg, e->msg);
    abort();
}

/* --- made-up numbers ----------------------------------------------------- */

/* 0 <= r < n, the same for the same file. Source: Knuth's MMIX generator. */
static uint64_t seed;

static int
chance(int n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)n);
}

static void
make_up(enum dtype t, unsigned char *p, size_t n)
{
    static const float floats[] = {0,     1,     -1,   0.5f,  2,
                                   -3.5f, 1e30f, -200, 1e-9f, 0x1p127f};
    static const int64_t ints[] = {0, 1, 1, 2, 3, -1, 7, INT64_MIN, INT64_MAX};
    size_t size = dtype_size(t);

    for (size_t i = 0; i < n; i++, p += size) {
        float f = floats[chance(chance(8) == 0 ? 10 : 5)];
        int64_t v = ints[chance(chance(8) == 0 ? 9 : 3)];
        uint16_t half = dtype_float_to_half(f), bf16 = dtype_float_to_bf16(f);
        double d = (double)f;

        if (t == DTYPE_FLOAT)
            memcpy(p, &f, size);
        else if (t == DTYPE_DOUBLE)
            memcpy(p, &d, size);
        else if (t == DTYPE_FLOAT16 || t == DTYPE_BFLOAT16)
            memcpy(p, t == DTYPE_FLOAT16 ? &half : &bf16, size);
        else if (t == DTYPE_BOOL)
            *p = (unsigned char)(v & 1);
        else
            memcpy(p, &v, size); /* the low bytes */
    }
}

/* Some shape that is of the kind the model takes, or now and then is not. */
static void
make_up_shapes(const struct model *m, struct shape *shapes, bool hostile)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 8, 0, 1};
    static const int64_t absurd[] = {-1,        -2,        INT64_MAX, INT64_MIN,
                                     INT32_MAX, 1ll << 40, 100000,    0};
    int64_t common = sizes[chance(8)];

    for (int i = 0; i < model_n_inputs(m); i++) {
        shapes[i] = model_input(m, i)->shape;
        if (shapes[i].rank == SHAPE_UNKNOWN)
            shapes[i].rank = chance(5);
        for (int k = 0; k < shapes[i].rank; k++) {
            int64_t *d = &shapes[i].dim[k];

            if (*d == SHAPE_DYNAMIC)
                *d = chance(3) == 0 ? sizes[chance(8)] : common;
            if (hostile && chance(4) == 0)
                *d = absurd[chance(8)];
        }
    }
}

/* --- the steps ------------------------------------------------------------ */

/* Every byte is there and was written. */
static unsigned
sum_of(const struct session *s, const struct model *m)
{
    unsigned sum = 0;

    for (int i = 0; i < model_n_outputs(m); i++) {
        const struct tensor *t = session_output(s, i);
        size_t bytes = shape_n(&t->shape) * dtype_size(t->dtype);

        for (size_t k = 0; k < bytes; k++)
            sum = sum * 31 + ((const unsigned char *)t->data)[k];
    }
    return sum;
}

static int
run_once(const struct model *m, struct session *s, const struct shape *shapes,
         struct err *e)
{
    volatile unsigned sum;
    int rc = session_shape(s, shapes, e);

    if (rc != 0)
        return rc;
    for (int i = 0; i < model_n_inputs(m); i++)
        make_up(model_input(m, i)->dtype, session_input(s, i),
                shape_n(&shapes[i]));
    rc = session_run(s, e);
    if (rc == 0)
        sum = sum_of(s, m);
    (void)sum;
    return rc;
}

/* True when the model took one of the shapes at least. */
static bool
run(struct model *m)
{
    struct shape *shapes =
        mem_new((size_t)model_n_inputs(m) + 1, sizeof *shapes);
    struct session *s;
    struct err e;
    int rc = session_new(m, &s, &e);
    bool ran = false;

    must_not_blame_us(rc, &e);
    for (int round = 0; rc == 0 && round < ROUNDS; round++) {
        int failed;

        make_up_shapes(m, shapes, round == ROUNDS - 1);
        failed = run_once(m, s, shapes, &e);
        must_not_blame_us(failed, &e);
        ran |= failed == 0;
    }
    if (rc == 0)
        session_free(&s);
    mem_free(shapes);
    return ran;
}

static void
ignore_step(void *arg, const struct model_step *s)
{
    (void)arg;
    (void)s;
}

/* Takes *g.  True when there are shapes that it runs at. */
static bool
build_and_run(struct graph **g)
{
    bool ran = false;
    struct model *m;
    struct err e;
    int rc = model_build(g, &limits, &m, &e);

    must_not_blame_us(rc, &e);
    if (rc != 0)
        return false;
    rc = model_warm(m, &e);
    must_not_blame_us(rc, &e);
    if (rc == 0) {
        ran = run(m);
        must_not_blame_us(model_describe(m, NULL, ignore_step, NULL, &e), &e);
    }
    model_unref(&m);
    return ran;
}

/* --- files ---------------------------------------------------------------- */

/* A file of our own, removed when the process ends. */
static char *path;

static void
remove_file(void)
{
    unlink(path);
    mem_free(path);
}

static void
have_file(void)
{
    const char *folder = getenv("TMPDIR");
    int fd;

    if (path != NULL)
        return;
    path =
        mem_printf("%s/quantd-fuzz-XXXXXX", folder != NULL ? folder : "/tmp");
    fd = mkstemp(path);
    if (fd < 0)
        abort();
    close(fd);
    atexit(remove_file);
}

/* Writes g; returns its bytes, or NULL when it can't be written. */
static char *
written(const struct graph *g, size_t *bytes)
{
    struct err e;
    char *text;
    int rc;

    have_file();
    rc = graph_save(g, path, &e);
    must_not_blame_us(rc, &e);
    if (rc != 0)
        return NULL;
    must_not_blame_us(file_read(path, 256 << 20, &text, bytes, &e), &e);
    return text;
}

/*
 * Reads what was written; NULL when it is refused, which only a graph that
 * does not run may be: an older opset may allow what makes no sense in a newer
 * one.
 */
static struct graph *
read_again(const char *text, size_t n, bool runs)
{
    struct graph *g;
    struct err e;
    int rc = onnx_import(text, n, NULL, &g, &e);

    must_not_blame_us(rc, &e);
    if (rc != 0 && runs) {
        fprintf(stderr, "what was written is not read: %s\n", e.msg);
        abort();
    }
    return rc == 0 ? g : NULL;
}

static bool
same_value(const struct value *a, const struct value *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->dtype == b->dtype && shape_equal(&a->shape, &b->shape) &&
           (a->data == NULL) == (b->data == NULL) &&
           (a->data == NULL ||
            memcmp(a->data, b->data,
                   shape_n(&a->shape) * dtype_size(a->dtype)) == 0);
}

static bool
same_node(const struct graph *a, const struct node *n, const struct graph *b,
          const struct node *m)
{
    if (n->op != m->op || n->n_in != m->n_in || n->n_out != m->n_out ||
        n->n_attrs != m->n_attrs || strcmp(n->name, m->name) != 0)
        return false;
    for (int i = 0; i < n->n_in; i++)
        if (!same_value(node_in(a, n, i), node_in(b, m, i)))
            return false;
    return true;
}

static bool
same_names(const struct graph *a, const int *in_a, const struct graph *b,
           const int *in_b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(graph_value(a, in_a[i])->name,
                   graph_value(b, in_b[i])->name) != 0)
            return false;
    return true;
}

/* But for the names of values within, which are made up where they must be. */
static bool
same_graph(const struct graph *a, const struct graph *b)
{
    if (a->nodes.n != b->nodes.n || a->inputs.n != b->inputs.n ||
        a->outputs.n != b->outputs.n ||
        !same_names(a, a->inputs.at, b, b->inputs.at, a->inputs.n) ||
        !same_names(a, a->outputs.at, b, b->outputs.at, a->outputs.n))
        return false;
    for (size_t i = 0; i < a->nodes.n; i++)
        if (!same_node(a, &a->nodes.at[i], b, &b->nodes.at[i]))
            return false;
    return true;
}

static struct graph *
written_and_read(const struct graph *g, bool runs)
{
    size_t n;
    char *text = written(g, &n);
    struct graph *again = text == NULL ? NULL : read_again(text, n, runs);

    mem_free(text);
    return again;
}

/* What was written and read must be the same from then on: the first time a
 * newer opset may have another form for it. */
static void
write_and_read(const struct graph *g, bool runs)
{
    struct graph *once = written_and_read(g, runs);
    struct graph *twice = once == NULL ? NULL : written_and_read(once, runs);

    if (runs && twice != NULL && !same_graph(once, twice)) {
        fprintf(stderr, "what was written is another graph when read: %s\n",
                path);
        abort();
    }
    graph_free(&once);
    graph_free(&twice);
}

/* --- the quantizer -------------------------------------------------------- */

struct samples {
    struct tensor *in;
    const struct graph *g;
    int left;
};

static int
next_sample(void *arg, int max_rows, struct tensor *in, int *rows,
            struct err *e)
{
    struct samples *s = arg;

    (void)max_rows;
    (void)e;
    *rows = s->left > 0;
    if (s->left-- <= 0)
        return 0;
    for (size_t i = 0; i < s->g->inputs.n; i++) {
        make_up(s->in[i].dtype, s->in[i].data, shape_n(&s->in[i].shape));
        in[i] = s->in[i];
    }
    return 0;
}

/* One tensor an input, at its smallest; false when one would be large. */
static bool
have_samples(const struct graph *g, struct samples *s)
{
    *s = (struct samples){mem_new(g->inputs.n + 1, sizeof *s->in), g, SAMPLES};
    for (size_t i = 0; i < g->inputs.n; i++) {
        const struct value *v = graph_value(g, g->inputs.at[i]);
        struct tensor *t = &s->in[i];
        struct err e;
        size_t n;

        *t = (struct tensor){.dtype = v->dtype, .shape = v->shape};
        if (t->shape.rank == SHAPE_UNKNOWN)
            return false;
        for (int k = 0; k < t->shape.rank; k++)
            if (t->shape.dim[k] == SHAPE_DYNAMIC)
                t->shape.dim[k] = k == 0 ? 1 : 4;
        if (shape_count(&t->shape, &n, &e) != 0 || n > 1 << 20)
            return false;
        t->data = mem_new(n, dtype_size(t->dtype));
    }
    return true;
}

static void
quantize(const struct graph *g, const struct quant_options *o,
         const struct observation *ob)
{
    struct quant_result r = {0};
    struct graph *q, *copy;
    bool runs;
    struct err e;
    int rc = ob == NULL ? quant_dynamic(g, o, &r, &q, &e)
                        : quant_static(g, o, ob, &r, &q, &e);

    must_not_blame_us(rc, &e);
    if (rc != 0)
        return;
    copy = graph_copy(q);
    runs = build_and_run(&copy);
    write_and_read(q, runs);
    graph_free(&q);
    quant_result_free(&r);
}

/* runs: g runs within our limits; calibration has its own, larger ones. */
static void
quantize_both_ways(const struct graph *g, bool runs)
{
    struct observation *ob = NULL;
    struct quant_options o;
    struct samples s;
    struct err e;

    quant_options_init(&o);
    /* Entropy looks at no more of a file than the others, and takes long. */
    o.calibrator =
        chance(32) == 0 ? QUANT_ENTROPY : (enum quant_calibrator)chance(3);
    o.per_tensor = chance(4) == 0;
    quantize(g, &o, NULL);
    if (have_samples(g, &s) && runs) {
        struct quant_source src = {next_sample, &s, SAMPLES};
        int rc = quant_observe(g, &o, &src, NULL, &ob, &e);

        must_not_blame_us(rc, &e);
        if (rc == 0)
            quantize(g, &o, ob);
        observation_free(&ob);
    }
    for (size_t i = 0; i < g->inputs.n; i++)
        mem_free(s.in[i].data);
    mem_free(s.in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct graph *g, *copy;
    bool runs;
    struct err e;
    int rc = onnx_import(data, size, NULL, &g, &e);

    must_not_blame_us(rc, &e);
    if (rc != 0)
        return 0;
    seed = size;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 1099511628211u; /* FNV-1a */
    copy = graph_copy(g);
    runs = build_and_run(&copy);
    /* What no output needs is gone from what runs, but not yet from here. */
    write_and_read(g, false);
    rc = graph_simplify(g, &e);
    must_not_blame_us(rc, &e);
    if (rc == 0) {
        write_and_read(g, runs);
        quantize_both_ways(g, runs);
    }
    graph_free(&g);
    return 0;
}
