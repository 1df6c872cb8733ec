/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/run/model.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/dnn.h"

enum {
    DEFAULT_MAX_BATCH = 8,
    DEFAULT_MAX_SHAPES = 16,
    DEFAULT_MAX_RUN_GB = 4,
};
#define DEFAULT_MAX_RUN_WORK 0x1p44

const char *
engine_isa(void)
{
    return dnn_isa();
}

const char *
engine_dnn_version(void)
{
    return dnn_version_text();
}

bool
engine_has_vnni(void)
{
    return dnn_has_vnni();
}

void
engine_set_threads(int n)
{
    dnn_set_threads(n);
}

/* --- shapes -------------------------------------------------------------- */

/* The size that another input gave the dynamic axis of this name, or -1. */
static int64_t
size_of_axis(const struct model *m, const struct shape *shapes, int upto,
             const char *name)
{
    for (int i = 0; i < upto; i++) {
        const struct value *v = graph_value(m->graph, m->graph->inputs.at[i]);

        for (int k = 0; v->dim_name != NULL && k < shapes[i].rank; k++)
            if (v->dim_name[k] != NULL && strcmp(v->dim_name[k], name) == 0)
                return shapes[i].dim[k];
    }
    return -1;
}

static int
check_shape(const struct model *m, const struct shape *shapes, int i,
            struct err *e)
{
    const struct value *v = graph_value(m->graph, m->graph->inputs.at[i]);
    const struct shape *want = &m->inputs[i].shape;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    bool ok = want->rank == SHAPE_UNKNOWN || want->rank == shapes[i].rank;

    for (int k = 0; ok && k < want->rank; k++)
        ok = shapes[i].dim[k] >= 0 && (want->dim[k] == SHAPE_DYNAMIC ||
                                       want->dim[k] == shapes[i].dim[k]);
    if (!ok)
        return err_set(
            e, ERR_INVALID, "input \"%s\": expected shape %s, got %s",
            m->inputs[i].name, shape_text(want, a), shape_text(&shapes[i], b));
    for (int k = 0; v->dim_name != NULL && k < want->rank; k++) {
        int64_t other = v->dim_name[k] == NULL
                            ? -1
                            : size_of_axis(m, shapes, i, v->dim_name[k]);

        if (other >= 0 && other != shapes[i].dim[k])
            return err_set(e, ERR_INVALID,
                           "input \"%s\": axis %d (%s) is %" PRId64
                           ", but %" PRId64 " in another input",
                           m->inputs[i].name, k, v->dim_name[k],
                           shapes[i].dim[k], other);
    }
    return 0;
}

int
model_check_shapes(const struct model *m, const struct shape *shapes,
                   struct err *e)
{
    for (int i = 0; i < model_n_inputs(m); i++) {
        int rc = check_shape(m, shapes, i, e);

        if (rc != 0)
            return rc;
    }
    return 0;
}

/* --- life ---------------------------------------------------------------- */

static struct model_io *
list_io(const struct graph *g, const int *ids, size_t n)
{
    struct model_io *io = mem_new(n, sizeof *io);

    for (size_t i = 0; i < n; i++) {
        const struct value *v = &g->values.at[ids[i]];

        io[i] = (struct model_io){v->name, v->dtype, v->shape};
    }
    return io;
}

static void
free_bodies(struct model *m)
{
    for (size_t i = 0; m->bodies != NULL && i < m->graph->nodes.n; i++)
        for (int k = 0; k < 2; k++)
            model_unref(&m->bodies[i][k]);
    mem_free(m->bodies);
}

static void
model_free(struct model *m)
{
    free_bodies(m);
    for (int i = 0; m->plans != NULL && i < m->stages.n; i++)
        plans_done(&m->plans[i]);
    mem_free(m->plans);
    cut_free(&m->stages);
    mem_free(m->inputs);
    mem_free(m->outputs);
    if (!m->is_body) {
        weights_free(&m->weights);
        graph_free(&m->graph);
    }
    mem_free(m);
}

static int build_stages(struct model *m, struct err *e);

/* The model of a body, which like the weights is borrowed from `outer`. */
static int
build_body(const struct model *outer, struct graph *body, struct model **out,
           struct err *e)
{
    struct model *m = mem_new(1, sizeof *m);

    atomic_init(&m->refs, 1);
    m->graph = body;
    m->weights = outer->weights;
    m->is_body = true;
    m->max_shapes = outer->max_shapes;
    m->limits = outer->limits;
    *out = m; /* freed with outer in any case */
    return build_stages(m, e);
}

static int
build_bodies(struct model *m, const struct node *n, struct err *e)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    int node = (int)(n - m->graph->nodes.at);

    if (m->bodies == NULL)
        m->bodies = mem_new(m->graph->nodes.n, sizeof *m->bodies);
    for (int k = 0; k < (n->op == OP_IF ? 2 : 1); k++) {
        const char *name = n->op == OP_IF ? names[k] : "body";

        if (build_body(m, attr_graph(n, name), &m->bodies[node][k], e) != 0)
            return err_wrap(e, "node %s (%s): %s", n->name, op_name(n->op),
                            name);
    }
    return 0;
}

/* What runs, in which order; m->graph is as it will stay. */
static int
build_stages(struct model *m, struct err *e)
{
    const struct graph *g = m->graph;
    int rc = cut_graph(m->graph, &m->stages, e);

    if (rc != 0)
        return rc;
    m->inputs = list_io(g, g->inputs.at, g->inputs.n);
    m->outputs = list_io(g, g->outputs.at, g->outputs.n);
    m->plans = mem_new((size_t)m->stages.n, sizeof *m->plans);
    for (int i = 0; i < m->stages.n; i++)
        plans_init(&m->plans[i], m->stages.at[i].graph, m->weights,
                   m->max_shapes, &m->limits);
    for (int i = 0; i < m->stages.n; i++)
        for (size_t k = 0; rc == 0 && k < m->stages.at[i].nodes.n; k++) {
            const struct node *n = &g->nodes.at[m->stages.at[i].nodes.at[k]];

            if (op_is_control(n->op))
                rc = build_bodies(m, n, e);
        }
    return rc;
}

int
model_build(struct graph **g, const struct model_options *o, struct model **out,
            struct err *e)
{
    struct model *m = mem_new(1, sizeof *m);
    int rc;

    atomic_init(&m->refs, 1);
    m->graph = *g;
    *g = NULL;
    m->weights = weights_new();
    m->max_shapes = o != NULL && o->max_shapes > 0 ? (size_t)o->max_shapes
                                                   : DEFAULT_MAX_SHAPES;
    m->limits = (struct plan_limits){
        .bytes = o != NULL && o->max_run_bytes > 0
                     ? o->max_run_bytes
                     : (size_t)DEFAULT_MAX_RUN_GB << 30,
        .work = o != NULL && o->max_run_work > 0 ? o->max_run_work
                                                 : DEFAULT_MAX_RUN_WORK,
    };
    rc = graph_simplify(m->graph, e);
    if (rc == 0) {
        graph_drop_constants(m->graph);
        rc = build_stages(m, e);
    }
    if (rc == 0)
        rc = batch_find(
            m, o != NULL && o->max_batch > 0 ? o->max_batch : DEFAULT_MAX_BATCH,
            e);
    if (rc != 0) {
        model_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

int
model_load(const char *path, const struct model_options *o, struct model **out,
           struct err *e)
{
    struct graph *g;
    int rc = graph_load(path, &g, e);

    return rc != 0 ? rc : model_build(&g, o, out, e);
}

struct model *
model_ref(struct model *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void
model_unref(struct model **m)
{
    if (*m != NULL && atomic_fetch_sub(&(*m)->refs, 1) == 1)
        model_free(*m);
    *m = NULL;
}

int
model_n_inputs(const struct model *m)
{
    return (int)m->graph->inputs.n;
}

int
model_n_outputs(const struct model *m)
{
    return (int)m->graph->outputs.n;
}

const struct model_io *
model_input(const struct model *m, int i)
{
    return &m->inputs[i];
}

const struct model_io *
model_output(const struct model *m, int i)
{
    return &m->outputs[i];
}

static void
add_memory(struct model *m, struct model_memory *out)
{
    const struct graph *g = m->graph;

    for (size_t i = 0; i < g->values.n; i++)
        if (g->values.at[i].data != NULL && graph_uses(g, (int)i, NULL) > 0)
            out->weights += shape_n(&g->values.at[i].shape) *
                            dtype_size(g->values.at[i].dtype);
    for (int i = 0; i < m->stages.n; i++)
        out->plans += plans_bytes(&m->plans[i]);
    for (size_t i = 0; m->bodies != NULL && i < g->nodes.n; i++)
        for (int k = 0; k < 2; k++)
            if (m->bodies[i][k] != NULL)
                add_memory(m->bodies[i][k], out);
}

void
model_memory(const struct model *m, struct model_memory *out)
{
    *out = (struct model_memory){.packed = weights_bytes(m->weights)};
    add_memory((struct model *)m, out); /* for its locks only */
}

static void
add_shapes(struct model *m, struct model_shapes *out)
{
    for (int i = 0; i < m->stages.n; i++) {
        struct plans *p = &m->plans[i];

        pthread_mutex_lock(&p->lock);
        out->hits += atomic_load_explicit(&p->hits, memory_order_relaxed);
        out->misses += p->misses;
        out->kept += (int)p->kept.n;
        pthread_mutex_unlock(&p->lock);
    }
    for (size_t i = 0; m->bodies != NULL && i < m->graph->nodes.n; i++)
        for (int k = 0; k < 2; k++)
            if (m->bodies[i][k] != NULL)
                add_shapes(m->bodies[i][k], out);
}

void
model_shapes(const struct model *m, struct model_shapes *out)
{
    *out = (struct model_shapes){0};
    add_shapes((struct model *)m, out); /* for its locks only */
}
