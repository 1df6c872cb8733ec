# SPDX-License-Identifier: Apache-2.0
"""Writes the test vectors of an installed `onnx` package, as files.

Run by an interpreter that has it: onnx_vectors.py FOLDER.  The package makes
the vectors of single operators when asked for them and holds the others as
files.  Inputs that are no tensors are left out: nothing reads them.
"""

import pathlib
import shutil
import sys

import onnx
from onnx import numpy_helper
from onnx.backend.test.case import model, node


def write(folder, case):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for k, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{k}"
        data.mkdir()
        for kind, infos, values in (("input", case.model.graph.input, inputs),
                                    ("output", case.model.graph.output,
                                     outputs)):
            for i, (info, value) in enumerate(zip(infos, values)):
                if not info.type.HasField("tensor_type"):
                    continue
                if not isinstance(value, onnx.TensorProto):
                    value = numpy_helper.from_array(value, info.name)
                (data / f"{kind}_{i}.pb").write_bytes(
                    value.SerializeToString())


def main(root):
    root = pathlib.Path(root)
    for case in node.collect_testcases(None) + model.collect_testcases():
        if case.model is not None:
            write(root / case.kind / case.name, case)
    held = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
    for suite in ("pytorch-converted", "pytorch-operator"):
        shutil.copytree(held / suite, root / suite)


main(sys.argv[1])
