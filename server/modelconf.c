/* SPDX-License-Identifier: Apache-2.0 */
#include "server/modelconf.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "server/pbtxt.h"

enum {
    TEXT_MAX = 1 << 20,    /* config.pbtxt, model.conf */
    LABELS_MAX = 64 << 20, /* labels.txt */
    BATCH_MAX = 65536,
};

/* --- labels ------------------------------------------------------------ */

/* One class a line; a last empty line is none. */
static int
read_labels(const char *path, struct modelconf_output *o, struct err *e)
{
    char *text, *line, *rest;
    size_t cap = 0;
    int rc = file_read(path, LABELS_MAX, &text, NULL, e);

    if (rc != 0)
        return rc;
    for (line = text; *line != '\0'; line = rest) {
        size_t n = strcspn(line, "\n");

        rest = line + n + (line[n] == '\n');
        line[n] = '\0';
        if (n > 0 && line[n - 1] == '\r')
            line[n - 1] = '\0';
        if (o->n_labels == cap)
            o->labels = vec_grow(o->labels, &cap, sizeof *o->labels);
        o->labels[o->n_labels++] = mem_strdup(line);
    }
    mem_free(text);
    return 0;
}

static int
add_labels(struct modelconf *c, const char *output, const char *path,
           struct err *e)
{
    struct modelconf_output o = {0}, *grown;
    int rc = read_labels(path, &o, e);

    if (rc != 0)
        return rc;
    o.name = output != NULL ? mem_strdup(output) : NULL;
    grown = mem_new(c->n_outputs + 1, sizeof *grown);
    if (c->n_outputs > 0)
        memcpy(grown, c->outputs, c->n_outputs * sizeof *grown);
    grown[c->n_outputs++] = o;
    mem_free(c->outputs);
    c->outputs = grown;
    return 0;
}

const char *
modelconf_label(const struct modelconf *c, const char *output, size_t index)
{
    const struct modelconf_output *any = NULL;

    for (size_t i = 0; i < c->n_outputs; i++) {
        const struct modelconf_output *o = &c->outputs[i];

        if (o->name == NULL)
            any = o;
        else if (strcmp(o->name, output) == 0)
            return index < o->n_labels ? o->labels[index] : NULL;
    }
    return any != NULL && index < any->n_labels ? any->labels[index] : NULL;
}

/* --- config.pbtxt ------------------------------------------------------ */

/* Triton looks for label files in the version's folder, then the model's. */
static int
pbtxt_labels(struct modelconf *c, const struct pbtxt *output,
             const char *model_dir, const char *version_dir, struct err *e)
{
    const struct pbtxt *file = pbtxt_get(output, "label_filename");
    const struct pbtxt *name = pbtxt_get(output, "name");
    const char *dirs[] = {version_dir, model_dir};
    int rc = ERR_NOT_FOUND;

    if (file == NULL || name == NULL || file->value == NULL ||
        name->value == NULL || file->value[0] == '\0')
        return 0;
    if (strchr(file->value, '/') != NULL)
        return err_set(e, ERR_INVALID,
                       "line %d: label_filename: a name without '/' wanted",
                       file->line);
    for (size_t i = 0; i < 2 && rc == ERR_NOT_FOUND; i++) {
        char *path = mem_printf("%s/%s", dirs[i], file->value);

        rc = add_labels(c, name->value, path, e);
        mem_free(path);
    }
    return rc;
}

static int
pbtxt_batching(struct modelconf *c, const struct pbtxt *batching, struct err *e)
{
    const struct pbtxt *delay =
        pbtxt_get(batching, "max_queue_delay_microseconds");
    const struct pbtxt *policy = pbtxt_get(batching, "default_queue_policy");
    const struct pbtxt *length =
        policy != NULL ? pbtxt_get(policy, "max_queue_size") : NULL;
    long v;

    c->max_queue_delay_us = 0; /* Triton's default, once it is asked for */
    if (delay != NULL &&
        pbtxt_int(delay, 0, LONG_MAX, &c->max_queue_delay_us, e) != 0)
        return e->code;
    if (length != NULL) {
        if (pbtxt_int(length, 0, INT_MAX, &v, e) != 0)
            return e->code;
        c->max_queue_length = v > 0 ? (int)v : -1; /* 0: as configured */
    }
    return 0;
}

static int
apply_pbtxt(struct modelconf *c, const struct pbtxt *p, const char *model_dir,
            const char *version_dir, struct err *e)
{
    const struct pbtxt *batch = pbtxt_get(p, "max_batch_size");
    const struct pbtxt *dynamic = pbtxt_get(p, "dynamic_batching");
    long v;

    if (batch != NULL) {
        if (pbtxt_int(batch, 0, BATCH_MAX, &v, e) != 0)
            return e->code;
        c->max_batch_size = (int)v;
    }
    if (dynamic != NULL && pbtxt_batching(c, dynamic, e) != 0)
        return e->code;
    for (size_t i = 0; i < p->n_fields; i++)
        if (strcmp(p->fields[i].name, "output") == 0 &&
            pbtxt_labels(c, &p->fields[i], model_dir, version_dir, e) != 0)
            return e->code;
    return 0;
}

static int
load_pbtxt(const char *model_dir, const char *version_dir, struct modelconf *c,
           struct err *e)
{
    char *path = mem_printf("%s/config.pbtxt", model_dir), *text;
    struct pbtxt *p = NULL;
    size_t bytes;
    int rc = file_read(path, TEXT_MAX, &text, &bytes, e);

    if (rc == 0) {
        rc = pbtxt_parse(text, bytes, &p, e);
        if (rc == 0)
            rc = apply_pbtxt(c, p, model_dir, version_dir, e);
        if (rc != 0)
            rc = err_wrap(e, "%s", path);
        pbtxt_free(&p);
        mem_free(text);
    }
    mem_free(path);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- model.conf -------------------------------------------------------- */

struct ini {
    struct modelconf *c;
    const char *path;
    struct err *e;
    bool failed;
};

static int
ini_number(struct ini *ini, const char *name, const char *value, long max,
           long *out)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || v < 0 || v > max) {
        err_set(ini->e, ERR_INVALID, "%s: %s = %s: 0 to %ld wanted", ini->path,
                name, value, max);
        ini->failed = true;
        return -1;
    }
    *out = v;
    return 0;
}

/* Returns 0 for what is wrong, as inih wants it. */
static int
ini_line(void *arg, const char *section, const char *name, const char *value)
{
    struct ini *ini = arg;
    long v = 0;

    if (ini->failed)
        return 0;
    if (strcmp(section, "scheduler") == 0 || section[0] == '\0') {
        if (strcmp(name, "max_batch_size") == 0) {
            if (ini_number(ini, name, value, BATCH_MAX, &v) == 0)
                ini->c->max_batch_size = (int)v;
            return !ini->failed;
        }
        if (strcmp(name, "max_queue_delay") == 0)
            return ini_number(ini, name, value, LONG_MAX,
                              &ini->c->max_queue_delay_us) == 0;
        if (strcmp(name, "max_queue_length") == 0) {
            if (ini_number(ini, name, value, INT_MAX, &v) == 0)
                ini->c->max_queue_length = (int)v;
            return !ini->failed;
        }
    }
    err_set(ini->e, ERR_INVALID,
            "%s: [%s] %s: no such option (max_batch_size, max_queue_delay, "
            "max_queue_length)",
            ini->path, section, name);
    ini->failed = true;
    return 0;
}

static int
load_ini(const char *model_dir, struct modelconf *c, struct err *e)
{
    char *path = mem_printf("%s/model.conf", model_dir), *text;
    struct ini ini = {.c = c, .path = path, .e = e};
    int rc = file_read(path, TEXT_MAX, &text, NULL, e);

    if (rc == 0) {
        int line = ini_parse_string(text, ini_line, &ini);

        if (ini.failed)
            rc = e->code;
        else if (line != 0)
            rc = err_set(e, ERR_INVALID, "%s:%d: no \"key = value\"", path,
                         line);
        mem_free(text);
    }
    mem_free(path);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- all together ------------------------------------------------------ */

int
modelconf_load(const char *model_dir, const char *version_dir,
               struct modelconf *out, struct err *e)
{
    struct modelconf c = {
        .max_batch_size = -1, .max_queue_delay_us = -1, .max_queue_length = -1};
    char *labels = mem_printf("%s/labels.txt", version_dir);
    int rc;

    if ((rc = load_pbtxt(model_dir, version_dir, &c, e)) == 0 &&
        (rc = load_ini(model_dir, &c, e)) == 0)
        rc = add_labels(&c, NULL, labels, e);
    mem_free(labels);
    if (rc != 0 && rc != ERR_NOT_FOUND) {
        modelconf_free(&c);
        return rc;
    }
    *out = c;
    return 0;
}

void
modelconf_free(struct modelconf *c)
{
    for (size_t i = 0; i < c->n_outputs; i++) {
        for (size_t k = 0; k < c->outputs[i].n_labels; k++)
            mem_free(c->outputs[i].labels[k]);
        mem_free(c->outputs[i].labels);
        mem_free(c->outputs[i].name);
    }
    mem_free(c->outputs);
    *c = (struct modelconf){0};
}
