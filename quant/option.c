/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/option.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The row of "--name", "--name=..." or "-x"; *value behind the '=' or NULL. */
static const struct option *
find(const struct option *table, const char *word, const char **value)
{
    bool is_long = word[1] == '-';
    const char *eq = is_long ? strchr(word, '=') : NULL;
    size_t n = eq != NULL ? (size_t)(eq - word - 2) : strlen(word + 1) - 1;

    *value = eq != NULL ? eq + 1 : NULL;
    for (const struct option *o = table; o->name != NULL; o++)
        if (is_long ? strlen(o->name) == n && !strncmp(o->name, word + 2, n)
                    : o->letter != 0 && word[1] == o->letter && !word[2])
            return o;
    return NULL;
}

static int
set_number(const struct option *o, const char *value, struct err *e)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(value, &end);
    if (end == value || *end != '\0' || errno != 0 || !isfinite(v) ||
        (o->type == OPTION_INT && v != floor(v)))
        return err_set(e, ERR_INVALID, "--%s: '%s' is no number", o->name,
                       value);
    if (v < o->min || v > o->max)
        return err_set(e, ERR_INVALID, "--%s: %s, want %g to %g", o->name,
                       value, o->min, o->max);
    if (o->type == OPTION_INT)
        *(int *)o->to = (int)v;
    else
        *(double *)o->to = v;
    return 0;
}

static int
set(const struct option *o, const char *value, struct err *e)
{
    switch (o->type) {
    case OPTION_FLAG:
        *(bool *)o->to = true;
        return 0;
    case OPTION_TEXT:
        *(const char **)o->to = value;
        return 0;
    case OPTION_LIST:
        VEC_PUSH(&((struct texts *)o->to)->v, value);
        return 0;
    default:
        return set_number(o, value, e);
    }
}

int
option_parse(const struct option *table, int argc, char **argv,
             struct texts *rest, struct err *e)
{
    bool only_words = false;

    for (int i = 1; i < argc; i++) {
        const struct option *o;
        const char *value;
        int rc;

        if (only_words || argv[i][0] != '-' || argv[i][1] == '\0') {
            VEC_PUSH(&rest->v, argv[i]);
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            only_words = true;
            continue;
        }
        if ((o = find(table, argv[i], &value)) == NULL)
            return err_set(e, ERR_INVALID, "unknown option %s", argv[i]);
        if (o->type == OPTION_FLAG && value != NULL)
            return err_set(e, ERR_INVALID, "--%s takes no value", o->name);
        if (o->type != OPTION_FLAG && value == NULL) {
            if (i + 1 == argc)
                return err_set(e, ERR_INVALID, "--%s wants %s", o->name,
                               o->arg);
            value = argv[++i];
        }
        if ((rc = set(o, value, e)) != 0)
            return rc;
    }
    return 0;
}

void
option_help(const struct option *table)
{
    for (const struct option *o = table; o->name != NULL; o++) {
        char left[64];

        if (o->letter != 0)
            snprintf(left, sizeof left, "-%c, --%s %s", o->letter, o->name,
                     o->arg != NULL ? o->arg : "");
        else
            snprintf(left, sizeof left, "    --%s %s", o->name,
                     o->arg != NULL ? o->arg : "");
        printf("  %-32s %s", left, o->help);
        if (o->type == OPTION_INT)
            printf(" (%d)", *(const int *)o->to);
        else if (o->type == OPTION_REAL && isfinite(*(const double *)o->to))
            printf(" (%g)", *(const double *)o->to);
        else if (o->type == OPTION_TEXT && *(const char **)o->to != NULL)
            printf(" (%s)", *(const char **)o->to);
        putchar('\n');
    }
}
