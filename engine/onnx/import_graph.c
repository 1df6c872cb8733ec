/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GraphProto to graph.  Every value is declared first (initializers, Constant
 * nodes, inputs, outputs of nodes), so that nodes may stand in any order and a
 * name that is made twice is found; then the nodes are made, each brought to
 * the form of op_tbl.h at once; then they are put in run order.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/onnx/attr.h"
#include "engine/onnx/import.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/tensor.h"

static int
check_limits(const Onnx__GraphProto *pb, struct err *e)
{
    size_t values = pb->n_input + pb->n_initializer;

    if (pb->n_sparse_initializer > 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "sparse initializers are not supported");
    if (pb->n_node > ONNX_MAX_NODES)
        return err_set(e, ERR_UNSUPPORTED, "%zu nodes, at most %d", pb->n_node,
                       ONNX_MAX_NODES);
    if (pb->n_input > pb->n_initializer + ONNX_MAX_IO ||
        pb->n_output > ONNX_MAX_IO)
        return err_set(e, ERR_UNSUPPORTED,
                       "%zu inputs and %zu outputs, at most %d of each",
                       pb->n_input, pb->n_output, ONNX_MAX_IO);
    for (size_t i = 0; i < pb->n_node; i++)
        values += pb->node[i]->n_input + pb->node[i]->n_output;
    if (values > ONNX_MAX_VALUES)
        return err_set(e, ERR_UNSUPPORTED,
                       "%zu inputs, outputs and initializers, at most %d",
                       values, ONNX_MAX_VALUES);
    if (pb->n_output == 0)
        return err_set(e, ERR_INVALID, "the graph has no output");
    return 0;
}

/* --- values ------------------------------------------------------------- */

static int
declare(struct import *im, const char *name, enum dtype t,
        const struct shape *s, int *id, struct err *e)
{
    if (name[0] == '\0')
        return err_set(e, ERR_INVALID, "a value without a name");
    if (name_check(name, "value name", e) != 0)
        return e->code;
    *id = graph_add_value(im->g, name, t, s);
    names_add(&im->values, graph_value(im->g, *id)->name, *id);
    return 0;
}

static int
declare_const(struct import *im, const char *name, const struct tensor *t,
              const Onnx__TensorProto *from, struct err *e)
{
    int id;

    if (declare(im, name, t->dtype, &t->shape, &id, e) != 0)
        return e->code;
    graph_value(im->g, id)->data = t->data;
    if (from != NULL && tensor_has_four_bits(from))
        VEC_PUSH(&im->up.facts.four_bits, id);
    return 0;
}

static int
declare_initializers(struct import *im, struct err *e)
{
    for (size_t i = 0; i < im->pb->n_initializer; i++) {
        Onnx__TensorProto *p = im->pb->initializer[i];
        struct tensor t;

        if (tensor_import(p, &im->ext, &t, e) != 0 ||
            declare_const(im, text(p->name), &t, p, e) != 0)
            return err_wrap(e, "initializer \"%s\"", label(text(p->name)).text);
    }
    return 0;
}

static bool
is_constant(const Onnx__NodeProto *p)
{
    return strcmp(text(p->op_type), "Constant") == 0 &&
           import_is_default(text(p->domain));
}

/* value_float(s), value_int(s): the attribute itself is the tensor. */
static int
constant_of_attr(const struct attr *a, struct tensor *t, struct arena *arena,
                 struct err *e)
{
    bool list = a->type == ATTR_FLOATS || a->type == ATTR_INTS;
    bool is_float = a->type == ATTR_FLOAT || a->type == ATTR_FLOATS;
    const void *from = list ? (is_float ? (const void *)a->floats : a->ints)
                            : (is_float ? (const void *)&a->f : &a->i);
    size_t size = is_float ? sizeof(float) : sizeof(int64_t);

    if (a->type == ATTR_TENSOR) {
        *t = *a->tensor;
        return 0;
    }
    t->dtype = is_float ? DTYPE_FLOAT : DTYPE_INT64;
    t->shape = list ? SHAPE(a->n) : (struct shape){.rank = 0};
    t->data = arena_try(arena, (size_t)a->n, size);
    if (t->data == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for %d elements", a->n);
    memcpy(t->data, from, (size_t)a->n * size);
    return 0;
}

static int
constant_of_node(struct import *im, const Onnx__NodeProto *p, struct tensor *t,
                 struct err *e)
{
    static const struct {
        const char *name;
        enum attr_type type;
    } kinds[] = {
        {"value", ATTR_TENSOR},        {"value_float", ATTR_FLOAT},
        {"value_floats", ATTR_FLOATS}, {"value_int", ATTR_INT},
        {"value_ints", ATTR_INTS},
    };
    struct attr a;

    if (p->n_attribute != 1)
        return err_set(e, ERR_INVALID, "%zu attributes, must be one",
                       p->n_attribute);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (strcmp(text(p->attribute[0]->name), kinds[k].name) == 0) {
            if (attr_import(p->attribute[0], kinds[k].type, &im->ext, &a, e) !=
                0)
                return e->code;
            return constant_of_attr(&a, t, im->g->arena, e);
        }
    return err_set(e, ERR_UNSUPPORTED, "attribute %s is not supported",
                   label(text(p->attribute[0]->name)).text);
}

static int
declare_constants(struct import *im, struct err *e)
{
    for (size_t i = 0; i < im->pb->n_node; i++) {
        const Onnx__NodeProto *p = im->pb->node[i];
        const char *name = p->n_output == 1 ? p->output[0] : "";
        struct tensor t;

        if (is_constant(p) &&
            (constant_of_node(im, p, &t, e) != 0 ||
             declare_const(im, name, &t, p->attribute[0]->t, e) != 0))
            return err_wrap(e, "Constant \"%s\"", label(name).text);
    }
    return 0;
}

/* Type and shape as a ValueInfoProto declares them. */
static int
read_type(struct import *im, const Onnx__ValueInfoProto *p, struct value *v,
          struct err *e)
{
    const Onnx__TensorShapeProto *s;
    const char **names;

    v->dtype = DTYPE_NONE;
    v->shape = (struct shape){.rank = SHAPE_UNKNOWN};
    if (p->type == NULL || p->type->tensor_type == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "no tensor (sequences, maps, optional and sparse "
                       "values are not supported)");
    s = p->type->tensor_type->shape;
    if (dtype_import(p->type->tensor_type->elem_type, &v->dtype, e) != 0)
        return e->code;
    if (s == NULL)
        return 0;
    if (s->n_dim > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "rank %zu, at most %d is supported",
                       s->n_dim, SHAPE_MAX_RANK);
    v->shape.rank = (int)s->n_dim;
    names = arena_new_in(im->g->arena, SHAPE_MAX_RANK, sizeof *names);
    for (size_t i = 0; i < s->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = s->dim[i];

        /* Some exporters write -1 for a dimension they don't know. */
        v->shape.dim[i] = d->has_dim_value ? d->dim_value : SHAPE_DYNAMIC;
        if (v->shape.dim[i] < SHAPE_DYNAMIC)
            return err_set(e, ERR_INVALID, "dimension %zu is %" PRId64, i,
                           v->shape.dim[i]);
        if (d->has_dim_value || text(d->dim_param)[0] == '\0')
            continue;
        if (name_check(d->dim_param, "dimension name", e) != 0)
            return e->code;
        names[i] =
            arena_strndup(im->g->arena, d->dim_param, strlen(d->dim_param));
        if (names[i] == NULL)
            return err_set(e, ERR_NO_MEMORY, "no memory for names");
    }
    v->dim_name = names;
    return 0;
}

/* A graph within a node may leave the types of its inputs and outputs out. */
static int
read_io_type(struct import *im, const Onnx__ValueInfoProto *p, struct value *v,
             struct err *e)
{
    bool said = p->type != NULL && (p->type->tensor_type == NULL
                                        ? p->type->base.n_unknown_fields > 0
                                        : p->type->tensor_type->elem_type != 0);

    if (im->outer == NULL || said)
        return read_type(im, p, v, e);
    *v = (struct value){.shape.rank = SHAPE_UNKNOWN};
    return 0;
}

/* An input that an initializer gives a value (IR before 4) is a constant. */
static int
declare_inputs(struct import *im, struct err *e)
{
    for (size_t i = 0; i < im->pb->n_input; i++) {
        const Onnx__ValueInfoProto *p = im->pb->input[i];
        const char *name = text(p->name);
        struct value v = {0};
        int id;

        if (names_find(&im->values, name) >= 0) /* only constants so far */
            continue;
        if (read_io_type(im, p, &v, e) != 0 ||
            declare(im, name, v.dtype, &v.shape, &id, e) != 0)
            return err_wrap(e, "input \"%s\"", label(name).text);
        graph_value(im->g, id)->dim_name = v.dim_name;
        VEC_PUSH(&im->g->inputs, id);
    }
    return 0;
}

static int
declare_results(struct import *im, struct err *e)
{
    struct shape unknown = {.rank = SHAPE_UNKNOWN};
    int id;

    for (size_t i = 0; i < im->pb->n_node; i++) {
        const Onnx__NodeProto *p = im->pb->node[i];

        for (size_t k = 0; !is_constant(p) && k < p->n_output; k++)
            if (p->output[k][0] != '\0' &&
                declare(im, p->output[k], DTYPE_NONE, &unknown, &id, e) != 0)
                return err_wrap(e, "node %zu, output %zu", i, k);
    }
    return 0;
}

static int
check_unique(struct import *im, struct err *e)
{
    const char *twice;

    names_sort(&im->values);
    twice = names_twice(&im->values);
    if (twice != NULL)
        return err_set(e, ERR_INVALID, "value \"%s\" is made twice",
                       label(twice).text);
    return 0;
}

/* What the file says about values within; only a help, so errors are none. */
static void
read_value_infos(struct import *im)
{
    struct err ignored;

    for (size_t i = 0; i < im->pb->n_value_info + im->pb->n_output; i++) {
        const Onnx__ValueInfoProto *p =
            i < im->pb->n_value_info ? im->pb->value_info[i]
                                     : im->pb->output[i - im->pb->n_value_info];
        int id = names_find(&im->values, text(p->name));
        struct value v = {0};

        if (id >= 0 && read_type(im, p, &v, &ignored) == 0)
            facts_set(&im->up.facts, id,
                      (struct fact){v.dtype, v.shape.rank, SHAPE_UNKNOWN});
    }
}

static int
declare_all(struct import *im, struct err *e)
{
    if (declare_initializers(im, e) != 0 || declare_constants(im, e) != 0 ||
        check_unique(im, e) != 0 || declare_inputs(im, e) != 0 ||
        declare_results(im, e) != 0 || check_unique(im, e) != 0)
        return e->code;
    read_value_infos(im);
    return im->outer == NULL ? 0 : import_captures(im, e);
}

/* --- nodes -------------------------------------------------------------- */

/* The file's name where it has one that no earlier node has. */
static const char *
node_name(struct import *im, size_t i)
{
    const Onnx__NodeProto *p = im->pb->node[i];
    const char *name = text(p->name);
    char base[128];

    if (name[0] != '\0' && names_find(&im->nodes, name) == (int)i)
        return name;
    snprintf(base, sizeof base, "%s_%zu",
             name[0] != '\0' ? label(name).text : text(p->op_type), i);
    if (names_find(&im->nodes, base) < 0 && name[0] == '\0')
        return arena_strndup(im->g->arena, base, strlen(base));
    return names_fresh(&im->nodes, im->g->arena, base);
}

static int
collect_node_names(struct import *im, struct err *e)
{
    for (size_t i = 0; i < im->pb->n_node; i++) {
        const char *name = text(im->pb->node[i]->name);

        if (name_check(name, "node name", e) != 0)
            return err_wrap(e, "node %zu", i);
        if (name[0] != '\0')
            names_add(&im->nodes, name, (int)i);
    }
    names_sort(&im->nodes);
    return 0;
}

/* Ids of names, without absent ones at the end; -1 for absent ones within. */
static int
resolve(struct import *im, char *const *names, size_t n, int **ids, int *n_ids,
        struct err *e)
{
    while (n > 0 && names[n - 1][0] == '\0')
        n--;
    *ids = arena_new_in(im->g->arena, n, sizeof **ids);
    *n_ids = (int)n;
    for (size_t i = 0; i < n; i++) {
        (*ids)[i] =
            names[i][0] == '\0' ? -1 : names_find(&im->values, names[i]);
        if (names[i][0] != '\0' && (*ids)[i] < 0)
            return err_set(e, ERR_INVALID, "input \"%s\" is made by no node",
                           label(names[i]).text);
    }
    return 0;
}

static int
check_inputs(const struct form *f, const int *in, int n, struct err *e)
{
    /* All of a list; but a Loop may do without a count and a condition. */
    int required = f->in_max == OP_MANY && f->in_min > 0 ? n : f->in_min;

    if (n > f->in_max)
        return err_set(e, ERR_INVALID, "%d inputs, at most %d", n, f->in_max);
    if (n < f->in_min)
        return err_set(e, ERR_INVALID, "%d inputs, at least %d", n, f->in_min);
    for (int i = 0; i < required; i++)
        if (in[i] < 0)
            return err_set(e, ERR_INVALID, "input %d is missing", i);
    return 0;
}

/* Outputs that nobody wants, before others that are wanted, get a name. */
static int
check_outputs(struct import *im, const struct form *f, int *out, int n,
              struct err *e)
{
    struct shape unknown = {.rank = SHAPE_UNKNOWN};

    if (n == 0)
        return err_set(e, ERR_INVALID, "it has no output");
    if (n > f->out_max)
        return err_set(e, ERR_UNSUPPORTED,
                       "%d outputs, at most %d are supported", n, f->out_max);
    for (int i = 0; i < n; i++)
        if (out[i] < 0)
            out[i] = graph_add_value(
                im->g, names_fresh(&im->values, im->g->arena, "unused"),
                DTYPE_NONE, &unknown);
    return 0;
}

static enum attr_type
type_wanted(const struct form *f, const char *name)
{
    /* A name with two meanings: a tensor in ConstantOfShape. */
    if (f->op == OP_PAD && strcmp(name, "value") == 0)
        return ATTR_FLOAT;
    /* One number in FusedGemm, lists in RNNs. */
    if (f->op == OP_GEMM && strncmp(name, "activation_", 11) == 0)
        return 0;
    /* Dropout, which is an Identity, has an integer that is not read. */
    if (f->op == OP_IDENTITY && strcmp(name, "seed") == 0)
        return 0;
    return attr_type_of(name);
}

/* Graphs within the node are read when it is there: import_bodies(). */
static int
read_attrs(struct import *im, const struct form *f, const Onnx__NodeProto *p,
           struct attr **out, int *n_out, struct err *e)
{
    struct attr *a;

    if (p->n_attribute > ONNX_MAX_ATTRS)
        return err_set(e, ERR_UNSUPPORTED, "%zu attributes, at most %d",
                       p->n_attribute, ONNX_MAX_ATTRS);
    a = arena_new_in(im->g->arena, p->n_attribute, sizeof *a);
    *n_out = 0;
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__AttributeProto *from = p->attribute[i];
        struct attr *to = &a[*n_out];

        if (op_is_control(f->op) && import_is_body(from))
            continue;
        if (attr_import(from, type_wanted(f, text(from->name)), &im->ext, to,
                        e) != 0)
            return e->code;
        for (int k = 0; k < *n_out; k++)
            if (strcmp(a[k].name, to->name) == 0)
                return err_set(e, ERR_INVALID, "attribute %s is there twice",
                               label(to->name).text);
        ++*n_out;
    }
    *out = a;
    return 0;
}

static int
add_node(struct import *im, size_t i, struct err *e)
{
    const Onnx__NodeProto *p = im->pb->node[i];
    const char *domain = text(p->domain), *type = text(p->op_type);
    struct form f;
    struct node *n;
    struct attr *attrs = NULL;
    int *in, *out, n_in, n_out, n_attrs = 0;

    if (import_is_default(domain) && im->opset == 0)
        return err_set(e, ERR_INVALID,
                       "%s: the model declares no opset of ai.onnx",
                       label(type).text);
    if (!form_find(domain, type, im->opset, &f))
        return err_set(e, ERR_UNSUPPORTED,
                       "operator %s%s%s (opset %" PRId64 ") is not supported",
                       label(domain).text, domain[0] != '\0' ? "." : "",
                       label(type).text, import_opset(im->model, domain));
    if (resolve(im, p->input, p->n_input, &in, &n_in, e) != 0 ||
        resolve(im, p->output, p->n_output, &out, &n_out, e) != 0 ||
        check_inputs(&f, in, n_in, e) != 0 ||
        check_outputs(im, &f, out, n_out, e) != 0 ||
        read_attrs(im, &f, p, &attrs, &n_attrs, e) != 0)
        return err_wrap(e, "%s", label(type).text);
    n = graph_add_node(im->g, f.op, node_name(im, i), in, n_in, out, n_out);
    n->attrs = attrs;
    n->n_attrs = n_attrs;
    if (op_is_control(f.op) &&
        import_bodies(im, p, (int)im->g->nodes.n - 1, e) != 0)
        return err_wrap(e, "%s", label(type).text);
    if (upgrade_node(&im->up, &f, (int)im->g->nodes.n - 1, e) != 0)
        return err_wrap(e, "%s", label(type).text);
    return 0;
}

static int
add_nodes(struct import *im, struct err *e)
{
    if (collect_node_names(im, e) != 0)
        return e->code;
    for (size_t i = 0; i < im->pb->n_node; i++) {
        const Onnx__NodeProto *p = im->pb->node[i];

        if (!is_constant(p) && add_node(im, i, e) != 0)
            return err_wrap(
                e, "node \"%s\"",
                label(text(p->name)[0] != '\0' ? p->name : node_name(im, i))
                    .text);
    }
    return 0;
}

/* --- the end ------------------------------------------------------------ */

/* Another value that is the same: a body may give one out twice, or one that
 * it has got. */
static int
same_again(struct import *im, int id)
{
    const char *name = names_fresh(&im->values, im->g->arena, "again");
    int to = graph_add_value(im->g, name, DTYPE_NONE,
                             &(struct shape){.rank = SHAPE_UNKNOWN});

    graph_add_node(im->g, OP_IDENTITY, name, &id, 1, &to, 1);
    return to;
}

static int
add_output(struct import *im, const Onnx__ValueInfoProto *p, struct err *e)
{
    int id = names_find(&im->values, text(p->name));
    struct value declared = {0}, *v;

    if (id < 0)
        return err_set(e, ERR_INVALID, "no node makes it");
    if (im->outer == NULL && graph_is_output(im->g, id))
        return err_set(e, ERR_INVALID, "it is listed twice");
    if (im->outer != NULL &&
        (graph_value(im->g, id)->producer < 0 || graph_is_output(im->g, id)))
        id = same_again(im, id);
    VEC_PUSH(&im->g->outputs, id);
    v = graph_value(im->g, id);
    if (v->producer < 0) /* an input or a constant: known already */
        return 0;
    if (read_io_type(im, p, &declared, e) != 0)
        return e->code;
    v->dtype = declared.dtype;
    v->shape = declared.shape;
    v->dim_name = declared.dim_name;
    return 0;
}

/* The mask of Dropout is made by no node any more: nobody may want it. */
static int
check_made(const struct graph *g, int id, const bool *input, struct err *e)
{
    const struct value *v;

    if (id < 0)
        return 0;
    v = graph_value(g, id);
    if (v->producer >= 0 || v->data != NULL || input[id])
        return 0;
    return err_set(e, ERR_UNSUPPORTED,
                   "value \"%s\" exists in training only: not supported",
                   label(v->name).text);
}

static int
check_all_made(const struct graph *g, struct err *e)
{
    bool *input = mem_new(g->values.n, sizeof *input);
    int rc = 0;

    for (size_t i = 0; i < g->inputs.n; i++)
        input[g->inputs.at[i]] = true;
    for (size_t i = 0; rc == 0 && i < g->outputs.n; i++)
        rc = check_made(g, g->outputs.at[i], input, e);
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++)
        for (int k = 0; rc == 0 && k < g->nodes.at[i].n_in; k++)
            rc = check_made(g, g->nodes.at[i].in[k], input, e);
    mem_free(input);
    return rc;
}

void
import_begin(struct import *im)
{
    im->ext.arena = im->g->arena;
    im->up = (struct upgrade){.g = im->g,
                              .opset = im->opset,
                              .values = &im->values,
                              .nodes = &im->nodes};
    im->g->opset = im->opset;
}

void
import_end(struct import *im)
{
    external_free(&im->ext);
    facts_free(&im->up.facts);
    names_free(&im->values);
    names_free(&im->nodes);
    mem_free(im->captured.at);
}

int
import_graph(struct import *im, struct err *e)
{
    if (check_limits(im->pb, e) != 0 || declare_all(im, e) != 0 ||
        add_nodes(im, e) != 0)
        return e->code;
    for (size_t i = 0; i < im->pb->n_output; i++)
        if (add_output(im, im->pb->output[i], e) != 0)
            return err_wrap(e, "output \"%s\"",
                            label(text(im->pb->output[i]->name)).text);
    if (check_all_made(im->g, e) != 0)
        return e->code;
    return graph_sort(im->g, e);
}
