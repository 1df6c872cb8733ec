# SPDX-License-Identifier: Apache-2.0
"""One node, every element type: vectors as the ONNX backend tests have them.

    typed.py FOLDER [part of a case's name]

For each operator of the table below and each element type that its ONNX schema
allows, FOLDER/node/test_CASE_TYPES gets a model of one node, its inputs and
what ONNX Runtime answers (or ONNX's reference evaluator, where ONNX Runtime
has no kernel); tests/op/vectors then runs them.  FOLDER/cases.json tells for
each case who answered, or what they said instead.  Runs with PyPI's onnx and
onnxruntime, not with Debian's.
"""

import itertools
import json
import pathlib
import re
import sys
import zlib

import ml_dtypes
import numpy
import onnx
import onnx.defs
import onnx.reference
import onnxruntime
from onnx import helper, numpy_helper

OPSET = 21

TYPES = {
    "float": numpy.float32, "uint8": numpy.uint8, "int8": numpy.int8,
    "uint16": numpy.uint16, "int16": numpy.int16, "int32": numpy.int32,
    "int64": numpy.int64, "bool": numpy.bool_, "float16": numpy.float16,
    "double": numpy.float64, "uint32": numpy.uint32, "uint64": numpy.uint64,
    "bfloat16": ml_dtypes.bfloat16,
}
FLOATS = {"float", "float16", "double", "bfloat16"}
TENSOR_TYPE = {"float": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5,
               "int32": 6, "int64": 7, "bool": 9, "float16": 10, "double": 11,
               "uint32": 12, "uint64": 13, "bfloat16": 16}


# --- data -----------------------------------------------------------------

def extremes(name):
    if name in FLOATS:
        return [0.0, -0.0, 1.0, -1.0, numpy.inf, -numpy.inf, numpy.nan, 2.5,
                -2.5, 1e-3, 60000.0, -60000.0]
    if name == "bool":
        return [0, 1]
    info = numpy.iinfo(TYPES[name])
    return [info.min, info.max, 0, 1, info.max - 1, info.min + 1, 2,
            info.max // 2, info.max if info.min == 0 else -1]


def data(name, kind, shape, rng):
    """Numbers of a kind, the same for every type as far as it holds them."""
    n = int(numpy.prod(shape, dtype=numpy.int64))
    if kind == "x":
        pool = numpy.array(extremes(name), dtype=object)
        a = pool[rng.permutation(n) % len(pool)]
        return a.astype(TYPES[name]).reshape(shape)
    if kind == "n":        # of both signs
        a = rng.normal(0, 3, n) if name in FLOATS else rng.integers(-12, 13, n)
    elif kind == "u":      # inside (-1, 1)
        a = rng.uniform(-0.9, 0.9, n) if name in FLOATS else \
            rng.integers(-1, 2, n)
    elif kind == "p":      # positive
        a = rng.uniform(0.5, 4, n) if name in FLOATS else \
            rng.integers(1, 7, n)
    elif kind == "s":      # small whole numbers
        a = rng.integers(0, 4, n)
    elif kind == "t":      # with many ties
        a = rng.integers(-2, 3, n)
    elif kind == "b":      # bits
        a = rng.integers(0, 2, n)
    else:
        raise ValueError(kind)
    if name == "bool":
        a = a > 0
    elif name.startswith("u"):
        a = abs(a)
    elif name == "double":  # what float32 holds: some kernels compute in it
        a = a.astype(numpy.float32)
    return numpy.asarray(a).astype(TYPES[name]).reshape(shape)


class Case:
    """inputs: (kind, shape) of the schema's type, an array (a constant; of
    the schema's type where that varies), or None."""

    def __init__(self, op, *inputs, name="", outputs=1, opset=OPSET, full=False,
                 only=None, **attrs):
        self.op, self.inputs, self.name, self.attrs = op, inputs, name, attrs
        self.outputs, self.opset, self.full = outputs, opset, full
        self.only = only
        self.schema = onnx.defs.get_schema(op, opset)

    def formal(self, i):
        return self.schema.inputs[min(i, len(self.schema.inputs) - 1)]

    def parameters(self):
        """The type parameters that occur, and their types."""
        allowed = {c.type_param_str: [
            t[7:-1] for t in c.allowed_type_strs
            if t.startswith("tensor(") and t[7:-1] in TYPES]
            for c in self.schema.type_constraints}
        used = []
        for i, x in enumerate(self.inputs):
            p = self.formal(i).type_str
            if x is not None and p in allowed and p not in used:
                used.append(p)
        if self.op in ("Cast", "EyeLike"):
            used.append("T2")
        return {p: allowed[p] for p in used}

    def combinations(self):
        params = self.parameters()
        if self.only:
            params = {p: [t for t in ts if p not in self.only
                          or t in self.only[p]] for p, ts in params.items()}
        names = list(params)
        if self.full or len(names) <= 1:
            yield from (dict(zip(names, c))
                        for c in itertools.product(*params.values()))
            return
        for t in ("double", "float16", "bfloat16"):  # all of one type
            if all(t in ts for ts in params.values()):
                yield dict.fromkeys(names, t)
        usual = {p: next((t for t in ("float", "int64", "int32") if t in ts),
                         ts[0]) for p, ts in params.items()}
        seen = set()
        for p in names:
            for t in params[p]:
                c = {**usual, p: t}
                if tuple(c.values()) not in seen:
                    seen.add(tuple(c.values()))
                    yield c

    def make(self, types):
        title = "_".join([self.op.lower()] + ([self.name] if self.name else [])
                         + list(types.values()))
        rng = numpy.random.default_rng(zlib.crc32(
            f"{self.op} {self.name}".encode()))
        names, feeds, consts = [], {}, []
        for i, x in enumerate(self.inputs):
            formal = self.formal(i).type_str
            kind = types.get(formal, formal[7:-1])
            if x is None:
                names.append("")
                continue
            names.append(f"x{i}")
            if isinstance(x, tuple):
                feeds[f"x{i}"] = (kind, data(kind, *x, rng))
            else:
                a = numpy.asarray(x)
                consts.append(tensor(f"x{i}", kind,
                                     a.astype(TYPES[kind]) if kind in TYPES
                                     else a))
        attrs = dict(self.attrs)
        if self.op == "Cast":
            attrs["to"] = TENSOR_TYPE[types["T2"]]
        elif self.op == "EyeLike":
            attrs["dtype"] = TENSOR_TYPE[types["T2"]]
        outs = [f"y{i}" for i in range(self.outputs)]
        node = helper.make_node(self.op, names, outs, **attrs)
        graph = helper.make_graph(
            [node], title,
            [helper.make_tensor_value_info(n, TENSOR_TYPE[t], a.shape)
             for n, (t, a) in feeds.items()],
            [], consts)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 9
        return title, model, outs, feeds


def tensor(name, kind, a):
    p = onnx.TensorProto(name=name, dims=a.shape,
                         data_type=TENSOR_TYPE[kind])
    p.raw_data = numpy.ascontiguousarray(a).tobytes()
    return p


def with_outputs(model, outs):
    """The model with the types of its outputs, as inferred."""
    model = onnx.shape_inference.infer_shapes(model, strict_mode=False)
    known = {v.name: v for v in model.graph.value_info}
    for name in outs:
        v = known.get(name) or onnx.ValueInfoProto(name=name)
        model.graph.output.append(v)
    return model


# --- the answers ----------------------------------------------------------

TO_NAME = {v: k for k, v in TENSOR_TYPE.items()}


def answer(model, feeds):
    """(who, {name: (type, array)}) or (None, what they said)."""
    kinds = {v.name: TO_NAME.get(v.type.tensor_type.elem_type)
             for v in model.graph.output}
    arrays = {n: a for n, (_, a) in feeds.items()}
    wide, arrays = widened(model, arrays)
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            wide.SerializeToString(), options,
            providers=["CPUExecutionProvider"])
        got = session.run(None, arrays)
    except Exception as e:  # all kinds of them
        why = str(e).splitlines()[0]
        if "NOT_IMPLEMENTED" not in why:
            return None, why
        return reference(wide, arrays, kinds, why)
    got = [a.astype(TYPES["bfloat16"]) if t == "bfloat16" else a
           for a, t in zip(got, kinds.values())]
    return "ort", named(kinds, got)


def widened(model, arrays):
    """The model with float32 in the place of bfloat16, which ONNX Runtime does
    not do: it is computed in float32 and rounded once."""
    wide = onnx.ModelProto.FromString(model.SerializeToString())
    graph, half = wide.graph, TENSOR_TYPE["bfloat16"]
    for v in list(graph.input) + list(graph.output):
        if v.type.tensor_type.elem_type == half:
            v.type.tensor_type.elem_type = TENSOR_TYPE["float"]
    for t in graph.initializer:
        if t.data_type == half:
            a = numpy.frombuffer(t.raw_data, TYPES["bfloat16"])
            t.data_type = TENSOR_TYPE["float"]
            t.raw_data = a.astype(numpy.float32).tobytes()
    for a in graph.node[0].attribute:
        if a.name in ("to", "dtype") and a.i == half:
            a.i = TENSOR_TYPE["float"]
    return wide, {n: a.astype(numpy.float32)
                  if a.dtype == TYPES["bfloat16"] else a
                  for n, a in arrays.items()}


def named(kinds, arrays):
    """With the inferred types; numpy's where there is none."""
    names = {numpy.dtype(v): k for k, v in TYPES.items()}
    return {n: (t or names[a.dtype], a)
            for (n, t), a in zip(kinds.items(), arrays)}


def reference(model, arrays, kinds, why):
    try:
        evaluator = onnx.reference.ReferenceEvaluator(model)
        got = [numpy.asarray(a) for a in evaluator.run(None, arrays)]
        got = [a.astype(TYPES["bfloat16"]) if t == "bfloat16" else a
               for a, t in zip(got, kinds.values())]
        for a, t in zip(got, kinds.values()):
            if t is not None and a.dtype != TYPES[t]:
                return None, f"{why}; reference gives {a.dtype}"
    except Exception as e:
        lines = str(e).splitlines() or [type(e).__name__]
        return None, f"{why}; reference: {lines[0][:200]}"
    return f"reference ({why})", named(kinds, got)


def write(folder, title, model, feeds, results):
    for v in model.graph.output:
        if v.name in results:
            v.type.tensor_type.elem_type = TENSOR_TYPE[results[v.name][0]]
    data_folder = folder / "node" / f"test_{title}" / "test_data_set_0"
    data_folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, data_folder.parent / "model.onnx")
    for i, (n, (t, a)) in enumerate(feeds.items()):
        (data_folder / f"input_{i}.pb").write_bytes(
            tensor(n, t, a).SerializeToString())
    for i, (n, (t, a)) in enumerate(results.items()):
        (data_folder / f"output_{i}.pb").write_bytes(
            tensor(n, t, numpy.asarray(a)).SerializeToString())


# --- the operators --------------------------------------------------------

def cases():
    i64 = lambda *v: numpy.array(v, numpy.int64)  # noqa: E731
    n34, empty, scalar = ("n", (3, 4)), ("n", (0, 4)), ("n", ())
    out = []

    def add(op, *inputs, **more):
        out.append(Case(op, *inputs, **more))

    def forms(op, kind, *more, wide=True, **attrs):
        """An elementwise operator: usual, extreme, empty, a scalar."""
        add(op, (kind, (3, 4)), *more, **attrs)
        if wide:
            add(op, ("x", (12,)), *more, name="wide", **attrs)
        add(op, (kind, (0, 4)), *more, name="empty", **attrs)
        add(op, (kind, ()), *more, name="scalar", **attrs)

    for op in ("Abs Sign Neg Identity Not BitwiseNot Relu IsInf IsNaN").split():
        forms(op, "n")
    for op in ("Atan Ceil Celu Elu Erf Exp Floor Gelu HardSigmoid HardSwish "
               "LeakyRelu Mish Round Selu Shrink Sigmoid Softplus Softsign Tanh "
               "ThresholdedRelu").split():
        forms(op, "n")
    for op in ("Cos Sin Tan Asinh Cosh Sinh").split():
        forms(op, "n", wide=False)
    for op in ("Log Sqrt Reciprocal").split():
        forms(op, "p")
    for op in ("Acos Asin Atanh").split():
        forms(op, "u", wide=False)
    add("Acosh", ("p", (3, 4)))
    forms("Clip", "n", numpy.array(2), numpy.array(5))
    add("Clip", n34, None, numpy.array(3), name="upper")
    add("Clip", n34, numpy.array(3), name="lower")
    add("Clip", n34, numpy.array(5), numpy.array(2), name="crossed")
    add("Clip", n34, name="open")
    add("Clip", ("x", (12,)), name="open_wide")
    forms("Cast", "n", full=True)

    for op in ("Add Sub Mul Div Mod Max Min Equal Greater GreaterOrEqual Less "
               "LessOrEqual BitwiseAnd BitwiseOr BitwiseXor And Or Xor Sum "
               "PRelu Mean").split():
        second = "p" if op in ("Div", "Mod") else "n"
        attrs = {}
        kinds = {}
        if op == "Mod":
            kinds = {"only": {"T": [t for t in TYPES if t not in FLOATS]}}
            add(op, n34, ("p", (4,)), name="fmod", fmod=1)
        add(op, n34, (second, (4,)), **attrs, **kinds)
        if op != "PRelu":
            add(op, ("n", (3, 1)), (second, (1, 4)), name="both", **attrs,
                **kinds)
            add(op, empty, (second, (1, 1)), name="empty", **attrs, **kinds)
            add(op, scalar, (second, ()), name="scalar", **attrs, **kinds)
            if op not in ("Div", "Mod"):
                add(op, ("x", (12,)), ("x", (12,)), name="wide", **attrs,
                    **kinds)
    whole = {"T": [t for t in TYPES if t not in FLOATS]}
    add("Mod", ("x", (12,)), ("p", (12,)), name="wide", only=whole)
    add("Mod", n34, ("p", (3, 4)), name="fmod_int", fmod=1, only=whole)
    add("Div", ("x", (12,)), ("p", (12,)), name="wide")
    for op in ("Max", "Min", "Sum", "Mean"):
        add(op, n34, name="one")
        add(op, n34, ("n", (4,)), ("n", (3, 1)), name="three")
    add("Pow", ("p", (3, 4)), ("s", (4,)), full=True)
    add("Pow", n34, numpy.array(2), name="square", full=True)
    add("Pow", scalar, ("s", ()), name="scalar")
    add("Pow", empty, ("s", (1,)), name="empty")
    for direction in ("LEFT", "RIGHT"):
        add("BitShift", ("x", (9,)), ("s", (9,)), name=direction.lower(),
            direction=direction)
    add("Where", ("b", (3, 4)), ("n", (4,)), ("n", (3, 1)))
    add("Where", ("b", (1, 4)), ("n", (0, 1)), ("n", (1, 4)), name="empty")
    add("Where", ("b", ()), scalar, scalar, name="scalar")

    add("Conv", ("n", (2, 4, 5, 5)), ("u", (6, 2, 3, 3)), ("n", (6,)), group=2,
        pads=[1, 1, 1, 1])
    add("Conv", ("n", (0, 3, 5, 5)), ("u", (2, 3, 3, 3)), name="empty")
    add("ConvTranspose", ("n", (1, 2, 4, 4)), ("u", (2, 3, 3, 3)),
        ("n", (3,)), strides=[2, 2])
    add("ConvInteger", ("n", (1, 2, 4, 4)), ("n", (3, 2, 3, 3)), full=True)
    for op in ("MaxPool", "AveragePool", "LpPool"):
        add(op, ("n", (1, 2, 5, 5)), kernel_shape=[2, 2])
        add(op, ("n", (0, 2, 5, 5)), kernel_shape=[2, 2], name="empty")
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        add(op, ("n", (2, 3, 4, 5)))
        add(op, ("n", (0, 3, 4, 5)), name="empty")
    add("GlobalLpPool", ("n", (2, 3, 4, 5)), p=3, name="cubes")
    add("Einsum", ("n", (3, 4)), ("n", (4, 5)), equation="ij,jk->ik")
    add("Gemm", ("n", (3, 4)), ("n", (4, 5)), ("n", (5,)), alpha=2.0)
    add("Gemm", ("n", (0, 4)), ("n", (4, 5)), ("n", (5,)), name="empty")
    add("Gemm", ("n", (2, 0)), ("n", (0, 5)), ("n", (5,)), name="inner")
    add("MatMul", ("n", (2, 3, 4)), ("n", (4, 5)))
    add("MatMul", ("n", (0, 4)), ("n", (4, 5)), name="empty")
    add("MatMul", ("n", (2, 0)), ("n", (0, 5)), name="inner")
    add("MatMul", ("n", (4,)), ("n", (4,)), name="vectors")
    add("MatMulInteger", ("n", (3, 4)), ("n", (4, 5)), full=True)

    c3 = ("p", (3,))
    add("BatchNormalization", ("n", (2, 3, 4)), c3, c3, c3, c3)
    add("BatchNormalization", ("n", (0, 3, 4)), c3, c3, c3, c3, name="empty")
    add("InstanceNormalization", ("n", (2, 3, 4)), c3, c3)
    add("GroupNormalization", ("n", (2, 6, 4)), ("p", (6,)), ("p", (6,)),
        num_groups=3)
    add("LayerNormalization", ("n", (3, 4)), ("p", (4,)), ("p", (4,)))
    add("LayerNormalization", ("n", (0, 4)), ("p", (4,)), ("p", (4,)),
        name="empty")
    add("LRN", ("n", (1, 5, 2, 2)), size=3)
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        add(op, ("u", (3, 2, 4)), ("u", (1, gates * 5, 4)),
            ("u", (1, gates * 5, 5)), ("u", (1, gates * 10)), hidden_size=5,
            outputs=2)

    for op in ("ArgMax", "ArgMin"):
        add(op, ("t", (4, 5)), axis=1)
        add(op, ("t", (4, 5)), axis=0, select_last_index=1, name="last")
        add(op, ("n", ()), axis=0, name="scalar")
        add(op, ("x", (12,)), axis=0, name="wide",
            only={"T": [t for t in TYPES if t not in FLOATS]})
        add(op, ("t", (0, 5)), axis=1, name="empty")
    for op in ("L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"
               ).split():
        kind = "p" if op == "LogSum" else "u" if op == "Prod" else "n"
        op = "Reduce" + op
        add(op, (kind, (3, 4, 2)), i64(1))
        add(op, (kind, (3, 4, 2)), keepdims=0, name="all")
        add(op, (kind, ()), name="scalar", keepdims=0)
        add(op, (kind, (0, 4)), i64(1), name="empty", keepdims=0)
        add(op, (kind, (3, 0)), i64(1), name="neutral", keepdims=0)
        if op not in ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp"):
            add(op, ("x", (9,)), i64(0), name="wide",
                only={"T": [t for t in TYPES if t not in FLOATS]})
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        add(op, ("n", (3, 4)), axis=1)
        add(op, ("n", (3, 4, 2)), axis=0, name="first")
        add(op, ("n", (0, 4)), axis=1, name="empty")
        add(op, ("n", (3, 0)), axis=1, name="none")

    add("Concat", n34, ("n", (2, 4)), axis=0)
    add("Concat", n34, ("n", (0, 4)), axis=0, name="empty")
    add("DepthToSpace", ("n", (1, 8, 2, 3)), blocksize=2)
    add("SpaceToDepth", ("n", (1, 2, 4, 6)), blocksize=2)
    add("Expand", ("n", (3, 1)), i64(2, 1, 4))
    add("Expand", scalar, i64(2, 3), name="scalar")
    add("Expand", scalar, i64(0, 3), name="empty")
    add("Flatten", ("n", (2, 3, 4)))
    add("Flatten", scalar, axis=0, name="scalar")
    add("Flatten", ("n", (0, 3, 4)), name="empty")
    add("Gather", n34, numpy.array([[2, 0], [-1, 1]]), axis=0, full=True)
    add("Gather", n34, numpy.array(1), axis=1, name="scalar")
    add("Gather", n34, numpy.zeros((0,)), axis=1, name="empty")
    add("GatherElements", n34, numpy.array([[0, 1, 2, 0]]), axis=0, full=True)
    add("GatherND", n34, i64(0, 1, 2, 3).reshape(2, 2))
    add("ScatterElements", n34, numpy.array([[0, 1, 2, 0]]), ("n", (1, 4)))
    for reduction in ("add", "mul", "max", "min"):
        add("ScatterElements", n34, numpy.array([[0, 1, 1, 0], [0, 2, 1, 0]]),
            ("n", (2, 4)), reduction=reduction, name=reduction)
        add("ScatterND", n34, i64(0, 2, 0).reshape(3, 1), ("n", (3, 4)),
            reduction=reduction, name=reduction)
    add("ScatterND", n34, i64(0, 1, 2, 3).reshape(2, 2), ("n", (2,)))
    add("Pad", n34, i64(1, 0, 0, 2), numpy.array(1))
    for mode in ("reflect", "edge", "wrap"):
        add("Pad", n34, i64(1, 0, 1, 2), mode=mode, name=mode)
    add("Pad", empty, i64(1, 0, 0, 2), name="empty")
    add("Reshape", n34, i64(2, -1))
    add("Reshape", empty, i64(0, 2, 2), name="empty")
    add("Reshape", scalar, i64(1, 1), name="scalar")
    add("Slice", ("n", (5, 6)), numpy.array([4, 1]), numpy.array([-9, 5]),
        numpy.array([0, 1]), numpy.array([-2, 2]))
    add("Slice", ("n", (5, 6)), numpy.array([4]), numpy.array([2]),
        name="empty")
    add("Split", ("n", (5, 2)), i64(2, 3), outputs=2)
    add("Split", ("n", (5, 2)), i64(0, 5), outputs=2, name="empty")
    add("Squeeze", ("n", (1, 3, 1)), i64(0))
    add("Squeeze", ("n", (1,)), i64(0), name="scalar")
    add("Unsqueeze", n34, i64(0, -1))
    add("Unsqueeze", scalar, i64(0), name="scalar")
    add("Tile", n34, i64(2, 3))
    add("Tile", n34, i64(2, 0), name="empty")
    add("Transpose", ("n", (2, 3, 4)), perm=[2, 0, 1])
    add("Transpose", ("n", (2, 0, 4)), perm=[2, 0, 1], name="empty")
    add("Transpose", scalar, name="scalar")
    add("Range", numpy.array(1), numpy.array(9), numpy.array(2))
    add("Range", numpy.array(9), numpy.array(1), numpy.array(2), name="empty")
    for op in ("Shape", "Size"):
        add(op, n34)
        add(op, scalar, name="scalar")
        add(op, empty, name="empty")
    add("Compress", n34, numpy.array([True, False, True]), axis=0)
    add("NonZero", ("t", (3, 4)))
    add("NonZero", ("n", ()), name="scalar")
    add("NonZero", empty, name="empty")
    add("TopK", ("t", (3, 6)), i64(3), outputs=2)
    add("TopK", ("n", (3, 6)), i64(2), axis=0, largest=0, outputs=2,
        name="least")
    add("TopK", ("n", (3, 6)), i64(0), outputs=2, name="none")
    add("CumSum", ("n", (3, 4)), numpy.array(1))
    add("CumSum", ("x", (9,)), numpy.array(0), exclusive=1, reverse=1,
        name="wide", only={"T": ["int32", "int64", "uint32", "uint64"]})
    add("CumSum", empty, numpy.array(1), name="empty")
    add("LpNormalization", n34)
    add("OneHot", ("s", (4,)), numpy.array(5), ("n", (2,)))
    add("OneHot", ("s", ()), numpy.array(5), ("n", (2,)), name="scalar")
    add("OneHot", ("s", (0,)), numpy.array(5), ("n", (2,)), name="empty")
    add("ReverseSequence", ("n", (4, 3)), i64(1, 2, 4))
    for op in ("BlackmanWindow", "HammingWindow", "HannWindow"):
        add(op, numpy.array(6))
    add("DFT", ("n", (1, 6, 1)))
    add("STFT", ("n", (1, 12, 1)), numpy.array(4), ("p", (4,)))
    add("EyeLike", n34, full=True)
    add("Trilu", n34, numpy.array(1), upper=0)
    add("Trilu", empty, name="empty")
    add("GridSample", ("n", (1, 2, 4, 4)), ("u", (1, 3, 3, 2)))
    add("Resize", ("n", (1, 2, 3, 3)), None, None, i64(1, 2, 6, 5),
        mode="nearest")
    add("Resize", ("n", (1, 2, 3, 3)), None, None, i64(1, 2, 6, 5),
        mode="linear", name="linear")
    add("Resize", ("n", (1, 2, 4, 4)), None,
        numpy.array([1, 1, 2, 2], numpy.float32), mode="cubic", name="cubic")
    add("RoiAlign", ("n", (1, 2, 6, 6)), ("p", (1, 4)), i64(0), output_height=2,
        output_width=2)
    add("QuantizeLinear", ("n", (3, 4)), ("p", ()), ("s", ()), full=True)
    add("QuantizeLinear", ("n", (3, 4)), ("p", (4,)), ("s", (4,)), axis=1,
        name="axis")
    add("QuantizeLinear", empty, ("p", ()), ("s", ()), name="empty")
    add("DequantizeLinear", ("n", (3, 4)), ("p", ()), ("s", ()), full=True)
    add("DequantizeLinear", ("n", (3, 4)), ("p", (4,)), ("s", (4,)), axis=1,
        name="axis")
    add("DynamicQuantizeLinear", n34, outputs=3)
    add("Dropout", n34)
    add("CastLike", n34, ("n", (1,)))
    add("Det", ("n", (2, 3, 3)))
    add("MeanVarianceNormalization", ("n", (1, 2, 3, 3)))
    add("Unique", ("t", (6,)), outputs=1)
    add("MaxUnpool", ("n", (1, 1, 2, 2)), i64(5, 7, 13, 15).reshape(1, 1, 2, 2),
        kernel_shape=[2, 2], strides=[2, 2])
    add("MelWeightMatrix", numpy.array(4), numpy.array(16), numpy.array(8000),
        numpy.array(0), numpy.array(4000))
    add("NegativeLogLikelihoodLoss", ("n", (3, 4)), numpy.array([0, 3, 1]))
    add("SoftmaxCrossEntropyLoss", ("n", (3, 4)), numpy.array([0, 3, 1]))
    add("RMSNormalization", n34, ("p", (4,)), opset=23)
    add("Attention", ("n", (1, 2, 3, 4)), ("n", (1, 2, 5, 4)),
        ("n", (1, 2, 5, 4)), opset=23)
    add("Attention", ("n", (1, 2, 3, 4)), ("n", (1, 2, 5, 4)),
        ("n", (1, 2, 5, 4)), ("n", (3, 5)), opset=23, name="mask")
    add("DeformConv", ("n", (1, 2, 4, 4)), ("n", (1, 2, 2, 2)),
        ("u", (1, 8, 3, 3)))
    add("RotaryEmbedding", ("n", (1, 2, 3, 4)), ("u", (1, 3, 2)),
        ("u", (1, 3, 2)), opset=23)
    add("Swish", n34, opset=24)

    # Nothing, and scalars, where the loops above have none.
    none = i64().reshape(0)
    for op, shape in (("InstanceNormalization", (0, 3, 4)),
                      ("GroupNormalization", (0, 3, 4))):
        add(op, ("n", shape), c3, c3, name="empty",
            **({"num_groups": 3} if op[0] == "G" else {}))
    add("LRN", ("n", (0, 5, 2, 2)), size=3, name="empty")
    add("ConvTranspose", ("n", (0, 2, 4, 4)), ("u", (2, 3, 3, 3)),
        name="empty")
    add("MaxPool", ("n", (1, 0, 5, 5)), kernel_shape=[2, 2], name="channels")
    add("Einsum", ("n", (3, 0)), ("n", (0, 5)), equation="ij,jk->ik",
        name="inner")
    add("LpNormalization", empty, name="empty")
    add("GatherElements", n34, none.reshape(0, 4), axis=0, name="empty")
    add("GatherND", n34, none.reshape(0, 2), name="empty")
    add("ScatterElements", n34, none.reshape(0, 4), ("n", (0, 4)),
        name="empty")
    add("ScatterND", n34, none.reshape(0, 2), ("n", (0,)), name="empty")
    add("TopK", empty, i64(2), outputs=2, name="empty")
    add("Compress", n34, numpy.array([False, False, False]), axis=0,
        name="empty")
    add("ReverseSequence", ("n", (4, 0)), none, name="empty")
    add("DepthToSpace", ("n", (0, 8, 2, 3)), blocksize=2, name="empty")
    add("SpaceToDepth", ("n", (0, 2, 4, 6)), blocksize=2, name="empty")
    add("Resize", ("n", (0, 2, 3, 3)), None, None, i64(0, 2, 6, 5),
        mode="linear", name="empty")
    add("GridSample", ("n", (1, 2, 4, 4)), ("u", (1, 0, 3, 2)), name="empty")
    add("RoiAlign", ("n", (1, 2, 6, 6)), ("p", (0, 4)), none, output_height=2,
        output_width=2, name="empty")
    add("ArgMax", ("n", (3, 0)), axis=0, name="other")
    add("MatMulInteger", ("n", (0, 4)), ("n", (4, 5)), name="empty")
    add("DynamicQuantizeLinear", scalar, outputs=3, name="scalar")
    add("QuantizeLinear", scalar, ("p", ()), ("s", ()), name="scalar")
    add("DequantizeLinear", scalar, ("p", ()), ("s", ()), name="scalar")
    add("Pad", scalar, none, numpy.array(1), name="scalar")
    add("Tile", scalar, none, name="scalar")
    add("CastLike", scalar, ("n", (1,)), name="scalar")
    for op in ("Softmax", "Hardmax", "LpNormalization"):
        add(op, scalar, name="scalar")
    return out


# Cases with another answer than ONNX Runtime's or the reference's, and why;
# they are left out.
DIFFERENT = {
    r"sign_wide_float16": "NaN stays NaN, as with the other types",
    r"clip_open_wide_": "without a bound an infinity passes, as in numpy",
    r"cast_wide_\w*float\w*_uint(32|64)|cast_wide_double_uint(32|64)":
        "infinities as integers are open: they differ by ORT's instructions",
    r"(shrink|reduce\w+)_wide_": "what overflows is saturated or wraps",
    r"attention_mask_float16_float16": "ONNX Runtime rounds in between",
    r"nonzero_scalar_": "[0, N], as the text has it",
    r"(gelu|lrn)_double": "the reference has fewer digits",
    r"reducemean_neutral_uint": "the mean of nothing is 0",
    r"resize_linear_u?int|resize_linear_double":
        "cut as ONNX Runtime does, where the reference rounds",
}


def different(title, who):
    for pattern, why in DIFFERENT.items():
        if re.match(pattern, title) and (
                who != "ort" or "reference" not in why):
            return f"different: {why}"
    return None


def main():
    folder = pathlib.Path(sys.argv[1])
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    report = {}
    for case in cases():
        for types in case.combinations():
            title, model, outs, feeds = case.make(types)
            if part not in title:
                continue
            try:
                model = with_outputs(model, outs)
                who, results = answer(model, feeds)
            except Exception as e:
                who, results = None, f"inference: {str(e).splitlines()[0]}"
            if who is not None and different(title, who):
                who, results = None, different(title, who)
            report[title] = {"op": case.op, "case": case.name, "types": types,
                             "who": who}
            if who is None:
                report[title]["said"] = results
            else:
                write(folder, title, model, feeds, results)
    (folder / "cases.json").write_text(json.dumps(report, indent=1))
    print(len(report), "cases")


if __name__ == "__main__":
    main()
