/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_DNN_ELTWISE_H
#define ENGINE_DNN_ELTWISE_H

#include "engine/ir/graph.h"

/*
 * The post that means what the unary operator n does; false when it has
 * parameters that are not known when the plan is made.
 */
bool eltwise_post(const struct graph *g, const struct node *n, struct post *p);

/*
 * For every byte the answer of posts (unary ones, at most NODE_MAX_POSTS)
 * between DequantizeLinear by xq and QuantizeLinear by yq, one scale each.
 */
void eltwise_table(const struct post *posts, int n_posts, enum dtype from,
                   const struct qparam *xq, enum dtype to,
                   const struct qparam *yq, uint8_t table[256]);

#endif
