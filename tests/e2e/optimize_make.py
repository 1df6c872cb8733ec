# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime's optimizers make of float models.

    python optimize_make.py FOLDER

runs where PyPI's onnxruntime is installed, not in the tests' own Python.  For
each NAME.onnx with its NAME.npz of inputs, FOLDER gets NAME.MODE.onnx and
ONNX Runtime's answers in NAME.out.npz; optimized.json says which operators of
com.microsoft each file holds.  Modes: "saved" (a session's graph, at the
extended level), "fused" (the optimizer for transformers), "bits" (weights in
4 bits).
"""

import collections
import json
import logging
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization.matmul_nbits_quantizer import \
    MatMulNBitsQuantizer
from onnxruntime.transformers.optimizer import optimize_model

HEADS = {"bert": 4, "gpt2": 4}
EXTENDED = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED


def session(path, **options):
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    for key, value in options.items():
        setattr(settings, key, value)
    return ort.InferenceSession(str(path), settings,
                                providers=["CPUExecutionProvider"])


def save(path):
    session(path, graph_optimization_level=EXTENDED,
            optimized_model_filepath=str(path.with_suffix(".saved.onnx")))


def fuse(path, kind):
    model = optimize_model(str(path), kind, num_heads=HEADS[kind], opt_level=0)
    model.save_model_to_file(str(path.with_suffix(".fused.onnx")))


def shrink(path):
    maker = MatMulNBitsQuantizer(onnx.load(path), block_size=16)
    maker.process()
    maker.model.save_model_to_file(str(path.with_suffix(".bits.onnx")))


def answers(path, feeds):
    runner = session(path)
    names = [o.name for o in runner.get_outputs()]
    return dict(zip(names, runner.run(names, feeds)))


def main(folder):
    folder, found = pathlib.Path(folder), {}
    logging.disable(logging.WARNING)
    for path in sorted(folder.glob("*.onnx")):
        feeds = dict(np.load(path.with_suffix(".npz")))
        save(path)
        if path.stem in HEADS:
            fuse(path, path.stem)
            shrink(path)
        for made in folder.glob(f"{path.stem}.*.onnx"):
            graph = onnx.load(made).graph
            found[made.name] = collections.Counter(
                n.op_type for n in graph.node if n.domain == "com.microsoft")
            np.savez(made.with_suffix(".npz"), **answers(made, feeds))
    (folder / "optimized.json").write_text(json.dumps(found))


main(sys.argv[1])
