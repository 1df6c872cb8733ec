# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime (npm's onnxruntime-node) as the judge of outputs and speed."""

import json
import pathlib
import shutil
import subprocess
import tempfile

import numpy
import pytest

import npm

VERSION = "1.30.0"
LIMIT_S = 300
HERE = pathlib.Path(__file__).parent

TYPES = {"float32": numpy.float32, "int64": numpy.int64,
         "int32": numpy.int32, "uint8": numpy.uint8, "int8": numpy.int8,
         "bool": numpy.bool_, "float64": numpy.float64}


def run(model, inputs):
    """The outputs by name that ONNX Runtime computes on one thread."""
    return call(model, inputs, 0)[0]


def call(model, inputs, seconds):
    """The outputs, and the milliseconds of each run within `seconds`."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed: no ONNX Runtime")
    runtime = npm.package("onnxruntime-node", VERSION)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        feeds = []
        for i, (name, array) in enumerate(inputs.items()):
            array = numpy.ascontiguousarray(array)
            (folder / f"in{i}").write_bytes(array.tobytes())
            feeds.append({"name": name, "type": array.dtype.name,
                          "shape": array.shape, "file": f"in{i}"})
        job = {"model": str(model), "inputs": feeds, "seconds": seconds}
        (folder / "job.json").write_text(json.dumps(job))
        subprocess.run(["node", HERE / "ort_run.js", runtime, folder],
                       check=True, timeout=LIMIT_S + seconds)
        answer = json.loads((folder / "answer.json").read_text())
        outputs = {
            o["name"]: numpy.fromfile(folder / o["file"], TYPES[o["type"]])
            .reshape(o["shape"]) for o in answer["outputs"]}
    return outputs, answer["ms"]


def assert_close(got, want, share=1e-3):
    """|got - want| is at most share of the largest |want|, everywhere."""
    assert got.shape == want.shape
    assert numpy.isfinite(got).all()
    worst = numpy.abs(got.astype(numpy.float64) - want).max()
    bound = share * numpy.abs(want).max()
    assert worst <= bound, f"off by {worst:g}, {bound:g} is allowed"
