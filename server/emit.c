/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floats.  Nine significant digits always name one float, six often do.  The
 * nine digits are made in double arithmetic, as an integer m with x near
 * m * 10^k, and fewer are tried first: n digits are right when the double
 * nearest to them, rounded to float, is x again, which is just what a reader
 * computes.  |k| stays at most 22, where the powers of ten are exact; numbers
 * outside of that range, rare in answers of models, are printf's.
 */
#include "server/emit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
emit_text(struct buf *b, const char *text, struct err *e)
{
    return buf_add(b, text, strlen(text), e);
}

int
emit_string(struct buf *b, const char *s, struct err *e)
{
    /* The worst case: every byte as \u00XX. */
    if (buf_reserve(b, strlen(s) * 6 + 2, e) != 0)
        return e->code;
    b->p[b->n++] = '"';
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\') {
            b->p[b->n++] = '\\';
            b->p[b->n++] = (char)c;
        } else if (c < 0x20) {
            b->n += (size_t)snprintf(b->p + b->n, 7, "\\u%04x", c);
        } else {
            b->p[b->n++] = (char)c;
        }
    }
    b->p[b->n++] = '"';
    return 0;
}

int
emit_int(struct buf *b, int64_t x, struct err *e)
{
    char text[EMIT_NUMBER];
    int n = snprintf(text, sizeof text, "%" PRId64, x);

    return buf_add(b, text, (size_t)n, e);
}

/* --- floats ------------------------------------------------------------ */

static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* m * 10^k as a reader computes it; |k| <= 22. */
static float
value_of(uint64_t m, int k)
{
    return (float)(k < 0 ? (double)m / ten[-k] : (double)m * ten[k]);
}

/* m, n digits, times 10^k as text: "0.00123", "12.5", "1.5e-07". */
static int
write_digits(char *text, uint64_t m, int k)
{
    char room[20], *digits = room + sizeof room, *p = text;
    int n = 0, point;

    while (m % 10 == 0) {
        m /= 10;
        k++;
    }
    for (; m > 0; m /= 10, n++)
        *--digits = (char)('0' + m % 10);
    point = n + k; /* digits before the point */
    if (point > 0 && point <= 15) {
        for (int i = 0; i < point; i++)
            *p++ = i < n ? digits[i] : '0';
        if (n <= point) {
            memcpy(p, ".0", 3);
            return (int)(p + 2 - text);
        }
        *p++ = '.';
        memcpy(p, digits + point, (size_t)(n - point));
        p += n - point;
    } else if (point <= 0 && point > -5) {
        memcpy(p, "0.0000", 6);
        p += 2 - point;
        memcpy(p, digits, (size_t)n);
        p += n;
    } else {
        *p++ = digits[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t)n - 1);
            p += n - 1;
        }
        p += sprintf(p, "e%d", point - 1);
    }
    *p = '\0';
    return (int)(p - text);
}

int
emit_float(char text[EMIT_NUMBER], float x)
{
    double a = fabs((double)x);
    char *p = text;
    int scale;

    if (!isfinite(x))
        return sprintf(text, "null");
    if (signbit(x))
        *p++ = '-';
    if (x == 0)
        return (int)(p - text) + sprintf(p, "0.0");
    if (a < 1e-12 || a >= 1e15)
        return (int)(p - text) + sprintf(p, "%.9g", a);
    scale = (int)floor(log10(a)) + 1; /* digits before the point */
    for (int n = 6; n <= 9; n++) {
        int k = scale - n;
        double m = rint(k < 0 ? a * ten[-k] : a / ten[k]);

        if (n == 9 || value_of((uint64_t)m, k) == (float)a)
            return (int)(p - text) + write_digits(p, (uint64_t)m, k);
    }
    return 0;
}

int
emit_double(char text[EMIT_NUMBER], double x)
{
    int n = 0;

    if (!isfinite(x))
        return sprintf(text, "null");
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, EMIT_NUMBER, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    if (strpbrk(text, ".e") == NULL)
        n += sprintf(text + n, ".0");
    return n;
}

/* --- tensors ----------------------------------------------------------- */

int
emit_element(char text[EMIT_NUMBER], const struct tensor *t, size_t i)
{
    const void *p = (const char *)t->data + i * dtype_size(t->dtype);
    uint64_t u = 0;
    float f;
    double d;

    switch (t->dtype) {
    case DTYPE_FLOAT:
        memcpy(&f, p, sizeof f);
        return emit_float(text, f);
    case DTYPE_DOUBLE:
        memcpy(&d, p, sizeof d);
        return emit_double(text, d);
    case DTYPE_BOOL:
        return sprintf(text, "%s", *(const uint8_t *)p ? "true" : "false");
    case DTYPE_UINT8:
    case DTYPE_UINT16:
    case DTYPE_UINT32:
    case DTYPE_UINT64:
        memcpy(&u, p, dtype_size(t->dtype)); /* little-endian */
        return sprintf(text, "%" PRIu64, u);
    case DTYPE_INT8:
        return sprintf(text, "%d", *(const int8_t *)p);
    case DTYPE_INT16: {
        int16_t x;

        memcpy(&x, p, sizeof x);
        return sprintf(text, "%d", x);
    }
    case DTYPE_INT32: {
        int32_t x;

        memcpy(&x, p, sizeof x);
        return sprintf(text, "%" PRId32, x);
    }
    case DTYPE_INT64: {
        int64_t x;

        memcpy(&x, p, sizeof x);
        return sprintf(text, "%" PRId64, x);
    }
    default:
        return 0;
    }
}

int
emit_tensor(struct buf *b, const struct tensor *t, struct err *e)
{
    size_t n;

    if (shape_count(&t->shape, &n, e) != 0)
        return e->code;
    if (emit_text(b, "[", e) != 0)
        return e->code;
    for (size_t i = 0; i < n; i++) {
        int len;

        if (buf_reserve(b, EMIT_NUMBER + 2, e) != 0)
            return e->code;
        if (i > 0)
            b->p[b->n++] = ',';
        len = emit_element(b->p + b->n, t, i);
        if (len == 0)
            return err_set(e, ERR_INVALID,
                           "%s has no JSON form: ask for binary_data",
                           dtype_name(t->dtype));
        b->n += (size_t)len;
    }
    return emit_text(b, "]", e);
}
