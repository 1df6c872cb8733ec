/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MelWeightMatrix: a triangle over the bins of a spectrum for each band, as
 * wide as the ear hears.
 * Source: ONNX MelWeightMatrix, opset 17, whose vectors cut each corner of a
 * triangle to a whole bin.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/ops/number.h"
#include "engine/ops/rule.h"

enum { MAX_SIZE = 1 << 24 };

/* Constant scalar i, a whole number. */
static int
read_size(const struct graph *g, const struct node *n, int i, const char *what,
          int64_t *out, struct err *e)
{
    int count;

    if (rule_ints(g, n, i, what, out, 1, &count, e) != 0)
        return e->code;
    if (count != 1 || *out < 0 || *out > MAX_SIZE)
        return err_set(e, ERR_INVALID, "%s must be in 0..%d", what, MAX_SIZE);
    return 0;
}

int
mel_infer(struct graph *g, struct node *n, struct err *e)
{
    int64_t type = attr_int(n, "output_datatype", DTYPE_FLOAT), bands, length;

    if (read_size(g, n, 0, "the number of bands", &bands, e) != 0 ||
        read_size(g, n, 1, "the length of the DFT", &length, e) != 0 ||
        rule_type(g, n, 2, TYPES_INDEX, e) != 0 ||
        rule_type(g, n, 3, TYPES_REAL, e) != 0 ||
        rule_type(g, n, 4, TYPES_REAL, e) != 0)
        return e->code;
    for (int i = 2; i < 5; i++)
        if (shape_n(&node_in(g, n, i)->shape) != 1)
            return err_set(e, ERR_INVALID, "input %s is no scalar",
                           node_in(g, n, i)->name);
    if (type != DTYPE_FLOAT && type != DTYPE_DOUBLE)
        return err_set(e, ERR_UNSUPPORTED, "output_datatype is %" PRId64, type);
    return rule_out(g, n, 0, (enum dtype)type, &SHAPE(length / 2 + 1, bands),
                    e);
}

static double
to_mel(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

static double
to_hertz(double mel)
{
    return 700 * (pow(10, mel / 2595) - 1);
}

struct mel {
    double low, step; /* in mel */
    double by;        /* bins a hertz */
};

/* The bin of corner k, no farther off than that there surely is none. */
static int64_t
corner(const struct mel *m, int64_t k)
{
    double bin = floor(m->by * to_hertz(m->low + m->step * (double)k));

    if (!(bin > -MAX_SIZE))
        return -MAX_SIZE;
    return bin < 2.0 * MAX_SIZE ? (int64_t)bin : 2 * (int64_t)MAX_SIZE;
}

/* The weight of bin j in the triangle between corners a, b and c. */
static double
weight(int64_t j, int64_t a, int64_t b, int64_t c)
{
    if (j >= b && j < c)
        return (double)(c - j) / (double)(c - b);
    if (j >= a && j < b)
        return (double)(j - a) / (double)(b - a);
    return j == b ? 1 : 0;
}

/* y [bins,bands] */
static int
mel_run(const struct step *s, void *const *io, void *scratch, void *state,
        struct err *e)
{
    const struct value *y = step_out(s, 0);
    const int64_t bins = y->shape.dim[0], bands = y->shape.dim[1];
    const double length = (double)number_int(step_in(s, 1)->dtype, io[1]);
    const double rate = (double)number_int(step_in(s, 2)->dtype, io[2]);
    const double low = to_mel(number_double(step_in(s, 3)->dtype, io[3]));
    const double high = to_mel(number_double(step_in(s, 4)->dtype, io[4]));
    const struct mel m = {low, (high - low) / (double)(bands + 2),
                          (length + 1) / rate};
    const size_t size = dtype_size(y->dtype);
    char *to = step_io_out(s, io, 0);

    (void)scratch;
    (void)state;
    if (!isfinite(low) || !isfinite(high) || rate <= 0)
        return err_set(e, ERR_INVALID, "the range of %g to %g Hz at rate %g",
                       to_hertz(low), to_hertz(high), rate);
    for (int64_t i = 0; i < bands; i++) {
        int64_t a = corner(&m, i), b = corner(&m, i + 1), c = corner(&m, i + 2);

        for (int64_t j = 0; j < bins; j++) {
            double w = weight(j, a, b, c);

            number_convert(y->dtype, to + (size_t)(j * bands + i) * size, 0,
                           DTYPE_DOUBLE, (const char *)&w, 0, 1);
        }
    }
    return 0;
}

KERNEL(MEL_WEIGHT_MATRIX, "mel", .run = mel_run);
