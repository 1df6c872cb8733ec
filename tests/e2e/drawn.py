# SPDX-License-Identifier: Apache-2.0
"""Text drawn with a font, as the OCR models take it; all from one seed."""

import random

import numpy
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
WORDS = ("invoice total amount due delivery street number customer order "
         "thank you receipt station platform departure arrival open closed "
         "ticket price quantity returns within thirty days please keep").split()


def normalized(image):
    """[3,H,W] float32 from -1 to 1, as PaddleOCR feeds its text models."""
    pixels = numpy.asarray(image.convert("RGB"), numpy.float32)
    return (pixels / 255 - 0.5).transpose(2, 0, 1) / 0.5


def line(draw_from, width=192, height=48):
    """A picture of one line of text that fills it, more or less."""
    text = " ".join(draw_from.choices(WORDS, k=2))
    font = ImageFont.truetype(FONT, draw_from.randint(20, 34))
    left, top, right, bottom = font.getbbox(text)
    dark, light = draw_from.randint(0, 80), draw_from.randint(170, 255)
    box = Image.new("L", (right + 12, bottom + 12), light)
    ImageDraw.Draw(box).text((6, 6), text, dark, font)
    return box.crop((0, 0, box.width, box.height)).resize((width, height))


def lines(n, seed):
    """n lines, every second one upside down, and which: 1 is upside down."""
    draw_from = random.Random(seed)
    labels = numpy.arange(n, dtype=numpy.int64) % 2
    pictures = [line(draw_from).rotate(180 * int(turned))
                for turned in labels]
    return numpy.stack([normalized(p) for p in pictures]), labels


def page(draw_from, width, height):
    """A page of short lines in several sizes."""
    image = Image.new("L", (width, height), draw_from.randint(200, 255))
    pen = ImageDraw.Draw(image)
    y = 8
    while y < height - 40:
        size = draw_from.randint(12, 30)
        font = ImageFont.truetype(FONT, size)
        text = " ".join(draw_from.choices(WORDS, k=draw_from.randint(1, 3)))
        pen.text((draw_from.randint(4, width // 3), y), text,
                 draw_from.randint(0, 90), font)
        y += size + draw_from.randint(8, 24)
    return image


def pages(n, seed, width, height):
    """n pages, normalized by ImageNet's mean and deviation."""
    draw_from = random.Random(seed)
    mean = numpy.array([0.485, 0.456, 0.406], numpy.float32)[:, None, None]
    std = numpy.array([0.229, 0.224, 0.225], numpy.float32)[:, None, None]
    out = []
    for _ in range(n):
        pixels = numpy.asarray(page(draw_from, width, height).convert("RGB"),
                               numpy.float32) / 255
        out.append((pixels.transpose(2, 0, 1) - mean) / std)
    return numpy.stack(out)
