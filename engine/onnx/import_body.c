/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs within a node.  In the file they read values of the graphs around
 * them by name; here what they read is an input of the node, so that a graph
 * never refers to anything outside itself (closure conversion).
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/onnx/import.h"
#include "engine/onnx/onnx.h"

bool
import_is_body(const Onnx__AttributeProto *p)
{
    return p->type == ATTR_GRAPH || (p->type == 0 && p->g != NULL);
}

/* --- what a body reads of the graph around it ---------------------------- */

struct texts {
    VEC(const char *) all;
};

/* All names that the graph, and those within its nodes, read. */
static void
collect_read(const Onnx__GraphProto *pb, struct texts *t)
{
    for (size_t i = 0; i < pb->n_node; i++) {
        const Onnx__NodeProto *p = pb->node[i];

        for (size_t k = 0; k < p->n_input; k++)
            if (p->input[k][0] != '\0')
                VEC_PUSH(&t->all, p->input[k]);
        for (size_t k = 0; k < p->n_attribute; k++)
            if (p->attribute[k]->g != NULL)
                collect_read(p->attribute[k]->g, t);
    }
    for (size_t i = 0; i < pb->n_output; i++)
        if (text(pb->output[i]->name)[0] != '\0')
            VEC_PUSH(&t->all, pb->output[i]->name);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The index of value `outer` of the graph around among the captures. */
static int
capture_index(struct captures *c, int outer, struct err *e)
{
    for (size_t i = 0; i < c->outer.n; i++)
        if (c->outer.at[i] == outer)
            return (int)i;
    if (c->outer.n == ONNX_MAX_IO) {
        err_set(e, ERR_UNSUPPORTED,
                "it reads over %d values of the graph around it", ONNX_MAX_IO);
        return -1;
    }
    VEC_PUSH(&c->outer, outer);
    return (int)c->outer.n - 1;
}

static void
note_captured(struct import *im, int index, int id)
{
    while (im->captured.n <= (size_t)index)
        VEC_PUSH(&im->captured, -1);
    im->captured.at[index] = id;
}

static int
capture(struct import *im, const char *name, int outer, struct err *e)
{
    const struct value *from = graph_value(im->outer->g, outer);
    int id = graph_add_value(im->g, name, from->dtype, &from->shape), index;

    names_add(&im->values, graph_value(im->g, id)->name, id);
    if (from->data != NULL) {
        graph_value(im->g, id)->data = from->data;
        return 0;
    }
    facts_set(&im->up.facts, id,
              facts_get(&im->outer->up.facts, im->outer->g, outer));
    index = capture_index(im->captures, outer, e);
    if (index < 0)
        return e->code;
    note_captured(im, index, id);
    VEC_PUSH(&im->g->inputs, id);
    return 0;
}

int
import_captures(struct import *im, struct err *e)
{
    struct texts t = {0};
    int rc = 0;

    collect_read(im->pb, &t);
    if (t.all.n > 0)
        qsort(t.all.at, t.all.n, sizeof *t.all.at, by_text);
    for (size_t i = 0; rc == 0 && i < t.all.n; i++) {
        const char *name = t.all.at[i];
        int outer;

        if ((i > 0 && strcmp(name, t.all.at[i - 1]) == 0) ||
            names_find(&im->values, name) >= 0)
            continue;
        outer = names_find(&im->outer->values, name);
        if (outer >= 0)
            rc = capture(im, name, outer, e);
    }
    mem_free(t.all.at);
    names_sort(&im->values);
    return rc;
}

/* --- the bodies of one node ---------------------------------------------- */

static int
read_body(struct import *im, const Onnx__AttributeProto *p, struct node *n,
          struct import *body, struct err *e)
{
    struct attr *a = &n->attrs[n->n_attrs];

    if (attr_type_of(text(p->name)) != ATTR_GRAPH)
        return err_set(e, ERR_INVALID, "no attribute %s can be a graph",
                       label(text(p->name)).text);
    for (int k = 0; k < n->n_attrs; k++)
        if (strcmp(n->attrs[k].name, text(p->name)) == 0)
            return err_set(e, ERR_INVALID, "attribute %s is there twice",
                           label(p->name).text);
    if (p->g == NULL)
        return err_set(e, ERR_INVALID, "attribute %s: the graph is missing",
                       label(p->name).text);
    *a = (struct attr){.type = ATTR_GRAPH, .n = 1, .graph = graph_new()};
    a->name = arena_strndup(im->g->arena, p->name, strlen(p->name));
    n->n_attrs++; /* from here on the node frees it */
    if (a->name == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for a name");
    *body = (struct import){.g = a->graph,
                            .model = im->model,
                            .pb = p->g,
                            .opset = im->opset,
                            .ext.folder = im->ext.folder,
                            .outer = im,
                            .captures = body->captures};
    import_begin(body);
    if (import_graph(body, e) != 0)
        return err_wrap(e, "%s", label(p->name).text);
    return 0;
}

/* All captures become inputs, in one order for all bodies of the node. */
static void
add_captured_inputs(struct import *body, const struct captures *c,
                    const struct import *im)
{
    for (size_t i = 0; i < body->captured.n; i++)
        body->g->inputs.n -= body->captured.at[i] >= 0;
    for (size_t i = 0; i < c->outer.n; i++) {
        int id = i < body->captured.n ? body->captured.at[i] : -1;
        const struct value *from = graph_value(im->g, c->outer.at[i]);

        if (id < 0)
            id = graph_add_value(
                body->g, names_fresh(&body->values, body->g->arena, "unused"),
                from->dtype, &from->shape);
        VEC_PUSH(&body->g->inputs, id);
    }
    body->g->n_captured = (int)c->outer.n;
}

/* Loop's two optional inputs keep their places; then what is captured. */
static void
add_node_inputs(struct import *im, struct node *n, const struct captures *c)
{
    int own = n->op == OP_LOOP && n->n_in < 2 ? 2 : n->n_in;
    int *in = arena_new_in(im->g->arena, (size_t)own + c->outer.n, sizeof *in);

    for (int i = 0; i < own; i++)
        in[i] = i < n->n_in ? n->in[i] : -1;
    for (size_t i = 0; i < c->outer.n; i++)
        in[(size_t)own + i] = c->outer.at[i];
    n->in = in;
    n->n_own = own;
    n->n_in = own + (int)c->outer.n;
}

/* Outputs that nobody named at the end of the list have their places too. */
static void
add_node_outputs(struct import *im, struct node *n, const struct graph *body)
{
    int all = (int)body->outputs.n - (n->op == OP_LOOP ? 1 : 0);
    int *out;

    if (n->n_out >= all)
        return;
    out = arena_new_in(im->g->arena, (size_t)all, sizeof *out);
    for (int i = 0; i < all; i++)
        out[i] = i < n->n_out ? n->out[i] : -1;
    n->out = out;
    n->n_out = all;
}

static int
check_counts(const struct graph *b, const char *name, int in, int out,
             struct err *e)
{
    int formal = (int)b->inputs.n - b->n_captured;

    if (formal != in)
        return err_set(e, ERR_INVALID, "%s has %d inputs, want %d", name,
                       formal, in);
    if ((int)b->outputs.n != out)
        return err_set(e, ERR_INVALID, "%s has %zu outputs, want %d", name,
                       b->outputs.n, out);
    return 0;
}

/* Inputs and outputs of the bodies are as many as the node needs. */
static int
check_bodies(const struct node *n, struct err *e)
{
    static const char *const wanted[][2] = {{"then_branch", "else_branch"},
                                            {"body", NULL}};
    const char *const *names = wanted[n->op == OP_IF ? 0 : 1];
    int64_t scanned = attr_int(n, "num_scan_inputs", 0);
    int in = n->op == OP_IF ? 0 : n->n_own;
    int out = n->n_out + (n->op == OP_LOOP ? 1 : 0);

    if (n->op == OP_SCAN && (scanned < 1 || scanned > n->n_own))
        return err_set(e, ERR_INVALID,
                       "num_scan_inputs = %" PRId64 " of %d inputs", scanned,
                       n->n_own);
    if ((n->op == OP_LOOP && n->n_out < n->n_own - 2) ||
        (n->op == OP_SCAN && n->n_out < n->n_own - (int)scanned))
        return err_set(e, ERR_INVALID, "%d outputs for its state", n->n_out);
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        const struct graph *b = attr_graph(n, names[i]);

        if (b == NULL)
            return err_set(e, ERR_INVALID, "attribute %s is missing", names[i]);
        if (check_counts(b, names[i], in, out, e) != 0)
            return e->code;
    }
    return 0;
}

int
import_bodies(struct import *im, const Onnx__NodeProto *p, int node,
              struct err *e)
{
    struct node *n = &im->g->nodes.at[node];
    struct captures captures = {0};
    struct import body[2] = {{.captures = &captures}, {.captures = &captures}};
    int n_bodies = 0, rc = 0;

    for (size_t i = 0; rc == 0 && i < p->n_attribute; i++) {
        if (!import_is_body(p->attribute[i]))
            continue;
        rc = n_bodies == 2
                 ? err_set(e, ERR_INVALID, "more than two graphs")
                 : read_body(im, p->attribute[i], n, &body[n_bodies++], e);
    }
    if (rc == 0) {
        for (int i = 0; i < n_bodies; i++)
            add_captured_inputs(&body[i], &captures, im);
        add_node_inputs(im, n, &captures);
        if (n_bodies > 0)
            add_node_outputs(im, n, body[0].g);
        rc = check_bodies(n, e);
    }
    for (int i = 0; i < n_bodies; i++)
        if (body[i].g != NULL)
            import_end(&body[i]);
    mem_free(captures.outer.at);
    return rc;
}
