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

/* --- plans --------------------------------------------------------------- */

static bool
same_shapes(const struct model *m, const struct plan *p,
            const struct shape *shapes)
{
    for (size_t i = 0; i < m->graph->inputs.n; i++)
        if (!shape_equal(&p->in_shapes[i], &shapes[i]))
            return false;
    return true;
}

/* Takes a reference to a kept plan; the caller holds the lock. */
static struct plan *
find_plan(struct model *m, const struct shape *shapes)
{
    for (size_t i = 0; i < m->plans.n; i++) {
        struct kept *k = &m->plans.at[i];

        if (!same_shapes(m, k->plan, shapes))
            continue;
        k->used = ++m->clock;
        k->plan->refs++;
        return k->plan;
    }
    return NULL;
}

/* Makes room for one more plan outside the ladder; the lock is held. */
static struct plan *
evict_oldest(struct model *m)
{
    size_t others = 0, oldest = 0;
    struct plan *p;

    for (size_t i = 0; i < m->plans.n; i++) {
        if (m->plans.at[i].ladder)
            continue;
        if (others++ == 0 || m->plans.at[i].used < m->plans.at[oldest].used)
            oldest = i;
    }
    if (others < m->max_shapes)
        return NULL;
    p = m->plans.at[oldest].plan;
    m->plans.at[oldest] = m->plans.at[--m->plans.n];
    return p;
}

int
model_get_plan(struct model *m, const struct shape *shapes, bool ladder,
               struct plan **out, struct err *e)
{
    struct plan *p, *old;
    int rc;

    pthread_mutex_lock(&m->lock);
    p = find_plan(m, shapes);
    m->hits += p != NULL;
    pthread_mutex_unlock(&m->lock);
    if (p != NULL) {
        *out = p;
        return 0;
    }

    pthread_mutex_lock(&m->build);
    pthread_mutex_lock(&m->lock);
    p = find_plan(m, shapes); /* built while we waited? */
    pthread_mutex_unlock(&m->lock);
    if (p == NULL) {
        rc = plan_build(m->graph, shapes, m->weights, &m->limits, &p, e);
        if (rc != 0) {
            pthread_mutex_unlock(&m->build);
            return rc;
        }
        pthread_mutex_lock(&m->lock);
        old = ladder ? NULL : evict_oldest(m);
        p->refs++;
        VEC_PUSH(&m->plans, (struct kept){p, ++m->clock, ladder});
        m->misses++;
        pthread_mutex_unlock(&m->lock);
        model_put_plan(m, &old);
    }
    pthread_mutex_unlock(&m->build);
    *out = p;
    return 0;
}

void
model_put_plan(struct model *m, struct plan **p)
{
    bool last;

    if (*p == NULL)
        return;
    pthread_mutex_lock(&m->lock);
    last = --(*p)->refs == 0;
    pthread_mutex_unlock(&m->lock);
    if (last)
        plan_free(p);
    *p = NULL;
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
model_free(struct model *m)
{
    for (size_t i = 0; i < m->plans.n; i++)
        plan_free(&m->plans.at[i].plan);
    mem_free(m->plans.at);
    weights_free(&m->weights);
    mem_free(m->inputs);
    mem_free(m->outputs);
    graph_free(&m->graph);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->build);
    mem_free(m);
}

int
model_build(struct graph **g, const struct model_options *o, struct model **out,
            struct err *e)
{
    struct model *m = mem_new(1, sizeof *m);
    int rc;

    atomic_init(&m->refs, 1);
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->build, NULL);
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
        m->inputs = list_io(m->graph, m->graph->inputs.at, m->graph->inputs.n);
        m->outputs =
            list_io(m->graph, m->graph->outputs.at, m->graph->outputs.n);
        rc = batch_find(
            m, o != NULL && o->max_batch > 0 ? o->max_batch : DEFAULT_MAX_BATCH,
            e);
    }
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

void
model_memory(const struct model *m, struct model_memory *out)
{
    struct model *open = (struct model *)m; /* for its locks only */

    *out = (struct model_memory){.packed = weights_bytes(m->weights)};
    for (size_t i = 0; i < m->graph->values.n; i++)
        if (m->graph->values.at[i].data != NULL &&
            graph_uses(m->graph, (int)i, NULL) > 0)
            out->weights += shape_n(&m->graph->values.at[i].shape) *
                            dtype_size(m->graph->values.at[i].dtype);
    pthread_mutex_lock(&open->lock);
    for (size_t i = 0; i < m->plans.n; i++)
        out->plans += arena_bytes(m->plans.at[i].plan->graph->arena);
    pthread_mutex_unlock(&open->lock);
}

void
model_shapes(const struct model *m, struct model_shapes *out)
{
    struct model *open = (struct model *)m; /* for its lock only */

    pthread_mutex_lock(&open->lock);
    *out = (struct model_shapes){m->hits, m->misses, (int)m->plans.n};
    pthread_mutex_unlock(&open->lock);
}
