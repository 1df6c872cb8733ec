# SPDX-License-Identifier: Apache-2.0
"""DynamicQuantizeLSTM, as ONNX Runtime's quantize_dynamic writes it: the
answers are those of LSTM with the weights that the integers stand for."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ctl
import ort

STEPS, ROWS, INPUTS, HIDDEN, DIRECTIONS = 6, 3, 5, 8, 2


def weights(rng, rows, dtype, columns):
    """(integers, scale, zero point) and what they stand for."""
    info = np.iinfo(dtype)
    q = rng.integers(info.min, info.max, (DIRECTIONS, rows, 4 * HIDDEN),
                     endpoint=True).astype(dtype)
    shape = (DIRECTIONS, 4 * HIDDEN) if columns else (DIRECTIONS,)
    scale = rng.uniform(0.002, 0.006, shape).astype("f4")
    # ONNX Runtime wants the middle where there are many.
    zero = rng.integers(-4, 4, shape) * (not columns)
    zero += 128 if dtype == np.uint8 else 0
    spread = (lambda a: a[:, None]) if columns else (
        lambda a: a[:, None, None])
    real = (q - spread(zero).astype("f4")) * spread(scale)
    return (q, scale, zero.astype(dtype)), real.astype("f4")


def save(path, op, domain, inputs, constants):
    node = helper.make_node(op, inputs, ["y", "h", "c"], "lstm",
                            domain=domain, direction="bidirectional",
                            hidden_size=HIDDEN)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "lstm",
        [value("x", TensorProto.FLOAT, ["steps", "rows", INPUTS])],
        [value("y", TensorProto.FLOAT, ["steps", DIRECTIONS, "rows", HIDDEN]),
         value("h", TensorProto.FLOAT, [DIRECTIONS, "rows", HIDDEN]),
         value("c", TensorProto.FLOAT, [DIRECTIONS, "rows", HIDDEN])],
        [numpy_helper.from_array(a, n) for n, a in constants.items()])
    model = helper.make_model(graph, opset_imports=[
        helper.make_opsetid("", 14), helper.make_opsetid("com.microsoft", 1)])
    model.ir_version = 7
    onnx.save(model, str(path))


def answers(model, x, folder):
    folder.mkdir()
    np.save(folder / "x.npy", x)
    ctl.run("run", model, "--input", f"x={folder / 'x.npy'}", "--output",
            folder / "out")
    return {p.stem: np.load(p) for p in (folder / "out").glob("*.npy")}


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_answers(tmp_path, dtype, columns):
    rng = np.random.default_rng(1)
    w, w_real = weights(rng, INPUTS, dtype, columns)
    r, r_real = weights(rng, HIDDEN, dtype, columns)
    b = rng.normal(0, 0.1, (DIRECTIONS, 8 * HIDDEN)).astype("f4")
    names = ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"]
    save(tmp_path / "int8.onnx", "DynamicQuantizeLSTM", "com.microsoft", names,
         {"w": w[0], "ws": w[1], "wz": w[2],
          "r": r[0], "rs": r[1], "rz": r[2], "b": b})
    save(tmp_path / "fp32.onnx", "LSTM", "", ["x", "w", "r", "b"],
         {"w": w_real.transpose(0, 2, 1).copy(),
          "r": r_real.transpose(0, 2, 1).copy(), "b": b})
    x = rng.normal(0, 1, (STEPS, ROWS, INPUTS)).astype("f4")
    got = answers(tmp_path / "int8.onnx", x, tmp_path / "ours")
    want = ort.run(tmp_path / "fp32.onnx", {"x": x})
    theirs = ort.run(tmp_path / "int8.onnx", {"x": x})
    for name in ("y", "h", "c"):
        ort.assert_close(got[name], want[name], 1e-5)
        ort.assert_close(got[name], theirs[name], 0.05)


def test_what_is_missing_is_told(tmp_path):
    rng = np.random.default_rng(1)
    w, _ = weights(rng, INPUTS, np.int8, False)
    r, _ = weights(rng, HIDDEN, np.int8, False)
    save(tmp_path / "m.onnx", "DynamicQuantizeLSTM", "com.microsoft",
         ["x", "w", "r", "", "", "", "", "", "ws", "wz"],
         {"w": w[0], "ws": w[1], "wz": w[2], "r": r[0]})
    said = ctl.fails("inspect", tmp_path / "m.onnx", code=ctl.BAD_INPUT)
    assert "DynamicQuantizeLSTM" in said and "input 10" in said
