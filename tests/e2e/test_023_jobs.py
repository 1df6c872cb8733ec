# SPDX-License-Identifier: Apache-2.0
"""Jobs: progress, limits, cancelling, restarts.  A stand-in for quantctl does
what each test needs."""

import os
import signal
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


@pytest.fixture
def setup(start, tmp_path):
    """setup(options) -> daemon, folder of the stand-in, a model file."""
    def run(options="", **kw):
        folder = tmp_path / "bin"
        d = start(options=control.fake(folder) + options, **kw)
        return d, folder, tiny.affine(tmp_path / "m.onnx")
    return run


def submit(d, model, name="m", **options):
    r = d.put(f"{control.REPOSITORY}/{name}", data=model.read_bytes(),
              params={"recipe": "dynamic", **options})
    assert r.status_code == 202, r.text
    return r.json()["job"]


def job(d, id_, wait=0):
    return d.get(f"/v2/repository/jobs/{id_}", params={"wait": wait}).json()


def until(d, id_, what, seconds=20):
    end = time.monotonic() + seconds
    while True:
        state = job(d, id_)
        if what(state):
            return state
        assert time.monotonic() < end, state
        time.sleep(0.02)


def served(d, name="m"):
    return d.infer(name, INFER).status_code == 200


def test_progress_and_long_poll(setup):
    d, folder, model = setup()
    (folder / "do").write_text("echo 'a line for people' >&2\n")
    (folder / "sleep").write_text("1")
    id_ = submit(d, model)
    state = until(d, id_, lambda j: j["phase"] == "calibrate" and
                  j["fraction"] == 0.5)
    assert state["state"] == "running" and state["message"] == "half way"
    assert served(d)  # the version is, while its variant is being made
    assert set(control.variants(d, "m")) == {"fp32"}
    begin = time.monotonic()
    assert job(d, id_, wait=0.2)["state"] == "running"
    assert time.monotonic() - begin >= 0.19
    end = job(d, id_, wait=30)
    assert end["state"] == "done" and end["accepted"], end
    assert end["variant"] == "int8" and end["decision"] == "excellent"
    assert "a line for people" in end["log"]
    assert set(control.variants(d, "m")) == {"fp32", "int8"}
    assert d.metric("quantd_jobs", state="done") == 1


def test_cancel(setup):
    d, folder, model = setup()
    (folder / "sleep").write_text("60")
    running = submit(d, model)
    until(d, running, lambda j: j["phase"] == "calibrate")
    waiting = submit(d, model)
    assert job(d, waiting)["state"] == "queued"
    for id_ in (waiting, running):
        r = requests.delete(d.url + f"/v2/repository/jobs/{id_}", timeout=20)
        assert r.status_code == 200, r.text
        assert job(d, id_, wait=20)["state"] == "cancelled"
        r = requests.delete(d.url + f"/v2/repository/jobs/{id_}", timeout=20)
        assert r.status_code == 409
    assert set(control.variants(d, "m")) == {"fp32"}
    assert d.get("/v2/repository/models/m/versions/2/variants"
                 ).status_code == 404
    assert control.leftovers(d.models) == []
    assert requests.delete(d.url + "/v2/repository/jobs/0123456789abcdef",
                           timeout=20).status_code == 404


def test_timeout(setup):
    d, folder, model = setup("timeout = 1\n")
    # It does not even listen to SIGTERM.
    (folder / "do").write_text("trap '' TERM; sleep 60; sleep 60\n")
    end = job(d, submit(d, model), wait=20)
    assert end["state"] == "failed" and "timeout" in end["error"], end
    assert end["seconds"] < 15
    assert served(d) and control.leftovers(d.models) == []


def test_memory_limit(setup):
    d, folder, model = setup("memory_limit = 512M\n")
    (folder / "do").write_text(
        "exec /usr/bin/python3 -c 'x = bytearray(1 << 30)'\n")
    end = job(d, submit(d, model), wait=20)
    assert end["state"] == "failed" and "MemoryError" in end["error"], end
    assert served(d) and control.leftovers(d.models) == []


def test_a_child_that_dies(setup):
    d, folder, model = setup()
    for do, words in [("kill -9 $$\n", "signal 9"),
                      ("kill -SEGV $$\n", "signal 11"),
                      ("exit 5\n", "ended with 5"),
                      ("echo 'out of luck' >&2; exit 5\n", "out of luck")]:
        (folder / "do").write_text(do)
        end = job(d, submit(d, model), wait=20)
        assert end["state"] == "failed" and words in end["error"], end
    assert served(d) and control.leftovers(d.models) == []


def test_what_a_child_says_wrong(setup):
    d, folder, model = setup()
    for say in ('{"result":{}}', '{"result":{"variant":"../x","state":'
                '"accepted"}}', "not json", "", '{"result":{"variant":"int8",'
                '"state":"splendid"}}', "x" * 200000):
        (folder / "say").write_text(say + "\n")
        end = job(d, submit(d, model), wait=20)
        assert end["state"] == "failed", (say, end)
    (folder / "say").write_text(
        '{"error":{"code":"unsupported","message":"no such thing"}}\n')
    r = control.upload(d, "m", model, recipe="dynamic")
    assert r.status_code == 422 and r.json()["error"] == "no such thing"
    (folder / "say").write_text('{"result":{"variant":null,"state":"none",'
                                '"reason":"nothing to do"}}\n')
    assert control.upload(d, "m", model,
                          recipe="dynamic").status_code == 200
    assert control.leftovers(d.models) == []


def test_limits_of_the_child(setup):
    """Its own process group, low priority, its share of the cores."""
    d, folder, model = setup("cpu_share = 0.01\n")
    (folder / "do").write_text(
        # Fields 5 and 19 of stat are the process group and the nice value.
        'stat=$(cat /proc/$$/stat)\n'
        'group=$(echo $stat | cut -d" " -f5)\n'
        'nice=$(echo $stat | cut -d" " -f19)\n'
        f'echo "$$ $group $nice $(nproc)" >{folder}/seen\n')
    assert job(d, submit(d, model), wait=20)["state"] == "done"
    pid, group, nice, cores = map(int, (folder / "seen").read_text().split())
    assert group == pid and nice >= 10 and cores == 1


def test_concurrency(setup):
    d, folder, model = setup("concurrency = 3\n")
    (folder / "do").write_text(
        f'n=$(ls {folder} | grep -c running); touch {folder}/running.$$\n'
        f'echo $n >>{folder}/counts; sleep 0.7; rm {folder}/running.$$\n')
    ids = [submit(d, model) for _ in range(6)]
    for id_ in ids:
        assert job(d, id_, wait=30)["state"] == "done"
    most = max(map(int, (folder / "counts").read_text().split()))
    assert 1 <= most <= 2
    listed = [j["job"] for j in d.get("/v2/repository/jobs").json()["jobs"]]
    assert listed == sorted(ids, reverse=True)


def test_restart(setup, tmp_path):
    models = tmp_path / "models"
    d, folder, model = setup(folder=models)
    done = submit(d, model, recipe="none")
    assert job(d, done, wait=20)["state"] == "done"
    (folder / "sleep").write_text("60")
    cut = submit(d, model)
    until(d, cut, lambda j: j["phase"] == "calibrate")
    queued = submit(d, model)
    answer = []
    waiter = threading.Thread(target=lambda: answer.append(
        d.get(f"/v2/repository/jobs/{cut}", params={"wait": 600})))
    waiter.start()
    time.sleep(0.2)
    begin = time.monotonic()
    d.stop()  # it does not wait for the job
    assert time.monotonic() - begin < 20
    waiter.join(20)
    assert answer[0].json()["state"] == "running"
    d, *_ = setup(folder=models)
    assert job(d, done)["state"] == "done"
    for id_ in (cut, queued):
        assert job(d, id_)["state"] == "failed"
        assert "interrupted" in job(d, id_)["error"]
    assert set(control.variants(d, "m", 2)) == {"fp32"}
    assert control.leftovers(models) == []


def test_no_program(start, tmp_path):
    d = start(options="[quantize]\nprogram = /nonexistent/quantctl\n")
    r = control.upload(d, "m", tiny.affine(tmp_path / "m.onnx"))
    assert r.status_code == 500 and "can't be started" in r.json()["error"]
    assert not (d.models / "m").exists()


def test_uploads_at_the_same_time(setup):
    d, _, model = setup("concurrency = 4\n")
    answers = []

    def one():
        answers.append(control.upload(d, "m", model, recipe="dynamic"))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {r.status_code for r in answers} == {200}
    assert {e["version"] for e in
            d.post("/v2/repository/index").json()} == set("12345678")
    assert max(control.shares(d, "m"))[0] == 8


def test_orphans_end(setup):
    """A daemon that is killed leaves no child behind that goes on."""
    d, folder, model = setup()
    (folder / "do").write_text(
        f"echo $$ >{folder}/pid; while :; do "
        "echo '{\"phase\":\"calibrate\",\"fraction\":0.1}'; sleep 0.1; "
        "done\n")
    id_ = submit(d, model)
    until(d, id_, lambda j: j["phase"] == "calibrate")
    pid = int((folder / "pid").read_text())
    d.process.send_signal(signal.SIGKILL)
    d.process.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("it is still there")
