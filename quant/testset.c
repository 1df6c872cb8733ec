/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/testset.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "engine/engine.h"

enum { MAX_TENSORS = 256 };

struct set {
    char *dir;
    long number;
    int n_in, n_out;
};

struct testset {
    VEC(struct set) sets;
};

static char *
tensor_path(const struct set *s, const char *kind, int i)
{
    return mem_printf("%s/%s_%d.pb", s->dir, kind, i);
}

/* How many KIND_0.pb, KIND_1.pb ... there are. */
static int
count(const struct set *s, const char *kind)
{
    for (int n = 0;; n++) {
        char *path = tensor_path(s, kind, n);
        bool there = access(path, F_OK) == 0;

        mem_free(path);
        if (!there || n == MAX_TENSORS)
            return n;
    }
}

static void
add_set(struct testset *t, char *dir, long number)
{
    struct set s = {.dir = dir, .number = number};

    s.n_in = count(&s, "input");
    s.n_out = count(&s, "output");
    if (s.n_in + s.n_out == 0)
        mem_free(dir);
    else
        VEC_PUSH(&t->sets, s);
}

static int
by_number(const void *a, const void *b)
{
    long x = ((const struct set *)a)->number;
    long y = ((const struct set *)b)->number;

    return (x > y) - (x < y);
}

int
testset_open(const char *dir, struct testset **out, struct err *e)
{
    static const char prefix[] = "test_data_set_";
    struct testset *t;
    struct dirent *d;
    DIR *dp = opendir(dir);

    if (dp == NULL)
        return err_errno(e, "%s", dir);
    t = mem_new(1, sizeof *t);
    while ((d = readdir(dp)) != NULL) {
        const char *digits = d->d_name + sizeof prefix - 1;
        char *end;
        long number;

        if (strncmp(d->d_name, prefix, sizeof prefix - 1) != 0)
            continue;
        number = strtol(digits, &end, 10);
        if (end != digits && *end == '\0')
            add_set(t, mem_printf("%s/%s", dir, d->d_name), number);
    }
    closedir(dp);
    if (t->sets.n == 0)
        add_set(t, mem_strdup(dir), 0);
    if (t->sets.n == 0) {
        testset_free(&t);
        return err_set(e, ERR_NOT_FOUND,
                       "%s: neither input_0.pb nor test_data_set_0/input_0.pb",
                       dir);
    }
    qsort(t->sets.at, t->sets.n, sizeof *t->sets.at, by_number);
    *out = t;
    return 0;
}

void
testset_free(struct testset **tp)
{
    struct testset *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->sets.n; i++)
        mem_free(t->sets.at[i].dir);
    mem_free(t->sets.at);
    mem_free(t);
}

int
testset_n(const struct testset *t)
{
    return (int)t->sets.n;
}

const char *
testset_name(const struct testset *t, int set)
{
    return t->sets.at[set].dir;
}

int
testset_n_in(const struct testset *t, int set)
{
    return t->sets.at[set].n_in;
}

int
testset_n_out(const struct testset *t, int set)
{
    return t->sets.at[set].n_out;
}

static int
load(const struct set *s, const char *kind, int i, struct tensor *out,
     struct err *e)
{
    char *path = tensor_path(s, kind, i);
    int rc = tensor_load(path, out, e);

    mem_free(path);
    return rc;
}

int
testset_in(const struct testset *t, int set, int i, struct tensor *out,
           struct err *e)
{
    return load(&t->sets.at[set], "input", i, out, e);
}

int
testset_out(const struct testset *t, int set, int i, struct tensor *out,
            struct err *e)
{
    return load(&t->sets.at[set], "output", i, out, e);
}

static int
digest_kind(struct digest *d, const struct set *s, const char *kind, int n,
            struct err *e)
{
    for (int i = 0; i < n; i++) {
        char *path = tensor_path(s, kind, i);
        struct file_map m;
        int rc = file_map(path, &m, e);

        mem_free(path);
        if (rc != 0)
            return rc;
        digest_add(d, m.p, m.bytes);
        file_unmap(&m);
    }
    return 0;
}

int
testset_digest(const struct testset *t, char hex[DIGEST_HEX + 1], struct err *e)
{
    struct digest *d = digest_new();
    int rc = 0;

    for (size_t i = 0; i < t->sets.n && rc == 0; i++) {
        const struct set *s = &t->sets.at[i];

        rc = digest_kind(d, s, "input", s->n_in, e);
        if (rc == 0)
            rc = digest_kind(d, s, "output", s->n_out, e);
    }
    digest_end(&d, hex);
    return rc;
}
