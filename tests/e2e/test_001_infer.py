# SPDX-License-Identifier: Apache-2.0
"""Infer requests beyond the wire's rules: shapes, types, names, variants."""

import json
import socket

import numpy
import pytest
import requests
from onnx import TensorProto

import server
import tiny

X = numpy.array([[1, 2, 3], [4, 5, 6]], numpy.float32)


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    home = tmp_path_factory.mktemp("infer")
    models = home / "models"
    tiny.affine(models / "m" / "1" / "model.onnx")
    tiny.affine(models / "m.dotted" / "1" / "model.onnx", scale=7.0)
    tiny.two(models / "two" / "1" / "model.onnx")
    tiny.flexible(models / "flexible" / "1" / "model.onnx")
    tiny.unbatched(models / "single" / "1" / "model.onnx")
    tiny.logarithm(models / "log" / "1" / "model.onnx")
    for name, a, b in CASTS:
        tiny.cast(models / name / "1" / "model.onnx", a, b)
    for name, dtype, _ in EVERY:
        tiny.twice(models / f"twice-{name}" / "1" / "model.onnx", dtype)
    for name in HALF:
        dtype = {"FP16": T.FLOAT16, "BF16": T.BFLOAT16}[name]
        tiny.doubled(models / f"doubled-{name}" / "1" / "model.onnx", dtype)
    daemon = server.Daemon(home, models,
                           "[server]\ntriton_metric_names = yes\n").wait_ready()
    yield daemon
    daemon.stop()


T = TensorProto
CASTS = [("to-int64", T.FLOAT, T.INT64), ("from-int64", T.INT64, T.FLOAT),
         ("to-int32", T.FLOAT, T.INT32), ("from-int32", T.INT32, T.FLOAT),
         ("to-uint8", T.FLOAT, T.UINT8), ("from-uint8", T.UINT8, T.FLOAT),
         ("to-int8", T.FLOAT, T.INT8), ("from-int8", T.INT8, T.FLOAT),
         ("to-bool", T.FLOAT, T.BOOL), ("from-bool", T.BOOL, T.FLOAT),
         ("to-double", T.FLOAT, T.DOUBLE), ("from-double", T.DOUBLE, T.FLOAT)]
NAMES = {T.FLOAT: "FP32", T.INT64: "INT64", T.INT32: "INT32", T.INT8: "INT8",
         T.UINT8: "UINT8", T.BOOL: "BOOL", T.DOUBLE: "FP64"}
HALF = ["FP16", "BF16"]

# Two numbers of every type: its ends, or all the digits it has.
EVERY = [
    ("FP32", T.FLOAT, [[1.1754944e-38, -3.4028235e38]]),
    ("FP64", T.DOUBLE, [[0.1, -1.7976931348623157e308]]),
    ("INT8", T.INT8, [[-128, 127]]), ("UINT8", T.UINT8, [[0, 255]]),
    ("INT16", T.INT16, [[-2 ** 15, 2 ** 15 - 1]]),
    ("UINT16", T.UINT16, [[0, 2 ** 16 - 1]]),
    ("INT32", T.INT32, [[-2 ** 31, 2 ** 31 - 1]]),
    ("UINT32", T.UINT32, [[0, 2 ** 32 - 1]]),
    ("INT64", T.INT64, [[-2 ** 63, 2 ** 63 - 1]]),
    ("UINT64", T.UINT64, [[2 ** 63 + 1, 2 ** 64 - 1]]),
    ("BOOL", T.BOOL, [[True, False]]),
    ("FP16", T.FLOAT16, [[6.1e-5, -65504]]),
    ("BF16", T.BFLOAT16, [[0x0080, 0xff7f]]),
]


def test_one_row_and_many(d):
    for rows in (1, 2, 3, 7, 8, 9, 21, 500):
        x = numpy.arange(rows * 3, dtype=numpy.float32).reshape(rows, 3)
        r = d.infer("m", {"inputs": [server.json_input("x", x)]})
        assert numpy.array_equal(server.outputs_of(r)["y"], x * 2 + 1), rows
        body, headers = server.binary_request([("x", x)])
        r = d.post("/v2/models/m/infer", data=body, headers=headers)
        assert numpy.array_equal(server.outputs_of(r)["y"], x * 2 + 1), rows


def test_nested_data(d):
    body = {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32",
                        "data": X.tolist()}]}
    assert numpy.array_equal(server.outputs_of(d.infer("m", body))["y"],
                             X * 2 + 1)


@pytest.mark.parametrize("name,a,b", CASTS)
def test_types(d, name, a, b):
    small = numpy.array([[0, 1], [1, 0], [3, 100]], numpy.float32)
    if T.BOOL in (a, b):
        small = numpy.minimum(small, 1)
    x = small.astype(server.DATATYPES[NAMES[a]])
    want = small.astype(server.DATATYPES[NAMES[b]])
    r = d.infer(name, {"inputs": [server.json_input("x", x, NAMES[a])]})
    got = server.outputs_of(r)["y"]
    assert got.dtype == want.dtype and numpy.array_equal(got, want)
    body, headers = server.binary_request(
        [("x", x, NAMES[a])], parameters={"binary_data_output": True})
    r = d.post(f"/v2/models/{name}/infer", data=body, headers=headers)
    assert numpy.array_equal(server.outputs_of(r)["y"], want)


@pytest.mark.parametrize("name,dtype,numbers", EVERY)
def test_every_type_to_its_last_bit(d, name, dtype, numbers):
    x = numpy.array(numbers, server.DATATYPES[name])
    want = numpy.concatenate([x, x], axis=1)
    body, headers = server.binary_request(
        [("x", x, name)], parameters={"binary_data_output": True})
    r = d.post(f"/v2/models/twice-{name}/infer", data=body, headers=headers)
    assert numpy.array_equal(server.outputs_of(r)["y"], want)
    r = d.infer(f"twice-{name}", {"inputs": [server.json_input("x", x, name)]})
    if name in HALF:
        assert r.status_code == 400 and "binary" in r.json()["error"]
        return
    assert r.json()["outputs"][0]["datatype"] == name
    got = server.outputs_of(r)["y"]
    assert got.dtype == want.dtype and numpy.array_equal(got, want)


@pytest.mark.parametrize("name,x,want", [
    ("FP16", [0x3c00, 0x3555], [0x4000, 0x3955]),
    ("BF16", [0x3f80, 0x3eab], [0x4000, 0x3f2b])])
def test_half_types_keep_the_contract(d, name, x, want):
    """Computed in float32, but in and out are what the file says."""
    meta = d.get(f"/v2/models/doubled-{name}").json()
    assert meta["inputs"][0]["datatype"] == name
    assert meta["outputs"][0]["datatype"] == name
    rows = numpy.array([x] * 3, "<u2").view(server.DATATYPES[name])
    body, headers = server.binary_request(
        [("x", rows, name)], parameters={"binary_data_output": True})
    r = d.post(f"/v2/models/doubled-{name}/infer", data=body, headers=headers)
    got = server.outputs_of(r)["y"].view("<u2")
    assert numpy.array_equal(got, [want] * 3)


def test_order_of_inputs_does_not_matter(d):
    a, b = X[:, :2], X[:, 1:]
    r = d.infer("two", {"inputs": [server.json_input("b", b),
                                   server.json_input("a", a)],
                        "outputs": [{"name": "product"}]})
    got = server.outputs_of(r)
    assert list(got) == ["product"] and numpy.array_equal(got["product"], a * b)


def test_open_axes(d):
    for width in (1, 5, 1000):
        x = numpy.linspace(-1, 1, 2 * width, dtype=numpy.float32)
        x = x.reshape(2, width)
        r = d.infer("flexible", {"inputs": [server.json_input("x", x)]})
        assert numpy.array_equal(server.outputs_of(r)["y"],
                                 numpy.maximum(x, 0))


def test_without_a_batch_axis(d):
    x = numpy.array([1, 2, 3, 4], numpy.float32)
    r = d.infer("single", {"inputs": [server.json_input("x", x)]})
    assert numpy.array_equal(server.outputs_of(r)["y"], x + 1)


def bad(d, model, body, word):
    r = d.infer(model, body)
    assert r.status_code == 400, r.text
    assert word in r.json()["error"], r.text
    assert d.infer("m", {"inputs": [server.json_input("x", X)]}).ok


def test_errors_name_what_and_where(d):
    a = server.json_input("a", X[:, :2])
    b = server.json_input("b", X[:, :2])
    bad(d, "two", {"inputs": [a]}, "'b' is missing: the model has 'a', 'b'")
    bad(d, "two", {"inputs": [a, b, a]}, "'a' is given twice")
    bad(d, "two", {"inputs": [a, {**b, "name": "c"}]}, "no input 'c'")
    bad(d, "two", {"inputs": [a, server.json_input("b", X[:1, :2])]},
        "'b' has 1 rows, input 'a' has 2")
    bad(d, "two", {"inputs": [a, b], "outputs": [{"name": "z"}]},
        "no output 'z': it has 'sum', 'product'")
    bad(d, "two", {"inputs": [a, b],
                   "outputs": [{"name": "sum"}, {"name": "sum"}]}, "twice")
    bad(d, "m", {"inputs": [server.json_input("x", X[:, :2])]},
        "shape [2,2], the model wants [?,3]")
    bad(d, "m", {"inputs": [server.json_input("x", X[0])]}, "wants [?,3]")
    bad(d, "m", {"inputs": [server.json_input("x", X.astype(int), "INT64")]},
        "datatype INT64, the model wants FP32")
    good = {"inputs": [server.json_input("x", X)]}
    bad(d, "m", {**good, "parameters": {"priority": 256}}, "priority")
    bad(d, "m", {**good, "parameters": {"timeout": "soon"}}, "timeout")
    bad(d, "m", {"inputs": [{**good["inputs"][0], "data": [1] * 5}]}, "'x'")


def test_unknown_names_are_404(d):
    good = {"inputs": [server.json_input("x", X)]}
    for path in ("nobody/infer", "m/versions/9/infer", "m.int8/infer",
                 "m/infer?variant=int8"):
        r = d.post("/v2/models/" + path, json=good)
        assert r.status_code == 404 and r.json()["error"], path
    r = d.infer("m", {**good, "parameters": {"variant": "int8"}})
    assert r.status_code == 404


def test_who_answered_is_said(d):
    good = {"inputs": [server.json_input("x", X)]}
    for path, body, route, name in (
            ("m/infer", good, "primary", "m"),
            ("m/infer?variant=fp32", good, "pinned", "m"),
            ("m/infer", {**good, "parameters": {"variant": "fp32"}}, "pinned",
             "m"),
            ("m.fp32/infer", good, "pinned", "m.fp32"),
            ("m/versions/1/infer", good, "pinned", "m")):
        r = d.post("/v2/models/" + path, json=body)
        assert r.status_code == 200, r.text
        assert r.headers["Quantd-Model-Version"] == "1"
        assert r.headers["Quantd-Variant"] == "fp32"
        assert r.headers["Quantd-Route"] == route, path
        assert r.json()["model_name"] == name
    # An exact name comes before MODEL.VARIANT.
    r = d.post("/v2/models/m.dotted/infer", json=good)
    assert numpy.array_equal(server.outputs_of(r)["y"], X * 7 + 1)
    for what in ("", "/config", "/stats", "/ready"):
        r = d.get("/v2/models/m.fp32" + what)
        assert r.status_code == 200
        r = r.json()
        assert r.get("name", r.get("model_stats", [{}])[0].get("name")) == \
            "m.fp32"
    r = d.infer("m", {"inputs": []})  # an error says it, too, when it knows
    assert "Quantd-Variant" not in r.headers
    r = d.infer("m", {"inputs": [server.json_input("z", X)]})
    assert r.headers["Quantd-Variant"] == "fp32"


def test_what_is_not_finite(d):
    before = d.metric("quantd_nonfinite_outputs_total", model="log")
    x = numpy.array([[-1, 0], [1, 2]], numpy.float32)
    r = d.infer("log", {"inputs": [server.json_input("x", x)]})
    assert r.json()["outputs"][0]["data"][:2] == [None, None]
    body, headers = server.binary_request(
        [("x", x)], parameters={"binary_data_output": True})
    got = server.outputs_of(d.post("/v2/models/log/infer", data=body,
                                   headers=headers))["y"]
    assert numpy.isnan(got[0, 0]) and got[0, 1] == -numpy.inf
    assert d.metric("quantd_nonfinite_outputs_total", model="log") == before + 2


def test_chunked_bodies(d):
    text = json.dumps({"inputs": [server.json_input("x", X)]}).encode()

    def pieces():
        for i in range(0, len(text), 7):
            yield text[i:i + 7]

    r = requests.post(d.url + "/v2/models/m/infer", data=pieces(), timeout=30)
    assert numpy.array_equal(server.outputs_of(r)["y"], X * 2 + 1)


def test_expect_100_continue(d):
    text = json.dumps({"inputs": [server.json_input("x", X)]}).encode()
    head = (b"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n"
            b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(text))
    with socket.create_connection((d.host, d.port), 20) as s:
        s.sendall(head)
        got = s.recv(1000)
        assert got.startswith(b"HTTP/1.1 100 ")
        s.sendall(text)
        status, _, _, _ = server.read_answer(s, got.split(b"\r\n\r\n", 1)[1])
        assert status == 200
    with socket.create_connection((d.host, d.port), 20) as s:
        s.sendall(head.replace(b"/m/infer", b"/m/nothing"))
        assert server.read_answer(s)[0] == 404  # before the body is sent


def test_large_json(d):
    """150,000 numbers: exact, and not at the price of a tree."""
    rng = numpy.random.default_rng(3)
    x = rng.standard_normal((1, 150528)).astype(numpy.float32)
    r = d.infer("flexible", {"inputs": [server.json_input("x", x)]})
    assert numpy.array_equal(server.outputs_of(r)["y"], numpy.maximum(x, 0))


def test_triton_metrics(d):
    d.infer("m", {"inputs": [server.json_input("x", X)]})
    assert d.metric("nv_inference_request_success", model="m", version="1") > 0
    assert d.metric("nv_inference_count", model="m", version="1") > 0
