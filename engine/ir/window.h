/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the windows of convolutions and poolings lie: kernel size, strides,
 * dilations and padding of a node, with auto_pad and ceil_mode worked out.
 */
#ifndef ENGINE_IR_WINDOW_H
#define ENGINE_IR_WINDOW_H

#include "base/err.h"
#include "engine/ir/graph.h"

enum { WINDOW_MAX = 3 }; /* spatial axes */

/*
 * One number for each spatial axis; axes from n on are 1 wide with windows of
 * 1 at stride 1, so that three loops do for 1, 2 and 3 axes.
 *
 * Conv and pooling:  input i of window o, kernel place k:
 *                    i = o * stride + k * dilation - begin.
 * ConvTranspose:     output o from input i:
 *                    o = i * stride + k * dilation - begin.
 */
struct window {
    int n;
    int64_t in[WINDOW_MAX], out[WINDOW_MAX];
    int64_t kernel[WINDOW_MAX], stride[WINDOW_MAX], dilation[WINDOW_MAX];
    int64_t begin[WINDOW_MAX], end[WINDOW_MAX]; /* padding, never negative */
};

/*
 * The windows of a Conv, ConvTranspose, MaxPool or AveragePool whose input
 * shapes are known.
 * Fails: ERR_INVALID when an attribute has the wrong length or sign, or a
 *        window is larger than the padded input; ERR_UNSUPPORTED for other
 *        than 1 to 3 spatial axes.
 * Spec:  ONNX Conv, ConvTranspose, MaxPool.
 */
int window_of(const struct graph *g, const struct node *n, struct window *w,
              struct err *e);

#endif
