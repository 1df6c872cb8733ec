# SPDX-License-Identifier: Apache-2.0
"""Files that quantd writes, as the onnx package sees them.

Every model of the ONNX backend tests is read and, where it can be, written
again.  What is written must pass onnx.checker; what is refused must be refused
with a reason.
"""

import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from programs import BUILD

DATA = pathlib.Path("/usr/share/libonnx-testdata/data")
UNSUPPORTED = 3  # ERR_UNSUPPORTED
READ = 518  # models of the backend tests that quantd reads: only goes up


def copy(pairs):
    """(code, message) of each pair of files, copied through the graph."""
    lines = "".join(f"{a}\t{b}\n" for a, b in pairs)
    done = subprocess.run([BUILD / "tests/e2e/onnx_copy"], input=lines,
                          capture_output=True, text=True, timeout=300,
                          check=True)
    answers = [line.split("\t", 1) for line in done.stdout.splitlines()]
    assert len(answers) == len(pairs)
    return [(int(code), message) for code, message in answers]


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    models = sorted(DATA.glob("*/*/model.onnx"))
    if not models:
        pytest.skip(f"no backend tests in {DATA}")
    folder = tmp_path_factory.mktemp("copies")
    pairs = [(m, folder / f"{m.parent.name}.onnx") for m in models]
    return list(zip(pairs, copy(pairs)))


def test_copies_are_valid(copies):
    written = [pair for pair, (code, _) in copies if code == 0]
    for source, target in written:
        try:
            onnx.checker.check_model(onnx.load(target), full_check=True)
        except Exception as reason:
            pytest.fail(f"{source}: {reason}")
    assert len(written) >= READ


def test_refusals_have_a_reason(copies):
    words = ("operator", "opset", "element type", "no tensor", "must be",
             "attribute", "training")
    for (source, _), (code, message) in copies:
        if code == 0 or "is made twice" in message:  # some tests do that
            continue
        assert code == UNSUPPORTED, f"{source}: {message}"
        assert any(w in message for w in words), f"{source}: {message}"


def test_copies_keep_names_and_shapes(copies):
    for (source, target), (code, _) in copies:
        if code != 0:
            continue
        was, now = onnx.load(source), onnx.load(target)
        made = {t.name for t in was.graph.initializer}
        assert [i for i in was.graph.input if i.name not in made] == \
            list(now.graph.input), source
        assert list(was.graph.output) == list(now.graph.output), source


def test_external_data(tmp_path):
    """What the onnx package writes beside the model is read."""
    weight = np.arange(4096, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", 1, [4096])],
        [helper.make_tensor_value_info("y", 1, [4096])],
        [numpy_helper.from_array(weight, "w")])
    onnx.save_model(helper.make_model(graph), str(tmp_path / "in.onnx"),
                    save_as_external_data=True, location="weights.bin",
                    size_threshold=0)
    assert copy([(tmp_path / "in.onnx", tmp_path / "out.onnx")]) == [(0, "")]
    tensor = onnx.load(tmp_path / "out.onnx").graph.initializer[0]
    assert np.array_equal(numpy_helper.to_array(tensor), weight)
