# SPDX-License-Identifier: Apache-2.0
"""Files that ONNX Runtime's optimizers write.

Members of the families of models go through PyPI's onnxruntime
(optimize_make.py says how); quantd reads what comes out and answers as ONNX
Runtime does.
"""

import json
import pathlib
import subprocess

import numpy as np
import pytest

import ctl
import ort
import pypi
from families import FAMILIES

PACKAGES = ("onnxruntime==1.32.0", "onnx==1.23.2", "onnx_ir==1.1.0",
            "sympy==1.14.0")
HERE = pathlib.Path(__file__).parent
LIMIT_S = 600
ROWS = 2

# What must be in the files, so that it is them that are tested.
HELD = ("BiasGelu", "EmbedLayerNormalization", "FastGelu", "FusedConv",
        "FusedMatMul", "MatMulNBits", "QuickGelu", "SkipLayerNormalization")


@pytest.fixture(scope="module")
def optimized(tmp_path_factory):
    interpreter = pypi.python(*PACKAGES)
    folder = tmp_path_factory.mktemp("optimized")
    for name, family in FAMILIES.items():
        family.write(folder / f"{name}.onnx")
        np.savez(folder / f"{name}.npz",
                 **family.inputs(np.random.default_rng(1), ROWS))
    done = subprocess.run([interpreter, HERE / "optimize_make.py", folder],
                          capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "optimized.json").read_text())


def test_the_files_hold_what_is_meant(optimized):
    _, found = optimized
    assert set(HELD) <= {op for held in found.values() for op in held}


def test_they_are_read_and_mean_the_same(optimized, tmp_path):
    folder, found = optimized
    for name in found:
        feeds = np.load(folder / f"{name.split('.')[0]}.npz")
        args = []
        for i, key in enumerate(feeds):
            np.save(tmp_path / f"{i}.npy", feeds[key])
            args += ["--input", f"{key}={tmp_path / str(i)}.npy"]
        out = tmp_path / name
        ctl.run("run", folder / name, *args, "--output", out)
        want = np.load((folder / name).with_suffix(".npz"))
        got = {p.stem: np.load(p) for p in out.glob("*.npy")}
        assert set(got) == set(want), name
        for key in want:
            if want[key].dtype == np.float32:
                ort.assert_close(got[key], want[key])
            else:
                assert (got[key] == want[key]).all(), (name, key)
