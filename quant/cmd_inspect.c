/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a model file and how it would run here: one row a step, with the
 * kernel chosen, the precision, and why it is not int8 where it is not.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ir/graph.h"
#include "quant/cmd.h"
#include "quant/coverage.h"

struct inspection {
    const char *path;
    int opset;
    size_t nodes;
    json_t *steps;
    struct coverage coverage;
};

static void
each_step(void *arg, const struct model_step *s)
{
    struct inspection *in = arg;

    coverage_add(&in->coverage, s);
    json_array_append_new(
        in->steps,
        json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:i}", "node",
                  cmd_text(s->node), "op", s->op, "fused", s->fused, "kernel",
                  s->kernel, "impl", s->impl, "precision", s->precision,
                  "shape", cmd_shape(&s->shape), "note", cmd_text(s->note),
                  "depth", s->depth));
}

static json_t *
io_json(const struct model *m, int n,
        const struct model_io *(*get)(const struct model *, int))
{
    json_t *a = json_array();

    for (int i = 0; i < n; i++) {
        const struct model_io *io = get(m, i);

        json_array_append_new(a, json_pack("{s:o, s:s, s:o}", "name",
                                           cmd_text(io->name), "dtype",
                                           dtype_name(io->dtype), "shape",
                                           cmd_shape(&io->shape)));
    }
    return a;
}

static json_t *
inspection_json(const struct inspection *in, const struct model *m)
{
    struct model_memory mem;
    const struct coverage *c = &in->coverage;
    json_t *layers = json_object();

    model_memory(m, &mem);
    for (int i = 0; i < c->n_ops; i++)
        json_object_set_new(layers, c->ops[i].op,
                            json_pack("{s:i, s:i}", "steps", c->ops[i].n,
                                      "int8", c->ops[i].n_int8));
    return json_pack(
        "{s:o, s:i, s:I, s:o, s:o, s:i, s:{s:I, s:I}, s:{s:s, s:s, s:b}, s:O,"
        " s:{s:i, s:i, s:i, s:o}}",
        "model", cmd_text(in->path), "opset", in->opset, "nodes",
        (json_int_t)in->nodes, "inputs",
        io_json(m, model_n_inputs(m), model_input), "outputs",
        io_json(m, model_n_outputs(m), model_output), "max_batch",
        model_max_batch(m), "bytes", "weights", (json_int_t)mem.weights,
        "packed", (json_int_t)mem.packed, "engine", "isa", engine_isa(),
        "onednn", engine_dnn_version(), "vnni", engine_has_vnni(), "steps",
        in->steps, "summary", "steps", c->n_steps, "ref", c->n_ref, "plain",
        c->n_plain, "int8", layers);
}

static void
print_io(const char *what, const struct model *m, int n,
         const struct model_io *(*get)(const struct model *, int))
{
    char text[SHAPE_TEXT];

    for (int i = 0; i < n; i++)
        printf("%-8s %s %s%s\n", what, get(m, i)->name,
               dtype_name(get(m, i)->dtype),
               shape_text(&get(m, i)->shape, text));
}

/* Widths of the table's columns, from what they will hold. */
/* Bodies of If, Loop and Scan stand to the right of their node. */
static int
step_indent(const json_t *row)
{
    int depth = (int)json_integer_value(json_object_get(row, "depth"));

    return 2 * (depth < 8 ? depth : 8);
}

static int
width(const json_t *rows, const char *key, int most)
{
    int w = (int)strlen(key);
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        int n = (int)json_string_length(json_object_get(row, key));

        if (strcmp(key, "node") == 0)
            n += step_indent(row);
        w = n > w ? n : w;
    }
    return w < most ? w : most;
}

static void
print_steps(const struct inspection *in)
{
    static const char *const keys[] = {"node",   "op",   "fused",
                                       "kernel", "impl", "precision"};
    enum { N = sizeof keys / sizeof *keys };
    const json_t *row;
    int w[N];
    size_t i;

    for (int k = 0; k < N; k++) {
        w[k] = width(in->steps, keys[k], 36);
        printf("%-*s  ", w[k], keys[k]);
    }
    printf("shape\n");
    json_array_foreach(in->steps, i, row)
    {
        const json_t *note = json_object_get(row, "note"), *d;
        size_t k;

        for (k = 0; k < N; k++) {
            int by = k == 0 ? step_indent(row) : 0;

            printf("%*s%-*.*s  ", by, "", w[k] - by, w[k] - by,
                   json_string_value(json_object_get(row, keys[k])));
        }
        json_array_foreach(json_object_get(row, "shape"), k, d) printf(
            "%s%lld", k > 0 ? "x" : "", (long long)json_integer_value(d));
        if (json_is_string(note))
            printf("  (%s)", json_string_value(note));
        putchar('\n');
    }
}

static void
print_inspection(const struct inspection *in, const struct model *m)
{
    struct model_memory mem;
    char a[32], b[32], text[400];

    model_memory(m, &mem);
    printf("%-8s %s: opset %d, %zu nodes\n", "model", in->path, in->opset,
           in->nodes);
    print_io("input", m, model_n_inputs(m), model_input);
    print_io("output", m, model_n_outputs(m), model_output);
    printf("%-8s %s, packed %s\n", "weights", cmd_bytes((double)mem.weights, a),
           cmd_bytes((double)mem.packed, b));
    printf("%-8s %s, oneDNN %s\n\n", "engine", engine_isa(),
           engine_dnn_version());
    print_steps(in);
    printf("\n%d steps: %s; %d by plain C kernels; %d by oneDNN reference "
           "code\n",
           in->coverage.n_steps,
           coverage_text(&in->coverage, text, sizeof text),
           in->coverage.n_plain, in->coverage.n_ref);
}

static int
inspect(struct inspection *in, const struct texts *shapes, struct model **m,
        struct err *e)
{
    struct graph *g;
    struct shape *s;
    int rc = graph_load(in->path, &g, e);

    if (rc != 0)
        return cmd_name_file(e, in->path);
    in->opset = g->opset;
    in->nodes = g->nodes.n;
    if ((rc = model_build(&g, &(struct model_options){0}, m, e)) != 0) {
        graph_free(&g);
        return err_wrap(e, "%s", in->path);
    }
    s = mem_new((size_t)model_n_inputs(*m), sizeof *s);
    if ((rc = cmd_shapes(*m, 1, shapes, s, e)) != 0 ||
        (rc = model_describe(*m, s, each_step, in, e)) != 0)
        model_unref(m);
    mem_free(s);
    return rc;
}

int
cmd_inspect(const struct cmd *c, int argc, char **argv)
{
    struct cmd_common common = {0};
    struct texts words = {0}, shapes = {0};
    struct inspection in = {0};
    struct model *m;
    struct err e;
    int exit_code;
    const struct option table[] = {{"shape", 's', OPTION_LIST, "NAME=1,3,...",
                                    "shape of an input with dynamic axes",
                                    &shapes, 0, 0},
                                   CMD_COMMON_OPTIONS(&common)};

    if (!cmd_parse(c, table, &common, argc, argv, 1, 1, &words, &exit_code))
        goto out;
    in.path = words.v.at[0];
    in.steps = json_array();
    if (inspect(&in, &shapes, &m, &e) != 0) {
        exit_code = cmd_fail(common.json, &e);
        goto out;
    }
    if (common.json)
        exit_code = cmd_print(inspection_json(&in, m), CMD_DONE);
    else {
        print_inspection(&in, m);
        exit_code = CMD_DONE;
    }
    model_unref(&m);
out:
    json_decref(in.steps);
    mem_free(words.v.at);
    mem_free(shapes.v.at);
    return exit_code;
}
