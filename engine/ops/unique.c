/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique: each element, or each slice along an axis, once.  They are sorted
 * as numbers are, slices as words; equal ones then stand side by side, in the
 * order they came.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ops/number.h"
#include "engine/ops/rule.h"

/* x [outer,n,inner]: n slices; without an axis all elements are slices. */
struct slices {
    enum dtype t;
    const char *x;
    int64_t outer, n, inner, size;
};

static int
read_slices(const struct value *v, const struct node *n, const void *x,
            struct slices *s, struct err *e)
{
    int axis;

    *s = (struct slices){v->dtype, x,
                         1,        (int64_t)shape_n(&v->shape),
                         1,        (int64_t)dtype_size(v->dtype)};
    if (attr_find(n, "axis") == NULL)
        return 0;
    if (rule_axis(n, 0, v->shape.rank, &axis, e) != 0)
        return e->code;
    s->outer = shape_span(&v->shape, 0, axis);
    s->n = v->shape.dim[axis];
    s->inner = shape_span(&v->shape, axis + 1, v->shape.rank);
    return 0;
}

static int
order_slices(const struct slices *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++) {
            int64_t at = o * s->n * s->inner + i;
            int c = number_order(s->t, s->x + (at + a * s->inner) * s->size,
                                 s->x + (at + b * s->inner) * s->size);

            if (c != 0)
                return c;
        }
    return 0;
}

/* Merges runs from the bottom up, which keeps equal ones in order; the
 * result is in `at`. */
static void
sort(const struct slices *s, int64_t *at, int64_t *spare)
{
    for (int64_t i = 0; i < s->n; i++)
        at[i] = i;
    for (int64_t run = 1; run < s->n; run *= 2) {
        for (int64_t from = 0; from < s->n; from += 2 * run) {
            int64_t mid = from + run < s->n ? from + run : s->n;
            int64_t end = mid + run < s->n ? mid + run : s->n;
            int64_t a = from, b = mid;

            for (int64_t k = from; k < end; k++) {
                bool left =
                    a < mid && (b == end || order_slices(s, at[a], at[b]) <= 0);

                spare[k] = left ? at[a++] : at[b++];
            }
        }
        memcpy(at, spare, (size_t)s->n * sizeof *at);
    }
}

/* Which of the different ones each sorted one is; returns how many. */
static int64_t
group(const struct slices *s, const int64_t *at, int64_t *of)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || order_slices(s, at[i - 1], at[i]) != 0)
            n++;
        of[at[i]] = n - 1;
    }
    return n;
}

static int
count(const struct slices *s, int64_t *n, struct err *e)
{
    int64_t *at = mem_try((size_t)s->n, 3 * sizeof *at);

    if (at == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory to sort %" PRId64, s->n);
    sort(s, at, at + s->n);
    *n = group(s, at, at + 2 * s->n);
    mem_free(at);
    return 0;
}

int
unique_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    struct slices s;
    int64_t m = 0;
    int axis;

    if (rule_type(g, n, 0, TYPES_NUMBER | TYPE(BOOL), e) != 0 ||
        read_slices(x, n, x->data, &s, e) != 0)
        return e->code;
    if (x->data == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "the number of elements depends on data: input %s is "
                       "no constant",
                       x->name);
    if (count(&s, &m, e) != 0)
        return e->code;
    if (attr_find(n, "axis") == NULL)
        out = SHAPE(m);
    else if (rule_axis(n, 0, out.rank, &axis, e) == 0)
        out.dim[axis] = m;
    if (rule_out(g, n, 1, DTYPE_INT64, &SHAPE(m), e) != 0 ||
        rule_out(g, n, 2, DTYPE_INT64, &SHAPE(s.n), e) != 0 ||
        rule_out(g, n, 3, DTYPE_INT64, &SHAPE(m), e) != 0)
        return e->code;
    return rule_out(g, n, 0, x->dtype, &out, e);
}

static int
unique_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    struct slices l;

    (void)w;
    if (read_slices(node_in(g, n, 0), n, NULL, &l, e) != 0)
        return e->code;
    s->scratch_bytes = 3 * (size_t)l.n * sizeof(int64_t);
    return 0;
}

/* Numbers groups anew, by the place of their first slice. */
static void
by_place(const struct slices *s, int64_t *of, int64_t *renamed)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; i++)
        renamed[i] = -1;
    for (int64_t i = 0; i < s->n; i++) {
        if (renamed[of[i]] < 0)
            renamed[of[i]] = n++;
        of[i] = renamed[of[i]];
    }
}

static void
copy_slice(const struct slices *s, int64_t from, char *y, int64_t m, int64_t to)
{
    const int64_t bytes = s->inner * s->size;

    for (int64_t o = 0; o < s->outer && bytes > 0; o++)
        memcpy(y + (o * m + to) * bytes, s->x + (o * s->n + from) * bytes,
               (size_t)bytes);
}

static int
unique_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    int64_t *out[4] = {NULL}, *of, *first, m;
    struct slices l;

    (void)state;
    if (read_slices(step_in(s, 0), s->node, io[0], &l, e) != 0)
        return e->code;
    first = scratch;
    of = first + 2 * l.n;
    sort(&l, first, first + l.n);
    m = group(&l, first, of);
    if (attr_int(s->node, "sorted", 1) == 0)
        by_place(&l, of, first);
    for (int k = 1; k < 4; k++)
        if (step_out(s, k) != NULL)
            out[k] = step_io_out(s, io, k);
    for (int64_t i = l.n; i-- > 0;) /* the first of each is last */
        first[of[i]] = i;
    for (int64_t k = 0; k < m; k++) {
        copy_slice(&l, first[k], step_io_out(s, io, 0), m, k);
        if (out[1] != NULL)
            out[1][k] = first[k];
        if (out[3] != NULL)
            out[3][k] = 0;
    }
    for (int64_t i = 0; i < l.n; i++) {
        if (out[2] != NULL)
            out[2][i] = of[i];
        if (out[3] != NULL)
            out[3][of[i]]++;
    }
    return 0;
}

KERNEL(UNIQUE, "unique", .prepare = unique_prepare, .run = unique_run);
