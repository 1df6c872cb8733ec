/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/seen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "quant/convert.h"

struct moments {
    int64_t n, n_nonfinite;
    double mean, m2, min, max; /* m2: sum of squared distances from mean */
};

struct seen {
    VEC(uint64_t) hashes; /* one a sample */
    uint64_t hash;        /* of the current one */
    int n_inputs;
    struct moments inputs[];
};

struct seen *
seen_new(int n_inputs)
{
    struct seen *s =
        mem_new(1, sizeof *s + (size_t)n_inputs * sizeof s->inputs[0]);

    s->n_inputs = n_inputs;
    return s;
}

void
seen_free(struct seen **s)
{
    if (*s != NULL)
        mem_free((*s)->hashes.at);
    mem_free(*s);
    *s = NULL;
}

/* Mixes bytes into h.  Not for enemies: duplicates are counted, not trusted. */
static uint64_t
mix(uint64_t h, const void *p, size_t bytes)
{
    const unsigned char *b = p;

    for (; bytes > 0;) {
        size_t n = bytes < 8 ? bytes : 8;
        uint64_t w = 0;

        memcpy(&w, b, n);
        h = (h ^ w ^ n) * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
        h ^= h >> 29;
        b += n;
        bytes -= n;
    }
    return h;
}

/* Joins the moments of two lots.  Source: Chan, Golub, LeVeque 1979, Updating
 * formulae and a pairwise algorithm for computing sample variances. */
static void
join(struct moments *m, const struct moments *lot)
{
    double delta = lot->mean - m->mean, n = (double)(m->n + lot->n);

    m->n_nonfinite += lot->n_nonfinite;
    if (lot->n == 0)
        return;
    m->min = m->n == 0 ? lot->min : fmin(m->min, lot->min);
    m->max = m->n == 0 ? lot->max : fmax(m->max, lot->max);
    m->m2 += lot->m2 + delta * delta * (double)m->n * (double)lot->n / n;
    m->mean += delta * (double)lot->n / n;
    m->n += lot->n;
}

/* The moments of n numbers. */
static struct moments
measure(const float *v, size_t n)
{
    struct moments lot = {.min = INFINITY, .max = -INFINITY};
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i])) {
            double x = (double)v[i];

            lot.n++;
            sum += x;
            lot.min = x < lot.min ? x : lot.min;
            lot.max = x > lot.max ? x : lot.max;
        }
    lot.n_nonfinite = (int64_t)n - lot.n;
    lot.mean = lot.n > 0 ? sum / (double)lot.n : 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i]))
            lot.m2 += ((double)v[i] - lot.mean) * ((double)v[i] - lot.mean);
    return lot;
}

/* In lots that stay in the cache. */
static void
note_values(struct moments *m, enum dtype t, const void *p, size_t n)
{
    enum { LOT = 1024 };
    float lot[LOT];

    for (size_t at = 0; at < n; at += LOT) {
        size_t k = n - at < LOT ? n - at : LOT;

        const float *v = (const float *)p + at;
        struct moments of_lot;

        if (t != DTYPE_FLOAT) {
            for (size_t i = 0; i < k; i++)
                lot[i] = (float)convert_real(t, p, at + i);
            v = lot;
        }
        of_lot = measure(v, k);
        join(m, &of_lot);
    }
}

void
seen_input(struct seen *s, int input, enum dtype t, const void *p, size_t n)
{
    s->hash = mix(s->hash, p, n * dtype_size(t));
    note_values(&s->inputs[input], t, p, n);
}

void
seen_sample(struct seen *s)
{
    VEC_PUSH(&s->hashes, s->hash);
    s->hash = 0;
}

int64_t
seen_n(const struct seen *s)
{
    return (int64_t)s->hashes.n;
}

void
seen_stats(const struct seen *s, int input, struct seen_stats *out)
{
    const struct moments *m = &s->inputs[input];

    *out = (struct seen_stats){
        .n = m->n,
        .n_nonfinite = m->n_nonfinite,
        .mean = m->mean,
        .std = m->n > 0 ? sqrt(m->m2 / (double)m->n) : 0,
        .min = m->min,
        .max = m->max,
    };
}

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The hashes in order; NULL without samples or memory. */
static uint64_t *
sorted_hashes(const struct seen *s)
{
    size_t bytes = s->hashes.n * sizeof *s->hashes.at;
    uint64_t *v = bytes == 0 ? NULL : mem_try(1, bytes);

    if (v == NULL)
        return NULL;
    memcpy(v, s->hashes.at, bytes);
    qsort(v, s->hashes.n, sizeof *v, by_value);
    return v;
}

int64_t
seen_distinct(const struct seen *s)
{
    uint64_t *v = sorted_hashes(s);
    int64_t n = 0;

    for (size_t i = 0; v != NULL && i < s->hashes.n; i++)
        n += i == 0 || v[i] != v[i - 1];
    mem_free(v);
    return n;
}

int64_t
seen_overlap(const struct seen *a, const struct seen *b)
{
    uint64_t *v = sorted_hashes(a);
    int64_t n = 0;

    for (size_t i = 0; v != NULL && i < b->hashes.n; i++)
        n += bsearch(&b->hashes.at[i], v, a->hashes.n, sizeof *v, by_value) !=
             NULL;
    mem_free(v);
    return n;
}
