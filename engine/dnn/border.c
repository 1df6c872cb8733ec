/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/border.h"

#include "base/mem.h"

/* Kernel places [lo, hi) of the window at place o that lie inside. */
struct part {
    int64_t lo, hi;
};

static struct part
part_at(const struct window *w, int axis, int64_t o)
{
    const int64_t step = w->dilation[axis], n = w->kernel[axis];
    const int64_t first = o * w->stride[axis] - w->begin[axis];
    const int64_t room = w->in[axis] - first; /* up to the end */
    int64_t lo = first < 0 ? (-first + step - 1) / step : 0;
    int64_t hi = room > 0 ? (room + step - 1) / step : 0;

    lo = lo < n ? lo : n;
    hi = hi < n ? hi : n;
    return (struct part){lo, hi > lo ? hi : lo};
}

/* Kinds of places along one axis; neighbours alone are compared, as parts do
 * not come again.  parts: as many as there are places. */
static void
find_kinds(struct border *b, const struct window *w, int axis,
           struct part *parts)
{
    int64_t n = 0;

    for (int64_t o = 0; o < w->out[axis]; o++) {
        struct part p = part_at(w, axis, o);

        if (n == 0 || parts[n - 1].lo != p.lo || parts[n - 1].hi != p.hi)
            parts[n++] = p;
        b->kind[axis][o] = (int32_t)(n - 1);
    }
    b->n_kinds[axis] = n;
}

struct source {
    const struct value *weights;
    const struct window *w;
    int32_t shift;
    const int32_t *zero, *factor;
};

static int32_t
weight_at(const struct source *s, int64_t i)
{
    return s->weights->dtype == DTYPE_UINT8
               ? ((const uint8_t *)s->weights->data)[i]
               : ((const int8_t *)s->weights->data)[i];
}

/* The sum of channel c over one part of each axis. */
static int32_t
sum_part(const struct source *s, int64_t c, const struct part p[WINDOW_MAX])
{
    const int64_t *k = s->w->kernel;
    int64_t first = c * k[0] * k[1] * k[2];
    uint32_t sum = 0;

    for (int64_t z = p[0].lo; z < p[0].hi; z++)
        for (int64_t y = p[1].lo; y < p[1].hi; y++)
            for (int64_t x = p[2].lo; x < p[2].hi; x++)
                sum +=
                    (uint32_t)(weight_at(s, first + (z * k[1] + y) * k[2] + x) -
                               s->shift - s->zero[c]);
    return (int32_t)(sum * (uint32_t)s->factor[c]);
}

static void
fill(struct border *b, const struct source *s,
     struct part *const part[WINDOW_MAX])
{
    int32_t *sum = b->sum;

    for (int64_t z = 0; z < b->n_kinds[0]; z++)
        for (int64_t y = 0; y < b->n_kinds[1]; y++)
            for (int64_t x = 0; x < b->n_kinds[2]; x++) {
                const struct part p[] = {part[0][z], part[1][y], part[2][x]};

                for (int64_t c = 0; c < b->channels; c++)
                    *sum++ = sum_part(s, c, p);
            }
}

int
border_make(struct border *b, const struct window *w,
            const struct value *weights, int32_t shift, const int32_t *zero,
            const int32_t *factor, struct err *e)
{
    const struct source s = {weights, w, shift, zero, factor};
    struct part *part[WINDOW_MAX] = {0};
    size_t kinds = 1;
    bool ok = true;

    b->channels = weights->shape.dim[0];
    for (int i = 0; i < WINDOW_MAX; i++) {
        b->out[i] = w->out[i];
        b->kind[i] = mem_try((size_t)w->out[i], sizeof *b->kind[i]);
        part[i] = mem_try((size_t)w->out[i], sizeof *part[i]);
        ok &= b->kind[i] != NULL && part[i] != NULL;
        if (!ok)
            break;
        find_kinds(b, w, i, part[i]);
        kinds *= (size_t)b->n_kinds[i];
    }
    if (ok)
        b->sum = mem_try(kinds * (size_t)b->channels, sizeof *b->sum);
    if (b->sum != NULL)
        fill(b, &s, part);
    for (int i = 0; i < WINDOW_MAX; i++)
        mem_free(part[i]);
    return b->sum != NULL
               ? 0
               : err_set(e, ERR_NO_MEMORY, "no memory for sums of weights");
}

const int32_t *
border_row(const struct border *b, int64_t i)
{
    const int64_t x = i % b->out[2], y = i / b->out[2] % b->out[1];
    const int64_t z = i / b->out[2] / b->out[1] % b->out[0];
    int64_t row = b->kind[0][z];

    row = row * b->n_kinds[1] + b->kind[1][y];
    row = row * b->n_kinds[2] + b->kind[2][x];
    return b->sum + row * b->channels;
}

void
border_free(struct border *b)
{
    for (int i = 0; i < WINDOW_MAX; i++) {
        mem_free(b->kind[i]);
        b->kind[i] = NULL;
    }
    mem_free(b->sum);
    b->sum = NULL;
}
