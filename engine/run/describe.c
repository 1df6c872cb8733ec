/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/dnn/dnn.h"
#include "engine/run/model.h"
#include "engine/run/session.h"

enum { FUSED_TEXT = 160 };

static void
fused_text(const struct node *n, char text[FUSED_TEXT])
{
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < n->n_posts && at < FUSED_TEXT; i++)
        at += (size_t)snprintf(text + at, FUSED_TEXT - at, "%s+%s",
                               i > 0 ? " " : "", op_name(n->posts[i].op));
}

/* A product of bytes, whatever its result is. */
static bool
multiplies_bytes(const struct step *s)
{
    if (strcmp(s->kernel->name, DNN_WIDE) == 0)
        return false;
    switch (s->node->op) {
    case OP_CONV_INTEGER:
    case OP_CONV_SCALED:
    case OP_MATMUL_INTEGER:
    case OP_MATMUL_SCALED:
        return true;
    default:
        return false;
    }
}

/* Integer kernels are those that read or write joined integer tensors. */
static const char *
precision(const struct step *s)
{
    const struct value *out = step_out(s, 0);

    if (multiplies_bytes(s))
        return "int8";
    for (int i = 0; i < s->node->n_in; i++)
        if (node_in_q(s->node, i) != NULL)
            return dtype_is_8bit(step_in(s, i)->dtype)
                       ? "int8"
                       : dtype_name(step_in(s, i)->dtype);
    if (s->node->out_q != NULL || (out != NULL && dtype_is_8bit(out->dtype)))
        return "int8";
    return dtype_name(out == NULL ? DTYPE_NONE : out->dtype);
}

static void
describe_step(const struct step *s, struct model_step *out, char *fused)
{
    fused_text(s->node, fused);
    *out = (struct model_step){
        .node = s->node->name,
        .op = op_name(s->node->op),
        .kernel = s->kernel->name,
        .impl = s->impl == NULL ? "" : s->impl,
        .fused = fused,
        .precision = precision(s),
        .note = s->node->note,
        .shape =
            step_out(s, 0) == NULL ? (struct shape){0} : step_out(s, 0)->shape,
    };
}

struct teller {
    void (*each)(void *arg, const struct model_step *s);
    void *arg;
};

static void
describe_alone(const struct session *s, const struct node *n,
               struct model_step *out)
{
    const struct tensor *t =
        n->n_out > 0 && n->out[0] >= 0 ? session_value(s, n->out[0]) : NULL;

    *out = (struct model_step){
        .node = n->name,
        .op = op_name(n->op),
        .kernel = op_is_control(n->op) ? "run.control" : "run.eager",
        .impl = "",
        .fused = "",
        .precision = dtype_name(t == NULL ? DTYPE_NONE : t->dtype),
        .note = op_is_control(n->op) ? "data decide what runs"
                                     : "data decide its shape",
    };
    if (t != NULL)
        out->shape = t->shape;
}

static void describe(const struct session *s, int depth,
                     const struct teller *to);

static void
describe_stage(const struct session *session, int k, int depth,
               const struct teller *to)
{
    const struct model *m = session_model(session);
    const struct plan *p = session_plan(session, k);
    const struct stage *st = &m->stages.at[k];
    struct model_step s;

    for (size_t i = 0; p != NULL && i < p->n_steps; i++) {
        char fused[FUSED_TEXT];

        describe_step(&p->steps[i], &s, fused);
        s.depth = depth;
        to->each(to->arg, &s);
    }
    for (size_t i = 0; i < st->nodes.n; i++) {
        int node = st->nodes.at[i];

        describe_alone(session, &m->graph->nodes.at[node], &s);
        s.depth = depth;
        to->each(to->arg, &s);
        for (int b = 0; b < 2; b++)
            if (op_is_control(m->graph->nodes.at[node].op) &&
                session_body(session, node, b) != NULL)
                describe(session_body(session, node, b), depth + 1, to);
    }
}

static void
describe(const struct session *s, int depth, const struct teller *to)
{
    for (int k = 0; k < session_model(s)->stages.n; k++)
        describe_stage(s, k, depth, to);
}

/* Later stages get their shapes from a run, with data made up. */
static int
run_once(struct model *m, struct session *s, const struct shape *shapes,
         struct err *e)
{
    int rc;

    for (int i = 0; i < model_n_inputs(m); i++)
        batch_make_up(session_input(s, i), model_input(m, i)->dtype,
                      shape_n(&shapes[i]), (uint32_t)i + 1);
    rc = session_run(s, e);
    return rc == ERR_INVALID ? 0 : rc;
}

int
model_describe(struct model *m, const struct shape *shapes,
               void (*each)(void *arg, const struct model_step *s), void *arg,
               struct err *e)
{
    struct shape *mine = mem_new(m->graph->inputs.n, sizeof *mine);
    struct session *s = session_bare(m);
    int rc;

    for (size_t i = 0; i < m->graph->inputs.n; i++) {
        mine[i] = shapes != NULL ? shapes[i] : m->inputs[i].shape;
        for (int k = 0; k < mine[i].rank; k++)
            if (mine[i].dim[k] == SHAPE_DYNAMIC)
                mine[i].dim[k] = 1;
    }
    rc = session_shape(s, mine, e);
    if (rc == 0 && model_is_staged(m))
        rc = run_once(m, s, mine, e);
    if (rc == 0)
        describe(s, 0, &(struct teller){each, arg});
    session_free(&s);
    mem_free(mine);
    return rc;
}
