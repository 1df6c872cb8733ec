# SPDX-License-Identifier: Apache-2.0
"""Networks grown at random out of what convolutional networks are made of."""

import random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ACTIVATIONS = ["Relu", "Relu", "Relu", "HardSwish", "Sigmoid", "Tanh",
               "LeakyRelu", "Elu", "Clip", "swish", "affine", "none", "none"]
INPUT = (3, 16, 16)


class Net:
    """A graph of images under growth; shapes are without the batch."""

    def __init__(self, seed):
        self.pick = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        self.shape = {"x": INPUT}

    def const(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape, gain=1.5):
        w = self.numbers.standard_normal(shape)
        return self.const((w * gain / np.sqrt(np.prod(shape[1:])))
                          .astype(np.float32))

    def number(self, low, high):
        return self.const(np.float32(self.pick.uniform(low, high)))

    def node(self, op, inputs, *shapes, **attributes):
        at = len(self.nodes)
        outs = [f"{op}{at}" + "abc"[i] for i in range(len(shapes))]
        self.nodes.append(helper.make_node(op, inputs, outs, name=f"{op}{at}",
                                           **attributes))
        self.shape.update(zip(outs, shapes))
        return outs[0] if len(outs) == 1 else outs

    def conv(self, x, out=None, k=None, depthwise=False):
        c, h, w = self.shape[x]
        k = k or self.pick.choice([1, 3])
        out = c if depthwise else out or self.pick.choice([4, 8, 12, 16])
        stride = self.pick.choice([1, 1, 2]) if h >= 8 else 1
        group = c if depthwise else 1
        return self.node("Conv", [x, self.weights(out, c // group, k, k),
                                  self.weights(out, gain=.3)],
                         (out, -(-h // stride), -(-w // stride)),
                         kernel_shape=[k, k], pads=[k // 2] * 4, group=group,
                         strides=[stride] * 2)

    def activation(self, x):
        op, shape = self.pick.choice(ACTIVATIONS), self.shape[x]
        if op == "none":
            return x
        if op == "swish":
            return self.node("Mul", [x, self.node("Sigmoid", [x], shape)],
                             shape)
        if op == "affine":
            y = self.node("Mul", [x, self.number(.5, 2)], shape)
            return self.node("Add", [self.number(-1, 1), y], shape)
        # From 0 as ReLU6 is: with a bound below, ONNX Runtime 1.30 refuses
        # the quantized file for node names that its own passes have doubled.
        bounds = [self.const(np.float32(0)), self.number(1, 2)]
        return self.node(op, [x] + (bounds if op == "Clip" else []), shape)

    def gate(self, x):
        c = self.shape[x][0]
        g = self.node("GlobalAveragePool", [x], (c, 1, 1))
        g = self.conv(g, out=c, k=1)
        g = self.node(self.pick.choice(["Sigmoid", "HardSigmoid"]), [g],
                      (c, 1, 1))
        return self.node("Mul", [x, g], self.shape[x])

    def pool(self, x):
        c, h, w = self.shape[x]
        return self.node(self.pick.choice(["MaxPool", "AveragePool"]), [x],
                         (c, h // 2, w // 2), kernel_shape=[2, 2],
                         strides=[2, 2])

    def enlarge(self, x):
        c, h, w = self.shape[x]
        scales = self.const(np.array([1, 1, 2, 2], np.float32))
        return self.node("Resize", [x, "", scales], (c, 2 * h, 2 * w),
                         mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")

    def split(self, x):
        c, h, w = self.shape[x]
        sizes = self.const(np.array([c // 2, c - c // 2]))
        return self.node("Split", [x, sizes], (c // 2, h, w),
                         (c - c // 2, h, w), axis=1)

    def turn(self, x):
        c, h, w = self.shape[x]
        return self.node("Transpose", [x], (c, w, h), perm=[0, 1, 3, 2])

    def grow(self, tips):
        """One step more; returns the new tips."""
        x = self.pick.choice(tips[-4:])
        alike = [t for t in tips if t != x and self.shape[t] == self.shape[x]]
        beside = [t for t in tips
                  if t != x and self.shape[t][1:] == self.shape[x][1:]]
        draw, size = self.pick.random(), self.shape[x][1]
        if draw < .1 and alike:
            return [self.activation(self.node(
                "Add", [x, self.pick.choice(alike)], self.shape[x]))]
        if draw < .2 and beside:
            y = self.pick.choice(beside)
            c = self.shape[x][0] + self.shape[y][0]
            return [self.node("Concat", [x, y], (c, *self.shape[x][1:]),
                              axis=1)]
        if draw < .3 and size >= 4:
            return [self.pool(x)]
        if draw < .37:
            return [self.gate(x)]
        if draw < .42:
            return [self.turn(x)]
        if draw < .47 and self.shape[x][0] > 1:
            return self.split(x)
        if draw < .52 and size <= 16:
            return [self.enlarge(x)]
        return [self.activation(self.conv(x, depthwise=draw > .9))]

    def needed(self, outs):
        """The nodes that make outs; dead ends are left out."""
        wanted, kept = set(outs), []
        for node in reversed(self.nodes):
            if wanted & set(node.output):
                wanted |= set(node.input)
                kept.insert(0, node)
        return kept

    def head(self, x):
        c = self.shape[x][0]
        if self.pick.random() < .4:
            return self.activation(self.conv(x))
        y = self.node("ReduceMean", [x], (c,), axes=[2, 3], keepdims=0)
        return self.node("Gemm", [y, self.weights(c, 5)], (5,))


def network(path, seed):
    """Saves one; returns the names of its outputs."""
    net, tips = Net(seed), ["x"]
    for _ in range(net.pick.randint(4, 14)):
        tips += net.grow(tips)
    outs = [net.head(tips[-1])]
    if net.pick.random() < .3:  # what is inside may be asked for too
        outs.append(net.pick.choice(tips[1:]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        net.needed(outs), "grown", [value("x", TensorProto.FLOAT, ["n", *INPUT])],
        [value(o, TensorProto.FLOAT, None) for o in dict.fromkeys(outs)],
        net.constants)
    model = helper.make_model(graph,
                              opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return list(dict.fromkeys(outs))
