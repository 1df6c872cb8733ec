/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph cut into stages.
 *
 * The shapes of most graphs follow from the shapes of their inputs, so that a
 * plan can be made before there are data.  Some nodes spoil that: NonZero, or
 * Slice with computed bounds, where data say how large the output is; If and
 * Loop, where data say what is computed.  A stage is as much of the graph as
 * can be planned, and then such nodes, run one at a time: with what they have
 * made the next stage is planned.
 */
#ifndef ENGINE_RUN_CUT_H
#define ENGINE_RUN_CUT_H

#include "engine/ir/graph.h"

struct stage {
    struct graph *graph; /* what can be planned */
    bool is_whole;       /* it is the whole graph, borrowed */

    /*
     * Ids in the whole graph of its inputs and outputs.  known[i]: what input
     * i is follows from shapes of earlier stages, and the plan takes it as a
     * constant.
     */
    VEC(int) in;
    VEC(int) out;
    bool *known;

    VEC(int) nodes; /* then these of the whole graph, in order */
};

struct stages {
    struct stage *at;
    int n;
};

/*
 * Fails: ERR_UNSUPPORTED when there are too many stages.
 */
int cut_graph(struct graph *g, struct stages *out, struct err *e);
void cut_free(struct stages *s);

#endif
