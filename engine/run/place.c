/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest buffer first, each into the smallest gap that holds it among
 * those placed already that live at the same time.
 */
#include "engine/run/place.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

static size_t
rounded(size_t bytes)
{
    return (bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
}

static int
larger_first(const void *a, const void *b)
{
    const struct place *x = *(struct place *const *)a;
    const struct place *y = *(struct place *const *)b;

    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->first > y->first) - (x->first < y->first);
}

static int
lower_first(const void *a, const void *b)
{
    const struct place *x = *(struct place *const *)a;
    const struct place *y = *(struct place *const *)b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Where p fits between the n_live buffers, which are sorted by offset. */
static size_t
smallest_gap(const struct place *p, struct place *const *live, size_t n_live)
{
    size_t end = 0, best = SIZE_MAX, at = 0;

    for (size_t i = 0; i < n_live; i++) {
        size_t gap = live[i]->offset > end ? live[i]->offset - end : 0;

        if (gap >= rounded(p->bytes) && gap < best) {
            best = gap;
            at = end;
        }
        if (live[i]->offset + rounded(live[i]->bytes) > end)
            end = live[i]->offset + rounded(live[i]->bytes);
    }
    return best == SIZE_MAX ? end : at;
}

int
place_buffers(struct place *at, size_t n, size_t *total, struct err *e)
{
    struct place **order, **live;
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        if (at[i].bytes > SIZE_MAX / 4 - sum)
            return err_set(e, ERR_NO_MEMORY, "%zu buffers are too large", n);
        else
            sum += rounded(at[i].bytes);
    order = mem_try(n, 2 * sizeof *order);
    if (order == NULL)
        return err_set(e, ERR_NO_MEMORY, "memory plan of %zu buffers", n);
    live = order + n;
    for (size_t i = 0; i < n; i++)
        order[i] = &at[i];
    qsort(order, n, sizeof *order, larger_first);

    *total = 0;
    for (size_t i = 0; i < n; i++) {
        struct place *p = order[i];
        size_t n_live = 0;

        for (size_t j = 0; j < i; j++)
            if (order[j]->first <= p->last && p->first <= order[j]->last)
                live[n_live++] = order[j];
        qsort(live, n_live, sizeof *live, lower_first);
        p->offset = smallest_gap(p, live, n_live);
        if (p->offset + rounded(p->bytes) > *total)
            *total = p->offset + rounded(p->bytes);
    }
    mem_free(order);
    return 0;
}
