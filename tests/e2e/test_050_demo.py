# SPDX-License-Identifier: Apache-2.0
"""scripts/run does the whole job; what it reports holds, and what it leaves
running gives metrics that promtool accepts. (A real Prometheus scrapes in
test_003_prometheus.)
"""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import types

import pytest
import requests

import programs

LIMIT_S = 600

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_script(*args):
    return subprocess.Popen(
        [programs.TOP / "scripts" / "run", "--build", programs.BUILD,
         *map(str, args)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True)


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """scripts/run at the end of its tour: what it printed, where it serves."""
    models, port = tmp_path_factory.mktemp("models"), free_port()
    script = start_script("--port", port, "--repository", models)
    watchdog = threading.Timer(LIMIT_S, os.killpg, (script.pid,
                                                    signal.SIGKILL))
    watchdog.start()
    text = ""
    for line in script.stdout:
        text += line
        if "Ctrl-C ends it" in line:
            break
    else:
        watchdog.cancel()
        pytest.fail(f"scripts/run ended with {script.wait()}:\n{text}")
    version = models / "digits" / "1"
    yield types.SimpleNamespace(
        text=text, url=f"http://127.0.0.1:{port}", version=version,
        report=json.loads((version / "report.json").read_text()))

    # What Ctrl-C does.
    os.killpg(script.pid, signal.SIGINT)
    rest = script.stdout.read()
    assert script.wait() == 0, rest
    watchdog.cancel()
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", port)) != 0, "quantd is still there"


def test_port_taken():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        script = start_script("--once", "--port", port)
        text, _ = script.communicate(timeout=LIMIT_S)
    assert script.returncode == 1
    assert f"port {port} is taken" in text


def test_report(tour):
    """What quantizing cost and gained: measured, within what is promised."""
    report = tour.report
    int8 = next(v for v in report["variants"]
                if v["variant"] == report["variant"] == "int8")
    assert report["accepted"] and report["decision"] == "excellent"

    accuracy = int8["accuracy"]
    assert accuracy["samples"] >= 2000
    assert accuracy["baseline"] > 0.99
    assert accuracy["baseline"] - accuracy["variant"] <= 0.003

    fp32_file = tour.version / "model.onnx"
    int8_file = tour.version / "variants" / "int8" / "model.onnx"
    ratio = int8_file.stat().st_size / fp32_file.stat().st_size
    assert ratio <= 0.30
    assert abs(int8["size_ratio"] - ratio) < 1e-6

    assert int8["latency"]["p50_us"] > 0
    assert int8["latency"]["baseline"]["p50_us"] > 0


def test_tour_shows(tour):
    """The report as a table; both variants' answers; the split; the end."""
    text = tour.text
    accuracy = tour.report["variants"][0]["accuracy"]
    row = re.search(r"^accuracy, % +([0-9.]+) +([0-9.]+)", text, re.M)
    assert float(row[1]) == pytest.approx(100 * accuracy["baseline"], abs=.01)
    assert float(row[2]) == pytest.approx(100 * accuracy["variant"], abs=.01)

    assert '{"variant":"fp32","digit":3}' in text
    assert '{"variant":"int8","digit":3}' in text
    split = dict(reversed(line.split()) for line in re.findall(
        r"^ +\d+ (?:fp32|int8)$", text, re.M)[:2])
    assert int(split["fp32"]) + int(split["int8"]) == 40
    rolled_back = text[text.index("== Roll back"):]
    assert '{"variant":"fp32","digit":7}' in rolled_back


def test_promtool(tour):
    text = requests.get(f"{tour.url}/metrics", timeout=10).text
    done = subprocess.run(["promtool", "check", "metrics"], input=text,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
