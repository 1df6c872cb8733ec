/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads "IN<tab>OUT" lines and copies each model through the graph; answers
 * each with a line "CODE<tab>MESSAGE", 0 and nothing when it went well.
 */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"

static int
copy(const char *in, const char *out, struct err *e)
{
    struct graph *g;

    if (graph_load(in, &g, e) != 0)
        return e->code;
    e->code = (enum err_code)graph_save(g, out, e);
    graph_free(&g);
    return e->code;
}

int
main(void)
{
    char line[4096];

    while (fgets(line, sizeof line, stdin) != NULL) {
        struct err e = {0};
        char *tab = strchr(line, '\t');

        if (tab == NULL)
            return 2;
        *tab = '\0';
        tab[1 + strcspn(tab + 1, "\n")] = '\0';
        printf("%d\t%s\n", copy(line, tab + 1, &e), e.msg);
    }
    return 0;
}
