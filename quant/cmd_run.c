/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a model once: .npy files in, .npy files out.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "quant/cmd.h"
#include "quant/convert.h"
#include "quant/npy.h"

struct run {
    const char *model;
    struct texts inputs; /* NAME=FILE */
    const char *dir;
    json_t *outputs; /* of --json */
    bool json;
};

/* The FILE of "NAME=FILE" for this input; the only one, when there is but one
 * input and no such NAME. */
static const char *
file_of(const struct run *r, const struct model *m, const char *name)
{
    for (size_t i = 0; i < r->inputs.v.n; i++) {
        const char *text = r->inputs.v.at[i];
        size_t n = strlen(name);

        if (strncmp(text, name, n) == 0 && text[n] == '=')
            return text + n + 1;
        if (model_n_inputs(m) == 1 && strchr(text, '=') == NULL)
            return text;
    }
    return NULL;
}

static bool
names_input(const struct model *m, const char *text)
{
    if (model_n_inputs(m) == 1 && strchr(text, '=') == NULL)
        return true;
    for (int i = 0; i < model_n_inputs(m); i++) {
        const char *name = model_input(m, i)->name;
        size_t n = strlen(name);

        if (strncmp(text, name, n) == 0 && text[n] == '=')
            return true;
    }
    return false;
}

static int
load_inputs(const struct run *r, const struct model *m, struct tensor *in,
            struct err *e)
{
    for (size_t i = 0; i < r->inputs.v.n; i++)
        if (!names_input(m, r->inputs.v.at[i]))
            return err_set(e, ERR_INVALID,
                           "--input %s: the model has no such input",
                           r->inputs.v.at[i]);
    for (int i = 0; i < model_n_inputs(m); i++) {
        const struct model_io *io = model_input(m, i);
        const char *path = file_of(r, m, io->name);
        int rc;

        if (path == NULL)
            return err_set(e, ERR_INVALID, "no --input %s=FILE.npy", io->name);
        if ((rc = npy_load(path, &in[i], e)) != 0)
            return err_wrap(e, "input '%s'", io->name);
        if (!convert_allowed(in[i].dtype, io->dtype))
            return err_set(e, ERR_INVALID, "input '%s': %s is %s, want %s",
                           io->name, path, dtype_name(in[i].dtype),
                           dtype_name(io->dtype));
    }
    return 0;
}

static int
feed(struct session *s, const struct model *m, const struct tensor *in,
     struct err *e)
{
    int n = model_n_inputs(m), rc;
    struct shape *shapes = mem_new((size_t)n, sizeof *shapes);

    for (int i = 0; i < n; i++)
        shapes[i] = in[i].shape;
    rc = session_shape(s, shapes, e);
    mem_free(shapes);
    for (int i = 0; i < n && rc == 0; i++) {
        rc = convert(in[i].dtype, in[i].data, model_input(m, i)->dtype,
                     session_input(s, i), shape_n(&in[i].shape), e);
        if (rc != 0)
            err_wrap(e, "input '%s'", model_input(m, i)->name);
    }
    return rc;
}

/* The output's name as a file's: what a path cannot hold is '_'. */
static char *
file_for(const char *dir, const char *name, int i)
{
    char *path = mem_printf("%s/%s.npy", dir, *name == '\0' ? "output" : name);
    size_t from = strlen(dir) + 1;

    for (char *p = path + from; *p != '\0'; p++)
        if (*p == '/' || (unsigned char)*p < 0x20)
            *p = '_';
    if (path[from] == '.')
        path[from] = '_';
    if (strlen(path + from) > 200) { /* names may be any length */
        mem_free(path);
        path = mem_printf("%s/output_%d.npy", dir, i);
    }
    return path;
}

static int
save_output(struct run *r, const struct model_io *io, const struct tensor *t,
            int i, struct err *e)
{
    char *path = file_for(r->dir, io->name, i), text[SHAPE_TEXT];
    int rc = npy_save(path, t, e);

    if (rc == 0 && !r->json)
        printf("%s %s%s -> %s\n", io->name, dtype_name(t->dtype),
               shape_text(&t->shape, text), path);
    if (rc == 0)
        json_array_append_new(
            r->outputs,
            json_pack("{s:o, s:s, s:o, s:o}", "name", cmd_text(io->name),
                      "dtype", dtype_name(t->dtype), "shape",
                      cmd_shape(&t->shape), "file", cmd_text(path)));
    mem_free(path);
    return rc;
}

static int
run_model(struct run *r, struct err *e)
{
    struct model *m;
    struct session *s = NULL;
    struct tensor *in;
    int n, rc = model_load(r->model, &(struct model_options){0}, &m, e);

    if (rc != 0)
        return cmd_name_file(e, r->model);
    n = model_n_inputs(m);
    in = mem_new((size_t)n, sizeof *in);
    if ((rc = load_inputs(r, m, in, e)) == 0 &&
        (rc = session_new(m, &s, e)) == 0 && (rc = feed(s, m, in, e)) == 0 &&
        (rc = session_run(s, e)) == 0)
        rc = file_mkdirs(r->dir, e);
    for (int i = 0; i < model_n_outputs(m) && rc == 0; i++)
        rc = save_output(r, model_output(m, i), session_output(s, i), i, e);
    session_free(&s);
    for (int i = 0; i < n; i++)
        mem_free(in[i].data);
    mem_free(in);
    model_unref(&m);
    return rc;
}

int
cmd_run(const struct cmd *c, int argc, char **argv)
{
    struct cmd_common common = {0};
    struct texts words = {0};
    struct run r = {.dir = "."};
    struct err e;
    int exit_code;
    const struct option table[] = {
        {"input", 'i', OPTION_LIST, "NAME=FILE.npy",
         "one for each input of the model", &r.inputs, 0, 0},
        {"output", 'o', OPTION_TEXT, "DIR", "where NAME.npy files are written",
         &r.dir, 0, 0},
        CMD_COMMON_OPTIONS(&common)};

    if (!cmd_parse(c, table, &common, argc, argv, 1, 1, &words, &exit_code))
        goto out;
    r.model = words.v.at[0];
    r.json = common.json;
    r.outputs = json_array();
    if (run_model(&r, &e) != 0)
        exit_code = cmd_fail(common.json, &e);
    else if (common.json)
        exit_code =
            cmd_print(json_pack("{s:O}", "outputs", r.outputs), CMD_DONE);
    else
        exit_code = CMD_DONE;
out:
    json_decref(r.outputs);
    mem_free(words.v.at);
    mem_free(r.inputs.v.at);
    return exit_code;
}
