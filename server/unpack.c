/* SPDX-License-Identifier: Apache-2.0 */
#include "server/unpack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/mem.h"

enum { PIECE = 64 << 10, GZIP_BITS = 15 + 16, ZLIB_BITS = 15 };

struct unpack {
    z_stream z;
    uint64_t made;
    bool ended;
    unsigned char piece[PIECE];
};

static const char *const names[] = {
    [CODING_IDENTITY] = "identity",
    [CODING_GZIP] = "gzip",
    [CODING_DEFLATE] = "deflate",
};

const char *
coding_name(enum coding c)
{
    return names[c];
}

enum coding
coding_parse(const char *name)
{
    if (name == NULL || name[0] == '\0')
        return CODING_IDENTITY;
    if (strcasecmp(name, "x-gzip") == 0)
        return CODING_GZIP;
    for (int c = CODING_IDENTITY; c < CODING_UNKNOWN; c++)
        if (strcasecmp(name, names[c]) == 0)
            return (enum coding)c;
    return CODING_UNKNOWN;
}

/* "gzip;q=0.5" up to the comma: its weight; 1 when none is said. */
static double
weight_of(const char *item, size_t n)
{
    const char *q = memchr(item, ';', n);

    if (q == NULL)
        return 1;
    q++;
    q += strspn(q, " \t");
    return strncasecmp(q, "q=", 2) == 0 ? strtod(q + 2, NULL) : 1;
}

enum coding
coding_accepted(const char *header)
{
    /* Below zero: not mentioned.  identity is good unless it is refused. */
    double weight[CODING_UNKNOWN] = {-1, -1, -1}, any = -1;
    enum coding best = CODING_IDENTITY;

    if (header == NULL)
        return CODING_IDENTITY;
    for (const char *p = header; *p != '\0';) {
        size_t n, len;

        p += strspn(p, " \t,");
        n = strcspn(p, ",");
        len = strcspn(p, ",; \t");
        if (len == 1 && *p == '*')
            any = weight_of(p, n);
        for (int c = 0; c < CODING_UNKNOWN; c++)
            if (strlen(names[c]) == len && strncasecmp(p, names[c], len) == 0)
                weight[c] = weight_of(p, n);
        p += n;
    }
    for (int c = 0; c < CODING_UNKNOWN; c++)
        if (weight[c] < 0)
            weight[c] = c == CODING_IDENTITY ? (any < 0 ? 1e-3 : any) : any;
    for (int c = CODING_GZIP; c < CODING_UNKNOWN; c++)
        if (weight[c] > 0 && weight[c] > weight[best])
            best = (enum coding)c;
    return best;
}

struct unpack *
unpack_new(enum coding c)
{
    struct unpack *u = mem_new(1, sizeof *u);

    if (inflateInit2(&u->z, c == CODING_GZIP ? GZIP_BITS : ZLIB_BITS) != Z_OK)
        abort(); /* 10 KB could not be had */
    return u;
}

void
unpack_free(struct unpack **u)
{
    if (*u == NULL)
        return;
    inflateEnd(&(*u)->z);
    mem_free(*u);
    *u = NULL;
}

int
unpack_feed(struct unpack *u, const void *p, size_t n, uint64_t most,
            int (*put)(void *arg, const void *p, size_t n, struct err *e),
            void *arg, struct err *e)
{
    const unsigned char *in = p;

    while (n > 0) {
        uInt now = n > PIECE ? PIECE : (uInt)n;

        if (u->ended)
            return err_set(e, ERR_INVALID,
                           "the compressed body goes on behind its end");
        u->z.next_in = (unsigned char *)in;
        u->z.avail_in = now;
        do {
            size_t got;
            int rc;

            u->z.next_out = u->piece;
            u->z.avail_out = PIECE;
            rc = inflate(&u->z, Z_NO_FLUSH);
            if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
                return err_set(e, ERR_INVALID, "the compressed body: %s",
                               u->z.msg == NULL ? "damaged" : u->z.msg);
            got = PIECE - u->z.avail_out;
            if (got > most - u->made)
                return err_set(e, ERR_TOO_LARGE,
                               "the body is over %llu bytes when decompressed",
                               (unsigned long long)most);
            u->made += got;
            if (got > 0 && put(arg, u->piece, got, e) != 0)
                return e->code;
            u->ended = rc == Z_STREAM_END;
        } while (!u->ended && (u->z.avail_in > 0 || u->z.avail_out == 0));
        in += now - u->z.avail_in;
        n -= now - u->z.avail_in;
    }
    return 0;
}

int
unpack_end(const struct unpack *u, struct err *e)
{
    if (!u->ended)
        return err_set(e, ERR_INVALID, "the compressed body is cut short");
    return 0;
}

static int
put_buf(void *arg, const void *p, size_t n, struct err *e)
{
    return buf_add(arg, p, n, e);
}

int
unpack_whole(enum coding c, const struct buf *in, size_t most, struct buf **out,
             struct err *e)
{
    struct unpack *u = unpack_new(c);
    struct buf *b = NULL;
    int rc = buf_new(in->n * 2 < most ? in->n * 2 : most, &b, e);

    if (rc == 0)
        rc = unpack_feed(u, in->p, in->n, most, put_buf, b, e);
    if (rc == 0)
        rc = unpack_end(u, e);
    unpack_free(&u);
    if (rc != 0) {
        buf_free(&b);
        return rc;
    }
    b->p[b->n] = '\0';
    *out = b;
    return 0;
}

int
pack_add(enum coding c, const struct buf *const *parts, int n_parts,
         struct buf *out, struct err *e)
{
    z_stream z = {0};
    int rc = 0;

    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED,
                     c == CODING_GZIP ? GZIP_BITS : ZLIB_BITS, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(e, ERR_NO_MEMORY, "no memory to compress");
    for (int i = 0; i < n_parts && rc == 0; i++) {
        bool last = i == n_parts - 1;
        size_t at = 0;

        do {
            size_t left = parts[i]->n - at;
            uInt now = left > PIECE ? PIECE : (uInt)left;
            int flush = last && now == left ? Z_FINISH : Z_NO_FLUSH;

            z.next_in = (unsigned char *)parts[i]->p + at;
            z.avail_in = now;
            at += now;
            do {
                rc = buf_reserve(out, PIECE, e);
                if (rc != 0)
                    break;
                z.next_out = (unsigned char *)out->p + out->n;
                z.avail_out = PIECE;
                deflate(&z, flush);
                out->n += PIECE - z.avail_out;
            } while (z.avail_out == 0);
        } while (rc == 0 && at < parts[i]->n);
    }
    deflateEnd(&z);
    return rc;
}
