/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"
#include "server/daemon.h"
#include "server/endpoints.h"
#include "server/scan.h"

static const struct endpoint endpoints[] = {
#define ENDPOINT(methods, pattern, right, flags, run)                          \
    {methods, pattern, right, flags, run, NULL},
#define UPLOAD(methods, pattern, right, to)                                    \
    {methods, pattern, right, 0, NULL, &to},
#include "server/api_tbl.h"
#undef ENDPOINT
#undef UPLOAD
};

/* --- paths ------------------------------------------------------------- */

static bool
matches(const char *pattern, char *const *segment, int n_segments,
        int *captured)
{
    int i = 0, n = 0;

    for (const char *p = pattern; *p == '/'; i++) {
        size_t len = strcspn(++p, "/");

        if (i == n_segments)
            return false;
        if (len == 2 && memcmp(p, "{}", 2) == 0)
            captured[n++] = i;
        else if (strlen(segment[i]) != len || memcmp(segment[i], p, len) != 0)
            return false;
        p += len;
        if (*p == '\0') {
            captured[n] = -1;
            return i + 1 == n_segments;
        }
    }
    return false;
}

const struct endpoint *
api_find(enum method method, char *const *segment, int n_segments,
         int *captured, unsigned *allowed)
{
    *allowed = 0;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        if (!matches(endpoints[i].pattern, segment, n_segments, captured))
            continue;
        if ((endpoints[i].method & method) != 0)
            return &endpoints[i];
        *allowed |= endpoints[i].method;
    }
    return NULL;
}

/* --- answers ----------------------------------------------------------- */

/*
 * Exactly this, with no charset behind it: KServe's client compares the whole
 * value.
 */
static const char type_json[] = "application/json";

static void
reply_text(struct request *r, int status, const char *text)
{
    request_reply(r, status, type_json, text, strlen(text));
}

void
api_reply(struct request *r, int status, json_t *body)
{
    char *text = body == NULL
                     ? NULL
                     : json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));

    if (text == NULL)
        reply_text(r, 500, "{\"error\":\"the answer could not be written\"}");
    else
        reply_text(r, status, text);
    free(text);
    json_decref(body);
}

/* Bytes of a message may come from a path or a file: what is no UTF-8 is
 * replaced, for the answer must be JSON. */
static json_t *
text_json(const char *text)
{
    json_t *s = json_string(text);
    char clean[sizeof((struct err *)0)->msg];
    size_t n = 0;

    if (s != NULL)
        return s;
    for (; text[n] != '\0' && n < sizeof clean - 1; n++)
        clean[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
    clean[n] = '\0';
    return json_string(clean);
}

static void
reply_error(struct request *r, int status, const char *text)
{
    if (status == 429 || status == 503)
        request_add_header(r, "Retry-After", "1");
    api_reply(r, status, json_pack("{s:o}", "error", text_json(text)));
}

void
api_fail(struct daemon *d, struct request *r, const struct err *e)
{
    reply_error(r, api_status(d, e->code), e->msg);
}

void
api_fail_status(struct request *r, int status, const char *fmt, ...)
{
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e.msg, sizeof e.msg, fmt, ap);
    va_end(ap);
    reply_error(r, status, e.msg);
}

int
api_status(const struct daemon *d, enum err_code code)
{
    switch (code) {
    case ERR_OK:
        return 200;
    case ERR_INVALID:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_UNSUPPORTED:
        return 422;
    case ERR_CONFLICT:
        return 409;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_BUSY:
        return d->config->server.overload_status[0] == '4' ? 429 : 503;
    case ERR_UNAVAILABLE:
    case ERR_NO_MEMORY:
        return 503;
    case ERR_TIMEOUT:
        return 504;
    case ERR_NO_SPACE:
        return 507;
    case ERR_IO:
    case ERR_INTERNAL:
        return 500;
    }
    return 500;
}

/* --- requests ---------------------------------------------------------- */

int
api_body(const struct request *r, json_t **out, struct err *e)
{
    const struct buf *b = request_body(r);
    json_error_t why;
    struct scan s;
    json_t *body;

    if (b == NULL || b->n == 0) {
        *out = json_object();
        return 0;
    }
    /* The depth first: the tree's parser recurses. */
    scan_init(&s, b->p, b->n);
    if (scan_skip(&s, e) != 0 || scan_end(&s, e) != 0)
        return e->code;
    body = json_loadb(b->p, b->n, JSON_REJECT_DUPLICATES, &why);
    if (body == NULL)
        return err_set(e, ERR_INVALID, "JSON: %s, at byte %d", why.text,
                       why.position);
    if (!json_is_object(body)) {
        json_decref(body);
        return err_set(e, ERR_INVALID, "the body is no JSON object");
    }
    *out = body;
    return 0;
}

int
api_version(const char *text, long *out, struct err *e)
{
    size_t n = strlen(text);
    long x = 0;

    if (n == 0 || n > 18 || text[0] == '0' || strspn(text, "0123456789") != n)
        return err_set(e, ERR_INVALID,
                       "'%.40s' is no version: a positive decimal number",
                       text);
    for (size_t i = 0; i < n; i++)
        x = x * 10 + (text[i] - '0');
    *out = x;
    return 0;
}
