/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part ends where CR LF "--" boundary begins.  CR stands only at the
 * beginning of that, so after a mismatch nothing of what was matched can be
 * the beginning of another match: one counter is all the search remembers.
 * The body starts as if a CR LF had just been read.
 */
#include "server/multipart.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { BOUNDARY_MAX = 200, HEADERS_MAX = 8192, NAME_MAX_BYTES = 255 };

enum state {
    PREAMBLE, /* before the first boundary: nobody's */
    AFTER,    /* behind a boundary: "--", or the rest of its line */
    HEADERS,
    BODY,
    EPILOGUE, /* behind the last boundary: nobody's */
};

struct multipart {
    struct multipart_events ev;
    void *arg;
    enum state state;
    char mark[BOUNDARY_MAX + 5]; /* CR LF "--" boundary */
    size_t n_mark, matched;
    unsigned long long offset;
    char line[HEADERS_MAX]; /* what AFTER and HEADERS collect */
    size_t n_line, header_bytes;
    char name[NAME_MAX_BYTES + 1], filename[NAME_MAX_BYTES + 1];
    bool has_name, has_filename;
};

static int
wrong(const struct multipart *m, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "multipart body, byte %llu: %s", m->offset,
                   what);
}

/* --- header fields ----------------------------------------------------- */

static const char *
skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/*
 * One ";name=value" at *at: moves *at behind it.  The value may be quoted, a
 * backslash taking the next character as it is.
 * Returns false when there is none or it is malformed.
 */
static bool
parameter(const char **at, char *name, char *value, size_t size)
{
    const char *s = skip_blanks(*at);
    size_t n, k = 0;

    if (*s++ != ';')
        return false;
    s = skip_blanks(s);
    n = strcspn(s, "=; \t");
    if (n == 0 || n >= size || s[n] != '=')
        return false;
    memcpy(name, s, n);
    name[n] = '\0';
    s += n + 1;
    if (*s == '"') {
        for (s++; *s != '"'; s++) {
            if (*s == '\\' && s[1] != '\0')
                s++;
            if (*s == '\0' || k + 1 >= size)
                return false;
            value[k++] = *s;
        }
        s++;
    } else
        for (; *s != '\0' && strchr("; \t", *s) == NULL; s++) {
            if (k + 1 >= size)
                return false;
            value[k++] = *s;
        }
    value[k] = '\0';
    *at = s;
    return true;
}

bool
multipart_is(const char *content_type)
{
    static const char type[] = "multipart/form-data";
    size_t n = sizeof type - 1;

    return content_type != NULL && strncasecmp(content_type, type, n) == 0 &&
           (content_type[n] == '\0' || strchr("; \t", content_type[n]) != NULL);
}

static int
disposition(struct multipart *m, const char *s, struct err *e)
{
    char name[NAME_MAX_BYTES + 1], value[NAME_MAX_BYTES + 1];

    if (strncasecmp(s, "form-data", 9) != 0)
        return wrong(m, "Content-Disposition: form-data wanted", e);
    s += 9;
    while (parameter(&s, name, value, sizeof value)) {
        if (strcasecmp(name, "name") == 0) {
            memcpy(m->name, value, sizeof value);
            m->has_name = true;
        } else if (strcasecmp(name, "filename") == 0) {
            memcpy(m->filename, value, sizeof value);
            m->has_filename = true;
        }
    }
    return *skip_blanks(s) == '\0'
               ? 0
               : wrong(m, "malformed Content-Disposition", e);
}

static int
header(struct multipart *m, struct err *e)
{
    char *colon = strchr(m->line, ':');
    const char *value;

    if (colon == NULL)
        return wrong(m, "a header without ':'", e);
    *colon = '\0';
    value = skip_blanks(colon + 1);
    if (strcasecmp(m->line, "Content-Disposition") == 0)
        return disposition(m, value, e);
    if (strcasecmp(m->line, "Content-Transfer-Encoding") == 0 &&
        strcasecmp(value, "binary") != 0 && strcasecmp(value, "8bit") != 0 &&
        strcasecmp(value, "7bit") != 0)
        return wrong(m, "Content-Transfer-Encoding: only binary is read", e);
    return 0;
}

/* --- lines behind a boundary ------------------------------------------- */

static int
begin_part(struct multipart *m, struct err *e)
{
    if (!m->has_name)
        return wrong(m, "a part without a name", e);
    m->state = BODY;
    m->matched = 0;
    return m->ev.begin(m->arg, m->name, m->has_filename ? m->filename : NULL,
                       e);
}

static int
end_line(struct multipart *m, struct err *e)
{
    if (m->n_line > 0 && m->line[m->n_line - 1] == '\r')
        m->n_line--;
    m->line[m->n_line] = '\0';
    if (strlen(m->line) != m->n_line)
        return wrong(m, "a NUL in a header", e);
    if (m->state == AFTER) {
        if (*skip_blanks(m->line) != '\0')
            return wrong(m, "something behind a boundary", e);
        m->state = HEADERS;
        m->has_name = m->has_filename = false;
        m->header_bytes = 0;
    } else if (m->n_line == 0)
        return begin_part(m, e);
    else if (header(m, e) != 0)
        return e->code;
    m->n_line = 0;
    return 0;
}

static int
line_byte(struct multipart *m, char c, struct err *e)
{
    if (c == '\n')
        return end_line(m, e);
    if (++m->header_bytes >= HEADERS_MAX)
        return wrong(m, "the headers of a part are too long", e);
    m->line[m->n_line++] = c;
    if (m->state == AFTER && m->n_line == 2 && memcmp(m->line, "--", 2) == 0)
        m->state = EPILOGUE;
    return 0;
}

/* --- bodies ------------------------------------------------------------ */

static int
emit(struct multipart *m, const void *p, size_t n, struct err *e)
{
    return m->state == BODY && n > 0 ? m->ev.data(m->arg, p, n, e) : 0;
}

/* Consumes some of s; *used bytes. */
static int
body_bytes(struct multipart *m, const char *s, size_t n, size_t *used,
           struct err *e)
{
    const char *cr;
    size_t matched = m->matched;

    *used = 1;
    if (*s == m->mark[matched]) {
        if (++m->matched < m->n_mark)
            return 0;
        if (m->state == BODY && m->ev.end(m->arg, e) != 0)
            return e->code;
        m->state = AFTER;
        m->matched = m->n_line = m->header_bytes = 0;
        return 0;
    }
    if (matched > 0) { /* no boundary after all: it was data */
        m->matched = 0;
        *used = 0;
        return emit(m, m->mark, matched, e);
    }
    cr = memchr(s, '\r', n);
    *used = cr != NULL ? (size_t)(cr - s) : n;
    return emit(m, s, *used, e);
}

int
multipart_feed(struct multipart *m, const void *p, size_t n, struct err *e)
{
    const char *s = p;

    while (n > 0) {
        size_t used = 1;
        int rc = 0;

        if (m->state == EPILOGUE)
            used = n;
        else if (m->state == AFTER || m->state == HEADERS)
            rc = line_byte(m, *s, e);
        else
            rc = body_bytes(m, s, n, &used, e);
        if (rc != 0)
            return rc;
        s += used;
        n -= used;
        m->offset += used;
    }
    return 0;
}

int
multipart_end(struct multipart *m, struct err *e)
{
    if (m->state == EPILOGUE)
        return 0;
    if (m->state == BODY)
        return err_set(e, ERR_INVALID,
                       "multipart body, byte %llu: it ended within part "
                       "\"%s\"",
                       m->offset, m->name);
    return wrong(m, "it ended before its last boundary", e);
}

/* --- life -------------------------------------------------------------- */

int
multipart_new(const char *content_type, const struct multipart_events *ev,
              void *arg, struct multipart **out, struct err *e)
{
    const char *at = content_type + strcspn(content_type, "; \t");
    char name[BOUNDARY_MAX + 1], value[BOUNDARY_MAX + 1];
    struct multipart *m;

    while (parameter(&at, name, value, sizeof value))
        if (strcasecmp(name, "boundary") == 0 && value[0] != '\0' &&
            strpbrk(value, "\r\n") == NULL) {
            m = mem_new(1, sizeof *m);
            m->ev = *ev;
            m->arg = arg;
            memcpy(m->mark, "\r\n--", 4);
            memcpy(m->mark + 4, value, strlen(value));
            m->n_mark = 4 + strlen(value);
            m->matched = 2;
            *out = m;
            return 0;
        }
    return err_set(e, ERR_INVALID,
                   "Content-Type: multipart/form-data without a boundary");
}

void
multipart_free(struct multipart **m)
{
    mem_free(*m);
    *m = NULL;
}
