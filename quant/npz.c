/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/npz.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#include "base/mem.h"

enum { MAX_ARRAYS = 1000, MAX_NAME = 256 };

/* Deflate packs zeros a thousandfold: a small file can be a long day. */
static const size_t max_unpacked = (size_t)64 << 30;

struct entry {
    struct npz_array array;
    char name[MAX_NAME];
    zip_file_t *file; /* stands behind the header, or further */
    size_t left;      /* elements' bytes not yet read */
};

struct npz {
    zip_t *zip;
    int n;
    struct entry entries[];
};

static const char *
zip_text(struct npz *z, const struct entry *a)
{
    return a->file != NULL ? zip_file_strerror(a->file) : zip_strerror(z->zip);
}

/* The entry's name without .npy; what a terminal should not see is '?'. */
static int
take_name(struct entry *a, const char *name, struct err *e)
{
    size_t n = name == NULL ? 0 : strlen(name);

    if (n < 5 || strcmp(name + n - 4, ".npy") != 0)
        return err_set(e, ERR_INVALID, "entry '%.64s' is no .npy array",
                       name == NULL ? "" : name);
    n -= 4;
    if (n >= MAX_NAME)
        return err_set(e, ERR_INVALID, "an array's name has %zu bytes", n);
    for (size_t i = 0; i < n; i++)
        a->name[i] = iscntrl((unsigned char)name[i]) ? '?' : name[i];
    a->array.name = a->name;
    return 0;
}

static int
check_entry(struct npz *z, int i, zip_stat_t *st, struct err *e)
{
    if (zip_stat_index(z->zip, (zip_uint64_t)i, 0, st) != 0)
        return err_set(e, ERR_INVALID, "entry %d: %s", i, zip_strerror(z->zip));
    if ((st->valid & (ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD)) !=
        (ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD))
        return err_set(e, ERR_INVALID, "entry %d: size not said", i);
    if ((st->valid & ZIP_STAT_ENCRYPTION_METHOD) &&
        st->encryption_method != ZIP_EM_NONE)
        return err_set(e, ERR_UNSUPPORTED, "entry %d is encrypted", i);
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE)
        return err_set(e, ERR_UNSUPPORTED, "entry %d: compression method %d", i,
                       st->comp_method);
    return 0;
}

static int
read_exactly(struct npz *z, struct entry *a, void *dst, size_t bytes,
             struct err *e)
{
    char *p = dst;

    while (bytes > 0) {
        zip_int64_t n = zip_fread(a->file, p, bytes);

        if (n < 0)
            return err_set(e, ERR_INVALID, "array '%s': %s", a->name,
                           zip_text(z, a));
        if (n == 0)
            return err_set(e, ERR_INVALID, "array '%s' is truncated", a->name);
        p += n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* Opens entry i anew and reads its header. */
static int
start(struct npz *z, int i, struct err *e)
{
    struct entry *a = &z->entries[i];
    size_t head;
    char *p;
    int rc;

    if (a->file != NULL)
        zip_fclose(a->file);
    a->file = zip_fopen_index(z->zip, (zip_uint64_t)i, 0);
    if (a->file == NULL)
        return err_set(e, ERR_INVALID, "array '%s': %s", a->name,
                       zip_text(z, a));
    p = mem_new(1, NPY_HEADER_MAX);
    if ((rc = read_exactly(z, a, p, NPY_PREFIX, e)) == 0 &&
        (rc = npy_header(p, NPY_PREFIX, &head, e)) == 0 &&
        (rc = head < NPY_PREFIX
                  ? err_set(e, ERR_INVALID, "npy: header of %zu bytes", head)
                  : 0) == 0 &&
        (rc = read_exactly(z, a, p + NPY_PREFIX, head - NPY_PREFIX, e)) == 0 &&
        (rc = npy_parse(p, head, &a->array.npy, e)) != 0)
        err_wrap(e, "array '%s'", a->name);
    mem_free(p);
    a->left = a->array.npy.data_bytes;
    return rc;
}

static int
read_entries(struct npz *z, struct err *e)
{
    size_t total = 0;

    for (int i = 0; i < z->n; i++) {
        struct entry *a = &z->entries[i];
        const struct npy *npy = &a->array.npy;
        zip_stat_t st;
        int rc;

        if ((rc = check_entry(z, i, &st, e)) != 0 ||
            (rc = take_name(a, st.name, e)) != 0)
            return rc;
        for (int k = 0; k < i; k++)
            if (strcmp(z->entries[k].name, a->name) == 0)
                return err_set(e, ERR_INVALID, "array '%s' is there twice",
                               a->name);
        if (st.size > max_unpacked - total)
            return err_set(e, ERR_TOO_LARGE, "over %zu GB unpacked",
                           max_unpacked >> 30);
        total += st.size;
        if ((rc = start(z, i, e)) != 0)
            return rc;
        if (st.size != npy->header_bytes + npy->data_bytes)
            return err_set(e, ERR_INVALID,
                           "array '%s' has %zu bytes of elements, its shape "
                           "needs %zu",
                           a->name, (size_t)st.size - npy->header_bytes,
                           npy->data_bytes);
    }
    return 0;
}

static int
open_zip(const char *path, zip_t **out, struct err *e)
{
    zip_error_t why;
    struct stat st;
    int code;

    /* libzip would open a folder or a pipe and fail less clearly. */
    if (stat(path, &st) != 0)
        return err_errno(e, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "%s: not a regular file", path);
    *out = zip_open(path, ZIP_RDONLY, &code);
    if (*out != NULL)
        return 0;
    zip_error_init_with_code(&why, code);
    err_set(
        e, code == ZIP_ER_OPEN || code == ZIP_ER_READ ? ERR_IO : ERR_INVALID,
        "%s: no .npz file, or truncated: %s", path, zip_error_strerror(&why));
    zip_error_fini(&why);
    return e->code;
}

int
npz_open(const char *path, struct npz **out, struct err *e)
{
    zip_int64_t n;
    struct npz *z;
    zip_t *zip;
    int rc = open_zip(path, &zip, e);

    if (rc != 0)
        return rc;
    n = zip_get_num_entries(zip, 0);
    if (n < 0 || n > MAX_ARRAYS) {
        zip_discard(zip);
        return err_set(e, ERR_TOO_LARGE, "%s: %lld arrays, at most %d", path,
                       (long long)n, MAX_ARRAYS);
    }
    z = mem_new(1, sizeof *z + (size_t)n * sizeof z->entries[0]);
    z->zip = zip;
    z->n = (int)n;
    if ((rc = read_entries(z, e)) != 0) {
        npz_free(&z);
        return err_wrap(e, "%s", path);
    }
    *out = z;
    return 0;
}

void
npz_free(struct npz **zp)
{
    struct npz *z = *zp;

    *zp = NULL;
    if (z == NULL)
        return;
    for (int i = 0; i < z->n; i++)
        if (z->entries[i].file != NULL)
            zip_fclose(z->entries[i].file);
    zip_discard(z->zip);
    mem_free(z);
}

int
npz_n(const struct npz *z)
{
    return z->n;
}

const struct npz_array *
npz_array(const struct npz *z, int i)
{
    return &z->entries[i].array;
}

int
npz_read(struct npz *z, int i, void *dst, size_t bytes, struct err *e)
{
    struct entry *a = &z->entries[i];
    char end;
    int rc;

    if (bytes > a->left)
        return err_set(e, ERR_INTERNAL, "array '%s': read past its end",
                       a->name);
    if ((rc = read_exactly(z, a, dst, bytes, e)) != 0)
        return rc;
    a->left -= bytes;
    /* libzip compares the checksum when it is asked for what lies behind. */
    if (a->left == 0 && bytes > 0 && zip_fread(a->file, &end, 1) != 0)
        return err_set(e, ERR_INVALID, "array '%s': %s", a->name,
                       zip_text(z, a));
    return 0;
}

int
npz_rewind(struct npz *z, struct err *e)
{
    for (int i = 0; i < z->n; i++) {
        int rc = start(z, i, e);

        if (rc != 0)
            return rc;
    }
    return 0;
}
