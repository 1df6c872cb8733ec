# SPDX-License-Identifier: Apache-2.0
"""Start, reload and end of the daemon; what it says to its manager."""

import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import numpy
import pytest
import requests

import programs
import server
import tiny


def fill(models):
    tiny.affine(models / "m" / "1" / "model.onnx")
    tiny.slow(models / "slow" / "1" / "model.onnx")


X = numpy.ones((1, 3), numpy.float32)
GOOD = {"inputs": [server.json_input("x", X)]}


def test_sigterm_finishes_what_is_in_flight(start):
    d = start(fill, "[scheduler]\nworkers = 1\nmax_batch_size = 1\n")
    body, headers = server.binary_request(
        [("x", numpy.ones((400, 512), numpy.float32))])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(d.post, "/v2/models/slow/infer", data=body,
                               headers=headers) for _ in range(4)]
        d.wait_metric(4, "quantd_requests_in_flight", model="slow")
        d.signal(signal.SIGTERM)
        assert all(r.result().status_code == 200 for r in running)
    log = d.stop()
    assert "<5>stopped" in log


def test_drain_delay_answers_but_is_not_ready(start):
    d = start(fill, "[server]\ndrain_delay = 1\n")
    session = requests.Session()
    assert session.get(d.url + "/v2/health/ready").status_code == 200
    d.signal(signal.SIGTERM)
    d.wait_log("stopping")
    assert session.get(d.url + "/v2/health/ready").status_code == 503
    assert session.get(d.url + "/v2/health/live").status_code == 200
    assert d.infer("m", GOOD).status_code == 200
    d.stop()
    with pytest.raises(requests.ConnectionError):
        d.get("/v2/health/live")


def test_drain_timeout_is_the_last_word(start):
    d = start(fill, "[server]\ndrain_timeout = 500ms\n"
                    "[scheduler]\nworkers = 1\nmax_batch_size = 1\n")
    body, headers = server.binary_request(
        [("x", numpy.ones((400, 512), numpy.float32))])
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        running = [pool.submit(d.post, "/v2/models/slow/infer", data=body,
                               headers=headers) for _ in range(30)]
        d.wait_metric(30, "quantd_requests_in_flight", model="slow")
        t = time.monotonic()
        d.signal(signal.SIGTERM)
        codes = [r.result().status_code for r in running]
        assert set(codes) <= {200, 503}, codes
        d.stop()
        assert time.monotonic() - t < 10


def test_drain_timeout_cuts_off_who_does_not_send(start):
    d = start(fill, "[server]\ndrain_timeout = 500ms\n")
    with socket.create_connection((d.host, d.port), 20) as a, \
            socket.create_connection((d.host, d.port), 20) as b:
        a.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n"
                  b"content-length: 1000\r\n\r\n12345")
        b.sendall(b"PUT /v2/repository/models/new HTTP/1.1\r\n"
                  b"host: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n12345")
        d.get("/v2/health/live")
        t = time.monotonic()
        d.signal(signal.SIGTERM)
        d.stop()
        assert time.monotonic() - t < 5


def test_reload(start):
    d = start(fill)
    d.config.write_text("[server]\nrequest_timeout = 99\n"
                        "[log]\naccess = yes\n[scheduler]\n"
                        "max_queue_length = 7\n")
    d.signal(signal.SIGHUP)
    d.wait_log("<5>reloaded")
    d.wait_log("needs_restart section=server option=request_timeout")
    d.infer("m", GOOD)
    d.wait_log("<6>access method=POST path=/v2/models/m/infer status=200")
    at = len(d.lines)
    d.config.write_text("[server]\nno_such = 1\n")
    d.signal(signal.SIGHUP)
    found = d.wait_log("<3>reload_failed error=(.*)", start=at)
    assert "quantd.conf:2: server.no_such" in found[1]
    d.infer("m", GOOD)  # the access log is still on
    d.wait_log("<6>access", start=at)
    d.stop(errors_expected=True)


def quantd(*args):
    return subprocess.run([programs.QUANTD, *args], capture_output=True,
                          text=True, timeout=60)


def test_check_config(tmp_path):
    conf = tmp_path / "quantd.conf"
    conf.write_text("[server]\nlisten = 127.0.0.1:0\n")
    assert quantd("--config", conf, "--check-config").returncode == 0
    for text, word in (("[server]\n\nport = 1\n", ":3: server.port"),
                       ("[server]\nlisten = nowhere\n", "server.listen"),
                       ("[server]\nlisten = :80\n", "server.listen"),
                       ("[server]\ntls_cert = x\n", "TLS"),
                       ("[server]\ntoken_file = /no/such\n", "/no/such")):
        conf.write_text(text)
        r = quantd("--config", conf, "--check-config")
        assert r.returncode == 1 and word in r.stderr, (text, r.stderr)
    assert quantd("--config", tmp_path / "none").returncode == 1
    assert quantd("--nonsense").returncode == 2
    assert quantd("stray").returncode == 2
    assert quantd("--version").stdout.startswith("quantd ")
    assert "max_queue_length = 256" in quantd("--help").stdout


def test_a_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as s:
        (tmp_path / "models").mkdir()
        r = quantd("--listen", f"127.0.0.1:{s.getsockname()[1]}",
                   "--models", tmp_path / "models")
    assert r.returncode == 1
    assert "in use" in r.stderr


def test_json_log(start):
    d = start(fill, "[log]\nformat = json\naccess = yes\n")
    d.get("/v2/models/a%22%5C%0ab")
    d.get("/v2/models/qu%22ote")
    d.wait_log('"event":"ready"')
    d.stop()
    events = [json.loads(line) for line in d.lines]
    assert {"start", "listening", "ready", "access", "stopped"} <= {
        e["event"] for e in events}


def test_a_second_address_for_the_control_plane(start):
    d = start(fill, "[server]\nadmin_listen = 127.0.0.1:0\n")
    second = [line.split("address=")[1] for line in d.lines
              if "listening" in line][1]
    assert d.put("/v2/models/m/route", json={}).status_code == 404
    r = requests.put(f"http://{second}/v2/models/m/route", json={}, timeout=20)
    assert r.status_code == 400
    assert d.infer("m", GOOD).status_code == 200


def test_without_a_token_only_loopback_may_change(start):
    # 0.0.0.0 is no loopback listener, though the test reaches it there.
    d = start(fill, flags=["--listen", "0.0.0.0:0"])
    d.url = d.url.replace("0.0.0.0", "127.0.0.1")
    r = d.put("/v2/models/m/route", json={})
    assert r.status_code == 403 and "token" in r.json()["error"]
    assert d.infer("m", GOOD).status_code == 200


def test_notify(tmp_path):
    """READY when all is loaded, STOPPING at the end, on $NOTIFY_SOCKET."""
    fill(tmp_path / "models")
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(60)
        env = {**os.environ, "NOTIFY_SOCKET": str(path),
               "WATCHDOG_USEC": "400000"}
        p = subprocess.Popen([programs.QUANTD, "--listen", "127.0.0.1:0",
                              "--models", tmp_path / "models"], env=env,
                             stderr=subprocess.DEVNULL)
        try:
            got = []
            while "READY=1" not in got or "WATCHDOG=1" not in got:
                got.append(s.recv(1000).decode())
            p.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in got:
                got.append(s.recv(1000).decode())
            assert p.wait(30) == 0
        finally:
            p.kill()
            p.wait()


def test_built_shapes_are_counted(start):
    """One is built for each length, and found from then on."""
    d = start(lambda models: tiny.flexible(models / "open/1/model.onnx"))
    lookups = "quantd_variant_shape_lookups_total"
    missed = d.metric(lookups, model="open", result="miss")
    for length in (3, 5, 3, 5, 3):
        x = numpy.ones((1, length), numpy.float32)
        assert d.infer("open", {"inputs": [server.json_input("x", x)]}
                       ).status_code == 200
    assert 2 <= d.metric(lookups, model="open", result="miss") - missed <= 4
    assert d.metric(lookups, model="open", result="hit") >= 1
    assert d.metric("quantd_variant_shapes", model="open") >= 2


def test_metrics_are_what_promtool_wants(start):
    d = start(fill, "[server]\ntriton_metric_names = yes\n")
    d.infer("m", GOOD)
    text = d.get("/metrics").text
    for name in ("quantd_requests_total", "quantd_request_duration_seconds",
                 "quantd_queue_duration_seconds", "quantd_batch_size",
                 "quantd_compute_duration_seconds", "quantd_queue_length",
                 "quantd_requests_in_flight", "quantd_rejected_total",
                 "quantd_nonfinite_outputs_total", "quantd_route_weight",
                 "quantd_rollbacks_total", "quantd_variant_bytes",
                 "quantd_jobs", "quantd_job_duration_seconds",
                 "quantd_build_info", "process_cpu_seconds_total",
                 "process_resident_memory_bytes", "process_open_fds"):
        assert f"# TYPE {name} " in text, name
    assert d.metric("quantd_requests_total", model="m", version="1",
                    variant="fp32", route="primary", code="200") == 1
    assert d.metric("quantd_route_weight", model="m") == 1
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    r = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                       capture_output=True, timeout=60)
    problems = [line for line in (r.stdout + r.stderr).splitlines()
                if not line.startswith("nv_")]
    assert not problems, problems


def test_many_starts_leave_nothing(start):
    """Ended before it is ready, again and again."""
    d = start(fill)
    d.stop()
    for pause in (0, 0.01, 0.05, 0.1, 0.3):
        p = subprocess.Popen([programs.QUANTD, "--listen", "127.0.0.1:0",
                              "--models", d.models], stderr=subprocess.PIPE)
        line = p.stderr.readline()
        assert line
        time.sleep(pause)
        p.send_signal(signal.SIGTERM)
        _, rest = p.communicate(timeout=40)
        # Before the handler is there, the signal ends it as any program.
        assert p.returncode in (0, -signal.SIGTERM), rest


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_of_a_worker(start, threads):
    """Kernels are made for as many threads as a run has; the daemon starts
    itself anew where waiting OpenMP threads would spin."""
    d = start(fill, f"[scheduler]\nworkers = 2\n"
                    f"threads_per_worker = {threads}\n")
    x = numpy.arange(30, dtype=numpy.float32).reshape(10, 3)
    r = d.infer("m", {"inputs": [server.json_input("x", x)]})
    assert numpy.allclose(server.outputs_of(r)["y"], x * 2 + 1)
    body, headers = server.binary_request(
        [("x", numpy.ones((9, 512), numpy.float32))])
    y = server.outputs_of(d.post("/v2/models/slow/infer", data=body,
                                 headers=headers))["y"]
    assert numpy.allclose(y, y[0], rtol=1e-4)
    assert d.wait_log(f"threads_each={threads}")


def test_socket_of_the_service_manager(tmp_path):
    """It is taken over, and left listening for the next quantd."""
    fill(tmp_path / "models")
    with socket.create_server(("127.0.0.1", 0)) as s:
        address = "%s:%d" % s.getsockname()

        def run():
            p = subprocess.Popen(
                ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", programs.QUANTD,
                 "--models", tmp_path / "models"],
                env={**os.environ, "LISTEN_FDS": "1"}, close_fds=False,
                preexec_fn=lambda: os.dup2(s.fileno(), 3), text=True,
                stderr=subprocess.PIPE)
            # Before it listens a connection just waits to be accepted.
            r = requests.get(f"http://{address}/v2/health/live", timeout=60)
            assert r.status_code == 200
            return p

        def stop(p):
            p.send_signal(signal.SIGTERM)
            _, log = p.communicate(timeout=60)
            assert p.returncode == 0, log
            assert f"listening address={address}" in log

        stop(run())
        with socket.create_connection(s.getsockname(), 5) as waiting:
            waiting.sendall(b"GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n")
            p = run()
            assert server.read_answer(waiting)[0] == 200
            stop(p)
