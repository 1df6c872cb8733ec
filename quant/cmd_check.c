/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a model can be served: it loads, builds and runs, takes and gives
 * what another one does, and sets of samples fit it.  The daemon asks in a
 * child process before it touches what somebody uploaded.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ir/graph.h"
#include "quant/already.h"
#include "quant/cmd.h"
#include "quant/data.h"

struct check {
    const char *model, *like, *calibration, *validation;
    int opset;
    enum already quantized;
    json_t *samples;
};

static int
build(struct check *c, struct model **m, struct err *e)
{
    const struct node *node;
    struct graph *g;
    int rc = graph_load(c->model, &g, e);

    if (rc != 0)
        return rc;
    c->opset = g->opset;
    c->quantized = already_quantized(g, &node);
    if ((rc = model_build(&g, &(struct model_options){0}, m, e)) != 0) {
        graph_free(&g);
        return rc;
    }
    if ((rc = model_warm(*m, e)) != 0)
        model_unref(m);
    return rc;
}

/* One more place where the first axis of one is dynamic and the other's is 1
 * does no harm: such models are batched alike. */
static bool
same_shape(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i] && !(i == 0 && (a->dim[i] == SHAPE_DYNAMIC ||
                                                   b->dim[i] == SHAPE_DYNAMIC)))
            return false;
    return true;
}

static int
same_io(const char *kind, const struct model *a, const struct model *b,
        int (*count)(const struct model *),
        const struct model_io *(*get)(const struct model *, int), struct err *e)
{
    if (count(a) != count(b))
        return err_set(e, ERR_INVALID, "it has %d %ss, the version's own %d",
                       count(a), kind, count(b));
    for (int i = 0; i < count(a); i++) {
        const struct model_io *x = get(a, i), *y = get(b, i);
        char xs[SHAPE_TEXT], ys[SHAPE_TEXT];

        if (strcmp(x->name, y->name) != 0 || x->dtype != y->dtype ||
            !same_shape(&x->shape, &y->shape))
            return err_set(e, ERR_INVALID,
                           "%s %d is %s %s %s, the version's own is %s %s %s",
                           kind, i, x->name, dtype_name(x->dtype),
                           shape_text(&x->shape, xs), y->name,
                           dtype_name(y->dtype), shape_text(&y->shape, ys));
    }
    return 0;
}

static int
check_like(const struct check *c, const struct model *m, struct err *e)
{
    struct model *like;
    int rc;

    if (c->like == NULL)
        return 0;
    if ((rc = model_load(c->like, &(struct model_options){0}, &like, e)) != 0)
        return err_wrap(e, "%s", c->like);
    if ((rc = same_io("input", m, like, model_n_inputs, model_input, e)) == 0)
        rc = same_io("output", m, like, model_n_outputs, model_output, e);
    model_unref(&like);
    return rc;
}

static int
check_samples(struct check *c, const struct model *m, const char *what,
              const char *path, enum data_role role, struct err *e)
{
    struct data *d;
    int rc;

    if (path == NULL)
        return 0;
    if ((rc = data_open(path, m, role, &d, e)) != 0)
        return err_wrap(e, "%s", what);
    json_object_set_new(c->samples, what, json_integer(data_n(d)));
    data_free(&d);
    return 0;
}

static int
check(struct check *c, struct err *e)
{
    struct model *m;
    int rc = build(c, &m, e);

    if (rc != 0)
        return rc;
    if ((rc = check_like(c, m, e)) == 0 &&
        (rc = check_samples(c, m, "calibration", c->calibration,
                            DATA_CALIBRATION, e)) == 0)
        rc = check_samples(c, m, "validation", c->validation, DATA_VALIDATION,
                           e);
    model_unref(&m);
    return rc;
}

/* As the daemon reads what its children say: one line. */
static void
print_line(const struct check *c)
{
    json_t *j =
        json_pack("{s:{s:i, s:s, s:O}}", "result", "opset", c->opset, "variant",
                  already_variant(c->quantized), "samples", c->samples);

    json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
}

int
cmd_check(const struct cmd *cmd, int argc, char **argv)
{
    struct cmd_common common = {0};
    struct texts words = {0};
    struct check c = {0};
    struct err e;
    int exit_code;
    const struct option table[] = {
        {"like", 'l', OPTION_TEXT, "MODEL",
         "it must have the same inputs and outputs", &c.like, 0, 0},
        {"calibration", 'c', OPTION_TEXT, "DATA", "samples that must fit it",
         &c.calibration, 0, 0},
        {"validation", 'v', OPTION_TEXT, "DATA", "samples that must fit it",
         &c.validation, 0, 0},
        CMD_COMMON_OPTIONS(&common)};

    c.samples = json_object();
    if (!cmd_parse(cmd, table, &common, argc, argv, 1, 1, &words, &exit_code))
        goto out;
    c.model = words.v.at[0];
    if (check(&c, &e) != 0) {
        exit_code = cmd_fail(common.json, &e);
        goto out;
    }
    exit_code = CMD_DONE;
    if (common.json)
        print_line(&c);
    else
        printf("%s: opset %d%s, can be served\n", c.model, c.opset,
               c.quantized != ALREADY_NOT ? ", quantized already" : "");
out:
    json_decref(c.samples);
    mem_free(words.v.at);
    return exit_code;
}
