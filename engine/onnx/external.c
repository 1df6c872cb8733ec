/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/onnx/onnx.h"

struct external_file {
    const char *location;
    struct file_map map;
};

static void
unmap(void *arg)
{
    file_unmap(arg);
}

/* --- opening, without leaving the folder ------------------------------- */

static bool
location_stays_below(const char *s)
{
    if (s[0] == '\0' || s[0] == '/')
        return false;
    for (;;) {
        size_t n = strcspn(s, "/");

        if (n == 2 && memcmp(s, "..", 2) == 0)
            return false;
        if (s[n] == '\0')
            return true;
        s += n + 1;
    }
}

/* One component after the other, none of which may be a symbolic link. */
static int
open_below(int folder, const char *location)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    char part[NAME_MAX + 1];
    int at = folder, next;

    for (;;) {
        size_t n = strcspn(location, "/");
        bool last = location[n] == '\0';

        if (n > NAME_MAX) {
            errno = ENAMETOOLONG;
            next = -1;
        } else {
            memcpy(part, location, n);
            part[n] = '\0';
            next = openat(at, n == 0 ? "." : part,
                          last ? flags : flags | O_DIRECTORY);
        }
        if (at != folder)
            close(at);
        if (next < 0 || last)
            return next;
        at = next;
        location += n + 1;
    }
}

static int
map_fd(int fd, const char *location, struct file_map *out, struct err *e)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0)
        return err_errno(e, "external data \"%s\"", label(location).text);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID,
                       "external data \"%s\": not a regular file",
                       label(location).text);
    *out = (struct file_map){NULL, (size_t)st.st_size};
    if (st.st_size == 0)
        return 0;
    p = mmap(NULL, out->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(e, "external data \"%s\"", label(location).text);
    out->p = p;
    return 0;
}

static int
open_file(struct external *x, const char *location, struct file_map *out,
          struct err *e)
{
    int folder, fd, rc;

    if (!location_stays_below(location))
        return err_set(e, ERR_INVALID,
                       "external data \"%s\": the location must lie below "
                       "the folder of the model",
                       label(location).text);
    folder = open(x->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return err_errno(e, "%s", x->folder);
    fd = open_below(folder, location);
    if (fd < 0 && errno == ELOOP)
        rc = err_set(e, ERR_INVALID,
                     "external data \"%s\": symbolic links are not followed",
                     label(location).text);
    else if (fd < 0 && errno == ENOENT)
        rc = err_set(e, ERR_INVALID,
                     "external data \"%s\": there is no such file beside the "
                     "model",
                     label(location).text);
    else if (fd < 0)
        rc = err_errno(e, "external data \"%s\"", label(location).text);
    else
        rc = map_fd(fd, location, out, e);
    if (fd >= 0)
        close(fd);
    close(folder);
    return rc;
}

static int
find_file(struct external *x, const char *location,
          const struct external_file **out, struct err *e)
{
    struct external_file *f;
    struct file_map map;

    for (size_t i = 0; i < x->files.n; i++)
        if (strcmp(x->files.at[i]->location, location) == 0) {
            *out = x->files.at[i];
            return 0;
        }
    if (open_file(x, location, &map, e) != 0)
        return e->code;
    f = arena_new_in(x->arena, 1, sizeof *f);
    *f = (struct external_file){location, map};
    arena_defer(x->arena, unmap, &f->map);
    VEC_PUSH(&x->files, f);
    *out = f;
    return 0;
}

/* --- which part of it --------------------------------------------------- */

/* A decimal number and nothing else. */
static bool
number(const char *s, size_t *out)
{
    char *end;
    unsigned long long v;

    if (s == NULL || s[0] < '0' || s[0] > '9')
        return false;
    errno = 0;
    v = strtoull(s, &end, 10);
    *out = (size_t)v;
    return errno == 0 && *end == '\0';
}

static const char *
entry(const Onnx__TensorProto *t, const char *key)
{
    for (size_t i = 0; i < t->n_external_data; i++) {
        const Onnx__StringStringEntryProto *p = t->external_data[i];

        if (p->key != NULL && p->value != NULL && strcmp(p->key, key) == 0)
            return p->value;
    }
    return NULL;
}

int
external_map(struct external *x, const Onnx__TensorProto *t, size_t bytes,
             const void **out, struct err *e)
{
    const char *location = entry(t, "location");
    const char *offset = entry(t, "offset"), *length = entry(t, "length");
    const struct external_file *f = NULL;
    size_t from = 0, n = bytes;

    if (location == NULL)
        return err_set(e, ERR_INVALID, "external data without a location");
    if (name_check(location, "location", e) != 0)
        return e->code;
    if (offset != NULL && !number(offset, &from))
        return err_set(e, ERR_INVALID,
                       "external data: offset \"%s\" is no number",
                       label(offset).text);
    if (length != NULL && !number(length, &n))
        return err_set(e, ERR_INVALID,
                       "external data: length \"%s\" is no number",
                       label(length).text);
    if (n != bytes)
        return err_set(e, ERR_INVALID,
                       "external data: length %zu, the shape takes %zu", n,
                       bytes);
    if (x->folder == NULL)
        return err_set(e, ERR_INVALID,
                       "external data \"%s\": there is no folder to find it in",
                       label(location).text);
    if (find_file(x, location, &f, e) != 0)
        return e->code;
    if (from > f->map.bytes || n > f->map.bytes - from)
        return err_set(e, ERR_INVALID,
                       "external data \"%s\": bytes %zu to %zu + %zu, the file "
                       "has %zu",
                       label(location).text, from, from, n, f->map.bytes);
    *out = f->map.p == NULL ? "" : (const char *)f->map.p + from;
    return 0;
}

void
external_free(struct external *x)
{
    mem_free(x->files.at);
    x->files.at = NULL;
    x->files.n = x->files.cap = 0;
}
