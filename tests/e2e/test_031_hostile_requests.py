# SPDX-License-Identifier: Apache-2.0
"""Requests whose shapes or numbers ask for the impossible, or for more than a
run may take, get an error; empty tensors get an answer; and the server goes
on."""

import numpy
import pytest

import server
import tiny

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile")
    models = home / "models"
    tiny.flexible(models / "flexible/1/model.onnx")
    tiny.stack(models / "stack/1/model.onnx")
    tiny.table(models / "table/1/model.onnx")
    tiny.convolved(models / "convolved/1/model.onnx")
    daemon = server.Daemon(home, models).wait_ready()
    yield daemon
    daemon.stop()


@pytest.fixture(autouse=True)
def goes_on(d):
    yield
    x = numpy.array([[1, -2], [3, -4]], numpy.float32)
    r = d.infer("flexible", {"inputs": [server.json_input("x", x)]})
    assert server.outputs_of(r)["y"].tolist() == [[1, 0], [3, 0]]


def ask(d, model, name, shape, data, datatype="FP32"):
    return d.infer(model, {"inputs": [{"name": name, "shape": shape,
                                       "datatype": datatype, "data": data}]})


@pytest.mark.parametrize("shape", [
    [-1, 2], [2, -1], [0, -1], [-2, -1],
    [1 << 40, 1 << 40], [1 << 62, 4], [(1 << 63) - 1, 2], [1 << 63, 1],
    [1 << 64, 1], [-(1 << 63), 1], [1 << 200, 1],
    [1 << 32, 1 << 32], [1 << 40, 1], [2, 1 << 31],
    [], [2], [1, 1, 2], [1] * 9, [1] * 1000,
    [1.5, 2], ["1", 2], [None, 2], [[1], 2], {"1": 2}, "2", None,
])
def test_a_shape_that_does_not_fit(d, shape):
    r = ask(d, "flexible", "x", shape, [1, 2])
    assert r.status_code in (400, 413), r.text
    assert r.json()["error"]


@pytest.mark.parametrize("shape", [[1 << 40, 1 << 40], [1 << 40, 2],
                                   [(1 << 61) + 1, 8], [1 << 63, 0]])
def test_a_shape_in_binary(d, shape):
    x = numpy.zeros((1, 2), numpy.float32)
    body, headers = server.binary_request([("x", x)])
    n = int(headers["Inference-Header-Content-Length"])
    head = body[:n].replace(b"[1, 2]", str(shape).encode())
    headers["Inference-Header-Content-Length"] = str(len(head))
    r = d.post("/v2/models/flexible/infer", data=head + body[n:],
               headers=headers)
    assert r.status_code in (400, 413), r.text


@pytest.mark.parametrize("binary", [False, True])
def test_an_empty_tensor_has_an_answer(d, binary):
    x = numpy.zeros((2, 0), numpy.float32)
    if binary:
        body, headers = server.binary_request([("x", x)])
        r = d.post("/v2/models/flexible/infer", data=body, headers=headers)
    else:
        r = ask(d, "flexible", "x", [2, 0], [])
    assert server.outputs_of(r)["y"].shape == (2, 0)


@pytest.mark.parametrize("shape", [[0, 2], [0, 0]])
def test_a_batch_of_no_rows(d, shape):
    r = ask(d, "flexible", "x", shape, [])
    assert r.status_code == 400, r.text
    assert "no rows" in r.json()["error"]


@pytest.mark.parametrize("shape", [
    [1 << 40, 0], [0, 1 << 40], [1 << 59, 0], [0, 1 << 60], [1 << 30, 0]])
def test_an_empty_tensor_with_a_long_axis(d, shape):
    """It takes no memory, but what goes over its axes takes its time."""
    r = ask(d, "flexible", "x", shape, [])
    assert r.status_code in (400, 413), r.text
    r = ask(d, "stack", "x", [*shape, 3, 4], [])
    assert r.status_code in (400, 413), r.text


def test_empty_matrices(d):
    r = ask(d, "stack", "x", [2, 0, 3, 4], [])
    assert r.status_code == 200, r.text
    assert r.json()["outputs"][0]["shape"] == [2, 0, 3, 2]


@pytest.mark.parametrize("index, good", [
    (0, True), (9, True), (-10, True), (10, False), (-11, False),
    (1 << 31, False), (1 << 62, False), (-(1 << 63), False)])
def test_an_index_outside_the_table(d, index, good):
    r = ask(d, "table", "i", [1, 1], [index], "INT64")
    assert r.status_code == (200 if good else 400), r.text
    if not good:
        assert str(index) in r.json()["error"]


@pytest.mark.parametrize("shape", [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 2, 0],
                                   [0, 1, 0, 4]])
def test_images_smaller_than_the_kernel(d, shape):
    n = int(numpy.prod(shape))
    r = ask(d, "convolved", "x", shape, [1] * n)
    assert r.status_code in (200, 400), r.text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", 1e39,
                                    -1e39, 1e400, "x", None, True, [[]], {}])
def test_numbers_that_are_none(d, number):
    body = '{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", ' \
        '"data": [1, %s]}]}' % number
    r = d.post("/v2/models/flexible/infer", data=body)
    assert r.status_code in (200, 400), r.text
