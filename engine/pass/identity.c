/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pass/pass.h"

int
pass_identity(struct graph *g, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < g->nodes.n; i++) {
        struct node *n = &g->nodes.at[i];

        if (n->dead || n->op != OP_IDENTITY)
            continue;
        /* A graph output keeps its name: it needs a node that makes it, so
         * an Identity between an input or a constant and an output stays. */
        if (graph_is_output(g, n->out[0])) {
            struct node *p = graph_producer(g, n->in[0]);
            int old = n->in[0], slot = 0;

            if (p == NULL || graph_is_output(g, old))
                continue;
            while (p->out[slot] != old)
                slot++;
            graph_replace_uses(g, old, n->out[0]);
            graph_kill_node(g, n);
            p->out[slot] = n->out[0];
            g->values.at[n->out[0]].producer = (int)(p - g->nodes.at);
            g->values.at[old].producer = -1;
        } else {
            graph_replace_uses(g, n->out[0], n->in[0]);
            graph_kill_node(g, n);
        }
    }
    return 0;
}
