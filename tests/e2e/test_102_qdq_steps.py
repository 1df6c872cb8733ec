# SPDX-License-Identifier: Apache-2.0
"""The quantized demo model, step by step, against ONNX Runtime.

A difference of one in one step may become more in the next, so the file is
cut at its quantized tensors, and each piece is fed the integers that ONNX
Runtime computes at its cuts: what comes out may differ by one.
"""

import subprocess

import numpy
import onnx
import onnx.utils
import pytest

import ort
import programs

DEMO = programs.TOP / "demo"
LIMIT_S = 300
SAMPLES = 16


@pytest.fixture(scope="module")
def images():
    with numpy.load(DEMO / "validation.npz") as data:
        return data["image"][:SAMPLES].astype(numpy.float32)


@pytest.fixture(scope="module", params=["channel", "tensor"])
def int8(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("qdq") / "int8.onnx"
    done = subprocess.run(
        [programs.QUANTCTL, "quantize", DEMO / "digits.onnx", "-o", out,
         "--recipe", "static", "--granularity", request.param,
         "--calibration", DEMO / "calibration.npz"],
        capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return out


def ours(model, feeds, folder):
    folder.mkdir()
    args = [programs.QUANTCTL, "run", model, "--output", folder / "out"]
    for i, (name, array) in enumerate(feeds.items()):
        numpy.save(folder / f"{i}.npy", array)
        args += ["--input", f"{name}={folder / f'{i}.npy'}"]
    done = subprocess.run(args, capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return [numpy.load(p) for p in (folder / "out").glob("*.npy")]


def quantized(graph):
    """Names of the integer tensors: what a QuantizeLinear writes."""
    return [n.output[0] for n in graph.node if n.op_type == "QuantizeLinear"]


def with_outputs(path, names, to):
    """The model with its integer tensors as outputs beside its own."""
    model = onnx.load(path)
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(
            name, onnx.TensorProto.UINT8, None))
    onnx.save(model, to)
    return to


def cuts(model, target, names, feeds):
    """The names of `names` and of the inputs that `target` is made of."""
    maker = {o: n for n in model.graph.node for o in n.output}
    found, todo = [], [maker[target]]
    while todo:
        for name in todo.pop().input:
            if name in names or name in feeds:
                if name not in found:
                    found.append(name)
            elif name in maker:
                todo.append(maker[name])
    return found


def test_is_standard_onnx(int8):
    model = onnx.load(int8)
    onnx.checker.check_model(model, full_check=True)
    weights = [i for i in model.graph.initializer if len(i.dims) > 1]
    assert weights
    assert all(i.data_type == onnx.TensorProto.INT8 for i in weights)


def test_each_step(int8, images, tmp_path):
    model = onnx.load(int8)
    names = quantized(model.graph)
    feeds = {"image": images}
    tapped = with_outputs(int8, names, tmp_path / "tapped.onnx")
    values = {**feeds, **ort.run(tapped, feeds)}
    typed = onnx.shape_inference.infer_shapes(model)
    onnx.save(typed, tmp_path / "typed.onnx")

    off = {}
    for i, target in enumerate(names + ["logits"]):
        piece = tmp_path / f"piece{i}.onnx"
        inputs = cuts(model, target, names, feeds)
        onnx.utils.extract_model(str(tmp_path / "typed.onnx"), str(piece),
                                 inputs, [target])
        got, = ours(piece, {n: values[n] for n in inputs}, tmp_path / str(i))
        want = values[target]
        assert got.dtype == want.dtype and got.shape == want.shape
        if target == "logits":
            ort.assert_close(got, want)
            continue
        diff = numpy.abs(got.astype(int) - want.astype(int))
        assert diff.max() <= 1, f"{target} is off by {diff.max()}"
        off[target] = (diff > 0).mean()
    # One step in a hundred values would be no matter of ties any more.
    assert max(off.values()) < 0.01, off


def test_whole(int8, images, tmp_path):
    got, = ours(int8, {"image": images}, tmp_path / "whole")
    want = ort.run(int8, {"image": images})["logits"]
    ort.assert_close(got, want, share=0.02)
    assert (got.argmax(1) == want.argmax(1)).all()
