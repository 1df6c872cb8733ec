/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to compute: values, and nodes in an order in which they can run.
 *
 * Values and nodes refer to each other by id, an index that stays valid for
 * the life of the graph; a node that a pass removes stays in its place, dead.
 * All of a graph lies in its arena and dies with it.  Constant bytes are the
 * exception: they may be borrowed from a mapped file or from another graph;
 * arena_defer() of the arena lets go of them.
 *
 * Life of a graph: onnx/ makes it (dynamic dimensions are SHAPE_DYNAMIC, most
 * shapes SHAPE_UNKNOWN); pass/simplify rewrites it into better ONNX; for each
 * set of input shapes run/ takes a copy, in which every shape becomes known,
 * pass/fuse and dnn/ join nodes, and a layout is chosen for every value.
 */
#ifndef ENGINE_IR_GRAPH_H
#define ENGINE_IR_GRAPH_H

#include "base/arena.h"
#include "base/vec.h"
#include "engine/ir/attention.h"
#include "engine/ir/attr.h"
#include "engine/ir/dtype.h"
#include "engine/ir/op.h"
#include "engine/ir/shape.h"

/*
 * How the elements of a tensor with logical shape [N,C,spatial...] lie in
 * memory.  PLAIN is row-major as ONNX has it; NXC has the channels innermost
 * (N, spatial..., C), which is what the fast convolutions want.  The shape is
 * logical and does not change with the layout.
 */
enum layout { LAYOUT_PLAIN, LAYOUT_NXC };

/* True when both layouts of this shape are the same bytes. */
bool layout_same(const struct shape *s);

/* Elements between neighbours along each logical axis, in that layout. */
void layout_strides(const struct shape *s, enum layout l,
                    int64_t stride[SHAPE_MAX_RANK]);

/*
 * How an integer tensor stands for a real one:
 * real = scale[c] * (integer - zero[c]), c the index along axis.
 */
struct qparam {
    int axis;            /* -1: one scale for the whole tensor */
    int n;               /* of scale and zero; 1 for the whole tensor */
    const float *scale;  /* finite, > 0 */
    const int32_t *zero; /* within the integer type */
};

struct value {
    const char *name; /* unique in the graph */
    enum dtype dtype;
    struct shape shape;
    enum layout layout;
    const void *data; /* not NULL: a constant, row-major, shape known */
    int producer;     /* node id; -1 for graph inputs and constants */
    const char *const *dim_name; /* of SHAPE_DYNAMIC dimensions, or NULL */
};

/*
 * What is done to a node's first output before it is stored, in order: an
 * elementwise operator, or ADD or MUL with another tensor: of the same shape
 * as the output, of one number, or (behind a product of matrices) of one
 * number a column.  In row-major order its elements repeat.
 */
struct post {
    enum op op;        /* a unary operator; OP_ADD, OP_MUL */
    float alpha, beta; /* CLIP: low, high; otherwise as the ONNX attributes */
    int in;            /* ADD, MUL: index of the other operand in node.in */
};

enum { NODE_MAX_POSTS = 4 };

struct node {
    enum op op;
    const char *name;
    bool dead;
    int n_in, n_own; /* inputs; the operator's own come first, behind them
                        those of posts, or what If, Loop, Scan capture */
    int n_out;
    int *in, *out; /* value ids; -1 where an optional one is absent */
    struct attr *attrs;
    int n_attrs;

    /*
     * Joined Q/DQ.  in_q[i] != NULL: input i is an integer tensor, and the
     * operator means its real values; out_q != NULL: output 0 is quantized
     * (after the posts) into the integer type of its value.  in_q itself is
     * NULL when no input has one.
     */
    const struct qparam **in_q;
    const struct qparam *out_q;

    struct post posts[NODE_MAX_POSTS];
    int n_posts;

    const struct attention *attention; /* of FUSED_ATTENTION; else NULL */

    const char *note; /* why it does not run in int8 or is slow, for people */
};

struct meta {
    const char *key, *text;
};

struct graph {
    struct arena *arena;
    const char *name;
    int opset; /* of ai.onnx in the file it came from */
    VEC(struct value) values;
    VEC(struct node) nodes; /* in run order */
    VEC(int) inputs;        /* value ids; constants are not among them */
    VEC(int) outputs;
    int n_captured; /* of the last inputs: what a body reads of the graph
                       around it, in the order of its node's last inputs */
    VEC(struct meta) metas; /* ModelProto.metadata_props */
};

/* Metadata that a dynamically quantized file carries: see quant/dynamic. */
#define META_DYNAMIC "quantd.dynamic_activation" /* "row" or "tensor" */

struct graph *graph_new(void);
void graph_free(struct graph **g);

/*
 * A copy with an arena of its own that may be changed freely.  Constant bytes
 * and names are borrowed from g, which must outlive it.
 */
struct graph *graph_copy(const struct graph *g);

/*
 * Appends a copy of a node of another graph; map[id there] is the id here, and
 * its outputs get it as their producer (map NULL: ids and producers are the
 * same).  Name, constants and lists are borrowed.
 */
void graph_copy_node(struct graph *g, const struct node *from, const int *map);

/* Adds a value; name is copied (NULL: a fresh unique one).  Returns its id. */
int graph_add_value(struct graph *g, const char *name, enum dtype t,
                    const struct shape *s);

/*
 * Adds a constant whose bytes are copied into the arena.
 * Returns its id, or -1 when memory is short or the shape is not possible.
 */
int graph_add_const(struct graph *g, const char *name, enum dtype t,
                    const struct shape *s, const void *bytes);

/*
 * Memory for the bytes of one constant, not cleared; NULL when it is short.
 * It lives as long as the arena, or until graph_drop_constants().
 */
void *graph_const_bytes(struct graph *g, size_t bytes);

/*
 * Lets go of constants that no live node and no output reads: what passes
 * made new ones of.  Their values keep type and shape, but no data.  Nobody
 * else may have borrowed them.
 */
void graph_drop_constants(struct graph *g);

/*
 * Inserts a node before position `at` in run order (at == nodes.n: behind the
 * last).  in and out are copied; outputs get it as their producer.  Positions
 * and therefore node ids behind `at` move by one: producers are renumbered.
 * Returns the node, valid until the next insertion.
 */
struct node *graph_insert_node(struct graph *g, size_t at, enum op op,
                               const char *name, const int *in, int n_in,
                               const int *out, int n_out);

/* graph_insert_node() behind the last. */
struct node *graph_add_node(struct graph *g, enum op op, const char *name,
                            const int *in, int n_in, const int *out, int n_out);

static inline struct value *
graph_value(const struct graph *g, int id)
{
    return &g->values.at[id];
}

/* Input i of n, or NULL when it is absent. */
static inline struct value *
node_in(const struct graph *g, const struct node *n, int i)
{
    return i < n->n_in && n->in[i] >= 0 ? &g->values.at[n->in[i]] : NULL;
}

static inline struct value *
node_out(const struct graph *g, const struct node *n, int i)
{
    return i < n->n_out && n->out[i] >= 0 ? &g->values.at[n->out[i]] : NULL;
}

static inline const struct qparam *
node_in_q(const struct node *n, int i)
{
    return n->in_q == NULL ? NULL : n->in_q[i];
}

/* Sets in_q[i], making the array when there is none. */
void node_set_in_q(struct graph *g, struct node *n, int i,
                   const struct qparam *q);

/* The live node that makes value id, or NULL. */
struct node *graph_producer(const struct graph *g, int id);

/*
 * How many inputs of live nodes, and graph outputs, read value id; *one, when
 * not NULL, gets the node that does if exactly one node input does and no
 * graph output, else NULL.
 */
int graph_uses(const struct graph *g, int id, struct node **one);

bool graph_is_output(const struct graph *g, int id);

/* Every live node and every graph output that reads `from` reads `to`. */
void graph_replace_uses(struct graph *g, int from, int to);

/* Appends one more input to n (for a post's operand); returns its index. */
int graph_append_input(struct graph *g, struct node *n, int value);

/* Marks n dead; its outputs lose their producer, its bodies live as long as
 * g. */
void graph_kill_node(struct graph *g, struct node *n);

/* Kills nodes none of whose outputs is read or is a graph output, repeatedly.*/
void graph_sweep(struct graph *g);

/*
 * Puts nodes into an order in which they can run, stably.
 * Fails: ERR_INVALID when there is a cycle, or an input nobody makes (named).
 */
int graph_sort(struct graph *g, struct err *e);

const char *graph_meta(const struct graph *g, const char *key);
void graph_set_meta(struct graph *g, const char *key, const char *text);

/* Value of that name, or -1. */
int graph_find_value(const struct graph *g, const char *name);

/* Integers of a constant int32 or int64 value; false when it is not one. */
bool value_ints(const struct value *v, int64_t *out, int max, int *n);

#endif
