/* SPDX-License-Identifier: Apache-2.0 */
/*
 * About how long a node takes.  A file of some hundred bytes can ask for hours
 * of computing in little memory: an Einsum over letters that no output has, a
 * pool whose window is all of its input, a long Fourier transform.  What
 * counts is the order of magnitude, so one estimate does for all kernels.
 */
#include "engine/ops/rule.h"

static double
elements(const struct value *v)
{
    return v == NULL ? 0 : (double)shape_rounds(&v->shape);
}

/* Axis i, from the end when it is negative; 1 where there is none. */
static double
axis(const struct value *v, int i)
{
    int at = v == NULL || i >= 0 ? i : v->shape.rank + i;

    return v == NULL || at < 0 || at >= v->shape.rank
               ? 1
               : (double)v->shape.dim[at];
}

/* Products of one output element of a Conv; ConvTranspose: of one input's. */
static double
taps(const struct value *weights)
{
    return elements(weights) / (axis(weights, 0) + 1) + axis(weights, 0);
}

/* Elements of one window of a pool. */
static double
window(const struct node *n)
{
    int count;
    const int64_t *k = attr_ints(n, "kernel_shape", &count);
    double product = 1;

    for (int i = 0; i < count; i++)
        product *= (double)k[i];
    return product;
}

/* Samples of one cell of RoiAlign: at most, when the region decides. */
static double
samples(const struct node *n)
{
    double ratio = (double)attr_int(n, "sampling_ratio", 0);

    return ratio > 0 ? ratio * ratio : 64;
}

/* What is done for each element that is read or written, and no more. */
static double
moved(const struct graph *g, const struct node *n)
{
    double sum = 1;

    for (int i = 0; i < n->n_in; i++)
        sum += elements(node_in(g, n, i));
    for (int i = 0; i < n->n_out; i++)
        sum += elements(node_out(g, n, i));
    return sum;
}

/* Every n-gram at every place, with up to so many elements left out. */
static double
tfidf_work(const struct node *n)
{
    int pool;

    attr_ints(n, "pool_int64s", &pool);
    return (double)pool * ((double)attr_int(n, "max_skip_count", 0) + 1);
}

double
ops_work(const struct graph *g, const struct node *n)
{
    const struct value *a = node_in(g, n, 0), *b = node_in(g, n, 1);
    const struct value *y = node_out(g, n, 0);
    double sum = moved(g, n);

    switch (n->op) {
    case OP_CONV:
    case OP_CONV_INTEGER:
    case OP_CONV_SCALED:
    case OP_DEFORM_CONV:
        return sum + elements(y) * taps(b);
    case OP_CONV_TRANSPOSE:
        return sum + elements(a) * taps(b);
    case OP_MATMUL:
    case OP_MATMUL_INTEGER:
    case OP_MATMUL_SCALED:
        return sum + elements(y) * axis(a, -1);
    case OP_GEMM:
        return sum +
               elements(y) * axis(a, attr_int(n, "transA", 0) != 0 ? 0 : 1);
    case OP_EINSUM:
        return sum + einsum_work(g, n);
    case OP_AVERAGE_POOL:
    case OP_LP_POOL:
    case OP_MAX_POOL:
        return sum + elements(y) * window(n);
    case OP_LRN:
        return sum + elements(y) * (double)attr_int(n, "size", 1);
    case OP_GRID_SAMPLE:
        return sum + elements(y) * 64;
    case OP_RESIZE: /* at most four places an axis; antialias: of the input */
        return sum + (elements(y) + elements(a)) * 64;
    case OP_ATTENTION: /* each query looks at all keys */
        return sum +
               elements(a) * 2 * (axis(b, -2) + axis(node_in(g, n, 4), -2));
    case OP_LINEAR_ATTENTION: /* each value with each element of a key */
        return sum +
               (elements(a) + elements(b)) * 4 * axis(node_in(g, n, 2), -1);
    case OP_CAUSAL_CONV_WITH_STATE:
        return sum + elements(y) * axis(b, -1);
    case OP_COL2IM:
        return sum + elements(a) * 8;
    case OP_DET:
        return sum + elements(a) * axis(a, -1);
    case OP_MULTINOMIAL: /* each draw looks at all classes */
        return sum + elements(y) * axis(a, -1);
    case OP_TFIDF_VECTORIZER:
        return sum + elements(a) * tfidf_work(n);
    case OP_UNIQUE: /* sorted by slices */
        return sum + elements(a) * 64;
    case OP_ROI_ALIGN:
        return sum + elements(y) * samples(n);
    case OP_DFT: /* each bin of a line from each of its elements */
        return sum + elements(y) * axis(a, (int)attr_int(n, "axis", 1));
    case OP_STFT:
        return sum + elements(y) * axis(y, -2) * 2;
    case OP_GRU:
    case OP_LSTM:
    case OP_RNN: /* the weights once a step and row */
        return sum + axis(a, 0) * axis(a, 1) *
                         (elements(b) + elements(node_in(g, n, 2)));
    case OP_NON_MAX_SUPPRESSION: /* each box against each, for each class */
        return sum + elements(b) * axis(b, 2);
    case OP_TOP_K:
        return sum + elements(a) * 64;
    default:
        return sum;
    }
}
