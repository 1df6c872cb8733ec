/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of config_tbl.h expanded three times: how to read an option from
 * text, where it lies in struct config, what it is at the start.
 */
#include "server/config.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum kind {
    KIND_text,
    KIND_choice,
    KIND_integer,
    KIND_bytes,
    KIND_seconds,
    KIND_micros,
    KIND_real,
    KIND_flag,
};

struct option {
    const char *section, *name;
    enum kind kind;
    const char *dflt;
    double min, max;   /* of numbers */
    const char *words; /* of a choice */
    size_t at;         /* offset in struct config */
    bool reload;
    const char *help;
};

enum { no, yes };
#define NUMBER_text(x) 0
#define NUMBER_choice(x) 0
#define NUMBER_integer(x) (double)(x)
#define NUMBER_bytes(x) (double)(x)
#define NUMBER_seconds(x) (double)(x)
#define NUMBER_micros(x) (double)(x)
#define NUMBER_real(x) (double)(x)
#define NUMBER_flag(x) 0
#define WORDS_text(x) NULL
#define WORDS_choice(x) (x)
#define WORDS_integer(x) NULL
#define WORDS_bytes(x) NULL
#define WORDS_seconds(x) NULL
#define WORDS_micros(x) NULL
#define WORDS_real(x) NULL
#define WORDS_flag(x) NULL

static const struct option options[] = {
#define SECTION(section)
#define OPT(section, name, kind, dflt, min, max, reload, help)                 \
    {#section,                                                                 \
     #name,                                                                    \
     KIND_##kind,                                                              \
     dflt,                                                                     \
     NUMBER_##kind(min),                                                       \
     NUMBER_##kind(max),                                                       \
     WORDS_##kind(min),                                                        \
     offsetof(struct config, section.name),                                    \
     reload,                                                                   \
     help},
#define END(section)
#include "server/config_tbl.h"
#undef SECTION
#undef OPT
#undef END
};

enum { N_OPTIONS = sizeof options / sizeof options[0] };

/* --- values ------------------------------------------------------------ */

struct unit {
    const char *name;
    double times;
};

static const struct unit byte_units[] = {
    {"", 1}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824}, {NULL, 0}};
static const struct unit second_units[] = {
    {"", 1e6}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {NULL, 0}};
static const struct unit micro_units[] = {
    {"", 1}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *
units_of(enum kind kind)
{
    switch (kind) {
    case KIND_bytes:
        return byte_units;
    case KIND_seconds:
        return second_units;
    case KIND_micros:
        return micro_units;
    default:
        return no_units;
    }
}

static int
read_number(const struct option *o, const char *text, double *out,
            struct err *e)
{
    const struct unit *u = units_of(o->kind);
    char *end;
    double x;

    errno = 0;
    x = strtod(text, &end);
    if (end == text || errno != 0 || x != x)
        return err_set(e, ERR_INVALID, "'%s' is no number", text);
    while (*end == ' ')
        end++;
    while (u->name != NULL && strcmp(u->name, end) != 0)
        u++;
    if (u->name == NULL)
        return err_set(e, ERR_INVALID, "'%s' is no unit it knows", end);
    x *= u->times;
    if (x < o->min || x > o->max)
        return err_set(e, ERR_INVALID, "%s is not between %.15g and %.15g%s",
                       text, o->min, o->max,
                       o->kind == KIND_bytes ? " bytes"
                       : o->kind == KIND_seconds || o->kind == KIND_micros
                           ? " us"
                           : "");
    if (o->kind != KIND_real && x != (double)(int64_t)x)
        return err_set(e, ERR_INVALID, "'%s' is no whole number", text);
    *out = x;
    return 0;
}

static bool
has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; n > 0 && *p != '\0';) {
        size_t len = strcspn(p, " ");

        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

static const char *
keep_text(struct config *c, const char *text)
{
    char *copy = mem_strdup(text);

    for (int i = 0; i < c->n_texts; i++)
        if (strcmp(c->texts[i], text) == 0) {
            mem_free(copy);
            return c->texts[i];
        }
    if (c->n_texts == sizeof c->texts / sizeof c->texts[0])
        abort(); /* more options than struct config has room for */
    return c->texts[c->n_texts++] = copy;
}

static int
set_option(struct config *c, const struct option *o, const char *text,
           struct err *e)
{
    void *at = (char *)c + o->at;
    double x = 0;

    switch (o->kind) {
    case KIND_choice:
        if (!has_word(o->words, text))
            return err_set(e, ERR_INVALID, "'%s' is not one of: %s", text,
                           o->words);
        /* fall through */
    case KIND_text:
        *(const char **)at = keep_text(c, text);
        return 0;
    case KIND_flag:
        if (!has_word("yes no", text))
            return err_set(e, ERR_INVALID, "'%s' is neither yes nor no", text);
        *(bool *)at = text[0] == 'y';
        return 0;
    case KIND_real:
        if (read_number(o, text, &x, e) != 0)
            return e->code;
        *(double *)at = x;
        return 0;
    default:
        if (read_number(o, text, &x, e) != 0)
            return e->code;
        *(int64_t *)at = (int64_t)x;
        return 0;
    }
}

static const struct option *
find_option(const char *section, const char *key)
{
    for (int i = 0; i < N_OPTIONS; i++)
        if (strcmp(options[i].section, section) == 0 &&
            strcmp(options[i].name, key) == 0)
            return &options[i];
    return NULL;
}

static bool
is_section(const char *name)
{
    for (int i = 0; i < N_OPTIONS; i++)
        if (strcmp(options[i].section, name) == 0)
            return true;
    return false;
}

int
config_set(struct config *c, const char *section, const char *key,
           const char *value, struct err *e)
{
    const struct option *o = find_option(section, key);

    if (o == NULL && !is_section(section))
        return err_set(e, ERR_INVALID, "%s.%s: no such section", section, key);
    if (o == NULL)
        return err_set(e, ERR_INVALID, "%s.%s: no such option", section, key);
    if (set_option(c, o, value, e) != 0)
        return err_wrap(e, "%s.%s", section, key);
    return 0;
}

/* --- the whole --------------------------------------------------------- */

struct config *
config_new(void)
{
    struct config *c = mem_new(1, sizeof *c);
    struct err e;

    for (int i = 0; i < N_OPTIONS; i++)
        if (set_option(c, &options[i], options[i].dflt, &e) != 0)
            abort(); /* a default outside its own bounds: the table is wrong */
    return c;
}

void
config_free(struct config **c)
{
    if (*c == NULL)
        return;
    for (int i = 0; i < (*c)->n_texts; i++)
        mem_free((*c)->texts[i]);
    mem_free(*c);
    *c = NULL;
}

struct reading {
    struct config *c;
    FILE *f;
    int line;
    bool given[N_OPTIONS];
    bool too_long;
    int err_line; /* of the first error; 0: none */
    struct err *e;
};

/* inih asks for lines as fgets() gives them; here they are counted. */
static char *
next_line(char *s, int room, void *arg)
{
    struct reading *r = arg;

    if (fgets(s, room, r->f) == NULL)
        return NULL;
    r->line++;
    if (strchr(s, '\n') == NULL && !feof(r->f) && r->err_line == 0) {
        r->err_line = r->line;
        err_set(r->e, ERR_INVALID, "the line is longer than %d bytes", room);
    }
    return s;
}

static int
one_option(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *r = arg;
    const struct option *o = find_option(section, name);
    int rc;

    if (r->err_line != 0)
        return 0;
    if (o != NULL && r->given[o - options])
        rc = err_set(r->e, ERR_INVALID, "%s.%s is given twice", section, name);
    else
        rc = config_set(r->c, section, name, value, r->e);
    if (rc != 0)
        r->err_line = r->line;
    else
        r->given[o - options] = true;
    return rc == 0;
}

int
config_read(struct config *c, const char *path, struct err *e)
{
    struct reading r = {.c = c, .e = e};
    int bad;

    r.f = fopen(path, "re");
    if (r.f == NULL)
        return err_errno(e, "%s", path);
    bad = ini_parse_stream((ini_reader)next_line, &r, one_option, &r);
    if (ferror(r.f)) {
        err_errno(e, "%s", path);
        fclose(r.f);
        return e->code;
    }
    fclose(r.f);
    if (bad > 0 && (r.err_line == 0 || bad < r.err_line)) {
        r.err_line = bad;
        err_set(e, ERR_INVALID, "neither [section] nor key = value");
    }
    if (r.err_line != 0)
        return err_wrap(e, "%s:%d", path, r.err_line);
    return 0;
}

static bool
differs(const struct option *o, const struct config *a, const struct config *b)
{
    const char *pa = (const char *)a + o->at, *pb = (const char *)b + o->at;

    switch (o->kind) {
    case KIND_text:
    case KIND_choice:
        return strcmp(*(const char *const *)pa, *(const char *const *)pb) != 0;
    case KIND_flag:
        return *(const bool *)pa != *(const bool *)pb;
    case KIND_real:
        return *(const double *)pa != *(const double *)pb;
    default:
        return *(const int64_t *)pa != *(const int64_t *)pb;
    }
}

struct config *
config_reload(const struct config *running, const struct config *fresh,
              void (*say)(void *arg, const char *section, const char *key),
              void *arg)
{
    struct config *c = config_new();

    for (int i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];
        const struct config *from = o->reload ? fresh : running;
        const void *src = (const char *)from + o->at;
        void *at = (char *)c + o->at;

        if (o->kind == KIND_text || o->kind == KIND_choice)
            *(const char **)at = keep_text(c, *(const char *const *)src);
        else if (o->kind == KIND_flag)
            *(bool *)at = *(const bool *)src;
        else
            memcpy(at, src, 8);
        if (!o->reload && differs(o, running, fresh))
            say(arg, o->section, o->name);
    }
    return c;
}

void
config_print(FILE *out)
{
    const char *section = "";

    for (int i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];

        if (strcmp(section, o->section) != 0)
            fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", o->section);
        section = o->section;
        fprintf(out, "; %s\n", o->help);
        fprintf(out, "%s%s =%s%s\n", o->dflt[0] == '\0' ? ";" : "", o->name,
                o->dflt[0] == '\0' ? "" : " ", o->dflt);
    }
}
