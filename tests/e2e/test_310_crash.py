# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: what was acknowledged is served by the next start,
what was not is there whole or not at all, and nothing is left lying about."""

import json
import random
import threading
import time

import numpy
import pytest
import requests

import control
import server
import tiny

X = numpy.array([[1, 2, 3]], numpy.float32)
INFER = {"inputs": [server.json_input("x", X)]}

ROUNDS, KILLS = 20, 10  # a fresh repository, and kills of it
BUSY_S = 0.3            # the kill comes within this


class Client(threading.Thread):
    """Uploads, quantizes, routes and rolls back until the daemon is gone, and
    notes what was acknowledged."""

    def __init__(self, d, known, files, rng):
        super().__init__(daemon=True)
        self.d, self.known, self.files, self.rng = d, known, files, rng
        self.wrong = None

    def run(self):
        try:
            while True:
                self.rng.choice((self.upload, self.upload, self.drip,
                                 self.variant, self.route,
                                 self.rollback))()
        except (requests.exceptions.RequestException, ConnectionError):
            pass  # it was killed
        except BaseException as e:
            self.wrong = e

    def upload(self):
        model = f"m{self.rng.randrange(3)}"
        scale = self.rng.choice(list(self.files))
        recipe = self.rng.choice(("none", "dynamic"))
        self.known["unsure"].add(model)  # the route may follow
        r = control.upload(self.d, model, self.files[scale], recipe=recipe)
        assert r.status_code == 200, r.text
        version = int(r.json()["version"]) if "version" in r.json() \
            else max(v for m, v, _ in self.known["variants"] if m == model)
        self.known["variants"][model, version, "fp32"] = scale
        if recipe == "dynamic":
            self.known["variants"][model, version, "int8"] = scale

    def drip(self):
        """An upload that takes its time, with another going on beside."""
        whole = self.files[2].read_bytes()

        def pieces():
            for i in range(0, len(whole), 16):
                yield whole[i:i + 16]
                time.sleep(0.01)

        other = threading.Thread(target=self._quietly, args=(pieces,),
                                 daemon=True)
        other.start()
        self.upload()

    def _quietly(self, pieces):
        try:
            self.d.put(f"{control.REPOSITORY}/dripped", data=pieces(),
                       params={"recipe": "dynamic"})
        except Exception:
            pass  # it was killed; which error that makes depends

    def variant(self):
        made = [k for k in self.known["variants"] if k[2] == "fp32"]
        if not made:
            return
        model, version, _ = self.rng.choice(made)
        r = self.d.post(f"{control.REPOSITORY}/{model}/versions/{version}/"
                        "variants", params={"recipe": "dynamic",
                                            "wait": "true"})
        assert r.status_code == 200, r.text
        self.known["variants"][model, version, "int8"] = \
            self.known["variants"][model, version, "fp32"]

    def route(self):
        if not self.known["variants"]:
            return
        model, version, variant = self.rng.choice(
            list(self.known["variants"]))
        self.known["unsure"].add(model)
        r = control.set_route(self.d, model, (version, variant, 1))
        assert r.status_code == 200, r.text
        self.known["routes"][model] = (version, variant)
        self.known["unsure"].discard(model)

    def rollback(self):
        if not self.known["routes"]:
            return
        model = self.rng.choice(list(self.known["routes"]))
        self.known["unsure"].add(model)
        r = self.d.post(f"/v2/models/{model}/rollback")
        assert r.status_code == 200, r.text
        arm, = r.json()["arms"]
        self.known["routes"][model] = (arm["version"], arm["variant"])
        self.known["unsure"].discard(model)


def check(d, known):
    """What the daemon serves after a start."""
    index = d.post("/v2/repository/index").json()
    assert all(e["state"] == "READY" and e["reason"] == "" for e in index), \
        index
    for (model, version, variant), scale in known["variants"].items():
        r = d.post(f"/v2/models/{model}/versions/{version}/infer",
                   json={**INFER, "parameters": {"variant": variant}})
        assert server.outputs_of(r)["y"].tolist() == \
            [[scale + 1, 2 * scale + 1, 3 * scale + 1]], (model, version)
    for model, arm in known["routes"].items():
        if model not in known["unsure"]:
            assert control.shares(d, model) == {arm: 1}, model
    for model in {e["name"] for e in index}:
        control.history(d, model)
        for version in {e["version"] for e in index if e["name"] == model}:
            for v in control.variants(d, model, version).values():
                assert v["state"] == "READY", v
    for job in d.get("/v2/repository/jobs").json()["jobs"]:
        assert job["state"] in ("done", "failed"), job
        assert job["state"] == "done" or "interrupted" in job["error"], job
    assert control.leftovers(d.models, 0) == []
    for path in d.models.rglob("*.json"):
        json.loads(path.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_kill_at_any_moment(round_, tmp_path):
    rng = random.Random(round_)
    models = tmp_path / "models"
    models.mkdir()
    options = control.fake(tmp_path / "bin") + "[models]\nwatch = no\n"
    files = {s: tiny.affine(tmp_path / f"{s}.onnx", scale=float(s))
             for s in (2, 3, 4)}
    known = {"variants": {}, "routes": {}, "unsure": set()}
    for _ in range(KILLS):
        d = server.Daemon(tmp_path, models, options).wait_ready()
        try:
            check(d, known)
            known["unsure"].clear()
            known["routes"] = {m: next(iter(control.shares(d, m)))
                               for m in {k[0] for k in known["variants"]}}
            client = Client(d, known, files, rng)
            client.start()
            time.sleep(rng.uniform(0, BUSY_S))
        finally:
            d.process.kill()
            d.process.wait()
        client.join(20)
        assert client.wrong is None, client.wrong
    d = server.Daemon(tmp_path, models, options).wait_ready()
    check(d, known)
    d.stop()
