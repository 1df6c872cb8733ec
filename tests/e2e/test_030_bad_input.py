# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an upload gets the documented status and a message that
names the trouble, leaves nothing behind, and the server goes on."""

import os
import random

import numpy
import onnx
import pytest
from onnx import TensorProto, helper

import control
import server
import tiny

X = numpy.array([[1, 2, 3]], numpy.float32)
INFER = {"inputs": [server.json_input("x", X)]}
WHERE = control.REPOSITORY


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    home = tmp_path_factory.mktemp("bad")
    models = home / "models"
    tiny.affine(models / "good/1/model.onnx")
    daemon = server.Daemon(home, models,
                           "[server]\nmax_upload = 1M\n").wait_ready()
    yield daemon
    daemon.stop()


@pytest.fixture(autouse=True)
def goes_on(d):
    yield
    assert server.outputs_of(d.infer("good", INFER))["y"].tolist() == \
        [[3, 5, 7]]
    assert d.get("/v2/models/bad").status_code == 404
    assert not (d.models / "bad").exists()
    assert control.leftovers(d.models) == []


@pytest.fixture
def model(tmp_path):
    return tiny.affine(tmp_path / "m.onnx", k=8)


def refused(r, status, *words):
    assert r.status_code == status, r.text
    for word in words:
        assert word in r.json()["error"], r.text


def put(d, data, name="bad", **options):
    return d.put(f"{WHERE}/{name}", data=data,
                 params={"wait": "true", **options})


def test_truncated(d, model):
    whole = model.read_bytes()
    for n in (1, 10, len(whole) // 2, len(whole) - 1):
        refused(put(d, whole[:n], recipe="none"), 400, "ONNX")


def test_text_and_nothing(d):
    refused(put(d, b"hello, I am no model\n" * 100), 400, "ONNX")
    refused(put(d, b""), 400, "model")
    refused(put(d, b"\0" * 5000), 400, "ONNX")


def test_random_bytes_in_a_good_file(d, model):
    rng = random.Random(5)
    whole = bytearray(model.read_bytes())
    for _ in range(25):
        spoiled = bytearray(whole)
        for _ in range(rng.randrange(1, 5)):
            spoiled[rng.randrange(len(whole))] = rng.randrange(256)
        r = put(d, bytes(spoiled), f"fuzz{rng.random()}", recipe="none")
        assert r.status_code in (200, 400, 422), r.text


def test_unknown_operator(d, tmp_path):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])
    node = helper.make_node("Frobnicate", ["x"], ["y"], name="the_node")
    graph = helper.make_graph([node], "g", [value], [out])
    text = helper.make_model(graph, opset_imports=[
        helper.make_opsetid("", 13)]).SerializeToString()
    refused(put(d, text), 422, "Frobnicate", "the_node")


def test_calibration_of_the_wrong_shape(d, tmp_path, model):
    numpy.savez(tmp_path / "c.npz", x=numpy.zeros((10, 9), numpy.float32))
    r = control.upload_form(d, "bad", model,
                            [("calibration", tmp_path / "c.npz")],
                            recipe="static")
    refused(r, 400, "calibration", "9", "8")


def test_samples_that_are_none(d, tmp_path, model):
    (tmp_path / "c.npz").write_bytes(b"PK no archive")
    for part in ("calibration", "validation"):
        r = control.upload_form(d, "bad", model,
                                [(part, tmp_path / "c.npz")])
        refused(r, 400, part)
    numpy.savez(tmp_path / "n.npz", other=numpy.zeros((10, 2), numpy.int16))
    r = control.upload_form(d, "bad", model,
                            [("calibration", tmp_path / "n.npz")],
                            recipe="static")
    refused(r, 400, "calibration")


def test_too_large(d):
    refused(put(d, b"x" * 2_000_000), 413, "2000000")
    pieces = (b"x" * 50_000 for _ in range(40))
    r = d.put(f"{WHERE}/bad", data=pieces)
    assert r.status_code == 413, r.text


def test_external_data_of_others(d, tmp_path):
    """A model may not make quantd read files that did not come with it."""
    (tmp_path / "secret").write_bytes(b"\0" * 4096)
    for location in ("/etc/passwd", "../../../../../../../etc/passwd",
                     "../../good/1/model.onnx", str(tmp_path / "secret"),
                     ".", ""):
        w = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT,
                             dims=[3], data_location=TensorProto.EXTERNAL)
        entry = w.external_data.add()
        entry.key, entry.value = "location", location
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
        graph = helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"])], "g", [value], [out],
            [w])
        text = helper.make_model(graph, opset_imports=[
            helper.make_opsetid("", 13)]).SerializeToString()
        r = put(d, text, recipe="none")
        assert r.status_code in (400, 422), (location, r.text)


def test_options(d, model):
    body = model.read_bytes()
    for options, words in [
            ({"recipe": "magic"}, ["recipe", "magic", "dynamic"]),
            ({"colour": "red"}, ["colour"]),
            ({"max_loss": "-1"}, ["max_loss", "-1"]),
            ({"max_loss": "much"}, ["max_loss", "much"]),
            ({"max_loss": "nan"}, ["max_loss"]),
            ({"calibration_samples": "1.5"}, ["calibration_samples"]),
            ({"calibrator": "mse2"}, ["calibrator", "entropy"]),
            ({"equalize": "yes"}, ["equalize", "on or off"]),
            ({"variant": "../../etc"}, ["variant"]),
            ({"wait": "soon"}, ["wait"]),
            ({"calibration": "traffic:100"}, ["calibration"]),
            ({"recipe": "static"}, ["calibration"])]:
        r = d.put(f"{WHERE}/bad", data=body, params=options)
        assert r.status_code in (400, 422), (options, r.text)
        for word in words:
            assert word in r.json()["error"], r.text


def test_names(d, model):
    for name in ("a b", "-x", ".x", "%2e%2e%2fx", "a%00b", "x" * 129,
                 "caf%C3%A9"):
        r = d.put(f"{WHERE}/{name}", data=model.read_bytes())
        assert r.status_code in (400, 404), (name, r.text)
    assert not (d.models.parent / "x").exists()


def test_forms(d, model):
    kind = "multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    for body, words in [
            (b"", "boundary"),
            (b"--b--\r\n", "no model"),
            (part % (b"model", model.read_bytes()), "ended within"),
            ((part % (b"model", b"x" * 99))[:-20], "ended within"),
            (part % (b"recipe", b"magic") + b"--b--", "magic"),
            (part % (b"model", b"x") + part % (b"model", b"y") + b"--b--",
             "twice"),
            (b'--b\r\nContent-Disposition: form-data; name="x"; '
             b'filename="f"\r\n\r\nx\r\n--b--', "unknown file part"),
            (b'--b\r\nContent-Disposition: form-data; name="data"; '
             b'filename="../f"\r\n\r\nx\r\n--b--', "file name"),
            (b'--b\r\nContent-Disposition: form-data; name="data"; '
             b'filename="model.onnx"\r\n\r\nx\r\n--b--', "taken"),
            (part % (b"recipe", b"x" * 9000) + b"--b--", "8192")]:
        r = d.post(f"{WHERE}/bad", data=body, headers={"Content-Type": kind})
        refused(r, 400, words)
    r = d.post(f"{WHERE}/bad", data=b"x",
               headers={"Content-Type": "multipart/form-data"})
    refused(r, 400, "boundary")


def test_methods_and_paths(d):
    assert d.get(f"{WHERE}/bad").status_code == 405
    assert d.get("/v2/repository/nothing").status_code == 404
    for path in ("good/versions/9/report", "good/versions/1/variants/x/"
                 "model.onnx", "bad/versions/1/variants"):
        assert d.get(f"{WHERE}/{path}").status_code == 404, path
    assert d.get(f"{WHERE}/good/versions/x/report").status_code == 400


def test_a_model_that_needs_much_memory(d):
    """Sizes that a small file claims are not believed."""
    shape = [1 << 20, 1 << 20]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    const = helper.make_tensor("s", TensorProto.INT64, [2], shape)
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "s"], ["y"])], "g", [value], [out],
        [const])
    text = helper.make_model(graph, opset_imports=[
        helper.make_opsetid("", 13)]).SerializeToString()
    r = put(d, text, recipe="none")
    assert r.status_code in (400, 413, 422, 503), r.text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount: run as root")
def test_a_full_disk(start, tmp_path, goes_on):
    small = tmp_path / "small"
    small.mkdir()
    assert os.system(f"mount -t tmpfs -o size=2M tmpfs {small}") == 0
    try:
        d = start(lambda models: tiny.affine(models / "m/1/model.onnx"),
                  folder=small)
        big = tiny.affine(tmp_path / "big.onnx", k=900)  # 3.2 MB
        for _ in range(2):
            r = control.upload(d, "big", big, recipe="none")
            refused(r, 507, "model.onnx", "No space")
        form = control.upload_form(d, "big", big, recipe="none")
        refused(form, 507, "No space")
        assert control.leftovers(small) == []
        assert not (small / "big").exists()
        assert d.infer("m", INFER).status_code == 200
        # Full in the middle of quantizing: the version is served all the
        # same, the variant is not there.
        middle = tiny.affine(tmp_path / "mid.onnx", k=600)  # 1.4 MB
        numpy.savez(tmp_path / "c.npz", x=numpy.zeros((150, 600),
                                                     numpy.float32))
        r = control.upload(d, "mid", middle, recipe="dynamic", seconds=0)
        assert r.status_code in (200, 507), r.text
        if r.status_code == 507:
            assert set(control.variants(d, "mid")) == {"fp32"}
        assert control.leftovers(small) == []
        # Routes can't be written down any more; a rollback works all the
        # same.
        assert control.set_route(d, "mid", (1, "fp32", 1)).status_code == 200
        assert control.set_route(d, "m", (1, "fp32", 2), (1, "x", 1)
                                 ).status_code == 409
        tiny.affine(small / "m/1/variants/x/model.onnx", scale=9.0)
        assert d.post("/v2/repository/models/m/load").status_code == 200
        assert control.set_route(d, "m", (1, "fp32", 1)).status_code == 200
        os.system(f"dd if=/dev/zero of={small}/fill bs=1k 2>/dev/null")
        for _ in range(9):  # the journal's last page has some room
            r = control.set_route(d, "m", (1, "x", 1), reason="x" * 999)
            if r.status_code != 200:
                break
        refused(r, 507, "No space")
        assert control.shares(d, "m") == {(1, "x"): 1}
        before = len(control.history(d, "m"))
        assert d.post("/v2/models/m/rollback").status_code == 200
        assert control.shares(d, "m") == {(1, "fp32"): 1}
        assert len(control.history(d, "m")) in (before, before + 1)
        d.stop(errors_expected=True)
    finally:
        os.system(f"umount -l {small}")
