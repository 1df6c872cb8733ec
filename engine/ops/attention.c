/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention in one node: see ir/attention.h.  pass/attention.c makes it.
 */
#include <assert.h>
#include <math.h>

#include "engine/ir/attention.h"
#include "engine/ops/rule.h"

int
fused_attention_infer(struct graph *g, struct node *n, struct err *e)
{
    if (n->attention == NULL)
        return err_set(e, ERR_INVALID, "it is for use in memory only");
    return rule_out(g, n, 0, DTYPE_FLOAT, &n->attention->shape, e);
}

static double
masked(const struct attention_mask *m, const void *p, int64_t at, double x)
{
    switch (m->op) {
    case OP_ADD:
        return x + (double)((const float *)p)[at];
    case OP_SUB:
        return x - (double)((const float *)p)[at];
    case OP_MUL:
        return x * (double)((const float *)p)[at];
    default:
        assert(m->op == OP_WHERE);
        return ((const bool *)p)[at] == m->keep ? x : (double)m->fill;
    }
}

/* Row i of the scores of one unit, softmax done; returns their sum. */
static double
scores(const struct attention *a, void *const *io, int64_t unit, int64_t i,
       double *p)
{
    const int n = a->n_lead;
    const float *q = (const float *)io[0] + attention_at(a, &a->q, unit);
    const float *k = (const float *)io[1] + attention_at(a, &a->k, unit);
    double max = -INFINITY, sum = 0;

    for (int64_t j = 0; j < a->cols; j++) {
        double x = 0;

        for (int64_t d = 0; d < a->depth; d++)
            x += (double)q[i * a->q.stride[n] + d * a->q.stride[n + 1]] *
                 (double)k[j * a->k.stride[n] + d * a->k.stride[n + 1]];
        x *= (double)a->scale;
        for (int m = 0; m < a->n_masks; m++) {
            const struct attention_view *at = &a->mask[m].at;

            x = masked(&a->mask[m], io[3 + m],
                       attention_at(a, at, unit) + i * at->stride[n] +
                           j * at->stride[n + 1],
                       x);
        }
        p[j] = x;
        max = x > max || isnan(x) ? x : max;
    }
    for (int64_t j = 0; j < a->cols; j++)
        sum += p[j] = exp(p[j] - max);
    return sum;
}

static int
attention_run(const struct step *s, void *const *io, void *scratch, void *state,
              struct err *e)
{
    const struct attention *a = s->node->attention;
    const int n = a->n_lead;
    double *p = scratch;

    (void)state;
    (void)e;
    for (int64_t u = 0; u < attention_units(a); u++)
        for (int64_t i = 0; i < a->rows; i++) {
            const float *v = (const float *)io[2] + attention_at(a, &a->v, u);
            float *y = (float *)step_io_out(s, io, 0) +
                       attention_at(a, &a->y, u) + i * a->y.stride[n];
            double sum = scores(a, io, u, i, p);

            for (int64_t c = 0; c < a->width; c++) {
                double x = 0;

                for (int64_t j = 0; j < a->cols; j++)
                    x += p[j] *
                         (double)v[j * a->v.stride[n] + c * a->v.stride[n + 1]];
                y[c * a->y.stride[n + 1]] = (float)(x / sum);
            }
        }
    return 0;
}

static int
attention_prepare(const struct graph *g, const struct node *n, struct step *s,
                  struct weights *w, struct err *e)
{
    (void)g;
    (void)w;
    (void)e;
    s->scratch_bytes = (size_t)n->attention->cols * sizeof(double);
    return 0;
}

KERNEL(FUSED_ATTENTION, "attention", .layout = KERNEL_PLAIN,
       .prepare = attention_prepare, .run = attention_run);
