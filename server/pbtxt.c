/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pbtxt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"

enum { MAX_DEPTH = 100 };

struct reader {
    const char *p, *end;
    int line, depth;
    struct err *e;
};

static void
skip_space(struct reader *r)
{
    for (; r->p < r->end; r->p++) {
        if (*r->p == '#')
            while (r->p + 1 < r->end && r->p[1] != '\n')
                r->p++;
        else if (*r->p == '\n')
            r->line++;
        else if (!isspace((unsigned char)*r->p))
            return;
    }
}

/* The next character that means something, or NUL at the end. */
static char
peek(struct reader *r)
{
    skip_space(r);
    return r->p < r->end ? *r->p : '\0';
}

static bool
accept(struct reader *r, char c)
{
    if (peek(r) != c || r->p == r->end)
        return false;
    r->p++;
    return true;
}

static int
wrong(struct reader *r, const char *what)
{
    return err_set(r->e, ERR_INVALID, "line %d: %s", r->line, what);
}

/* [A-Za-z0-9_.+-]: identifiers and numbers. */
static char *
word(struct reader *r)
{
    const char *start = r->p;
    char *s;

    while (r->p < r->end &&
           (isalnum((unsigned char)*r->p) || strchr("_.+-", *r->p) != NULL) &&
           *r->p != '\0')
        r->p++;
    s = mem_new(1, (size_t)(r->p - start) + 1);
    memcpy(s, start, (size_t)(r->p - start));
    return s;
}

static int
octal(struct reader *r)
{
    int v = 0;

    for (int i = 0; i < 3 && r->p < r->end && *r->p >= '0' && *r->p <= '7'; i++)
        v = v * 8 + (*r->p++ - '0');
    return v;
}

static int
hexadecimal(struct reader *r)
{
    int v = 0;

    for (int i = 0; i < 2 && r->p < r->end && isxdigit((unsigned char)*r->p);
         i++) {
        char c = *r->p++;

        v = v * 16 +
            (isdigit((unsigned char)c) ? c - '0' : (tolower(c) - 'a' + 10));
    }
    return v;
}

static char
escape(struct reader *r)
{
    static const char from[] = "nrtabfv", to[] = "\n\r\t\a\b\f\v";
    const char *at;
    char c;

    if (*r->p >= '0' && *r->p <= '7')
        return (char)octal(r);
    c = *r->p++;
    if (c == 'x')
        return (char)hexadecimal(r);
    at = strchr(from, c);
    return at != NULL && c != '\0' ? to[at - from] : c;
}

typedef VEC(char) chars;

/* One quoted string, appended to *s. */
static int
quoted(struct reader *r, chars *s)
{
    char quote = *r->p++;

    while (r->p < r->end && *r->p != quote && *r->p != '\n') {
        char c = *r->p++;

        if (c == '\\') {
            if (r->p == r->end)
                break;
            c = escape(r);
        }
        if (c == '\0')
            return wrong(r, "a NUL in a string");
        VEC_PUSH(s, c);
    }
    if (r->p == r->end || *r->p != quote)
        return wrong(r, "a string without its end");
    r->p++;
    return 0;
}

/* "a" 'b' stand for "ab". */
static int
string(struct reader *r, char **out)
{
    chars s = {0};

    while (peek(r) == '"' || peek(r) == '\'')
        if (quoted(r, &s) != 0) {
            mem_free(s.at);
            return r->e->code;
        }
    VEC_PUSH(&s, '\0');
    *out = s.at;
    return 0;
}

static int fields(struct reader *r, char close, struct pbtxt *to);

static int
message(struct reader *r, struct pbtxt *to)
{
    char close = *r->p++ == '{' ? '}' : '>';
    int rc;

    if (++r->depth > MAX_DEPTH)
        return wrong(r, "nested too deep");
    rc = fields(r, close, to);
    r->depth--;
    return rc;
}

/* One value of a field called name, added to the message. */
static int
value(struct reader *r, const char *name, struct pbtxt *to)
{
    struct pbtxt f = {.name = mem_strdup(name), .line = r->line};
    char c = peek(r);
    int rc = 0;

    if (c == '{' || c == '<')
        rc = message(r, &f);
    else if (c == '"' || c == '\'')
        rc = string(r, &f.value);
    else {
        f.value = word(r);
        if (f.value[0] == '\0')
            rc = wrong(r, "a value wanted");
    }
    if (to->n_fields == to->cap)
        to->fields = vec_grow(to->fields, &to->cap, sizeof f);
    to->fields[to->n_fields++] = f; /* in case of failure, too: it is freed */
    return rc;
}

static int
list(struct reader *r, const char *name, struct pbtxt *to)
{
    r->p++;
    if (accept(r, ']'))
        return 0;
    do
        if (value(r, name, to) != 0)
            return r->e->code;
    while (accept(r, ','));
    return accept(r, ']') ? 0 : wrong(r, "']' wanted");
}

static int
field(struct reader *r, struct pbtxt *to)
{
    char *name = word(r);
    bool colon;
    char c;
    int rc;

    if (name[0] == '\0')
        rc = wrong(r, "the name of a field wanted");
    else {
        colon = accept(r, ':');
        c = peek(r);
        if (!colon && c != '{' && c != '<' && c != '[')
            rc = wrong(r, "':' wanted");
        else
            rc = c == '[' ? list(r, name, to) : value(r, name, to);
    }
    mem_free(name);
    return rc;
}

static int
fields(struct reader *r, char close, struct pbtxt *to)
{
    for (;;) {
        char c = peek(r);

        if (r->p == r->end)
            return close == '\0' ? 0 : wrong(r, "a message without its end");
        if (c == close && close != '\0') {
            r->p++;
            return 0;
        }
        if (field(r, to) != 0)
            return r->e->code;
        if (!accept(r, ','))
            accept(r, ';');
    }
}

int
pbtxt_parse(const char *text, size_t bytes, struct pbtxt **out, struct err *e)
{
    struct reader r = {.p = text, .end = text + bytes, .line = 1, .e = e};
    struct pbtxt *p = mem_new(1, sizeof *p);
    int rc = fields(&r, '\0', p);

    if (rc != 0)
        pbtxt_free(&p);
    else
        *out = p;
    return rc;
}

static void
clear(struct pbtxt *p)
{
    for (size_t i = 0; i < p->n_fields; i++)
        clear(&p->fields[i]);
    mem_free(p->fields);
    mem_free(p->name);
    mem_free(p->value);
}

void
pbtxt_free(struct pbtxt **p)
{
    if (*p != NULL)
        clear(*p);
    mem_free(*p);
    *p = NULL;
}

const struct pbtxt *
pbtxt_get(const struct pbtxt *p, const char *name)
{
    for (size_t i = p->n_fields; i-- > 0;)
        if (strcmp(p->fields[i].name, name) == 0)
            return &p->fields[i];
    return NULL;
}

int
pbtxt_int(const struct pbtxt *p, long min, long max, long *out, struct err *e)
{
    char *end = NULL;
    long v = 0;

    errno = 0;
    if (p->value != NULL)
        v = strtol(p->value, &end, 0);
    if (p->value == NULL || *end != '\0' || end == p->value || errno != 0 ||
        v < min || v > max)
        return err_set(e, ERR_INVALID, "line %d: %s: %ld to %ld wanted",
                       p->line, p->name, min, max);
    *out = v;
    return 0;
}
