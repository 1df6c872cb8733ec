/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header is a Python dictionary literal:
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 224), }
 *
 * padded with blanks and ended by a newline.  Only these three keys are
 * allowed, each once, in any order; that is all that numpy ever writes.
 */
#include "quant/npy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC = 6, PREFIX_V1 = 10, PREFIX_V2 = 12, HEADER_ALIGN = 64 };

/* What numpy calls our types, behind the byte order. */
static const struct {
    const char *name;
    enum dtype dtype;
} names[] = {
    {"f4", DTYPE_FLOAT},  {"f8", DTYPE_DOUBLE}, {"f2", DTYPE_FLOAT16},
    {"u1", DTYPE_UINT8},  {"i1", DTYPE_INT8},   {"u2", DTYPE_UINT16},
    {"i2", DTYPE_INT16},  {"i4", DTYPE_INT32},  {"i8", DTYPE_INT64},
    {"u4", DTYPE_UINT32}, {"u8", DTYPE_UINT64}, {"b1", DTYPE_BOOL},
};

struct text {
    const char *at, *end;
};

static void
skip_blanks(struct text *t)
{
    while (t->at < t->end && isspace((unsigned char)*t->at))
        t->at++;
}

/* Takes c, with blanks before it. */
static bool
take(struct text *t, char c)
{
    skip_blanks(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool
take_word(struct text *t, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0)
        return false;
    t->at += n;
    return true;
}

/* A quoted string without escapes, at most size - 1 long. */
static bool
take_string(struct text *t, char *out, size_t size)
{
    const char *from;
    char quote;
    size_t n;

    skip_blanks(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return false;
    quote = *t->at++;
    from = t->at;
    while (t->at < t->end && *t->at != quote && *t->at != '\\')
        t->at++;
    n = (size_t)(t->at - from);
    if (t->at == t->end || *t->at != quote || n >= size)
        return false;
    t->at++;
    memcpy(out, from, n);
    out[n] = '\0';
    return true;
}

static bool
take_dimension(struct text *t, int64_t *out)
{
    int64_t v = 0;

    skip_blanks(t);
    if (t->at == t->end || !isdigit((unsigned char)*t->at))
        return false;
    for (; t->at < t->end && isdigit((unsigned char)*t->at); t->at++) {
        if (v > (INT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (*t->at - '0');
    }
    if (t->at < t->end && *t->at == 'L') /* Python 2 wrote longs so */
        t->at++;
    *out = v;
    return true;
}

static int
parse_shape(struct text *t, struct shape *s, struct err *e)
{
    int rank = 0;

    if (!take(t, '('))
        return err_set(e, ERR_INVALID, "npy: shape is no tuple");
    while (!take(t, ')')) {
        if (rank == SHAPE_MAX_RANK)
            return err_set(e, ERR_UNSUPPORTED, "npy: more than %d dimensions",
                           SHAPE_MAX_RANK);
        if (!take_dimension(t, &s->dim[rank]))
            return err_set(e, ERR_INVALID, "npy: bad dimension %d", rank);
        rank++;
        if (!take(t, ',')) {
            if (!take(t, ')'))
                return err_set(e, ERR_INVALID, "npy: shape has no end");
            break;
        }
    }
    s->rank = rank;
    return 0;
}

static int
parse_descr(struct text *t, enum dtype *out, struct err *e)
{
    char descr[16];

    if (!take_string(t, descr, sizeof descr))
        return err_set(e, ERR_UNSUPPORTED,
                       "npy: elements are no plain numbers");
    if (descr[0] == '>' && strcmp(descr + 1, "u1") != 0 &&
        strcmp(descr + 1, "i1") != 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "npy: big-endian elements (%s): save as '<%s'", descr,
                       descr + 1);
    if (descr[0] != '\0' && strchr("<>|=", descr[0]) != NULL)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strcmp(descr + 1, names[i].name) == 0) {
                *out = names[i].dtype;
                return 0;
            }
    return err_set(e, ERR_UNSUPPORTED, "npy: element type '%s'", descr);
}

static int
parse_dict(struct text t, struct npy *out, bool *fortran, struct err *e)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0, key, rc = 0;
    char name[16];

    if (!take(&t, '{'))
        return err_set(e, ERR_INVALID, "npy: header is no dictionary");
    while (!take(&t, '}')) {
        if (!take_string(&t, name, sizeof name) || !take(&t, ':'))
            return err_set(e, ERR_INVALID, "npy: malformed header");
        if (strcmp(name, "descr") == 0) {
            key = DESCR;
            rc = parse_descr(&t, &out->dtype, e);
        } else if (strcmp(name, "shape") == 0) {
            key = SHAPE;
            rc = parse_shape(&t, &out->shape, e);
        } else if (strcmp(name, "fortran_order") == 0) {
            key = ORDER;
            *fortran = take_word(&t, "True");
            if (!*fortran && !take_word(&t, "False"))
                rc = err_set(e, ERR_INVALID, "npy: fortran_order is no bool");
        } else
            return err_set(e, ERR_INVALID, "npy: unknown key in header");
        if (rc != 0)
            return rc;
        if (seen & key)
            return err_set(e, ERR_INVALID, "npy: key %s twice", name);
        seen |= key;
        if (!take(&t, ',')) {
            if (!take(&t, '}'))
                return err_set(e, ERR_INVALID, "npy: header has no end");
            break;
        }
    }
    skip_blanks(&t);
    if (t.at != t.end)
        return err_set(e, ERR_INVALID, "npy: text behind the header");
    if (seen != (DESCR | ORDER | SHAPE))
        return err_set(e, ERR_INVALID, "npy: header lacks %s",
                       !(seen & DESCR)   ? "descr"
                       : !(seen & SHAPE) ? "shape"
                                         : "fortran_order");
    return 0;
}

int
npy_header(const void *p, size_t n, size_t *bytes, struct err *e)
{
    const unsigned char *b = p;
    size_t prefix, len;

    if (n < PREFIX_V1 || memcmp(b, magic, MAGIC) != 0)
        return err_set(e, ERR_INVALID, "not an .npy array");
    if (b[6] < 1 || b[6] > 3)
        return err_set(e, ERR_UNSUPPORTED, "npy: format version %d.%d", b[6],
                       b[7]);
    prefix = b[6] == 1 ? PREFIX_V1 : PREFIX_V2;
    if (n < prefix)
        return err_set(e, ERR_INVALID, "npy: truncated");
    len = b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        len |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (len > NPY_HEADER_MAX - prefix)
        return err_set(e, ERR_INVALID, "npy: header of %zu bytes", len);
    *bytes = prefix + len;
    return 0;
}

int
npy_parse(const void *p, size_t n, struct npy *out, struct err *e)
{
    struct npy a = {0};
    struct text t;
    bool fortran = false;
    size_t count;
    int rc = npy_header(p, n, &a.header_bytes, e);

    if (rc != 0)
        return rc;
    if (n < a.header_bytes)
        return err_set(e, ERR_INVALID, "npy: truncated header");
    t.at =
        (const char *)p + (((const char *)p)[6] == 1 ? PREFIX_V1 : PREFIX_V2);
    t.end = (const char *)p + a.header_bytes;
    if ((rc = parse_dict(t, &a, &fortran, e)) != 0)
        return rc;
    if (fortran && a.shape.rank > 1)
        return err_set(e, ERR_UNSUPPORTED,
                       "npy: Fortran order; save "
                       "numpy.ascontiguousarray() of it");
    if ((rc = shape_count(&a.shape, &count, e)) != 0)
        return err_wrap(e, "npy");
    a.data_bytes = count * dtype_size(a.dtype);
    *out = a;
    return 0;
}

int
npy_load(const char *path, struct tensor *out, struct err *e)
{
    struct file_map m;
    struct npy a;
    void *data;
    int rc = file_map(path, &m, e);

    if (rc != 0)
        return rc;
    if ((rc = npy_parse(m.p, m.bytes, &a, e)) != 0) {
        err_wrap(e, "%s", path);
        goto out;
    }
    if (m.bytes - a.header_bytes != a.data_bytes) {
        rc = err_set(e, ERR_INVALID,
                     "%s: npy: %zu bytes behind the header, shape needs %zu",
                     path, m.bytes - a.header_bytes, a.data_bytes);
        goto out;
    }
    if ((data = mem_try_aligned(a.data_bytes)) == NULL) {
        rc = err_set(e, ERR_NO_MEMORY, "%s: %zu bytes", path, a.data_bytes);
        goto out;
    }
    if (a.data_bytes > 0)
        memcpy(data, (const char *)m.p + a.header_bytes, a.data_bytes);
    *out = (struct tensor){a.dtype, a.shape, data};
out:
    file_unmap(&m);
    return rc;
}

static const char *
numpy_name(enum dtype t)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].dtype == t)
            return names[i].name;
    return NULL;
}

/* Prefix and dictionary into text; returns their length. */
static size_t
write_header(char text[512], const char *type, size_t width,
             const struct shape *s)
{
    size_t n = PREFIX_V1, padded;

    n += (size_t)snprintf(text + n, 512 - n,
                          "{'descr': '%c%s', 'fortran_order': False, "
                          "'shape': (",
                          width == 1 ? '|' : '<', type);
    for (int i = 0; i < s->rank; i++)
        n += (size_t)snprintf(text + n, 512 - n, "%s%lld", i > 0 ? ", " : "",
                              (long long)s->dim[i]);
    n += (size_t)snprintf(text + n, 512 - n, "%s), }", s->rank == 1 ? "," : "");
    padded = (n + HEADER_ALIGN) / HEADER_ALIGN * HEADER_ALIGN;
    memset(text + n, ' ', padded - n);
    text[padded - 1] = '\n';
    memcpy(text, magic, MAGIC);
    text[6] = 1;
    text[7] = 0;
    text[8] = (char)((padded - PREFIX_V1) & 0xff);
    text[9] = (char)((padded - PREFIX_V1) >> 8);
    return padded;
}

int
npy_save(const char *path, const struct tensor *t, struct err *e)
{
    size_t width = dtype_size(t->dtype), bytes = shape_n(&t->shape) * width;
    const char *type = numpy_name(t->dtype);
    char header[512];
    size_t head;
    char *all;
    int rc;

    if (type == NULL)
        return err_set(e, ERR_UNSUPPORTED, "%s: numpy has no type %s", path,
                       dtype_name(t->dtype));
    head = write_header(header, type, width, &t->shape);
    if ((all = mem_try(1, head + bytes)) == NULL)
        return err_set(e, ERR_NO_MEMORY, "%s: %zu bytes", path, bytes);
    memcpy(all, header, head);
    if (bytes > 0)
        memcpy(all + head, t->data, bytes);
    rc = file_write(path, all, head + bytes, e);
    mem_free(all);
    return rc;
}
