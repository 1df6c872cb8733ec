/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rewrite is made of: a rule for each operator that a file has in
 * another form than op_tbl.h, and the means to change its node and to add
 * others.
 *
 * A rule names the operator as the file does and the operator of ours that its
 * node becomes; `up`, when not NULL, does the rest.  When it is called, the
 * node stands in the graph, last, with the inputs, outputs and attributes of
 * the file (checked against in_min, in_max, out_max); behind it as many nodes
 * as needed may be added.  A rewrite that needs several nodes gives the file's
 * output to the last of them:
 *
 *     int out = rewrite_redirect(u, node, rewrite_value(u, node, "product"));
 *     ...
 *     rewrite_append(u, node, OP_ADD, (const int[]){product, bias}, 2, out);
 *
 * Order does not matter: nodes are sorted when all are read.  Nodes are named
 * by number, since adding one moves the others in memory: what rewrite_node()
 * returned is valid until then.
 *
 * To add rewrites in a file of its own: an array of rules ended by a NULL name,
 * declared below and listed in upgrade.c with its domain.
 */
#ifndef ENGINE_ONNX_REWRITE_H
#define ENGINE_ONNX_REWRITE_H

#include "engine/onnx/onnx.h"
#include "engine/onnx/upgrade.h"

struct rule {
    const char *name;
    int first, last; /* opsets of ai.onnx, also for other domains */
    struct form form;
};

/* Rules of an operator that is the same in all opsets, or has a domain. */
enum { OPSET_ANY = 0, OPSET_LAST = ONNX_MAX_OPSET };

extern const struct rule rules_expand[]; /* one is several others here */
extern const struct rule rules_inputs[]; /* attributes <-> inputs */
extern const struct rule rules_norm[];
extern const struct rule rules_place[]; /* resize, pooling, regions, spectra */
extern const struct rule rules_type[];  /* casts and quantization */
extern const struct rule rules_qlinear[];
extern const struct rule rules_qlinear_ms[]; /* domain com.microsoft */

/* --- looking ------------------------------------------------------------ */

struct node *rewrite_node(struct upgrade *u, int node);

bool rewrite_has_input(struct upgrade *u, int node, int i);

/* What is known of input i: type, rank; of constants see node_in()->data. */
struct fact rewrite_fact(struct upgrade *u, int node, int i);

/* Integers of input i; what: its name.  Fails when it is not a constant. */
int rewrite_const_ints(struct upgrade *u, int node, int i, const char *what,
                       int64_t *out, int max, int *n, struct err *e);

/* Fails: ERR_INVALID when the attribute is not there. */
int rewrite_need_attr(struct upgrade *u, int node, const char *name,
                      struct err *e);

/* An integer attribute that must have its default; it goes. */
int rewrite_only_default(struct upgrade *u, int node, const char *name,
                         int64_t dflt, struct err *e);

/* ERR_UNSUPPORTED: "attribute NAME = VALUE is not supported". */
int rewrite_refuse(struct err *e, const char *attr, int64_t value);

int rewrite_no_memory(struct err *e);

/* --- changing the node -------------------------------------------------- */

/* Input `at` becomes `value` (-1: absent); absent ones at the end go. */
void rewrite_set_input(struct upgrade *u, int node, int at, int value);

/* New constants as inputs, named after the node and `what`. */
int rewrite_set_const(struct upgrade *u, int node, int at, const char *what,
                      enum dtype t, const struct shape *s, const void *bytes,
                      struct err *e);
int rewrite_set_ints(struct upgrade *u, int node, int at, const char *what,
                     const int64_t *v, int n, struct err *e);

/* A scalar of the type of the node's first input, which is a float type. */
int rewrite_set_scalar(struct upgrade *u, int node, int at, const char *what,
                       float v, struct err *e);

/* Attribute `name` becomes input `at`; absent, the input is absent too. */
int rewrite_ints_to_input(struct upgrade *u, int node, const char *name, int at,
                          struct err *e);

/* The node does nothing but hand on its first input. */
void rewrite_to_identity(struct upgrade *u, int node);

/* Outputs from `from` on are not computed any more: nobody may read them. */
void rewrite_drop_outputs(struct upgrade *u, int node, int from);

/* The node's first output becomes `value`; returns what it was. */
int rewrite_redirect(struct upgrade *u, int node, int value);

/* --- adding ------------------------------------------------------------- */

/* A value between nodes of one rewrite. */
int rewrite_value(struct upgrade *u, int node, const char *what);

/* A constant; its bytes are copied.  Returns its id, -1: no memory. */
int rewrite_const(struct upgrade *u, int node, const char *what, enum dtype t,
                  const struct shape *s, const void *bytes);

/* A float scalar as a constant of float type t (float when it is none). */
int rewrite_scalar(struct upgrade *u, int node, const char *what, enum dtype t,
                   float v);

/* Adds a node that belongs to `node`; returns its number. */
int rewrite_append(struct upgrade *u, int node, enum op op, const int *in,
                   int n_in, int out);

/* Adds a node whose output is a new value, and returns that. */
int rewrite_op(struct upgrade *u, int node, enum op op, const int *in,
               int n_in);

#endif
