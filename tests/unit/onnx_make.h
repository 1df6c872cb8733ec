/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX files of a few nodes, made in memory: what a test wants to say of a
 * file, and nothing else.  Lists of names are written "x,w,,b".
 */
#ifndef TESTS_UNIT_ONNX_MAKE_H
#define TESTS_UNIT_ONNX_MAKE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/onnx.pb-c.h"

enum { MAKE_MANY = 64 }; /* of each repeated field */

struct make {
    struct arena *arena;
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    uint8_t *bytes; /* after make_pack() */
    size_t n_bytes;
};

static inline void *
make_new(struct make *m, size_t bytes)
{
    return arena_new_in(m->arena, 1, bytes);
}

static inline char *
make_text(struct make *m, const char *s)
{
    return arena_strndup(m->arena, s, strlen(s));
}

static inline void
make_opset(struct make *m, const char *domain, int64_t version)
{
    Onnx__OperatorSetIdProto *p = make_new(m, sizeof *p);

    onnx__operator_set_id_proto__init(p);
    p->domain = make_text(m, domain);
    p->has_version = 1;
    p->version = version;
    m->model.opset_import[m->model.n_opset_import++] = p;
}

static inline void
make_begin(struct make *m, int opset)
{
    memset(m, 0, sizeof *m);
    m->arena = arena_new();
    onnx__model_proto__init(&m->model);
    onnx__graph_proto__init(&m->graph);
    m->model.graph = &m->graph;
    m->model.has_ir_version = 1;
    m->model.ir_version = 8;
    m->model.opset_import = make_new(m, MAKE_MANY * sizeof(void *));
    m->model.metadata_props = make_new(m, MAKE_MANY * sizeof(void *));
    m->graph.node = make_new(m, MAKE_MANY * sizeof(void *));
    m->graph.initializer = make_new(m, MAKE_MANY * sizeof(void *));
    m->graph.input = make_new(m, MAKE_MANY * sizeof(void *));
    m->graph.output = make_new(m, MAKE_MANY * sizeof(void *));
    m->graph.value_info = make_new(m, MAKE_MANY * sizeof(void *));
    make_opset(m, "", opset);
}

static inline void
make_end(struct make *m)
{
    free(m->bytes);
    arena_free(&m->arena);
}

/* dims: rank of them; -1 is a dimension without a value. */
static inline Onnx__ValueInfoProto *
make_info(struct make *m, const char *name, int dtype, int rank,
          const int64_t *dims)
{
    Onnx__ValueInfoProto *p = make_new(m, sizeof *p);

    onnx__value_info_proto__init(p);
    p->name = make_text(m, name);
    p->type = make_new(m, sizeof *p->type);
    onnx__type_proto__init(p->type);
    p->type->tensor_type = make_new(m, sizeof *p->type->tensor_type);
    onnx__type_proto__tensor__init(p->type->tensor_type);
    p->type->tensor_type->has_elem_type = 1;
    p->type->tensor_type->elem_type = dtype;
    if (rank < 0)
        return p;
    p->type->tensor_type->shape =
        make_new(m, sizeof *p->type->tensor_type->shape);
    onnx__tensor_shape_proto__init(p->type->tensor_type->shape);
    p->type->tensor_type->shape->dim = make_new(m, MAKE_MANY * sizeof(void *));
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = make_new(m, sizeof *d);

        onnx__tensor_shape_proto__dimension__init(d);
        d->has_dim_value = dims[i] >= 0;
        d->dim_value = dims[i];
        p->type->tensor_type->shape->dim[i] = d;
    }
    p->type->tensor_type->shape->n_dim = (size_t)rank;
    return p;
}

/* The dims are the rest; none: a value whose shape is not declared. */
#define MAKE_DIMS(...)                                                         \
    (int)(sizeof((int64_t[]){0, ##__VA_ARGS__}) / sizeof(int64_t)) - 1,        \
        (const int64_t[]){0, ##__VA_ARGS__} + 1

static inline Onnx__ValueInfoProto *
make_input(struct make *m, const char *name, int dtype, int rank,
           const int64_t *dims)
{
    return m->graph.input[m->graph.n_input++] =
               make_info(m, name, dtype, rank, dims);
}

static inline Onnx__ValueInfoProto *
make_output(struct make *m, const char *name, int dtype, int rank,
            const int64_t *dims)
{
    return m->graph.output[m->graph.n_output++] =
               make_info(m, name, dtype, rank, dims);
}

static inline char **
make_names(struct make *m, const char *list, size_t *n)
{
    char **names = make_new(m, MAKE_MANY * sizeof *names);

    *n = 0;
    if (list[0] == '\0')
        return names;
    for (;;) {
        size_t len = strcspn(list, ",");

        names[(*n)++] = arena_strndup(m->arena, list, len);
        if (list[len] == '\0')
            return names;
        list += len + 1;
    }
}

/* The node is named like its first output with "n_" before it. */
static inline Onnx__NodeProto *
make_node(struct make *m, const char *op_type, const char *in, const char *out)
{
    Onnx__NodeProto *p = make_new(m, sizeof *p);

    onnx__node_proto__init(p);
    p->op_type = make_text(m, op_type);
    p->input = make_names(m, in, &p->n_input);
    p->output = make_names(m, out, &p->n_output);
    p->attribute = make_new(m, MAKE_MANY * sizeof(void *));
    p->name = make_new(m, strlen(out) + 3);
    snprintf(p->name, strlen(out) + 3, "n_%.*s", (int)strcspn(out, ","), out);
    return m->graph.node[m->graph.n_node++] = p;
}

static inline Onnx__AttributeProto *
make_attr(struct make *m, Onnx__NodeProto *n, const char *name, int type)
{
    Onnx__AttributeProto *p = make_new(m, sizeof *p);

    onnx__attribute_proto__init(p);
    p->name = make_text(m, name);
    p->has_type = 1;
    p->type = type;
    return n->attribute[n->n_attribute++] = p;
}

static inline void
make_int(struct make *m, Onnx__NodeProto *n, const char *name, int64_t v)
{
    Onnx__AttributeProto *p = make_attr(m, n, name, ATTR_INT);

    p->has_i = 1;
    p->i = v;
}

static inline void
make_float(struct make *m, Onnx__NodeProto *n, const char *name, float v)
{
    Onnx__AttributeProto *p = make_attr(m, n, name, ATTR_FLOAT);

    p->has_f = 1;
    p->f = v;
}

static inline void
make_string(struct make *m, Onnx__NodeProto *n, const char *name, const char *v)
{
    Onnx__AttributeProto *p = make_attr(m, n, name, ATTR_STRING);

    p->has_s = 1;
    p->s.len = strlen(v);
    p->s.data = (uint8_t *)make_text(m, v);
}

static inline void
make_ints(struct make *m, Onnx__NodeProto *n, const char *name, int count,
          const int64_t *v)
{
    Onnx__AttributeProto *p = make_attr(m, n, name, ATTR_INTS);

    p->n_ints = (size_t)count;
    p->ints = make_new(m, (size_t)count * sizeof *v);
    memcpy(p->ints, v, (size_t)count * sizeof *v);
}

static inline void
make_floats(struct make *m, Onnx__NodeProto *n, const char *name, int count,
            const float *v)
{
    Onnx__AttributeProto *p = make_attr(m, n, name, ATTR_FLOATS);

    p->n_floats = (size_t)count;
    p->floats = make_new(m, (size_t)count * sizeof *v);
    memcpy(p->floats, v, (size_t)count * sizeof *v);
}

/* Raw data when bytes is not NULL; otherwise the caller adds some. */
static inline Onnx__TensorProto *
make_tensor(struct make *m, const char *name, int dtype, int rank,
            const int64_t *dims, const void *bytes, size_t n)
{
    Onnx__TensorProto *p = make_new(m, sizeof *p);

    onnx__tensor_proto__init(p);
    p->name = make_text(m, name);
    p->has_data_type = 1;
    p->data_type = dtype;
    p->n_dims = (size_t)rank;
    p->dims = make_new(m, (size_t)rank * sizeof *dims);
    if (rank > 0)
        memcpy(p->dims, dims, (size_t)rank * sizeof *dims);
    if (bytes != NULL) {
        p->has_raw_data = 1;
        p->raw_data.len = n;
        p->raw_data.data = make_new(m, n);
        memcpy(p->raw_data.data, bytes, n);
    }
    return p;
}

static inline Onnx__TensorProto *
make_initializer(struct make *m, const char *name, int dtype, int rank,
                 const int64_t *dims, const void *bytes, size_t n)
{
    return m->graph.initializer[m->graph.n_initializer++] =
               make_tensor(m, name, dtype, rank, dims, bytes, n);
}

static inline void
make_entry(struct make *m, Onnx__StringStringEntryProto ***all, size_t *n,
           const char *key, const char *value)
{
    Onnx__StringStringEntryProto *p = make_new(m, sizeof *p);

    onnx__string_string_entry_proto__init(p);
    p->key = make_text(m, key);
    p->value = make_text(m, value);
    (*all)[(*n)++] = p;
}

static inline void
make_external(struct make *m, Onnx__TensorProto *t, const char *key,
              const char *value)
{
    if (t->external_data == NULL)
        t->external_data = make_new(m, 8 * sizeof(void *));
    t->has_data_location = 1;
    t->data_location = 1;
    make_entry(m, &t->external_data, &t->n_external_data, key, value);
}

static inline void
make_pack(struct make *m)
{
    free(m->bytes);
    m->n_bytes = onnx__model_proto__get_packed_size(&m->model);
    m->bytes = malloc(m->n_bytes + 1);
    onnx__model_proto__pack(&m->model, m->bytes);
}

/* Packs and imports; folder as for onnx_import(). */
static inline int
make_import(struct make *m, const char *folder, struct graph **g, struct err *e)
{
    make_pack(m);
    return onnx_import(m->bytes, m->n_bytes, folder, g, e);
}

/* The node that makes the value of that name. */
static inline struct node *
make_maker(struct graph *g, const char *value)
{
    int id = graph_find_value(g, value);

    return id < 0 ? NULL : graph_producer(g, id);
}

#endif
