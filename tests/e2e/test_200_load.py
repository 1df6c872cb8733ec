# SPDX-License-Identifier: Apache-2.0
"""Under load: every row gets its own answer, what is too much is refused at
once, what is late is not run, slow and broken peers harm nobody."""

import concurrent.futures
import json
import socket
import threading
import time

import numpy
import pytest
import requests

import server
import tiny


def fill(models):
    tiny.affine(models / "a" / "1" / "model.onnx", k=8)
    tiny.affine(models / "b" / "1" / "model.onnx", k=8, scale=-3.0, shift=0.5)


def test_row_i_answers_row_i(start):
    """Distinct inputs from many clients to two models, of many sizes."""
    d = start(fill)
    counter = iter(range(1, 1 << 24))
    lock = threading.Lock()

    def client(seed):
        rng = numpy.random.default_rng(seed)
        session = requests.Session()
        for _ in range(60):
            model = "ab"[rng.integers(2)]
            rows = int(rng.choice([1, 1, 1, 2, 3, 5, 8, 13, 30]))
            with lock:
                first = [next(counter) for _ in range(rows)]
            x = (numpy.array(first, numpy.float32)[:, None] +
                 numpy.arange(8, dtype=numpy.float32) / 8)
            if rng.integers(2):
                body, headers = server.binary_request(
                    [("x", x)], parameters={"binary_data_output": True})
                r = session.post(f"{d.url}/v2/models/{model}/infer",
                                 data=body, headers=headers, timeout=60)
            else:
                r = session.post(f"{d.url}/v2/models/{model}/infer", timeout=60,
                                 json={"inputs": [server.json_input("x", x)]})
            got = server.outputs_of(r)["y"]
            want = x * 2 + 1 if model == "a" else x * numpy.float32(-3) + 0.5
            assert numpy.allclose(got, want, rtol=1e-6), (model, rows)
        return 60

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(client, range(16))) == 16 * 60
    stats = {s["name"]: s for s in
             d.get("/v2/models/stats").json()["model_stats"]}
    assert sum(s["inference_stats"]["success"]["count"]
               for s in stats.values()) == 16 * 60


def slow_fill(models):
    tiny.slow(models / "slow" / "1" / "model.onnx")
    tiny.affine(models / "quick" / "1" / "model.onnx")


def slow_body(rows=1, **parameters):
    x = numpy.ones((rows, 512), numpy.float32)
    return server.binary_request([("x", x)], outputs=[
        {"name": "y", "parameters": {"classification": 1}}],
        parameters=parameters)


@pytest.mark.parametrize("status", [503, 429])
def test_a_full_queue_refuses_at_once(start, status):
    d = start(slow_fill, f"""
[server]
overload_status = {status}
[scheduler]
workers = 1
max_batch_size = 1
max_queue_length = 4
""")
    body, headers = slow_body(100)

    def ask(_):
        t = time.monotonic()
        r = requests.post(d.url + "/v2/models/slow/infer", data=body,
                          headers=headers, timeout=60)
        return r.status_code, time.monotonic() - t, r.headers

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        got = list(pool.map(ask, range(24)))
    codes = [c for c, _, _ in got]
    assert set(codes) == {200, status}
    assert codes.count(200) >= 5
    refused = [(t, h) for c, t, h in got if c == status]
    assert all(h["Retry-After"] == "1" for _, h in refused)
    assert d.metric("quantd_rejected_total", reason="queue_full") == \
        len(refused)
    assert d.metric("quantd_requests_total", model="slow", route="primary",
                    code=str(status)) == len(refused)
    assert d.metric("quantd_queue_length", model="slow") == 0


def test_deadlines(start):
    d = start(slow_fill, "[scheduler]\nworkers = 1\nmax_batch_size = 1\n")
    long, headers = slow_body(1500)
    short, short_headers = slow_body(1, timeout=20000)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(d.post, "/v2/models/slow/infer", data=long,
                            headers=headers)
        d.wait_metric(1, "quantd_requests_in_flight", model="slow")
        t = time.monotonic()
        r = d.post("/v2/models/slow/infer", data=short, headers=short_headers)
        waited = time.monotonic() - t
        assert first.result().status_code == 200
    assert r.status_code == 504, r.text
    assert "deadline" in r.json()["error"]
    assert waited < 10
    assert d.metric("quantd_rejected_total", reason="deadline") == 1
    r = d.post("/v2/models/slow/infer", data=short, headers=short_headers)
    assert r.status_code == 200  # in time when nothing is in the way


def test_priority_goes_first(start):
    d = start(slow_fill, "[scheduler]\nworkers = 1\nmax_batch_size = 1\n")
    done = []

    def ask(name, **parameters):
        body, headers = slow_body(250, **parameters)
        r = d.post("/v2/models/slow/infer", data=body, headers=headers)
        assert r.status_code == 200
        done.append(name)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(ask, "first")]
        d.wait_metric(1, "quantd_requests_in_flight", model="slow")
        for i in range(4):
            futures.append(pool.submit(ask, f"low{i}", priority=200))
        d.wait_metric(4, "quantd_queue_length", model="slow")
        futures.append(pool.submit(ask, "high", priority=1))
        for f in futures:
            f.result()
    assert done.index("high") <= 1, done


def test_a_slow_model_does_not_starve_a_quick_one(start):
    d = start(slow_fill, "[scheduler]\nworkers = 1\n")
    stop = threading.Event()
    body, headers = slow_body(8)

    def hog():
        while not stop.is_set():
            d.post("/v2/models/slow/infer", data=body, headers=headers)

    x = numpy.ones((1, 3), numpy.float32)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        hogs = [pool.submit(hog) for _ in range(6)]
        d.wait_metric(4, "quantd_requests_in_flight", model="slow")
        times = []
        for _ in range(30):
            t = time.monotonic()
            assert d.infer("quick", {"inputs": [server.json_input("x", x)]}).ok
            times.append(time.monotonic() - t)
        stop.set()
        for h in hogs:
            h.result()
    assert sorted(times)[len(times) // 2] < 1.0, times


def test_batches_are_made(start):
    d = start(slow_fill, "[scheduler]\nworkers = 1\n")
    body, headers = slow_body(1)

    def client(_):
        for _ in range(10):
            assert d.post("/v2/models/slow/infer", data=body,
                          headers=headers).status_code == 200

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(client, range(16)))
    s = d.get("/v2/models/slow/stats").json()["model_stats"][0]
    assert s["inference_count"] == 160
    assert s["execution_count"] < 160
    assert max(b["batch_size"] for b in s["batch_stats"]) > 1


def test_bad_data_fail_their_own_request_only(start):
    """An index out of range in a batch that others share."""
    d = start(lambda models: tiny.table(models / "t" / "1" / "model.onnx"),
              "[scheduler]\nworkers = 1\nmax_queue_delay = 20ms\n")

    def client(n):
        for k in range(20):
            rows = 1 + (n + k) % 5
            i = (numpy.arange(rows) + n + k)[:, None] % 10
            bad = (n + k) % 4 == 0
            if bad:
                i[-1] = 10 + k
            r = d.infer("t", {"inputs": [server.json_input("i", i, "INT64")]})
            assert r.status_code == (400 if bad else 200), r.text
            if not bad:
                y = server.outputs_of(r)["y"]
                assert numpy.array_equal(y[:, 0, 0], i[:, 0] * 2)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    s = d.get("/v2/models/t/stats").json()["model_stats"][0]
    assert s["inference_stats"]["success"]["count"] == 120
    assert s["inference_stats"]["fail"]["count"] == 40
    assert max(b["batch_size"] for b in s["batch_stats"]) > 5


# --- bodies and connections --------------------------------------------------

def test_too_large_a_body(start):
    d = start(fill, "[server]\nmax_body = 64K\n")
    for n in (65537, 1 << 20, 8 << 20):
        r = d.post("/v2/models/a/infer", data=b"x" * n)
        assert r.status_code == 413, n
        assert "65536" in r.json()["error"]

    def pieces():
        for _ in range(100):
            yield b"x" * 4096

    r = requests.post(d.url + "/v2/models/a/infer", data=pieces(), timeout=30)
    assert r.status_code == 413
    assert d.metric("quantd_rejected_total", reason="too_large") == 4
    assert d.metric("quantd_body_bytes") < 1 << 20


def test_memory_of_all_bodies_is_bounded(start):
    d = start(fill, "[server]\nmax_body = 4M\nbody_memory = 8M\n")
    socks = []
    for _ in range(6):
        s = socket.create_connection((d.host, d.port), 20)
        s.sendall(b"POST /v2/models/a/infer HTTP/1.1\r\nhost: x\r\n"
                  b"content-length: 4000000\r\n\r\n" + b" " * 3000000)
        socks.append(s)
    end = time.monotonic() + 20
    while d.metric("quantd_rejected_total", reason="memory_full") == 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    for s in socks:
        s.close()
    x = numpy.ones((1, 8), numpy.float32)
    while not d.infer("a", {"inputs": [server.json_input("x", x)]}).ok:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_slow_clients_are_cut_off(start):
    d = start(fill, "[server]\nrequest_timeout = 1\n")
    heads = [b"POST /v2/models/a/infer HTTP/1.1\r\nhost: x\r\n",
             b"POST /v2/models/a/infer HTTP/1.1\r\nhost: x\r\n"
             b"content-length: 1000\r\n\r\n", b""]
    for head in heads:
        with socket.create_connection((d.host, d.port), 20) as s:
            s.sendall(head)
            t = time.monotonic()
            gone = False
            while time.monotonic() - t < 10 and not gone:
                try:
                    s.sendall(b"x")
                    s.settimeout(0.2)
                    gone = s.recv(100) == b""
                except socket.timeout:
                    pass
                except OSError:
                    gone = True
            assert gone, head
    x = numpy.ones((1, 8), numpy.float32)
    assert d.infer("a", {"inputs": [server.json_input("x", x)]}).ok


def test_connections_are_bounded(start):
    d = start(fill, "[server]\nmax_connections = 20\nrequest_timeout = 2\n")
    socks = [socket.create_connection((d.host, d.port), 20)
             for _ in range(40)]
    for s in socks:
        s.close()
    end = time.monotonic() + 20
    while True:
        try:
            if d.get("/v2/health/live").status_code == 200:
                break
        except requests.ConnectionError:
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


JUNK = [
    b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\0" * 100,
    b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/a" * 200000 + b" HTTP/1.1\r\n\r\n",
    b"POST /v2/models/a/infer HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
    b"POST /v2/models/a/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
    b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /v2/models/a/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
    b"content-length: 6\r\n\r\nhello!",
    b"POST /v2/models/a/infer HTTP/1.1\r\nhost: x\r\n"
    b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    b"GET /v2 HTTP/1.1\r\n" + b"x: y\r\n" * 100000 + b"\r\n"]


@pytest.mark.parametrize("i", range(len(JUNK)))
def test_junk(start, i):
    junk = JUNK[i]
    d = start(fill, "[server]\nrequest_timeout = 2\n")
    try:
        status, _, _, _ = d.raw(junk, shut=True)
        assert status is None or status >= 400
    except OSError:
        pass  # it was closed in the middle of the junk
    assert d.get("/v2/health/live").status_code == 200


def test_clients_that_leave(start):
    """Peers that close at any moment cost nothing but their own request."""
    d = start(slow_fill)
    body, headers = slow_body(16)
    head = (b"POST /v2/models/slow/infer HTTP/1.1\r\nhost: x\r\n" +
            b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) +
            b"content-length: %d\r\n\r\n" % len(body))
    for cut in (3, len(head) - 2, len(head), len(head) + 100,
                len(head) + len(body)):
        for _ in range(10):
            with socket.create_connection((d.host, d.port), 20) as s:
                s.sendall((head + body)[:cut])
    x = numpy.ones((1, 3), numpy.float32)
    assert d.infer("quick", {"inputs": [server.json_input("x", x)]}).ok
    end = time.monotonic() + 30
    while d.metric("quantd_requests_in_flight", model="slow") > 0:
        assert time.monotonic() < end
        time.sleep(0.05)
