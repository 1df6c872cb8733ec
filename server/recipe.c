/* SPDX-License-Identifier: Apache-2.0 */
#include "server/recipe.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/route.h"

enum kind { CHOICE, NUMBER, WHOLE, SWITCH, TEXT };

static const struct option {
    const char *name;
    enum kind kind;
    const char *words;
    double min, max;
} options[] = {
#define RECIPE(name, kind, words, min, max) {#name, kind, words, min, max},
#include "server/recipe_tbl.h"
#undef RECIPE
};

enum { N_OPTIONS = sizeof options / sizeof options[0], VALUE_MAX = 4096 };

struct recipe {
    char *value[N_OPTIONS];
};

struct recipe *
recipe_new(void)
{
    return mem_new(1, sizeof(struct recipe));
}

void
recipe_free(struct recipe **r)
{
    for (size_t i = 0; *r != NULL && i < N_OPTIONS; i++)
        mem_free((*r)->value[i]);
    mem_free(*r);
    *r = NULL;
}

static size_t
find(const char *name)
{
    size_t i = 0;

    while (i < N_OPTIONS && strcmp(options[i].name, name) != 0)
        i++;
    return i;
}

bool
recipe_knows(const char *name)
{
    return find(name) < N_OPTIONS;
}

static bool
is_word(const char *words, const char *value)
{
    size_t n = strlen(value);

    for (const char *w = words; *w != '\0'; w += strcspn(w, " ")) {
        w += strspn(w, " ");
        if (strncmp(w, value, n) == 0 && (w[n] == ' ' || w[n] == '\0') && n > 0)
            return true;
    }
    return false;
}

static bool
is_number(const struct option *o, const char *value)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(value, &end);
    return end != value && *end == '\0' && errno == 0 && isfinite(v) &&
           v >= o->min && v <= o->max && (o->kind == NUMBER || v == floor(v));
}

static int
check_value(const struct option *o, const char *value, struct err *e)
{
    switch (o->kind) {
    case CHOICE:
        if (!is_word(o->words, value))
            return err_set(e, ERR_INVALID, "%s: '%.80s' is none of: %s",
                           o->name, value, o->words);
        return 0;
    case NUMBER:
    case WHOLE:
        if (!is_number(o, value))
            return err_set(e, ERR_INVALID,
                           "%s: '%.80s' is no %snumber from %g to %g", o->name,
                           value, o->kind == WHOLE ? "whole " : "", o->min,
                           o->max);
        return 0;
    case SWITCH:
        if (!is_word("on off", value))
            return err_set(e, ERR_INVALID, "%s: '%.80s': on or off wanted",
                           o->name, value);
        return 0;
    case TEXT:
        if (value[0] == '\0' || strlen(value) > VALUE_MAX)
            return err_set(e, ERR_INVALID, "%s: 1 to %d bytes wanted", o->name,
                           VALUE_MAX);
        for (const char *c = value; *c != '\0'; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7f)
                return err_set(e, ERR_INVALID,
                               "%s: control characters are not allowed",
                               o->name);
        break;
    }
    return 0;
}

int
recipe_set(struct recipe *r, const char *name, const char *value, struct err *e)
{
    size_t i = find(name);

    if (i == N_OPTIONS)
        return err_set(e, ERR_INVALID, "unknown option '%.80s'", name);
    if (check_value(&options[i], value, e) != 0)
        return e->code;
    if (strcmp(name, "variant") == 0 && !route_name_ok(value))
        return err_set(e, ERR_INVALID, "variant: '%.80s' is no variant's name",
                       value);
    mem_free(r->value[i]);
    r->value[i] = mem_strdup(value);
    return 0;
}

const char *
recipe_get(const struct recipe *r, const char *name)
{
    size_t i = find(name);

    return i < N_OPTIONS ? r->value[i] : NULL;
}

void
recipe_each(const struct recipe *r,
            void (*each)(void *arg, const char *name, const char *value),
            void *arg)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (r->value[i] != NULL)
            each(arg, options[i].name, r->value[i]);
}

int
recipe_check(const struct recipe *r, bool has_calibration, struct err *e)
{
    static const char calibrated[] = "static mixed int4-gptq int4-awq";
    const char *recipe = recipe_get(r, "recipe");

    if (recipe != NULL && is_word(calibrated, recipe) && !has_calibration)
        return err_set(e, ERR_INVALID,
                       "recipe=%s needs calibration data: send a part "
                       "\"calibration\" with a .npz file",
                       recipe);
    return 0;
}
