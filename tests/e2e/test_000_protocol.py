# SPDX-License-Identifier: Apache-2.0
"""The wire: each rule that a real client depends on, R1 to R26 of the protocol
notes, in their order."""

import base64
import gzip
import json
import re
import socket
import zlib

import numpy
import pytest
from onnx import TensorProto

import server
import tiny

X = numpy.array([[1, 2, 3], [4, 5, 6]], numpy.float32)
INFER = {"inputs": [server.json_input("x", X)]}


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    home = tmp_path_factory.mktemp("protocol")
    models = home / "models"
    tiny.affine(models / "m" / "1" / "model.onnx")
    tiny.affine(models / "m" / "12" / "model.onnx", scale=3.0)
    tiny.two(models / "two" / "1" / "model.onnx")
    tiny.affine(models / "wei rd-@" / "1" / "model.onnx")
    tiny.affine(models / "classes" / "1" / "model.onnx", scale=1.0, shift=0)
    (models / "classes" / "1" / "labels.txt").write_text("ant\nbee\ncat\n")
    tiny.unbatched(models / "single" / "1" / "model.onnx")
    tiny.flexible(models / "flexible" / "1" / "model.onnx")
    tiny.cast(models / "half" / "1" / "model.onnx", TensorProto.FLOAT,
              TensorProto.FLOAT16)
    (home / "tokens").write_text("s3cret admin boss\nonly-read read,metrics r\n")
    daemon = server.Daemon(home, models, f"""
[server]
base_path = /some/where
compress_from = 1000
max_body = 1M
token_file = {home / 'tokens'}
""").wait_ready()
    yield daemon
    daemon.stop()


def test_r01_successes_are_exactly_200(d):
    auth = {"Authorization": "Bearer s3cret"}
    for r in (d.post("/v2/repository/index"),
              d.post("/v2/repository/models/two/unload", headers=auth),
              d.post("/v2/repository/models/two/load", headers=auth),
              d.get("/v2/models/m/stats"), d.infer("m", INFER)):
        assert r.status_code == 200, r.text


def test_r02_health_has_json_bodies(d):
    assert d.get("/v2/health/live").json() == {"live": True}
    assert d.get("/v2/health/ready").json() == {"ready": True}
    assert d.get("/v2/models/m/ready").json() == {"name": "m", "ready": True}
    assert d.get("/v2/models/nobody/ready").status_code == 404


def test_r03_errors_are_json_without_charset(d):
    for r in (d.get("/nowhere"), d.get("/v2/models/nobody"),
              d.post("/v2/health/live"), d.post("/v2/models/m/infer", data="{"),
              d.post("/v2/models/m/infer", data=b"x" * (2 << 20)),
              d.put("/v2/models/m/route", data="{}")):
        assert r.status_code >= 400
        assert r.headers["Content-Type"] == "application/json"
        assert isinstance(r.json()["error"], str) and r.json()["error"]


@pytest.mark.parametrize("ctype", [None, "application/octet-stream",
                                   "application/x-www-form-urlencoded",
                                   "multipart/form-data; boundary=x", "bad"])
def test_r04_content_type_does_not_matter(d, ctype):
    headers = {"Content-Type": ctype} if ctype else {}
    r = d.post("/v2/models/m/infer", data=json.dumps(INFER), headers=headers)
    assert r.status_code == 200, r.text


def test_r05_post_without_content_length_is_empty(d):
    status, _, body, _ = d.raw(b"POST /v2/repository/index HTTP/1.1\r\n"
                               b"user-agent: python\r\nhost: x\r\n\r\n")
    assert status == 200
    assert {"m", "two"} <= {row["name"] for row in json.loads(body)}


def test_r06_header_names_in_any_case_and_exactly(d):
    body, headers = server.binary_request([("x", X)])
    n = headers["Inference-Header-Content-Length"]
    status, _, got, _ = d.raw(
        f"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n"
        f"inference-header-content-length: {n}\r\n"
        f"x-inference-header-content-length: 7\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode() + body)
    assert status == 200, got


def test_r07_header_length_may_be_all_of_the_body(d):
    text = json.dumps(INFER)
    r = d.post("/v2/models/m/infer", data=text,
               headers={"Inference-Header-Content-Length": str(len(text))})
    assert r.status_code == 200, r.text
    for bad in (len(text) + 1, "x", -1, "99999999999999999999"):
        r = d.post("/v2/models/m/infer", data=text,
                   headers={"Inference-Header-Content-Length": str(bad)})
        assert r.status_code == 400, bad


def test_r08_json_outputs_have_no_parameters(d):
    r = d.infer("m", INFER).json()
    assert all("parameters" not in o for o in r["outputs"])
    assert r["parameters"]["variant"] == "fp32"


def test_r09_binary_outputs_follow_in_order(d):
    a, b = X[:, :2], X[:, 1:]
    body, headers = server.binary_request([("a", a), ("b", b)],
                                          parameters={"binary_data_output": True})
    r = d.post("/v2/models/two/infer", data=body, headers=headers)
    assert r.headers["Content-Type"] == "application/octet-stream"
    got = server.outputs_of(r)
    assert numpy.array_equal(got["sum"], a + b)
    assert numpy.array_equal(got["product"], a * b)
    # One of them in JSON, the other binary: an output's own word wins.
    body, headers = server.binary_request(
        [("b", b), ("a", a)], parameters={"binary_data_output": True},
        outputs=[{"name": "product"},
                 {"name": "sum", "parameters": {"binary_data": False}}])
    r = d.post("/v2/models/two/infer", data=body, headers=headers)
    got = server.outputs_of(r)
    assert numpy.array_equal(got["sum"], a + b)
    assert numpy.array_equal(got["product"], a * b)


@pytest.mark.parametrize("name", ["", "42", "üñ\"\\\n\u2028", "x" * 500])
def test_r10_id_is_echoed(d, name):
    assert d.infer("m", {**INFER, "id": name}).json()["id"] == name


def test_r10_no_id_no_echo(d):
    assert "id" not in d.infer("m", INFER).json()
    assert d.infer("m", {**INFER, "id": 7}).status_code == 400


def test_r11_model_name_is_in_the_answer(d):
    r = d.infer("m", {**INFER, "model_name": "ignored"})
    assert r.json()["model_name"] == "m"
    assert r.json()["model_version"] == "12"


def test_r12_versions_are_plain_numbers(d):
    assert d.get("/v2/models/m").json()["versions"] == ["1", "12"]
    assert {s["version"] for s in d.get("/v2/models/m/stats")
            .json()["model_stats"]} == {"1", "12"}
    assert all(re.fullmatch("[1-9][0-9]*", row["version"])
               for row in d.post("/v2/repository/index").json())
    for bad in ("01", "0", "-1", "x", "1.5", "99999999999999999999"):
        assert d.get(f"/v2/models/m/versions/{bad}").status_code in (400, 404)
        assert d.post(f"/v2/models/m/versions/{bad}/infer",
                      json=INFER).status_code in (400, 404)


def test_r13_r14_r15_statistics(d):
    def read():
        return {s["version"]: s for s in
                d.get("/v2/models/m/stats").json()["model_stats"]}

    before = read()["12"]
    n = 7
    for _ in range(n):
        assert d.infer("m", INFER).status_code == 200
    assert d.infer("m", {"inputs": []}).status_code == 400
    after = read()["12"]
    s, t = before["inference_stats"], after["inference_stats"]
    for part in ("success", "fail", "queue", "compute_input", "compute_infer",
                 "compute_output", "cache_hit", "cache_miss"):
        for member in ("count", "ns"):
            assert isinstance(t[part][member], int) and t[part][member] >= 0
    for part in ("success", "queue", "compute_input", "compute_infer",
                 "compute_output"):
        assert t[part]["count"] - s[part]["count"] == n, part
    assert after["inference_count"] - before["inference_count"] == 2 * n
    assert 0 < after["execution_count"] - before["execution_count"] <= 2 * n
    assert after["last_inference"] > 1.6e12
    assert sum(b["compute_infer"]["count"] for b in after["batch_stats"]) == \
        after["execution_count"]
    assert after["memory_usage"][0]["byte_size"] > 0
    # The other version was not asked.
    one = d.get("/v2/models/m/versions/1/stats").json()["model_stats"]
    assert [x["version"] for x in one] == ["1"]
    assert one[0]["inference_stats"]["queue"]["count"] == 0
    everything = d.get("/v2/models/stats").json()["model_stats"]
    assert {("m", "1"), ("m", "12"), ("two", "1")} <= {
        (x["name"], x["version"]) for x in everything}


def test_r16_config_and_metadata_agree(d):
    for model in ("m", "two", "single", "flexible", "half"):
        meta = d.get(f"/v2/models/{model}").json()
        config = d.get(f"/v2/models/{model}/config").json()
        batched = config["max_batch_size"] > 0
        for which, of in (("input", "inputs"), ("output", "outputs")):
            shapes = {t["name"]: t["shape"] for t in meta[of]}
            types = {t["name"]: "TYPE_" + t["datatype"] for t in meta[of]}
            for t in config[which]:
                assert t["data_type"] == types[t["name"]]
                assert shapes[t["name"]] == ([-1] if batched else []) + t["dims"]
    assert d.get("/v2/models/single/config").json()["max_batch_size"] == 0
    assert d.get("/v2/models/m/config").json()["max_batch_size"] == 8


def test_r17_only_infer_answers_are_compressed(d):
    headers = {"Accept-Encoding": "gzip, deflate"}
    for r in (d.get("/v2/models/stats", headers=headers),
              d.get("/metrics", headers=headers),
              d.get("/openapi.json", headers=headers),
              d.get("/nowhere", headers=headers)):
        assert "Content-Encoding" not in r.headers


def test_r18_compression_when_asked_and_large(d):
    big = numpy.arange(3000, dtype=numpy.float32).reshape(1000, 3)
    body, headers = server.binary_request([("x", big)],
                                          parameters={"binary_data_output": True})

    def encoding(accept):
        r = d.post("/v2/models/m/infer", data=body,
                   headers={**headers, "Accept-Encoding": accept})
        got = server.outputs_of(r)["y"]  # requests unpacks it
        assert numpy.array_equal(got, big * 3 + 1)
        return r.headers.get("Content-Encoding")

    assert encoding("gzip, deflate") == "gzip"
    assert encoding("deflate;q=1.0, gzip;q=0.5") == "deflate"
    assert encoding("gzip;q=0, deflate;q=0") is None
    assert encoding("identity;q=1.0, gzip;q=0.5") is None
    assert encoding("br") is None
    assert encoding("identity") is None
    r = d.infer("m", INFER, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in r.headers  # too small


@pytest.mark.parametrize("coding,pack", [("gzip", gzip.compress),
                                         ("deflate", zlib.compress),
                                         ("identity", lambda x: x)])
def test_r19_compressed_bodies(d, coding, pack):
    r = d.post("/v2/models/m/infer", data=pack(json.dumps(INFER).encode()),
               headers={"Content-Encoding": coding})
    assert numpy.array_equal(server.outputs_of(r)["y"], X * 3 + 1)
    # The header's length is that of the JSON as it was before.
    body, headers = server.binary_request([("x", X)])
    r = d.post("/v2/models/m/infer", data=pack(body),
               headers={**headers, "Content-Encoding": coding})
    assert numpy.array_equal(server.outputs_of(r)["y"], X * 3 + 1)


def test_r19_bad_compressed_bodies(d):
    good = gzip.compress(json.dumps(INFER).encode())

    def status(data, coding):
        return d.post("/v2/models/m/infer", data=data,
                      headers={"Content-Encoding": coding}).status_code

    assert status(good[:-9], "gzip") == 400
    assert status(good, "deflate") == 400
    assert status(good + b"more", "gzip") == 400
    assert status(b"\0" * 50, "gzip") == 400
    assert status(gzip.compress(b" " * (8 << 20)), "gzip") == 413  # a bomb
    r = d.post("/v2/models/m/infer", data=good,
               headers={"Content-Encoding": "br"})
    assert r.status_code == 501
    assert r.headers["Accept-Encoding"] == "gzip, deflate"


def test_r20_segments_are_decoded_once(d):
    assert d.get("/v2/models/m%6F%64el").status_code == 404
    assert d.get("/v2/models/%6D").json()["name"] == "m"
    for bad in ("%2Fetc", "a%2Fb", "..%2f", "%2e%2e", "%00", "m%00", "a%0Ab",
                "%zz", "%4", "%"):
        status, _, body, _ = d.raw(
            f"GET /v2/models/{bad} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert status == 400, (bad, status)
        assert "error" in json.loads(body)


def test_r21_a_base_path(d):
    for base in ("", "/some/where"):
        assert d.get(base + "/v2/health/live").status_code == 200
        r = d.post(base + "/v2/models/m/infer", json=INFER)
        assert numpy.array_equal(server.outputs_of(r)["y"], X * 3 + 1)
    assert d.get("/some/v2").status_code == 404
    assert d.get("/some/where/some/where/v2").status_code == 404
    r = d.put("/some/where/v2/repository/models/new?recipe=none",
              data=b"no model", headers={"Authorization": "Bearer s3cret"})
    assert r.status_code == 202
    assert d.get(r.headers["Location"]).status_code == 200


def test_r22_methods_and_paths(d):
    r = d.get("/v2/models/m/infer")
    assert r.status_code == 405
    assert "POST" in r.headers["Allow"]
    r = d.post("/v2/health/live")
    assert r.status_code == 405
    assert r.headers["Allow"] == "GET, HEAD"
    for path in ("/v2/model", "/v3", "/v2/models/m/infer/x", "/v2/models/m/x"):
        assert d.get(path).status_code == 404
    assert d.get("/v2/").status_code == 200
    status, headers, body, _ = d.raw(
        b"HEAD /v2/health/live HTTP/1.1\r\nhost: x\r\n"
        b"connection: close\r\n\r\n")
    assert status == 200 and body == b""
    status, headers, _, _ = d.raw(
        b"BREW /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    assert status == 405


def test_r23_fp16_only_in_binary(d):
    two = X[:, :2]
    r = d.infer("half", {"inputs": [server.json_input("x", two)]})
    assert r.status_code == 400 and "binary" in r.json()["error"]
    r = d.infer("half", {"inputs": [server.json_input("x", two)],
                         "parameters": {"binary_data_output": True}})
    assert numpy.array_equal(server.outputs_of(r)["y"],
                             two.astype(numpy.float16))
    for name in ("FP16", "BF16"):
        r = d.infer("m", {"inputs": [server.json_input("x", X, name)]})
        assert r.status_code == 400 and "binary" in r.json()["error"]
    r = d.infer("m", {"inputs": [{"name": "x", "datatype": "BYTES",
                                  "shape": [1], "data": ["a"]}]})
    assert r.status_code == 400 and "BYTES" in r.json()["error"]
    r = d.post("/v2/models/m/infer", data=b'{"id":"\xff","inputs":[]}')
    assert r.status_code == 400 and "UTF-8" in r.json()["error"]


def test_r24_keep_alive_and_pipelining(d):
    text = json.dumps(INFER).encode()
    one = (b"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n"
           b"content-length: %d\r\n\r\n" % len(text)) + text
    with socket.create_connection((d.host, d.port), 20) as s:
        for _ in range(5):
            s.sendall(one)
            status, _, _, rest = server.read_answer(s)
            assert status == 200 and rest == b""
        # An error that leaves the stream in step keeps the connection, too.
        s.sendall(one.replace(b"FP32", b"FP99"))
        assert server.read_answer(s)[0] == 400
        s.sendall(one * 3)  # three at once
        rest = b""
        for _ in range(3):
            status, _, _, rest = server.read_answer(s, rest)
            assert status == 200


def test_r25_bearer_and_basic(d):
    route = {"arms": [{"version": 12, "variant": "fp32", "weight": 1}]}
    basic = base64.b64encode(b"anyone:s3cret").decode()
    wrong = base64.b64encode(b"anyone:other").decode()

    def status(value):
        headers = {} if value is None else {"authorization": value}
        return d.put("/v2/models/m/route", json=route,
                     headers=headers).status_code

    assert status("Bearer s3cret") == 200
    assert status(f"Basic {basic}") == 200
    assert status(None) == 401
    assert status("Bearer other") == 401
    assert status(f"Basic {wrong}") == 401
    assert status("Basic !!!") == 401
    assert status("Bearer only-read") == 403
    assert d.infer("m", INFER).status_code == 200  # no token guards it


def test_r26_metrics_content_type(d):
    r = d.get("/metrics", headers={"Accept": "application/x-exotic;q=0.1"})
    assert r.headers["Content-Type"] == \
        "text/plain; version=0.0.4; charset=utf-8"
    r = d.get("/metrics", headers={
        "Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert r.headers["Content-Type"] == \
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert r.text.endswith("# EOF\n")


# --- raw requests and classification -----------------------------------------

def test_raw_binary_request(d):
    headers = {"Inference-Header-Content-Length": "0"}
    r = d.post("/v2/models/m/infer", data=X[:1].tobytes(), headers=headers)
    assert r.headers["Content-Type"] == "application/octet-stream"
    assert numpy.array_equal(server.outputs_of(r)["y"], X[:1] * 3 + 1)
    r = d.post("/v2/models/flexible/infer", data=X.tobytes(), headers=headers)
    assert server.outputs_of(r)["y"].shape == (1, 6)
    for model, data in (("m", b""), ("m", X.tobytes()), ("m", b"12345"),
                        ("two", X.tobytes())):
        r = d.post(f"/v2/models/{model}/infer", data=data, headers=headers)
        assert r.status_code == 400, (model, data)


def test_classification(d):
    x = numpy.array([[0.5, 3, 1], [9, -1, 8.25]], numpy.float32)
    ask = {"name": "y", "parameters": {"classification": 2}}
    r = d.infer("classes", {"inputs": [server.json_input("x", x)],
                            "outputs": [ask]}).json()["outputs"][0]
    assert (r["datatype"], r["shape"]) == ("BYTES", [2, 2])
    assert r["data"] == ["3.0:1:bee", "1.0:2:cat", "9.0:0:ant", "8.25:2:cat"]
    ask["parameters"] = {"classification": 99, "binary_data": True}
    r = d.infer("classes", {"inputs": [server.json_input("x", x)],
                            "outputs": [ask]})
    n = int(r.headers["Inference-Header-Content-Length"])
    head, data = json.loads(r.content[:n])["outputs"][0], r.content[n:]
    assert head["shape"] == [2, 3]
    assert head["parameters"]["binary_data_size"] == len(data)
    words = []
    while data:
        k = int.from_bytes(data[:4], "little")
        words.append(data[4:4 + k].decode())
        data = data[4 + k:]
    assert words[0] == "3.0:1:bee" and len(words) == 6
    single = numpy.array([4, 1, 3, 2], numpy.float32)
    r = d.infer("single", {"inputs": [server.json_input("x", single)],
                           "outputs": [{"name": "y", "parameters":
                                        {"classification": 1}}]}).json()
    assert r["outputs"][0]["shape"] == [1]
    assert r["outputs"][0]["data"] == ["5.0:0"]
