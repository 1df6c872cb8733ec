# SPDX-License-Identifier: Apache-2.0
"""quantctl as a program, and small models to give to it."""

import json
import subprocess

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import programs

DONE, REJECTED, USAGE, BAD_INPUT, UNSUPPORTED = 0, 1, 2, 3, 4
LIMIT_S = 120


def quantctl(*args):
    return subprocess.run([programs.QUANTCTL, *map(str, args)], text=True,
                          capture_output=True, timeout=LIMIT_S)


def run(*args, code=DONE):
    """Runs quantctl; returns what it printed."""
    done = quantctl(*args)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def run_json(*args, code=DONE):
    return json.loads(run(*args, "--json", code=code).stdout)


def fails(*args, code):
    """The message of a run that must fail; also what --json says."""
    done = run(*args, code=code)
    assert done.stderr.startswith("quantctl")
    if code > USAGE:
        line = run(*args, "--json", code=code).stdout.splitlines()[-1]
        assert json.loads(line)["error"]["message"] in done.stderr
    return done.stderr


def save(path, nodes, inputs, outputs, constants):
    """A model file; inputs and outputs are (name, type, shape)."""
    graph = helper.make_graph(
        nodes, "test",
        [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()])
    model = helper.make_model(graph,
                              opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.save(model, str(path))
    return path


N_IN, N_HIDDEN, N_CLASSES = 32, 64, 5


def classifier(path, spoiled=0.0):
    """
    Two layers with random weights.  `spoiled` is the magnitude of one more
    class, which never wins: it takes the whole range of a scale that the
    classes share.
    """
    rng = np.random.default_rng(1)
    w1 = rng.normal(size=(N_IN, N_HIDDEN)).astype(np.float32)
    w2 = rng.normal(size=(N_HIDDEN, N_CLASSES)).astype(np.float32)
    b1 = rng.normal(size=N_HIDDEN).astype(np.float32)
    b2 = np.zeros(N_CLASSES, np.float32)
    if spoiled:
        w2[:, -1] = -spoiled
        b2[-1] = -spoiled
    return save(
        path,
        [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], "first"),
         helper.make_node("Relu", ["h"], ["r"], "relu"),
         helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], "second")],
        [("x", TensorProto.FLOAT, ["n", N_IN])],
        [("y", TensorProto.FLOAT, ["n", N_CLASSES])],
        {"w1": w1, "b1": b1, "w2": w2, "b2": b2})


def answers(path, x):
    """The classifier's own answers, computed here."""
    c = {t.name: numpy_helper.to_array(t)
         for t in onnx.load(str(path)).graph.initializer}
    hidden = np.maximum(x @ c["w1"] + c["b1"], 0)
    return hidden @ c["w2"] + c["b2"]


def samples(n, seed):
    return np.random.default_rng(seed).normal(size=(n, N_IN)).astype("f4")
