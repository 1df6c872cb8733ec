/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text ends in a NUL, which no token contains, so that most loops need no
 * second test for the end.
 *
 * Decimal to binary.  Up to 19 digits are gathered in 64 bits, w, and the
 * value is w * 10^k.  Where |k| <= 22, 10^k is an exact double, and:
 *
 *   double:  w < 2^53 makes one correctly rounded operation (Clinger 1990).
 *   float:   w rounded to double (half a unit), then one operation (another
 *            half), digits behind the 19th dropped (less than 2^-59 of the
 *            value): the double is wrong by less than two of its units.
 *            Rounding it to float then is right unless it lies that close to
 *            the middle between two floats.
 *
 * All else, about one number in 10^8 of float data, is strtof's and strtod's
 * (glibc's round correctly).
 */
#include "server/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- tokens ------------------------------------------------------------ */

void
scan_init(struct scan *s, char *text, size_t n)
{
    *s = (struct scan){.text = text, .p = text, .end = text + n};
}

static int
bad(const struct scan *s, struct err *e, const char *what)
{
    if (s->p >= s->end)
        return err_set(e, ERR_INVALID, "JSON: %s, at the end (byte %zu)", what,
                       (size_t)(s->p - s->text));
    return err_set(e, ERR_INVALID, "JSON: %s, at byte %zu", what,
                   (size_t)(s->p - s->text));
}

static inline void
space(struct scan *s)
{
    while (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r')
        s->p++;
}

char
scan_peek(struct scan *s)
{
    space(s);
    return *s->p;
}

static int
enter(struct scan *s, char open, struct err *e)
{
    if (scan_peek(s) != open)
        return bad(s, e,
                   open == '{' ? "an object is wanted" : "an array is wanted");
    if (s->depth == SCAN_DEPTH)
        return bad(s, e, "nested more than 100 deep");
    s->depth++;
    s->p++;
    s->fresh = true;
    return 0;
}

int
scan_object(struct scan *s, struct err *e)
{
    return enter(s, '{', e);
}

int
scan_array(struct scan *s, struct err *e)
{
    return enter(s, '[', e);
}

/* Passes the comma, or the bracket: *more says which. */
static int
step(struct scan *s, char close, bool *more, struct err *e)
{
    char c = scan_peek(s);
    bool fresh = s->fresh;

    s->fresh = false;
    if (c == close) {
        s->p++;
        s->depth--;
        *more = false;
        return 0;
    }
    *more = true;
    if (fresh)
        return 0;
    if (c != ',')
        return bad(s, e,
                   close == '}' ? "',' or '}' is wanted"
                                : "',' or ']' is wanted");
    s->p++;
    return 0;
}

int
scan_item(struct scan *s, bool *more, struct err *e)
{
    return step(s, ']', more, e);
}

int
scan_key(struct scan *s, const char **key, struct err *e)
{
    bool more;

    *key = NULL;
    if (step(s, '}', &more, e) != 0)
        return e->code;
    if (!more)
        return 0;
    if (scan_string(s, key, e) != 0)
        return e->code;
    if (scan_peek(s) != ':')
        return bad(s, e, "':' is wanted");
    s->p++;
    return 0;
}

int
scan_end(struct scan *s, struct err *e)
{
    space(s);
    return s->p < s->end ? bad(s, e, "more follows the end") : 0;
}

/* --- strings ----------------------------------------------------------- */

/* The four digits of \uXXXX; -1 when they aren't. */
static int
hex4(const char *p)
{
    int x = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        x = x * 16 + digit;
    }
    return x;
}

static char *
put_utf8(char *to, int x)
{
    if (x < 0x80) {
        *to++ = (char)x;
    } else if (x < 0x800) {
        *to++ = (char)(0xc0 | x >> 6);
        *to++ = (char)(0x80 | (x & 0x3f));
    } else if (x < 0x10000) {
        *to++ = (char)(0xe0 | x >> 12);
        *to++ = (char)(0x80 | (x >> 6 & 0x3f));
        *to++ = (char)(0x80 | (x & 0x3f));
    } else {
        *to++ = (char)(0xf0 | x >> 18);
        *to++ = (char)(0x80 | (x >> 12 & 0x3f));
        *to++ = (char)(0x80 | (x >> 6 & 0x3f));
        *to++ = (char)(0x80 | (x & 0x3f));
    }
    return to;
}

/* Bytes of the UTF-8 character at p, 0 when it is none (RFC 3629). */
static int
utf8_length(const unsigned char *p)
{
    unsigned char c = p[0], low = 0x80, high = 0xbf;
    int n;

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (int i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

/* The escape at s->p (a backslash), decoded to *to. */
static int
escape(struct scan *s, char **to, struct err *e)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *at = s->p[1] == '\0' ? NULL : strchr(from, s->p[1]);
    int x, low;

    if (at != NULL) {
        *(*to)++ = into[at - from];
        s->p += 2;
        return 0;
    }
    x = s->p[1] == 'u' ? hex4(s->p + 2) : -1;
    if (x < 0)
        return bad(s, e, "a bad escape in a string");
    if (x == 0)
        return bad(s, e, "a NUL in a string");
    if (x >= 0xd800 && x < 0xe000) {
        low = x < 0xdc00 && s->p[6] == '\\' && s->p[7] == 'u' ? hex4(s->p + 8)
                                                              : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return bad(s, e, "half of a surrogate pair in a string");
        x = 0x10000 + (x - 0xd800) * 0x400 + (low - 0xdc00);
        s->p += 6;
    }
    *to = put_utf8(*to, x);
    s->p += 6;
    return 0;
}

/* Passes a string; decoded to itself when keep, otherwise left as it is. */
static int
string(struct scan *s, bool keep, const char **out, struct err *e)
{
    char *to;

    if (scan_peek(s) != '"')
        return bad(s, e, "a string is wanted");
    to = ++s->p;
    *out = to;
    while (*s->p != '"') {
        unsigned char c = (unsigned char)*s->p;
        char spare[4], *dst = keep ? to : spare;
        int n;

        if (c == '\\') {
            if (escape(s, &dst, e) != 0)
                return e->code;
            if (keep)
                to = dst;
            continue;
        }
        if (c < 0x20)
            return bad(s, e,
                       s->p >= s->end ? "a string without end"
                                      : "a control byte in a string");
        n = utf8_length((const unsigned char *)s->p);
        if (n == 0)
            return bad(s, e, "a string that is not UTF-8");
        if (keep) {
            memmove(to, s->p, (size_t)n);
            to += n;
        }
        s->p += n;
    }
    s->p++;
    if (keep)
        *to = '\0';
    return 0;
}

int
scan_string(struct scan *s, const char **out, struct err *e)
{
    return string(s, true, out, e);
}

static bool
word(struct scan *s, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}

int
scan_bool(struct scan *s, bool *out, struct err *e)
{
    space(s);
    *out = *s->p == 't';
    if (word(s, "true") || word(s, "false"))
        return 0;
    return bad(s, e, "true or false is wanted");
}

/* --- numbers ----------------------------------------------------------- */

struct number {
    const char *at; /* its first byte */
    uint64_t w;     /* the first 19 significant digits */
    int64_t k;      /* times 10^k */
    bool minus, whole /* no fraction, no exponent */, cut /* digits lost */;
};

static inline bool
digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static int
exponent(struct scan *s, struct number *x, struct err *e)
{
    bool minus = s->p[1] == '-';
    int64_t k = 0;

    s->p += 1 + (s->p[1] == '-' || s->p[1] == '+');
    if (!digit(*s->p))
        return bad(s, e, "a number without digits in its exponent");
    for (; digit(*s->p); s->p++)
        if (k < 100000)
            k = k * 10 + (*s->p - '0');
    x->k += minus ? -k : k;
    x->whole = false;
    return 0;
}

/* A number as the grammar has it. */
static inline int
number(struct scan *s, struct number *x, struct err *e)
{
    const char *first;
    int digits = 0;

    *x = (struct number){.at = s->p, .whole = true};
    if (*s->p == '-') {
        x->minus = true;
        s->p++;
    }
    if (!digit(*s->p))
        return bad(s, e, "a number is wanted");
    first = s->p;
    for (; digit(*s->p); s->p++) {
        if (digits < 19)
            x->w = x->w * 10 + (uint64_t)(*s->p - '0');
        else {
            x->k++;
            x->cut = true;
        }
        digits += x->w != 0;
    }
    if (*first == '0' && s->p - first > 1)
        return bad(s, e, "a number with a zero in front");
    if (*s->p == '.') {
        x->whole = false;
        if (!digit(*++s->p))
            return bad(s, e, "a number without digits behind its point");
        for (; digit(*s->p); s->p++) {
            if (digits < 19) {
                x->w = x->w * 10 + (uint64_t)(*s->p - '0');
                x->k--;
            } else
                x->cut = true;
            digits += x->w != 0;
        }
    }
    if (*s->p == 'e' || *s->p == 'E')
        return exponent(s, x, e);
    return 0;
}

static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool
to_float(const struct number *x, float *out)
{
    if (x->k >= -22 && x->k <= 22) {
        double d = (double)x->w;
        uint64_t bits, low;

        d = x->k < 0 ? d / ten[-x->k] : d * ten[x->k];
        memcpy(&bits, &d, sizeof bits);
        low = bits & 0x1fffffff; /* what a float drops; half is 0x10000000 */
        if ((low - (0x10000000 - 4) > 8 && d >= 0x1p-126 && d < 0x1p127) ||
            x->w == 0) {
            *out = (float)(x->minus ? -d : d);
            return true;
        }
    }
    *out = strtof(x->at, NULL);
    return isfinite(*out);
}

static inline bool
to_double(const struct number *x, double *out)
{
    if (x->k >= -22 && x->k <= 22 && x->w < (uint64_t)1 << 53 && !x->cut) {
        double d = (double)x->w;

        d = x->k < 0 ? d / ten[-x->k] : d * ten[x->k];
        *out = x->minus ? -d : d;
        return true;
    }
    *out = strtod(x->at, NULL);
    return isfinite(*out);
}

/* Into 64 bits; a negative one as two's complement. */
static inline bool
to_integer(const struct number *x, bool is_signed, uint64_t low, uint64_t high,
           uint64_t *out)
{
    /* low: the largest magnitude below zero; high: above.  19 digits fit in
     * 64 bits, a 20th may. */
    uint64_t w = x->w;

    if (!x->whole || x->k > 1)
        return false;
    if (x->k == 1) {
        char last = x->at[19 + x->minus];
        uint64_t d = (uint64_t)(last - '0');

        if (w > (UINT64_MAX - d) / 10)
            return false;
        w = w * 10 + d;
    }
    if (w > (x->minus ? low : high))
        return false;
    *out = x->minus && is_signed ? (uint64_t)0 - w : w;
    return true;
}

int
scan_int64(struct scan *s, int64_t *out, struct err *e)
{
    struct number x;
    uint64_t bits;

    space(s);
    if (number(s, &x, e) != 0)
        return e->code;
    if (!to_integer(&x, true, (uint64_t)1 << 63, INT64_MAX, &bits)) {
        s->p = s->text + (x.at - s->text);
        return bad(s, e, "a 64-bit integer is wanted");
    }
    *out = (int64_t)bits;
    return 0;
}

/* --- values that nobody wants ------------------------------------------ */

static int
skip_scalar(struct scan *s, struct err *e)
{
    struct number x;
    const char *text;

    switch (scan_peek(s)) {
    case '"':
        return string(s, false, &text, e);
    case 't':
    case 'f':
    case 'n':
        if (word(s, "true") || word(s, "false") || word(s, "null"))
            return 0;
        return bad(s, e, "a value is wanted");
    default:
        return number(s, &x, e) == 0 ? 0 : bad(s, e, "a value is wanted");
    }
}

int
scan_skip(struct scan *s, struct err *e)
{
    char open[SCAN_DEPTH + 1]; /* the brackets that are open */
    int n = 0;

    do {
        char c = scan_peek(s);
        bool more = false;

        if (c == '{' || c == '[') {
            if (enter(s, c, e) != 0)
                return e->code;
            open[n++] = c;
        } else if (skip_scalar(s, e) != 0)
            return e->code;
        /* Behind a value: close what ends here, find the next. */
        while (n > 0) {
            if (step(s, open[n - 1] == '{' ? '}' : ']', &more, e) != 0)
                return e->code;
            if (more)
                break;
            n--;
        }
        if (n > 0 && open[n - 1] == '{') {
            const char *key;

            if (string(s, false, &key, e) != 0)
                return e->code;
            if (scan_peek(s) != ':')
                return bad(s, e, "':' is wanted");
            s->p++;
        }
    } while (n > 0);
    return 0;
}

/* --- tensors ----------------------------------------------------------- */

static int
misfit(struct scan *s, const struct number *x, enum dtype t, struct err *e)
{
    s->p = s->text + (x->at - s->text);
    return err_set(e, ERR_INVALID,
                   "JSON: '%.*s' is not a value of type %s, at byte %zu",
                   (int)strspn(x->at, "+-.0123456789eE") > 40
                       ? 40
                       : (int)strspn(x->at, "+-.0123456789eE"),
                   x->at, dtype_name(t), (size_t)(s->p - s->text));
}

/* Largest magnitudes below and above zero. */
static void
range_of(enum dtype t, uint64_t *low, uint64_t *high)
{
    unsigned bits = (unsigned)dtype_size(t) * 8;
    bool is_signed = t == DTYPE_INT8 || t == DTYPE_INT16 || t == DTYPE_INT32 ||
                     t == DTYPE_INT64;

    *low = is_signed ? (uint64_t)1 << (bits - 1) : 0;
    *high = is_signed ? *low - 1 : UINT64_MAX >> (64 - bits);
}

/* One element to out + i. */
static inline int
element(struct scan *s, enum dtype t, void *out, size_t i, struct err *e)
{
    struct number x;
    uint64_t bits, low, high;
    size_t size;

    if (t == DTYPE_BOOL) {
        bool yes;

        if (scan_bool(s, &yes, e) != 0)
            return e->code;
        ((uint8_t *)out)[i] = yes;
        return 0;
    }
    if (number(s, &x, e) != 0)
        return e->code;
    if (t == DTYPE_FLOAT)
        return to_float(&x, (float *)out + i) ? 0 : misfit(s, &x, t, e);
    if (t == DTYPE_DOUBLE)
        return to_double(&x, (double *)out + i) ? 0 : misfit(s, &x, t, e);
    range_of(t, &low, &high);
    if (!to_integer(&x, low > 0, low, high, &bits))
        return misfit(s, &x, t, e);
    size = dtype_size(t);
    memcpy((char *)out + i * size, &bits, size); /* little-endian */
    return 0;
}

int
scan_tensor(struct scan *s, enum dtype dtype, size_t count, void *out,
            struct err *e)
{
    int base = s->depth;
    size_t n = 0;

    if (enter(s, '[', e) != 0)
        return e->code;
    while (s->depth > base) {
        bool more;

        if (step(s, ']', &more, e) != 0)
            return e->code;
        if (!more)
            continue;
        if (scan_peek(s) == '[') {
            if (enter(s, '[', e) != 0)
                return e->code;
            continue;
        }
        if (n == count)
            return err_set(e, ERR_INVALID,
                           "data has more than the %zu elements of its shape "
                           "(byte %zu)",
                           count, (size_t)(s->p - s->text));
        if (element(s, dtype, out, n++, e) != 0)
            return e->code;
    }
    if (n != count)
        return err_set(e, ERR_INVALID,
                       "data has %zu elements, its shape has %zu", n, count);
    return 0;
}
