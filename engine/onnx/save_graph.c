/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graph to GraphProto.  What a body captures, an input here, is read there by
 * its name in the graph around.
 */
#include "engine/onnx/save.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/onnx/onnx.h"

/* In 18 reductions got their axes as an input, and Split num_outputs. */
enum { REDUCE_AXES_OPSET = 18 };

/* --- what is needed ----------------------------------------------------- */

/* Its axes are an attribute until 18; ReduceSum's are an input already. */
static bool
is_reduction(const struct node *n)
{
    return op_is_reduction(n->op) && n->op != OP_REDUCE_SUM;
}

static int
check_node(const struct node *n, struct err *e)
{
    bool joined = n->n_posts > 0 || n->out_q != NULL ||
                  (n->n_own != n->n_in && !op_is_control(n->op));

    for (int i = 0; i < n->n_in; i++)
        joined |= node_in_q(n, i) != NULL;
    if (joined || op_info(n->op)->domain[0] != '\0')
        return err_set(e, ERR_INTERNAL, "node %s (%s%s) exists in memory only",
                       label(n->name).text, op_name(n->op),
                       joined ? " with others joined to it" : "");
    return 0;
}

/* The oldest opset in which this node means what it means here. */
static int
since(const struct graph *g, const struct node *n)
{
    const char *mode;

    if (n->op == OP_GROUP_NORMALIZATION && node_in(g, n, 1)->shape.rank == 1 &&
        node_in(g, n, 1)->shape.dim[0] == attr_int(n, "num_groups", 0))
        return 18; /* one number a group */
    if (is_reduction(n) && n->n_in > 1)
        return REDUCE_AXES_OPSET;
    if (attr_int(n, "block_size", 0) != 0)
        return 21;
    if (n->op == OP_LP_POOL && (attr_find(n, "dilations") != NULL ||
                                attr_find(n, "ceil_mode") != NULL))
        return 18;
    if (n->op == OP_AVERAGE_POOL && attr_find(n, "dilations") != NULL)
        return 19;
    if (n->op == OP_PAD && n->n_in > 3)
        return 18; /* axes are named */
    if (n->op == OP_DFT && attr_find(n, "axis") == NULL)
        return 20;
    mode = n->op == OP_GRID_SAMPLE ? attr_string(n, "mode", "") : "";
    if (strcmp(mode, "linear") == 0 || strcmp(mode, "cubic") == 0)
        return 20;
    if (n->op == OP_SPLIT && attr_find(n, "num_outputs") != NULL)
        return REDUCE_AXES_OPSET;
    if (n->op == OP_RESIZE &&
        (attr_find(n, "axes") != NULL || attr_find(n, "antialias") != NULL ||
         attr_find(n, "keep_aspect_ratio_policy") != NULL))
        return strcmp(attr_string(n, "coordinate_transformation_mode", ""),
                      "half_pixel_symmetric") == 0
                   ? 19
                   : 18;
    if (n->op == OP_RESIZE &&
        strcmp(attr_string(n, "coordinate_transformation_mode", ""),
               "half_pixel_symmetric") == 0)
        return 19;
    if (n->op == OP_PAD && strcmp(attr_string(n, "mode", ""), "wrap") == 0)
        return 19;
    return op_info(n->op)->since;
}

int
save_opset(const struct graph *g, int *opset, struct err *e)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        if (n->dead)
            continue;
        if (check_node(n, e) != 0)
            return e->code;
        if (since(g, n) > *opset)
            *opset = since(g, n);
        for (int k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].type == ATTR_GRAPH &&
                save_opset(n->attrs[k].graph, opset, e) != 0)
                return e->code;
    }
    return 0;
}

/* --- names -------------------------------------------------------------- */

static bool
is_taken(const struct save *s, const char *name)
{
    for (; s != NULL; s = s->outer)
        if (names_find(&s->names, name) >= 0)
            return true;
    return false;
}

/* A body must not give a name to a value that a graph around it has given. */
static void
name_values(struct save *s)
{
    const struct graph *g = s->g;

    for (size_t i = 0; i < g->values.n; i++) {
        s->name[i] = g->values.at[i].name;
        names_add(&s->names, s->name[i], (int)i);
    }
    names_sort(&s->names);
    for (size_t i = 0; s->outer != NULL && i < g->values.n; i++) {
        if (!is_taken(s->outer, s->name[i]))
            continue;
        do
            s->name[i] = names_fresh(&s->names, s->arena, g->values.at[i].name);
        while (is_taken(s->outer, s->name[i]));
        names_add(&s->names, s->name[i], (int)i);
    }
    names_sort(&s->names);
}

void
save_begin(struct save *s)
{
    const struct graph *g = s->g;

    s->read = mem_new(g->values.n, sizeof *s->read);
    s->name = mem_new(g->values.n, sizeof *s->name);
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        for (int k = 0; !n->dead && k < n->n_in; k++)
            if (n->in[k] >= 0)
                s->read[n->in[k]] = true;
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        s->read[g->outputs.at[i]] = true;
    name_values(s);
}

void
save_end(struct save *s)
{
    names_free(&s->names);
    mem_free(s->name);
    mem_free(s->read);
}

/* --- messages ----------------------------------------------------------- */

/* Messages are read only while they are written out, so casts lose nothing. */
static void *
list(struct save *s, size_t n)
{
    return arena_new_in(s->arena, n, sizeof(void *));
}

static Onnx__TensorProto *
tensor_of(struct save *s, const char *name, enum dtype t,
          const struct shape *shape, const void *data)
{
    Onnx__TensorProto *p = arena_new_in(s->arena, 1, sizeof *p);

    onnx__tensor_proto__init(p);
    p->name = (char *)name;
    p->n_dims = (size_t)shape->rank;
    p->dims = (int64_t *)shape->dim;
    p->has_data_type = 1;
    p->data_type = (int32_t)t;
    p->has_raw_data = 1;
    p->raw_data.data = (uint8_t *)data;
    p->raw_data.len = shape_n(shape) * dtype_size(t);
    return p;
}

static void
add_initializer(struct save *s, Onnx__TensorProto *p)
{
    s->pb->initializer[s->pb->n_initializer++] = p;
}

Onnx__StringStringEntryProto *
save_entry(struct save *s, const char *key, const char *text)
{
    Onnx__StringStringEntryProto *p = arena_new_in(s->arena, 1, sizeof *p);

    onnx__string_string_entry_proto__init(p);
    p->key = (char *)key;
    p->value = (char *)text;
    return p;
}

static char *
number(struct save *s, size_t v)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%zu", v);

    return memcpy(arena_new_in(s->arena, sizeof text, 1), text, (size_t)n);
}

/* From here on p tells where its bytes will be; they are written later. */
static void
move_out(struct save *s, Onnx__TensorProto *p)
{
    size_t at = (s->external_bytes + SAVE_EXTERNAL_ALIGN - 1) /
                SAVE_EXTERNAL_ALIGN * SAVE_EXTERNAL_ALIGN;

    p->n_external_data = 3;
    p->external_data = list(s, 3);
    p->external_data[0] = save_entry(s, "location", s->location);
    p->external_data[1] = save_entry(s, "offset", number(s, at));
    p->external_data[2] = save_entry(s, "length", number(s, p->raw_data.len));
    p->has_data_location = 1;
    p->data_location = 1;
    p->has_raw_data = 0;
    s->external_bytes = at + p->raw_data.len;
}

static void
make_initializers(struct save *s)
{
    const struct graph *g = s->g;

    /* Each node may bring one more: the axes of a reduction. */
    s->pb->initializer = list(s, g->values.n + g->nodes.n);
    for (size_t i = 0; i < g->values.n; i++) {
        const struct value *v = &g->values.at[i];
        Onnx__TensorProto *p;

        if (!save_is_written(s, i))
            continue;
        p = tensor_of(s, s->name[i], v->dtype, &v->shape, v->data);
        if (s->location != NULL && p->raw_data.len >= SAVE_SMALL)
            move_out(s, p);
        add_initializer(s, p);
    }
}

static Onnx__ValueInfoProto *
value_info_of(struct save *s, int id)
{
    const struct value *v = &s->g->values.at[id];
    Onnx__ValueInfoProto *p = arena_new_in(s->arena, 1, sizeof *p);
    Onnx__TypeProto *type = arena_new_in(s->arena, 1, sizeof *type);
    Onnx__TypeProto__Tensor *t = arena_new_in(s->arena, 1, sizeof *t);
    Onnx__TensorShapeProto *shape = arena_new_in(s->arena, 1, sizeof *shape);

    onnx__value_info_proto__init(p);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(t);
    onnx__tensor_shape_proto__init(shape);
    p->name = (char *)s->name[id];
    if (v->dtype == DTYPE_NONE)
        return p;
    p->type = type;
    type->tensor_type = t;
    t->has_elem_type = 1;
    t->elem_type = (int32_t)v->dtype;
    if (v->shape.rank < 0)
        return p;
    t->shape = shape;
    shape->dim = list(s, (size_t)v->shape.rank);
    for (int i = 0; i < v->shape.rank; i++) {
        Onnx__TensorShapeProto__Dimension *d =
            arena_new_in(s->arena, 1, sizeof *d);

        onnx__tensor_shape_proto__dimension__init(d);
        if (v->shape.dim[i] >= 0) {
            d->has_dim_value = 1;
            d->dim_value = v->shape.dim[i];
        } else if (v->dim_name != NULL) {
            d->dim_param = (char *)v->dim_name[i];
        }
        shape->dim[shape->n_dim++] = d;
    }
    return p;
}

static Onnx__ValueInfoProto **
value_infos_of(struct save *s, const int *ids, size_t n)
{
    Onnx__ValueInfoProto **all = list(s, n);

    for (size_t i = 0; i < n; i++)
        all[i] = value_info_of(s, ids[i]);
    return all;
}

/* --- nodes -------------------------------------------------------------- */

static ProtobufCBinaryData
bytes_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

/* What the body captures is called there as it is here. */
static int
body_of(const struct save *s, const struct node *n, const struct graph *body,
        Onnx__GraphProto *pb, struct err *e)
{
    struct save b = {
        .g = body, .arena = s->arena, .pb = pb, .opset = s->opset, .outer = s};
    int rc;

    save_begin(&b);
    for (int i = 0; i < body->n_captured; i++)
        b.name[body->inputs
                   .at[body->inputs.n - (size_t)body->n_captured + (size_t)i]] =
            s->name[n->in[n->n_own + i]];
    rc = save_graph(&b, e);
    save_end(&b);
    return rc;
}

static int
attr_of(struct save *s, const struct node *n, const struct attr *a,
        Onnx__AttributeProto **out, struct err *e)
{
    Onnx__AttributeProto *p = arena_new_in(s->arena, 1, sizeof *p);

    onnx__attribute_proto__init(p);
    p->name = (char *)a->name;
    p->has_type = 1;
    p->type = (int32_t)a->type;
    switch (a->type) {
    case ATTR_FLOAT:
        p->has_f = 1;
        p->f = a->f;
        break;
    case ATTR_INT:
        p->has_i = 1;
        p->i = a->i;
        break;
    case ATTR_STRING:
        p->has_s = 1;
        p->s = bytes_of(a->s);
        break;
    case ATTR_TENSOR:
        p->t = tensor_of(s, NULL, a->tensor->dtype, &a->tensor->shape,
                         a->tensor->data);
        break;
    case ATTR_FLOATS:
        p->n_floats = (size_t)a->n;
        p->floats = (float *)a->floats;
        break;
    case ATTR_INTS:
        p->n_ints = (size_t)a->n;
        p->ints = (int64_t *)a->ints;
        break;
    case ATTR_STRINGS:
        p->n_strings = (size_t)a->n;
        p->strings = arena_new_in(s->arena, (size_t)a->n, sizeof *p->strings);
        for (int i = 0; i < a->n; i++)
            p->strings[i] = bytes_of(a->strings[i]);
        break;
    case ATTR_GRAPH:
        p->g = arena_new_in(s->arena, 1, sizeof *p->g);
        if (body_of(s, n, a->graph, p->g, e) != 0)
            return e->code;
        break;
    }
    *out = p;
    return 0;
}

static char **
names_of(struct save *s, const int *ids, int n, size_t room)
{
    char **names = list(s, room);

    for (int i = 0; i < n; i++)
        names[i] = (char *)(ids[i] < 0 ? "" : s->name[ids[i]]);
    return names;
}

/* The axes, an attribute of n, as a constant input of p. */
static void
axes_to_input(struct save *s, const struct attr *axes, Onnx__NodeProto *p)
{
    const char *name = names_fresh(&s->names, s->arena, "axes");
    struct shape *shape = arena_new_in(s->arena, 1, sizeof *shape);

    *shape = SHAPE(axes->n);
    add_initializer(s, tensor_of(s, name, DTYPE_INT64, shape, axes->ints));
    p->input[p->n_input++] = (char *)name;
}

static int
node_proto_of(struct save *s, const struct node *n, Onnx__NodeProto **out,
              struct err *e)
{
    Onnx__NodeProto *p = arena_new_in(s->arena, 1, sizeof *p);
    struct attr parts = {.name = "num_outputs", .type = ATTR_INT};
    bool new_forms = s->opset >= REDUCE_AXES_OPSET;

    onnx__node_proto__init(p);
    p->name = (char *)n->name;
    p->op_type = (char *)op_name(n->op);
    p->n_input = (size_t)n->n_own;
    p->input = names_of(s, n->in, n->n_own, (size_t)n->n_own + 1);
    p->n_output = (size_t)n->n_out;
    p->output = names_of(s, n->out, n->n_out, (size_t)n->n_out);
    p->attribute = list(s, (size_t)n->n_attrs + 1);
    for (int i = 0; i < n->n_attrs; i++) {
        const struct attr *a = &n->attrs[i];

        if (new_forms && is_reduction(n) && strcmp(a->name, "axes") == 0)
            axes_to_input(s, a, p);
        else if (attr_of(s, n, a, &p->attribute[p->n_attribute++], e) != 0)
            return err_wrap(e, "node %s", label(n->name).text);
    }
    if (new_forms && n->op == OP_SPLIT && n->n_own == 1 &&
        attr_find(n, "num_outputs") == NULL) {
        parts.i = n->n_out;
        if (attr_of(s, n, &parts, &p->attribute[p->n_attribute++], e) != 0)
            return e->code;
    }
    *out = p;
    return 0;
}

int
save_graph(struct save *s, struct err *e)
{
    const struct graph *g = s->g;
    Onnx__GraphProto *pb = s->pb;

    onnx__graph_proto__init(pb);
    pb->name = (char *)(g->name[0] != '\0' ? g->name : "graph");
    make_initializers(s);
    pb->n_input = g->inputs.n - (size_t)g->n_captured;
    pb->input = value_infos_of(s, g->inputs.at, pb->n_input);
    pb->n_output = g->outputs.n;
    pb->output = value_infos_of(s, g->outputs.at, g->outputs.n);
    pb->node = list(s, g->nodes.n);
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead &&
            node_proto_of(s, &g->nodes.at[i], &pb->node[pb->n_node++], e) != 0)
            return e->code;
    return 0;
}
