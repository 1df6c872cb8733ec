/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipe that needs no data.  Each column of a MatMul's or Gemm's weights
 * gets a scale; the rows of activations get theirs while the model runs, as
 * the file's metadata asks for.  A runtime that does not know the metadata
 * runs the file with weights in int8 and arithmetic in float.
 */
#include "quant/layer.h"

static bool
runs_dynamically(const struct node *n)
{
    return n->op == OP_MATMUL || n->op == OP_GEMM;
}

static void
warn(struct quant_result *r, const struct quant_options *o,
     const struct graph *g, int n_dynamic)
{
    result_warn_unmatched(r, o, g);
    if (n_dynamic < r->n_int8)
        result_warn(r,
                    "%d convolutions have int8 weights in the file but compute "
                    "in float: for speed, quantize statically with "
                    "calibration data",
                    r->n_int8 - n_dynamic);
    if (o->reduce_range)
        result_warn(r, "7-bit weights: this CPU has no VNNI, and sums of "
                       "8-bit products would saturate");
}

int
quant_dynamic(const struct graph *g, const struct quant_options *o,
              struct quant_result *r, struct graph **out, struct err *e)
{
    struct sites sites;
    struct layers l;
    int n_dynamic = 0, rc = 0;

    sites_init(&sites, g, o);
    layers_init(&l, g, o, r);
    for (size_t i = 0; rc == 0 && i < g->nodes.n; i++) {
        const struct node *n = &g->nodes.at[i];
        bool dynamic = runs_dynamically(n);

        if (!sites_is_layer(n))
            continue;
        if (!sites.int8[i]) {
            rc = layers_add(&l, i, QUANT_FLOAT, sites.reason[i], e);
            continue;
        }
        rc = layers_add(&l, i, dynamic ? QUANT_DYNAMIC : QUANT_WEIGHT_ONLY,
                        dynamic ? NULL
                                : "a convolution: quantizing its input while "
                                  "it runs would not make it faster",
                        e);
        n_dynamic += dynamic;
    }
    if (rc == 0 && r->n_int8 == 0)
        rc = sites_nothing(&sites, o, e);
    if (rc == 0 && n_dynamic > 0)
        graph_set_meta(l.g, META_DYNAMIC, "row");
    if (rc == 0)
        warn(r, o, g, n_dynamic);
    sites_free(&sites);
    return layers_end(&l, rc, out, e);
}
