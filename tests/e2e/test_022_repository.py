# SPDX-License-Identifier: Apache-2.0
"""The repository on disk: layouts, manifests, what comes and goes, Triton's
calls."""

import json
import os
import shutil
import time

import numpy
import pytest

import control
import server
import tiny

X = numpy.array([[1, 2, 3]], numpy.float32)
INFER = {"inputs": [server.json_input("x", X)]}


def y(d, model):
    r = d.infer(model, INFER)
    return server.outputs_of(r)["y"].tolist() if r.status_code == 200 \
        else r.status_code


def index(d):
    r = d.post("/v2/repository/index")
    assert r.status_code == 200
    return {(e["name"], e["version"]): e for e in r.json()}


def until(what, seconds=20):
    """Waits for a state."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def triton(models):
    tiny.affine(models / "m/1/model.onnx")
    tiny.affine(models / "m/3/model.onnx", scale=3.0)
    (models / "m/config.pbtxt").write_text(
        'name: "m" platform: "onnxruntime_onnx" max_batch_size: 4\n'
        'input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]\n'
        'output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] '
        'label_filename: "names.txt" } ]\n')
    (models / "m/names.txt").write_text("a\nb\nc\n")
    (models / "not a model").mkdir()
    (models / "m/readme.txt").write_text("hello")


def test_triton_layout(start):
    d = start(triton)
    assert y(d, "m") == [[4, 7, 10]]
    assert set(index(d)) == {("m", "1"), ("m", "3")}
    config = d.get("/v2/models/m/config").json()
    assert config["max_batch_size"] == 4
    r = d.infer("m", {**INFER, "outputs": [
        {"name": "y", "parameters": {"classification": 1}}]})
    assert r.json()["outputs"][0]["data"] == ["10:2:c"] or \
        r.json()["outputs"][0]["data"][0].endswith(":2:c"), r.text
    # Nothing was written beside what was there.
    assert not (d.models / "m/route.json").exists()
    assert not (d.models / "m/1/manifest.json").exists()


def test_flat_layout(start):
    d = start(lambda models: tiny.affine(models / "model.onnx"),
              "[models]\nmodel_name = only\n")
    assert y(d, "only") == [[3, 5, 7]]
    assert set(index(d)) == {("only", "1")}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount: run as root")
def test_a_repository_that_can_only_be_read(start, tmp_path):
    models, state = tmp_path / "models", tmp_path / "state"
    models.mkdir()
    triton(models)
    assert os.system(f"mount --bind {models} {models} && "
                     f"mount -o remount,bind,ro {models}") == 0
    try:
        d = start(folder=models)  # without a state folder: serves, no more
        assert y(d, "m") == [[4, 7, 10]]
        model = tiny.affine(tmp_path / "n.onnx", scale=5.0)
        r = control.upload(d, "m", model, recipe="none")
        assert r.status_code == 409 and "state_dir" in r.json()["error"]
        r = control.set_route(d, "m", (1, "fp32", 1))
        assert r.status_code == 409 and "state_dir" in r.json()["error"]
        d.stop()
        options = f"[models]\nstate_dir = {state}\n"
        d = start(folder=models, options=options)
        assert control.upload(d, "m", model,
                              recipe="none").json()["version"] == 4
        r = d.post(f"{control.REPOSITORY}/m/versions/1/variants",
                   params={"recipe": "dynamic", "seconds": 0, "wait": "true"})
        assert r.status_code == 200, r.text
        assert control.set_route(d, "m", (1, "int8-dynamic", 1)
                                 ).status_code == 200
        d.stop()
        d = start(folder=models, options=options)
        assert control.shares(d, "m") == {(1, "int8-dynamic"): 1}
        assert set(index(d)) == {("m", "1"), ("m", "3"), ("m", "4")}
        assert sorted(p.name for p in models.iterdir()) == ["m",
                                                            "not a model"]
        d.stop()
    finally:
        os.system(f"umount -l {models}")


def test_what_does_not_match_its_manifest(start, tmp_path):
    models = tmp_path / "models"
    d = start(folder=models)
    model = tiny.affine(tmp_path / "m.onnx")
    for _ in range(2):
        control.upload(d, "m", model, recipe="none")
    control.upload(d, "n", model, recipe="none")
    d.stop()
    broken = models / "m/2/model.onnx"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # one bit
    (models / "n/1/model.onnx").write_bytes(whole[:50])
    d = start(folder=models)
    found = index(d)
    assert found[("m", "1")]["state"] == "READY"
    assert found[("m", "2")]["state"] == "UNAVAILABLE"
    assert "manifest" in found[("m", "2")]["reason"]
    assert "50 bytes" in found[("n", "1")]["reason"]
    assert y(d, "m") == [[3, 5, 7]]  # the version that is whole
    assert y(d, "n") == 503
    r = d.post("/v2/models/m/versions/2/infer", json=INFER)
    assert r.status_code == 503 and "manifest" in r.json()["error"]


def test_a_leftover_is_removed_at_start(start, tmp_path):
    models = tmp_path / "models"
    d = start(folder=models)
    control.upload(d, "m", tiny.affine(tmp_path / "m.onnx"), recipe="none")
    d.stop()
    half = models / ".quantd/tmp/1234"
    half.mkdir()
    (half / "model.onnx").write_bytes(b"half")
    (models / "m/route.json.tmp123").write_text("{")
    # A replaced variant whose successor never came, on a file system that
    # can't exchange.
    tiny.affine(models / "m/1/variants/.old.b/model.onnx", scale=7.0)
    tiny.affine(models / "m/1/variants/c/model.onnx", scale=8.0)
    tiny.affine(models / "m/1/variants/.old.c/model.onnx", scale=9.0)
    d = start(folder=models)
    assert control.leftovers(models) == []
    assert y(d, "m.b") == [[8, 15, 22]]
    assert y(d, "m.c") == [[9, 17, 25]]


def test_copied_in_and_removed(start, tmp_path):
    d = start(lambda models: tiny.affine(models / "m/1/model.onnx"))
    source = tmp_path / "new"
    tiny.affine(source / "model.onnx", scale=10.0, shift=0.0)
    shutil.copytree(source, d.models / "m/2")
    shutil.copytree(source, d.models / "n/1")
    until(lambda: y(d, "m") == [[10, 20, 30]] and
          y(d, "n") == [[10, 20, 30]])
    assert control.history(d, "m")[-1]["who"] == "repository"
    # Changed in place, by a rename.
    tiny.affine(tmp_path / "m.onnx", scale=20.0, shift=0.0)
    shutil.copy(tmp_path / "m.onnx", d.models / "m/2/model.new")
    os.rename(d.models / "m/2/model.new", d.models / "m/2/model.onnx")
    until(lambda: y(d, "m") == [[20, 40, 60]])
    # A broken one is said, and the old one serves on.
    (tmp_path / "broken").write_bytes(b"not a model")
    shutil.copy(tmp_path / "broken", d.models / "m/2/model.new")
    os.rename(d.models / "m/2/model.new", d.models / "m/2/model.onnx")
    until(lambda: index(d)[("m", "2")]["reason"] != "")
    assert y(d, "m") == [[20, 40, 60]]
    shutil.rmtree(d.models / "m/2")
    until(lambda: ("m", "2") not in index(d))
    assert y(d, "m") == [[3, 5, 7]]
    shutil.rmtree(d.models / "n")
    until(lambda: y(d, "n") == 404)


def test_a_slow_copy_is_waited_for(start, tmp_path):
    d = start(lambda models: tiny.affine(models / "m/1/model.onnx"))
    whole = tiny.affine(tmp_path / "m.onnx", scale=10.0).read_bytes()
    (d.models / "m/2").mkdir()
    with open(d.models / "m/2/model.onnx", "wb", buffering=0) as f:
        for i in range(0, len(whole), 20):
            f.write(whole[i:i + 20])
            time.sleep(0.1)
    until(lambda: ("m", "2") in index(d) and
          index(d)[("m", "2")]["state"] == "READY")
    assert "model_load_failed" not in "\n".join(d.lines)


def test_unload_and_load(start, tmp_path):
    d = start(triton)
    assert d.post("/v2/repository/models/m/unload").status_code == 200
    r = d.infer("m", INFER)
    assert r.status_code == 503 and "unloaded" in r.text
    assert {e["state"] for e in index(d).values()} == {"UNAVAILABLE"}
    assert d.post("/v2/repository/index",
                  json={"ready": True}).json() == []
    assert d.post("/v2/repository/models/m/load").status_code == 200
    assert y(d, "m") == [[4, 7, 10]]
    for call in ("load", "unload"):
        r = d.post(f"/v2/repository/models/nobody/{call}")
        assert r.status_code == 404, r.text
    r = d.post("/v2/repository/models/m/load",
               json={"parameters": {"config": "{}"}})
    assert r.status_code == 400


def test_a_failed_load_keeps_the_old_one(start, tmp_path):
    d = start(triton, "[models]\nwatch = no\n")
    (d.models / "m/3/model.onnx").write_bytes(b"broken")
    r = d.post("/v2/repository/models/m/load")
    assert r.status_code == 400 and "model m" in r.json()["error"], r.text
    assert y(d, "m") == [[4, 7, 10]]
    tiny.affine(d.models / "m/3/model.onnx", scale=6.0)
    assert d.post("/v2/repository/models/m/load").status_code == 200
    assert y(d, "m") == [[7, 13, 19]]


def test_memory_limit(start, tmp_path):
    def fill(models):
        tiny.affine(models / "small/1/model.onnx")
        tiny.slow(models / "large/1/model.onnx", k=512, layers=4)

    d = start(fill, "[models]\nmemory_limit = 1M\n")
    assert y(d, "small") == [[3, 5, 7]]
    assert "memory_limit" in index(d)[("large", "1")]["reason"]


def test_two_daemons_do_not_share(start, tmp_path):
    models = tmp_path / "models"
    start(folder=models)
    with pytest.raises(AssertionError, match="another quantd"):
        server.Daemon(tmp_path, models)


def test_model_conf(start):
    def fill(models):
        tiny.affine(models / "m/1/model.onnx")
        (models / "m/model.conf").write_text("max_batch_size = 2\n")
        tiny.affine(models / "bad/1/model.onnx")
        (models / "bad/model.conf").write_text("max_batch = 2\n")

    d = start(fill)
    assert d.get("/v2/models/m/config").json()["max_batch_size"] == 2
    assert "max_batch" in index(d)[("bad", "1")]["reason"]
    assert json.dumps(index(d)[("m", "1")])
