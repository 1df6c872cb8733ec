/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ir/attention.h"

int64_t
attention_at(const struct attention *a, const struct attention_view *v,
             int64_t unit)
{
    int64_t at = v->offset;

    for (int i = a->n_lead; i-- > 0; unit /= a->lead[i])
        at += unit % a->lead[i] * v->stride[i];
    return at;
}

int64_t
attention_units(const struct attention *a)
{
    int64_t n = 1;

    for (int i = 0; i < a->n_lead; i++)
        n *= a->lead[i];
    return n;
}
