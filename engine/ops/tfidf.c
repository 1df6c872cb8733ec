/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TfIdfVectorizer of numbers: how often each n-gram of a list comes in a row,
 * also with elements left out between its own.
 * Source: ONNX TfIdfVectorizer, opset 9.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

enum mode { TF, IDF, TFIDF };

struct grams {
    enum mode mode;
    int64_t min, max, skips; /* lengths; elements left out */
    const int64_t *pool, *starts, *columns;
    int n_pool, n_starts, n_columns;
    const float *weights; /* one a column, or NULL */
    int64_t width;
};

/* The part of the pool with n-grams of length k; false: there is none. */
static bool
part_of(const struct grams *g, int64_t k, int64_t *from, int64_t *to)
{
    if (k > g->n_starts)
        return false;
    *from = g->starts[k - 1];
    *to = k < g->n_starts ? g->starts[k] : g->n_pool;
    return *to > *from;
}

/* Each part must be whole n-grams, and each n-gram have a column. */
static int
check_parts(struct grams *g, struct err *e)
{
    int64_t n = 0, from, to, last = 0;

    for (int64_t k = 1; k <= g->n_starts; k++) {
        if (g->starts[k - 1] < last || g->starts[k - 1] > g->n_pool)
            return err_set(e, ERR_INVALID, "ngram_counts holds %" PRId64,
                           g->starts[k - 1]);
        last = g->starts[k - 1];
    }
    for (int64_t k = 1; k <= g->n_starts; k++)
        if (part_of(g, k, &from, &to)) {
            if ((to - from) % k != 0)
                return err_set(e, ERR_INVALID,
                               "%" PRId64 " numbers are no n-grams of %" PRId64,
                               to - from, k);
            n += (to - from) / k;
        }
    if (n != g->n_columns)
        return err_set(e, ERR_INVALID,
                       "%d numbers in ngram_indexes for %" PRId64 " n-grams",
                       g->n_columns, n);
    for (int i = 0; i < g->n_columns; i++) {
        if (g->columns[i] < 0 || g->columns[i] >= INT32_MAX)
            return err_set(e, ERR_INVALID, "ngram_indexes holds %" PRId64,
                           g->columns[i]);
        if (g->columns[i] >= g->width)
            g->width = g->columns[i] + 1;
    }
    return 0;
}

static int
read_grams(const struct node *n, struct grams *g, struct err *e)
{
    static const char *const modes[] = {"TF", "IDF", "TFIDF"};
    const char *mode = attr_string(n, "mode", "");
    int count;

    *g = (struct grams){.min = attr_int(n, "min_gram_length", 1),
                        .max = attr_int(n, "max_gram_length", 1),
                        .skips = attr_int(n, "max_skip_count", 0)};
    for (g->mode = TF; strcmp(modes[g->mode], mode) != 0; g->mode++)
        if (g->mode == TFIDF)
            return err_set(e, ERR_INVALID, "mode is \"%s\"", mode);
    g->pool = attr_ints(n, "pool_int64s", &g->n_pool);
    g->starts = attr_ints(n, "ngram_counts", &g->n_starts);
    g->columns = attr_ints(n, "ngram_indexes", &g->n_columns);
    g->weights = attr_floats(n, "weights", &count);
    if (g->pool == NULL || g->n_columns == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "pool_int64s or ngram_indexes is missing: only numbers "
                       "are supported");
    if (g->min < 1 || g->max < g->min || g->skips < 0)
        return err_set(e, ERR_INVALID,
                       "n-grams of %" PRId64 " to %" PRId64 ", up to %" PRId64
                       " left out",
                       g->min, g->max, g->skips);
    if (g->max > g->n_starts)
        g->max = g->n_starts;
    if (check_parts(g, e) != 0)
        return e->code;
    if (g->weights != NULL && count < g->width)
        return err_set(e, ERR_INVALID, "%d weights for %" PRId64 " columns",
                       count, g->width);
    return 0;
}

/* x [C] or [N,C] -> [width] or [N,width] */
int
tfidf_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    char text[SHAPE_TEXT];
    struct grams l;

    if (rule_type(g, n, 0, TYPES_INDEX, e) != 0 || read_grams(n, &l, e) != 0)
        return e->code;
    if (out.rank < 1 || out.rank > 2)
        return err_set(e, ERR_INVALID, "input is %s",
                       shape_text(&x->shape, text));
    out.dim[out.rank - 1] = l.width;
    return rule_out(g, n, 0, DTYPE_FLOAT, &out, e);
}

/* The column of the k elements from p on, or -1; of equals the last counts. */
static int64_t
column_of(const struct grams *g, int64_t k, enum dtype t, const char *p,
          int64_t step)
{
    int64_t from, to, before = 0;

    for (int64_t i = 1; i < k; i++)
        if (part_of(g, i, &from, &to))
            before += (to - from) / i;
    if (!part_of(g, k, &from, &to))
        return -1;
    for (int64_t i = (to - from) / k; i-- > 0;) {
        const int64_t *gram = g->pool + from + i * k;
        int64_t same = 0;

        while (same < k && gram[same] == number_int(t, p + same * step))
            same++;
        if (same == k)
            return g->columns[before + i];
    }
    return -1;
}

static void
count_row(const struct grams *g, enum dtype t, const char *x, int64_t n,
          float *y)
{
    const int64_t size = (int64_t)dtype_size(t);

    for (int64_t skip = 1; skip <= g->skips + 1 && skip <= n; skip++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = g->min; k <= g->max; k++) {
                int64_t column;

                if ((n - 1 - i) / skip < k - 1 || (k == 1 && skip > 1))
                    continue; /* one element is the same at any distance */
                column = column_of(g, k, t, x + i * size, skip * size);
                if (column >= 0)
                    y[column]++;
            }
}

static int
tfidf_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct value *x = step_in(s, 0);
    const int64_t n = x->shape.dim[x->shape.rank - 1];
    const int64_t rows = x->shape.rank == 1 ? 1 : x->shape.dim[0];
    const int64_t row = n * (int64_t)dtype_size(x->dtype);
    float *y = step_io_out(s, io, 0);
    struct grams g;

    (void)scratch;
    (void)state;
    if (read_grams(s->node, &g, e) != 0)
        return e->code;
    for (int64_t r = 0; r < rows; r++, y += g.width) {
        for (int64_t i = 0; i < g.width; i++)
            y[i] = 0;
        count_row(&g, x->dtype, (const char *)io[0] + r * row, n, y);
        for (int64_t i = 0; g.mode != TF && i < g.width; i++) {
            float seen = g.mode == IDF ? (float)(y[i] > 0) : y[i];

            y[i] = g.weights == NULL ? seen : g.weights[i] * seen;
        }
    }
    return 0;
}

KERNEL(TFIDF_VECTORIZER, "tfidf", .run = tfidf_run);
