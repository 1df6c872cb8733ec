# SPDX-License-Identifier: Apache-2.0
"""quantctl run: .npy in, .npy out."""

import numpy as np
import pytest

import ctl


@pytest.fixture
def model(tmp_path):
    return ctl.classifier(tmp_path / "m.onnx")


@pytest.mark.parametrize("n", [1, 3, 40])
def test_answers(model, tmp_path, n):
    x = ctl.samples(n, 2)
    np.save(tmp_path / "x.npy", x)
    told = ctl.run_json("run", model, "--input", f"x={tmp_path}/x.npy",
                        "--output", tmp_path / "new/out")
    y = np.load(tmp_path / "new/out/y.npy")
    assert told["outputs"][0]["shape"] == [n, ctl.N_CLASSES]
    np.testing.assert_allclose(y, ctl.answers(model, x), atol=1e-3)


def test_other_types_become_the_model_s(model, tmp_path):
    x = np.arange(2 * ctl.N_IN).reshape(2, -1) % 7
    for i, dtype in enumerate(("f8", "u1", "i8", "f2")):
        np.save(tmp_path / "x.npy", x.astype(dtype))
        ctl.run("run", model, "-i", tmp_path / "x.npy", "-o", tmp_path)
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"),
                                   ctl.answers(model, x.astype("f4")),
                                   atol=1e-2)


def test_misfits_are_named(model, tmp_path):
    def message(x, name="x"):
        np.save(tmp_path / "x.npy", x)
        return ctl.fails("run", model, "--input", f"{name}={tmp_path}/x.npy",
                         "-o", tmp_path, code=ctl.BAD_INPUT)

    wrong = message(np.zeros((1, 7), "f4"))
    assert "'x'" in wrong or "x" in wrong
    assert "7" in wrong and "32" in wrong
    assert "no such input" in message(np.zeros((1, 32), "f4"), "z")
    message(np.zeros(32, "f4"))
    assert "FILE" in ctl.fails("run", model, code=ctl.BAD_INPUT)
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff")
    ctl.fails("run", model, "-i", f"x={tmp_path}/x.npy", code=ctl.BAD_INPUT)


def test_unreadable_types_are_refused(model, tmp_path):
    for x in (np.zeros((4, 32), ">f4"), np.asfortranarray(np.ones((4, 32))),
              np.full((1, 32), "a")):
        np.save(tmp_path / "x.npy", x)
        ctl.fails("run", model, "-i", f"x={tmp_path}/x.npy",
                  code=ctl.UNSUPPORTED)
