# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime answers to the cases of contrib_cases.py.

    python contrib_answers.py FOLDER

runs where PyPI's onnxruntime is installed, not in the tests' own Python.
FOLDER gets NAME.npz of the outputs, or NAME.txt with why there are none.
"""

import pathlib
import sys

import numpy as np
import onnxruntime as ort

import contrib_cases


def answers(model, feeds):
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), settings,
                                   providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def main(folder):
    for name, (model, feeds, _) in contrib_cases.cases.items():
        try:
            np.savez(folder / f"{name}.npz", **answers(model, feeds))
        except Exception as reason:
            (folder / f"{name}.txt").write_text(str(reason))


main(pathlib.Path(sys.argv[1]))
