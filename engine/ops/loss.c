/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NegativeLogLikelihoodLoss.  (SoftmaxCrossEntropyLoss is one behind a
 * LogSoftmax: onnx/upgrade_norm.c.)
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

enum reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN };

static int
read_reduction(const struct node *n, enum reduction *r, struct err *e)
{
    const char *said = attr_string(n, "reduction", "mean");

    if (strcmp(said, "none") == 0)
        *r = REDUCE_NONE;
    else if (strcmp(said, "sum") == 0)
        *r = REDUCE_SUM;
    else if (strcmp(said, "mean") == 0)
        *r = REDUCE_MEAN;
    else
        return err_set(e, ERR_INVALID, "reduction is \"%s\"", said);
    return 0;
}

/* x [N,C,d...] target [N,d...] weight [C] -> [N,d...] or a scalar */
int
nll_loss_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape places = {.rank = 0};
    enum reduction r;
    char text[SHAPE_TEXT];

    if (read_reduction(n, &r, e) != 0 ||
        rule_type(g, n, 0, TYPES_REAL, e) != 0 ||
        rule_type(g, n, 1, TYPES_INDEX, e) != 0 ||
        rule_same_type(g, n, 2, e) != 0)
        return e->code;
    if (x->shape.rank < 2)
        return err_set(e, ERR_INVALID, "input is %s: no classes",
                       shape_text(&x->shape, text));
    for (int i = 0; i < x->shape.rank; i++)
        if (i != 1)
            places.dim[places.rank++] = x->shape.dim[i];
    if (rule_shape(g, n, 1, &places, e) != 0 ||
        rule_shape(g, n, 2, &SHAPE(x->shape.dim[1]), e) != 0)
        return e->code;
    if (r != REDUCE_NONE)
        places.rank = 0;
    return rule_out(g, n, 0, x->dtype, &places, e);
}

static void
store(enum dtype t, void *y, int64_t at, double v)
{
    number_convert(t, (char *)y + at * (int64_t)dtype_size(t), 0, DTYPE_DOUBLE,
                   (const char *)&v, 0, 1);
}

/* The weight of a target: 0 for the one to be ignored. */
static int
weight_of(const struct step *s, void *const *io, int64_t target, double *weight,
          struct err *e)
{
    const struct value *w = step_in(s, 2);
    const int64_t C = step_in(s, 0)->shape.dim[1];
    const bool ignores = attr_find(s->node, "ignore_index") != NULL;

    *weight = 0;
    if (ignores && target == attr_int(s->node, "ignore_index", 0))
        return 0;
    if (target < 0 || target >= C)
        return err_set(e, ERR_INVALID,
                       "target %" PRId64 " in %s is outside 0..%" PRId64,
                       target, step_in(s, 1)->name, C - 1);
    *weight = 1;
    if (w != NULL)
        *weight =
            number_double(w->dtype, (const char *)io[2] +
                                        (size_t)target * dtype_size(w->dtype));
    return 0;
}

static int
nll_loss_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    const struct value *x = step_in(s, 0), *target = step_in(s, 1);
    const int64_t C = x->shape.dim[1];
    const int64_t inner = shape_span(&x->shape, 2, x->shape.rank);
    const size_t size = dtype_size(x->dtype), step = dtype_size(target->dtype);
    void *y = step_io_out(s, io, 0);
    double sum = 0, weights = 0;
    enum reduction r;

    (void)scratch;
    (void)state;
    if (read_reduction(s->node, &r, e) != 0)
        return e->code;
    for (int64_t i = 0; i < (int64_t)shape_n(&target->shape); i++) {
        int64_t c =
            number_int(target->dtype, (const char *)io[1] + (size_t)i * step);
        double w, loss = 0;

        if (weight_of(s, io, c, &w, e) != 0)
            return e->code;
        if (w != 0) {
            int64_t at = (i / inner * C + c) * inner + i % inner;

            loss = -w * number_double(x->dtype,
                                      (const char *)io[0] + (size_t)at * size);
        }
        sum += loss;
        weights += w;
        if (r == REDUCE_NONE)
            store(x->dtype, y, i, loss);
    }
    if (r != REDUCE_NONE)
        store(x->dtype, y, 0, r == REDUCE_SUM ? sum : sum / weights);
    return 0;
}

KERNEL(NEGATIVE_LOG_LIKELIHOOD_LOSS, "nll_loss", .run = nll_loss_run);
