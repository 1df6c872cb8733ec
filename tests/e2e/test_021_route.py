# SPDX-License-Identifier: Apache-2.0
"""Routes: shares, sticky keys, changes under load, rollback, history."""

import json
import math
import threading

import numpy
import pytest
import requests

import control
import server
import tiny

X = numpy.array([[1, 2, 3]], numpy.float32)
INFER = {"inputs": [server.json_input("x", X)]}

# What each variant makes of X: the answer tells who gave it.
ANSWERS = {("1", "fp32"): [3, 5, 7], ("1", "b"): [4, 7, 10],
           ("2", "fp32"): [5, 9, 13]}


def fill(models):
    tiny.affine(models / "m/1/model.onnx", scale=2.0)
    tiny.affine(models / "m/1/variants/b/model.onnx", scale=3.0)
    tiny.affine(models / "m/2/model.onnx", scale=4.0)


@pytest.fixture
def d(start):
    return start(fill)


def asked(session, d, key=None, **kw):
    """(version, variant, route) of one answer; the numbers must be those of
    who says it was."""
    headers = {"Quantd-Sticky-Key": key} if key is not None else {}
    r = session.post(d.url + "/v2/models/m/infer", json=INFER,
                     headers=headers, timeout=20, **kw)
    assert r.status_code == 200, r.text
    who = r.headers["Quantd-Model-Version"], r.headers["Quantd-Variant"]
    assert server.outputs_of(r)["y"].tolist() == [ANSWERS[who]], who
    assert r.json()["parameters"]["variant"] == who[1]
    return *who, r.headers["Quantd-Route"]


def test_newest_version_by_default(d):
    assert control.shares(d, "m") == {(2, "fp32"): 1}
    assert asked(requests, d) == ("2", "fp32", "primary")
    assert control.history(d, "m") == []


def test_shares(d):
    r = control.set_route(d, "m", (1, "fp32", 3), (1, "b", 1), (2, "fp32", 0))
    assert r.status_code == 200, r.text
    session, n, b = requests.Session(), 800, 0
    for _ in range(n):
        version, variant, route = asked(session, d)
        assert version == "1"
        assert route == ("primary" if variant == "fp32" else "canary")
        b += variant == "b"
    assert abs(b - n / 4) < 5 * math.sqrt(n * 0.25 * 0.75), b


def test_a_key_sticks(d):
    control.set_route(d, "m", (1, "fp32", 1), (1, "b", 1))
    session = requests.Session()
    first = {f"u{i}": asked(session, d, f"u{i}") for i in range(60)}
    assert {v[1] for v in first.values()} == {"fp32", "b"}
    for _ in range(3):
        for key, who in first.items():
            assert asked(session, d, key) == who
    # b gains: who was with b stays there.
    control.set_route(d, "m", (1, "fp32", 1), (1, "b", 4))
    for key, who in first.items():
        if who[1] == "b":
            assert asked(session, d, key)[1] == "b"


def test_a_key_by_parameter(d):
    control.set_route(d, "m", (1, "fp32", 1), (1, "b", 1),
                      sticky={"parameter": "user"})
    for i in range(10):
        body = {**INFER, "parameters": {"user": f"someone {i}"}}
        got = {d.infer("m", body).headers["Quantd-Variant"]
               for _ in range(5)}
        assert len(got) == 1


def test_what_cannot_be_routed_to(d):
    before = control.shares(d, "m")
    for arms, status, words in [
            ([(9, "fp32", 1)], 409, "version 9"),
            ([(1, "none", 1)], 409, "none"),
            ([(1, "fp32", -1)], 400, "weight"),
            ([(1, "fp32", 0)], 400, "positive"),
            ([], 400, "arms")]:
        r = control.set_route(d, "m", *arms)
        assert r.status_code == status and words in r.json()["error"], r.text
    for body, words in [(b"{", "JSON"), (b"[]", "object"),
                        (b'{"arms":[],"x":1}', "x"),
                        (b'{"shadow":{}}', "shadow")]:
        r = d.put("/v2/models/m/route", data=body)
        assert r.status_code in (400, 422) and words in r.text, r.text
    assert control.set_route(d, "nobody", (1, "fp32", 1)).status_code == 404
    assert control.shares(d, "m") == before
    assert control.history(d, "m") == []


def test_changes_under_load(d):
    """Requests never fail and never get a mixture while the route changes
    again and again."""
    control.set_route(d, "m", (1, "fp32", 1))
    over, failed, counts = threading.Event(), [], []

    def load():
        session, n = requests.Session(), 0
        try:
            while not over.is_set():
                asked(session, d)
                n += 1
        except Exception as e:  # told by the main thread
            failed.append(e)
        counts.append(n)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(60):
        if i % 3 == 0:
            r = control.set_route(d, "m", (1, "b", 1), (2, "fp32", 2))
        elif i % 3 == 1:
            r = control.set_route(d, "m", (2, "fp32", 1))
        else:
            r = d.post("/v2/models/m/rollback")
        assert r.status_code == 200, r.text
    over.set()
    for t in threads:
        t.join()
    assert not failed, failed[0]
    assert sum(counts) > 100
    assert len(control.history(d, "m")) == 61


def test_a_change_counts_for_the_next_request(d):
    session = requests.Session()
    for _ in range(20):
        control.set_route(d, "m", (1, "b", 1))
        assert asked(session, d)[1] == "b"
        d.post("/v2/models/m/rollback")
        assert asked(session, d)[1] == "fp32"


def test_rollback_walks_back(d):
    for variant in (("b", 10), ("b", 50), ("b", 100)):
        control.set_route(d, "m", (1, "fp32", 100), (1, *variant))
    assert d.post("/v2/models/m/rollback",
                  json={"reason": "p99"}).status_code == 200
    assert control.shares(d, "m")[(1, "b")] == pytest.approx(1 / 3)
    d.post("/v2/models/m/rollback")
    assert control.shares(d, "m")[(1, "b")] == pytest.approx(1 / 11)
    d.post("/v2/models/m/rollback")
    assert control.shares(d, "m") == {(1, "fp32"): 1}
    n = len(control.history(d, "m"))
    d.post("/v2/models/m/rollback")
    assert control.shares(d, "m") == {(1, "fp32"): 1}
    assert len(control.history(d, "m")) == n
    r = d.post("/v2/models/m/rollback", json={"seq": 2})
    assert control.shares(d, "m")[(1, "b")] == pytest.approx(1 / 3), r.text
    assert d.post("/v2/models/m/rollback",
                  json={"seq": 99}).status_code == 404
    r = d.post("/v2/models/m/rollback", json=control.arms((2, "fp32", 1)))
    assert control.shares(d, "m") == {(2, "fp32"): 1}, r.text
    assert d.post("/v2/models/m/rollback", json={"to": 1}).status_code == 400
    all_ = control.history(d, "m")
    assert [h["seq"] for h in all_] == list(range(1, len(all_) + 1))
    assert all_[3]["action"] == "rollback" and all_[3]["reason"] == "p99"
    assert all_[3]["from"]["arms"][1]["weight"] == 100
    assert d.metric("quantd_rollbacks_total", reason="request") == 5


def test_kept_over_a_restart(start, tmp_path):
    folder = tmp_path / "models"
    d = start(fill, folder=folder)
    control.set_route(d, "m", (1, "fp32", 1), (1, "b", 3))
    d.stop()
    # A crash may have cut the last line of the journal off.
    with open(folder / "m/history.jsonl", "a") as f:
        f.write('{"seq":2,"to":{"ar')
    d = start(folder=folder)
    assert control.shares(d, "m") == {(1, "fp32"): 0.25, (1, "b"): 0.75}
    control.set_route(d, "m", (2, "fp32", 1))
    assert [h["seq"] for h in control.history(d, "m")] == [1, 2]
    d.stop()
    # The journal decides when route.json is older than it.
    kept = json.loads((folder / "m/route.json").read_text())
    kept.update(control.arms((1, "b", 1)), seq=1)
    (folder / "m/route.json").write_text(json.dumps(kept))
    d = start(folder=folder)
    assert control.shares(d, "m") == {(2, "fp32"): 1}


def test_what_takes_traffic_stays(d):
    control.set_route(d, "m", (1, "fp32", 1), (1, "b", 1))
    where = f"{control.REPOSITORY}/m/versions/1/variants"
    r = requests.delete(d.url + where + "/b", timeout=20)
    assert r.status_code == 409 and "traffic" in r.json()["error"]
    control.set_route(d, "m", (1, "fp32", 1))
    r = requests.delete(d.url + where + "/b", timeout=20)
    assert r.status_code == 200, r.text
    assert list(control.variants(d, "m")) == ["fp32"]
    assert not (d.models / "m/1/variants/b").exists()
    assert requests.delete(d.url + where + "/b",
                           timeout=20).status_code == 404
    assert requests.delete(d.url + where + "/fp32",
                           timeout=20).status_code == 409
