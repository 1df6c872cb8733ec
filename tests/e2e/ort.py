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
    steps, ms = work(model, [inputs], {}, seconds)
    return steps[0], ms


def loop(model, stepped, fixed, state):
    """
    The outputs of each step of a model with state.

    stepped: {name: array}, of which step i gets a[i].
    fixed:   {name: array}, the same at each step.
    state:   {name: (output that is its next value, first value)}.
    """
    n = len(next(iter(stepped.values())))
    first = {i: a for i, (_, a) in state.items()}
    steps = [{**{k: a[i] for k, a in stepped.items()},
              **(fixed | first if i == 0 else {})} for i in range(n)]
    return work(model, steps, {i: o for i, (o, _) in state.items()}, 0)[0]


def work(model, steps, feedback, seconds):
    """
    Runs the steps, each a {name: array}: what one does not name stays as it
    was, and feedback, {input: output}, goes round.  The last one is repeated
    and timed.
    """
    if shutil.which("node") is None:
        pytest.skip("node is not installed: no ONNX Runtime")
    runtime = npm.package("onnxruntime-node", VERSION)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        job = {"model": str(model), "steps": [], "feedback": feedback,
               "seconds": seconds}
        for i, inputs in enumerate(steps):
            job["steps"].append([])
            for k, (name, array) in enumerate(inputs.items()):
                file = f"in{i}.{k}"
                (folder / file).write_bytes(
                    numpy.ascontiguousarray(array).tobytes())
                job["steps"][-1].append(
                    {"name": name, "type": array.dtype.name,
                     "shape": array.shape, "file": file})
        (folder / "job.json").write_text(json.dumps(job))
        subprocess.run(["node", HERE / "ort_run.js", runtime, folder],
                       check=True, timeout=LIMIT_S + seconds)
        answer = json.loads((folder / "answer.json").read_text())
        outputs = [{
            o["name"]: numpy.fromfile(folder / o["file"], TYPES[o["type"]])
            .reshape(o["shape"]) for o in step} for step in answer["steps"]]
    return outputs, answer["ms"]


def assert_close(got, want, share=1e-3):
    """|got - want| is at most share of the largest |want|, everywhere."""
    assert got.shape == want.shape
    assert numpy.isfinite(got).all()
    worst = numpy.abs(got.astype(numpy.float64) - want).max()
    bound = share * numpy.abs(want).max()
    assert worst <= bound, f"off by {worst:g}, {bound:g} is allowed"
