/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators of the domain com.microsoft that ONNX Runtime's optimizer makes of
 * ONNX's own: a Conv, product or sum with what follows it.  They are taken
 * apart again, into the nodes that quantd's own passes join.
 */
#include "engine/onnx/contrib.h"

#include <stdio.h>
#include <string.h>

/* --- activations --------------------------------------------------------- */

enum { MAX_PARAMS = 2 };

/* Names are those of RNN's activations; parameters as attributes of ours. */
static const struct activation {
    const char *name;
    enum op op;
    const char *params[MAX_PARAMS];
} activations[] = {
    {"Clip", OP_CLIP, {"min", "max"}},
    {"Elu", OP_ELU, {"alpha"}},
    {"HardSigmoid", OP_HARD_SIGMOID, {"alpha", "beta"}},
    {"HardSwish", OP_HARD_SWISH, {NULL}},
    {"LeakyRelu", OP_LEAKY_RELU, {"alpha"}},
    {"Relu", OP_RELU, {NULL}},
    {"Selu", OP_SELU, {"alpha", "gamma"}},
    {"Sigmoid", OP_SIGMOID, {NULL}},
    {"Softplus", OP_SOFTPLUS, {NULL}},
    {"Softsign", OP_SOFTSIGN, {NULL}},
    {"Tanh", OP_TANH, {NULL}},
    {"ThresholdedRelu", OP_THRESHOLDED_RELU, {"alpha"}},
};

/* An activation and its parameters, as a file gives them. */
struct active {
    const struct activation *kind; /* NULL: none */
    float param[MAX_PARAMS];
    int n_params;
};

static int
find_activation(const char *name, struct active *a, struct err *e)
{
    a->kind = NULL;
    if (name[0] == '\0')
        return 0;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (strcmp(activations[i].name, name) == 0)
            a->kind = &activations[i];
    if (a->kind == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute activation = \"%s\" is not supported",
                       label(name).text);
    return 0;
}

/* Attributes activation and activation_params of FusedConv. */
static int
list_activation(const struct node *n, struct active *a, struct err *e)
{
    int count, most = 0;
    const float *params = attr_floats(n, "activation_params", &count);

    if (find_activation(attr_string(n, "activation", ""), a, e) != 0)
        return e->code;
    while (a->kind != NULL && most < MAX_PARAMS &&
           a->kind->params[most] != NULL)
        most++;
    if (count > most)
        return err_set(e, ERR_INVALID,
                       "attribute activation_params has %d numbers, at most "
                       "%d are meant",
                       count, most);
    a->n_params = count;
    for (int i = 0; i < count; i++)
        a->param[i] = params[i];
    return 0;
}

/*
 * Attributes activation, activation_alpha and so on of FusedGemm.  Those are
 * lists in RNNs, so that the import has not held their type to anything.
 */
static int
named_activation(const struct node *n, struct active *a, struct err *e)
{
    if (find_activation(attr_string(n, "activation", ""), a, e) != 0)
        return e->code;
    a->n_params = 0;
    for (int i = 0; a->kind != NULL && i < MAX_PARAMS; i++) {
        const struct attr *p;
        char name[32];

        if (a->kind->params[i] == NULL)
            break;
        snprintf(name, sizeof name, "activation_%s", a->kind->params[i]);
        p = attr_find(n, name);
        if (p == NULL)
            break;
        if (p->type != ATTR_FLOAT)
            return err_set(e, ERR_INVALID, "attribute %s is no float", name);
        a->param[a->n_params++] = p->f;
    }
    return 0;
}

/* The file's node becomes the activation of y, or of nothing. */
static int
activate(struct expand *x, int y, const struct active *a, struct err *e)
{
    int in[1 + MAX_PARAMS] = {y}, n_in = 1;

    if (a->kind == NULL)
        return expand_end(x, OP_IDENTITY, in, 1, e);
    if (a->kind->op == OP_CLIP)
        for (int i = 0; i < a->n_params; i++)
            in[n_in++] = expand_number(x, a->kind->params[i], a->param[i]);
    if (expand_end(x, a->kind->op, in, n_in, e) != 0)
        return e->code;
    for (int i = 0; a->kind->op != OP_CLIP && i < a->n_params; i++)
        attr_set_float(x->u->g, rewrite_node(x->u, x->node), a->kind->params[i],
                       a->param[i]);
    return 0;
}

/* --- Conv ---------------------------------------------------------------- */

/* Copies what a Conv knows from the file's node to the one added last. */
static void
keep_attrs(struct expand *x, const char *const *names)
{
    const struct node *from = rewrite_node(x->u, x->node);
    struct node *to = expand_last(x);

    to->attrs =
        arena_new_in(x->u->g->arena, (size_t)from->n_attrs, sizeof *to->attrs);
    for (int i = 0; i < from->n_attrs; i++)
        for (size_t k = 0; names[k] != NULL; k++)
            if (strcmp(from->attrs[i].name, names[k]) == 0)
                to->attrs[to->n_attrs++] = from->attrs[i];
}

/* y = activation(conv(x, w) + b + z) */
static int
fused_conv(struct upgrade *u, int node, struct err *e)
{
    static const char *const conv_attrs[] = {
        "auto_pad", "dilations", "group", "kernel_shape",
        "pads",     "strides",   NULL,
    };
    struct expand x;
    struct active a;
    int y;

    expand_begin(&x, u, node);
    if (list_activation(rewrite_node(u, node), &a, e) != 0)
        return e->code;
    y = expand_op(
        &x, OP_CONV,
        (const int[]){expand_in(&x, 0), expand_in(&x, 1), expand_in(&x, 2)},
        expand_in(&x, 2) < 0 ? 2 : 3);
    keep_attrs(&x, conv_attrs);
    if (expand_in(&x, 3) >= 0)
        y = expand_op2(&x, OP_ADD, y, expand_in(&x, 3));
    return activate(&x, y, &a, e);
}

/* --- products ------------------------------------------------------------ */

static int
fused_gemm(struct upgrade *u, int node, struct err *e)
{
    static const char *const gemm_attrs[] = {"alpha", "beta", "transA",
                                             "transB", NULL};
    struct expand x;
    struct active a;
    int y;

    expand_begin(&x, u, node);
    if (named_activation(rewrite_node(u, node), &a, e) != 0)
        return e->code;
    y = expand_op(&x, OP_GEMM, x.in, x.n_in);
    keep_attrs(&x, gemm_attrs);
    return activate(&x, y, &a, e);
}

/* How a factor of a product lies: the axes of its matrices. */
struct lie {
    bool swapped; /* transA: columns before rows */
    bool outside; /* transBatchA: the axis that comes first is before batch */
};

/* As the operand of an Einsum whose rows and columns have these letters. */
static void
operand(char *text, size_t size, struct lie l, char row, char column)
{
    char first = l.swapped ? column : row, second = l.swapped ? row : column;

    if (l.outside)
        snprintf(text, size, "%c...%c", first, second);
    else
        snprintf(text, size, "...%c%c", first, second);
}

/* The factor with its matrices behind, rows first; its rank is known. */
static int
straight(struct expand *x, int a, int rank, struct lie l)
{
    int64_t perm[SHAPE_MAX_RANK], swap;

    if (rank < 2 || (!l.swapped && !l.outside))
        return a; /* a list has nothing to turn */
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    for (int i = 0; l.outside && i < rank - 1; i++)
        perm[i] = i + 1 < rank - 1 ? i + 1 : 0;
    swap = perm[rank - 1];
    if (l.swapped) {
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = swap;
    }
    return expand_transpose(x, a, perm, rank);
}

/*
 * alpha * A' * B', each transposed where an attribute says so.  Where a rank
 * is not known, Einsum can say the same without it.
 */
static int
product(struct expand *x, struct lie a, struct lie b, struct err *e)
{
    int rank_a = rewrite_fact(x->u, x->node, 0).rank;
    int rank_b = rewrite_fact(x->u, x->node, 1).rank;
    float alpha = attr_float(rewrite_node(x->u, x->node), "alpha", 1);
    bool known = (rank_a >= 0 || (!a.swapped && !a.outside)) &&
                 (rank_b >= 0 || (!b.swapped && !b.outside));
    char equation[64], left[16], right[16];
    int in[2] = {expand_in(x, 0), expand_in(x, 1)};
    enum op op = known ? OP_MATMUL : OP_EINSUM;
    int y;

    if (known) {
        in[0] = straight(x, in[0], rank_a, a);
        in[1] = straight(x, in[1], rank_b, b);
    }
    operand(left, sizeof left, a, 'i', 'k');
    operand(right, sizeof right, b, 'k', 'j');
    snprintf(equation, sizeof equation, "%s,%s->...ij", left, right);
    if (alpha == 1) {
        if (expand_end(x, op, in, 2, e) != 0)
            return e->code;
        if (!known)
            attr_set_string(x->u->g, rewrite_node(x->u, x->node), "equation",
                            equation);
        return 0;
    }
    y = expand_op(x, op, in, 2);
    if (!known)
        attr_set_string(x->u->g, expand_last(x), "equation", equation);
    in[0] = y;
    in[1] = expand_number(x, "alpha", alpha);
    return expand_end(x, OP_MUL, in, 2, e);
}

static int
fused_matmul(struct upgrade *u, int node, struct err *e)
{
    const struct node *n = rewrite_node(u, node);
    struct lie a = {attr_int(n, "transA", 0) != 0,
                    attr_int(n, "transBatchA", 0) != 0};
    struct lie b = {attr_int(n, "transB", 0) != 0,
                    attr_int(n, "transBatchB", 0) != 0};
    struct expand x;

    expand_begin(&x, u, node);
    return product(&x, a, b, e);
}

/* --- one after the other ------------------------------------------------- */

static int
end_gelu(struct expand *x, int a, const char *form, struct err *e)
{
    if (expand_end(x, OP_GELU, &a, 1, e) != 0)
        return e->code;
    attr_set_string(x->u->g, rewrite_node(x->u, x->node), "approximate", form);
    return 0;
}

/* Input 0 and, where it is given, input 1: their sum. */
static int
biased(struct expand *x)
{
    if (expand_in(x, 1) < 0)
        return expand_in(x, 0);
    return expand_op2(x, OP_ADD, expand_in(x, 0), expand_in(x, 1));
}

/* Gelu and BiasGelu. */
static int
gelu(struct upgrade *u, int node, struct err *e)
{
    struct expand x;

    expand_begin(&x, u, node);
    return end_gelu(&x, biased(&x), "none", e);
}

static int
fast_gelu(struct upgrade *u, int node, struct err *e)
{
    struct expand x;

    expand_begin(&x, u, node);
    return end_gelu(&x, biased(&x), "tanh", e);
}

/* x * sigmoid(alpha * x) */
static int
quick_gelu(struct upgrade *u, int node, struct err *e)
{
    float alpha = attr_float(rewrite_node(u, node), "alpha", 1.702f);
    struct expand x;
    int in[2], y;

    expand_begin(&x, u, node);
    y = in[0] = expand_in(&x, 0);
    if (alpha != 1)
        y = expand_op2(&x, OP_MUL, y, expand_number(&x, "alpha", alpha));
    in[1] = expand_op1(&x, OP_SIGMOID, y);
    return expand_end(&x, OP_MUL, in, 2, e);
}

/* x + bias + skip */
static int
bias_add(struct upgrade *u, int node, struct err *e)
{
    struct expand x;
    int in[2];

    expand_begin(&x, u, node);
    in[0] = biased(&x);
    in[1] = expand_in(&x, 2);
    return expand_end(&x, OP_ADD, in, 2, e);
}

static int
bias_dropout(struct upgrade *u, int node, struct err *e)
{
    const struct value *training = node_in(u->g, rewrite_node(u, node), 4);
    struct expand x;
    int in[2];

    if (training != NULL &&
        (training->data == NULL || training->dtype != DTYPE_BOOL ||
         shape_n(&training->shape) != 1 || *(const uint8_t *)training->data))
        return err_set(e, ERR_UNSUPPORTED,
                       "input 4 (training_mode) must be constant and false");
    expand_begin(&x, u, node);
    in[0] = expand_in(&x, 0);
    in[1] = expand_in(&x, 1);
    if (expand_in(&x, 2) >= 0) {
        in[0] = biased(&x);
        in[1] = expand_in(&x, 2);
    }
    return expand_end(&x, OP_ADD, in, 2, e);
}

/* The softmax, over all axes from `axis` on, of a sum. */
static int
bias_softmax(struct upgrade *u, int node, struct err *e)
{
    const int64_t axis = attr_int(rewrite_node(u, node), "axis", 1);
    const int rank = rewrite_fact(u, node, 0).rank;
    struct expand x;
    int in[2], sum;

    if (axis < -SHAPE_MAX_RANK || axis > SHAPE_MAX_RANK)
        return err_set(e, ERR_INVALID, "attribute axis = %lld is out of range",
                       (long long)axis);
    expand_begin(&x, u, node);
    sum = biased(&x);
    if (axis == -1 || (rank >= 0 && axis == rank - 1)) {
        if (expand_end(&x, OP_SOFTMAX, &sum, 1, e) == 0)
            attr_set_int(u->g, rewrite_node(u, node), "axis", -1);
        return e->code;
    }
    in[0] = expand_op1(&x, OP_FLATTEN, sum);
    attr_set_int(u->g, expand_last(&x), "axis", axis);
    in[0] = expand_op1(&x, OP_SOFTMAX, in[0]);
    attr_set_int(u->g, expand_last(&x), "axis", -1);
    in[1] = expand_op1(&x, OP_SHAPE, sum);
    return expand_end(&x, OP_RESHAPE, in, 2, e);
}

#define ANY OPSET_ANY, OPSET_LAST

const struct rule rules_contrib[] = {
    {"BiasAdd", ANY, {OP_ADD, 3, 3, 1, bias_add}},
    {"BiasDropout", ANY, {OP_ADD, 2, 5, 2, bias_dropout}},
    {"BiasGelu", ANY, {OP_GELU, 2, 2, 1, gelu}},
    {"BiasSoftmax", ANY, {OP_SOFTMAX, 2, 2, 1, bias_softmax}},
    {"FastGelu", ANY, {OP_GELU, 1, 2, 1, fast_gelu}},
    {"FusedConv", ANY, {OP_CONV, 2, 4, 1, fused_conv}},
    {"FusedGemm", ANY, {OP_GEMM, 2, 3, 1, fused_gemm}},
    {"FusedMatMul", ANY, {OP_MATMUL, 2, 2, 1, fused_matmul}},
    {"Gelu", ANY, {OP_GELU, 1, 1, 1, gelu}},
    {"GridSample", ANY, {OP_GRID_SAMPLE, 2, 2, 1, NULL}}, /* ONNX's, of 16 */
    {"QuickGelu", ANY, {OP_MUL, 1, 1, 1, quick_gelu}},
    {"TransposeMatMul", ANY, {OP_MATMUL, 2, 2, 1, fused_matmul}},
    {"Trilu", ANY, {OP_TRILU, 1, 2, 1, NULL}},
    {NULL, 0, 0, {0}},
};
