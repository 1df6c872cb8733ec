/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Einsum: products of elements of all inputs, summed over the axes that the
 * output does not name.  Each letter of the equation, and each axis of an
 * ellipsis, is one loop in which every tensor has its own stride; a letter
 * that a tensor names twice goes along its diagonal.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

enum { MAX_INPUTS = 8, MAX_LOOPS = 16, LETTERS = 52 };

struct einsum {
    int n_in;
    int n_out, n_loops; /* loops of the output come first */
    int64_t dim[MAX_LOOPS];
    int64_t stride[MAX_INPUTS][MAX_LOOPS]; /* in elements */
};

/* --- the equation -----------------------------------------------------------
 */

enum { DOTS = LETTERS, LABELS = LETTERS + SHAPE_MAX_RANK };

/* Labels of one tensor: letters, and where the axes of the ellipsis go. */
struct term {
    int n;
    int label[SHAPE_MAX_RANK + 1]; /* DOTS: the ellipsis */
    bool dots;
};

struct equation {
    int n_in;
    struct term in[MAX_INPUTS], out;
    bool explicit_out;
};

static int
letter_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

/* One term up to ',' or "->" or the end; *p moves behind it. */
static int
parse_term(const char **p, struct term *t, struct err *e)
{
    *t = (struct term){0};
    for (; **p != '\0' && **p != ',' && strncmp(*p, "->", 2) != 0; (*p)++) {
        bool dots = strncmp(*p, "...", 3) == 0;
        int label = dots ? DOTS : letter_of(**p);

        if (**p == ' ')
            continue;
        if (label < 0 || (dots && t->dots))
            return err_set(e, ERR_INVALID, "the equation is wrong at \"%.20s\"",
                           *p);
        if (t->n > SHAPE_MAX_RANK)
            return err_set(e, ERR_UNSUPPORTED,
                           "the equation has a term of over %d axes",
                           SHAPE_MAX_RANK);
        t->label[t->n++] = label;
        t->dots |= dots;
        *p += dots ? 2 : 0;
    }
    return 0;
}

static int
parse(const char *p, struct equation *q, struct err *e)
{
    *q = (struct equation){0};
    for (;;) {
        if (q->n_in == MAX_INPUTS)
            return err_set(e, ERR_UNSUPPORTED, "over %d inputs", MAX_INPUTS);
        if (parse_term(&p, &q->in[q->n_in++], e) != 0)
            return e->code;
        if (*p != ',')
            break;
        p++;
    }
    if (*p == '\0')
        return 0;
    p += 2;
    q->explicit_out = true;
    if (parse_term(&p, &q->out, e) != 0)
        return e->code;
    if (*p != '\0')
        return err_set(e, ERR_INVALID, "the equation is wrong at \"%.20s\"", p);
    return 0;
}

/* Without "->": the ellipsis, then the letters that occur once, in order. */
static int
imply_output(struct equation *q, struct err *e)
{
    int seen[LETTERS + 1] = {0};

    for (int i = 0; i < q->n_in; i++)
        for (int k = 0; k < q->in[i].n; k++)
            seen[q->in[i].label[k]]++;
    q->out.dots = seen[DOTS] > 0;
    if (q->out.dots)
        q->out.label[q->out.n++] = DOTS;
    for (int c = 0; c < LETTERS; c++)
        if (seen[c] == 1) {
            if (q->out.n > SHAPE_MAX_RANK)
                return err_set(e, ERR_UNSUPPORTED,
                               "the output has over %d axes", SHAPE_MAX_RANK);
            q->out.label[q->out.n++] = c;
        }
    return 0;
}

/* --- loops ------------------------------------------------------------------
 */

/* Loops by label; axis k from the end of an ellipsis is label DOTS + k. */
struct loops {
    struct einsum *v;
    int of[LABELS]; /* -1: none yet */
};

/* Labels of the axes of a tensor of that rank. */
static int
spread(const struct term *t, int rank, int label[SHAPE_MAX_RANK], struct err *e)
{
    int dots = rank - (t->n - t->dots), n = 0;

    if (dots < 0 || (dots > 0 && !t->dots))
        return err_set(e, ERR_INVALID,
                       "the equation has %d axes for a tensor of rank %d",
                       t->n - t->dots, rank);
    for (int i = 0; i < t->n; i++) {
        if (t->label[i] != DOTS)
            label[n++] = t->label[i];
        for (int k = dots; t->label[i] == DOTS && k-- > 0;)
            label[n++] = DOTS + k;
    }
    return 0;
}

/* The loop of a label, a new one at its first sight; -1 with *e set. */
static int
loop_of(struct loops *l, int label, struct err *e)
{
    if (l->of[label] >= 0)
        return l->of[label];
    if (l->v->n_loops == MAX_LOOPS) {
        err_set(e, ERR_UNSUPPORTED, "the equation has over %d different axes",
                MAX_LOOPS);
        return -1;
    }
    l->v->dim[l->v->n_loops] = 1;
    return l->of[label] = l->v->n_loops++;
}

/* Adds input i: an axis of 1 is broadcast to what others have. */
static int
add_input(struct loops *l, const struct term *t, int i, const struct shape *s,
          struct err *e)
{
    int label[SHAPE_MAX_RANK], loop;
    char text[SHAPE_TEXT];

    if (spread(t, s->rank, label, e) != 0)
        return e->code;
    for (int k = 0; k < s->rank; k++) {
        loop = loop_of(l, label[k], e);
        if (loop < 0)
            return e->code;
        if (s->dim[k] == 1)
            continue;
        if (l->v->dim[loop] != 1 && l->v->dim[loop] != s->dim[k])
            return err_set(e, ERR_INVALID,
                           "axis %d of input %d, %s, should be %" PRId64, k, i,
                           shape_text(s, text), l->v->dim[loop]);
        l->v->dim[loop] = s->dim[k];
        l->v->stride[i][loop] += shape_span(s, k + 1, s->rank);
    }
    return 0;
}

/* Axes of the longest ellipsis. */
static int
dots_of(const struct graph *g, const struct node *n, const struct equation *q)
{
    int most = 0;

    for (int i = 0; i < q->n_in; i++) {
        int dots = node_in(g, n, i)->shape.rank - (q->in[i].n - 1);

        if (q->in[i].dots && dots > most)
            most = dots;
    }
    return most;
}

/* The loops of the output, in its order, before any other. */
static int
add_output(struct loops *l, const struct equation *q, int dots, struct err *e)
{
    const int rank = q->out.n - q->out.dots + (q->out.dots ? dots : 0);
    int label[SHAPE_MAX_RANK];

    if (rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "the output has over %d axes",
                       SHAPE_MAX_RANK);
    if (spread(&q->out, rank, label, e) != 0)
        return e->code;
    for (int k = 0; k < rank; k++) {
        if (l->of[label[k]] >= 0)
            return err_set(e, ERR_INVALID,
                           "the equation's output names an axis twice");
        if (loop_of(l, label[k], e) < 0)
            return e->code;
    }
    l->v->n_out = rank;
    return 0;
}

/* Each letter of the output must be one of an input. */
static int
check_output(const struct equation *q, struct err *e)
{
    bool seen[LETTERS + 1] = {false};

    for (int i = 0; i < q->n_in; i++)
        for (int k = 0; k < q->in[i].n; k++)
            seen[q->in[i].label[k]] = true;
    for (int k = 0; k < q->out.n; k++)
        if (!seen[q->out.label[k]])
            return err_set(e, ERR_INVALID,
                           "the equation's output has an axis of no input");
    return 0;
}

static int
read_einsum(const struct graph *g, const struct node *n, struct einsum *v,
            struct err *e)
{
    struct loops l = {.v = v};
    struct equation q;

    *v = (struct einsum){.n_in = n->n_own};
    memset(l.of, -1, sizeof l.of);
    if (parse(attr_string(n, "equation", ""), &q, e) != 0)
        return e->code;
    if (q.n_in != n->n_own)
        return err_set(e, ERR_INVALID,
                       "the equation has %d inputs, the node "
                       "%d",
                       q.n_in, n->n_own);
    if (!q.explicit_out && imply_output(&q, e) != 0)
        return e->code;
    if (check_output(&q, e) != 0)
        return e->code;
    for (int i = 0; i < n->n_own; i++)
        if (node_in(g, n, i) == NULL)
            return err_set(e, ERR_INVALID, "input %d is absent", i);
    if (add_output(&l, &q, dots_of(g, n, &q), e) != 0)
        return e->code;
    for (int i = 0; i < n->n_own; i++)
        if (add_input(&l, &q.in[i], i, &node_in(g, n, i)->shape, e) != 0)
            return e->code;
    return 0;
}

int
einsum_infer(struct graph *g, struct node *n, struct err *e)
{
    const enum dtype t = node_in(g, n, 0)->dtype;
    struct shape out = {0};
    struct einsum v;

    if (rule_type(g, n, 0, TYPES_NUMBER, e) != 0 ||
        read_einsum(g, n, &v, e) != 0)
        return e->code;
    for (int i = 1; i < n->n_own; i++)
        if (rule_same_type(g, n, i, e) != 0)
            return e->code;
    out.rank = v.n_out;
    for (int k = 0; k < v.n_out; k++)
        out.dim[k] = v.dim[k];
    return rule_out(g, n, 0, t, &out, e);
}

double
einsum_work(const struct graph *g, const struct node *n)
{
    double product = 1;
    struct einsum v;
    struct err e;

    if (read_einsum(g, n, &v, &e) != 0)
        return 0;
    for (int i = 0; i < v.n_loops; i++)
        product *= (double)v.dim[i];
    return product;
}

/* --- kernel -----------------------------------------------------------------
 */

static int
einsum_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    struct einsum v;

    (void)w;
    if (read_einsum(g, n, &v, e) != 0 || step_own(s, sizeof v, e) != 0)
        return e->code;
    memcpy(s->own, &v, sizeof v);
    return 0;
}

/*
 * Moves to the next place of loops first..last - 1, the last one fastest.
 * Returns false, at the first place again, when there is none.
 */
static bool
next_place(const struct einsum *v, int first, int last, int64_t *place,
           int64_t at[MAX_INPUTS])
{
    for (int k = last - 1; k >= first; k--) {
        int64_t by = place[k] + 1 < v->dim[k] ? 1 : -place[k];

        place[k] += by;
        for (int i = 0; i < v->n_in; i++)
            at[i] += by * v->stride[i][k];
        if (by == 1)
            return true;
    }
    return false;
}

struct sum {
    double real;
    uint64_t integer;
};

/* Adds n products along the last loop. */
static void
add_products(const struct einsum *v, enum dtype t, void *const *in,
             const int64_t *at, int64_t n, struct sum *sum)
{
    const int64_t size = (int64_t)dtype_size(t);
    const int last = v->n_loops - 1;

    if (t == DTYPE_FLOAT && v->n_in == 2 && last >= v->n_out) {
        const float *a = (const float *)in[0] + at[0];
        const float *b = (const float *)in[1] + at[1];
        const int64_t as = v->stride[0][last], bs = v->stride[1][last];

        for (int64_t k = 0; k < n; k++)
            sum->real += (double)a[k * as] * b[k * bs];
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        double real = 1;
        uint64_t integer = 1;

        for (int i = 0; i < v->n_in; i++) {
            int64_t from = at[i];
            const char *p = in[i];

            from += last >= v->n_out ? k * v->stride[i][last] : 0;
            p += from * size;
            if (dtype_is_float(t))
                real *= number_double(t, p);
            else
                integer *= (uint64_t)number_int(t, p);
        }
        sum->real += real;
        sum->integer += integer;
    }
}

static int
einsum_run(const struct step *s, void *const *io, void *scratch, void *state,
           struct err *e)
{
    const struct einsum *v = s->own;
    const enum dtype t = step_in(s, 0)->dtype;
    const bool sums = v->n_loops > v->n_out;
    const int last = sums ? v->n_loops - 1 : v->n_loops;
    int64_t place[MAX_LOOPS] = {0}, at[MAX_INPUTS] = {0}, n = 1, inner = 1;
    char *y = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    (void)e;
    n = sums ? v->dim[last] : 1;
    for (int k = v->n_out; k < v->n_loops; k++)
        inner = v->dim[k] == 0 ? 0 : inner;
    if (shape_n(&step_out(s, 0)->shape) == 0)
        return 0;
    do {
        struct sum sum = {0, 0};

        do
            add_products(v, t, io, at, inner == 0 ? 0 : n, &sum);
        while (inner != 0 && next_place(v, v->n_out, last, place, at));
        if (dtype_is_float(t))
            number_convert(t, y, 0, DTYPE_DOUBLE, (const char *)&sum.real, 0,
                           1);
        else
            number_set_int(t, y, (int64_t)sum.integer);
        y += dtype_size(t);
    } while (next_place(v, 0, v->n_out, place, at));
    return 0;
}

KERNEL(EINSUM, "einsum", .prepare = einsum_prepare, .run = einsum_run,
       .done = step_done);
