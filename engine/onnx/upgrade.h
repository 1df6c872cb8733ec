/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as files of opset 6 to 28 have them, brought to the one form that the
 * rest of quantd knows (op_tbl.h).
 */
#ifndef ENGINE_ONNX_UPGRADE_H
#define ENGINE_ONNX_UPGRADE_H

#include "engine/ir/graph.h"
#include "engine/onnx/facts.h"
#include "engine/onnx/names.h"

struct upgrade {
    struct graph *g;
    int opset;
    struct names *values, *nodes; /* which names are taken */
    struct facts facts;
};

/* How an operator looks in a file of one opset. */
struct form {
    enum op op; /* what it becomes */
    int in_min, in_max, out_max;
    int (*up)(struct upgrade *u, int node, struct err *e); /* or NULL */
};

/*
 * False when quantd doesn't know that operator.
 *
 * opset: of ai.onnx, whatever the domain
 */
bool form_find(const char *domain, const char *op_type, int opset,
               struct form *out);

/*
 * Brings a node, which has the inputs, outputs and attributes of its form in
 * the file, to the form of op_tbl.h; may add nodes behind the last.  An output
 * that inference does not have (the mask of Dropout) loses its producer.
 * Fails: ERR_UNSUPPORTED with the attribute named, ERR_INVALID,
 *        ERR_NO_MEMORY.
 */
int upgrade_node(struct upgrade *u, const struct form *f, int node,
                 struct err *e);

#endif
