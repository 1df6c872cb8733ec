# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the daemon, in both formats."""

import shutil
import socket
import subprocess
import time

import numpy
import pytest
import requests

import server
import tiny

LIMIT_S = 60
CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: quantd
    static_configs:
      - targets: ['%s:%d']
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@pytest.fixture
def prometheus(tmp_path):
    """prometheus(daemon) -> query function."""
    if shutil.which("prometheus") is None:
        pytest.skip("left out: prometheus is not installed")
    running = []

    def run(daemon):
        config = tmp_path / "prometheus.yml"
        config.write_text(CONFIG % (daemon.host, daemon.port))
        port = free_port()
        running.append(subprocess.Popen(
            ["prometheus", f"--config.file={config}",
             f"--storage.tsdb.path={tmp_path / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def query(text):
            end = time.monotonic() + LIMIT_S
            while time.monotonic() < end:
                try:
                    r = requests.get(f"http://127.0.0.1:{port}/api/v1/query",
                                     params={"query": text}, timeout=10).json()
                    if r["data"]["result"]:
                        return float(r["data"]["result"][0]["value"][1])
                except (requests.ConnectionError, KeyError, ValueError):
                    pass
                time.sleep(0.2)
            raise AssertionError(f"no answer to {text} in {LIMIT_S} s")

        return query

    yield run
    for process in running:
        process.terminate()
        process.wait()


def test_scraped(start, prometheus):
    d = start(lambda models: tiny.affine(models / "m" / "1" / "model.onnx"),
              "[server]\ntriton_metric_names = yes\n")
    x = numpy.ones((2, 3), numpy.float32)
    for _ in range(5):
        assert d.infer("m", {"inputs": [server.json_input("x", x)]}).ok
    query = prometheus(d)
    assert query("up") == 1
    assert query('quantd_requests_total{model="m",code="200",'
                 'route="primary"}') == 5
    assert query("quantd_batch_size_sum") == 10
    assert query("nv_inference_request_success") == 5
    assert query("process_resident_memory_bytes") > 1e6
    assert 0 < query("histogram_quantile(0.5, "
                     "quantd_request_duration_seconds_bucket)") < 10
