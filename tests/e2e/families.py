# SPDX-License-Identifier: Apache-2.0
"""Small members of the families that real models belong to, written as the
exporters write them: shapes computed in the graph, several nodes where newer
opsets have one operator."""

import dataclasses

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {np.dtype("f4"): TensorProto.FLOAT, np.dtype("i8"): TensorProto.INT64}


@dataclasses.dataclass
class Family:
    """
    write:  puts the model into a file.
    inputs: (rng, rows, **size) to {name: array}.
    sizes:  of the open axes other than the rows.
    batch:  may rows share a run?
    """
    write: object
    inputs: object
    sizes: tuple = ({},)
    batch: bool = True


class Net:
    """A graph under construction: node() returns the name of its output."""

    def __init__(self, opset, seed=1):
        self.opset = opset
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        self.ins, self.outs = [], []

    def input(self, name, shape, dtype="f4"):
        self.ins.append(helper.make_tensor_value_info(
            name, TYPES[np.dtype(dtype)], shape))
        return name

    def output(self, x, name, shape, dtype="f4"):
        self.nodes.append(helper.make_node("Identity", [x], [name]))
        self.outs.append(helper.make_tensor_value_info(
            name, TYPES[np.dtype(dtype)], shape))

    def const(self, array):
        name = f"onnx::Constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def ints(self, *numbers):
        return self.const(np.array(numbers, np.int64))

    def number(self, x):
        return self.const(np.float32(x))

    def weights(self, *shape, fan_in=None, gain=1.0):
        w = self.rng.standard_normal(shape)
        return self.const((w * gain / np.sqrt(
            fan_in or np.prod(shape[1:]))).astype("f4"))

    def node(self, op, *inputs, n_out=1, **attributes):
        at = len(self.nodes)
        outs = [f"/{op}_{at}_output_{k}" for k in range(n_out)]
        self.nodes.append(helper.make_node(op, inputs, outs,
                                           name=f"/{op}_{at}", **attributes))
        return outs[0] if n_out == 1 else outs

    def save(self, path):
        graph = helper.make_graph(self.nodes, "main_graph", self.ins,
                                  self.outs, self.constants)
        model = helper.make_model(graph, opset_imports=[
            helper.make_opsetid("", self.opset)])
        model.ir_version = 7
        onnx.save(model, str(path))

    # --- what several families have ----------------------------------------

    def conv(self, x, cin, cout, k=1, stride=1, group=1, bias=True):
        ins = [x, self.weights(cout, cin // group, k, k, gain=1.4)]
        if bias:
            ins.append(self.const((self.rng.standard_normal(cout) * 0.1)
                                  .astype("f4")))
        return self.node("Conv", *ins, kernel_shape=[k, k], group=group,
                         pads=[k // 2] * 4, strides=[stride] * 2)

    def norm(self, x, c):
        numbers = [self.rng.uniform(0.5, 1.5, c), self.rng.normal(0, 0.1, c),
                   self.rng.normal(0, 0.1, c), self.rng.uniform(0.5, 1.5, c)]
        return self.node("BatchNormalization", x, *(
            self.const(a.astype("f4")) for a in numbers), epsilon=1e-5)

    def hard_swish(self, x):
        """By parts, as before opset 14."""
        y = self.node("Add", x, self.number(3))
        y = self.node("Clip", y, self.number(0), self.number(6))
        return self.node("Mul", x, self.node("Div", y, self.number(6)))

    def silu(self, x):
        return self.node("Mul", x, self.node("Sigmoid", x))

    def linear(self, x, cin, cout):
        y = self.node("MatMul", x, self.weights(cin, cout, fan_in=cin))
        return self.node("Add", self.const(
            (self.rng.standard_normal(cout) * 0.1).astype("f4")), y)

    def dim(self, x, axis):
        """[1]: one dimension of x."""
        return self.unsqueeze(self.node(
            "Gather", self.node("Shape", x), self.const(np.int64(axis)),
            axis=0), 0)

    def unsqueeze(self, x, *axes):
        if self.opset < 13:
            return self.node("Unsqueeze", x, axes=list(axes))
        return self.node("Unsqueeze", x, self.ints(*axes))

    def reshape(self, x, *dims):
        """Each dimension a number or a computed [1]."""
        shape = self.node("Concat", *(
            d if isinstance(d, str) else self.ints(d) for d in dims), axis=0)
        return self.node("Reshape", x, shape)

    def slice(self, x, axis, start, end, step=1):
        as_ints = [v if isinstance(v, str) else self.ints(v)
                   for v in (start, end, axis, step)]
        return self.node("Slice", x, *as_ints)

    def resize(self, x, scales="", sizes=None, **attributes):
        roi = "" if self.opset >= 13 else self.const(np.array([], "f4"))
        more = [] if sizes is None else [sizes]
        if more and self.opset < 13:
            scales = self.const(np.array([], "f4"))
        return self.node("Resize", x, roi, scales, *more, **attributes)

    def layer_norm(self, x, n):
        mean = self.node("ReduceMean", x, axes=[-1])
        y = self.node("Sub", x, mean)
        square = self.node("Pow", y, self.number(2))
        spread = self.node("Sqrt", self.node(
            "Add", self.node("ReduceMean", square, axes=[-1]),
            self.number(1e-12)))
        y = self.node("Div", y, spread)
        y = self.node("Mul", y, self.const(
            self.rng.uniform(0.5, 1.5, n).astype("f4")))
        return self.node("Add", y, self.const(
            self.rng.normal(0, 0.1, n).astype("f4")))

    def gelu(self, x):
        y = self.node("Erf", self.node("Div", x, self.number(2 ** 0.5)))
        y = self.node("Mul", x, self.node("Add", y, self.number(1)))
        return self.node("Mul", y, self.number(0.5))

    def gelu_tanh(self, x):
        y = self.node("Mul", self.node("Pow", x, self.number(3)),
                      self.number(0.044715))
        y = self.node("Mul", self.node("Add", x, y),
                      self.number((2 / np.pi) ** 0.5))
        y = self.node("Add", self.node("Tanh", y), self.number(1))
        return self.node("Mul", self.node("Mul", x, self.number(0.5)), y)


def images(side, channels=3):
    def inputs(rng, rows, height=side, width=side):
        return {"x": rng.standard_normal((rows, channels, height, width))
                .astype("f4")}
    return inputs


# --- pictures ----------------------------------------------------------------


def mobilenet_v3(path):
    n = Net(11)
    x = n.input("x", ["batch", 3, 64, 64])
    x = n.hard_swish(n.norm(n.conv(x, 3, 16, 3, 2, bias=False), 16))
    for _ in range(2):
        y = n.hard_swish(n.conv(x, 16, 48))
        y = n.hard_swish(n.conv(y, 48, 48, 5, 1, 48))
        gate = n.node("GlobalAveragePool", y)
        gate = n.node("Relu", n.conv(gate, 48, 12))
        gate = n.node("HardSigmoid", n.conv(gate, 12, 48), alpha=1 / 6)
        y = n.conv(n.node("Mul", y, gate), 48, 16)
        x = n.node("Add", y, x)
    x = n.node("Flatten", n.node("GlobalAveragePool", x), axis=1)
    x = n.node("Gemm", x, n.weights(10, 16), n.weights(10, fan_in=9),
               transB=1)
    n.output(n.node("Softmax", x, axis=1), "y", ["batch", 10])
    n.save(path)


def densenet(path):
    n = Net(9)
    x = n.conv(n.input("x", ["batch", 3, 32, 32]), 3, 16, 3)
    channels, kept = 16, [x]
    for _ in range(4):
        y = n.node("Concat", *kept, axis=1) if len(kept) > 1 else x
        y = n.conv(n.node("Relu", n.norm(y, channels)), channels, 32)
        y = n.conv(n.node("Relu", n.norm(y, 32)), 32, 8, 3)
        kept.append(y)
        channels += 8
    y = n.node("Relu", n.norm(n.node("Concat", *kept, axis=1), channels))
    y = n.node("AveragePool", n.conv(y, channels, 12), kernel_shape=[2, 2],
               strides=[2, 2])
    n.output(y, "y", ["batch", 12, 16, 16])
    n.save(path)


def shuffle(path):
    """Two halves of the channels, one convolved, then shuffled."""
    n = Net(13)
    x = n.conv(n.input("x", ["batch", 3, "h", "w"]), 3, 24, 3, 2)
    for _ in range(2):
        a, b = n.node("Split", x, n.ints(12, 12), n_out=2, axis=1)
        b = n.node("Relu", n.conv(b, 12, 12))
        b = n.conv(n.conv(b, 12, 12, 3, 1, 12), 12, 12)
        x = n.node("Concat", a, n.node("Relu", b), axis=1)
        rows, h, w = (n.dim(x, k) for k in (0, 2, 3))
        y = n.node("Transpose", n.reshape(x, rows, 2, 12, h, w),
                   perm=[0, 2, 1, 3, 4])
        x = n.reshape(y, rows, -1, h, w)
    n.output(x, "y", ["batch", 24, "h2", "w2"])
    n.save(path)


def unet(path):
    """Down twice, up by a transposed convolution and by Resize."""
    n = Net(11)
    x = n.input("x", ["batch", 3, "h", "w"])
    a = n.node("Relu", n.conv(x, 3, 8, 3))
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    b = n.node("Relu", n.conv(n.node("MaxPool", a, **pool), 8, 16, 3))
    c = n.node("Relu", n.conv(n.node("MaxPool", b, **pool), 16, 32, 3))
    up = n.node("ConvTranspose", c, n.weights(32, 16, 2, 2, fan_in=32),
                n.weights(16, fan_in=16), kernel_shape=[2, 2],
                strides=[2, 2])
    b = n.node("Relu", n.conv(n.node("Concat", b, up, axis=1), 32, 16, 3))
    # The size of what it is joined with, as interpolate(size=...) asks.
    size = n.slice(n.node("Shape", a), 0, 2, 4)
    size = n.node("Concat", n.slice(n.node("Shape", b), 0, 0, 2), size,
                  axis=0)
    up = n.resize(b, sizes=size, mode="linear",
                  coordinate_transformation_mode="align_corners")
    a = n.node("Relu", n.conv(n.node("Concat", a, up, axis=1), 24, 8, 3))
    n.output(n.node("Sigmoid", n.conv(a, 8, 2)), "y", ["batch", 2, "h", "w"])
    n.save(path)


def yolo_maps(n, x):
    """Two maps of a small detector, at strides 4 and 8."""
    a = n.silu(n.conv(x, 3, 16, 3, 2))
    a = n.silu(n.conv(a, 16, 16, 3, 2))
    b = n.silu(n.conv(a, 16, 16, 3, 2))
    up = n.resize(b, n.const(np.array([1, 1, 2, 2], "f4")), mode="nearest",
                  nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")
    return n.silu(n.conv(n.node("Concat", a, up, axis=1), 32, 16)), b


def yolo5_boxes(n, x, n_classes=4):
    """[rows, boxes, x y w h objectness classes], the grid from the shape."""
    found, width = [], 5 + n_classes
    for stride, y in zip((4, 8), yolo_maps(n, x)):
        y = n.conv(y, 16, 2 * width)
        rows, h, w = (n.dim(y, k) for k in (0, 2, 3))
        y = n.node("Transpose", n.reshape(y, rows, 2, width, h, w),
                   perm=[0, 1, 3, 4, 2])
        y = n.node("Sigmoid", y)
        ys, xs = (n.node("Range", n.const(np.int64(0)), n.node(
            "Squeeze", d, axes=[0]), n.const(np.int64(1))) for d in (h, w))
        shape = n.node("Concat", h, w, axis=0)
        cells = n.node("Concat", *(n.unsqueeze(n.node("Expand", a, shape), 2)
                                   for a in (n.unsqueeze(xs, 0),
                                             n.unsqueeze(ys, 1))), axis=2)
        cells = n.node("Cast", cells, to=TensorProto.FLOAT)
        xy = n.node("Sub", n.node("Mul", n.slice(y, 4, 0, 2), n.number(2)),
                    n.number(0.5))
        xy = n.node("Mul", n.node("Add", xy, cells), n.number(stride))
        wh = n.node("Pow", n.node("Mul", n.slice(y, 4, 2, 4), n.number(2)),
                    n.number(2))
        anchors = n.const(n.rng.uniform(5, 20, (1, 2, 1, 1, 2)).astype("f4"))
        y = n.node("Concat", xy, n.node("Mul", wh, anchors),
                   n.slice(y, 4, 4, width), axis=4)
        found.append(n.reshape(y, rows, -1, width))
    return n.node("Concat", *found, axis=1)


def yolo8(path, n_classes=4, bins=16):
    """[rows, x y w h classes, boxes]: each side of a box is the mean of a
    distribution over the cells it may be long."""
    n = Net(13)
    x = n.input("x", ["batch", 3, 64, 64])
    maps, width = [], 4 * bins + n_classes
    for y in yolo_maps(n, x):
        y = n.node("Concat", n.conv(y, 16, 4 * bins, bias=True),
                   n.conv(y, 16, n_classes), axis=1)
        maps.append(n.reshape(y, n.dim(y, 0), width, -1))
    boxes, classes = n.node("Split", n.node("Concat", *maps, axis=2),
                            n.ints(4 * bins, n_classes), n_out=2, axis=1)
    rows = n.dim(boxes, 0)
    y = n.node("Transpose", n.reshape(boxes, rows, 4, bins, -1),
               perm=[0, 2, 1, 3])
    y = n.node("Conv", n.node("Softmax", y, axis=1), n.const(
        np.arange(bins, dtype="f4").reshape(1, bins, 1, 1)),
        kernel_shape=[1, 1])
    near, far = n.node("Split", n.reshape(y, rows, 4, -1), n.ints(2, 2),
                       n_out=2, axis=1)
    cells = [np.stack(np.meshgrid(np.arange(k) + 0.5, np.arange(k) + 0.5))
             .reshape(2, -1) for k in (16, 8)]
    center = n.const(np.concatenate(cells, 1)[None].astype("f4"))
    near, far = n.node("Sub", center, near), n.node("Add", center, far)
    middle = n.node("Div", n.node("Add", near, far), n.number(2))
    y = n.node("Concat", middle, n.node("Sub", far, near), axis=1)
    stride = np.repeat([4, 8], [256, 64])[None, None].astype("f4")
    y = n.node("Mul", y, n.const(stride))
    y = n.node("Concat", y, n.node("Sigmoid", classes), axis=1)
    n.output(y, "y", ["batch", 4 + n_classes, 320])
    n.save(path)


def yolo5(path):
    n = Net(12)
    x = n.input("x", ["batch", 3, "h", "w"])
    n.output(yolo5_boxes(n, x), "y", ["batch", "boxes", 9])
    n.save(path)


def yolo5_nms(path):
    """With NonMaxSuppression behind it: as many rows as boxes remain."""
    n = Net(12)
    y = yolo5_boxes(n, n.input("x", ["batch", 3, "h", "w"]))
    boxes = n.slice(y, 2, 0, 4)
    scores = n.node("Mul", n.slice(y, 2, 5, 9), n.slice(y, 2, 4, 5))
    scores = n.node("Transpose", scores, perm=[0, 2, 1])
    picked = n.node("NonMaxSuppression", boxes, scores, n.ints(10),
                    n.number(0.4), n.number(0.3), center_point_box=1)
    row_box = n.node("Gather", picked, n.ints(0, 2), axis=1)
    n.output(n.node("GatherND", boxes, row_box), "boxes", ["n", 4])
    n.output(n.node("GatherND", scores, picked), "scores", ["n"])
    n.output(picked, "picked", ["n", 3], "i8")
    n.save(path)


# --- text --------------------------------------------------------------------

HIDDEN, HEADS, VOCABULARY = 32, 4, 50


def attention(n, q, k, v, added):
    """softmax(q k' / sqrt(d) + added) v of [rows, heads, length, d]."""
    share = n.node("MatMul", q, k)
    share = n.node("Div", share, n.number((HIDDEN // HEADS) ** 0.5))
    share = n.node("Softmax", n.node("Add", share, added), axis=3)
    y = n.node("Transpose", n.node("MatMul", share, v), perm=[0, 2, 1, 3])
    return n.reshape(y, n.dim(y, 0), n.dim(y, 1), HIDDEN)


def heads(n, x, perm):
    y = n.reshape(x, n.dim(x, 0), n.dim(x, 1), HEADS, HIDDEN // HEADS)
    return n.node("Transpose", y, perm=perm)


def bert(path, opset=11):
    """Two encoder layers; rows and length open, positions cut to length."""
    n = Net(opset)
    ids = n.input("input_ids", ["batch", "sequence"], "i8")
    used = n.input("attention_mask", ["batch", "sequence"], "i8")
    mask = n.node("Cast", n.unsqueeze(used, 1, 2), to=TensorProto.FLOAT)
    mask = n.node("Mul", n.node("Sub", n.number(1), mask), n.number(-1e4))
    places = n.slice(n.const(np.arange(64)[None]), 1, 0, n.dim(ids, 1))
    x = n.node("Add",
               n.node("Gather", n.weights(VOCABULARY, HIDDEN, fan_in=1), ids),
               n.node("Gather", n.weights(64, HIDDEN, fan_in=4), places))
    x = n.layer_norm(x, HIDDEN)
    for _ in range(2):
        q, k, v = (n.linear(x, HIDDEN, HIDDEN) for _ in range(3))
        y = attention(n, heads(n, q, [0, 2, 1, 3]), heads(n, k, [0, 2, 3, 1]),
                      heads(n, v, [0, 2, 1, 3]), mask)
        x = n.layer_norm(n.node("Add", n.linear(y, HIDDEN, HIDDEN), x),
                         HIDDEN)
        y = n.linear(n.gelu(n.linear(x, HIDDEN, 64)), 64, HIDDEN)
        x = n.layer_norm(n.node("Add", y, x), HIDDEN)
    n.output(x, "last_hidden_state", ["batch", "sequence", HIDDEN])
    n.save(path)


def bert_inputs(rng, rows, length=12):
    used = rng.integers(1, length + 1, rows)
    return {"input_ids": rng.integers(0, VOCABULARY, (rows, length)),
            "attention_mask": (np.arange(length) < used[:, None])
            .astype(np.int64)}


def gpt2(path):
    """A decoder layer: causal, keys and values of the past in and out."""
    n = Net(13)
    ids = n.input("input_ids", ["batch", "sequence"], "i8")
    shape = ["batch", HEADS, "past", HIDDEN // HEADS]
    past_k, past_v = n.input("past.key", shape), n.input("past.value", shape)
    past, length = n.dim(past_k, 2), n.dim(ids, 1)
    total = n.node("Add", past, length)
    squeezed = [n.node("Squeeze", d, n.ints(0)) for d in (past, total)]
    places = n.node("Range", *squeezed, n.const(np.int64(1)))
    table = n.weights(VOCABULARY, HIDDEN, fan_in=1)
    x = n.node("Add", n.node("Gather", table, ids), n.unsqueeze(n.node(
        "Gather", n.weights(64, HIDDEN, fan_in=4), places), 0))
    y = n.linear(n.layer_norm(x, HIDDEN), HIDDEN, 3 * HIDDEN)
    q, k, v = n.node("Split", y, n.ints(*[HIDDEN] * 3), n_out=3, axis=2)
    q, k, v = (heads(n, t, [0, 2, 1, 3]) for t in (q, k, v))
    k = n.node("Concat", past_k, k, axis=2)
    v = n.node("Concat", past_v, v, axis=2)
    before = n.const(np.tril(np.ones((1, 1, 64, 64), bool)))
    before = n.slice(n.slice(before, 2, past, total), 3, 0, total)
    added = n.node("Where", before, n.number(0), n.number(-1e9))
    y = attention(n, q, n.node("Transpose", k, perm=[0, 1, 3, 2]), v, added)
    x = n.node("Add", n.linear(y, HIDDEN, HIDDEN), x)
    y = n.gelu_tanh(n.linear(n.layer_norm(x, HIDDEN), HIDDEN, 64))
    x = n.layer_norm(n.node("Add", x, n.linear(y, 64, HIDDEN)), HIDDEN)
    logits = n.node("MatMul", x, n.node("Transpose", table, perm=[1, 0]))
    n.output(logits, "logits", ["batch", "sequence", VOCABULARY])
    shape[2] = "total"
    n.output(k, "present.key", shape)
    n.output(v, "present.value", shape)
    n.save(path)


def gpt2_inputs(rng, rows, past=7, length=2):
    shape = (rows, HEADS, past, HIDDEN // HEADS)
    return {"input_ids": rng.integers(0, VOCABULARY, (rows, length)),
            "past.key": rng.standard_normal(shape).astype("f4"),
            "past.value": rng.standard_normal(shape).astype("f4")}


def tagger(path):
    """Both directions of an LSTM over words, the state of zeros made from
    the number of rows."""
    n = Net(9)
    ids = n.input("words", ["batch", "length"], "i8")
    x = n.node("Gather", n.weights(VOCABULARY, 16, fan_in=1), ids)
    x = n.node("Transpose", x, perm=[1, 0, 2])
    shape = n.node("Concat", n.ints(2), n.dim(x, 1), n.ints(24), axis=0)
    zero = n.node("ConstantOfShape", shape)
    y, _, _ = n.node("LSTM", x, n.weights(2, 96, 16, fan_in=16),
                     n.weights(2, 96, 24, fan_in=24),
                     n.weights(2, 192, fan_in=25), "", zero, zero, n_out=3,
                     direction="bidirectional", hidden_size=24)
    y = n.node("Transpose", y, perm=[2, 0, 1, 3])
    y = n.node("Reshape", y, n.ints(0, 0, -1))
    n.output(n.linear(y, 48, 7), "tags", ["batch", "length", 7])
    n.save(path)


def words(rng, rows, length=9):
    return {"words": rng.integers(0, VOCABULARY, (rows, length))}


FAMILIES = {
    "mobilenet_v3": Family(mobilenet_v3, images(64)),
    "densenet": Family(densenet, images(32)),
    "shuffle": Family(shuffle, images(32), ({}, {"height": 20, "width": 48})),
    "unet": Family(unet, images(32), ({}, {"height": 24, "width": 40})),
    "yolo5": Family(yolo5, images(64), ({}, {"height": 32, "width": 96})),
    "yolo8": Family(yolo8, images(64)),
    "yolo5_nms": Family(yolo5_nms, images(64),
                        ({}, {"height": 32, "width": 96}), batch=False),
    "bert": Family(bert, bert_inputs, ({}, {"length": 1}, {"length": 40})),
    "bert_opset_17": Family(lambda path: bert(path, 17), bert_inputs),
    "gpt2": Family(gpt2, gpt2_inputs,
                   ({}, {"past": 0, "length": 5}, {"past": 20})),
    "tagger": Family(tagger, words, ({}, {"length": 1}, {"length": 30})),
}
