# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients of others: tritonclient, synchronous and aio.

They come from PyPI into an environment of their own, outside the tree.  Where
it cannot be made the tests are skipped, and say so.
"""

import fcntl
import os
import pathlib
import subprocess
import sys

import pytest

import server
import tiny

PACKAGE = "tritonclient[http]==2.73.0"
LIMIT_S = 300


@pytest.fixture(scope="module")
def python():
    """An interpreter that has the client."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(home) / "quantd-tests" / "tritonclient-2.73.0"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for command in ([sys.executable, "-m", "venv", folder],
                            [folder / "bin" / "pip", "install", "-q", PACKAGE]):
                try:
                    r = subprocess.run(command, capture_output=True, text=True,
                                       timeout=LIMIT_S)
                except subprocess.TimeoutExpired:
                    pytest.skip(f"left out: no {PACKAGE} in {LIMIT_S} s")
                if r.returncode != 0:
                    pytest.skip(f"left out: no {PACKAGE}: "
                                + (r.stderr or r.stdout)[-300:])
            (folder / "done").touch()
    return folder / "bin" / "python"


def fill(models):
    tiny.affine(models / "m" / "1" / "model.onnx")
    tiny.affine(models / "classes" / "3" / "model.onnx", scale=1.0, shift=0)
    (models / "classes" / "3" / "labels.txt").write_text("ant\nbee\ncat\n")


def run(python, script, daemon):
    r = subprocess.run([python, "-c", script, f"{daemon.host}:{daemon.port}"],
                       capture_output=True, text=True, timeout=LIMIT_S)
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stdout.endswith("all of it\n")


SYNC = r"""
import sys
import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

c = http.InferenceServerClient(sys.argv[1], concurrency=4)
assert c.is_server_live() and c.is_server_ready() and c.is_model_ready("m")
assert not c.is_model_ready("nobody")
assert "statistics" in c.get_server_metadata()["extensions"]
assert c.get_model_metadata("m")["inputs"][0]["shape"] == [-1, 3]
assert c.get_model_config("m")["max_batch_size"] == 8
assert {"m", "classes"} == {x["name"] for x in c.get_model_repository_index()}
x = np.arange(6, dtype=np.float32).reshape(2, 3)

def asked(binary):
    i = http.InferInput("x", x.shape, "FP32")
    i.set_data_from_numpy(x, binary_data=binary)
    return [i]

for binary_in in (True, False):
    for outputs in (None, [http.InferRequestedOutput("y", binary_data=True)],
                    [http.InferRequestedOutput("y", binary_data=False)]):
        for coding in (None, "gzip", "deflate"):
            r = c.infer("m", asked(binary_in), outputs=outputs,
                        request_id="7", request_compression_algorithm=coding,
                        response_compression_algorithm=coding, priority=1,
                        timeout=10**7, parameters={"variant": "fp32"})
            assert np.array_equal(r.as_numpy("y"), x * 2 + 1)
            assert r.get_response()["id"] == "7"
            assert r.get_response()["parameters"]["variant"] == "fp32"
r = c.infer("classes", asked(True), outputs=[
    http.InferRequestedOutput("y", class_count=2)])
assert [v.decode() for v in r.as_numpy("y")[0]] == ["2.0:2:cat", "1.0:1:bee"]
futures = [c.async_infer("m", asked(True)) for _ in range(20)]
assert all(np.array_equal(f.get_result().as_numpy("y"), x * 2 + 1)
           for f in futures)
s = c.get_inference_statistics("m")["model_stats"][0]
assert s["inference_stats"]["success"]["count"] == 38
for bad in (lambda: c.infer("nobody", asked(True)),
            lambda: c.infer("m", asked(True), model_version="9"),
            lambda: c.get_model_metadata("nobody")):
    try:
        bad()
    except InferenceServerException as e:
        assert "404" in str(e.status()) and e.message(), e
    else:
        raise SystemExit("no exception")
c.unload_model("classes")
assert not c.is_model_ready("classes")
c.load_model("classes")
assert c.is_model_ready("classes")
print("all of it")
"""

AIO = r"""
import asyncio
import sys
import numpy as np
import tritonclient.http.aio as http

async def main():
    c = http.InferenceServerClient(sys.argv[1])
    assert await c.is_server_live() and await c.is_server_ready()
    await c.get_model_repository_index()
    x = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    i = http.InferInput("x", x.shape, "FP32")
    i.set_data_from_numpy(x)
    rs = await asyncio.gather(*(c.infer("m", [i]) for _ in range(20)))
    assert all(np.array_equal(r.as_numpy("y"), x * 2 + 1) for r in rs)
    await c.close()

asyncio.run(main())
print("all of it")
"""


def test_tritonclient(start, python):
    run(python, SYNC, start(fill))


def test_tritonclient_aio(start, python):
    run(python, AIO, start(fill))
