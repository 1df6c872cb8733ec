# SPDX-License-Identifier: Apache-2.0
"""quantctl bench: models timed alone and side by side."""

import ctl
import programs

DIGITS = programs.TOP / "demo/digits.onnx"


def bench(*args):
    return ctl.run_json("bench", *args, "--seconds", "0.2", "--threads", "1")


def test_one_model():
    told = bench(DIGITS)
    (model,) = told["models"]
    latency = model["latency_us"]
    assert told["batch"] == 1 and told["threads"] == 1
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"]
    assert model["rows_per_second"] > 0 and model["runs"] >= 5


def test_side_by_side():
    """The same model twice is about as fast as itself."""
    first, second = bench(DIGITS, DIGITS, "--batch", "4")["models"]
    assert first["speedup"] == 1
    low, high = second["speedup_interval"]
    assert low <= second["speedup"] <= high
    assert 0.5 < second["speedup"] < 2
    text = ctl.run("bench", DIGITS, DIGITS, "--seconds", "0.1").stdout
    assert "times faster" in text


def test_profile_tells_every_step():
    told = bench(DIGITS, "--profile")["models"][0]["steps"]
    steps = ctl.run_json("inspect", DIGITS)["steps"]
    assert [s["node"] for s in told] == [s["node"] for s in steps]
    assert sum(s["us"] for s in told) > 0


def test_bad_batch(tmp_path):
    ctl.run("bench", DIGITS, "--batch", "0", code=ctl.USAGE)
    ctl.run("bench", DIGITS, "--seconds", "-1", code=ctl.USAGE)
