/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements go to other places, none changes: Concat, Split, Slice, Transpose,
 * Expand, Tile, DepthToSpace, SpaceToDepth.  Each is one or more walks that
 * copy, with strides that say where an element comes from.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/rule.h"
#include "engine/ops/walk.h"

/* One copy: from and to are bytes from the start of input `in`, output `out`.
 */
struct move {
    struct walk walk;
    int in, out;
    int64_t from, to;
};

struct moves {
    size_t size; /* of an element */
    int n;
    struct move at[];
};

static struct moves *
moves_new(struct step *s, int n, enum dtype t, struct err *e)
{
    struct moves *m;

    if (step_own(s, sizeof *m + (size_t)n * sizeof m->at[0], e) != 0)
        return NULL;
    m = s->own;
    m->n = n;
    m->size = dtype_size(t);
    return m;
}

static int
moves_run(const struct step *s, void *const *io, void *scratch, void *state,
          struct err *e)
{
    const struct moves *m = s->own;

    (void)scratch;
    (void)state;
    (void)e;
    for (int i = 0; i < m->n; i++) {
        const struct move *v = &m->at[i];

        walk_copy(&v->walk, (char *)step_io_out(s, io, v->out) + v->to,
                  (char *)io[v->in] + v->from, m->size);
    }
    return 0;
}

/* A walk over dims that copies in by from[] to out by to[]. */
static void
move_set(struct move *m, const struct shape *dims, const int64_t *to,
         const int64_t *from, size_t size)
{
    walk_begin(&m->walk, dims);
    walk_add_strides(&m->walk, to, size);
    walk_add_strides(&m->walk, from, size);
    walk_end(&m->walk);
}

/* --- Concat and Split: a part of one tensor is a whole other one -----------
 */

int
concat_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    char text[SHAPE_TEXT], first[SHAPE_TEXT];
    int axis;

    if (attr_find(n, "axis") == NULL)
        return err_set(e, ERR_INVALID, "axis is missing");
    if (rule_axis(n, 0, x->shape.rank, &axis, e) != 0)
        return e->code;
    for (int i = 1; i < n->n_own; i++) {
        const struct value *v = node_in(g, n, i);
        struct shape s;

        if (v == NULL)
            return err_set(e, ERR_INVALID, "input %d is absent", i);
        if (rule_same_type(g, n, i, e) != 0)
            return e->code;
        s = v->shape;
        if (s.rank == out.rank)
            s.dim[axis] = out.dim[axis];
        if (!shape_equal(&s, &out))
            return err_set(e, ERR_INVALID,
                           "input %s is %s, which does not fit to %s on axis "
                           "%d",
                           v->name, shape_text(&v->shape, text),
                           shape_text(&x->shape, first), axis);
        if (__builtin_add_overflow(out.dim[axis], v->shape.dim[axis],
                                   &out.dim[axis]))
            return err_set(e, ERR_INVALID, "the output is too large");
    }
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Sets one copy for each of the parts that lie along an axis of `whole`. */
static int
parts_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    const bool concat = n->op == OP_CONCAT;
    const struct value *whole = concat ? node_out(g, n, 0) : node_in(g, n, 0);
    const int parts = concat ? n->n_own : n->n_out;
    const int64_t size = (int64_t)dtype_size(whole->dtype);
    int64_t step[SHAPE_MAX_RANK], own[SHAPE_MAX_RANK], at = 0;
    struct moves *m = moves_new(s, parts, whole->dtype, e);
    struct err ignored;
    int axis;

    (void)w;
    if (m == NULL)
        return e->code;
    shape_axis(attr_int(n, "axis", 0), whole->shape.rank, &axis, &ignored);
    layout_strides(&whole->shape, whole->layout, step);
    for (int i = 0; i < parts; i++) {
        const struct value *part =
            concat ? node_in(g, n, i) : node_out(g, n, i);
        struct move *v = &m->at[i];

        layout_strides(&part->shape, part->layout, own);
        *(concat ? &v->in : &v->out) = i;
        *(concat ? &v->to : &v->from) = at * step[axis] * size;
        move_set(v, &part->shape, concat ? step : own, concat ? own : step,
                 (size_t)size);
        at += part->shape.dim[axis];
    }
    return 0;
}

/* The parts: those of input 1, or num_outputs (n_out) of the same size. */
static int
split_sizes(const struct graph *g, const struct node *n, int64_t dim,
            int64_t *size, struct err *e)
{
    int64_t sum = 0, each = (dim + n->n_out - 1) / n->n_out;
    int count = n->n_out;

    if (n->n_own > 1 && n->in[1] >= 0) {
        if (rule_ints(g, n, 1, "the split", size, n->n_out, &count, e) != 0)
            return e->code;
    } else {
        for (int i = 0; i < n->n_out; i++, sum += each)
            size[i] = dim - sum < each ? dim - sum : each;
        if (attr_find(n, "num_outputs") == NULL && dim % n->n_out != 0)
            return err_set(e, ERR_INVALID,
                           "%" PRId64 " does not split into %d equal parts",
                           dim, n->n_out);
    }
    sum = 0;
    for (int i = 0; i < count; i++) {
        if (size[i] < 0 || size[i] > dim - sum)
            return err_set(e, ERR_INVALID, "part %d of %" PRId64 " is %" PRId64,
                           i, dim, size[i]);
        sum += size[i];
    }
    if (count != n->n_out || sum != dim)
        return err_set(e, ERR_INVALID,
                       "%d parts sum up to %" PRId64 ", want %d and %" PRId64,
                       count, sum, n->n_out, dim);
    return 0;
}

int
split_infer(struct graph *g, struct node *n, struct err *e)
{
    const enum dtype t = node_in(g, n, 0)->dtype;
    struct shape part = node_in(g, n, 0)->shape;
    int64_t *size;
    int axis;

    if (rule_axis(n, 0, part.rank, &axis, e) != 0)
        return e->code;
    size = arena_try(g->arena, (size_t)n->n_out, sizeof *size);
    if (size == NULL)
        return err_set(e, ERR_NO_MEMORY, "%d outputs", n->n_out);
    if (split_sizes(g, n, part.dim[axis], size, e) != 0)
        return e->code;
    for (int i = 0; i < n->n_out; i++) {
        part.dim[axis] = size[i];
        if (n->out[i] < 0)
            return err_set(e, ERR_UNSUPPORTED, "output %d is absent", i);
        if (rule_out(g, n, i, t, &part, e) != 0)
            return e->code;
    }
    return 0;
}

/* --- Slice ------------------------------------------------------------------
 */

struct slice {
    int64_t start[SHAPE_MAX_RANK], step[SHAPE_MAX_RANK];
};

static int64_t
clip(int64_t v, int64_t low, int64_t high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

/*
 * One axis of dim elements; returns how many are taken.  Unlike numpy's, a
 * start before the axis is its first element also where steps go back.
 */
static int64_t
slice_axis(int64_t dim, int64_t *start, int64_t end, int64_t step)
{
    int64_t room;

    if (*start < 0)
        *start = *start < -dim ? -1 : *start + dim;
    if (end < 0)
        end = end < -dim ? -1 : end + dim;
    if (step > 0) {
        *start = clip(*start, 0, dim);
        room = clip(end, 0, dim) - *start;
    } else {
        *start = clip(*start, 0, dim - 1);
        room = *start - clip(end, -1, dim - 1);
        step = step == INT64_MIN ? INT64_MAX : -step;
    }
    return room <= 0 ? 0 : (room - 1) / step + 1;
}

/* x[start:end:step] on the axes named, all of the others. */
static int
slice_of(const struct graph *g, const struct node *n, struct slice *c,
         struct shape *out, struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    /* starts, ends, axes, steps */
    int64_t v[4][SHAPE_MAX_RANK];
    int count[4], axis;
    bool seen[SHAPE_MAX_RANK] = {false};

    *out = *x;
    for (int i = 0; i < SHAPE_MAX_RANK; i++) {
        c->start[i] = 0;
        c->step[i] = 1;
        v[2][i] = i;
        v[3][i] = 1;
    }
    for (int k = 0; k < 4; k++) {
        if (k + 1 >= n->n_own || n->in[k + 1] < 0)
            count[k] = count[0];
        else if (rule_ints(g, n, k + 1, "the slice", v[k], SHAPE_MAX_RANK,
                           &count[k], e) != 0)
            return e->code;
        if (count[k] != count[0])
            return err_set(e, ERR_INVALID,
                           "starts, ends, axes and steps differ in length");
    }
    for (int i = 0; i < count[0]; i++) {
        if (shape_axis(v[2][i], x->rank, &axis, e) != 0)
            return e->code;
        if (seen[axis])
            return err_set(e, ERR_INVALID, "axis %d is named twice", axis);
        if (v[3][i] == 0)
            return err_set(e, ERR_INVALID, "the step of axis %d is 0", axis);
        seen[axis] = true;
        c->start[axis] = v[0][i];
        c->step[axis] = v[3][i];
        out->dim[axis] =
            slice_axis(x->dim[axis], &c->start[axis], v[1][i], v[3][i]);
    }
    return 0;
}

int
slice_infer(struct graph *g, struct node *n, struct err *e)
{
    struct shape out;
    struct slice c;

    if (slice_of(g, n, &c, &out, e) != 0)
        return e->code;
    return rule_out(g, n, 0, node_in(g, n, 0)->dtype, &out, e);
}

static int
slice_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    const int64_t size = (int64_t)dtype_size(x->dtype);
    int64_t from[SHAPE_MAX_RANK], to[SHAPE_MAX_RANK];
    struct shape out;
    struct slice c;
    struct moves *m;

    (void)w;
    if (slice_of(g, n, &c, &out, e) != 0)
        return e->code;
    m = moves_new(s, 1, x->dtype, e);
    if (m == NULL)
        return e->code;
    layout_strides(&x->shape, x->layout, from);
    layout_strides(&y->shape, y->layout, to);
    if (shape_n(&out) > 0)
        for (int i = 0; i < out.rank; i++) {
            m->at[0].from += c.start[i] * from[i] * size;
            /* A step taken never leaves the axis; one not taken may be huge.*/
            from[i] = out.dim[i] > 1 ? from[i] * c.step[i] : 0;
        }
    move_set(&m->at[0], &out, to, from, (size_t)size);
    return 0;
}

/* --- Transpose, DepthToSpace, SpaceToDepth ----------------------------------
 */

static int
read_perm(const struct node *n, int rank, int perm[SHAPE_MAX_RANK],
          struct err *e)
{
    bool seen[SHAPE_MAX_RANK] = {false};
    int count;
    const int64_t *p = attr_ints(n, "perm", &count);

    for (int i = 0; i < rank; i++) {
        perm[i] = rank - 1 - i;
        if (p == NULL)
            continue;
        if (count != rank || p[i] < 0 || p[i] >= rank || seen[p[i]])
            return err_set(e, ERR_INVALID, "perm is no permutation of %d axes",
                           rank);
        seen[p[i]] = true;
        perm[i] = (int)p[i];
    }
    return 0;
}

int
transpose_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    int perm[SHAPE_MAX_RANK];

    if (read_perm(n, x->shape.rank, perm, e) != 0)
        return e->code;
    for (int i = 0; i < out.rank; i++)
        out.dim[i] = x->shape.dim[perm[i]];
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* out[i0,i1,...] = in with axis perm[k] at i_k; both row-major. */
static int
permute(struct step *s, const struct shape *in, const int *perm, enum dtype t,
        struct err *e)
{
    int64_t plain[SHAPE_MAX_RANK], from[SHAPE_MAX_RANK], to[SHAPE_MAX_RANK];
    struct moves *m = moves_new(s, 1, t, e);
    struct shape out = *in;

    if (m == NULL)
        return e->code;
    layout_strides(in, LAYOUT_PLAIN, plain);
    for (int i = 0; i < in->rank; i++) {
        out.dim[i] = in->dim[perm[i]];
        from[i] = plain[perm[i]];
    }
    layout_strides(&out, LAYOUT_PLAIN, to);
    move_set(&m->at[0], &out, to, from, dtype_size(t));
    return 0;
}

static int
transpose_prepare(const struct graph *g, const struct node *n, struct step *s,
                  struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    int perm[SHAPE_MAX_RANK];

    (void)w;
    if (read_perm(n, x->shape.rank, perm, e) != 0)
        return e->code;
    return permute(s, &x->shape, perm, x->dtype, e);
}

/* x is [N,C,H,W] and blocksize positive. */
static int
read_block(const struct graph *g, const struct node *n, int64_t *block,
           struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    char text[SHAPE_TEXT];

    *block = attr_int(n, "blocksize", 0);
    if (x->shape.rank != 4)
        return err_set(e, ERR_INVALID, "input is %s, want rank 4",
                       shape_text(&x->shape, text));
    if (*block < 1 || *block > 1 << 15)
        return err_set(e, ERR_INVALID, "blocksize is %" PRId64, *block);
    return 0;
}

int
depth_to_space_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const char *mode = attr_string(n, "mode", "DCR");
    const int64_t *d = x->shape.dim;
    char text[SHAPE_TEXT];
    struct shape out;
    int64_t b;

    if (read_block(g, n, &b, e) != 0)
        return e->code;
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return err_set(e, ERR_INVALID, "mode is \"%s\"", mode);
    out = SHAPE(d[0], d[1] / (b * b), 0, 0);
    if (d[1] % (b * b) != 0 || __builtin_mul_overflow(d[2], b, &out.dim[2]) ||
        __builtin_mul_overflow(d[3], b, &out.dim[3]))
        return err_set(e, ERR_INVALID,
                       "%s has no channels for blocks of %" PRId64,
                       shape_text(&x->shape, text), b);
    return rule_out(g, n, 0, x->dtype, &out, e);
}

int
space_to_depth_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const int64_t *d = x->shape.dim;
    char text[SHAPE_TEXT];
    struct shape out;
    int64_t b;

    if (read_block(g, n, &b, e) != 0)
        return e->code;
    out = SHAPE(d[0], 0, d[2] / b, d[3] / b);
    if (d[2] % b != 0 || d[3] % b != 0 ||
        __builtin_mul_overflow(d[1], b * b, &out.dim[1]))
        return err_set(e, ERR_INVALID,
                       "%s is no whole number of blocks of %" PRId64,
                       shape_text(&x->shape, text), b);
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Source: ONNX DepthToSpace, SpaceToDepth: reshape, transpose, reshape. */
static int
block_prepare(const struct graph *g, const struct node *n, struct step *s,
              struct weights *w, struct err *e)
{
    static const int dcr[] = {0, 3, 4, 1, 5, 2}, crd[] = {0, 1, 4, 2, 5, 3};
    static const int depth[] = {0, 3, 5, 1, 2, 4};
    const struct value *x = node_in(g, n, 0);
    const int64_t *d = x->shape.dim;
    const int64_t b = attr_int(n, "blocksize", 1), c = d[1] / (b * b);

    (void)w;
    if (n->op == OP_SPACE_TO_DEPTH)
        return permute(s, &SHAPE(d[0], d[1], d[2] / b, b, d[3] / b, b), depth,
                       x->dtype, e);
    if (strcmp(attr_string(n, "mode", "DCR"), "DCR") == 0)
        return permute(s, &SHAPE(d[0], b, b, c, d[2], d[3]), dcr, x->dtype, e);
    return permute(s, &SHAPE(d[0], c, b, b, d[2], d[3]), crd, x->dtype, e);
}

/* --- Expand, Tile ------------------------------------------------------------
 */

int
expand_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape want = {0}, out;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    if (rule_ints(g, n, 1, "the new shape", want.dim, SHAPE_MAX_RANK,
                  &want.rank, e) != 0)
        return e->code;
    if (shape_broadcast(&x->shape, &want, &out, e) != 0)
        return err_wrap(e, "%s and %s", shape_text(&x->shape, a),
                        shape_text(&want, b));
    return rule_out(g, n, 0, x->dtype, &out, e);
}

static int
expand_prepare(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    struct moves *m = moves_new(s, 1, x->dtype, e);

    (void)w;
    if (m == NULL)
        return e->code;
    walk_begin(&m->at[0].walk, &y->shape);
    walk_add(&m->at[0].walk, y);
    walk_add(&m->at[0].walk, x);
    walk_end(&m->at[0].walk);
    return 0;
}

static int
read_repeats(const struct graph *g, const struct node *n,
             int64_t repeat[SHAPE_MAX_RANK], struct err *e)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    int count;

    if (rule_ints(g, n, 1, "the repeats", repeat, SHAPE_MAX_RANK, &count, e) !=
        0)
        return e->code;
    if (count != x->rank)
        return err_set(e, ERR_INVALID, "%d repeats for rank %d", count,
                       x->rank);
    return 0;
}

int
tile_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct shape out = x->shape;
    int64_t repeat[SHAPE_MAX_RANK];

    if (read_repeats(g, n, repeat, e) != 0)
        return e->code;
    for (int i = 0; i < out.rank; i++)
        if (repeat[i] < 0 ||
            __builtin_mul_overflow(out.dim[i], repeat[i], &out.dim[i]))
            return err_set(e, ERR_INVALID, "axis %d repeats %" PRId64 " times",
                           i, repeat[i]);
    return rule_out(g, n, 0, x->dtype, &out, e);
}

/* Each axis is walked as two: which repeat, which element. */
static int
tile_prepare(const struct graph *g, const struct node *n, struct step *s,
             struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0), *y = node_out(g, n, 0);
    int64_t own[SHAPE_MAX_RANK], step[SHAPE_MAX_RANK];
    int64_t from[WALK_RANK] = {0}, to[WALK_RANK] = {0};
    int64_t repeat[SHAPE_MAX_RANK];
    struct moves *m;
    struct walk *walk;

    (void)w;
    if (read_repeats(g, n, repeat, e) != 0)
        return e->code;
    m = moves_new(s, 1, x->dtype, e);
    if (m == NULL)
        return e->code;
    layout_strides(&x->shape, LAYOUT_PLAIN, own);
    layout_strides(&y->shape, LAYOUT_PLAIN, step);
    walk = &m->at[0].walk;
    walk->rank = 2 * x->shape.rank;
    for (int i = 0; i < x->shape.rank; i++) {
        walk->dim[2 * i] = repeat[i];
        walk->dim[2 * i + 1] = x->shape.dim[i];
        to[2 * i] = step[i] * x->shape.dim[i];
        to[2 * i + 1] = step[i];
        from[2 * i + 1] = own[i];
    }
    walk_add_strides(walk, to, m->size);
    walk_add_strides(walk, from, m->size);
    walk_end(walk);
    return 0;
}

#define MOVE(id, family, prep, how)                                            \
    KERNEL(id, family, .layout = how, .prepare = prep, .run = moves_run,       \
           .done = step_done);
MOVE(CONCAT, "concat", parts_prepare, KERNEL_SAME)
MOVE(SPLIT, "split", parts_prepare, KERNEL_SAME)
MOVE(SLICE, "slice", slice_prepare, KERNEL_SAME)
MOVE(TRANSPOSE, "transpose", transpose_prepare, KERNEL_PLAIN)
MOVE(DEPTH_TO_SPACE, "depth_to_space", block_prepare, KERNEL_PLAIN)
MOVE(SPACE_TO_DEPTH, "space_to_depth", block_prepare, KERNEL_PLAIN)
MOVE(EXPAND, "expand", expand_prepare, KERNEL_PLAIN)
MOVE(TILE, "tile", tile_prepare, KERNEL_PLAIN)
