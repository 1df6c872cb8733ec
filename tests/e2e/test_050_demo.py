# SPDX-License-Identifier: Apache-2.0
"""scripts/run does the whole job; what it reports holds, and what it leaves
running is what Prometheus understands.
"""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import types

import pytest
import requests

import programs

LIMIT_S = 600


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


def wait_for(what, check, limit_s=60):
    """The first true value of check(), asked again until there is one."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        got = check()
        if got:
            return got
        time.sleep(0.1)
    pytest.fail(f"after {limit_s} s there is still no {what}")


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


def test_prometheus_scrapes(tour, tmp_path):
    """A real Prometheus finds the demo's requests, by variant."""
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: quantd
    static_configs: [{{targets: ['{tour.url.removeprefix("http://")}']}}]
""")
    with open(tmp_path / "log", "w") as log:
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml",
             f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log)

    def query(text):
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query",
                                  params={"query": text}, timeout=10)
            return answer.json()["data"]["result"]
        except (requests.ConnectionError, ValueError, KeyError):
            return []

    try:
        wait_for("scrape", lambda: any(
            r["value"][1] == "1" for r in query("up")))
        counts = wait_for("series", lambda: query(
            "sum by (variant) (quantd_requests_total{model='digits'})"))
    finally:
        prometheus.terminate()
        prometheus.wait(timeout=30)
    by_variant = {c["metric"]["variant"]: float(c["value"][1])
                  for c in counts}
    assert by_variant["fp32"] > 0 and by_variant["int8"] > 0
