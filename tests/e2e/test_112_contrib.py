# SPDX-License-Identifier: Apache-2.0
"""Operators of ONNX Runtime's domain com.microsoft.

The answers that contrib_cases.py computes are held against quantd's, with
plain kernels and with all; and, where PyPI answers, against ONNX Runtime's, so
that they mean what files mean.
"""

import pathlib
import re
import subprocess

import numpy
import onnx
import pytest

import contrib_cases
import ort
import pypi
from programs import BUILD, QUANTCTL

LIMIT_S = 300

PACKAGES = "onnxruntime==1.32.0", "onnx==1.23.2"

# What ONNX Runtime has for GPUs only.
NOT_THERE = re.compile(r"bias_(add|dropout|softmax)|mask_4d|mha_packed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contrib")
    contrib_cases.write(folder)
    return folder


def test_answers(folder):
    done = subprocess.run([BUILD / "tests/op/vectors"],
                          env={"ONNX_TESTDATA": str(folder)},
                          capture_output=True, text=True, timeout=LIMIT_S)
    print(done.stdout)
    passed = re.findall(r"^(?:plain|all) kernels: (\d+) passed", done.stdout,
                        re.M)
    assert passed == [str(len(contrib_cases.cases))] * 2
    assert done.returncode == 0


def test_onnx_runtime_answers_alike(tmp_path):
    interpreter = pypi.python(*PACKAGES)
    script = pathlib.Path(__file__).with_name("contrib_answers.py")
    subprocess.run([interpreter, script, tmp_path], check=True,
                   timeout=LIMIT_S)
    for name, (_, _, results) in contrib_cases.cases.items():
        if NOT_THERE.search(name):
            assert (tmp_path / f"{name}.txt").exists()
            continue
        got = numpy.load(tmp_path / f"{name}.npz")
        for key, want in results.items():
            assert got[key].dtype == want.dtype, name
            if want.size:
                ort.assert_close(got[key], want,
                                 0.05 if "rounded" in name else 1e-4)


REFUSED = {
    "Attention": [({}, "attribute num_heads is missing"),
                  ({"num_heads": 0}, "attribute num_heads = 0"),
                  ({"num_heads": 2, "do_rotary": 1}, "attribute do_rotary"),
                  ({"num_heads": 2, "past_present_share_buffer": 1},
                   "attribute past_present_share_buffer"),
                  ({"num_heads": 2, "qkv_hidden_sizes": [4, 4]},
                   "attribute qkv_hidden_sizes"),
                  ({"num_heads": 3, "qkv_hidden_sizes": [4, 4, 4]},
                   "attribute qkv_hidden_sizes"),
                  ({"num_heads": 2, "scale": float("nan")},
                   "attribute scale")],
    "BiasSoftmax": [({"axis": 99}, "attribute axis = 99")],
    "FusedConv": [({"activation": "Gargle"}, "attribute activation"),
                  ({"activation": "Relu", "activation_params": [1.0]},
                   "attribute activation_params"),
                  ({"activation": 3}, "attribute activation has type int")],
    "FusedGemm": [({"activation": "LeakyRelu", "activation_alpha": [1.0]},
                   "attribute activation_alpha")],
}


@pytest.mark.parametrize("op", REFUSED)
def test_refusals_name_what_is_wrong(op, tmp_path):
    inputs = [onnx.helper.make_tensor_value_info(k, onnx.TensorProto.FLOAT,
                                                 [2, 3, 4]) for k in "xw"]
    for attrs, message in REFUSED[op]:
        node = onnx.helper.make_node(op, ["x", "w"], ["y"], name="the node",
                                     domain="com.microsoft", **attrs)
        graph = onnx.helper.make_graph(
            [node], "g", inputs,
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT,
                                                None)])
        path = tmp_path / "model.onnx"
        onnx.save(onnx.helper.make_model(graph), path)
        done = subprocess.run([QUANTCTL, "inspect", path], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode in (3, 4), done.stdout
        for part in ("the node", op, message):
            assert part in done.stderr


def test_unknown_operators_are_named(tmp_path):
    for domain, op in (("ai.onnx.ml", "TreeEnsembleClassifier"),
                       ("ai.onnx.ml", "Scaler"), ("com.microsoft", "MoE"),
                       ("com.microsoft.nchwc", "Conv")):
        x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT,
                                               [2, 3])
        y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT,
                                               None)
        node = onnx.helper.make_node(op, ["x"], ["y"], name="the node",
                                     domain=domain)
        model = onnx.helper.make_model(
            onnx.helper.make_graph([node], "g", [x], [y]),
            opset_imports=[onnx.helper.make_opsetid("", 14),
                           onnx.helper.make_opsetid(domain, 1)])
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        done = subprocess.run([QUANTCTL, "inspect", path], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 4
        assert (f'node "the node": operator {domain}.{op} (opset 1) is not '
                "supported") in done.stderr
