# SPDX-License-Identifier: Apache-2.0
"""A CPU without VNNI: sums of 8-bit products saturate, those with 7 bits don't.

oneDNN keeps to older instructions when DNNL_MAX_CPU_ISA says so.
"""

import json
import os
import subprocess

import numpy
import onnx
import onnx.numpy_helper
import pytest

import programs

DEMO = programs.TOP / "demo"
LIMIT_S = 300


def quantctl(*args, isa=None):
    env = dict(os.environ)
    if isa:
        env["DNNL_MAX_CPU_ISA"] = isa
    return subprocess.run([programs.QUANTCTL, *map(str, args)], env=env,
                          capture_output=True, text=True, timeout=LIMIT_S)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """The demo model quantized for AVX2, and the report."""
    folder = tmp_path_factory.mktemp("avx2")
    done = quantctl("quantize", DEMO / "digits.onnx", "-o",
                    folder / "int8.onnx", "--recipe", "static",
                    "--calibration", DEMO / "calibration.npz",
                    "--validation", DEMO / "validation.npz",
                    "--min-speedup", 0, "--report", folder / "report.json",
                    isa="AVX2")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "int8.onnx", json.loads((folder / "report.json")
                                            .read_text())


def test_weights_keep_to_seven_bits(quantized):
    model = onnx.load(quantized[0])
    weights = [onnx.numpy_helper.to_array(i) for i in model.graph.initializer
               if i.data_type == onnx.TensorProto.INT8 and len(i.dims) > 1]
    assert weights
    assert max(numpy.abs(w.astype(int)).max() for w in weights) == 64


def test_report_says_so(quantized):
    report = quantized[1]
    assert report["engine"]["vnni"] is False
    assert any("7-bit weights" in w for w in report["warnings"])


def test_accuracy_is_kept(quantized):
    accuracy = quantized[1]["variants"][0]["accuracy"]
    assert accuracy["samples"] >= 2000
    assert accuracy["loss_points"] <= 0.3


def inspect(model):
    done = quantctl("inspect", model, "--json", isa="AVX2")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_seven_bits_run_in_int8(quantized):
    convs = [s for s in inspect(quantized[0])["steps"] if s["op"] == "Conv"]
    assert convs
    assert all(s["precision"] == "int8" for s in convs), convs


def test_eight_bits_never_saturate(tmp_path):
    """A file made on a better CPU answers the same here, in float."""
    out = tmp_path / "int8.onnx"
    done = quantctl("quantize", DEMO / "digits.onnx", "-o", out, "--recipe",
                    "static", "--calibration", DEMO / "calibration.npz")
    assert done.returncode == 0, done.stderr
    with numpy.load(DEMO / "validation.npz") as data:
        numpy.save(tmp_path / "x.npy", data["image"][:64].astype("float32"))
    answers = {}
    for isa in (None, "AVX2"):
        folder = tmp_path / str(isa)
        done = quantctl("run", out, "--input", f"image={tmp_path / 'x.npy'}",
                        "--output", folder, isa=isa)
        assert done.returncode == 0, done.stderr
        answers[isa] = numpy.load(folder / "logits.npy")
    off = numpy.abs(answers[None] - answers["AVX2"]).max()
    assert off < 0.02 * numpy.abs(answers[None]).max()
