/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file: import.c reads what stands around the graph, import_graph.c
 * a graph, import_body.c the graphs within a node (If, Loop, Scan).
 */
#ifndef ENGINE_ONNX_IMPORT_H
#define ENGINE_ONNX_IMPORT_H

#include <inttypes.h>

#include "engine/onnx/external.h"
#include "engine/onnx/names.h"
#include "engine/onnx/onnx.pb-c.h"
#include "engine/onnx/upgrade.h"

/* Values of the graph around that the bodies of one node read. */
struct captures {
    VEC(int) outer; /* ids in the graph around, each once */
};

/* One graph that is being read. */
struct import {
    struct graph *g;
    const Onnx__ModelProto *model;
    const Onnx__GraphProto *pb;
    int opset; /* of ai.onnx; 0: the model declares none */
    struct external ext;
    struct names values, nodes; /* nodes: index in pb */
    struct upgrade up;

    /* Of a graph within a node: */
    struct import *outer;      /* the graph around; NULL: there is none */
    struct captures *captures; /* of the node */
    VEC(int) captured;         /* by index in captures: id here, or -1 */
};

static inline const char *
text(const char *s)
{
    return s == NULL ? "" : s;
}

/* Is it ai.onnx, by either name? */
bool import_is_default(const char *domain);

/* The version of a domain that the model declares, or 0. */
int64_t import_opset(const Onnx__ModelProto *m, const char *domain);

/* What an import needs before import_graph(), and frees behind it. */
void import_begin(struct import *im);
void import_end(struct import *im);

/*
 * Fills im->g from im->pb.
 * Fails: ERR_INVALID, ERR_UNSUPPORTED, ERR_NO_MEMORY, naming the node.
 */
int import_graph(struct import *im, struct err *e);

/* Does this attribute hold a graph? */
bool import_is_body(const Onnx__AttributeProto *p);

/*
 * Reads the graphs that are attributes of p, which has become node `node` of
 * im->g without them.  What they read of im->g becomes inputs of the node,
 * behind its own, and in the same order the last inputs of each of them.
 */
int import_bodies(struct import *im, const Onnx__NodeProto *p, int node,
                  struct err *e);

/*
 * Finds what the graph im, which lies in a node, reads of the graph around:
 * constants become its own, other values inputs behind those it has.
 * Its own values are declared.
 */
int import_captures(struct import *im, struct err *e);

#endif
