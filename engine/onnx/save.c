/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graph to file.  The messages point into the graph, and protobuf-c hands
 * their bytes to the file piece by piece: weights are not copied.
 *
 * A message must know its length before it is written, and ends at 2 GB.  So
 * the weights of larger models go into a file of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/onnx/names.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/onnx.pb-c.h"

enum {
    MIN_OPSET = 13,

    /* In 18 reductions got their axes as an input, and Split num_outputs. */
    REDUCE_AXES_OPSET = 18,

    /* Leaves room for the graph itself below the 2 GB of a message. */
    MAX_INLINE = 1500 << 20,

    SMALL = 1024, /* bytes: constants that always stay in the model file */

    /* Mappings of any page size in use can begin there. */
    EXTERNAL_ALIGN = 64 * 1024,
};

struct save {
    const struct graph *g;
    struct arena *arena;
    Onnx__GraphProto *pb;
    int opset;
    size_t max_inline;
    bool *read;         /* values that a node or an output reads */
    struct names names; /* of values, to make up new ones */
    size_t n_nodes;     /* live ones */

    const char *location; /* of the external data, or NULL: none */
    size_t external_bytes;
};

/* --- what is needed ----------------------------------------------------- */

static bool
is_reduction(const struct node *n)
{
    switch (n->op) {
    case OP_REDUCE_L1:
    case OP_REDUCE_L2:
    case OP_REDUCE_LOG_SUM:
    case OP_REDUCE_LOG_SUM_EXP:
    case OP_REDUCE_MAX:
    case OP_REDUCE_MEAN:
    case OP_REDUCE_MIN:
    case OP_REDUCE_PROD:
    case OP_REDUCE_SUM_SQUARE:
        return true;
    default:
        return false;
    }
}

static int
check_node(const struct node *n, struct err *e)
{
    bool joined = n->n_posts > 0 || n->out_q != NULL || n->n_own != n->n_in;

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
        strcmp(attr_string(n, "coordinate_transformation_mode", ""),
               "half_pixel_symmetric") == 0)
        return 19;
    if (n->op == OP_PAD && strcmp(attr_string(n, "mode", ""), "wrap") == 0)
        return 19;
    return op_info(n->op)->since;
}

static int
survey(struct save *s, struct err *e)
{
    const struct graph *g = s->g;

    s->opset = MIN_OPSET;
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        if (n->dead)
            continue;
        if (check_node(n, e) != 0)
            return e->code;
        if (since(g, n) > s->opset)
            s->opset = since(g, n);
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0)
                s->read[n->in[k]] = true;
        s->n_nodes++;
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        s->read[g->outputs.at[i]] = true;
    for (size_t i = 0; i < g->values.n; i++)
        names_add(&s->names, g->values.at[i].name, (int)i);
    names_sort(&s->names);
    return 0;
}

/* The oldest IR version whose release had that opset (docs/Versioning.md). */
static int
ir_version(int opset)
{
    static const struct {
        int opset, ir;
    } from[] = {{21, 10}, {19, 9}, {15, 8}};

    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        if (opset >= from[i].opset)
            return from[i].ir;
    return 7;
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

static Onnx__StringStringEntryProto *
entry_of(struct save *s, const char *key, const char *text)
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
    size_t at = (s->external_bytes + EXTERNAL_ALIGN - 1) / EXTERNAL_ALIGN *
                EXTERNAL_ALIGN;

    p->n_external_data = 3;
    p->external_data = list(s, 3);
    p->external_data[0] = entry_of(s, "location", s->location);
    p->external_data[1] = entry_of(s, "offset", number(s, at));
    p->external_data[2] = entry_of(s, "length", number(s, p->raw_data.len));
    p->has_data_location = 1;
    p->data_location = 1;
    p->has_raw_data = 0;
    s->external_bytes = at + p->raw_data.len;
}

static bool
is_written(const struct save *s, size_t id)
{
    return s->read[id] && s->g->values.at[id].data != NULL;
}

static size_t
const_bytes(const struct value *v)
{
    return shape_n(&v->shape) * dtype_size(v->dtype);
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

        if (!is_written(s, i))
            continue;
        p = tensor_of(s, v->name, v->dtype, &v->shape, v->data);
        if (s->location != NULL && p->raw_data.len >= SMALL)
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
    p->name = (char *)v->name;
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

static int
attr_of(struct save *s, const struct attr *a, Onnx__AttributeProto **out,
        struct err *e)
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
    default:
        return err_set(e, ERR_INTERNAL, "attribute %s holds a graph", a->name);
    }
    *out = p;
    return 0;
}

static char **
names_of(struct save *s, const int *ids, int n, size_t room)
{
    char **names = list(s, room);

    for (int i = 0; i < n; i++)
        names[i] = (char *)(ids[i] < 0 ? "" : s->g->values.at[ids[i]].name);
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
    p->n_input = (size_t)n->n_in;
    p->input = names_of(s, n->in, n->n_in, (size_t)n->n_in + 1);
    p->n_output = (size_t)n->n_out;
    p->output = names_of(s, n->out, n->n_out, (size_t)n->n_out);
    p->attribute = list(s, (size_t)n->n_attrs + 1);
    for (int i = 0; i < n->n_attrs; i++) {
        const struct attr *a = &n->attrs[i];

        if (new_forms && is_reduction(n) && strcmp(a->name, "axes") == 0)
            axes_to_input(s, a, p);
        else if (attr_of(s, a, &p->attribute[p->n_attribute++], e) != 0)
            return err_wrap(e, "node %s", label(n->name).text);
    }
    if (new_forms && n->op == OP_SPLIT && n->n_in == 1 &&
        attr_find(n, "num_outputs") == NULL) {
        parts.i = n->n_out;
        if (attr_of(s, &parts, &p->attribute[p->n_attribute++], e) != 0)
            return e->code;
    }
    *out = p;
    return 0;
}

static int
make_graph(struct save *s, struct err *e)
{
    const struct graph *g = s->g;
    Onnx__GraphProto *pb = s->pb;

    onnx__graph_proto__init(pb);
    pb->name = (char *)(g->name[0] != '\0' ? g->name : "graph");
    make_initializers(s);
    pb->n_input = g->inputs.n;
    pb->input = value_infos_of(s, g->inputs.at, g->inputs.n);
    pb->n_output = g->outputs.n;
    pb->output = value_infos_of(s, g->outputs.at, g->outputs.n);
    pb->node = list(s, s->n_nodes);
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead &&
            node_proto_of(s, &g->nodes.at[i], &pb->node[pb->n_node++], e) != 0)
            return e->code;
    return 0;
}

/* --- files -------------------------------------------------------------- */

struct sink {
    ProtobufCBuffer base;
    FILE *f;
};

/* Errors stay with the FILE: close_synced() looks. */
static void
append(ProtobufCBuffer *b, size_t n, const uint8_t *p)
{
    fwrite(p, 1, n, ((struct sink *)b)->f);
}

static int
open_new(const char *path, FILE **out, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct stat st;

    if (fd < 0)
        return err_errno(e, "%s", path);
    /* What fails is removed: that must never be /dev/null. */
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, ERR_INVALID, "%s: not a regular file", path);
    }
    *out = fdopen(fd, "w");
    if (*out == NULL) {
        close(fd);
        return err_set(e, ERR_NO_MEMORY, "%s: no memory to write it", path);
    }
    return 0;
}

static int
close_synced(FILE *f, const char *path, struct err *e)
{
    int rc = 0;

    if (fflush(f) != 0 || ferror(f) || fsync(fileno(f)) != 0)
        rc = err_errno(e, "%s", path);
    if (fclose(f) != 0 && rc == 0)
        rc = err_errno(e, "%s", path);
    if (rc != 0)
        unlink(path);
    return rc;
}

static int
write_model(const Onnx__ModelProto *m, const char *path, struct err *e)
{
    struct sink sink = {{append}, NULL};

    if (open_new(path, &sink.f, e) != 0)
        return e->code;
    protobuf_c_message_pack_to_buffer(&m->base, &sink.base);
    return close_synced(sink.f, path, e);
}

/* In the order in which move_out() gave them their places. */
static int
write_external(const struct save *s, const char *path, struct err *e)
{
    FILE *f;
    size_t at = 0;

    if (open_new(path, &f, e) != 0)
        return e->code;
    for (size_t i = 0; i < s->g->values.n; i++) {
        const struct value *v = &s->g->values.at[i];
        size_t n;

        if (!is_written(s, i) || (n = const_bytes(v)) < SMALL)
            continue;
        at = (at + EXTERNAL_ALIGN - 1) / EXTERNAL_ALIGN * EXTERNAL_ALIGN;
        if (fseeko(f, (off_t)at, SEEK_SET) != 0 ||
            fwrite(v->data, 1, n, f) != n)
            break; /* close_synced() tells */
        at += n;
    }
    return close_synced(f, path, e);
}

static int
write_all(struct save *s, const Onnx__ModelProto *m, const char *path,
          struct err *e)
{
    char *beside = NULL;
    int rc = 0;

    if (s->location != NULL) {
        beside = mem_printf("%s.data", path);
        rc = write_external(s, beside, e);
    }
    if (rc == 0) {
        rc = write_model(m, path, e);
        if (rc != 0 && beside != NULL)
            unlink(beside);
    }
    mem_free(beside);
    return rc;
}

/* The name of the file beside path, when the constants are too large. */
static const char *
location_for(struct save *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash == NULL ? path : slash + 1;
    size_t bytes = 0, n = strlen(file) + sizeof ".data";
    char *text;

    for (size_t i = 0; i < s->g->values.n; i++)
        if (is_written(s, i))
            bytes += const_bytes(&s->g->values.at[i]);
    if (bytes <= s->max_inline)
        return NULL;
    text = arena_new_in(s->arena, n, 1);
    snprintf(text, n, "%s.data", file);
    return text;
}

static int
save_model(struct save *s, const char *path, struct err *e)
{
    Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto pb;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[] = {&opset};

    if (survey(s, e) != 0)
        return e->code;
    s->pb = &pb;
    s->location = location_for(s, path);
    if (make_graph(s, e) != 0)
        return e->code;
    opset.domain = (char *)"";
    opset.has_version = 1;
    opset.version = s->opset;
    m.has_ir_version = 1;
    m.ir_version = ir_version(s->opset);
    m.producer_name = (char *)"quantd";
    m.producer_version = (char *)QUANTD_VERSION;
    m.graph = &pb;
    m.n_opset_import = 1;
    m.opset_import = opsets;
    m.metadata_props = list(s, s->g->metas.n);
    for (; m.n_metadata_props < s->g->metas.n; m.n_metadata_props++) {
        const struct meta *meta = &s->g->metas.at[m.n_metadata_props];

        m.metadata_props[m.n_metadata_props] =
            entry_of(s, meta->key, meta->text);
    }
    return write_all(s, &m, path, e);
}

int
onnx_save(const struct graph *g, const char *path, size_t max_inline,
          struct err *e)
{
    struct save s = {.g = g, .arena = arena_new(), .max_inline = max_inline};
    int rc;

    s.read = mem_new(g->values.n, sizeof *s.read);
    rc = save_model(&s, path, e);
    names_free(&s.names);
    mem_free(s.read);
    arena_free(&s.arena);
    return rc;
}

int
graph_save(const struct graph *g, const char *path, struct err *e)
{
    return onnx_save(g, path, MAX_INLINE, e);
}
