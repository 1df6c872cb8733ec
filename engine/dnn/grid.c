/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/grid.h"

#include <omp.h>
#include <string.h>

enum {
    PIECE = 8192, /* elements of a row handed out at once */
    /* A team of two pays from about 20 us of work on (measured: below that the
     * barrier costs more than the second core gives). */
    TEAM_WORK = 65536,
};

/* Strides by which v, seen with y's rank, lies in memory. */
static void
memory_strides(const struct value *v, const struct value *y, int64_t *stride)
{
    int rank = v->shape.rank, shift = y->shape.rank - rank;
    bool nxc = v->layout == LAYOUT_NXC && v->data == NULL && rank >= 3;
    int64_t step = 1;

    memset(stride, 0, SHAPE_MAX_RANK * sizeof *stride);
    if (nxc) {
        stride[shift + 1] = 1;
        step = v->shape.dim[1];
    }
    for (int i = rank; i-- > 0;) {
        if (nxc && i == 1)
            continue;
        stride[shift + i] = step;
        step *= v->shape.dim[i];
    }
    for (int i = 0; i < rank; i++)
        if (v->shape.dim[i] == 1)
            stride[shift + i] = 0;
}

/* True when axis k and the next one are walked as one by all tensors. */
static bool
joins(const struct grid *g, int k)
{
    for (int t = 0; t < g->n; t++)
        if (g->stride[t][k] != g->stride[t][k + 1] * g->dim[k + 1])
            return false;
    return true;
}

static void
remove_axis(struct grid *g, int k)
{
    size_t bytes = (size_t)(g->rank - k - 1) * sizeof *g->dim;

    memmove(&g->dim[k], &g->dim[k + 1], bytes);
    for (int t = 0; t < g->n; t++)
        memmove(&g->stride[t][k], &g->stride[t][k + 1], bytes);
    g->rank--;
}

/* Makes the last two axes one when all that stands against it is an operand
 * that the last but one repeats. */
static void
join_periods(struct grid *g)
{
    int last = g->rank - 1;
    int64_t n = last < 1 ? 0 : g->dim[last];
    bool repeats[GRID_MAX] = {false};

    if (n < 2 || n > GRID_MAX_PERIOD)
        return;
    for (int t = 0; t < g->n; t++) {
        repeats[t] = g->stride[t][last] == 1 && g->stride[t][last - 1] == 0;
        if (!repeats[t] && g->stride[t][last - 1] != g->stride[t][last] * n)
            return;
    }
    for (int t = 0; t < g->n; t++)
        g->period[t] = repeats[t] ? n : 0;
    g->dim[last] *= g->dim[last - 1];
    remove_axis(g, last - 1);
}

void
grid_make(struct grid *g, const struct value *y, const struct value *const *in,
          int n_in)
{
    int64_t stride[GRID_MAX][SHAPE_MAX_RANK];
    int rank = y->shape.rank;
    bool nxc = y->layout == LAYOUT_NXC && rank >= 3;

    memory_strides(y, y, stride[0]);
    for (int t = 0; t < n_in; t++)
        memory_strides(in[t], y, stride[t + 1]);
    memset(g, 0, sizeof *g);
    g->n = n_in + 1;
    g->rank = rank;
    for (int i = 0; i < rank; i++) {
        int from = !nxc || i == 0 ? i : i == rank - 1 ? 1 : i + 1;

        g->dim[i] = y->shape.dim[from];
        for (int t = 0; t < g->n; t++)
            g->stride[t][i] = stride[t][from];
    }
    for (int k = g->rank; k-- > 0;)
        if (g->dim[k] == 1)
            remove_axis(g, k);
    for (int k = g->rank - 1; k-- > 0;)
        if (joins(g, k)) {
            g->dim[k + 1] *= g->dim[k];
            remove_axis(g, k);
        }
    join_periods(g);
    if (g->rank == 0) {
        g->rank = 1;
        g->dim[0] = 1;
        for (int t = 0; t < g->n; t++)
            g->stride[t][0] = 0;
    }
    g->stride[0][g->rank - 1] = 1;
}

struct pieces {
    const struct grid *grid;
    int64_t each; /* pieces of one row */
    int64_t size; /* elements of a piece */
    void (*row)(void *arg, const int64_t *at, const int64_t *step, int64_t n);
    void *arg;
};

static void
one_piece(void *arg, int64_t i)
{
    const struct pieces *p = arg;
    const struct grid *g = p->grid;
    int last = g->rank - 1;
    int64_t from = i % p->each * p->size, n = g->dim[last] - from;
    int64_t at[GRID_MAX], step[GRID_MAX];

    for (int t = 0; t < g->n; t++) {
        int64_t rest = i / p->each;

        step[t] = g->stride[t][last];
        at[t] = g->period[t] != 0 ? 0 : from * step[t];
        for (int k = last; k-- > 0; rest /= g->dim[k])
            at[t] += rest % g->dim[k] * g->stride[t][k];
    }
    p->row(p->arg, at, step, n < p->size ? n : p->size);
}

void
grid_each(const struct grid *g,
          void (*row)(void *arg, const int64_t *at, const int64_t *step,
                      int64_t n),
          void *arg)
{
    int64_t n = g->dim[g->rank - 1], rows = 1;
    struct pieces p = {g, 0, PIECE, row, arg};

    for (int t = 0; t < g->n; t++)
        if (g->period[t] != 0)
            p.size = PIECE / g->period[t] * g->period[t];
    p.each = (n + p.size - 1) / p.size;
    for (int k = 0; k < g->rank - 1; k++)
        rows *= g->dim[k];
    grid_split(rows * p.each, n < p.size ? n : p.size, one_piece, &p);
}

void
grid_split(int64_t n, int64_t cost, void (*part)(void *arg, int64_t i),
           void *arg)
{
    if (n < 2 || n * cost < TEAM_WORK || omp_get_max_threads() < 2) {
        for (int64_t i = 0; i < n; i++)
            part(arg, i);
        return;
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        part(arg, i);
}
