/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ops/walk.h"

#include <assert.h>
#include <string.h>

void
walk_begin(struct walk *w, const struct shape *over)
{
    *w = (struct walk){.rank = over->rank};
    for (int i = 0; i < over->rank; i++)
        w->dim[i] = over->dim[i];
}

void
walk_add(struct walk *w, const struct value *v)
{
    int64_t own[SHAPE_MAX_RANK], stride[WALK_RANK] = {0};
    int lead = w->rank - v->shape.rank;

    layout_strides(&v->shape, v->layout, own);
    for (int i = 0; i < v->shape.rank; i++)
        stride[lead + i] = v->shape.dim[i] == 1 ? 0 : own[i];
    walk_add_strides(w, stride, dtype_size(v->dtype));
}

void
walk_add_strides(struct walk *w, const int64_t *stride, size_t size)
{
    assert(w->n < WALK_OPERANDS);
    for (int i = 0; i < w->rank; i++)
        w->stride[w->n][i] = stride[i] * (int64_t)size;
    w->n++;
}

static void
swap_axes(struct walk *w, int i, int j)
{
    int64_t t = w->dim[i];

    w->dim[i] = w->dim[j];
    w->dim[j] = t;
    for (int k = 0; k < w->n; k++) {
        t = w->stride[k][i];
        w->stride[k][i] = w->stride[k][j];
        w->stride[k][j] = t;
    }
}

/* True when axis i is the continuation of axis i + 1 in every operand. */
static bool
one_run(const struct walk *w, int i)
{
    for (int k = 0; k < w->n; k++)
        if (w->stride[k][i] != w->stride[k][i + 1] * w->dim[i + 1])
            return false;
    return true;
}

static void
drop_axis(struct walk *w, int i)
{
    for (; i + 1 < w->rank; i++)
        swap_axes(w, i, i + 1);
    w->rank--;
}

void
walk_end(struct walk *w)
{
    for (int i = 0; i < w->rank; i++)
        if (w->dim[i] == 0) {
            w->rank = 1;
            w->dim[0] = 0;
            return;
        }
    for (int i = w->rank - 1; i >= 0; i--)
        if (w->dim[i] == 1)
            drop_axis(w, i);
    for (int i = 1; i < w->rank; i++)
        for (int j = i; j > 0 && w->stride[0][j - 1] < w->stride[0][j]; j--)
            swap_axes(w, j - 1, j);
    for (int i = w->rank - 2; i >= 0; i--)
        if (one_run(w, i)) {
            w->dim[i + 1] *= w->dim[i];
            drop_axis(w, i);
        }
    if (w->rank == 0) {
        w->rank = 1;
        w->dim[0] = 1;
        for (int k = 0; k < w->n; k++)
            w->stride[k][0] = 0;
    }
}

void
walk_run(const struct walk *w, char *const *base, walk_row *row, void *arg)
{
    int64_t at[WALK_RANK] = {0}, step[WALK_OPERANDS] = {0};
    char *p[WALK_OPERANDS] = {NULL};
    int last = w->rank - 1, i;

    if (w->dim[last] == 0)
        return;
    for (int k = 0; k < w->n; k++) {
        p[k] = base[k];
        step[k] = w->stride[k][last];
    }
    do {
        row(arg, w->dim[last], p, step);
        for (i = last - 1; i >= 0; i--) {
            int64_t by = at[i] + 1 < w->dim[i] ? 1 : -at[i];

            at[i] += by;
            for (int k = 0; k < w->n; k++)
                p[k] += by * w->stride[k][i];
            if (by == 1)
                break;
        }
    } while (i >= 0);
}

#define COPY_ROW(T)                                                            \
    for (int64_t i = 0; i < n; i++)                                            \
    *(T *)(p[0] + i * step[0]) = *(const T *)(p[1] + i * step[1])

static void
copy_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    size_t size = *(const size_t *)arg;

    if (step[0] == (int64_t)size && step[1] == (int64_t)size)
        memcpy(p[0], p[1], (size_t)n * size);
    else if (size == 1)
        COPY_ROW(uint8_t);
    else if (size == 2)
        COPY_ROW(uint16_t);
    else if (size == 4)
        COPY_ROW(uint32_t);
    else
        COPY_ROW(uint64_t);
}

void
walk_copy(const struct walk *w, void *to, const void *from, size_t size)
{
    walk_run(w, (char *const[]){to, (char *)from}, copy_row, &size);
}
