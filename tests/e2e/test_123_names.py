# SPDX-License-Identifier: Apache-2.0
"""Models that name and shape things oddly: all of it is reached over REST, in
JSON and in binary."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ctl
import server

ODD = ["a/b:0", "StatefulPartitionedCall/x:0", '{"1": "5_minute_timer"}',
       "größe 温度 🌡", "with space", "onnx::Flatten_0", "..", "'quoted'",
       'say "x"', "back\\slash", "%41&?#=;,", "x" * 300, "39", "A", "a",
       "tab\there"]
F, I = TensorProto.FLOAT, TensorProto.INT64


def value(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(path, nodes, inputs, outputs, constants=(), producer=""):
    graph = helper.make_graph(
        nodes, "", inputs, outputs,
        [numpy_helper.from_array(a, n) for n, a in constants])
    model = helper.make_model(graph, producer_name=producer,
                              opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    path.parent.mkdir(parents=True)
    onnx.save(model, str(path))


def odd_names(path):
    """Each input, doubled, under its own odd name with "!" behind it."""
    save(path, [helper.make_node("Add", [n, n], [n + "!"]) for n in ODD],
         [value(n, F, ["N", 2]) for n in ODD],
         [value(n + "!", F, ["N", 2]) for n in ODD])


def many(path, n=100):
    """y_i = x_i + x_0, a hundred times."""
    save(path, [helper.make_node("Add", [f"x{i}", "x0"], [f"y{i}"])
                for i in range(n)],
         [value(f"x{i}", F, ["N"]) for i in range(n)],
         [value(f"y{i}", F, ["N"]) for i in range(n)])


def scalars(path):
    """A scalar float and integer in and out; one output is a constant, one
    an input as it is."""
    save(path, [helper.make_node("Cast", ["k"], ["kf"], to=F),
                helper.make_node("Mul", ["s", "kf"], ["product"]),
                helper.make_node("Add", ["k", "one"], ["next"])],
         [value("s", F, []), value("k", I, [])],
         [value("product", F, []), value("next", I, []),
          value("one", I, []), value("k", I, [])],
         [("one", np.array(1, np.int64))])


def left_out(path):
    """Optional outputs and inputs that are not there."""
    save(path, [helper.make_node("Dropout", ["x"], ["d"]),
                helper.make_node("TopK", ["d", "two"], ["", "at"], axis=1),
                helper.make_node("Clip", ["x", "", "top"], ["low"]),
                helper.make_node("Split", ["x"], ["p", "q"], axis=1)],
         [value("x", F, ["N", 4])],
         [value("at", I, ["N", 2]), value("low", F, ["N", 4]),
          value("q", F, ["N", 2])],
         [("two", np.array([2], np.int64)), ("top", np.float32(1))])


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    home = tmp_path_factory.mktemp("names")
    for make in (odd_names, many, scalars, left_out):
        make(home / "models" / make.__name__ / "1" / "model.onnx")
    daemon = server.Daemon(home, home / "models").wait_ready()
    yield daemon
    daemon.stop()


def in_json(d, model, inputs):
    return server.outputs_of(d.infer(model, {"inputs": [
        server.json_input(*i) for i in inputs]}))


def in_binary(d, model, inputs):
    body, headers = server.binary_request(
        inputs, parameters={"binary_data_output": True})
    r = d.post(f"/v2/models/{model}/infer", data=body, headers=headers)
    assert "Inference-Header-Content-Length" in r.headers
    return server.outputs_of(r)


WAYS = pytest.mark.parametrize("ask", [in_json, in_binary])


@WAYS
def test_odd_names(d, ask):
    assert [i["name"] for i in
            d.get("/v2/models/odd_names").json()["inputs"]] == ODD
    rng = np.random.default_rng(1)
    x = {n: rng.random((3, 2), dtype=np.float32) for n in ODD}
    got = ask(d, "odd_names", list(x.items()))
    assert list(got) == [n + "!" for n in ODD]
    for name, array in x.items():
        assert np.array_equal(got[name + "!"], array * 2), name


def test_one_output_by_its_odd_name(d):
    x = np.ones((1, 2), np.float32)
    for name in ODD:
        r = d.infer("odd_names", {
            "inputs": [server.json_input(n, x) for n in ODD],
            "outputs": [{"name": name + "!"}]})
        assert list(server.outputs_of(r)) == [name + "!"]


def test_unknown_names_are_named(d):
    x = np.ones((1, 2), np.float32)
    r = d.infer("odd_names", {"inputs": [
        server.json_input(n, x) for n in [*ODD[1:], "größe"]]})
    assert r.status_code == 400
    assert "größe" in json.loads(r.content)["error"]


def test_quantctl_runs_odd_names(d, tmp_path):
    model = d.models / "odd_names" / "1" / "model.onnx"
    np.save(tmp_path / "x.npy", np.ones((1, 2), np.float32))
    args = [f"--input={n}={tmp_path / 'x.npy'}" for n in ODD]
    ctl.run("run", model, *args, "--output", tmp_path / "out")
    files = list((tmp_path / "out").iterdir())
    assert len(files) == len(ODD)
    assert all((np.load(f) == 2).all() for f in files)
    ctl.run("inspect", model)


@WAYS
def test_many_inputs_and_outputs(d, ask):
    x = {f"x{i}": np.full(4, i + 1, np.float32) for i in range(100)}
    got = ask(d, "many", list(x.items()))
    assert len(got) == 100
    for i in range(100):
        assert (got[f"y{i}"] == i + 2).all()


@WAYS
def test_scalars(d, ask):
    got = ask(d, "scalars", [("s", np.array(2.5, np.float32)),
                             ("k", np.array(4, np.int64), "INT64")])
    assert {n: a.shape for n, a in got.items()} == dict.fromkeys(got, ())
    assert {n: a.item() for n, a in got.items()} == {
        "product": 10.0, "next": 5, "one": 1, "k": 4}


@WAYS
def test_what_is_optional_may_be_left_out(d, ask):
    x = np.array([[3, 0, 2, 1], [0, 1, 2, 3]], np.float32)
    got = ask(d, "left_out", [("x", x)])
    assert got["at"].tolist() == [[0, 2], [3, 2]]
    assert np.array_equal(got["low"], np.minimum(x, 1))
    assert np.array_equal(got["q"], x[:, 2:])
