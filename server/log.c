/* SPDX-License-Identifier: Apache-2.0 */
#include "server/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 2048, VALUE = 640 };

/* A reload may change these while others log. */
static _Atomic int most = LOG_INFO;
static _Atomic bool as_json;

void
log_setup(enum log_level m, bool json)
{
    most = m;
    as_json = json;
}

bool
log_wants(enum log_level level)
{
    return (int)level <= most;
}

struct line {
    char text[LINE];
    size_t n;
    bool json;
};

static void
put(struct line *l, const char *s, size_t n)
{
    size_t room = sizeof l->text - 2 - l->n; /* for '}' and the newline */

    if (n > room)
        n = room;
    memcpy(l->text + l->n, s, n);
    l->n += n;
}

static void
put_text(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* s in quotes, as JSON has them; bytes over 126 go through as they are. */
static void
put_quoted(struct line *l, const char *s)
{
    put(l, "\"", 1);
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        char esc[8];

        if (c == '"' || c == '\\')
            snprintf(esc, sizeof esc, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            snprintf(esc, sizeof esc, "\\u%04x", c);
        else
            snprintf(esc, sizeof esc, "%c", c);
        put_text(l, esc);
    }
    put(l, "\"", 1);
}

static bool
is_plain(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++)
        if (!isgraph((unsigned char)*s) || *s == '"' || *s == '\\' || *s == '=')
            return false;
    return true;
}

static void
put_pair(struct line *l, const char *key, size_t key_len, const char *value,
         bool number)
{
    if (l->json) {
        put_text(l, ",\"");
        put(l, key, key_len);
        put_text(l, "\":");
    } else {
        put_text(l, " ");
        put(l, key, key_len);
        put_text(l, "=");
    }
    if (l->json ? number : is_plain(value))
        put_text(l, value);
    else
        put_quoted(l, value);
}

/* What stands behind the '%' of one value: %s, %d, %lu, %.3f and the like. */
struct conversion {
    char kind;
    bool wide; /* long or size_t */
    int precision;
};

static struct conversion
parse_conversion(const char *text, size_t n)
{
    struct conversion c = {.kind = text[n - 1], .precision = 6};

    for (size_t i = 1; i + 1 < n; i++) {
        if (text[i] == 'l' || text[i] == 'z')
            c.wide = true;
        else if (text[i] == '.')
            c.precision = text[i + 1] - '0';
    }
    return c;
}

/* The next argument as text; returns true for a number. */
static bool
format_value(char out[VALUE], struct conversion c, va_list *ap)
{
    const char *s;

    switch (c.kind) {
    case 's':
        s = va_arg(*ap, const char *);
        snprintf(out, VALUE, "%s", s == NULL ? "" : s);
        return false;
    case 'f':
        snprintf(out, VALUE, "%.*f", c.precision, va_arg(*ap, double));
        return true;
    case 'u':
        snprintf(out, VALUE, "%lu",
                 c.wide ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned));
        return true;
    default:
        snprintf(out, VALUE, "%ld",
                 c.wide ? va_arg(*ap, long) : va_arg(*ap, int));
        return true;
    }
}

void
log_event(enum log_level level, const char *verb, const char *keys, ...)
{
    struct line l = {.json = as_json};
    va_list ap;

    if (!log_wants(level))
        return;
    if (l.json) {
        struct timespec now;
        char head[96];

        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(head, sizeof head, "{\"time\":%lld.%03ld,\"level\":%d,",
                 (long long)now.tv_sec, now.tv_nsec / 1000000, level);
        put_text(&l, head);
        put_text(&l, "\"event\":");
        put_quoted(&l, verb);
    } else {
        char head[8];

        snprintf(head, sizeof head, "<%d>", level);
        put_text(&l, head);
        put_text(&l, verb);
    }
    va_start(ap, keys);
    for (const char *p = keys; *p != '\0';) {
        const char *eq = strchr(p, '=');
        size_t conv = strcspn(eq + 1, " ");
        char value[VALUE];
        bool number = format_value(value, parse_conversion(eq + 1, conv), &ap);

        put_pair(&l, p, (size_t)(eq - p), value, number);
        p = eq + 1 + conv;
        p += *p == ' ';
    }
    va_end(ap);
    if (l.json)
        l.text[l.n++] = '}';
    l.text[l.n++] = '\n';
    /* One write: lines of several threads never mix. */
    if (write(STDERR_FILENO, l.text, l.n) < 0)
        return;
}
