/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One small graph, computed three times: node by node as it is written, by the
 * plain kernels alone, and by whatever the engine chooses.  Included after
 * cmocka.h.
 */
#ifndef TESTS_OP_BOTH_H
#define TESTS_OP_BOTH_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/ir/graph.h"

static unsigned both_seed = 1;

/* In [-1, 1), the same on every machine. */
static inline float
both_random(void)
{
    both_seed = both_seed * 1664525u + 1013904223u;
    return (float)(both_seed >> 8) / (float)(1 << 23) - 1;
}

static inline int
both_int(int low, int high)
{
    return low + (int)((both_random() + 1) / 2 * (float)(high - low + 1));
}

/* A graph input of random floats, or a constant of them. */
static inline int
both_input(struct graph *g, const char *name, struct shape s)
{
    int id = graph_add_value(g, name, DTYPE_FLOAT, &s);

    VEC_PUSH(&g->inputs, id);
    return id;
}

static inline int
both_const(struct graph *g, struct shape s, float scale)
{
    size_t n = shape_n(&s);
    float *f = mem_new(n + 1, sizeof *f);
    int id;

    for (size_t i = 0; i < n; i++)
        f[i] = scale * both_random();
    id = graph_add_const(g, NULL, DTYPE_FLOAT, &s, f);
    mem_free(f);
    return id;
}

/* A node with one output of unknown shape; returns the output. */
static inline int
both_node(struct graph *g, enum op op, const int *in, int n_in)
{
    char name[32];
    struct shape unknown = {.rank = SHAPE_UNKNOWN};
    int out = graph_add_value(g, NULL, DTYPE_NONE, &unknown);

    snprintf(name, sizeof name, "n%zu", g->nodes.n);
    graph_add_node(g, op, name, in, n_in, &out, 1);
    return out;
}

#define NODE(g, op, ...)                                                       \
    both_node(g, op, (int[]){__VA_ARGS__},                                     \
              (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)))

/* The node that made value id: for its attributes. */
#define MADE(g, id) graph_producer(g, id)

struct both_kernels {
    char text[2000]; /* "dnn.conv/brgconv:avx512_core ..." of all steps */
};

static inline void
both_note(void *arg, const struct model_step *s)
{
    struct both_kernels *k = arg;
    size_t at = strlen(k->text);

    snprintf(k->text + at, sizeof k->text - at, "%s%s/%s", at ? " " : "",
             s->kernel, s->impl);
    if (s->note != NULL) {
        at = strlen(k->text);
        snprintf(k->text + at, sizeof k->text - at, " (%s)", s->note);
    }
}

/* Builds and runs g (a copy of it); returns a copy of output 0. */
static inline struct tensor
both_run(const struct graph *g, const char *how, struct both_kernels *kernels)
{
    struct graph *copy = graph_copy(g);
    struct model *m = NULL;
    struct session *s = NULL;
    struct shape shapes[8];
    struct tensor out;
    struct err e = {0};

    setenv("QUANTD_KERNELS", how, 1);
    if (model_build(&copy, NULL, &m, &e) != 0 || session_new(m, &s, &e) != 0)
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < g->inputs.n; i++)
        shapes[i] = g->values.at[g->inputs.at[i]].shape;
    if (session_shape(s, shapes, &e) != 0)
        fail_msg("%s", e.msg);
    both_seed = 7;
    for (size_t i = 0; i < g->inputs.n; i++) {
        float *x = session_input(s, (int)i);

        for (size_t k = shape_n(&shapes[i]); k-- > 0;)
            x[k] = 2 * both_random();
    }
    if (session_run(s, &e) != 0)
        fail_msg("%s", e.msg);
    kernels->text[0] = '\0';
    if (model_describe(m, shapes, both_note, kernels, &e) != 0)
        fail_msg("%s", e.msg);
    out = *session_output(s, 0);
    out.data = mem_new(shape_n(&out.shape) + 1, dtype_size(out.dtype));
    memcpy(out.data, session_output(s, 0)->data,
           shape_n(&out.shape) * dtype_size(out.dtype));
    session_free(&s);
    model_unref(&m);
    return out;
}

static inline double
both_element(const struct tensor *t, size_t i)
{
    switch (t->dtype) {
    case DTYPE_FLOAT:
        return ((const float *)t->data)[i];
    case DTYPE_UINT8:
        return ((const uint8_t *)t->data)[i];
    case DTYPE_INT8:
        return ((const int8_t *)t->data)[i];
    case DTYPE_INT32:
        return ((const int32_t *)t->data)[i];
    default:
        fail_msg("%s", dtype_name(t->dtype));
        return 0;
    }
}

/* Fails unless all elements of b are those of a, within tol. */
static inline double
both_compare(const struct tensor *a, const struct tensor *b, double tol,
             const char *what, const char *kernels)
{
    double worst = 0, top = 1;
    size_t at = 0;

    assert_int_equal(a->dtype, b->dtype);
    assert_true(shape_equal(&a->shape, &b->shape));
    for (size_t i = 0; i < shape_n(&a->shape); i++) {
        double x = both_element(a, i), y = both_element(b, i);
        double d = x == y || (x != x && y != y) ? 0 : fabs(x - y);

        top = a->dtype == DTYPE_FLOAT && fabs(x) > top && isfinite(x) ? fabs(x)
                                                                      : top;
        if (d > worst || d != d) {
            worst = d;
            at = i;
        }
    }
    if (!(worst <= tol * top))
        fail_msg("%s: [%zu] is %g, want %g (%s)", what, at, both_element(b, at),
                 both_element(a, at), kernels);
    return worst / top;
}

/*
 * Computes output `y` of g in all ways and fails unless all elements are within
 * tol (relative to the largest magnitude, for floats).  want: text that must
 * appear among the kernels chosen, or NULL; ref must not.  Frees g.
 */
static inline void
both_check(struct graph *g, int y, double tol, const char *want,
           const char *what)
{
    struct both_kernels written, plain, fast;
    struct tensor a, b, c;
    double worst;

    VEC_PUSH(&g->outputs, y);
    a = both_run(g, "written", &written);
    b = both_run(g, "plain", &plain);
    c = both_run(g, "default", &fast);
    both_compare(&a, &b, tol, what, plain.text);
    worst = both_compare(&b, &c, tol, what, fast.text);
    if (getenv("VERBOSE") != NULL)
        printf("%s: %.3g %s\n", what, worst, fast.text);
    if ((want != NULL && strstr(fast.text, want) == NULL) ||
        strstr(fast.text, "/ref") != NULL)
        fail_msg("%s: kernels are %s, want %s", what, fast.text,
                 want == NULL ? "no ref" : want);
    mem_free(a.data);
    mem_free(b.data);
    mem_free(c.data);
    graph_free(&g);
}

#endif
