# SPDX-License-Identifier: Apache-2.0
"""quantctl compare: two models on the same data."""

import numpy as np
import pytest

import ctl

QUICK = ["--seconds", "0.1", "--threads", "1", "--min-speedup", "0"]


@pytest.fixture
def model(tmp_path):
    return ctl.classifier(tmp_path / "m.onnx")


def test_a_model_with_itself(tmp_path, model):
    x = ctl.samples(300, 1)
    np.savez(tmp_path / "v.npz", x=x, labels=ctl.answers(model, x).argmax(1))
    told = ctl.run_json("compare", model, model, "--data", tmp_path / "v.npz",
                        *QUICK)
    (variant,) = told["variants"]
    assert told["state"] == "accepted" and told["decision"] == "excellent"
    assert variant["outputs"][0]["identical"]
    assert variant["accuracy"]["loss_points"] == 0
    assert variant["size_ratio"] == 1
    text = ctl.run("compare", model, model, "--data", tmp_path / "v.npz",
                   *QUICK).stdout
    assert "accepted, excellent" in text


def test_another_model_is_worse(tmp_path, model):
    import onnx
    from onnx import numpy_helper
    other = onnx.load(str(model))
    w = numpy_helper.to_array(other.graph.initializer[2])
    other.graph.initializer[2].CopyFrom(
        numpy_helper.from_array(w[:, ::-1].copy(),
                                other.graph.initializer[2].name))
    onnx.save(other, str(tmp_path / "other.onnx"))
    x = ctl.samples(300, 1)
    np.savez(tmp_path / "v.npz", x=x, labels=ctl.answers(model, x).argmax(1))
    told = ctl.run_json("compare", model, tmp_path / "other.onnx", "--data",
                        tmp_path / "v.npz", *QUICK, code=ctl.REJECTED)
    assert told["decision"] == "unsuitable"


def test_without_data_only_speed_and_size(model):
    told = ctl.run_json("compare", model, model, *QUICK)
    assert told["state"] == "undecided"
    assert told["variants"][0]["accuracy"] is None
