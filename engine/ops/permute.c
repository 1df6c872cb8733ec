/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Axes in another order: Transpose, and DepthToSpace and SpaceToDepth, which
 * are one between two reshapes.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/ops/move.h"
#include "engine/ops/rule.h"

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

/* x is [N,C,H,W], blocksize positive, and the mode one of two. */
static int
read_block(const struct graph *g, const struct node *n, int64_t *block,
           struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const char *mode = attr_string(n, "mode", "DCR");
    char text[SHAPE_TEXT];

    *block = attr_int(n, "blocksize", 0);
    if (x->shape.rank != 4)
        return err_set(e, ERR_INVALID, "input is %s, want rank 4",
                       shape_text(&x->shape, text));
    if (*block < 1 || *block > 1 << 15)
        return err_set(e, ERR_INVALID, "blocksize is %" PRId64, *block);
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return err_set(e, ERR_INVALID, "mode is \"%s\"", mode);
    return 0;
}

int
depth_to_space_infer(struct graph *g, struct node *n, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    const int64_t *d = x->shape.dim;
    char text[SHAPE_TEXT];
    struct shape out;
    int64_t b;

    if (read_block(g, n, &b, e) != 0)
        return e->code;
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
    static const int to_dcr[] = {0, 3, 5, 1, 2, 4};
    static const int to_crd[] = {0, 1, 3, 5, 2, 4};
    const bool is_dcr = strcmp(attr_string(n, "mode", "DCR"), "DCR") == 0;
    const struct value *x = node_in(g, n, 0);
    const int64_t *d = x->shape.dim;
    const int64_t b = attr_int(n, "blocksize", 1), c = d[1] / (b * b);

    (void)w;
    if (n->op == OP_SPACE_TO_DEPTH)
        return permute(s, &SHAPE(d[0], d[1], d[2] / b, b, d[3] / b, b),
                       is_dcr ? to_dcr : to_crd, x->dtype, e);
    if (is_dcr)
        return permute(s, &SHAPE(d[0], b, b, c, d[2], d[3]), dcr, x->dtype, e);
    return permute(s, &SHAPE(d[0], c, b, b, d[2], d[3]), crd, x->dtype, e);
}

KERNEL(TRANSPOSE, "transpose", .layout = KERNEL_PLAIN,
       .prepare = transpose_prepare, .run = moves_run, .done = step_done);
KERNEL(DEPTH_TO_SPACE, "depth_to_space", .layout = KERNEL_PLAIN,
       .prepare = block_prepare, .run = moves_run, .done = step_done);
KERNEL(SPACE_TO_DEPTH, "space_to_depth", .layout = KERNEL_PLAIN,
       .prepare = block_prepare, .run = moves_run, .done = step_done);
