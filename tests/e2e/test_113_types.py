# SPDX-License-Identifier: Apache-2.0
"""Every operator with every element type, held against ONNX Runtime.

typed.py writes models of one node and PyPI's onnxruntime answers them; where
PyPI does not answer the test is skipped, and says so.  tests/op/test_types.c
has a selection with fixed answers, which always runs.
"""

import collections
import json
import pathlib
import re
import subprocess

import pytest

import pypi
from programs import BUILD

PACKAGES = "onnxruntime==1.32.0", "onnx==1.23.2"
MAKER = pathlib.Path(__file__).with_name("typed.py")
LIMIT_S = 600
PASSED = 4800  # only goes up

# Types that the schema has, but neither ONNX Runtime nor a known exporter.
REFUSED = re.compile(
    r"(prelu|gemm\w*)_u?int\d+|gridsample_(u?int\d+|bool)_float|"
    r"resize_(linear|cubic)_(u?int\d+|bool)|"
    r"quantizelinear\w*_int32_u?int\d+|"
    r"attention_mask_float_float_u?int\d+")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("types")
    subprocess.run([pypi.python(*PACKAGES), MAKER, folder], check=True,
                   capture_output=True, timeout=LIMIT_S)
    return folder


def table(cases, said):
    """A line an operator: what became of which types."""
    lines = collections.defaultdict(lambda: collections.defaultdict(set))
    for title, case in cases.items():
        became = said.get(title) or (
            "different" if case["said"].startswith("different")
            else "unanswered")
        lines[case["op"]][became].add("/".join(case["types"].values()))
    for op, became in sorted(lines.items()):
        refused = became["refused"] | became["FAILED"]
        print(op, " ".join(f"{word}: {' '.join(sorted(types - refused))}"
                           if word == "passed" else
                           f"{word}: {' '.join(sorted(types))}"
                           for word, types in sorted(became.items()) if types),
              sep=": ")


def test_every_type(vectors):
    done = subprocess.run([BUILD / "tests/op/vectors", "-v", "test_"],
                          env={"ONNX_TESTDATA": str(vectors)},
                          capture_output=True, text=True, timeout=LIMIT_S)
    print(re.sub(r"^passed .*\n", "", done.stdout, flags=re.M))
    said = {}
    for word, title in re.findall(r"^(passed|refused|FAILED) node/test_(\w+)",
                                  done.stdout, re.M):
        if said.get(title, "passed") == "passed":
            said[title] = word
    table(json.loads((vectors / "cases.json").read_text()), said)
    failed = [t for t, word in said.items() if word == "FAILED"]
    refused = [t for t, word in said.items()
               if word == "refused" and not REFUSED.fullmatch(t)]
    assert not failed and not refused
    assert sum(word == "passed" for word in said.values()) >= PASSED
