/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/run/cut.h"

#include <string.h>

#include "base/mem.h"
#include "engine/ops/ops.h"

/* Each stage has plans of its own; making it takes a walk of the graph. */
enum { MAX_STAGES = 1024, MAX_WALKED = 1 << 24 };

/* What is found out about a graph, by value and node id. */
struct survey {
    const struct graph *g;
    int *level;   /* by value: the stage that makes it, or the first that may */
    bool *shaped; /* by value: shapes alone decide what it is */
    int *stage;   /* by node */
    bool *alone;  /* by node: it is run by itself, behind its stage */
    int n_stages;
};

static void
survey_end(struct survey *s)
{
    mem_free(s->level);
    mem_free(s->shaped);
    mem_free(s->stage);
    mem_free(s->alone);
}

static bool has_alone(const struct graph *body, const struct node *n,
                      const struct survey *outer);

/* If whose condition shapes decide is put into the plan. */
static bool
if_is_planned(const struct survey *s, const struct node *n)
{
    return n->in[0] >= 0 && s->shaped[n->in[0]] &&
           !has_alone(attr_graph(n, "then_branch"), n, s) &&
           !has_alone(attr_graph(n, "else_branch"), n, s);
}

static bool
runs_alone(const struct survey *s, const struct node *n)
{
    unsigned decide = ops_deciding_inputs(n->op);

    if (n->op == OP_IF)
        return !if_is_planned(s, n);
    if (op_is_control(n->op))
        return true;
    for (int i = 0; i < n->n_own && decide >> i != 0; i++)
        if ((decide >> i & 1) && n->in[i] >= 0 && !s->shaped[n->in[i]])
            return true;
    return false;
}

static void
survey_node(struct survey *s, int i)
{
    const struct node *n = &s->g->nodes.at[i];
    bool of_shape = n->op == OP_SHAPE || n->op == OP_SIZE;
    bool shaped = !op_is_control(n->op);
    int level = 0;

    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] >= 0) {
            if (s->level[n->in[k]] > level)
                level = s->level[n->in[k]];
            shaped &= of_shape || s->shaped[n->in[k]];
        }
    s->stage[i] = level;
    s->alone[i] = runs_alone(s, n);
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0) {
            s->level[n->out[k]] = level + (s->alone[i] ? 1 : 0);
            s->shaped[n->out[k]] = shaped && !s->alone[i];
        }
    level += s->alone[i] ? 1 : 0;
    if (level + 1 > s->n_stages)
        s->n_stages = level + 1;
}

/*
 * node, outer: of a body; what it captures is shaped where it is outside.
 */
static struct survey
survey_graph(const struct graph *g, const struct node *node,
             const struct survey *outer)
{
    struct survey s = {
        .g = g,
        .level = mem_new(g->values.n, sizeof *s.level),
        .shaped = mem_new(g->values.n, sizeof *s.shaped),
        .stage = mem_new(g->nodes.n, sizeof *s.stage),
        .alone = mem_new(g->nodes.n, sizeof *s.alone),
        .n_stages = 1,
    };

    for (size_t i = 0; i < g->values.n; i++)
        s.shaped[i] = g->values.at[i].data != NULL;
    for (int i = 0; node != NULL && i < g->n_captured; i++) {
        int in = node->in[node->n_own + i];
        int id = g->inputs.at[g->inputs.n - (size_t)(g->n_captured - i)];

        s.shaped[id] |= in >= 0 && outer->shaped[in];
    }
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead)
            survey_node(&s, (int)i);
    return s;
}

/* Does a body hold nodes that can't be planned with it? */
static bool
has_alone(const struct graph *body, const struct node *n,
          const struct survey *outer)
{
    struct survey s = survey_graph(body, n, outer);
    bool found = false;

    for (size_t i = 0; i < body->nodes.n; i++)
        found |= s.alone[i];
    survey_end(&s);
    return found;
}

/* --- stages -------------------------------------------------------------- */

static bool
planned_in(const struct survey *s, size_t node, int k)
{
    return !s->g->nodes.at[node].dead && s->stage[node] == k && !s->alone[node];
}

/* What is read behind the plan of stage k. */
static bool *
read_behind(const struct survey *s, int k)
{
    const struct graph *g = s->g;
    bool *read = mem_new(g->values.n, sizeof *read);

    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        if (n->dead || s->stage[i] < k || planned_in(s, i, k))
            continue;
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0)
                read[n->in[j]] = true;
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        read[g->outputs.at[i]] = true;
    return read;
}

struct extract {
    const struct graph *from;
    struct graph *to;
    int *map; /* by id in from: id in to, or -1 */
    struct stage *out;
};

static int
take_value(struct extract *x, int id)
{
    struct value v = x->from->values.at[id];

    if (x->map[id] >= 0)
        return x->map[id];
    v.producer = -1;
    VEC_PUSH(&x->to->values, v);
    return x->map[id] = (int)x->to->values.n - 1;
}

static void
take_input(struct extract *x, int id)
{
    int here = take_value(x, id);

    VEC_PUSH(&x->out->in, id);
    VEC_PUSH(&x->to->inputs, here);
}

static void
take_output(struct extract *x, int id)
{
    VEC_PUSH(&x->out->out, id);
    VEC_PUSH(&x->to->outputs, x->map[id]);
}

/* Its values, inputs among them: what others make and a node reads. */
static void
take_node(struct extract *x, const struct node *n)
{
    for (int j = 0; j < n->n_in; j++) {
        int id = n->in[j];

        if (id < 0 || x->map[id] >= 0)
            continue;
        if (x->from->values.at[id].data != NULL)
            take_value(x, id);
        else
            take_input(x, id);
    }
    for (int j = 0; j < n->n_out; j++)
        if (n->out[j] >= 0)
            take_value(x, n->out[j]);
    graph_copy_node(x->to, n, x->map);
}

static void
make_stage(const struct survey *s, int k, struct stage *out)
{
    const struct graph *g = s->g;
    bool *read = read_behind(s, k);
    struct extract x = {g, graph_new(), mem_new(g->values.n, sizeof(int)), out};

    for (size_t i = 0; i < g->values.n; i++)
        x.map[i] = -1;
    /* The first has all inputs of the whole: they are written there. */
    for (size_t i = 0; k == 0 && i < g->inputs.n; i++)
        take_input(&x, g->inputs.at[i]);
    for (size_t i = 0; k == 0 && i < g->inputs.n; i++)
        if (read[g->inputs.at[i]])
            take_output(&x, g->inputs.at[i]);
    for (size_t i = 0; i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];

        if (planned_in(s, i, k))
            take_node(&x, n);
        else if (!n->dead && s->stage[i] == k)
            VEC_PUSH(&out->nodes, (int)i);
        for (int j = 0; planned_in(s, i, k) && j < n->n_out; j++)
            if (n->out[j] >= 0 && read[n->out[j]])
                take_output(&x, n->out[j]);
    }
    out->graph = x.to;
    out->known = mem_new(x.to->inputs.n + 1, sizeof *out->known);
    for (size_t i = 0; k > 0 && i < x.to->inputs.n; i++)
        out->known[i] = s->shaped[out->in.at[i]];
    mem_free(x.map);
    mem_free(read);
}

/* All of g in one stage. */
static void
whole(struct graph *g, struct stage *out)
{
    *out = (struct stage){
        .graph = g,
        .is_whole = true,
        .known = mem_new(g->inputs.n, sizeof *out->known),
    };
    for (size_t i = 0; i < g->inputs.n; i++)
        VEC_PUSH(&out->in, g->inputs.at[i]);
    for (size_t i = 0; i < g->outputs.n; i++)
        VEC_PUSH(&out->out, g->outputs.at[i]);
}

int
cut_graph(struct graph *g, struct stages *out, struct err *e)
{
    struct survey s = survey_graph(g, NULL, NULL);
    int rc = 0;

    *out = (struct stages){0};
    if (s.n_stages > MAX_STAGES ||
        (size_t)s.n_stages * (g->values.n + g->nodes.n) > MAX_WALKED) {
        rc = err_set(e, ERR_UNSUPPORTED,
                     "data decide %d times over what is computed next: not "
                     "supported for a graph of %zu nodes",
                     s.n_stages, g->nodes.n);
    } else {
        out->at = mem_new((size_t)s.n_stages, sizeof *out->at);
        out->n = s.n_stages;
    }
    for (int k = 0; k < out->n && out->n > 1; k++)
        make_stage(&s, k, &out->at[k]);
    if (out->n == 1)
        whole(g, &out->at[0]);
    survey_end(&s);
    return rc;
}

void
cut_free(struct stages *s)
{
    for (int i = 0; i < s->n; i++) {
        if (!s->at[i].is_whole)
            graph_free(&s->at[i].graph);
        mem_free(s->at[i].in.at);
        mem_free(s->at[i].out.at);
        mem_free(s->at[i].known);
        mem_free(s->at[i].nodes.at);
    }
    mem_free(s->at);
    *s = (struct stages){0};
}
