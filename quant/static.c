/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipe that needs samples: where Q/DQ pairs go is decided by sites.c,
 * what ranges they cover by range.c from what observe.c saw; here both meet.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "quant/layer.h"
#include "quant/observe.h"
#include "quant/range.h"
#include "quant/rewrite.h"

/*
 * Arms of a Concat whose ranges differ more than this keep their own scales:
 * with one for boxes (0 to 640) and scores (0 to 1) no score would survive.
 * At 8 the narrow arm still has 5 of its 8 bits.
 */
static const double max_spread = 8;

/* Below this many samples ranges are a guess: the usual advice is 100 to
 * 1000. */
enum { FEW_SAMPLES = 100 };

struct recipe {
    const struct graph *g;
    const struct quant_options *options;
    const struct observation *ob;
    struct quant_result *result;
    struct sites sites;
    struct layers layers;
    struct range *range; /* by value, of the watched ones */
    int *line;           /* by value: of result->tensors, -1 */
};

static void
choose_ranges(struct recipe *s)
{
    for (size_t i = 0; i < s->ob->watched.n; i++)
        s->range[s->ob->watched.at[i].value] =
            range_choose(s->ob->watched.at[i].histogram, s->options->calibrator,
                         s->options->percentile);
}

static bool
spread_too_wide(const struct recipe *s, const struct node *n)
{
    double least = INFINITY, most = 0;

    for (int k = 0; k < n->n_in; k++) {
        const struct range *r = &s->range[n->in[k]];
        double width = (double)r->high - (double)r->low;

        if (width <= 0)
            continue; /* nothing but zeros: any scale does */
        least = fmin(least, width);
        most = fmax(most, width);
    }
    return most > max_spread * least;
}

/* Takes Concats of unlike arms out of the integer world. */
static void
part_concats(struct recipe *s)
{
    for (size_t i = 0; i < s->g->nodes.n; i++)
        if (s->g->nodes.at[i].op == OP_CONCAT && s->sites.int8[i] &&
            spread_too_wide(s, &s->g->nodes.at[i])) {
            s->sites.int8[i] = false;
            result_warn(s->result,
                        "Concat %s stays in float: the ranges of its inputs "
                        "differ more than %g times",
                        s->g->nodes.at[i].name, max_spread);
        }
    sites_solve(&s->sites);
}

/* Tensors that share parameters get a range that covers all of theirs. */
static void
join_ranges(struct recipe *s)
{
    const struct sites *p = &s->sites;

    for (size_t v = 0; v < s->g->values.n; v++) {
        struct range *r = &s->range[sites_group(p, (int)v)];

        if (p->quantized[v]) {
            r->low = fminf(r->low, s->range[v].low);
            r->high = fmaxf(r->high, s->range[v].high);
        }
    }
    for (size_t v = 0; v < s->g->values.n; v++)
        s->range[v] = s->range[sites_group(p, (int)v)];
}

static void
describe(struct recipe *s, const struct watched *w)
{
    const struct histogram *h = w->histogram;
    struct range_u8 q = range_u8(s->range[w->value]);
    struct range reach = range_of_u8(q);
    struct quant_tensor t = {
        .name = result_string(s->result, s->g->values.at[w->value].name),
        .is_input = w->input >= 0,
        .quantized = s->sites.quantized[w->value],
        .min = h->min,
        .max = h->max,
        .mean = histogram_mean(h),
        .std = histogram_std(h),
        .values = h->n,
        .nonfinite = h->nonfinite,
    };

    if (!t.is_input && !t.quantized)
        return;
    if (t.quantized) {
        t.scale = q.scale;
        t.zero = q.zero;
        t.low = reach.low;
        t.high = reach.high;
        t.clipped = range_clipped(h, q);
        t.sqnr_db = range_sqnr_db(h, reach);
    }
    s->line[w->value] = (int)s->result->tensors.n;
    VEC_PUSH(&s->result->tensors, t);
}

/* Signal over noise of a product, whose factors carry independent noise. */
static double
sqnr_of_product(double a_db, double b_db)
{
    double noise = pow(10, -a_db / 10) + pow(10, -b_db / 10);

    return noise <= 0 ? INFINITY : -10 * log10(noise);
}

static int
add_layers(struct recipe *s, struct err *e)
{
    for (size_t i = 0; i < s->g->nodes.n; i++) {
        const struct node *n = &s->g->nodes.at[i];
        bool int8 = s->sites.int8[i];
        struct quant_layer *q;
        int rc;

        if (!sites_is_layer(n))
            continue;
        rc = layers_add(&s->layers, i, int8 ? QUANT_INT8 : QUANT_FLOAT,
                        s->sites.reason[i], e);
        if (rc != 0)
            return rc;
        q = &s->result->layers.at[s->result->layers.n - 1];
        q->output = s->line[sites_result(&s->sites, n)];
        if (!int8)
            continue;
        q->input = s->line[n->in[0]];
        q->sqnr_db = sqnr_of_product(q->weight_sqnr_db,
                                     s->result->tensors.at[q->input].sqnr_db);
    }
    if (s->result->n_int8 == 0)
        return sites_nothing(&s->sites, s->options, e);
    return 0;
}

static bool
follow(void *arg, int id, size_t node)
{
    const struct sites *p = arg;

    if (node >= p->g->nodes.n)
        return false; /* one of the new ones */
    return p->int8[node] || sites_floats_follow(p, id);
}

static int
add_pairs(struct recipe *s, struct err *e)
{
    for (size_t v = 0; v < s->g->values.n; v++) {
        int rc;

        if (!s->sites.quantized[v])
            continue;
        rc = rewrite_tensor(s->layers.g, (int)v, range_u8(s->range[v]), follow,
                            &s->sites, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The largest magnitude that a layer reading value id directly writes. */
static float
largest_behind(const struct recipe *s, int id)
{
    float largest = 0;

    for (size_t i = 0; i < s->g->nodes.n; i++) {
        const struct node *n = &s->g->nodes.at[i];
        const struct histogram *h;

        if (!sites_is_layer(n) || n->in[0] != id)
            continue;
        h = observation_of(s->ob, sites_result(&s->sites, n));
        if (h != NULL)
            largest = fmaxf(largest, fmaxf(-h->min, h->max));
    }
    return largest;
}

static void
warn_of_input(struct recipe *s, const struct watched *w)
{
    const char *name = s->g->values.at[w->value].name;
    const struct histogram *h = w->histogram;
    double std = histogram_std(h), mean = histogram_mean(h);
    /* Networks keep their activations near 1; those of models that want raw
     * pixels divide by 255 in their first layer. */
    float behind = largest_behind(s, w->value);

    if (h->n == 0)
        return;
    if (h->min == h->max)
        result_warn(s->result,
                    "input %s is the same number, %g, in all calibration "
                    "samples",
                    name, (double)h->min);
    else if (std < 1e-3 * fabs(mean))
        result_warn(s->result,
                    "input %s hardly varies: mean %.4g, standard deviation "
                    "%.4g",
                    name, mean, std);
    else if (h->min >= 0 && h->max > 64 && h->max <= 255 && behind > 100)
        result_warn(s->result,
                    "input %s runs from %g to %g, as raw pixels do, and the "
                    "first layer makes numbers up to %.3g of it: does the "
                    "model want its input scaled or normalized?",
                    name, (double)h->min, (double)h->max, (double)behind);
}

static void
warn_of_tensors(struct recipe *s)
{
    size_t n_constant = 0, n_nonfinite = 0;
    const char *constant = NULL, *nonfinite = NULL;

    for (size_t i = 0; i < s->result->tensors.n; i++) {
        const struct quant_tensor *t = &s->result->tensors.at[i];

        if (!t->is_input && t->min == t->max && n_constant++ == 0)
            constant = t->name;
        if (t->nonfinite > 0 && n_nonfinite++ == 0)
            nonfinite = t->name;
    }
    if (n_constant > 0)
        result_warn(s->result,
                    "%zu tensors never change over the calibration samples, "
                    "the first is %s",
                    n_constant, constant);
    if (n_nonfinite > 0)
        result_warn(s->result,
                    "%zu tensors held NaN or infinity, left out of their "
                    "ranges; the first is %s",
                    n_nonfinite, nonfinite);
}

static void
warn(struct recipe *s)
{
    const struct observation *ob = s->ob;
    struct quant_result *r = s->result;

    result_warn_unmatched(r, s->options, s->g);
    if (ob->samples < FEW_SAMPLES)
        result_warn(r,
                    "only %ld calibration samples: use %d or more, better 500",
                    ob->samples, FEW_SAMPLES);
    if (ob->skipped > 0)
        result_warn(r,
                    "%ld calibration samples hold NaN or infinity and were "
                    "left out",
                    ob->skipped);
    for (size_t i = 0; i < ob->watched.n; i++)
        if (ob->watched.at[i].input >= 0)
            warn_of_input(s, &ob->watched.at[i]);
    warn_of_tensors(s);
    if (s->options->reduce_range)
        result_warn(r, "7-bit weights: this CPU has no VNNI, and sums of "
                       "8-bit products would saturate");
}

int
quant_static(const struct graph *g, const struct quant_options *o,
             const struct observation *ob, struct quant_result *r,
             struct graph **out, struct err *e)
{
    struct recipe s = {.g = g, .options = o, .ob = ob, .result = r};
    int rc;

    sites_init(&s.sites, g, o);
    layers_init(&s.layers, g, o, r);
    s.range = mem_new(g->values.n + 1, sizeof *s.range);
    s.line = mem_new(g->values.n + 1, sizeof *s.line);
    for (size_t v = 0; v < g->values.n; v++)
        s.line[v] = -1;
    r->samples = ob->samples;
    r->skipped = ob->skipped;
    choose_ranges(&s);
    part_concats(&s);
    join_ranges(&s);
    for (size_t i = 0; i < ob->watched.n; i++)
        describe(&s, &ob->watched.at[i]);
    rc = add_layers(&s, e);
    if (rc == 0)
        rc = add_pairs(&s, e);
    if (rc == 0)
        warn(&s);
    sites_free(&s.sites);
    mem_free(s.range);
    mem_free(s.line);
    return layers_end(&s.layers, rc, out, e);
}
