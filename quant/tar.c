/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive is a row of blocks of 512 bytes: for each file a header and then
 * its bytes, padded to whole blocks; two blocks of zeros end it.  A name too
 * long for the header comes before it as a "file" of its own: type L (GNU)
 * holds the name, type x (pax) lines of "LENGTH path=NAME\n".
 */
#include "quant/tar.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"

enum { BLOCK = 512, MAX_FILES = 1000000, MAX_NAME = 4096 };

/* Fields of a header: where they begin and how long they are. */
enum {
    NAME = 0,
    NAME_LEN = 100,
    SIZE = 124,
    SIZE_LEN = 12,
    SUM = 148,
    SUM_LEN = 8,
    TYPE = 156,
    MAGIC = 257,
    PREFIX = 345,
    PREFIX_LEN = 155,
};

struct tar {
    struct file_map map;
    VEC(struct tar_file) files; /* by name */
};

/* Octal digits, with blanks around them; false when there are others. */
static bool
octal(const char *p, size_t n, size_t *out)
{
    size_t i = 0, v = 0;

    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v > SIZE_MAX >> 4)
            return false;
        v = v * 8 + (size_t)(p[i] - '0');
    }
    for (; i < n; i++)
        if (p[i] != ' ' && p[i] != '\0')
            return false;
    *out = v;
    return true;
}

/* The checksum counts its own field as blanks. */
static bool
sum_is_right(const char *h)
{
    size_t want, sum = 0;

    for (int i = 0; i < BLOCK; i++)
        sum += i >= SUM && i < SUM + SUM_LEN ? ' ' : (unsigned char)h[i];
    return octal(h + SUM, SUM_LEN, &want) && want == sum;
}

static bool
is_zero(const char *h)
{
    for (int i = 0; i < BLOCK; i++)
        if (h[i] != '\0')
            return false;
    return true;
}

/* The header's own name, with its prefix where there is one. */
static char *
header_name(const char *h)
{
    size_t prefix = memcmp(h + MAGIC, "ustar\0", 6) == 0
                        ? strnlen(h + PREFIX, PREFIX_LEN)
                        : 0;
    int n = (int)strnlen(h + NAME, NAME_LEN);

    if (prefix == 0)
        return mem_printf("%.*s", n, h + NAME);
    return mem_printf("%.*s/%.*s", (int)prefix, h + PREFIX, n, h + NAME);
}

/* The path of a pax header's lines; NULL when none tells it. */
static char *
pax_path(const char *p, size_t n)
{
    static const char key[] = "path=";
    const char *end = p + n;

    while (p < end) {
        size_t len = 0, digits = 0;
        const char *text;

        while (p + digits < end && p[digits] >= '0' && p[digits] <= '9' &&
               len <= n)
            len = len * 10 + (size_t)(p[digits++] - '0');
        if (digits == 0 || len > (size_t)(end - p) || len < digits + 2)
            return NULL;
        text = p + digits + 1;
        if (len > digits + 1 + sizeof key &&
            memcmp(text, key, sizeof key - 1) == 0)
            return mem_printf("%.*s",
                              (int)(len - digits - 2 - (sizeof key - 1)),
                              text + sizeof key - 1);
        p += len;
    }
    return NULL;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct tar_file *)a)->name,
                  ((const struct tar_file *)b)->name);
}

/* Takes name. */
static void
add(struct tar *t, char *name, const char *p, size_t bytes)
{
    size_t skip = 0;

    while (name[skip] == '.' && name[skip + 1] == '/')
        skip += 2;
    memmove(name, name + skip, strlen(name + skip) + 1);
    VEC_PUSH(&t->files, (struct tar_file){name, p, bytes});
}

static int
list(struct tar *t, struct err *e)
{
    const char *base = t->map.p;
    size_t at = 0, left = t->map.bytes, bytes;
    char *name = NULL; /* told ahead of the header */
    int rc = 0;

    while (left >= BLOCK && !is_zero(base + at)) {
        const char *h = base + at, *data = h + BLOCK;
        char type = h[TYPE];

        if (!sum_is_right(h) || !octal(h + SIZE, SIZE_LEN, &bytes)) {
            rc = err_set(e, ERR_INVALID, "no tar header at byte %zu", at);
            break;
        }
        if (bytes > left - BLOCK) {
            rc = err_set(e, ERR_INVALID, "truncated at byte %zu", at);
            break;
        }
        if (t->files.n == MAX_FILES) {
            rc = err_set(e, ERR_TOO_LARGE, "over %d files", MAX_FILES);
            break;
        }
        if (type == 'L' || type == 'x') {
            mem_free(name);
            if (bytes > MAX_NAME)
                name = NULL;
            else
                name = type == 'x' ? pax_path(data, bytes)
                                   : mem_printf("%.*s", (int)bytes, data);
        } else {
            if (type == '0' || type == '\0')
                add(t, name != NULL ? name : header_name(h), data, bytes);
            else
                mem_free(name);
            name = NULL;
        }
        bytes = BLOCK + (bytes + BLOCK - 1) / BLOCK * BLOCK;
        if (bytes > left)
            bytes = left; /* the last block may lack its padding */
        at += bytes;
        left -= bytes;
    }
    mem_free(name);
    return rc;
}

bool
tar_is(const char *path)
{
    struct file_map m;
    struct err e;
    bool is;

    if (file_map(path, &m, &e) != 0)
        return false;
    is = m.bytes >= BLOCK && sum_is_right(m.p);
    file_unmap(&m);
    return is;
}

int
tar_open(const char *path, struct tar **out, struct err *e)
{
    struct tar *t = mem_new(1, sizeof *t);
    int rc = file_map(path, &t->map, e);

    if (rc == 0 && (rc = list(t, e)) != 0)
        err_wrap(e, "%s", path);
    if (rc != 0) {
        tar_free(&t);
        return rc;
    }
    if (t->files.n > 0)
        qsort(t->files.at, t->files.n, sizeof *t->files.at, by_name);
    *out = t;
    return 0;
}

void
tar_free(struct tar **tp)
{
    struct tar *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->files.n; i++)
        mem_free(t->files.at[i].name);
    mem_free(t->files.at);
    file_unmap(&t->map);
    mem_free(t);
}

size_t
tar_n(const struct tar *t)
{
    return t->files.n;
}

const struct tar_file *
tar_at(const struct tar *t, size_t i)
{
    return &t->files.at[i];
}

const struct tar_file *
tar_find(const struct tar *t, const char *name)
{
    const struct tar_file key = {.name = (char *)name};

    return t->files.n == 0
               ? NULL
               : bsearch(&key, t->files.at, t->files.n, sizeof key, by_name);
}
