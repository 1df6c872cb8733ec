/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as no exporter writes them: any operator with inputs, types, shapes
 * and attributes by chance, hostile numbers among them.  Each is answered or
 * refused with a message; nothing crashes, leaks or runs away (the sanitizers
 * watch).  Also each allocation on the way is made to fail.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/op/one_node.h"

enum { ROUNDS = 60000, MAX_ELEMENTS = 1 << 16 };

static uint64_t seed = 1;

/* 0 <= r < n, the same on every machine. Source: Knuth's MMIX generator. */
static int
chance(int n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)n);
}

#define PICK(list) (list)[chance((int)(sizeof(list) / sizeof((list)[0])))]

static int64_t
some_int(void)
{
    static const int64_t usual[] = {0, 1, 1, 1, 2, 2, 3, 4, -1, -1, -2};
    static const int64_t hostile[] = {INT64_MIN,        INT64_MAX, INT32_MIN,
                                      INT32_MAX,        1 << 30,   -9,
                                      (int64_t)1 << 40, 100};

    return chance(12) == 0 ? PICK(hostile) : PICK(usual);
}

static float
some_float(void)
{
    static const float usual[] = {0, 1, -1, 0.5f, 2, -200, 3.25f};
    static const float hostile[] = {NAN,   INFINITY, -INFINITY,
                                    1e30f, -1e30f,   1e-40f};

    return chance(12) == 0 ? PICK(hostile) : PICK(usual);
}

static enum dtype
some_type(void)
{
    static const enum dtype usual[] = {DTYPE_FLOAT, DTYPE_FLOAT, DTYPE_FLOAT,
                                       DTYPE_INT64};
    static const enum dtype all[] = {
        DTYPE_FLOAT,  DTYPE_UINT8,    DTYPE_INT8,  DTYPE_UINT16,  DTYPE_INT16,
        DTYPE_INT32,  DTYPE_INT64,    DTYPE_BOOL,  DTYPE_FLOAT16, DTYPE_DOUBLE,
        DTYPE_UINT32, DTYPE_BFLOAT16, DTYPE_UINT64};

    return chance(3) == 0 ? PICK(all) : PICK(usual);
}

static struct shape
some_shape(int max_rank)
{
    struct shape s = {.rank = chance(max_rank + 1)};

    for (int i = 0; i < s.rank; i++)
        s.dim[i] = chance(16) == 0 ? 0 : 1 + chance(4);
    return s;
}

/* Elements that mean something in their type. */
static void
fill(enum dtype t, char *p, size_t n)
{
    for (size_t i = 0; i < n; i++, p += dtype_size(t)) {
        float f = some_float();
        int64_t v = some_int();

        if (t == DTYPE_FLOAT)
            memcpy(p, &f, sizeof f);
        else if (t == DTYPE_BOOL)
            *p = (char)(v & 1);
        else
            memcpy(p, &v, dtype_size(t));
    }
}

/*
 * What an operator wants, roughly.  Inputs, a letter each:
 *
 *     x  the node's main shape        c  one number a channel
 *     w  weights of a Conv            t  weights of a ConvTranspose
 *     s  a scalar                     l  one integer an axis
 *     p  two integers an axis         f  one positive float an axis
 *     d  two                          -  absent
 *     i  two indices of one axis      u  two slices of x
 *     g  a grid on x                  b  a box a channel
 *     m  weights of a recurrent one   o  three boxes
 *     a  scores of three boxes
 *
 * before it, for another type than the first input's:
 *
 *     B  bool   F  float   I  int64   Q  uint8
 */
static const struct form {
    enum op op;
    const char *inputs;
    const char *attrs[7];
    int min_rank;
} forms[] = {
    {OP_CONV,
     "Fxwc",
     {"kernel_shape", "strides", "dilations", "pads", "auto_pad"},
     3},
    {OP_CONV_TRANSPOSE,
     "Fxt",
     {"strides", "dilations", "pads", "output_padding", "output_shape",
      "auto_pad"},
     3},
    {OP_MAX_POOL,
     "x",
     {"kernel_shape", "kernel_shape", "strides", "dilations", "pads",
      "ceil_mode", "storage_order"},
     3},
    {OP_AVERAGE_POOL,
     "Fx",
     {"kernel_shape", "kernel_shape", "strides", "pads", "ceil_mode",
      "count_include_pad", "auto_pad"},
     3},
    {OP_BATCH_NORMALIZATION, "Fxcccc", {"epsilon"}, 2},
    {OP_INSTANCE_NORMALIZATION, "Fxcc", {"epsilon"}, 2},
    {OP_LRN, "Fx", {"size", "alpha", "beta", "bias"}, 2},
    {OP_LAYER_NORMALIZATION, "Fxxs", {"axis", "epsilon"}, 1},
    {OP_CONCAT, "xxx", {"axis", "axis"}, 1},
    {OP_DEPTH_TO_SPACE, "x", {"blocksize", "blocksize", "mode"}, 4},
    {OP_SPACE_TO_DEPTH, "x", {"blocksize", "blocksize"}, 4},
    {OP_SPLIT, "x", {"axis", "num_outputs"}, 1},
    {OP_SLICE, "xIlIl-Il", {"axis"}, 1},
    {OP_PAD, "xIps", {"mode"}, 1},
    {OP_TILE, "xIl", {NULL}, 1},
    {OP_EXPAND, "xIl", {NULL}, 1},
    {OP_RESHAPE, "xIl", {"allowzero"}, 1},
    {OP_TRANSPOSE, "x", {"perm"}, 1},
    {OP_GATHER, "xIx", {"axis"}, 1},
    {OP_RESIZE,
     "Fx-Ff",
     {"mode", "coordinate_transformation_mode", "nearest_mode",
      "exclude_outside", "extrapolation_value"},
     1},
    {OP_RANGE, "Isss", {NULL}, 0},
    {OP_CONSTANT_OF_SHAPE, "Il", {NULL}, 1},
    {OP_CAST, "x", {"to", "to"}, 0},
    {OP_NOT, "Bx", {NULL}, 0},
    {OP_AND, "BxBx", {NULL}, 0},
    {OP_OR, "BxBs", {NULL}, 0},
    {OP_WHERE, "Bxxs", {NULL}, 0},
    {OP_GEMM, "Fxxs", {"transA", "transB", "alpha", "beta"}, 2},
    {OP_MATMUL, "xx", {NULL}, 1},
    {OP_MATMUL_INTEGER, "QxQxQsQs", {NULL}, 1},
    {OP_QUANTIZE_LINEAR, "FxFsQs", {"axis"}, 0},
    {OP_DEQUANTIZE_LINEAR, "QxFcQc", {"axis"}, 2},
    {OP_BIT_SHIFT, "QxQx", {"direction"}, 0},
    {OP_IS_INF, "Fx", {"detect_negative"}, 0},
    {OP_XOR, "BxBs", {NULL}, 0},
    {OP_GATHER_ELEMENTS, "xIx", {"axis"}, 1},
    {OP_GATHER_ND, "xIi", {"batch_dims"}, 2},
    {OP_SCATTER_ELEMENTS, "xIxx", {"axis", "reduction"}, 1},
    {OP_SCATTER_ND, "xIiu", {"reduction"}, 1},
    {OP_COMPRESS, "xBl", {"axis"}, 1},
    {OP_TOP_K, "xIs", {"axis", "largest"}, 1},
    {OP_CUM_SUM, "xIs", {"exclusive", "reverse"}, 1},
    {OP_LP_NORMALIZATION, "Fx", {"axis", "p"}, 1},
    {OP_ONE_HOT, "xIsd", {"axis"}, 0},
    {OP_REVERSE_SEQUENCE, "xIc", {NULL}, 2},
    {OP_EYE_LIKE, "x", {"k"}, 2},
    {OP_TRILU, "xIs", {"upper"}, 2},
    {OP_EINSUM, "xx", {"equation"}, 1},
    {OP_GRID_SAMPLE, "FxFg", {"mode", "padding_mode", "align_corners"}, 3},
    {OP_ROI_ALIGN,
     "FxFbIc",
     {"mode", "output_height", "output_width", "sampling_ratio",
      "spatial_scale"},
     4},
    {OP_CONV_INTEGER, "QxQwQs", {"strides", "pads", "dilations"}, 3},
    {OP_LP_POOL, "Fx", {"kernel_shape", "kernel_shape", "strides", "p"}, 3},
    {OP_GROUP_NORMALIZATION, "Fxcc", {"num_groups", "num_groups"}, 2},
    {OP_LSTM, "FxFmFm-I-", {"direction", "layout", "input_forget"}, 3},
    {OP_GRU, "FxFmFm", {"direction", "layout", "linear_before_reset"}, 3},
    {OP_RNN, "FxFmFm", {"direction", "layout", "clip"}, 3},
    {OP_DFT, "FxIs", {"axis", "inverse", "onesided"}, 2},
    {OP_STFT, "FxIs-Is", {"onesided"}, 2},
    {OP_HANN_WINDOW, "Is", {"periodic"}, 0},
    {OP_NON_MAX_SUPPRESSION, "FoFaIsFsFs", {"center_point_box"}, 0},
};

static const struct form *
form_of(enum op op)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (forms[i].op == op)
            return &forms[i];
    return NULL;
}

static enum dtype
type_of(char letter)
{
    return letter == 'B'   ? DTYPE_BOOL
           : letter == 'F' ? DTYPE_FLOAT
           : letter == 'I' ? DTYPE_INT64
           : letter == 'Q' ? DTYPE_UINT8
                           : DTYPE_NONE;
}

/* The shape that a letter means beside the main shape x. */
static struct shape
shape_of(char letter, const struct shape *x)
{
    struct shape s = *x;
    int64_t channels = x->rank > 1 ? x->dim[1] : 1;

    switch (letter) {
    case 'c':
        return SHAPE(channels);
    case 'w':
    case 't':
        for (int i = 0; i < s.rank; i++)
            s.dim[i] = 1 + chance(2);
        s.dim[letter == 'w'] = channels;
        return s;
    case 's':
        return SCALAR;
    case 'd':
        return SHAPE(2);
    case 'i':
        return SHAPE(2, 1);
    case 'g':
        s.dim[1] = s.dim[s.rank - 1];
        s.dim[s.rank - 1] = s.rank - 2;
        return s;
    case 'b':
        return SHAPE(channels, 4);
    case 'm':
        return SHAPE(1 + chance(2), (1 + chance(4)) * x->dim[x->rank - 1],
                     x->dim[x->rank - 1]);
    case 'o':
        return SHAPE(1, 3, 4);
    case 'a':
        return SHAPE(1, 2, 3);
    case 'u':
        s.dim[0] = 2;
        return s;
    case 'l':
    case 'f':
        return SHAPE((int64_t)x->rank);
    case 'p':
        return SHAPE(2 * (int64_t)x->rank);
    default:
        return s;
    }
}

/* One more input, of that type and shape but where chance wants another. */
static void
add_input(struct one *c, enum dtype t, struct shape s, bool positive)
{
    char bytes[8 * 1024];
    size_t n;

    if (chance(60) == 0)
        s = some_shape(5);
    if (chance(60) == 0)
        t = some_type();
    if (chance(60) == 0) {
        one_absent(c);
        return;
    }
    if (chance(60) == 0) { /* vast, and never looked at */
        s = SHAPE((int64_t)1 << 30, (int64_t)1 << 30);
        s.dim[0] *= chance(2);
    }
    n = shape_n(&s);
    if (n * dtype_size(t) > sizeof bytes) {
        one_in(c, t, &s, NULL);
        return;
    }
    fill(t, bytes, n);
    for (size_t i = 0; positive && t == DTYPE_FLOAT && i < n; i++)
        ((float *)bytes)[i] = 0.5f + (float)chance(4) / 2;
    one_in(c, t, &s, bytes);
}

static const char *const int_names[] = {
    "allowzero",
    "axis",
    "ceil_mode",
    "group",
    "keepdims",
    "end",
    "start",
    "size",
    "to",
    "transA",
    "antialias",
    "num_outputs",
    "noop_with_empty_axes",
    "select_last_index",
    "training_mode",
};
static const char *const ints_names[] = {
    "axes",         "dilations", "kernel_shape", "output_padding",
    "output_shape", "pads",      "perm",         "strides",
};
static const char *const float_names[] = {
    "alpha", "beta", "bias", "cubic_coeff_a", "epsilon", "extrapolation_value",
};
/* Words that an attribute takes. */
static const struct {
    const char *name, *words[5];
} words[] = {
    {"direction", {"LEFT", "RIGHT", "forward", "reverse", "bidirectional"}},
    {"reduction", {"none", "add", "mul", "max", "min"}},
    {"equation", {"...,...", "...i,...i->...", "ij,jk->ik", "a...,b...", "i"}},
    {"padding_mode", {"zeros", "border", "reflection", "zeros", "border"}},
};

static const char *const strings[] = {
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "NOTSET",
    "",
    "nearest",
    "linear",
    "cubic",
    "reflect",
    "edge",
    "constant",
    "DCR",
    "CRD",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
    "half_pixel_symmetric",
    "floor",
    "ceil",
    "round_prefer_ceil",
    "tanh",
    "none",
    "\xff%s%n",
};

static const char *
some_string(const char *name)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].name, name) == 0 && chance(6) != 0)
            return PICK(words[i].words);
    return PICK(strings);
}

/* Numbers that may well suit: n of them, or of the rank, or by chance. */
static void
set_ints(struct one *c, const char *name, int rank)
{
    int n = strcmp(name, "perm") == 0 || strcmp(name, "axes") == 0 ? rank
                                                                   : rank - 2;
    int64_t list[2 * SHAPE_MAX_RANK];

    if (strcmp(name, "pads") == 0)
        n *= 2;
    if (chance(20) == 0 || n < 0)
        n = chance(9);
    for (int i = 0; i < n; i++)
        list[i] = chance(20) == 0 ? some_int() : 1 + chance(2);
    if (strcmp(name, "perm") == 0)
        for (int i = 0; i < n; i++)
            list[i] = chance(20) == 0 ? some_int() : n - 1 - i;
    attr_set_ints(c->g, c->n, name, list, n);
}

static void
add_attribute(struct one *c, const char *name, int rank)
{
    switch (attr_type_of(name)) {
    case ATTR_INT:
        attr_set_int(c->g, c->n, name,
                     strcmp(name, "to") == 0 && chance(9) != 0
                         ? (int64_t)some_type()
                         : some_int());
        break;
    case ATTR_INTS:
        set_ints(c, name, rank);
        break;
    case ATTR_FLOAT:
        attr_set_float(c->g, c->n, name, some_float());
        break;
    case ATTR_STRING:
        attr_set_string(c->g, c->n, name, some_string(name));
        break;
    default:
        fail_msg("attribute %s has no type", name);
    }
}

/* True when computing it is cheap and every input is at hand. */
static bool
can_run(const struct one *c)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i] >= 0 && graph_value(c->g, c->in[i])->data == NULL)
            return false;
    for (int k = 0; k < c->n->n_out; k++)
        if (shape_n(&node_out(c->g, c->n, k)->shape) > MAX_ELEMENTS)
            return false;
    return true;
}

/* Inputs and attributes as the operator's form has them. */
static void
make_formed(struct one *c, const struct form *f, int n_out)
{
    struct shape x = some_shape(5);
    enum dtype first = some_type(), t = DTYPE_NONE;

    if (x.rank < f->min_rank || x.rank > f->min_rank + 2)
        x = SHAPE(1 + chance(2), 4, 2 + chance(3), 4, 2);
    x.rank = x.rank > f->min_rank + 2 ? f->min_rank + chance(3) : x.rank;
    for (const char *k = f->inputs; *k != '\0'; k++) {
        if (type_of(*k) != DTYPE_NONE)
            t = type_of(*k);
        else if (*k == '-')
            one_absent(c);
        else {
            add_input(c, t == DTYPE_NONE ? first : t, shape_of(*k, &x),
                      *k == 'f');
            t = *f->inputs == 'F' ? DTYPE_FLOAT : DTYPE_NONE;
        }
    }
    one_node(c, f->op, n_out);
    for (int i = 0; i < 7 && f->attrs[i] != NULL; i++)
        if (chance(5) != 0)
            add_attribute(c, f->attrs[i], x.rank);
}

static void
make_node(struct one *c, enum op op)
{
    const struct op_info *info = op_info(op);
    const struct form *f = form_of(op);
    int most = info->in_max < ONE_MAX ? info->in_max : ONE_MAX;
    int n_in = info->in_min + chance(most - info->in_min + 1);
    int n_out = 1 + chance(info->out_max < 4 ? info->out_max : 4);
    struct shape s = some_shape(5);
    enum dtype t = some_type();

    one_begin(c);
    if (f != NULL && chance(8) != 0) {
        make_formed(c, f, n_out);
    } else {
        if (chance(50) == 0)
            n_in = chance(ONE_MAX);
        for (int i = 0; i < n_in; i++)
            add_input(c, t, s, false);
        one_node(c, op, n_out);
    }
    for (int i = chance(3); i > 0; i--)
        add_attribute(c,
                      chance(3) == 0   ? PICK(int_names)
                      : chance(2) == 0 ? PICK(ints_names)
                                       : PICK(float_names),
                      s.rank);
}

static void
any_node_is_answered_or_refused(void **state)
{
    int answered = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct one c;
        int rc;

        make_node(&c, (enum op)(i % OP_COUNT));
        rc = ops_infer(c.g, c.n, &c.e);
        if (rc == 0 && can_run(&c))
            rc = ops_eval(c.g, c.n, &c.e);
        if (rc == 0)
            answered++;
        else if (rc != ERR_INVALID && rc != ERR_UNSUPPORTED)
            fail_msg("%s: code %d: %s", op_name(c.n->op), rc, c.e.msg);
        else
            assert_non_null(strstr(c.e.msg, "node n ("));
        one_end(&c);
    }
    /* Else the nodes are too absurd to test anything behind the rules. */
    assert_true(answered > ROUNDS / 3);
}

/* Each mem_try on the way fails in turn: an error, and nothing leaks. */
static void
short_memory_is_an_error(void **state)
{
    (void)state;
    for (int i = 0; i < OP_COUNT * 200; i++) {
        uint64_t from = seed;
        struct one c;

        for (unsigned k = 1; k < 20; k++) {
            int rc;

            seed = from;
            make_node(&c, (enum op)(i % OP_COUNT));
            rc = ops_infer(c.g, c.n, &c.e);
            if (rc == 0 && can_run(&c)) {
                mem_fail_at(k);
                rc = ops_eval(c.g, c.n, &c.e);
                mem_fail_at(0);
            }
            one_end(&c);
            if (rc != ERR_NO_MEMORY)
                break;
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_node_is_answered_or_refused),
        cmocka_unit_test(short_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
