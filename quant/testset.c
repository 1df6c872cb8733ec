/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/testset.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "engine/engine.h"
#include "quant/tar.h"

enum { MAX_TENSORS = 256 };

struct set {
    char *dir;
    long number;
    int n_in, n_out;
};

struct testset {
    struct tar *tar; /* or NULL: a folder */
    char *path;
    VEC(struct set) sets;
};

static char *
tensor_path(const struct set *s, const char *kind, int i)
{
    return mem_printf("%s%s%s_%d.pb", s->dir, *s->dir != '\0' ? "/" : "", kind,
                      i);
}

/* How many KIND_0.pb, KIND_1.pb ... there are. */
static int
count(const struct testset *t, const struct set *s, const char *kind)
{
    for (int n = 0;; n++) {
        char *path = tensor_path(s, kind, n);
        bool there = t->tar != NULL ? tar_find(t->tar, path) != NULL
                                    : access(path, F_OK) == 0;

        mem_free(path);
        if (!there || n == MAX_TENSORS)
            return n;
    }
}

/* Adds a set when the folder holds one.  Takes dir. */
static void
add_set(struct testset *t, char *dir, long number)
{
    struct set s = {.dir = dir, .number = number};

    s.n_in = count(t, &s, "input");
    s.n_out = count(t, &s, "output");
    if (s.n_in + s.n_out == 0)
        mem_free(dir);
    else
        VEC_PUSH(&t->sets, s);
}

/* The number of "test_data_set_N", or -1. */
static long
number_of(const char *folder)
{
    static const char prefix[] = "test_data_set_";
    const char *digits = folder + sizeof prefix - 1;
    char *end;
    long n;

    if (strncmp(folder, prefix, sizeof prefix - 1) != 0)
        return -1;
    n = strtol(digits, &end, 10);
    return end != digits && *end == '\0' && n >= 0 ? n : -1;
}

static int
list_folder(struct testset *t, struct err *e)
{
    DIR *dp = opendir(t->path);
    struct dirent *d;

    if (dp == NULL)
        return err_errno(e, "%s", t->path);
    while ((d = readdir(dp)) != NULL) {
        long number = number_of(d->d_name);

        if (number >= 0)
            add_set(t, mem_printf("%s/%s", t->path, d->d_name), number);
    }
    closedir(dp);
    if (t->sets.n == 0)
        add_set(t, mem_strdup(t->path), 0);
    return 0;
}

/* Folders are known by their first input: what has none is no set. */
static int
list_archive(struct testset *t, struct err *e)
{
    static const char first[] = "input_0.pb";
    int rc = tar_open(t->path, &t->tar, e);

    for (size_t i = 0; rc == 0 && i < tar_n(t->tar); i++) {
        const char *name = tar_at(t->tar, i)->name;
        const char *slash = strrchr(name, '/'), *folder;
        char *dir;
        long number;

        if (strcmp(slash != NULL ? slash + 1 : name, first) != 0)
            continue;
        dir = mem_printf("%.*s", slash != NULL ? (int)(slash - name) : 0, name);
        folder = strrchr(dir, '/');
        number = number_of(folder != NULL ? folder + 1 : dir);
        add_set(t, dir, number >= 0 ? number : 0);
    }
    return rc;
}

static int
by_number(const void *a, const void *b)
{
    long x = ((const struct set *)a)->number;
    long y = ((const struct set *)b)->number;

    return (x > y) - (x < y);
}

int
testset_open(const char *path, struct testset **out, struct err *e)
{
    struct testset *t = mem_new(1, sizeof *t);
    struct stat st;
    int rc;

    t->path = mem_strdup(path);
    if (stat(path, &st) != 0)
        rc = err_errno(e, "%s", path);
    else
        rc = S_ISDIR(st.st_mode) ? list_folder(t, e) : list_archive(t, e);
    if (rc == 0 && t->sets.n == 0)
        rc = err_set(e, ERR_NOT_FOUND,
                     "%s: neither input_0.pb nor test_data_set_0/input_0.pb",
                     path);
    if (rc != 0) {
        testset_free(&t);
        return rc;
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
    tar_free(&t->tar);
    mem_free(t->path);
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
load(const struct testset *t, const struct set *s, const char *kind, int i,
     struct tensor *out, struct err *e)
{
    char *path = tensor_path(s, kind, i);
    const struct tar_file *f;
    int rc;

    if (t->tar == NULL)
        rc = tensor_load(path, out, e);
    else if ((f = tar_find(t->tar, path)) == NULL)
        rc = err_set(e, ERR_NOT_FOUND, "%s: no %s in it", t->path, path);
    else
        rc = tensor_parse(f->p, f->bytes, out, e);
    if (rc != 0 && strstr(e->msg, path) == NULL)
        err_wrap(e, "%s", path);
    mem_free(path);
    return rc;
}

int
testset_in(const struct testset *t, int set, int i, struct tensor *out,
           struct err *e)
{
    return load(t, &t->sets.at[set], "input", i, out, e);
}

int
testset_out(const struct testset *t, int set, int i, struct tensor *out,
            struct err *e)
{
    return load(t, &t->sets.at[set], "output", i, out, e);
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
    struct digest *d;
    int rc = 0;

    if (t->tar != NULL)
        return digest_file(t->path, hex, e);
    d = digest_new();
    for (size_t i = 0; i < t->sets.n && rc == 0; i++) {
        const struct set *s = &t->sets.at[i];

        rc = digest_kind(d, s, "input", s->n_in, e);
        if (rc == 0)
            rc = digest_kind(d, s, "output", s->n_out, e);
    }
    digest_end(&d, hex);
    return rc;
}
