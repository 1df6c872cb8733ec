/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rule a change of an operator, as the ONNX change log tells them
 * (docs/Changelog.md).  Most are of one kind: what was an attribute became an
 * input, or the other way round.
 */
#include "engine/onnx/upgrade.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/onnx/tensor.h"

static struct node *
node_of(struct upgrade *u, int node)
{
    return &u->g->nodes.at[node];
}

static int
no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "no memory for a constant");
}

static int
refuse(struct err *e, const char *attr, int64_t value)
{
    return err_set(e, ERR_UNSUPPORTED, "attribute %s = %lld is not supported",
                   attr, (long long)value);
}

/* --- changing a node ---------------------------------------------------- */

static void
set_input(struct upgrade *u, int node, int at, int value)
{
    struct node *n = node_of(u, node);

    while (n->n_in <= at)
        graph_append_input(u->g, n, -1);
    n->in[at] = value;
    while (n->n_in > 0 && n->in[n->n_in - 1] < 0)
        n->n_in--;
    n->n_own = n->n_in;
}

/* A new constant as input `at`, called after the node and what it is. */
static int
set_const(struct upgrade *u, int node, int at, const char *what, enum dtype t,
          const struct shape *s, const void *bytes, struct err *e)
{
    char base[128];
    int id;

    snprintf(base, sizeof base, "%s_%s", label(node_of(u, node)->name).text,
             what);
    id = graph_add_const(u->g, names_fresh(u->values, u->g->arena, base), t, s,
                         bytes);
    if (id < 0)
        return no_memory(e);
    set_input(u, node, at, id);
    return 0;
}

static int
set_ints(struct upgrade *u, int node, int at, const char *what,
         const int64_t *v, int n, struct err *e)
{
    return set_const(u, node, at, what, DTYPE_INT64, &SHAPE(n), v, e);
}

/* A scalar of the type of the node's first input, which is a float type. */
static int
set_scalar(struct upgrade *u, int node, int at, const char *what, float v,
           struct err *e)
{
    struct shape scalar = {.rank = 0};
    enum dtype t = facts_get(&u->facts, u->g, node_of(u, node)->in[0]).dtype;
    uint16_t half = dtype_float_to_half(v), bf16 = dtype_float_to_bf16(v);
    double wide = v;

    switch (t) {
    case DTYPE_FLOAT16:
        return set_const(u, node, at, what, t, &scalar, &half, e);
    case DTYPE_BFLOAT16:
        return set_const(u, node, at, what, t, &scalar, &bf16, e);
    case DTYPE_DOUBLE:
        return set_const(u, node, at, what, t, &scalar, &wide, e);
    default:
        return set_const(u, node, at, what, DTYPE_FLOAT, &scalar, &v, e);
    }
}

/* Attribute `name` becomes input `at`; absent, the input is absent too. */
static int
ints_to_input(struct upgrade *u, int node, const char *name, int at,
              struct err *e)
{
    int n;
    const int64_t *v = attr_ints(node_of(u, node), name, &n);

    if (attr_find(node_of(u, node), name) == NULL)
        return 0;
    attr_remove(node_of(u, node), name);
    return set_ints(u, node, at, name, v, n, e);
}

static int
need_attr(struct upgrade *u, int node, const char *name, struct err *e)
{
    if (attr_find(node_of(u, node), name) == NULL)
        return err_set(e, ERR_INVALID, "attribute %s is missing", name);
    return 0;
}

/* An integer attribute of newer opsets that must have its default; it goes. */
static int
only_default(struct upgrade *u, int node, const char *name, int64_t dflt,
             struct err *e)
{
    int64_t v = attr_int(node_of(u, node), name, dflt);

    if (v != dflt)
        return refuse(e, name, v);
    attr_remove(node_of(u, node), name);
    return 0;
}

static bool
has_input(struct upgrade *u, int node, int i)
{
    return node_in(u->g, node_of(u, node), i) != NULL;
}

/* Integers of input i, which must be a constant. */
static int
const_ints(struct upgrade *u, int node, int i, const char *what, int64_t *out,
           int max, int *n, struct err *e)
{
    if (!value_ints(node_in(u->g, node_of(u, node), i), out, max, n))
        return err_set(e, ERR_UNSUPPORTED,
                       "input %d (%s) must be a constant list of at most %d "
                       "integers",
                       i, what, max);
    return 0;
}

/* The node does nothing but hand on its first input. */
static void
become_identity(struct upgrade *u, int node)
{
    struct node *n = node_of(u, node);

    n->op = OP_IDENTITY;
    n->n_attrs = 0;
    n->n_in = n->n_own = 1;
}

/* Outputs from `from` on are not computed any more. */
static void
drop_outputs(struct upgrade *u, int node, int from)
{
    struct node *n = node_of(u, node);

    for (int i = from; i < n->n_out; i++)
        if (n->out[i] >= 0)
            u->g->values.at[n->out[i]].producer = -1;
    n->n_out = n->n_out < from ? n->n_out : from;
}

/* A value between two nodes of an upgrade. */
static int
between(struct upgrade *u, int node, const char *what)
{
    char base[128];

    snprintf(base, sizeof base, "%s_%s", label(node_of(u, node)->name).text,
             what);
    return graph_add_value(u->g, names_fresh(u->values, u->g->arena, base),
                           DTYPE_NONE, &(struct shape){.rank = SHAPE_UNKNOWN});
}

/* Appends a node that belongs to `node`; returns its id. */
static int
append(struct upgrade *u, int node, enum op op, const int *in, int n_in,
       int out)
{
    char base[128];

    snprintf(base, sizeof base, "%s_%s", label(node_of(u, node)->name).text,
             op_name(op));
    graph_add_node(u->g, op, names_fresh(u->nodes, u->g->arena, base), in, n_in,
                   &out, 1);
    return (int)u->g->nodes.n - 1;
}

/* The node's first output becomes `value`; returns what it was. */
static int
redirect_output(struct upgrade *u, int node, int value)
{
    struct node *n = node_of(u, node);
    int was = n->out[0];

    n->out[0] = value;
    u->g->values.at[value].producer = node;
    return was;
}

/* --- attributes that became inputs -------------------------------------- */

/* ReduceSum and Squeeze before 13. */
static int
axes_attr(struct upgrade *u, int node, struct err *e)
{
    return ints_to_input(u, node, "axes", 1, e);
}

static int
unsqueeze_attrs(struct upgrade *u, int node, struct err *e)
{
    if (need_attr(u, node, "axes", e) != 0)
        return e->code;
    return ints_to_input(u, node, "axes", 1, e);
}

static int
split_attrs(struct upgrade *u, int node, struct err *e)
{
    return ints_to_input(u, node, "split", 1, e);
}

static int
slice_attrs(struct upgrade *u, int node, struct err *e)
{
    if (need_attr(u, node, "starts", e) != 0 ||
        need_attr(u, node, "ends", e) != 0 ||
        ints_to_input(u, node, "starts", 1, e) != 0 ||
        ints_to_input(u, node, "ends", 2, e) != 0)
        return e->code;
    return ints_to_input(u, node, "axes", 3, e);
}

/* A bound at the end of float's range, the old default, is none. */
static int
clip_attrs(struct upgrade *u, int node, struct err *e)
{
    float low = attr_float(node_of(u, node), "min", -FLT_MAX);
    float high = attr_float(node_of(u, node), "max", FLT_MAX);

    attr_remove(node_of(u, node), "min");
    attr_remove(node_of(u, node), "max");
    if (low > -FLT_MAX && set_scalar(u, node, 1, "min", low, e) != 0)
        return e->code;
    if (high < FLT_MAX && set_scalar(u, node, 2, "max", high, e) != 0)
        return e->code;
    return 0;
}

static int
pad_attrs(struct upgrade *u, int node, struct err *e)
{
    const struct attr *value = attr_find(node_of(u, node), "value");
    float v = value == NULL ? 0 : value->f;

    if (need_attr(u, node, "pads", e) != 0 ||
        ints_to_input(u, node, "pads", 1, e) != 0)
        return e->code;
    attr_remove(node_of(u, node), "value");
    return v == 0 ? 0 : set_scalar(u, node, 2, "value", v, e);
}

/* TopK before 10. */
static int
top_k_attr(struct upgrade *u, int node, struct err *e)
{
    int64_t k = attr_int(node_of(u, node), "k", 0);

    if (need_attr(u, node, "k", e) != 0)
        return e->code;
    attr_remove(node_of(u, node), "k");
    return set_ints(u, node, 1, "k", &k, 1, e);
}

/* --- inputs that are attributes here ------------------------------------ */

/* Reductions that give another number for a single one: |x|, not x. */
static bool
changes_one(enum op op)
{
    return op == OP_REDUCE_L1 || op == OP_REDUCE_L2 ||
           op == OP_REDUCE_LOG_SUM || op == OP_REDUCE_SUM_SQUARE;
}

/* Reductions but ReduceSum from 18 on: axes came as an input. */
static int
reduce_axes(struct upgrade *u, int node, struct err *e)
{
    int64_t axes[SHAPE_MAX_RANK];
    bool noop = attr_int(node_of(u, node), "noop_with_empty_axes", 0) != 0;
    int n = 0;

    if (has_input(u, node, 1) &&
        node_in(u->g, node_of(u, node), 1)->data == NULL)
        return 0; /* a constant, it is to be hoped, when shapes are known */
    if (has_input(u, node, 1) &&
        const_ints(u, node, 1, "axes", axes, SHAPE_MAX_RANK, &n, e) != 0)
        return e->code;
    attr_remove(node_of(u, node), "noop_with_empty_axes");
    set_input(u, node, 1, -1);
    if (n > 0)
        attr_set_ints(u->g, node_of(u, node), "axes", axes, n);
    else if (noop && changes_one(node_of(u, node)->op))
        return refuse(e, "noop_with_empty_axes", 1);
    else if (noop)
        become_identity(u, node);
    return 0;
}

/* Pad from 18 on: pads may be given for some axes only. */
static int
pad_axes(struct upgrade *u, int node, struct err *e)
{
    int rank, n_axes, n_pads, axis;
    int64_t axes[SHAPE_MAX_RANK], pads[2 * SHAPE_MAX_RANK];
    int64_t all[2 * SHAPE_MAX_RANK] = {0};

    if (!has_input(u, node, 3))
        return 0;
    rank = facts_get(&u->facts, u->g, node_of(u, node)->in[0]).rank;
    if (rank < 0 || rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED,
                       "input 3 (axes) needs a tensor of known rank");
    if (const_ints(u, node, 3, "axes", axes, SHAPE_MAX_RANK, &n_axes, e) != 0 ||
        const_ints(u, node, 1, "pads", pads, 2 * SHAPE_MAX_RANK, &n_pads, e) !=
            0)
        return e->code;
    if (n_pads != 2 * n_axes)
        return err_set(e, ERR_INVALID, "%d pads for %d axes", n_pads, n_axes);
    for (int i = 0; i < n_axes; i++) {
        if (shape_axis(axes[i], rank, &axis, e) != 0)
            return e->code;
        all[axis] = pads[i];
        all[rank + axis] = pads[n_axes + i];
    }
    set_input(u, node, 3, -1);
    return set_ints(u, node, 1, "pads", all, 2 * rank, e);
}

/* --- normalization, dropout --------------------------------------------- */

static int
batch_normalization(struct upgrade *u, int node, struct err *e)
{
    struct node *n = node_of(u, node);

    attr_remove(n, "is_test"); /* of 6: with one output it is meant */
    if (only_default(u, node, "spatial", 1, e) != 0 ||
        only_default(u, node, "training_mode", 0, e) != 0)
        return e->code;
    if (n->n_out > 1)
        return err_set(e, ERR_UNSUPPORTED,
                       "%d outputs: training mode is not supported", n->n_out);
    return 0;
}

static int
dropout(struct upgrade *u, int node, struct err *e)
{
    const struct value *training = node_in(u->g, node_of(u, node), 2);

    if (training != NULL &&
        (training->data == NULL || training->dtype != DTYPE_BOOL ||
         shape_n(&training->shape) != 1 || *(const uint8_t *)training->data))
        return err_set(e, ERR_UNSUPPORTED,
                       "input 2 (training_mode) must be constant and false");
    become_identity(u, node);
    drop_outputs(u, node, 1);
    return 0;
}

/* The accumulator's type is always wide enough here. */
static int
group_normalization(struct upgrade *u, int node, struct err *e)
{
    if (need_attr(u, node, "num_groups", e) != 0)
        return e->code;
    attr_remove(node_of(u, node), "stash_type");
    return 0;
}

/* Less its mean, divided by its deviation; ONNX adds 1e-9 to that. */
static int
mean_variance(struct upgrade *u, int node, struct err *e)
{
    static const int64_t usual[] = {0, 2, 3};
    int n, add, x = node_of(u, node)->in[0];
    const int64_t *axes = attr_ints(node_of(u, node), "axes", &n);
    int average = between(u, node, "mean"), less = between(u, node, "less");
    int square = between(u, node, "square"), sum = between(u, node, "variance");
    int root = between(u, node, "deviation"), by = between(u, node, "divisor");
    int out = redirect_output(u, node, average), last;

    if (axes == NULL)
        attr_set_ints(u->g, node_of(u, node), "axes", usual, n = 3);
    axes = attr_ints(node_of(u, node), "axes", &n);
    append(u, node, OP_SUB, (const int[]){x, average}, 2, less);
    append(u, node, OP_MUL, (const int[]){less, less}, 2, square);
    last = append(u, node, OP_REDUCE_MEAN, &square, 1, sum);
    attr_set_ints(u->g, node_of(u, last), "axes", axes, n);
    append(u, node, OP_SQRT, &sum, 1, root);
    facts_set(&u->facts, root, facts_get(&u->facts, u->g, x));
    add = append(u, node, OP_ADD, &root, 1, by);
    append(u, node, OP_DIV, (const int[]){less, by}, 2, out);
    return set_scalar(u, add, 1, "epsilon", 1e-9f, e);
}

/* --- before opset 7 ----------------------------------------------------- */

/* Input 1 gets `n` more axes of 1 behind its own. */
static int
trailing_axes(struct upgrade *u, int node, int rank, int n, struct err *e)
{
    int in = node_of(u, node)->in[1], wide = between(u, node, "wide"), added;
    int64_t axes[SHAPE_MAX_RANK];

    if (rank + n > SHAPE_MAX_RANK)
        return err_set(e, ERR_INVALID, "input 1 does not fit to input 0");
    for (int i = 0; i < n; i++)
        axes[i] = rank + i;
    set_input(u, node, 1, wide);
    added = append(u, node, OP_UNSQUEEZE, &in, 1, wide);
    return set_ints(u, added, 1, "axes", axes, n, e);
}

/* The axes of input 1 are those of input 0 from `axis` on; the last ones when
 * there is no axis, which is today's rule. */
static int
broadcast_attrs(struct upgrade *u, int node, struct err *e)
{
    struct node *n = node_of(u, node);
    int rank = facts_get(&u->facts, u->g, n->in[0]).rank;
    int own = facts_get(&u->facts, u->g, n->in[1]).rank;
    bool aligned =
        attr_find(n, "axis") != NULL && attr_int(n, "broadcast", 0) != 0;
    int64_t said = attr_int(n, "axis", 0);
    int axis;

    attr_remove(n, "axis");
    attr_remove(n, "broadcast");
    if (!aligned)
        return 0;
    if (rank == SHAPE_UNKNOWN || own == SHAPE_UNKNOWN)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute axis needs tensors of known rank");
    if (own == 0)
        return 0;
    if (shape_axis(said, rank, &axis, e) != 0 || axis + own > rank)
        return err_set(e, ERR_INVALID,
                       "attribute axis = %lld does not fit to %d axes of %d",
                       (long long)said, own, rank);
    if (axis + own == rank)
        return 0;
    return trailing_axes(u, node, own, rank - axis - own, e);
}

/* Gemm said whether C is broadcast; by now it always may be. */
static int
gemm_6(struct upgrade *u, int node, struct err *e)
{
    (void)e;
    attr_remove(node_of(u, node), "broadcast");
    return 0;
}

/* One slope a channel, which is axis 1. */
static int
slope_6(struct upgrade *u, int node, struct err *e)
{
    int rank = facts_get(&u->facts, u->g, node_of(u, node)->in[0]).rank;
    struct fact slope = facts_get(&u->facts, u->g, node_of(u, node)->in[1]);

    if (slope.rank != 1 || slope.length == 1 || rank == 2)
        return 0;
    if (rank < 2)
        return err_set(e, ERR_UNSUPPORTED,
                       "the slope needs a tensor of known rank");
    return trailing_axes(u, node, 1, rank - 2, e);
}

/* --- elementwise -------------------------------------------------------- */

/* Mean is a Sum and a division by how many they are. */
static int
mean(struct upgrade *u, int node, struct err *e)
{
    int n = node_of(u, node)->n_in, sum, div, out;

    if (n == 1) {
        become_identity(u, node);
        return 0;
    }
    sum = between(u, node, "sum");
    out = redirect_output(u, node, sum);
    facts_follow(&u->facts, u->g, node_of(u, node));
    div = append(u, node, OP_DIV, &sum, 1, out);
    return set_scalar(u, div, 1, "count", (float)n, e);
}

static int
cast(struct upgrade *u, int node, struct err *e)
{
    enum dtype to;

    if (need_attr(u, node, "to", e) != 0)
        return e->code;
    attr_remove(node_of(u, node), "saturate"); /* matters to float8 only */
    if (dtype_import((int32_t)attr_int(node_of(u, node), "to", 0), &to, e) != 0)
        return e->code;
    attr_set_int(u->g, node_of(u, node), "to", to);
    return 0;
}

static int
cast_like(struct upgrade *u, int node, struct err *e)
{
    struct fact like = facts_get(&u->facts, u->g, node_of(u, node)->in[1]);

    if (like.dtype == DTYPE_NONE)
        return err_set(e, ERR_UNSUPPORTED,
                       "input 1 (target_type) needs a type known from the "
                       "file");
    attr_remove(node_of(u, node), "saturate");
    set_input(u, node, 1, -1);
    attr_set_int(u->g, node_of(u, node), "to", like.dtype);
    return 0;
}

static int
eye_like(struct upgrade *u, int node, struct err *e)
{
    enum dtype t;

    if (attr_find(node_of(u, node), "dtype") == NULL)
        return 0;
    if (dtype_import((int32_t)attr_int(node_of(u, node), "dtype", 0), &t, e) !=
        0)
        return e->code;
    attr_set_int(u->g, node_of(u, node), "dtype", t);
    return 0;
}

static int
constant_of_shape(struct upgrade *u, int node, struct err *e)
{
    const struct attr *a = attr_find(node_of(u, node), "value");

    if (a != NULL && shape_n(&a->tensor->shape) != 1)
        return err_set(e, ERR_INVALID, "attribute value must be one element");
    return 0;
}

/* --- softmax ------------------------------------------------------------ */

/*
 * Before 13, Softmax made a matrix of its input, split at `axis`, and worked
 * on the rows of that.  It is today's one only when axis is the last;
 * otherwise the matrix is made for it, and the shape given back behind it.
 */
static int
softmax_rows(struct upgrade *u, int node, struct err *e)
{
    struct node *n = node_of(u, node);
    int64_t axis = attr_int(n, "axis", 1);
    int rank = facts_get(&u->facts, u->g, n->in[0]).rank;
    int x = n->in[0], rows, flat, shape, out, flatten;

    if (rank < 0) /* it is that of the output, which a file may declare */
        rank = facts_get(&u->facts, u->g, n->out[0]).rank;
    attr_set_int(u->g, n, "axis", -1);
    if (axis == -1 || (rank >= 0 && axis == rank - 1))
        return 0;
    if (axis < -SHAPE_MAX_RANK || axis > SHAPE_MAX_RANK)
        return err_set(e, ERR_INVALID, "attribute axis = %lld is out of range",
                       (long long)axis);
    flat = between(u, node, "flat");
    rows = between(u, node, "rows");
    shape = between(u, node, "shape");
    out = redirect_output(u, node, rows);
    set_input(u, node, 0, flat);
    append(u, node, OP_SHAPE, &x, 1, shape);
    flatten = append(u, node, OP_FLATTEN, &x, 1, flat);
    attr_set_int(u->g, node_of(u, flatten), "axis", axis);
    append(u, node, OP_RESHAPE, (const int[]){rows, shape}, 2, out);
    facts_set(&u->facts, out, (struct fact){DTYPE_NONE, rank, SHAPE_UNKNOWN});
    return 0;
}

/* --- resize ------------------------------------------------------------- */

static bool
empty_const(const struct value *v)
{
    return v != NULL && v->data != NULL && shape_n(&v->shape) == 0;
}

static const char *
text_attr(struct upgrade *u, int node, const char *name, const char *dflt)
{
    return attr_string(node_of(u, node), name, dflt);
}

static int
resize(struct upgrade *u, int node, struct err *e)
{
    const char *policy =
        text_attr(u, node, "keep_aspect_ratio_policy", "stretch");
    const char *where =
        text_attr(u, node, "coordinate_transformation_mode", "half_pixel");

    if (only_default(u, node, "antialias", 0, e) != 0)
        return e->code;
    if (strcmp(policy, "stretch") != 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute keep_aspect_ratio_policy = \"%s\" is not "
                       "supported",
                       label(policy).text);
    attr_remove(node_of(u, node), "keep_aspect_ratio_policy");
    if (attr_find(node_of(u, node), "axes") != NULL)
        return err_set(e, ERR_UNSUPPORTED, "attribute axes is not supported");
    /* Exporters name inputs they don't mean: no elements, or a roi unread. */
    if (has_input(u, node, 1) && strcmp(where, "tf_crop_and_resize") != 0)
        set_input(u, node, 1, -1);
    for (int i = 1; i < 4; i++)
        if (empty_const(node_in(u->g, node_of(u, node), i)))
            set_input(u, node, i, -1);
    if (!has_input(u, node, 2) && !has_input(u, node, 3))
        return err_set(e, ERR_INVALID, "neither scales nor sizes are given");
    return 0;
}

/*
 * Upsample and Resize before 11 count from the corner.  To shrink, nearest
 * rounded up, which is what the reference runtime did; to grow, down.
 */
static int
corner_mode(struct upgrade *u, int node, const float *scales, size_t n,
            struct err *e)
{
    bool grows = false, shrinks = false;

    for (size_t i = 0; i < n; i++) {
        if (!(scales[i] > 0) || !isfinite(scales[i]))
            return err_set(e, ERR_INVALID, "scale %g", (double)scales[i]);
        grows |= scales[i] > 1;
        shrinks |= scales[i] < 1;
    }
    if (grows && shrinks &&
        strcmp(text_attr(u, node, "mode", "nearest"), "nearest") == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "nearest that grows one axis and shrinks another is "
                       "not supported before opset 11");
    attr_set_string(u->g, node_of(u, node), "coordinate_transformation_mode",
                    "asymmetric");
    attr_set_string(u->g, node_of(u, node), "nearest_mode",
                    shrinks ? "ceil" : "floor");
    return 0;
}

static int
resize_10(struct upgrade *u, int node, struct err *e)
{
    int scales = node_of(u, node)->in[1];
    const struct value *v = graph_value(u->g, scales);
    bool known = v->data != NULL && v->dtype == DTYPE_FLOAT;

    set_input(u, node, 2, scales);
    set_input(u, node, 1, -1);
    return corner_mode(u, node, known ? v->data : NULL,
                       known ? shape_n(&v->shape) : 0, e);
}

static int
upsample_7(struct upgrade *u, int node, struct err *e)
{
    int n;
    const float *scales = attr_floats(node_of(u, node), "scales", &n);

    if (need_attr(u, node, "scales", e) != 0 ||
        corner_mode(u, node, scales, (size_t)n, e) != 0)
        return e->code;
    attr_remove(node_of(u, node), "scales");
    return set_const(u, node, 2, "scales", DTYPE_FLOAT, &SHAPE(n), scales, e);
}

/* Before 16 regions were not moved by half a pixel. */
static int
roi_align_10(struct upgrade *u, int node, struct err *e)
{
    (void)e;
    attr_set_string(u->g, node_of(u, node), "coordinate_transformation_mode",
                    "output_half_pixel");
    return 0;
}

/* --- spectra ------------------------------------------------------------ */

/* From 20 on the axis is an input with another default. */
static int
dft_17(struct upgrade *u, int node, struct err *e)
{
    (void)e;
    attr_set_int(u->g, node_of(u, node), "axis",
                 attr_int(node_of(u, node), "axis", 1));
    return 0;
}

/* The type is a number of ONNX's. */
static int
spectral_window(struct upgrade *u, int node, struct err *e)
{
    int64_t type = attr_int(node_of(u, node), "output_datatype", DTYPE_FLOAT);
    enum dtype t;

    if (dtype_import((int32_t)type, &t, e) != 0)
        return err_wrap(e, "attribute output_datatype");
    attr_set_int(u->g, node_of(u, node), "output_datatype", t);
    return 0;
}

/* --- quantization ------------------------------------------------------- */

static int
dequantize(struct upgrade *u, int node, struct err *e)
{
    return only_default(u, node, "block_size", 0, e);
}

/* From 21 on the type may be an attribute instead of that of a zero point. */
static int
quantize(struct upgrade *u, int node, struct err *e)
{
    int64_t type = attr_int(node_of(u, node), "output_dtype", 0);
    const struct value *scale = node_in(u->g, node_of(u, node), 1);
    struct shape shape = scale->shape;
    enum dtype t;
    void *zeros;

    attr_remove(node_of(u, node), "saturate"); /* matters to float8 only */
    attr_remove(node_of(u, node), "output_dtype");
    if (only_default(u, node, "block_size", 0, e) != 0)
        return e->code;
    if (type == 0 || has_input(u, node, 2))
        return 0;
    if (dtype_import((int32_t)type, &t, e) != 0)
        return err_wrap(e, "attribute output_dtype");
    if (scale->data == NULL)
        return err_set(e, ERR_UNSUPPORTED,
                       "attribute output_dtype needs a constant scale");
    zeros = arena_try(u->g->arena, shape_n(&shape), dtype_size(t));
    if (zeros == NULL)
        return no_memory(e);
    return set_const(u, node, 2, "zero_point", t, &shape, zeros, e);
}

static int
dynamic_quantize(struct upgrade *u, int node, struct err *e)
{
    if (node_of(u, node)->n_out != 3)
        return err_set(e, ERR_INVALID, "%d outputs, must be 3",
                       node_of(u, node)->n_out);
    return 0;
}

/* --- pooling ------------------------------------------------------------ */

static int
average_pool(struct upgrade *u, int node, struct err *e)
{
    int n;
    const int64_t *d = attr_ints(node_of(u, node), "dilations", &n);

    for (int i = 0; i < n; i++)
        if (d[i] != 1)
            return refuse(e, "dilations", d[i]);
    attr_remove(node_of(u, node), "dilations");
    return 0;
}

/* --- which rule --------------------------------------------------------- */

#define LAST ONNX_MAX_OPSET

/* In a file of an older opset only what has not changed since is known. */
enum { RULES_FROM = 6 };

/* Operators whose form in opsets first..last is not that of op_tbl.h. */
static const struct rule {
    const char *name;
    int first, last;
    struct form form;
} rules[] = {
    {"Add", 6, 6, {OP_ADD, 2, 2, 1, broadcast_attrs}},
    {"And", 6, 6, {OP_AND, 2, 2, 1, broadcast_attrs}},
    {"Div", 6, 6, {OP_DIV, 2, 2, 1, broadcast_attrs}},
    {"Equal", 6, 6, {OP_EQUAL, 2, 2, 1, broadcast_attrs}},
    {"Greater", 6, 6, {OP_GREATER, 2, 2, 1, broadcast_attrs}},
    {"Less", 6, 6, {OP_LESS, 2, 2, 1, broadcast_attrs}},
    {"Mul", 6, 6, {OP_MUL, 2, 2, 1, broadcast_attrs}},
    {"Or", 6, 6, {OP_OR, 2, 2, 1, broadcast_attrs}},
    {"PRelu", 6, 6, {OP_PRELU, 2, 2, 1, slope_6}},
    {"Pow", 6, 6, {OP_POW, 2, 2, 1, broadcast_attrs}},
    {"Sub", 6, 6, {OP_SUB, 2, 2, 1, broadcast_attrs}},
    {"Xor", 6, 6, {OP_XOR, 2, 2, 1, broadcast_attrs}},
    {"AveragePool", 19, LAST, {OP_AVERAGE_POOL, 1, 1, 1, average_pool}},
    {"BatchNormalization",
     6,
     13,
     {OP_BATCH_NORMALIZATION, 5, 5, 5, batch_normalization}},
    {"BatchNormalization",
     14,
     LAST,
     {OP_BATCH_NORMALIZATION, 5, 5, 3, batch_normalization}},
    {"BlackmanWindow",
     17,
     LAST,
     {OP_BLACKMAN_WINDOW, 1, 1, 1, spectral_window}},
    {"Cast", 6, LAST, {OP_CAST, 1, 1, 1, cast}},
    {"CastLike", 15, LAST, {OP_CAST, 2, 2, 1, cast_like}},
    {"Clip", 6, 10, {OP_CLIP, 1, 1, 1, clip_attrs}},
    {"ConstantOfShape",
     9,
     LAST,
     {OP_CONSTANT_OF_SHAPE, 1, 1, 1, constant_of_shape}},
    {"DFT", 17, 19, {OP_DFT, 1, 2, 1, dft_17}},
    {"DequantizeLinear", 19, LAST, {OP_DEQUANTIZE_LINEAR, 2, 3, 1, dequantize}},
    {"Dropout", 6, 11, {OP_IDENTITY, 1, 1, 2, dropout}},
    {"Dropout", 12, LAST, {OP_IDENTITY, 1, 3, 2, dropout}},
    {"DynamicQuantizeLinear",
     11,
     LAST,
     {OP_DYNAMIC_QUANTIZE_LINEAR, 1, 1, 3, dynamic_quantize}},
    {"EyeLike", 9, LAST, {OP_EYE_LIKE, 1, 1, 1, eye_like}},
    {"Gemm", 6, 6, {OP_GEMM, 3, 3, 1, gemm_6}},
    {"GroupNormalization",
     18,
     LAST,
     {OP_GROUP_NORMALIZATION, 3, 3, 1, group_normalization}},
    {"HammingWindow", 17, LAST, {OP_HAMMING_WINDOW, 1, 1, 1, spectral_window}},
    {"HannWindow", 17, LAST, {OP_HANN_WINDOW, 1, 1, 1, spectral_window}},
    {"Hardmax", 6, 12, {OP_HARDMAX, 1, 1, 1, softmax_rows}},
    {"LogSoftmax", 6, 12, {OP_LOG_SOFTMAX, 1, 1, 1, softmax_rows}},
    {"Mean", 6, LAST, {OP_SUM, 1, OP_MANY, 1, mean}},
    {"MeanVarianceNormalization",
     9,
     LAST,
     {OP_REDUCE_MEAN, 1, 1, 1, mean_variance}},
    {"Pad", 6, 10, {OP_PAD, 1, 1, 1, pad_attrs}},
    {"Pad", 18, LAST, {OP_PAD, 2, 4, 1, pad_axes}},
    {"QuantizeLinear", 19, LAST, {OP_QUANTIZE_LINEAR, 2, 3, 1, quantize}},
    {"ReduceL2", 18, LAST, {OP_REDUCE_L2, 1, 2, 1, reduce_axes}},
    {"ReduceL1", 18, LAST, {OP_REDUCE_L1, 1, 2, 1, reduce_axes}},
    {"ReduceLogSum", 18, LAST, {OP_REDUCE_LOG_SUM, 1, 2, 1, reduce_axes}},
    {"ReduceLogSumExp",
     18,
     LAST,
     {OP_REDUCE_LOG_SUM_EXP, 1, 2, 1, reduce_axes}},
    {"ReduceMax", 18, LAST, {OP_REDUCE_MAX, 1, 2, 1, reduce_axes}},
    {"ReduceMean", 18, LAST, {OP_REDUCE_MEAN, 1, 2, 1, reduce_axes}},
    {"ReduceMin", 18, LAST, {OP_REDUCE_MIN, 1, 2, 1, reduce_axes}},
    {"ReduceProd", 18, LAST, {OP_REDUCE_PROD, 1, 2, 1, reduce_axes}},
    {"ReduceSum", 6, 12, {OP_REDUCE_SUM, 1, 1, 1, axes_attr}},
    {"ReduceSumSquare", 18, LAST, {OP_REDUCE_SUM_SQUARE, 1, 2, 1, reduce_axes}},
    {"Resize", 10, 10, {OP_RESIZE, 2, 2, 1, resize_10}},
    {"Resize", 11, LAST, {OP_RESIZE, 1, 4, 1, resize}},
    {"RoiAlign", 10, 15, {OP_ROI_ALIGN, 3, 3, 1, roi_align_10}},
    {"Scatter", 9, LAST, {OP_SCATTER_ELEMENTS, 3, 3, 1, NULL}},
    {"Slice", 6, 9, {OP_SLICE, 1, 1, 1, slice_attrs}},
    {"Softmax", 6, 12, {OP_SOFTMAX, 1, 1, 1, softmax_rows}},
    {"Split", 6, 12, {OP_SPLIT, 1, 1, OP_MANY, split_attrs}},
    {"Squeeze", 6, 12, {OP_SQUEEZE, 1, 1, 1, axes_attr}},
    {"TopK", 6, 9, {OP_TOP_K, 1, 1, 2, top_k_attr}},
    {"Unsqueeze", 6, 12, {OP_UNSQUEEZE, 1, 1, 1, unsqueeze_attrs}},
    {"Upsample", 7, 8, {OP_RESIZE, 1, 1, 1, upsample_7}},
    {"Upsample", 9, LAST, {OP_RESIZE, 2, 2, 1, resize_10}},
};

bool
form_find(const char *domain, const char *op_type, int opset, struct form *out)
{
    const struct op_info *info;
    enum op op;

    if (domain[0] != '\0' && strcmp(domain, "ai.onnx") != 0)
        return false; /* also "quantd", which is for use in memory only */
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (opset >= rules[i].first && opset <= rules[i].last &&
            strcmp(rules[i].name, op_type) == 0) {
            *out = rules[i].form;
            return true;
        }
    op = op_find("", op_type);
    if (op == OP_COUNT)
        return false;
    info = op_info(op);
    if (opset < RULES_FROM && info->since > opset)
        return false;
    *out = (struct form){op, info->in_min, info->in_max, info->out_max, NULL};
    return true;
}

int
upgrade_node(struct upgrade *u, const struct form *f, int node, struct err *e)
{
    int added = (int)u->g->nodes.n;

    if (f->up != NULL && f->up(u, node, e) != 0)
        return e->code;
    facts_follow(&u->facts, u->g, node_of(u, node));
    for (int i = added; i < (int)u->g->nodes.n; i++)
        facts_follow(&u->facts, u->g, node_of(u, i));
    return 0;
}
