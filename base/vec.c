/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void *
vec_grow(void *at, size_t *cap, size_t size)
{
    size_t want = *cap < 8 ? 8 : *cap * 2;
    void *p = want > SIZE_MAX / size ? NULL : realloc(at, want * size);

    if (p == NULL) {
        fputs("<2>out of memory\n", stderr);
        abort();
    }
    *cap = want;
    return p;
}
