/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's config.pbtxt: any text is read or refused with its line.
 */
#include <assert.h>
#include <string.h>

#include "server/pbtxt.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_corpus = "pbtxt";

static size_t
walk(const struct pbtxt *p)
{
    size_t n = 1 + strlen(p->name != NULL ? p->name : "");

    if (p->value != NULL)
        n += strlen(p->value);
    for (size_t i = 0; i < p->n_fields; i++)
        n += walk(&p->fields[i]);
    return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct pbtxt *tree = NULL;
    struct err e = {0};
    long v;

    if (pbtxt_parse((const char *)p, n, &tree, &e) != 0) {
        assert(strncmp(e.msg, "line ", 5) == 0);
        assert(tree == NULL);
        return 0;
    }
    walk(tree);
    for (size_t i = 0; i < tree->n_fields; i++)
        if (tree->fields[i].value != NULL)
            (void)pbtxt_int(&tree->fields[i], 0, 100, &v, &e);
    pbtxt_free(&tree);
    return 0;
}
