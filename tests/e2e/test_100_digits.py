# SPDX-License-Identifier: Apache-2.0
"""The demo model: answers as ONNX Runtime's, accuracy as its training said."""

import json
import subprocess

import numpy
import pytest

import ort
import programs

DEMO = programs.TOP / "demo"
LIMIT_S = 120


@pytest.fixture(scope="module")
def validation():
    with numpy.load(DEMO / "validation.npz") as data:
        return data["image"].astype(numpy.float32), data["labels"]


def logits(x, folder):
    folder.mkdir(exist_ok=True)
    numpy.save(folder / "x.npy", x)
    subprocess.run([programs.QUANTCTL, "run", DEMO / "digits.onnx", "--input",
                    f"image={folder / 'x.npy'}", "--output", folder],
                   check=True, timeout=LIMIT_S)
    return numpy.load(folder / "logits.npy")


@pytest.mark.parametrize("n", [1, 5, 64])
def test_matches_onnxruntime(validation, tmp_path, n):
    x = validation[0][:n]
    want = ort.run(DEMO / "digits.onnx", {"image": x})["logits"]
    ort.assert_close(logits(x, tmp_path), want)


def test_accuracy(validation, tmp_path):
    """Within what chance allows of the 10,000 images' (result.json)."""
    images, labels = validation
    right = (logits(images, tmp_path).argmax(1) == labels).mean()
    expected = json.loads((DEMO / "result.json").read_text())["test_accuracy"]
    deviation = (expected * (1 - expected) / len(labels)) ** 0.5
    assert abs(right - expected) < 4 * deviation
