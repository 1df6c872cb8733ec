/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator table, expanded for behaviour: which rule and which kernel
 * belong to an operator, and how a node is computed at load time.
 */
#include "engine/ops/ops.h"

#include <inttypes.h>

#include "base/mem.h"
#include "engine/ops/rule.h"

const struct kernel *const ops_kernels[] = {
#define OP(id, domain, name, since, in_min, in_max, out_max, infer)            \
    &kernel_##id,
#include "engine/ir/op_tbl.h"
#undef OP
    NULL,
};

static int (*const rules[OP_COUNT])(struct graph *g, struct node *n,
                                    struct err *e) = {
#define OP(id, domain, name, since, in_min, in_max, out_max, infer) infer,
#include "engine/ir/op_tbl.h"
#undef OP
};

bool
ops_fits(const struct graph *g, const struct node *n)
{
    (void)g;
    if (n->in_q != NULL)
        for (int i = 0; i < n->n_in; i++)
            if (n->in_q[i] != NULL)
                return false;
    if (n->out_q != NULL)
        return false;
    return n->n_posts == 0 || n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE ||
           n->op == OP_GEMM || n->op == OP_MATMUL || n->op == OP_CONV_SCALED ||
           n->op == OP_MATMUL_SCALED;
}

const struct kernel *
ops_find(const struct graph *g, const struct node *n)
{
    /* The kernels stand in the order of the table: one an operator. */
    return ops_fits(g, n) ? ops_kernels[n->op] : NULL;
}

static int
check_counts(const struct graph *g, const struct node *n, struct err *e)
{
    const struct op_info *info = op_info(n->op);
    char text[SHAPE_TEXT];

    if (n->n_own < info->in_min || n->n_own > info->in_max)
        return err_set(e, ERR_INVALID, "%d inputs", n->n_own);
    if (n->n_out < 1 || n->n_out > info->out_max)
        return err_set(e, ERR_INVALID, "%d outputs", n->n_out);
    if (n->out[0] < 0)
        return err_set(e, ERR_INVALID, "the first output is absent");
    for (int i = 0; i < n->n_own; i++) {
        const struct value *v = node_in(g, n, i);
        size_t count;

        if (v == NULL && i < info->in_min)
            return err_set(e, ERR_INVALID, "input %d is absent", i);
        if (v == NULL)
            continue;
        if (!shape_known(&v->shape))
            return err_set(e, ERR_INVALID, "input %s has unknown shape %s",
                           v->name, shape_text(&v->shape, text));
        if (dtype_size(v->dtype) == 0)
            return err_set(e, ERR_INVALID, "input %s has no element type",
                           v->name);
        if (shape_count(&v->shape, &count, e) != 0)
            return err_wrap(e, "input %s", v->name);
    }
    return 0;
}

int
ops_infer(struct graph *g, struct node *n, struct err *e)
{
    if (check_counts(g, n, e) != 0 || rules[n->op](g, n, e) != 0)
        return err_wrap(e, "node %s (%s)", n->name, op_name(n->op));
    return 0;
}

/* Runs a kernel once, from its preparation to its end. */
static int
run_once(struct step *s, void *const *io, struct err *e)
{
    const struct kernel *k = s->kernel;
    void *scratch = NULL, *state = NULL;
    int rc = 0;

    if (k->prepare != NULL)
        rc = k->prepare(s->graph, s->node, s, NULL, e);
    if (rc != 0)
        return rc;
    /* As in a session it has an address even when there is nothing in it. */
    scratch = mem_try_aligned(s->scratch_bytes);
    if (scratch == NULL) {
        rc = err_set(e, ERR_NO_MEMORY, "%zu bytes of scratch memory",
                     s->scratch_bytes);
        goto out;
    }
    if (k->bind != NULL)
        rc = k->bind(s, io, scratch, &state, e);
    if (rc != 0)
        goto out;
    rc = k->run(s, io, scratch, state, e);
    if (k->unbind != NULL)
        k->unbind(s, state);
out:
    mem_free(scratch);
    if (k->done != NULL)
        k->done(s);
    return rc;
}

/*
 * Addresses for the kernel: constants as they are, outputs in the arena, but
 * for a view, which is its input's bytes.
 */
static int
place(struct graph *g, const struct node *n, bool view, void **io,
      struct err *e)
{
    for (int i = 0; i < n->n_in; i++)
        if (node_in(g, n, i) != NULL)
            io[i] = (void *)node_in(g, n, i)->data;
    if (view)
        io[n->n_in] = io[0];
    for (int k = 0; !view && k < n->n_out; k++) {
        const struct value *v = node_out(g, n, k);

        if (v == NULL)
            continue;
        io[n->n_in + k] =
            graph_const_bytes(g, shape_n(&v->shape) * dtype_size(v->dtype));
        if (io[n->n_in + k] == NULL)
            return err_set(e, ERR_NO_MEMORY,
                           "no memory for %zu elements of constant %s",
                           shape_n(&v->shape), v->name);
    }
    return 0;
}

int
ops_eval(struct graph *g, struct node *n, struct err *e)
{
    struct step s = {.graph = g, .node = n, .inplace = -1};
    void **io = mem_new((size_t)(n->n_in + n->n_out), sizeof *io);
    int rc = 0;

    s.kernel = ops_find(g, n);
    if (s.kernel == NULL)
        rc = err_set(e, ERR_UNSUPPORTED, "no kernel for what is joined to it");
    if (rc == 0)
        rc = place(g, n, s.kernel->view, io, e);
    if (rc == 0 && !s.kernel->view)
        rc = run_once(&s, io, e);
    for (int k = 0; rc == 0 && k < n->n_out; k++)
        if (n->out[k] >= 0)
            graph_value(g, n->out[k])->data = io[n->n_in + k];
    mem_free(io);
    return rc == 0 ? 0 : err_wrap(e, "node %s (%s)", n->name, op_name(n->op));
}
