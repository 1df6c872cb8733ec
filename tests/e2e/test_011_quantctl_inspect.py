# SPDX-License-Identifier: Apache-2.0
"""quantctl inspect: what is in a model and how it runs."""

import onnx
from onnx import TensorProto, helper

import ctl
import programs


def test_classifier(tmp_path):
    path = ctl.classifier(tmp_path / "m.onnx")
    told = ctl.run_json("inspect", path)
    assert told["opset"] == 13
    assert told["inputs"] == [{"name": "x", "dtype": "float32",
                               "shape": [-1, ctl.N_IN]}]
    assert told["outputs"][0]["shape"] == [-1, ctl.N_CLASSES]
    assert told["bytes"]["weights"] >= 4 * ctl.N_IN * ctl.N_HIDDEN
    assert [s["op"] for s in told["steps"]] == ["Gemm", "Gemm"]
    assert told["steps"][0]["fused"] == "+Relu"
    assert told["summary"]["int8"]["Gemm"] == {"steps": 2, "int8": 0}
    text = ctl.run("inspect", path).stdout
    assert "0 of 2 Gemm in int8" in text and "float32[?,32]" in text


def test_demo_has_no_slow_kernels():
    told = ctl.run_json("inspect", programs.TOP / "demo/digits.onnx")
    assert told["summary"]["ref"] == 0
    assert told["summary"]["plain"] == 0


def test_dynamic_axes_want_a_shape(tmp_path):
    path = ctl.save(tmp_path / "m.onnx",
                    [helper.make_node("Relu", ["x"], ["y"])],
                    [("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
                    [("y", TensorProto.FLOAT, ["n", 3, "h", "w"])], {})
    assert "--shape" in ctl.fails("inspect", path, code=ctl.BAD_INPUT)
    told = ctl.run_json("inspect", path, "--shape", "x=1,3,20,30")
    assert told["steps"][-1]["shape"] == [1, 3, 20, 30]
    ctl.fails("inspect", path, "--shape", "x=1,4,20,30", code=ctl.BAD_INPUT)
    ctl.fails("inspect", path, "--shape", "x=1,3,no,30", code=ctl.BAD_INPUT)


def test_names_may_hold_anything(tmp_path):
    """Names of exporters hold JSON, slashes, and what is no ASCII."""
    name = '{"a": "ü/\n=1"}'
    path = ctl.save(tmp_path / "m.onnx",
                    [helper.make_node("Relu", [name], ["y"], name)],
                    [(name, TensorProto.FLOAT, [2, 2])],
                    [("y", TensorProto.FLOAT, [2, 2])], {})
    assert onnx.load(str(path)).graph.input[0].name == name
    assert ctl.run_json("inspect", path)["inputs"][0]["name"] == name
