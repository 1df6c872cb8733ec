# SPDX-License-Identifier: Apache-2.0
"""Uploads: what arrives is published whole, quantized, judged, served."""

import gzip
import hashlib

import numpy
import onnx
import pytest
import requests

import control
import server
import tiny

X = numpy.array([[1, 2, 3]], numpy.float32)
INFER = {"inputs": [server.json_input("x", X)]}


def y(response):
    return server.outputs_of(response)["y"].tolist()


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    home = tmp_path_factory.mktemp("upload")
    models = home / "models"
    models.mkdir()
    daemon = server.Daemon(home, models).wait_ready()
    yield daemon
    daemon.stop()
    assert control.leftovers(models) == []


@pytest.fixture
def model(tmp_path):
    return tiny.affine(tmp_path / "m.onnx")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A model of 8 classes, samples that it tells apart, and their labels."""
    folder = tmp_path_factory.mktemp("classes")
    path = tiny.affine(folder / "m.onnx", k=8, scale=1.5, shift=0.0)
    rng = numpy.random.default_rng(7)
    labels = rng.integers(0, 8, 600)
    x = rng.uniform(0, 1, (600, 8)).astype(numpy.float32)
    x[numpy.arange(600), labels] += 2
    numpy.savez(folder / "calibration.npz", x=x[:100])
    numpy.savez(folder / "validation.npz", x=x[100:], labels=labels[100:])
    return path, folder / "calibration.npz", folder / "validation.npz"


def test_raw_body(d, model):
    r = control.upload(d, "raw", model, recipe="none")
    assert r.status_code == 200, r.text
    assert r.json()["version"] == 1
    assert y(d.infer("raw", INFER)) == [[3, 5, 7]]
    stored = d.models / "raw" / "1" / "model.onnx"
    assert stored.read_bytes() == model.read_bytes()
    listed = control.manifest_files(stored.parent)["model.onnx"]
    assert listed["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert listed["bytes"] == model.stat().st_size


def test_each_upload_is_a_version_and_gets_the_traffic(d, tmp_path, model):
    control.upload(d, "next", model, recipe="none")
    other = tiny.affine(tmp_path / "n.onnx", scale=10.0, shift=0.0)
    assert control.upload(d, "next", other,
                          recipe="none").json()["version"] == 2
    assert y(d.infer("next", INFER)) == [[10, 20, 30]]
    assert y(d.post("/v2/models/next/versions/1/infer", json=INFER)) == \
        [[3, 5, 7]]
    # Once somebody has set a route, uploads leave it alone.
    assert control.set_route(d, "next", (1, "fp32", 1)).status_code == 200
    control.upload(d, "next", other, recipe="none")
    assert control.shares(d, "next") == {(1, "fp32"): 1}


def test_a_version_of_ones_own(d, model):
    assert control.upload(d, "own", model, 7,
                          recipe="none").json()["version"] == 7
    again = control.upload(d, "own", model, 7, recipe="none")
    assert again.status_code == 409 and "version 7" in again.json()["error"]
    assert control.upload(d, "own", model,
                          recipe="none").json()["version"] == 8
    for bad in ("0", "01", "x", "-1", "99999999999999999999"):
        r = control.upload(d, "own", model, bad, recipe="none")
        assert r.status_code == 400, (bad, r.text)


def test_accepted_and_then_polled(d, model):
    r = d.put(f"{control.REPOSITORY}/later", data=model.read_bytes(),
              params={"recipe": "none"})
    assert r.status_code == 202
    job = r.json()["job"]
    assert r.headers["Location"] == f"/v2/repository/jobs/{job}"
    end = d.get(r.headers["Location"], params={"wait": 30}).json()
    assert end["state"] == "done" and end["fraction"] == 1, end
    assert {"receive", "parse", "publish"} == set(end["timings"])
    assert sum(end["timings"].values()) == pytest.approx(end["seconds"],
                                                         abs=0.01)
    assert job in [j["job"] for j in d.get("/v2/repository/jobs").json()
                   ["jobs"]]
    assert d.get("/v2/repository/jobs/0123456789abcdef").status_code == 404
    assert d.get(r.headers["Location"],
                 params={"wait": "x"}).status_code == 400


def test_chunked_and_compressed(d, model):
    whole = model.read_bytes()
    pieces = (whole[i:i + 7] for i in range(0, len(whole), 7))
    r = d.put(f"{control.REPOSITORY}/pieces", data=pieces,
              params={"recipe": "none", "wait": "true"})
    assert r.status_code == 200, r.text
    r = d.put(f"{control.REPOSITORY}/zipped", data=gzip.compress(whole),
              headers={"Content-Encoding": "gzip"},
              params={"recipe": "none", "wait": "true"})
    assert r.status_code == 200, r.text
    for name in ("pieces", "zipped"):
        assert (d.models / name / "1" / "model.onnx").read_bytes() == whole


def test_form_quantizes_and_judges(d, classes):
    path, calibration, validation = classes
    r = control.upload_form(d, "form", path,
                            [("calibration", calibration),
                             ("validation", validation)],
                            recipe="static", seconds="0.05", min_speedup="0")
    assert r.status_code == 200, r.text
    report = r.json()
    assert report["variant"] == "int8" and report["accepted"] is True
    made = control.variants(d, "form")
    assert made["fp32"]["share"] == 1 and made["int8"]["share"] == 0
    assert made["int8"]["verdict"] == "accepted"
    assert made["int8"]["report"]["accuracy"]["samples"] == 500
    got = d.get(f"{control.REPOSITORY}/form/versions/1/variants/int8/"
                "model.onnx")
    assert got.status_code == 200
    assert hashlib.sha256(got.content).hexdigest() == \
        made["int8"]["report"]["sha256"]
    onnx.checker.check_model(onnx.load_from_string(got.content))
    assert d.metric("quantd_variant_accuracy_ratio", model="form",
                    variant="int8") > 0.95
    kept = d.get(f"{control.REPOSITORY}/form/versions/1/report").json()
    assert kept["variants"][0]["variant"] == "int8"
    x = numpy.eye(8, dtype=numpy.float32)[:1]
    pinned = d.infer("form", {"inputs": [server.json_input("x", x)],
                              "parameters": {"variant": "int8"}})
    assert pinned.headers["Quantd-Variant"] == "int8"
    assert numpy.allclose(server.outputs_of(pinned)["y"], x * 1.5, atol=0.05)


def test_quantized_already(d, tmp_path, classes):
    """An upload that holds Q/DQ nodes is a variant of its own kind."""
    path, calibration, validation = classes
    control.upload_form(d, "float", path, [("calibration", calibration)],
                        recipe="static", seconds=0)
    made = d.get(f"{control.REPOSITORY}/float/versions/1/variants/int8/"
                 "model.onnx").content
    (tmp_path / "q.onnx").write_bytes(made)
    r = control.upload(d, "quantized", tmp_path / "q.onnx")
    assert r.status_code == 200, r.text
    assert control.variants(d, "quantized")["int8-qat"]["base"] is True
    x = numpy.eye(8, dtype=numpy.float32)[:1]
    r = d.infer("quantized", {"inputs": [server.json_input("x", x)]})
    assert r.headers["Quantd-Variant"] == "int8-qat"
    assert control.shares(d, "quantized") == {(1, "int8-qat"): 1}

    # What is rounded once is not rounded again.
    r = d.post(f"{control.REPOSITORY}/quantized/versions/1/variants",
               params={"recipe": "dynamic", "wait": "true"})
    assert r.status_code == 422 and "quantized already" in r.text, r.text
    r = control.upload(d, "again", tmp_path / "q.onnx", recipe="dynamic")
    assert r.status_code == 422 and "quantized already" in r.text, r.text
    assert list(control.variants(d, "again")) == ["int8-qat"]

    # Beside a float model it is a variant like the others, judged by it.
    control.upload(d, "beside", path, recipe="none")
    r = control.upload_form(
        d, "beside", tmp_path / "q.onnx", [("validation", validation)],
        where=f"{control.REPOSITORY}/beside/versions/1/variants",
        variant="int8-qat", seconds=0)
    assert r.status_code == 200, r.text
    made = control.variants(d, "beside")
    assert made["fp32"]["base"] and made["int8-qat"]["verdict"] == "accepted"


def test_quantized_as_it_runs(d, tmp_path):
    """A file of ONNX Runtime's dynamic quantizer says so by its name."""
    path = tiny.integer_product(tmp_path / "m.onnx")
    r = control.upload(d, "running", path)
    assert r.status_code == 200, r.text
    assert control.variants(d, "running")["int8-dynamic"]["base"] is True
    r = d.infer("running", INFER)
    assert numpy.allclose(y(r), [[3, 5, 7]], atol=0.05)
    r = d.post(f"{control.REPOSITORY}/running/versions/1/variants",
               params={"recipe": "dynamic", "wait": "true"})
    assert r.status_code == 422 and "quantized already" in r.text, r.text


def test_labels_and_external_data(d, tmp_path):
    path = tiny.affine(tmp_path / "m.onnx", k=64)
    model = onnx.load(path)
    onnx.save_model(model, str(tmp_path / "e.onnx"), save_as_external_data=True,
                    location="weights.bin", size_threshold=0)
    (tmp_path / "labels.txt").write_text(
        "".join(f"class {i}\n" for i in range(64)))
    r = control.upload_form(d, "parts", tmp_path / "e.onnx",
                            [("data", tmp_path / "weights.bin"),
                             ("labels", tmp_path / "labels.txt")],
                            recipe="none")
    assert r.status_code == 200, r.text
    x = numpy.arange(64, dtype=numpy.float32)[None]
    r = d.infer("parts", {"inputs": [server.json_input("x", x)],
                          "outputs": [{"name": "y", "parameters":
                                       {"classification": 1}}]})
    assert r.json()["outputs"][0]["data"][0].endswith(":63:class 63"), r.text
    r = control.upload_form(d, "parts", tmp_path / "e.onnx", recipe="none")
    assert r.status_code == 400 and "weights.bin" in r.text


def test_one_more_variant(d, model):
    control.upload(d, "more", model, recipe="none")
    where = f"{control.REPOSITORY}/more/versions/1/variants"
    r = d.post(where, params={"recipe": "dynamic", "seconds": 0,
                              "wait": "true"})
    assert r.status_code == 200, r.text
    assert control.variants(d, "more")["int8-dynamic"]["verdict"] == \
        "undecided"
    r = d.post(where, params={"recipe": "static", "wait": "true"})
    assert r.status_code == 400 and "calibration" in r.text
    assert d.post(f"{control.REPOSITORY}/more/versions/9/variants",
                  params={"recipe": "dynamic"}).status_code == 404


def test_ready_made_variant(d, tmp_path, model):
    control.upload(d, "ready", model, recipe="none")
    where = f"{control.REPOSITORY}/ready/versions/1/variants"
    other = tiny.affine(tmp_path / "o.onnx", shift=1.25)
    r = control.upload_form(d, "ready", other, where=where, variant="mine",
                            seconds=0)
    assert r.status_code == 200, r.text
    assert y(d.infer("ready.mine", INFER)) == [[3.25, 5.25, 7.25]]
    wrong = tiny.affine(tmp_path / "w.onnx", k=4)
    r = control.upload_form(d, "ready", wrong, where=where, variant="wrong")
    assert r.status_code == 400 and "input 0" in r.json()["error"], r.text
    r = control.upload_form(d, "ready", other, where=where)
    assert r.status_code == 400 and "variant" in r.text
    r = control.upload_form(d, "ready", other, where=where, variant="fp32",
                            seconds=0)
    assert r.status_code == 409, r.text


def test_rejected_is_kept_and_takes_no_traffic(d, classes):
    path, calibration, validation = classes
    r = control.upload_form(d, "rejected", path,
                            [("calibration", calibration),
                             ("validation", validation)],
                            recipe="static", seconds="0.05",
                            min_speedup="1000")
    assert r.status_code == 422, r.text
    assert r.json()["error"].startswith("rejected: ")
    assert r.json()["state"] == "rejected"
    assert d.infer("rejected", {"inputs": [server.json_input(
        "x", numpy.zeros((1, 8), numpy.float32))]}).status_code == 200
    assert control.variants(d, "rejected")["int8"]["verdict"] == "rejected"
    r = control.set_route(d, "rejected", (1, "fp32", 1), (1, "int8", 1))
    assert r.status_code == 409 and "rejected" in r.json()["error"]
    assert control.shares(d, "rejected") == {(1, "fp32"): 1}
    r = control.set_route(d, "rejected", (1, "int8", 1), force=True,
                          reason="to see it")
    assert r.status_code == 200, r.text
    last = control.history(d, "rejected")[-1]
    assert last["forced"] == [{"version": 1, "variant": "int8"}]
    assert last["reason"] == "to see it" and last["who"] == "local"


def test_better_stays(d, classes):
    path, calibration, validation = classes
    parts = [("calibration", calibration), ("validation", validation)]
    r = control.upload_form(d, "better", path, parts, recipe="static",
                            seconds="0.05", min_speedup="0")
    assert r.status_code == 200, r.text
    where = f"{control.REPOSITORY}/better/versions/1/variants"
    before = (d.models / "better/1/variants/int8/model.onnx").read_bytes()
    r = control.upload_form(d, "better", None, parts, where=where,
                            recipe="static", calibrator="minmax",
                            seconds="0.05", min_speedup="1000")
    assert r.status_code == 422, r.text
    assert control.variants(d, "better")["int8"]["verdict"] == "accepted"
    assert (d.models / "better/1/variants/int8/model.onnx").read_bytes() == \
        before
    r = control.upload_form(d, "better", None, parts, where=where,
                            recipe="static", calibrator="minmax",
                            seconds="0.05", min_speedup="0")
    assert r.status_code == 200, r.text
    assert d.infer("better.int8", {"inputs": [server.json_input(
        "x", numpy.zeros((1, 8), numpy.float32))]}).status_code == 200


def test_a_client_that_leaves(d, model):
    """Nothing remains of an upload whose client went away."""
    whole = model.read_bytes()
    head = (f"PUT {control.REPOSITORY}/gone HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(whole)}\r\n\r\n").encode()
    with pytest.raises((ConnectionError, AssertionError, TimeoutError)):
        d.raw(head + whole[:20], seconds=0.3)
    r = requests.get(d.url + "/v2/models/gone/route", timeout=10)
    assert r.status_code == 404
