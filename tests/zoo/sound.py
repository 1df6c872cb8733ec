# SPDX-License-Identifier: Apache-2.0
"""Recurrent nets, and speech and text recognisers built of convolution,
recurrence and attention."""

import math

import numpy
import torch
from torch import nn

from entry import Entry, images, tokens


class Tagger(nn.Module):
    """Embedding, two bidirectional layers, a tag for each word."""

    def __init__(self, layer):
        super().__init__()
        self.embed = nn.Embedding(2000, 64)
        self.layer = layer(64, 96, num_layers=2, bidirectional=True,
                           batch_first=True)
        self.last = nn.Linear(192, 17)

    def forward(self, ids):
        return self.last(self.layer(self.embed(ids))[0])


class Stateful(nn.Module):
    """A layer whose state comes in and goes out, rows along its axis 0."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer(40, 64, batch_first=True)
        self.last = nn.Linear(64, 1)

    def forward(self, x, h, *c):
        h = h.transpose(0, 1)
        state = (h, c[0].transpose(0, 1)) if c else h
        y, state = self.layer(x, state)
        state = state if c else (state,)
        return (torch.sigmoid(self.last(y)),
                *(s.transpose(0, 1) for s in state))


class Crnn(nn.Module):
    """Text of a line: convolutions, height to 1, LSTM, characters."""

    def __init__(self):
        super().__init__()
        layers = []
        for cin, cout, pool in ((1, 32, (2, 2)), (32, 64, (2, 2)),
                                (64, 128, (2, 1)), (128, 128, (2, 1))):
            layers += [nn.Conv2d(cin, cout, 3, padding=1),
                       nn.BatchNorm2d(cout), nn.ReLU(),
                       nn.MaxPool2d(pool, pool)]
        self.body = nn.Sequential(*layers)
        self.last = nn.Linear(192, 97)
        self.layer = nn.LSTM(128 * 2, 96, num_layers=2, bidirectional=True)

    def forward(self, x):
        y = self.body(x)
        y = y.flatten(1, 2).permute(2, 0, 1)
        y = self.last(self.layer(y)[0]).log_softmax(2)
        return y.transpose(0, 1)


class Attention(nn.Module):
    """Of a sequence to itself; queries, keys and values by one matrix."""

    def __init__(self, n, heads):
        super().__init__()
        self.n, self.heads = n, heads
        self.qkv = nn.Linear(n, 3 * n)
        self.out = nn.Linear(n, n)

    def forward(self, x):
        rows, length, _ = x.shape
        q, k, v = (t.view(rows, length, self.heads, -1).transpose(1, 2)
                   for t in self.qkv(x).chunk(3, -1))
        share = q @ k.transpose(-2, -1) / math.sqrt(self.n // self.heads)
        y = share.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(rows, length, self.n))


def feed_forward(n, inner, activation):
    return nn.Sequential(nn.LayerNorm(n), nn.Linear(n, inner), activation,
                         nn.Linear(inner, n))


class Conformer(nn.Module):
    """A block of a speech encoder: half feed-forward, attention, gated
    depthwise convolution, half feed-forward."""

    def __init__(self, n=144):
        super().__init__()
        self.feed = nn.ModuleList(feed_forward(n, 4 * n, nn.SiLU())
                                  for _ in range(2))
        self.norm = nn.ModuleList(nn.LayerNorm(n) for _ in range(3))
        self.attend = Attention(n, 4)
        self.gate = nn.Conv1d(n, 2 * n, 1)
        self.depthwise = nn.Conv1d(n, n, 15, padding=7, groups=n)
        self.batch = nn.BatchNorm1d(n)
        self.point = nn.Conv1d(n, n, 1)

    def convolve(self, x):
        y = nn.functional.glu(self.gate(x.transpose(1, 2)), 1)
        y = nn.functional.silu(self.batch(self.depthwise(y)))
        return self.point(y).transpose(1, 2)

    def forward(self, x):
        x = x + self.feed[0](x) / 2
        x = x + self.attend(self.norm[0](x))
        x = x + self.convolve(self.norm[1](x))
        return self.norm[2](x + self.feed[1](x) / 2)


class Recogniser(nn.Module):
    """Features in time, halved twice by convolution, then the encoder."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(),
                                  nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU())
        self.first = nn.Linear(32 * 20, 144)
        self.blocks = nn.Sequential(*(Conformer() for _ in range(3)))
        self.last = nn.Linear(144, 64)

    def forward(self, x):
        y = self.down(x.unsqueeze(1))
        rows, channels, length, features = y.shape
        y = y.transpose(1, 2).reshape(rows, length, channels * features)
        return self.last(self.blocks(self.first(y))).log_softmax(-1)


class Wav2Vec(nn.Module):
    """Sound itself in: strided 1-D convolutions with normalisation over time,
    a convolution for the position, attention."""

    def __init__(self, n=128):
        super().__init__()
        layers = []
        for i, (kernel, stride) in enumerate(((10, 5), (3, 2), (3, 2),
                                              (3, 2), (2, 2))):
            layers += [nn.Conv1d(1 if i == 0 else n, n, kernel, stride,
                                 bias=False)]
            layers += [nn.GroupNorm(n, n)] if i == 0 else []
            layers += [nn.GELU()]
        self.features = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(n)
        self.position = nn.Sequential(
            nn.Conv1d(n, n, 16, padding=8, groups=16), nn.GELU())
        self.norms = nn.ModuleList(nn.LayerNorm(n) for _ in range(2))
        self.attend = nn.ModuleList(Attention(n, 4) for _ in range(2))
        self.feed = nn.ModuleList(feed_forward(n, 2 * n, nn.GELU())
                                  for _ in range(2))
        self.last = nn.Linear(n, 32)

    def forward(self, sound):
        y = self.features(sound.unsqueeze(1)).transpose(1, 2)
        y = self.norm(y)
        at = self.position(y.transpose(1, 2))[:, :, :-1]
        y = y + at.transpose(1, 2)
        for norm, attend, feed in zip(self.norms, self.attend, self.feed):
            y = y + attend(norm(y))
            y = y + feed(y)
        return self.last(y)


def word_ids(rng, rows, length=20):
    return {"words": tokens(rng, rows, length, 2000)}


def features(rng, rows, length=96):
    return {"features": rng.normal(0, 1, (rows, length, 80)).astype("f4")}


def frames(state):
    def inputs(rng, rows, length=5):
        made = {"x": rng.normal(0, 1, (rows, length, 40))}
        made.update({n: rng.normal(0, 0.3, (rows, 1, 64)) for n in state})
        return {n: a.astype(numpy.float32) for n, a in made.items()}
    return inputs


def line(rng, rows, length=128):
    return {"line": images(rng, rows, 1, 32, length)}


def sound(rng, rows, length=4000):
    return {"sound": rng.normal(0, 1, (rows, length)).astype("f4")}


WORDS = {"words": {1: "length"}, "tags": {1: "length"}}
STEPS = {"x": {1: "length"}, "y": {1: "length"}}
LENGTHS = ({}, {"length": 1}, {"length": 33})

ENTRIES = [
    Entry("lstm_tagger", lambda: Tagger(nn.LSTM), word_ids, ("tags",),
          (13, 9), WORDS, LENGTHS, quick=True),
    Entry("gru_tagger", lambda: Tagger(nn.GRU), word_ids, ("tags",),
          (17, 11), WORDS, LENGTHS),
    Entry("lstm_state", lambda: Stateful(nn.LSTM), frames(("h", "c")),
          ("y", "new_h", "new_c"), (16,), STEPS, LENGTHS),
    Entry("gru_state", lambda: Stateful(nn.GRU), frames(("h",)),
          ("y", "new_h"), (14,), STEPS, LENGTHS),
    Entry("crnn", Crnn, line, ("characters",), (11,),
          {"line": {3: "width"}, "characters": {1: "steps"}},
          ({}, {"length": 200})),
    Entry("conformer", Recogniser, features, ("characters",), (17, 12),
          {"features": {1: "frames"}, "characters": {1: "steps"}},
          ({}, {"length": 140})),
    Entry("wav2vec", Wav2Vec, sound, ("letters",), (13, 18),
          {"sound": {1: "samples"}, "letters": {1: "steps"}},
          ({}, {"length": 6400})),
]
