# SPDX-License-Identifier: Apache-2.0
"""ONNX models of a few nodes, for what a test wants to see."""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def _save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "tiny", inputs, outputs,
                              [numpy_helper.from_array(a, n)
                               for n, a in initializers])
    model = helper.make_model(graph, producer_name="tests",
                              opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def affine(path, k=3, scale=2.0, shift=1.0):
    """x [N,k] -> y [N,k] = x * scale + shift, one row at a time."""
    w = (numpy.eye(k) * scale).astype(numpy.float32)
    b = numpy.full(k, shift, numpy.float32)
    return _save(path, [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
                 [_value("x", ["N", k])], [_value("y", ["N", k])],
                 [("w", w), ("b", b)])


def integer_product(path, k=3):
    """affine() with weights of 8 bits and a scale found as it runs."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["s", "w_scale"], ["scale"]),
        helper.make_node("Mul", ["whole", "scale"], ["real"]),
        helper.make_node("Add", ["real", "b"], ["y"])]
    return _save(path, nodes, [_value("x", ["N", k])],
                 [_value("y", ["N", k])],
                 [("w", (numpy.eye(k) * 100).astype(numpy.int8)),
                  ("w_scale", numpy.float32(0.02)),
                  ("b", numpy.ones(k, numpy.float32))])


def slow(path, k=512, layers=60):
    """x [N,k] -> y [N,k], a few milliseconds a row, with few weights."""
    rng = numpy.random.default_rng(1)
    w = (rng.standard_normal((k, k)) / k ** 0.5).astype(numpy.float32)
    names = ["x"] + [f"h{i}" for i in range(1, layers)] + ["y"]
    return _save(path, [helper.make_node("MatMul", [a, "w"], [b])
                        for a, b in zip(names, names[1:])],
                 [_value("x", ["N", k])], [_value("y", ["N", k])], [("w", w)])


def two(path):
    """a, b [N,2] -> sum, product [N,2]."""
    return _save(path, [helper.make_node("Add", ["a", "b"], ["sum"]),
                        helper.make_node("Mul", ["a", "b"], ["product"])],
                 [_value("a", ["N", 2]), _value("b", ["N", 2])],
                 [_value("sum", ["N", 2]), _value("product", ["N", 2])])


def flexible(path):
    """x [N,L] -> y [N,L] = max(x, 0): the second axis is open, too."""
    return _save(path, [helper.make_node("Relu", ["x"], ["y"])],
                 [_value("x", ["N", "L"])], [_value("y", ["N", "L"])])


def stack(path):
    """x [A,B,M,4] -> y [A,B,M,2] = x @ w: matrices by two open axes."""
    return _save(path, [helper.make_node("MatMul", ["x", "w"], ["y"])],
                 [_value("x", ["A", "B", "M", 4])],
                 [_value("y", ["A", "B", "M", 2])],
                 [("w", numpy.ones((4, 2), numpy.float32))])


def convolved(path):
    """x [N,1,H,W] -> y [N,2,H-2,W-2]: a 3x3 kernel, no padding."""
    return _save(path, [helper.make_node("Conv", ["x", "w"], ["y"])],
                 [_value("x", ["N", 1, "H", "W"])],
                 [_value("y", ["N", 2, "H2", "W2"])],
                 [("w", numpy.ones((2, 1, 3, 3), numpy.float32))])


def logarithm(path):
    """x [N,2] -> y [N,2] = log(x): NaN and infinities on demand."""
    return _save(path, [helper.make_node("Log", ["x"], ["y"])],
                 [_value("x", ["N", 2])], [_value("y", ["N", 2])])


def unbatched(path):
    """x [4] -> y [4] = x + 1: no batch axis."""
    return _save(path, [helper.make_node("Add", ["x", "one"], ["y"])],
                 [_value("x", [4])], [_value("y", [4])],
                 [("one", numpy.ones(4, numpy.float32))])


def table(path):
    """i [N,1] int64 -> y [N,1,2] = rows of a table of ten."""
    rows = numpy.arange(20, dtype=numpy.float32).reshape(10, 2)
    return _save(path, [helper.make_node("Gather", ["rows", "i"], ["y"])],
                 [_value("i", ["N", 1], TensorProto.INT64)],
                 [_value("y", ["N", 1, 2])], [("rows", rows)])


def twice(path, dtype):
    """x [N,2] of any type -> y [N,4], the elements of each row twice."""
    return _save(path, [helper.make_node("Concat", ["x", "x"], ["y"], axis=1)],
                 [_value("x", ["N", 2], dtype)],
                 [_value("y", ["N", 4], dtype)])


def doubled(path, dtype):
    """x [N,2] -> y [N,2] = x + x, computed in that type."""
    return _save(path, [helper.make_node("Add", ["x", "x"], ["y"])],
                 [_value("x", ["N", 2], dtype)],
                 [_value("y", ["N", 2], dtype)])


def cast(path, source, target):
    """x [N,2] of one type -> y [N,2] of another."""
    return _save(path, [helper.make_node("Cast", ["x"], ["y"], to=target)],
                 [_value("x", ["N", 2], source)],
                 [_value("y", ["N", 2], target)])
