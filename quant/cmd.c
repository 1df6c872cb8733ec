/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/cmd.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"

/* What each kind of error is called and exits with. */
static const struct {
    enum err_code code;
    const char *name;
    int exit_code;
} codes[] = {
    {ERR_INVALID, "invalid", CMD_BAD_INPUT},
    {ERR_NOT_FOUND, "not-found", CMD_BAD_INPUT},
    {ERR_UNSUPPORTED, "unsupported", CMD_UNSUPPORTED},
    {ERR_CONFLICT, "conflict", CMD_BAD_INPUT},
    {ERR_TOO_LARGE, "too-large", CMD_BAD_INPUT},
    {ERR_BUSY, "busy", CMD_INTERNAL},
    {ERR_TIMEOUT, "timeout", CMD_INTERNAL},
    {ERR_NO_MEMORY, "no-memory", CMD_INTERNAL},
    {ERR_NO_SPACE, "no-space", CMD_INTERNAL},
    {ERR_IO, "io", CMD_INTERNAL},
    {ERR_INTERNAL, "internal", CMD_INTERNAL},
};

static size_t
find_code(enum err_code code)
{
    size_t i = 0;

    while (i < sizeof codes / sizeof *codes - 1 && codes[i].code != code)
        i++;
    return i;
}

const char *
cmd_code_name(enum err_code code)
{
    return codes[find_code(code)].name;
}

int
cmd_fail(bool json, const struct err *e)
{
    fprintf(stderr, "quantctl: %s\n", e->msg);
    if (json) {
        json_t *j =
            json_pack("{s:{s:s, s:o}}", "error", "code", cmd_code_name(e->code),
                      "message", cmd_text(e->msg));

        json_dumpf(j, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(j);
    }
    return codes[find_code(e->code)].exit_code;
}

int
cmd_name_file(struct err *e, const char *path)
{
    return strstr(e->msg, path) != NULL ? (int)e->code
                                        : err_wrap(e, "%s", path);
}

int
cmd_usage(const struct cmd *c, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "quantctl %s: ", c->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: quantctl %s %s\n       quantctl %s --help\n",
            c->name, c->synopsis, c->name);
    return CMD_USAGE;
}

bool
cmd_parse(const struct cmd *c, const struct option *table,
          struct cmd_common *common, int argc, char **argv, size_t min,
          size_t max, struct texts *words, int *exit_code)
{
    struct err e;

    if (option_parse(table, argc, argv, words, &e) != 0) {
        *exit_code = cmd_usage(c, "%s", e.msg);
        return false;
    }
    if (common->help) {
        printf("usage: quantctl %s %s\n\n%s.\n\n", c->name, c->synopsis,
               c->summary);
        option_help(table);
        *exit_code = CMD_DONE;
        return false;
    }
    if (words->v.n < min || words->v.n > max) {
        *exit_code = words->v.n < min ? cmd_usage(c, "a file is missing")
                                      : cmd_usage(c, "too many files: '%s'",
                                                  words->v.at[max]);
        return false;
    }
    if (common->threads == 0)
        common->threads = cpu_usable();
    engine_set_threads(common->threads);
    return true;
}

const char *
cmd_bytes(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t i = 0;

    while (bytes >= 1000 && i < sizeof units / sizeof *units - 1) {
        bytes /= 1000;
        i++;
    }
    snprintf(text, 32, i == 0 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
    return text;
}

json_t *
cmd_text(const char *s)
{
    json_t *j = s == NULL ? json_null() : json_string(s);
    char *copy;

    if (j != NULL)
        return j;
    copy = mem_strdup(s);
    for (char *p = copy; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    j = json_string(copy);
    mem_free(copy);
    return j;
}

json_t *
cmd_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *
cmd_shape(const struct shape *s)
{
    json_t *j = json_array();

    for (int i = 0; i < s->rank; i++)
        json_array_append_new(j, json_integer(s->dim[i]));
    return j;
}

static int
print(json_t *j, size_t flags, int exit_code)
{
    bool ok = json_dumpf(j, stdout, flags | JSON_REAL_PRECISION(9)) == 0;

    putchar('\n');
    json_decref(j);
    return fflush(stdout) == 0 && ok ? exit_code : CMD_INTERNAL;
}

int
cmd_print(json_t *j, int exit_code)
{
    return print(j, JSON_INDENT(2), exit_code);
}

int
cmd_print_line(json_t *j, int exit_code)
{
    return print(j, JSON_COMPACT, exit_code);
}

size_t
cmd_split(const char *text)
{
    const char *eq = strrchr(text, '=');

    return eq == NULL ? 0 : (size_t)(eq - text);
}

/* "1,3,224,224" or "1x3x224x224"; "" is a scalar. */
static int
parse_shape(const char *text, struct shape *s, struct err *e)
{
    const char *p = text;

    s->rank = 0;
    while (*p != '\0') {
        char *end;
        long long v = strtoll(p, &end, 10);

        if (end == p || v < 0 || s->rank == SHAPE_MAX_RANK ||
            (*end != '\0' && *end != ',' && *end != 'x'))
            return err_set(e, ERR_INVALID, "shape '%s'", text);
        s->dim[s->rank++] = v;
        p = *end == '\0' ? end : end + 1;
    }
    return 0;
}

int
cmd_shapes(const struct model *m, int rows, const struct texts *given,
           struct shape *shapes, struct err *e)
{
    char text[SHAPE_TEXT];

    for (int i = 0; i < model_n_inputs(m); i++) {
        const struct model_io *io = model_input(m, i);
        struct shape *s = &shapes[i];

        *s = io->shape;
        for (size_t k = 0; given != NULL && k < given->v.n; k++) {
            const char *g = given->v.at[k];
            size_t n = cmd_split(g);

            if (n != strlen(io->name) || strncmp(g, io->name, n) != 0)
                continue;
            if (parse_shape(g + n + 1, s, e) != 0)
                return err_wrap(e, "input '%s'", io->name);
        }
        if (model_max_batch(m) > 0 && s->rank > 0 && s->dim[0] == SHAPE_DYNAMIC)
            s->dim[0] = rows;
        if (!shape_known(s))
            return err_set(e, ERR_INVALID,
                           "input '%s' is %s: say which shape with "
                           "--shape '%s=1,...'",
                           io->name, shape_text(s, text), io->name);
    }
    return 0;
}
