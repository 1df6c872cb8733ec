/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options from a table: parsing, limits and --help come from the
 * same row.
 */
#ifndef QUANT_OPTION_H
#define QUANT_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/vec.h"

enum option_type {
    OPTION_FLAG, /* bool *: no argument */
    OPTION_TEXT, /* const char ** */
    OPTION_LIST, /* struct texts *: may be given more than once */
    OPTION_INT,  /* int * */
    OPTION_REAL, /* double * */
};

struct texts {
    VEC(const char *) v;
};

struct option {
    const char *name; /* without the dashes */
    char letter;      /* or 0 */
    enum option_type type;
    const char *arg; /* what --help calls the argument */
    const char *help;
    void *to;        /* holds the default, which --help shows */
    double min, max; /* of INT and REAL */
};

/*
 * Parses argv[1..argc); what is no option goes into rest, in order.  Options
 * may stand anywhere; "--" ends them; "--name=value" is "--name value".
 *
 * table: ended by a row whose name is NULL.
 * Fails: ERR_INVALID, with the option named.
 */
int option_parse(const struct option *table, int argc, char **argv,
                 struct texts *rest, struct err *e);

/* One line an option, on stdout. */
void option_help(const struct option *table);

#endif
