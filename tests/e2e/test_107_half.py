# SPDX-License-Identifier: Apache-2.0
"""float16 and bfloat16 models: computed in float32, seen as what they are.

The demo's net, its weights rounded to a half type, must answer as the same
weights in float32 do, quantize as they do, and keep its inputs and outputs.
"""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ctl
import programs
import server

DEMO = programs.TOP / "demo"
HALF = {"FP16": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16}


def bits(x, kind):
    """float32 to the bits of a half type."""
    if kind == "FP16":
        return x.astype(np.float16).view(np.uint16)
    u = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype(np.uint16)


def floats(u, kind):
    if kind == "FP16":
        return u.view(np.float16).astype(np.float32)
    return (u.astype(np.uint32) << 16).view(np.float32)


def digits(path, kind):
    """The demo's net in a half type, or in float32 with its weights."""
    model = onnx.load(str(DEMO / "digits.onnx"))
    for p in model.graph.initializer:
        if p.data_type != TensorProto.FLOAT:
            continue
        x = numpy_helper.to_array(p)
        half = bits(x, kind[:4])
        p.ClearField("float_data")
        p.raw_data = floats(half, kind[:4]).astype("<f4").tobytes()
        if kind in HALF:
            p.raw_data = half.astype("<u2").tobytes()
            p.data_type = HALF[kind]
    if kind in HALF:
        for v in [*model.graph.input, *model.graph.output]:
            v.type.tensor_type.elem_type = HALF[kind]
        del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString())
    return path


def images(n):
    x = np.load(DEMO / "validation.npz")["image"][:n]
    return x.astype(np.float32)


def answers(model, x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    name = onnx.load(str(model)).graph.input[0].name
    told = ctl.run_json("run", model, "--input", f"{name}={tmp_path}/x.npy",
                        "--output", tmp_path)
    (out,) = told["outputs"]
    return np.load(tmp_path / (out["name"] + ".npy"))


def test_as_in_float32(tmp_path):
    x = images(8).astype(np.float16)
    got = answers(digits(tmp_path / "h.onnx", "FP16"), x, tmp_path)
    want = answers(digits(tmp_path / "f.onnx", "FP16 in float32"),
                   x.astype(np.float32), tmp_path)
    assert got.dtype == np.float16 and want.dtype == np.float32
    assert (np.abs(got - want) <= 1e-3 * np.abs(want).max()).all()


@pytest.mark.parametrize("kind", HALF)
def test_quantized_files_keep_the_contract(tmp_path, kind):
    model, out = digits(tmp_path / "h.onnx", kind), tmp_path / "q.onnx"
    done = ctl.run("quantize", model, "-o", out, "--report",
                   tmp_path / "r.json", "--json", "--seconds", "0.1",
                   "--threads", "1", "--min-speedup", "0", "--calibration",
                   DEMO / "calibration.npz", "--validation",
                   DEMO / "validation.npz")
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    assert result["accepted"] and result["variant"] == "int8"
    graph = onnx.load(str(out)).graph
    for v in [*graph.input, *graph.output]:
        assert v.type.tensor_type.elem_type == HALF[kind]
    half = set(HALF.values())
    assert all(p.data_type not in half for p in graph.initializer)
    assert sum(n.op_type == "QuantizeLinear" for n in graph.node) > 1


@pytest.mark.parametrize("kind", HALF)
def test_served_in_batches(tmp_path, kind):
    models = tmp_path / "models"
    (models / "h" / "1").mkdir(parents=True)
    digits(models / "h" / "1" / "model.onnx", kind)
    daemon = server.Daemon(tmp_path, models).wait_ready()
    try:
        meta = daemon.get("/v2/models/h").json()
        assert meta["inputs"][0]["datatype"] == kind
        name, result = meta["inputs"][0]["name"], meta["outputs"][0]["name"]
        x = bits(images(5), kind).view(server.DATATYPES[kind])
        body, headers = server.binary_request(
            [(name, x, kind)], parameters={"binary_data_output": True})
        r = daemon.post("/v2/models/h/infer", data=body, headers=headers)
        got = floats(server.outputs_of(r)[result].view(np.uint16), kind)
        want = answers(digits(tmp_path / "f.onnx", kind + " in float32"),
                       floats(x.view(np.uint16), kind), tmp_path)
        step = 2.0 ** -10 if kind == "FP16" else 2.0 ** -7
        assert (np.abs(got - want) <= 2 * step * np.abs(want).max()).all()
        assert daemon.get("/v2/models/h/config").json()["max_batch_size"] > 1
    finally:
        daemon.stop()


def test_casts_between(tmp_path):
    """Half at the door, float32 within for the softmax: what exporters with
    mixed precision write.  -65504 as a mask stays as good as -infinity."""
    path = ctl.save(
        tmp_path / "m.onnx",
        [helper.make_node("Add", ["x", "mask"], ["m"]),
         helper.make_node("Cast", ["m"], ["f"], to=TensorProto.FLOAT),
         helper.make_node("Softmax", ["f"], ["s"], axis=-1),
         helper.make_node("Cast", ["s"], ["h"], to=TensorProto.FLOAT16),
         helper.make_node("Mul", ["h", "two"], ["y"])],
        [("x", TensorProto.FLOAT16, ["n", 4])],
        [("y", TensorProto.FLOAT16, ["n", 4])],
        {"mask": np.array([0, 0, -65504, -np.inf], np.float16),
         "two": np.float16(2)})
    x = np.array([[1, 2, 60000, 3], [0, 0, 0, 0]], np.float16)
    got = answers(path, x, tmp_path)
    e = np.exp(-1.0)
    want = [[2 * e / (1 + e), 2 / (1 + e), 0, 0], [1, 1, 0, 0]]
    assert got.dtype == np.float16
    np.testing.assert_allclose(got.astype(np.float32), want, rtol=1e-3)
