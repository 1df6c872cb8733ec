/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of a node, as ONNX has them: a name, a type, a value.
 *
 * The readers give the default when the attribute is absent.  A wrong type is
 * an error of the file, found once when the graph is imported: onnx/ checks
 * every attribute against attr_type_of() below, so the readers only assert.
 */
#ifndef ENGINE_IR_ATTR_H
#define ENGINE_IR_ATTR_H

#include <stdint.h>

#include "engine/ir/shape.h"

struct graph;
struct node;

/* The numbers are those of ONNX AttributeProto.AttributeType. */
enum attr_type {
    ATTR_FLOAT = 1,
    ATTR_INT = 2,
    ATTR_STRING = 3,
    ATTR_TENSOR = 4,
    ATTR_GRAPH = 5,
    ATTR_FLOATS = 6,
    ATTR_INTS = 7,
    ATTR_STRINGS = 8,
};

struct attr {
    const char *name;
    enum attr_type type;
    int n; /* of a list; 1 otherwise */
    union {
        float f;
        int64_t i;
        const char *s;
        const struct tensor *tensor;
        struct graph *graph;
        const float *floats;
        const int64_t *ints;
        const char *const *strings;
    };
};

/*
 * The type an attribute of this name must have, or 0 for a name that no
 * operator here reads (kept, not looked at).  One name means one type in all
 * of ONNX's operators but for a few: those are told apart by the reader.
 */
enum attr_type attr_type_of(const char *name);

const struct attr *attr_find(const struct node *n, const char *name);

int64_t attr_int(const struct node *n, const char *name, int64_t dflt);
float attr_float(const struct node *n, const char *name, float dflt);
const char *attr_string(const struct node *n, const char *name,
                        const char *dflt);

/* A body of If, Loop or Scan; NULL when it is absent. */
struct graph *attr_graph(const struct node *n, const char *name);

/* The list and its length; NULL and 0 when absent. */
const int64_t *attr_ints(const struct node *n, const char *name, int *count);
const float *attr_floats(const struct node *n, const char *name, int *count);
const char *const *attr_strings(const struct node *n, const char *name,
                                int *count);

/* Sets (adds or replaces) one; name and lists are copied into g's arena. */
void attr_set_int(struct graph *g, struct node *n, const char *name, int64_t v);
void attr_set_float(struct graph *g, struct node *n, const char *name, float v);
void attr_set_string(struct graph *g, struct node *n, const char *name,
                     const char *v);
void attr_set_ints(struct graph *g, struct node *n, const char *name,
                   const int64_t *v, int count);
void attr_remove(struct node *n, const char *name);

#endif
