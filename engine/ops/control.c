/* SPDX-License-Identifier: Apache-2.0 */
/*
 * If, Loop, Scan: what comes out of them only a run can tell.  run/ takes them
 * out of the graph before shapes are looked at; none has a kernel.
 */
#include "engine/ops/rule.h"

int
control_infer(struct graph *g, struct node *n, struct err *e)
{
    (void)g;
    (void)n;
    return err_set(e, ERR_UNSUPPORTED, "which graph runs depends on data");
}

KERNEL(IF, "if");
KERNEL(LOOP, "loop");
KERNEL(SCAN, "scan");
