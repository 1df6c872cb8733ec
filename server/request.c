/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request says in its first line, taken apart: path segments and query
 * pairs, percent-decoded once each, so that nothing decoded is split again.
 */
#include "server/request.h"

#include <string.h>

#include "base/mem.h"

static int
hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/*
 * Decodes s in place.
 * plus:    '+' is a space (queries).
 * Returns: false for a '%' without two hexadecimal digits, and for what
 *          decodes to a control byte.
 */
static bool
decode(char *s, bool plus)
{
    char *to = s;

    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '+' && plus)
            c = ' ';
        if (c == '%') {
            int hi = hex(s[1]), lo = hi < 0 ? -1 : hex(s[2]);

            if (lo < 0)
                return false;
            c = (unsigned char)(hi * 16 + lo);
            s += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return false;
        *to++ = (char)c;
    }
    *to = '\0';
    return true;
}

static const char *
split_path(struct request *r, char *path)
{
    char *next = path + 1;

    if (path[0] != '/')
        return "the path does not begin with '/'";
    while (next != NULL && *next != '\0') {
        char *s = next;

        next = strchr(s, '/');
        if (next != NULL)
            *next++ = '\0';
        if (r->n_segments == REQUEST_SEGMENTS)
            return "the path has too many segments";
        if (!decode(s, false))
            return "the path is badly percent-encoded or has control bytes";
        if (*s == '\0' || strchr(s, '/') != NULL || strcmp(s, ".") == 0 ||
            strcmp(s, "..") == 0)
            return "the path has a segment that is empty, '.', '..' or holds "
                   "'/'";
        r->segment[r->n_segments++] = s;
    }
    return NULL;
}

static const char *
split_query(struct request *r, char *query)
{
    char *next = query;

    while (next != NULL && *next != '\0') {
        char *name = next, *value;

        next = strchr(name, '&');
        if (next != NULL)
            *next++ = '\0';
        if (*name == '\0')
            continue;
        value = strchr(name, '=');
        if (value != NULL)
            *value++ = '\0';
        else
            value = name + strlen(name);
        if (r->n_pairs == REQUEST_PAIRS)
            return "the query has too many parameters";
        if (!decode(name, true) || !decode(value, true))
            return "the query is badly percent-encoded or has control bytes";
        r->pairs[r->n_pairs].name = name;
        r->pairs[r->n_pairs++].value = value;
    }
    return NULL;
}

/* Bytes of base that uri lies below; 0 when it doesn't. */
static size_t
base_bytes(const char *uri, const char *base)
{
    size_t n = strlen(base);

    return n > 0 && strncmp(uri, base, n) == 0 && uri[n] == '/' ? n : 0;
}

struct request *
request_new(const char *uri, const char *base)
{
    struct request *r = mem_new(1, sizeof *r);
    size_t below = base_bytes(uri, base);
    char *query;

    uri += below;
    r->base = below > 0 ? base : "";
    r->content_length = UINT64_MAX;
    r->path = mem_strdup(uri);
    r->words = mem_strdup(uri);
    r->path[strcspn(r->path, "?")] = '\0';
    query = strchr(r->words, '?');
    if (query != NULL)
        *query++ = '\0';
    r->bad_uri = split_path(r, r->words);
    if (r->bad_uri == NULL)
        r->bad_uri = split_query(r, query);
    return r;
}

void
request_free(struct request **rp)
{
    struct request *r = *rp;

    buf_free(&r->body);
    unpack_free(&r->unpack);
    for (int i = 0; i < r->n_headers; i++)
        mem_free(r->headers[i].value);
    mem_free(r->path);
    mem_free(r->words);
    mem_free(r);
    *rp = NULL;
}

/* --- what was asked ---------------------------------------------------- */

enum method
request_method(const struct request *r)
{
    return r->method;
}

const char *
request_segment(const struct request *r, int i)
{
    int at = r->captured[i];

    return at < 0 ? NULL : r->segment[at];
}

const char *
request_path(const struct request *r)
{
    return r->path;
}

const char *
request_base(const struct request *r)
{
    return r->base;
}

const char *
request_query(const struct request *r, const char *name)
{
    for (int i = 0; i < r->n_pairs; i++)
        if (strcmp(r->pairs[i].name, name) == 0)
            return r->pairs[i].value;
    return NULL;
}

bool
request_query_at(const struct request *r, int i, const char **name,
                 const char **value)
{
    if (i >= r->n_pairs)
        return false;
    *name = r->pairs[i].name;
    *value = r->pairs[i].value;
    return true;
}

const struct buf *
request_body(const struct request *r)
{
    return r->body;
}

struct buf *
request_take_body(struct request *r)
{
    struct buf *b = r->body;

    r->body = NULL;
    return b;
}

uint64_t
request_content_length(const struct request *r)
{
    return r->content_length;
}

const char *
request_principal(const struct request *r)
{
    return r->principal;
}

uint64_t
request_since_ns(const struct request *r)
{
    return r->since_ns;
}
