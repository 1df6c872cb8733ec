# SPDX-License-Identifier: Apache-2.0
"""Families of real models, one small member each: the answers are ONNX
Runtime's, at every size of the open axes, and those of a row do not depend on
the rows that share its run.  scripts/zoo does the same with the real nets."""

import numpy as np
import pytest

import ctl
import ort
from families import FAMILIES

ROWS = 5


def answers(model, inputs, folder):
    """{name: array} of quantctl run."""
    folder.mkdir()
    args = []
    for i, (name, array) in enumerate(inputs.items()):
        np.save(folder / f"{i}.npy", array)
        args += ["--input", f"{name}={folder / str(i)}.npy"]
    ctl.run("run", model, *args, "--output", folder / "out")
    return {p.stem: np.load(p) for p in (folder / "out").glob("*.npy")}


def must_agree(got, want):
    assert set(got) == set(want)
    for name, array in want.items():
        if array.dtype == np.float32:
            ort.assert_close(got[name], array)
        else:
            assert (got[name] == array).all(), name


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    for name, family in FAMILIES.items():
        family.write(folder / f"{name}.onnx")
    return folder


CASES = [(name, k) for name, family in FAMILIES.items()
         for k in range(len(family.sizes))]


@pytest.mark.parametrize("name, k", CASES)
def test_matches_onnxruntime(models, tmp_path, name, k):
    family, model = FAMILIES[name], models / f"{name}.onnx"
    rng = np.random.default_rng(k)
    x = family.inputs(rng, ROWS, **family.sizes[k])
    got = answers(model, x, tmp_path / "rows")
    must_agree(got, ort.run(model, x))
    row = {n: a[2:3] for n, a in x.items()}
    alone = answers(model, row, tmp_path / "row")
    must_agree(alone, ort.run(model, row))
    if family.batch:
        must_agree({n: a[2:3] for n, a in got.items()}, alone)


def shape_options(inputs):
    return [f"--shape={n}={','.join(map(str, a.shape))}"
            for n, a in inputs.items()]


@pytest.mark.parametrize("name", [n for n, f in FAMILIES.items() if f.batch])
def test_requests_may_share_a_run(models, name):
    x = FAMILIES[name].inputs(np.random.default_rng(0), 1)
    said = ctl.run_json("inspect", models / f"{name}.onnx",
                        *shape_options(x))
    assert said["max_batch"] > 1


@pytest.mark.parametrize("name", list(FAMILIES))
def test_quantizes(models, tmp_path, name):
    """Whatever is decided about random weights, it is decided."""
    family = FAMILIES[name]
    x = family.inputs(np.random.default_rng(9), 40)
    np.savez(tmp_path / "samples.npz", **x)
    report = tmp_path / "report.json"
    said = ctl.quantctl("quantize", models / f"{name}.onnx", "-o",
                        tmp_path / "int8.onnx", "--recipe", "auto",
                        "--calibration", tmp_path / "samples.npz",
                        "--validation", tmp_path / "samples.npz",
                        "--seconds", 0, "--report", report)
    assert said.returncode in (ctl.DONE, ctl.REJECTED), said.stderr
    one = {n: a[:1] for n, a in x.items()}
    got = answers(tmp_path / "int8.onnx", one, tmp_path / "int8")
    assert all(np.isfinite(a).all() for a in got.values())


# What makes boxes and scores of a head's numbers.
DECODING = {"Sigmoid", "Softmax", "Sub", "Pow", "Div"}


@pytest.mark.parametrize("name, box, score, convs", [
    ("yolo5", np.s_[..., :4], np.s_[..., 4:], 6),
    ("yolo8", np.s_[:, :4], np.s_[:, 4:], 8)])
def test_detectors_still_detect(models, tmp_path, name, box, score, convs):
    """One scale for boxes of hundreds of pixels and scores below one, and no
    score is left: decoding stays in float, without being told to."""
    family = FAMILIES[name]
    np.savez(tmp_path / "c.npz", **family.inputs(np.random.default_rng(1),
                                                 100))
    int8 = tmp_path / "int8.onnx"
    ctl.run("quantize", models / f"{name}.onnx", "-o", int8, "--recipe",
            "static", "--calibration", tmp_path / "c.npz", "--seconds", 0)
    x = family.inputs(np.random.default_rng(2), 8)
    want = answers(models / f"{name}.onnx", x, tmp_path / "fp32")["y"]
    got = answers(int8, x, tmp_path / "int8")["y"]
    assert np.abs(got[score] - want[score]).max() < 0.1
    assert want[score].max() > 0.8  # there is something to lose
    side = np.abs(got[box] - want[box])
    assert np.quantile(side, 0.99) < 3  # pixels, of 64

    said = ctl.run_json("inspect", int8, *shape_options(
        {"x": x["x"][:1]}))
    steps = said["steps"]
    assert all(s["precision"] == "float32" for s in steps
               if s["op"] in DECODING)
    last_conv = max(k for k, s in enumerate(steps) if s["op"] == "Conv")
    assert all(s["precision"] == "float32" for s in steps[last_conv + 1:]
               if s["op"] == "Concat")
    assert sum(s["precision"] == "int8" and s["op"] == "Conv"
               for s in steps) == convs
