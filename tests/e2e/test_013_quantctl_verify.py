# SPDX-License-Identifier: Apache-2.0
"""quantctl verify: against expected outputs as TensorProto files."""

import pathlib

import numpy as np
import pytest
from onnx import numpy_helper

import ctl

BACKEND = pathlib.Path("/usr/share/libonnx-testdata/data/node")


def write_set(folder, **tensors):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in tensors.items():
        data = numpy_helper.from_array(value).SerializeToString()
        (folder / f"{name}.pb").write_bytes(data)


@pytest.fixture
def model(tmp_path):
    return ctl.classifier(tmp_path / "m.onnx")


def test_match_and_mismatch(model, tmp_path):
    for i in range(2):
        x = ctl.samples(3, i)
        write_set(tmp_path / f"data/test_data_set_{i}", input_0=x,
                  output_0=ctl.answers(model, x).astype("f4"))
    told = ctl.run_json("verify", model, "--test-data", tmp_path / "data")
    assert told["ok"] and told["sets"] == 2
    assert told["max_relative_error"] < 1e-5

    wrong = ctl.answers(model, x).astype("f4")
    wrong[1, 2] += 0.5
    write_set(tmp_path / "data/test_data_set_1", output_0=wrong)
    told = ctl.run_json("verify", model, "--test-data", tmp_path / "data",
                        code=ctl.REJECTED)
    assert [o["ok"] for o in told["outputs"]] == [True, False]
    assert told["outputs"][1]["element"] == 1 * ctl.N_CLASSES + 2
    ctl.run("verify", model, "--test-data", tmp_path / "data",
            "--tolerance", "0.5")


def test_one_set_without_a_folder_of_its_own(model, tmp_path):
    x = ctl.samples(1, 0)
    write_set(tmp_path / "set", input_0=x,
              output_0=ctl.answers(model, x).astype("f4"))
    ctl.run("verify", model, "--test-data", tmp_path / "set")


def test_other_shape_is_a_mismatch(model, tmp_path):
    write_set(tmp_path / "set", input_0=ctl.samples(2, 0),
              output_0=np.zeros((2, 4), "f4"))
    text = ctl.run("verify", model, "--test-data", tmp_path / "set",
                   code=ctl.REJECTED).stdout
    assert "[2,5]" in text and "[2,4]" in text


def test_bad_sets(model, tmp_path):
    ctl.fails("verify", model, "--test-data", tmp_path / "absent",
              code=ctl.BAD_INPUT)
    (tmp_path / "set").mkdir()
    ctl.fails("verify", model, "--test-data", tmp_path / "set",
              code=ctl.BAD_INPUT)
    write_set(tmp_path / "set", input_0=ctl.samples(2, 0))
    ctl.fails("verify", model, "--test-data", tmp_path / "set",
              code=ctl.BAD_INPUT)
    (tmp_path / "set/output_0.pb").write_bytes(b"\xff" * 40)
    ctl.fails("verify", model, "--test-data", tmp_path / "set",
              code=ctl.BAD_INPUT)


@pytest.mark.skipif(not BACKEND.exists(), reason="no libonnx-testdata")
@pytest.mark.parametrize("name", ["relu", "basic_conv_with_padding",
                                  "softmax_axis_1", "maxpool_2d_default"])
def test_backend_tests(name):
    folder = BACKEND / f"test_{name}"
    ctl.run("verify", folder / "model.onnx", "--test-data", folder)
