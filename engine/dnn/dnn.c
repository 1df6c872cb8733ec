/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/dnn.h"

#include <omp.h>
#include <stddef.h>

#include "engine/dnn/kernels.h"
#include "engine/dnn/prim.h"

const struct kernel *const dnn_kernels[] = {
#define KERNEL(id) &id,
#include "engine/dnn/kernel_tbl.h"
#undef KERNEL
    NULL,
};

const char *
dnn_isa(void)
{
    return prim_isa();
}

const char *
dnn_version_text(void)
{
    return prim_version();
}

bool
dnn_has_vnni(void)
{
    return prim_has_vnni();
}

void
dnn_set_threads(int n)
{
    omp_set_num_threads(n < 1 ? 1 : n);
}
