/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ir/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool
shape_known(const struct shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0)
            return false;
    return s->rank >= 0;
}

bool
shape_equal(const struct shape *a, const struct shape *b)
{
    return a->rank == b->rank &&
           (a->rank <= 0 ||
            memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0);
}

int
shape_count(const struct shape *s, size_t *n, struct err *e)
{
    char text[SHAPE_TEXT];
    int64_t count = 1, bytes, checked = 1;

    for (int i = 0; i < s->rank; i++) {
        /* An empty axis must not hide an overflow in the others. */
        int64_t d = s->dim[i] == 0 ? 1 : s->dim[i];

        if (d < 0 || __builtin_mul_overflow(checked, d, &checked) ||
            __builtin_mul_overflow(checked, 8, &bytes))
            return err_set(e, ERR_INVALID, "shape %s is not possible",
                           shape_text(s, text));
        count *= s->dim[i];
    }
    if (s->rank < 0)
        return err_set(e, ERR_INVALID, "shape is not known");
    *n = (size_t)count;
    return 0;
}

int64_t
shape_span(const struct shape *s, int from, int to)
{
    int64_t n = 1;

    for (int i = from; i < to; i++)
        n *= s->dim[i];
    return n;
}

size_t
shape_n(const struct shape *s)
{
    return (size_t)shape_span(s, 0, s->rank);
}

size_t
shape_rounds(const struct shape *s)
{
    size_t n = 1;

    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i] > 0 ? (size_t)s->dim[i] : 1;
    return n;
}

const char *
shape_text(const struct shape *s, char text[SHAPE_TEXT])
{
    size_t at = 0;

    if (s->rank < 0)
        return strcpy(text, "?");
    text[at++] = '[';
    for (int i = 0; i < s->rank; i++) {
        if (i > 0)
            text[at++] = ',';
        if (s->dim[i] == SHAPE_DYNAMIC)
            text[at++] = '?';
        else /* at most 20 characters each: 8 fit */
            at += (size_t)snprintf(text + at, SHAPE_TEXT - at, "%" PRId64,
                                   s->dim[i]);
    }
    strcpy(text + at, "]");
    return text;
}

int
shape_broadcast(const struct shape *a, const struct shape *b, struct shape *out,
                struct err *e)
{
    struct shape r = {.rank = a->rank > b->rank ? a->rank : b->rank};

    for (int i = 1; i <= r.rank; i++) {
        int64_t x = i <= a->rank ? a->dim[a->rank - i] : 1;
        int64_t y = i <= b->rank ? b->dim[b->rank - i] : 1;

        if (x != y && x != 1 && y != 1)
            return err_set(e, ERR_INVALID,
                           "cannot broadcast %" PRId64 " to %" PRId64
                           " (axis -%d)",
                           x, y, i);
        r.dim[r.rank - i] = x == 1 ? y : x;
    }
    *out = r;
    return 0;
}

int
shape_axis(int64_t axis, int rank, int *out, struct err *e)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return err_set(e, ERR_INVALID, "axis %" PRId64 " is outside rank %d",
                       axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return 0;
}
