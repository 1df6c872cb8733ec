# SPDX-License-Identifier: Apache-2.0
"""Quantized files as exporters write them: one small file a pattern.

Each is computed here once more, number by number, and must be answered within
one step of its last quantization; its layers must run in int8.
"""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ctl

F, U, S, I64 = (TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8,
                TensorProto.INT64)
MS = "com.microsoft"
RANGE = {"u1": (0, 255), "i1": (-128, 127), "u2": (0, 65535)}


# --- files ------------------------------------------------------------------

class File:
    def __init__(self):
        self.nodes, self.constants, self.inputs = [], [], []
        self.rng = np.random.default_rng(3)

    def const(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(
            numpy_helper.from_array(np.asarray(array), name))
        return name

    def input(self, name, shape):
        self.inputs.append(helper.make_tensor_value_info(name, F, shape))
        return name

    def op(self, kind, *inputs, n_out=1, domain="", **attrs):
        outs = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(n_out)]
        names = [i if isinstance(i, str) else self.const(i) for i in inputs]
        self.nodes.append(helper.make_node(kind, names, outs, outs[0],
                                           domain=domain, **attrs))
        return outs[0] if n_out == 1 else outs

    def ms(self, kind, *inputs, **attrs):
        return self.op(kind, *inputs, domain=MS, **attrs)

    def save(self, path, output):
        graph = helper.make_graph(
            self.nodes, "matrix", self.inputs,
            [helper.make_tensor_value_info(output, F, None)], self.constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 15),
                                  helper.make_opsetid(MS, 1)])
        model.ir_version = 8
        onnx.save(model, str(path))

    # A float weight, and what a quantizer makes of it.
    def weight(self, *shape):
        return (self.rng.standard_normal(shape) / 4).astype("f4")

    def pair(self, x, q):
        """Q -> DQ."""
        return self.dq(self.op("QuantizeLinear", x, q.s(), q.z(),
                               axis=q.axis), q)

    def dq(self, x, q):
        return self.op("DequantizeLinear", x, q.s(), q.z(), axis=q.axis)


class Q:
    """Scale and zero point, one or one an index of axis."""

    def __init__(self, t, scale, zero=0, axis=0):
        self.t, self.axis = t, axis
        self.scale = np.asarray(scale, "f4")
        self.zero = np.broadcast_to(np.asarray(zero, t), self.scale.shape)

    def s(self):
        return self.scale

    def z(self):
        return np.array(self.zero)

    def wide(self, v, rank):
        if v.ndim == 0:
            return v
        return v.reshape([-1 if i == self.axis else 1 for i in range(rank)])

    def q(self, x):
        x = np.asarray(x, "f4")
        y = np.rint(x / self.wide(self.scale, x.ndim)) + self.wide(
            self.zero.astype("i4"), x.ndim)
        return np.clip(y, *RANGE[np.dtype(self.t).str[1:]]).astype(self.t)

    def real(self, q):
        return ((q.astype("f8") - self.wide(self.zero.astype("i4"), q.ndim)) *
                self.wide(self.scale.astype("f8"), q.ndim))

    def near(self, x):
        """What x is after Q and DQ."""
        return self.real(self.q(x))


def by_channel(w, axis=0, t="i1", zero=0):
    """A scale for each index, from the largest magnitude."""
    rest = tuple(i for i in range(w.ndim) if i != axis)
    return Q(t, np.abs(w).max(rest) / 127, zero, axis)


def dynamic(x):
    """DynamicQuantizeLinear."""
    low, high = min(0, x.min()), max(0, x.max())
    scale = np.float32(np.float32(high - low) / np.float32(255))
    return Q("u1", scale, np.clip(np.rint(-low / scale), 0, 255))


# --- numbers ----------------------------------------------------------------

def conv(x, w, bias=None, stride=1, pad=0, group=1):
    x = np.pad(x.astype("f8"), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    k = w.shape[2]
    size = (x.shape[2] - k) // stride + 1
    per = w.shape[0] // group, x.shape[1] // group
    y = np.zeros((x.shape[0], w.shape[0], size, size))
    for o in range(w.shape[0]):
        first = o // per[0] * per[1]
        for i in range(size):
            for j in range(size):
                part = x[:, first:first + per[1], i * stride:i * stride + k,
                         j * stride:j * stride + k]
                y[:, o, i, j] = (part * w[o]).sum((1, 2, 3))
    return y if bias is None else y + np.reshape(bias, (1, -1, 1, 1))


def pool(x, how):
    n, c, h, w = x.shape
    return how(x.reshape(n, c, h // 2, 2, w // 2, 2), axis=(3, 5))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def image(c=3, seed=1):
    return np.random.default_rng(seed).standard_normal(
        (2, c, 8, 8)).astype("f4")


# --- patterns: a file, its input, its answer, one step, its layers ----------

X = Q("u1", 0.02, 128)


def ort_static(f):
    """Integers and DQ for weights and bias; MaxPool shares its input's."""
    x, w = image(), f.weight(8, 3, 3, 3)
    wq, out = by_channel(w), Q("u1", 0.01, 0)  # a Relu went into out
    b = np.arange(-4, 4, dtype="i4") * 100
    bq = Q("i4", X.scale * wq.scale)
    y = f.op("Conv", f.pair(f.input("x", [2, 3, 8, 8]), X),
             f.dq(f.const(wq.q(w)), wq), f.dq(f.const(b), bq),
             pads=[1, 1, 1, 1])
    y = f.pair(y, out)
    y = f.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = f.pair(y, out)
    want = conv(X.near(x), wq.near(w), bq.real(b), pad=1)
    return y, x, pool(out.near(want), np.max), 0.01, {"Conv": 1}


def ort_pairs(f):
    """AddQDQPairToWeight, DedicatedQDQPair, QuantizeBias=False."""
    x, w, b = image(8), f.weight(8, 8, 3, 3), f.weight(8)
    xq, wq, out = Q("i1", 0.025), by_channel(w), Q("i1", 0.03, 0)
    f.input("x", [2, 8, 8, 8])
    y = f.op("Conv", f.pair("x", xq), f.pair(w, wq), b, pads=[1, 1, 1, 1])
    y = f.op("Add", f.pair(y, Q("i1", 0.02)), f.pair("x", xq))
    y = f.op("Relu", y)
    want = Q("i1", 0.02).near(conv(xq.near(x), wq.near(w), b, pad=1))
    want = out.near(np.maximum(want + xq.near(x), 0))
    return f.pair(y, out), x, want, 0.03, {"Conv": 1}


def pytorch_qat(f):
    """Fake quantize: computed scales and zero points; 7 bits by a Clip."""
    x, w, b = image(), f.weight(8, 3, 3, 3), f.weight(8)
    xq, wq, out = Q("u1", 0.04, 64), by_channel(w), Q("u1", 0.05, 0)

    def fake(v, q, high):
        scale = f.op("Cast", q.s().astype("f8"), to=F)
        zero = f.op("Identity", f.op("Cast", q.z().astype("i8"), to=U))
        v = f.op("QuantizeLinear", v, scale, zero)
        v = f.op("Clip", v, np.uint8(0), np.uint8(high))
        return f.op("DequantizeLinear", v, scale, zero)

    def near(v, q, high):
        return q.real(np.minimum(q.q(v), high))

    zero = f.op("Cast", wq.z().astype("i8"), to=S)
    scale = f.op("Cast", wq.s().astype("f8"), to=F)
    integers = f.op("QuantizeLinear", w, scale, zero, axis=0)
    y = f.op("Conv", fake(f.input("x", [2, 3, 8, 8]), xq, 127),
             f.op("DequantizeLinear", integers, scale, zero, axis=0), b,
             strides=[2, 2], pads=[1, 1, 1, 1])
    y = fake(f.op("Relu", y), out, 127)
    want = conv(near(x, xq, 127), wq.real(wq.q(w)), b, 2, 1)
    return (y, x, near(np.maximum(want, 0), out, 127), 0.05, {"Conv": 1})


def pytorch_converted(f):
    """The scale of the bias is computed, its integers are cut off."""
    x, w, b = image(), f.weight(8, 3, 3, 3), f.weight(8)
    wq, out = Q("i1", np.abs(w).max() / 127), Q("u1", 0.03, 120)
    y = f.op("QuantizeLinear", f.input("x", [2, 3, 8, 8]), X.s(), X.z())
    scale = f.op("Mul", wq.s(), X.s())
    bias = f.op("Cast", f.op("Div", b, scale), to=TensorProto.INT32)
    zero = f.op("Cast", f.op("ConstantOfShape", np.int64([1])),
                to=TensorProto.INT32)
    y = f.op("Conv", f.dq(y, X), f.dq(f.const(wq.q(w)), wq),
             f.op("DequantizeLinear", bias, f.op("Reshape", scale,
                                                 np.int64([1])), zero))
    product = X.scale * wq.scale
    want = conv(X.near(x), wq.near(w),
                np.trunc(b / product) * np.float64(product))
    return f.pair(y, out), x, out.near(want), 0.03, {"Conv": 1}


def nncf(f):
    """A scale and zero point a channel before a depthwise convolution."""
    x, w, b = image(6), f.weight(6, 1, 3, 3), f.weight(6)
    w2 = f.weight(8, 6, 1, 1)
    xq = Q("i1", np.linspace(0.02, 0.05, 6), [2, -2, 0, 3, -100, 7], 1)
    wq, w2q = by_channel(w), by_channel(w2)
    mid, out = Q("u1", 0.02, 0), Q("u1", 0.03, 100)
    y = f.op("Conv", f.pair(f.input("x", [2, 6, 8, 8]), xq), f.pair(w, wq), b,
             group=6, pads=[1, 1, 1, 1])
    y = f.pair(f.op("Relu", y), mid)
    y = f.pair(f.op("Conv", y, f.pair(w2, w2q)), out)
    want = mid.near(np.maximum(conv(xq.near(x), wq.near(w), b, pad=1,
                                    group=6), 0))
    return (y, x, out.near(conv(want, w2q.near(w2))), 0.03, {"Conv": 2})


def tensorrt(f):
    """Symmetric, on the inputs of layers with weights only."""
    x, w, w2 = image(), f.weight(8, 3, 3, 3), f.weight(10, 8)
    xq, hq = Q("i1", 0.025), Q("i1", 0.01)
    wq, w2q = by_channel(w), by_channel(w2)
    y = f.op("Conv", f.pair(f.input("x", [2, 3, 8, 8]), xq),
             f.pair(w, wq))
    y = f.op("Flatten", f.op("GlobalAveragePool", f.op("Relu", y)))
    y = f.op("Gemm", f.pair(y, hq), f.pair(w2, w2q), transB=1)
    want = np.maximum(conv(xq.near(x), wq.near(w)), 0).mean((2, 3))
    # A step of the tensor within may be taken the other way.
    step = 0.01 * np.abs(w2q.near(w2)).max()
    return y, x, hq.near(want) @ w2q.near(w2).T, step, {"Conv": 1, "Gemm": 1}


def tf2onnx(f):
    """From TFLite: channels last, turned around each convolution."""
    x, w = image().transpose(0, 2, 3, 1), f.weight(8, 3, 3, 3)
    xq, wq, out = Q("i1", 0.02, -4), by_channel(w), Q("i1", 0.03, 11)
    y = f.pair(f.input("x", [2, 8, 8, 3]), xq)
    y = f.op("Transpose", y, perm=[0, 3, 1, 2])
    y = f.op("Conv", y, f.dq(f.const(wq.q(w)), wq), strides=[2, 2],
             pads=[1, 1, 1, 1])
    y = f.pair(f.op("Transpose", y, perm=[0, 2, 3, 1]), out)
    want = conv(xq.near(x).transpose(0, 3, 1, 2), wq.near(w), None, 2, 1)
    return (y, x, out.near(want).transpose(0, 2, 3, 1), 0.03, {"Conv": 1})


def qoperator(f):
    """QLinearConv, Add, LeakyRelu, GlobalAveragePool, QGemm."""
    x, w, w2 = image(8), f.weight(8, 8, 3, 3), f.weight(10, 8)
    wq, w2q = by_channel(w), by_channel(w2)
    a, b, c, d = (Q("u1", s, z) for s, z in
                  ((0.03, 120), (0.05, 110), (0.04, 30), (0.005, 100)))
    bias = np.arange(-4, 4, dtype="i4") * 200
    xi = f.op("QuantizeLinear", f.input("x", [2, 8, 8, 8]), X.s(), X.z())
    y = f.op("QLinearConv", xi, X.s(), X.z(), wq.q(w), wq.s(), wq.z(), a.s(),
             a.z(), bias, pads=[1, 1, 1, 1])
    y = f.ms("QLinearAdd", y, a.s(), a.z(), xi, X.s(), X.z(), b.s(), b.z())
    y = f.ms("QLinearLeakyRelu", y, b.s(), b.z(), c.s(), c.z(), alpha=0.1)
    y = f.ms("QLinearGlobalAveragePool", y, c.s(), c.z(), d.s(), d.z(),
             channels_last=0)
    y = f.ms("QGemm", f.op("Flatten", y), d.s(), d.z(), w2q.q(w2), w2q.s(),
             w2q.z(), transB=1)
    bias = bias * X.scale.astype("f8") * wq.scale
    h = a.near(conv(X.near(x), wq.near(w), bias, pad=1))
    h = b.near(h + X.near(x))
    h = c.near(np.where(h < 0, np.float32(0.1) * h, h))
    h = d.near(h.mean((2, 3)))
    step = 0.005 * np.abs(w2q.near(w2)).max()
    return y, x, h @ w2q.near(w2).T, step, {"Conv": 1, "Gemm": 1}


def qlinear(f):
    """QLinearMatMul, Sigmoid, Mul, Concat, ReduceMean, Softmax."""
    x = f.rng.standard_normal((2, 5, 12)).astype("f4")
    w = f.weight(12, 9)
    wq = Q("u1", np.abs(w).max() / 127, 120)
    a, b, c, d = (Q("u1", s, z) for s, z in
                  ((0.02, 120), (1 / 256, 0), (0.015, 90), (0.03, 77)))
    e, out = Q("u1", 0.01, 128), Q("u1", 1 / 256, 0)
    xi = f.op("QuantizeLinear", f.input("x", [2, 5, 12]), X.s(), X.z())
    y = f.op("QLinearMatMul", xi, X.s(), X.z(), wq.q(w), wq.s(), wq.z(),
             a.s(), a.z())
    s = f.ms("QLinearSigmoid", y, a.s(), a.z(), b.s(), b.z())
    m = f.ms("QLinearMul", y, a.s(), a.z(), s, b.s(), b.z(), c.s(), c.z())
    y = f.ms("QLinearConcat", d.s(), d.z(), m, c.s(), c.z(), xi, X.s(), X.z(),
             axis=-1)
    y = f.ms("QLinearReduceMean", y, d.s(), d.z(), e.s(), e.z(), axes=[1],
             keepdims=0)
    y = f.ms("QLinearSoftmax", y, e.s(), e.z(), out.s(), out.z(), axis=-1,
             opset=13)
    h = a.near(X.near(x) @ wq.near(w))
    h = c.near(h * b.near(1 / (1 + np.exp(-h))))
    h = e.near(d.near(np.concatenate([h, X.near(x)], -1)).mean(1))
    return (f.dq(y, out), x, out.near(softmax(h)), 1 / 256, {"MatMul": 1})


def channels_last(f):
    """As ONNX Runtime's layout optimizer leaves them."""
    x, w = image(4).transpose(0, 2, 3, 1), f.weight(8, 4, 3, 3)
    wq, a, b = by_channel(w), Q("u1", 0.03, 120), Q("u1", 0.02, 100)
    y = f.op("QuantizeLinear", f.input("x", [2, 8, 8, 4]), X.s(), X.z())
    y = f.ms("QLinearConv", y, X.s(), X.z(), wq.q(w), wq.s(), wq.z(), a.s(),
             a.z(), pads=[1, 1, 1, 1], channels_last=1)
    y = f.ms("QLinearAveragePool", y, a.s(), a.z(), b.s(), b.z(),
             kernel_shape=[2, 2], strides=[2, 2], channels_last=1)
    y = f.ms("NhwcMaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    h = a.near(conv(X.near(x).transpose(0, 3, 1, 2), wq.near(w), pad=1))
    h = pool(b.near(pool(h, np.mean)), np.max)
    return f.dq(y, b), x, h.transpose(0, 2, 3, 1), 0.02, {"Conv": 1}


def zero_points(f):
    """uint8 weights whose zero point is not 128."""
    x, w, w2 = image(), f.weight(8, 3, 3, 3), f.weight(8 * 64, 10)
    wq, w2q = Q("u1", 0.008, 117), Q("u1", 0.008, 140)
    mid, out = Q("u1", 0.02, 100), Q("u1", 0.1, 120)
    y = f.op("Conv", f.pair(f.input("x", [2, 3, 8, 8]), X),
             f.dq(f.const(wq.q(w)), wq), pads=[1, 1, 1, 1])
    y = f.op("Flatten", f.pair(y, mid))
    y = f.pair(f.op("MatMul", y, f.dq(f.const(w2q.q(w2)), w2q)), out)
    h = mid.near(conv(X.near(x), wq.near(w), pad=1)).reshape(2, -1)
    return (y, x, out.near(h @ w2q.near(w2)), 0.1,
            {"Conv": 1, "MatMul": 1})


def dynamic_matmul(f):
    """DynamicQuantizeLinear, MatMulInteger, Cast, Mul, Add."""
    x = f.rng.standard_normal((2, 5, 12)).astype("f4")
    w, b = f.weight(12, 9), f.weight(9)
    wq = by_channel(w, 1, "u1", 117)
    a, s, z = f.op("DynamicQuantizeLinear", f.input("x", [2, 5, 12]), n_out=3)
    y = f.op("Cast", f.op("MatMulInteger", a, wq.q(w), z, wq.z()), to=F)
    y = f.op("Add", f.op("Mul", y, f.op("Mul", s, wq.s())), b)
    h = np.maximum(dynamic(x).near(x) @ wq.near(w) + b, 0)
    return f.op("Relu", y), x, h, 1e-5, {"MatMulIntegerToFloat": 1}


def dynamic_fused(f):
    """DynamicQuantizeMatMul, MatMulIntegerToFloat."""
    x = f.rng.standard_normal((2, 5, 12)).astype("f4")
    w, w2, b = f.weight(12, 9), f.weight(9, 7), f.weight(9)
    wq, w2q = by_channel(w, 1), by_channel(w2, 1)
    y = f.ms("DynamicQuantizeMatMul", f.input("x", [2, 5, 12]), wq.q(w),
             wq.s(), wq.z(), b)
    a, s, z = f.op("DynamicQuantizeLinear", y, n_out=3)
    y = f.ms("MatMulIntegerToFloat", a, w2q.q(w2), s, w2q.s(), z)
    h = (dynamic(x).near(x) @ wq.near(w) + b).astype("f4")
    q = dynamic(h)
    step = float(q.scale) * np.abs(w2q.near(w2)).max()
    return (y, x, q.near(h) @ w2q.near(w2), step,
            {"MatMulIntegerToFloat": 2})


def static_fused(f):
    """MatMulIntegerToFloat with a constant scale."""
    x = f.rng.standard_normal((2, 5, 12)).astype("f4")
    w, b = f.weight(12, 9), f.weight(9)
    wq = by_channel(w, 1)
    y = f.ms("QuantizeLinear", f.input("x", [2, 5, 12]), X.s(), X.z())
    y = f.ms("MatMulIntegerToFloat", y, wq.q(w), X.s(), wq.s(), X.z(), wq.z(),
             b)
    return y, x, X.near(x) @ wq.near(w) + b, 1e-5, {"MatMul": 1}


def dynamic_conv(f):
    """DynamicQuantizeLinear, ConvInteger, Cast, Mul, Add."""
    x, w, b = image(), f.weight(8, 3, 3, 3), f.weight(8)
    wq = Q("u1", 0.008, 120)
    a, s, z = f.op("DynamicQuantizeLinear", f.input("x", [2, 3, 8, 8]),
                   n_out=3)
    y = f.op("ConvInteger", a, wq.q(w), z, wq.z(), pads=[1, 1, 1, 1])
    y = f.op("Mul", f.op("Cast", y, to=F), f.op("Mul", s, wq.s()))
    y = f.op("Add", y, b.reshape(1, 8, 1, 1))
    h = conv(dynamic(x).near(x), wq.near(w), b, pad=1)
    return (f.op("LeakyRelu", y), x, np.where(h < 0, 0.01 * h, h), 1e-5,
            {"ConvIntegerToFloat": 1})


def sixteen_bits(f):
    """com.microsoft's Q and DQ of 16 bits: right, in float."""
    x, w = image(), f.weight(8, 3, 3, 3)
    xq, wq, out = Q("u2", 1e-4, 30000), by_channel(w), Q("u2", 1e-4, 32768)
    y = f.ms("QuantizeLinear", f.input("x", [2, 3, 8, 8]), xq.s(), xq.z())
    y = f.ms("DequantizeLinear", y, xq.s(), xq.z())
    y = f.op("Conv", y, f.dq(f.const(wq.q(w)), wq))
    y = f.ms("QuantizeLinear", y, out.s(), out.z())
    y = f.ms("DequantizeLinear", y, out.s(), out.z())
    return y, x, out.near(conv(xq.near(x), wq.near(w))), 1e-4, \
        {"Conv": "16 bits are computed in float32"}


PATTERNS = [ort_static, ort_pairs, pytorch_qat, pytorch_converted, nncf,
            tensorrt, tf2onnx, qoperator, qlinear, channels_last, zero_points,
            dynamic_matmul, dynamic_fused, static_fused, dynamic_conv,
            sixteen_bits]


@pytest.mark.parametrize("pattern", PATTERNS,
                         ids=[p.__name__ for p in PATTERNS])
def test_pattern(tmp_path, pattern):
    f = File()
    output, x, want, step, layers = pattern(f)
    model = tmp_path / "model.onnx"
    f.save(model, output)
    np.save(tmp_path / "x.npy", np.ascontiguousarray(x))
    ctl.run("run", model, "--input", f"x={tmp_path / 'x.npy'}", "--output",
            tmp_path / "out")
    got = np.load(next((tmp_path / "out").glob("*.npy")))
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 1.01 * step

    seen = ctl.run_json("inspect", model)
    for op, n in layers.items():
        if isinstance(n, str):  # why it is not
            assert [s["note"] for s in seen["steps"] if s["op"] == op] == [n]
            continue
        assert seen["summary"]["int8"][op] == {"steps": n, "int8": n}, [
            (s["node"], s["op"], s["precision"], s["note"])
            for s in seen["steps"]]
