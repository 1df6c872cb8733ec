/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes what can be computed before the graph runs: with constants alone
 * (pass_constants), or with shapes as well, once they are known (pass_shapes).
 */
#include "base/mem.h"
#include "engine/ops/ops.h"
#include "engine/pass/pass.h"

/*
 * A constant may grow when it is folded (Expand, Tile, ConstantOfShape), and
 * what a small file can make of it must stay small, all of it together, and
 * quick: beyond this it is computed in each run, where the plan counts memory
 * and work.  What a shape hangs on is computed here at any size, though: there
 * is no plan without it.
 */
enum {
    MAX_FOLDED_BYTES = 1 << 20,
    MAX_GROWTH = 4,
    MAX_WORK = 1 << 30,
    BASE_BYTES = 64 << 20,
};

/* What folding may still take. */
struct budget {
    size_t bytes;
    double work;
};

static bool
inputs_known(const struct graph *g, const struct node *n, bool *all_const)
{
    *all_const = true;
    for (int i = 0; i < n->n_in; i++) {
        const struct value *v = node_in(g, n, i);

        if (v == NULL)
            continue;
        if (v->dtype == DTYPE_NONE || !shape_known(&v->shape))
            return false;
        *all_const &= v->data != NULL;
    }
    return true;
}

static size_t
value_bytes(const struct value *v)
{
    return shape_n(&v->shape) * dtype_size(v->dtype);
}

static struct budget
budget_of(const struct graph *g)
{
    struct budget b = {BASE_BYTES, MAX_WORK};

    for (size_t i = 0; i < g->values.n; i++)
        if (g->values.at[i].data != NULL)
            b.bytes += MAX_GROWTH * value_bytes(&g->values.at[i]);
    return b;
}

/* Marks the values that decide shapes, and what these are computed from. */
static bool *
find_deciding(const struct graph *g)
{
    bool *decides = mem_new(g->values.n, sizeof *decides);

    for (size_t i = g->nodes.n; i-- > 0;) {
        const struct node *n = &g->nodes.at[i];
        unsigned deciding = n->dead ? 0 : ops_deciding_inputs(n->op);
        bool wanted = false;

        for (int k = 0; k < n->n_out; k++)
            wanted |= n->out[k] >= 0 && decides[n->out[k]];
        if (n->dead || n->op == OP_SHAPE || n->op == OP_SIZE)
            continue;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0 && (wanted || (k < 32 && (deciding >> k & 1))))
                decides[n->in[k]] = true;
    }
    return decides;
}

static bool
is_deciding(const struct node *n, const bool *decides)
{
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0 && decides[n->out[k]])
            return true;
    return false;
}

/* decides: see find_deciding(); NULL: nothing does. */
static bool
worth_folding(const struct graph *g, const struct node *n, const bool *decides,
              struct budget *b)
{
    size_t in = 0, out = 0;
    double work;

    /* The integers are what an int8 kernel wants, but for blocks of them;
     * int32 is a bias. */
    if (n->op == OP_DEQUANTIZE_LINEAR &&
        dtype_is_8bit(node_in(g, n, 0)->dtype) &&
        attr_int(n, "block_size", 0) == 0)
        return false;
    for (int i = 0; i < n->n_in; i++)
        if (node_in(g, n, i) != NULL)
            in += value_bytes(node_in(g, n, i));
    for (int i = 0; i < n->n_out; i++)
        if (node_out(g, n, i) != NULL)
            out += value_bytes(node_out(g, n, i));
    work = ops_work(g, n);
    if (out > b->bytes || work > b->work ||
        (out > MAX_FOLDED_BYTES && out / MAX_GROWTH > in &&
         (decides == NULL || !is_deciding(n, decides))))
        return false;
    b->bytes -= out;
    b->work -= work;
    return true;
}

static int
fold(struct graph *g, struct node *n, struct err *e)
{
    int rc = ops_eval(g, n, e);

    if (rc == 0)
        graph_kill_node(g, n);
    return rc;
}

int
pass_constants(struct graph *g, struct err *e)
{
    struct budget b = budget_of(g);

    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];
        bool all_const;
        int rc;

        if (n->dead || pass_inline(g, i, true) || op_is_control(n->op) ||
            !inputs_known(g, n, &all_const) || !all_const)
            continue;
        rc = ops_infer(g, n, e);
        if (rc == 0 && worth_folding(g, n, NULL, &b))
            rc = fold(g, n, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* One node of pass_shapes(). */
static int
infer(struct graph *g, struct node *n, const bool *decides, struct budget *b,
      struct err *e)
{
    bool all_const;
    int rc;

    if (!inputs_known(g, n, &all_const))
        return err_set(e, ERR_INTERNAL, "node %s (%s): input not inferred",
                       n->name, op_name(n->op));
    rc = ops_infer(g, n, e);
    if (n->op == OP_SHAPE || n->op == OP_SIZE)
        all_const = true;
    if (rc == 0 && all_const && worth_folding(g, n, decides, b))
        rc = fold(g, n, e);
    return rc;
}

int
pass_shapes(struct graph *g, struct err *e)
{
    struct budget b = budget_of(g);
    bool *decides = find_deciding(g);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++) {
        if (g->nodes.at[i].dead)
            continue;
        if (pass_inline(g, i, false)) {
            mem_free(decides);
            decides = find_deciding(g);
        } else {
            rc = infer(g, &g->nodes.at[i], decides, &b, e);
        }
    }
    mem_free(decides);
    if (rc == 0)
        graph_sweep(g);
    return rc;
}
