/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a file: save_graph.c makes the messages, save.c puts them into
 * files.  Messages point into the graph: weights are not copied.
 */
#ifndef ENGINE_ONNX_SAVE_H
#define ENGINE_ONNX_SAVE_H

#include "engine/ir/graph.h"
#include "engine/onnx/names.h"
#include "engine/onnx/onnx.pb-c.h"

enum {
    SAVE_SMALL = 1024, /* bytes: constants that stay in the model file */

    /* Mappings of any page size in use can begin there. */
    SAVE_EXTERNAL_ALIGN = 64 * 1024,
};

/* One graph that is being written; that of a body knows the one around it. */
struct save {
    const struct graph *g;
    struct arena *arena;
    Onnx__GraphProto *pb;
    int opset;
    const struct save *outer;

    bool *read;         /* values that a node or an output reads */
    const char **name;  /* of values, in the file */
    struct names names; /* that are taken */

    const char *location; /* of the external data, or NULL: none */
    size_t external_bytes;
};

/*
 * The oldest opset in which all of g means what it means here.
 * Fails: ERR_INTERNAL when nodes are joined or exist in memory only.
 */
int save_opset(const struct graph *g, int *opset, struct err *e);

/* Finds what is read and how it is called; before save_graph(). */
void save_begin(struct save *s);
void save_end(struct save *s);

/* Fills s->pb. */
int save_graph(struct save *s, struct err *e);

/* Is value id a constant that the file has? */
static inline bool
save_is_written(const struct save *s, size_t id)
{
    return s->read[id] && s->g->values.at[id].data != NULL;
}

Onnx__StringStringEntryProto *save_entry(struct save *s, const char *key,
                                         const char *text);

#endif
