/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/dnn.h"

int
dnn_join(struct graph *g, struct weights *w, struct err *e)
{
    (void)g;
    (void)w;
    (void)e;
    return 0;
}
