# SPDX-License-Identifier: Apache-2.0
"""Networks grown at random, quantized: right answers as ONNX Runtime has them.

What is inside is joined in ways that no chosen example has: the quantized
file, run in int8, may not lie further from the truth than what ONNX Runtime
makes of the same file.
"""

import numpy as np
import pytest

import ctl
import grown
import ort

GRAPHS = 24


def decibels(want, got):
    noise = ((want.astype(np.float64) - got) ** 2).sum()
    return 10 * np.log10(((want ** 2).sum() + 1e-20) / (noise + 1e-20))


def answers(model, names, folder):
    ctl.run("run", model, "--input", f"x={folder / 'x.npy'}", "--output",
            folder / "out")
    return {n: np.load(folder / "out" / f"{n}.npy") for n in names}


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_static(seed, tmp_path):
    names = grown.network(tmp_path / "fp32.onnx", seed)
    numbers = np.random.default_rng(seed)
    x = numbers.standard_normal((8, *grown.INPUT)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "c.npz", x=numbers.standard_normal(
        (32, *grown.INPUT)).astype(np.float32))
    ctl.run("quantize", tmp_path / "fp32.onnx", "-o", tmp_path / "int8.onnx",
            "--recipe", "static", "--calibration", tmp_path / "c.npz",
            "--seconds", 0)
    truth = ort.run(tmp_path / "fp32.onnx", {"x": x})
    theirs = ort.run(tmp_path / "int8.onnx", {"x": x})
    ours = answers(tmp_path / "fp32.onnx", names, tmp_path)
    int8 = answers(tmp_path / "int8.onnx", names, tmp_path)
    for name in names:
        ort.assert_close(ours[name], truth[name])
        best = decibels(truth[name], theirs[name])
        assert best > 15
        assert decibels(truth[name], int8[name]) > best - 3
