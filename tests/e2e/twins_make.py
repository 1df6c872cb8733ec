# SPDX-License-Identifier: Apache-2.0
"""Small float nets, and what ONNX Runtime's quantizer makes of them.

    python twins_make.py FOLDER

runs where PyPI's onnxruntime is installed, not in the tests' own Python.  For
each twin FOLDER gets NAME.onnx and NAME.npz with an input and ONNX Runtime's
answers to it; twins.json lists them.
"""

import json
import logging
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (CalibrationDataReader, QuantFormat,
                                      QuantType, quantize_dynamic,
                                      quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

BATCH = 4


class Net:
    """A graph written from front to back; x is what the last node made."""

    def __init__(self, name, x, shape, dtype=TensorProto.FLOAT):
        self.name, self.x = name, x
        self.inputs = [helper.make_tensor_value_info(x, dtype, shape)]
        self.nodes, self.constants = [], []
        self.rng = np.random.default_rng(len(name))

    def const(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape):
        fan = max(1, int(np.prod(shape[1:])))
        return self.const((self.rng.standard_normal(shape) *
                           (2 / fan) ** 0.5).astype("f4"))

    def op(self, kind, *inputs, n_out=1, **attrs):
        inputs = list(inputs) or [self.x]
        outs = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(n_out)]
        self.nodes.append(helper.make_node(kind, inputs, outs, outs[0],
                                           **attrs))
        self.x = outs[0]
        return self.x if n_out == 1 else outs

    def conv(self, o, i, k=3, stride=1, group=1, x=None, relu=None):
        self.op("Conv", x or self.x, self.weight(o, i // group, k, k),
                self.const((self.rng.standard_normal(o) / 8).astype("f4")),
                strides=[stride] * 2, pads=[k // 2] * 4, group=group)
        if relu == "relu":
            self.op("Relu")
        if relu == "relu6":
            self.op("Clip", self.x, self.const(np.float32(0)),
                    self.const(np.float32(6)))
        return self.x

    def linear(self, i, o, x=None):
        self.op("MatMul", x or self.x, self.const(
            (self.rng.standard_normal((i, o)) / i ** 0.5).astype("f4")))
        return self.op("Add", self.x, self.const(
            (self.rng.standard_normal(o) / 8).astype("f4")))

    def norm(self, n, parts=False):
        scale = self.const(1 + (self.rng.standard_normal(n) / 8).astype("f4"))
        bias = self.const((self.rng.standard_normal(n) / 8).astype("f4"))
        return self.op("LayerNormalization", self.x, scale, bias, axis=-1)

    def model(self, opset=17):
        graph = helper.make_graph(
            self.nodes, self.name, self.inputs,
            [helper.make_tensor_value_info(self.x, TensorProto.FLOAT, None)],
            self.constants)
        m = helper.make_model(graph, producer_name="tests", ir_version=8,
                              opset_imports=[helper.make_opsetid("", opset)])
        return onnx.shape_inference.infer_shapes(m)

    def samples(self, n):
        """n batches for the input."""
        rng = np.random.default_rng(5)
        t = self.inputs[0].type.tensor_type
        shape = [d.dim_value or BATCH for d in t.shape.dim]
        for _ in range(n):
            if t.elem_type == TensorProto.INT64:
                yield {self.inputs[0].name: rng.integers(0, 50, shape)}
            else:
                yield {self.inputs[0].name:
                       rng.standard_normal(shape).astype("f4")}


def head(net, channels, classes=10):
    net.op("GlobalAveragePool")
    net.op("Flatten")
    net.op("Gemm", net.x, net.weight(classes, channels),
           net.const((net.rng.standard_normal(classes) / 8).astype("f4")),
           transB=1)


def resnet():
    """The 18 layers of ResNet, narrow."""
    n = Net("resnet", "image", ["n", 3, 48, 48])
    n.conv(16, 3, 7, 2, relu="relu")
    n.op("MaxPool", n.x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    wide = 16
    for stage in range(4):
        for block in range(2):
            o = 16 << stage
            stride = 2 if stage and not block else 1
            skip = n.x
            n.conv(o, wide, 3, stride, relu="relu")
            y = n.conv(o, o)
            if wide != o:
                skip = n.conv(o, wide, 1, stride, x=skip)
            n.op("Add", y, skip)
            n.op("Relu")
            wide = o
    head(n, wide)
    return n


def mobilenet():
    n = Net("mobilenet", "image", ["n", 3, 48, 48])
    n.conv(16, 3, 3, 2, relu="relu6")
    wide = 16
    for o, stride in ((16, 1), (24, 2), (24, 1), (32, 2), (32, 1)):
        skip, inner = n.x, wide * 4
        n.conv(inner, wide, 1, relu="relu6")
        n.conv(inner, inner, 3, stride, group=inner, relu="relu6")
        y = n.conv(o, inner, 1)
        if stride == 1 and wide == o:
            n.op("Add", skip, y)
        wide = o
    n.conv(64, wide, 1, relu="relu6")
    head(n, 64)
    return n


def mixed():
    """What the two above have not."""
    n = Net("mixed", "image", ["n", 3, 32, 32])
    n.conv(16, 3, 3, 2)
    n.op("LeakyRelu", alpha=0.1)
    a = n.conv(16, 16)
    s = n.op("Sigmoid")
    silu = n.op("Mul", a, s)
    b = n.conv(8, 16, 1, x=silu)
    c = n.op("AveragePool", silu, kernel_shape=[2, 2], strides=[2, 2])
    n.op("Resize", c, "", n.const(np.float32([1, 1, 2, 2])), mode="nearest",
         coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    n.op("Concat", b, n.x, axis=1)
    p = n.op("Pad", n.x, n.const(np.int64([0, 0, 1, 1, 0, 0, 1, 1])))
    n.op("Conv", p, n.weight(32, 24, 3, 3), strides=[2, 2])
    y = n.op("Relu")
    # Squeeze and excite.
    n.op("GlobalAveragePool", y)
    n.conv(8, 32, 1, relu="relu")
    n.conv(32, 8, 1)
    n.op("HardSigmoid")
    n.op("Mul", y, n.x)
    n.op("ConvTranspose", n.x, n.weight(32, 16, 2, 2), strides=[2, 2])
    left, right = n.op("Split", n_out=2, axis=1)
    n.op("Transpose", left, perm=[0, 1, 3, 2])
    n.op("Sub", n.x, right)
    n.op("ReduceMean", axes=[2, 3], keepdims=0)
    n.op("Gemm", n.x, n.weight(8, 10), n.const(np.zeros(10, "f4")))
    n.op("Softmax", axis=-1)
    return n


def mlp():
    n = Net("mlp", "x", ["n", 40])
    n.linear(40, 64)
    n.op("Relu")
    n.op("Gemm", n.x, n.weight(64, 32), n.const(np.ones(32, "f4") / 4))
    n.op("Tanh")
    n.linear(32, 10)
    return n


def transformer():
    heads, wide, length = 4, 32, 12
    n = Net("transformer", "ids", ["n", length], TensorProto.INT64)
    table = n.weight(50, wide)
    n.op("Gather", table, "ids")
    n.op("Add", n.x, n.weight(length, wide))
    n.norm(wide)
    for _ in range(2):
        skip, parts = n.x, []
        for perm in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)):
            n.linear(wide, wide, x=skip)
            n.op("Reshape", n.x, n.const(np.int64([0, 0, heads, -1])))
            parts.append(n.op("Transpose", perm=perm))
        n.op("MatMul", parts[0], parts[1])
        n.op("Div", n.x, n.const(np.float32((wide / heads) ** 0.5)))
        n.op("Softmax", axis=-1)
        n.op("MatMul", n.x, parts[2])
        n.op("Transpose", perm=(0, 2, 1, 3))
        n.op("Reshape", n.x, n.const(np.int64([0, 0, wide])))
        n.linear(wide, wide)
        n.op("Add", n.x, skip)
        skip = n.norm(wide)
        x = n.linear(wide, 64)
        n.op("Div", x, n.const(np.float32(2 ** 0.5)))
        n.op("Erf")
        n.op("Add", n.x, n.const(np.float32(1)))
        n.op("Mul", x, n.x)
        n.op("Mul", n.x, n.const(np.float32(0.5)))
        n.linear(64, wide)
        n.op("Add", n.x, skip)
        n.norm(wide)
    n.op("ReduceMean", axes=[1], keepdims=0)
    n.linear(wide, 10)
    return n


class Reader(CalibrationDataReader):
    def __init__(self, net):
        self.left = net.samples(4)

    def get_next(self):
        return next(self.left, None)


U8, S8, U16, S16 = (QuantType.QUInt8, QuantType.QInt8, QuantType.QUInt16,
                    QuantType.QInt16)


def static(form, act, weight, channel=False, **extra):
    def make(net, source, to):
        quantize_static(source, to, Reader(net), quant_format=form,
                        activation_type=act, weight_type=weight,
                        per_channel=channel, extra_options=extra)
    return make


def dynamic(weight, channel=False, **rest):
    def make(net, source, to):
        quantize_dynamic(source, to, weight_type=weight, per_channel=channel,
                         **rest)
    return make


QDQ, QOP = QuantFormat.QDQ, QuantFormat.QOperator
MODES = {
    "qdq_s8s8": static(QDQ, S8, S8),
    "qdq_s8s8_channel": static(QDQ, S8, S8, True),
    "qdq_u8s8": static(QDQ, U8, S8),
    "qdq_u8s8_channel": static(QDQ, U8, S8, True),
    "qdq_u8u8": static(QDQ, U8, U8),
    "qdq_u8u8_symmetric": static(QDQ, U8, U8, WeightSymmetric=True),
    "qdq_s8_asymmetric": static(QDQ, S8, S8, WeightSymmetric=False),
    "qdq_trt": static(QDQ, S8, S8, True, ActivationSymmetric=True,
                      AddQDQPairToWeight=True, DedicatedQDQPair=True,
                      QuantizeBias=False),
    "qdq_pairs": static(QDQ, U8, S8, True, AddQDQPairToWeight=True),
    "qdq_dedicated": static(QDQ, U8, S8, DedicatedQDQPair=True),
    "qdq_float_bias": static(QDQ, U8, S8, True, QuantizeBias=False),
    "qdq_u16": static(QDQ, U16, S8, True),
    "qop_u8s8": static(QOP, U8, S8),
    "qop_u8s8_channel": static(QOP, U8, S8, True),
    "qop_s8s8": static(QOP, S8, S8),
    "qop_u8u8": static(QOP, U8, U8),
    "dynamic_s8": dynamic(S8),
    "dynamic_s8_channel": dynamic(S8, True),
    "dynamic_u8": dynamic(U8),
    "dynamic_s8_reduced": dynamic(S8, reduce_range=True),
}


def answers(path, feed, optimized):
    o = ort.SessionOptions()
    o.log_severity_level = 3
    o.graph_optimization_level = (
        ort.GraphOptimizationLevel.ORT_ENABLE_ALL if optimized else
        ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    s = ort.InferenceSession(str(path), o, ["CPUExecutionProvider"])
    return s.run(None, feed)[0]


def optimized_file(source, to):
    """The file that ONNX Runtime's optimizer writes of it."""
    o = ort.SessionOptions()
    o.log_severity_level = 3
    o.graph_optimization_level = (
        ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
    o.optimized_model_filepath = str(to)
    ort.InferenceSession(str(source), o, ["CPUExecutionProvider"])


def main(folder):
    folder = pathlib.Path(folder)
    logging.disable(logging.WARNING)
    made = []
    for build in (resnet, mobilenet, mixed, mlp, transformer):
        net = build()
        source = folder / f"{net.name}.onnx"
        onnx.save(net.model(), source)
        ready = folder / f"{net.name}_ready.onnx"
        quant_pre_process(source, ready, skip_symbolic_shape=True)
        feed = next(net.samples(1))
        base = answers(source, feed, False)
        for mode, make in MODES.items():
            to = folder / f"{net.name}-{mode}.onnx"
            make(net, ready, to)
            want = answers(to, feed, False)
            np.savez(to.with_suffix(".npz"), want=want, float=base,
                     fused=answers(to, feed, True), **feed)
            made.append({"net": net.name, "mode": mode, "file": to.name})
            if mode.startswith(("qop", "dynamic")) or (
                    net.name == "mixed" and "u16" not in mode):
                fused = folder / f"{net.name}-{mode}-fused.onnx"
                optimized_file(to, fused)
                np.savez(fused.with_suffix(".npz"), float=base,
                         want=answers(fused, feed, True), **feed)
                made.append({"net": net.name, "mode": mode + "-fused",
                             "file": fused.name})
    (folder / "twins.json").write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
