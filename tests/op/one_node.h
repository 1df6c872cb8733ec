/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph of one node whose inputs are constants: its rule, then its plain
 * kernel, in a few lines of test.
 *
 *     struct one c;
 *     one_begin(&c);
 *     ONE_IN(&c, FLOAT, float, SHAPE(3), -1, 0, 2);
 *     one_node(&c, OP_RELU, 1);
 *     ONE_WANT(&c, 0, FLOAT, float, SHAPE(3), 0, 0, 2);
 *     one_end(&c);
 *
 * Included after cmocka.h.
 */
#ifndef TESTS_OP_ONE_NODE_H
#define TESTS_OP_ONE_NODE_H

#include <string.h>

#include "engine/ops/ops.h"
#include "tests/op/compare.h"

enum { ONE_MAX = 8 };

struct one {
    struct graph *g;
    struct node *n;
    int in[ONE_MAX], n_in;
    struct err e;
};

#define SCALAR ((struct shape){.rank = 0})

static inline void
one_begin(struct one *c)
{
    *c = (struct one){.g = graph_new()};
}

static inline void
one_end(struct one *c)
{
    graph_free(&c->g);
}

/* The next input; bytes NULL: a value known only when the graph runs. */
static inline void
one_in(struct one *c, enum dtype t, const struct shape *s, const void *bytes)
{
    assert_true(c->n_in < ONE_MAX);
    c->in[c->n_in++] = bytes == NULL ? graph_add_value(c->g, NULL, t, s)
                                     : graph_add_const(c->g, NULL, t, s, bytes);
}

static inline void
one_absent(struct one *c)
{
    c->in[c->n_in++] = -1;
}

/* The node, named "n"; attributes are set on c->n from here on. */
static inline void
one_node(struct one *c, enum op op, int n_out)
{
    struct shape unknown = {.rank = SHAPE_UNKNOWN};
    int out[ONE_MAX];

    for (int i = 0; i < n_out; i++)
        out[i] = graph_add_value(c->g, NULL, DTYPE_NONE, &unknown);
    c->n = graph_add_node(c->g, op, "n", c->in, c->n_in, out, n_out);
}

/* Rule and kernel; 0 or the code of what failed. */
static inline int
one_run(struct one *c)
{
    int rc = ops_infer(c->g, c->n, &c->e);

    return rc != 0 ? rc : ops_eval(c->g, c->n, &c->e);
}

static inline void
one_want(struct one *c, int k, enum dtype t, const struct shape *s,
         const void *bytes)
{
    const struct value *v = node_out(c->g, c->n, k);
    struct tensor have, want = {t, *s, (void *)bytes};
    char text[400];

    if (v->data == NULL && one_run(c) != 0)
        fail_msg("%s", c->e.msg);
    have = (struct tensor){v->dtype, v->shape, (void *)v->data};
    if (!tensor_close(&have, &want, tolerance_of(t), text, sizeof text))
        fail_msg("%s: output %d %s", op_name(c->n->op), k, text);
}

/* It must fail with this code and say this. */
static inline void
one_fails(struct one *c, enum err_code code, const char *says)
{
    assert_int_equal(one_run(c), code);
    if (strstr(c->e.msg, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", c->e.msg, says);
    assert_non_null(strstr(c->e.msg, "node n ("));
}

#define ONE_IN(c, id, T, s, ...)                                               \
    one_in(c, DTYPE_##id, &s, (const T[]){__VA_ARGS__})
#define ONE_WANT(c, k, id, T, s, ...)                                          \
    one_want(c, k, DTYPE_##id, &s, (const T[]){__VA_ARGS__})

/* Most tests speak of float and int64. */
#define IN_F(c, s, ...) ONE_IN(c, FLOAT, float, s, __VA_ARGS__)
#define IN_I(c, s, ...) ONE_IN(c, INT64, int64_t, s, __VA_ARGS__)
#define WANT_F(c, k, s, ...) ONE_WANT(c, k, FLOAT, float, s, __VA_ARGS__)
#define WANT_I(c, k, s, ...) ONE_WANT(c, k, INT64, int64_t, s, __VA_ARGS__)

#endif
