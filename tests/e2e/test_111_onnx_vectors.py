# SPDX-License-Identifier: Apache-2.0
"""The newest test vectors of the ONNX project, which PyPI's `onnx` makes.

Debian's are of opset 17; these have what came since.  Made once and kept
outside the tree; where PyPI does not answer the test is skipped, and says so.
"""

import fcntl
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import npm
from programs import BUILD

ONNX = "onnx==1.23.2"
LIMIT_S = 300
PASSED = 1733  # of these vectors, by plain kernels: only goes up
SHARE = 99.3  # in percent, of those of one operator on types that are held
MAKER = pathlib.Path(__file__).with_name("onnx_vectors.py")


@pytest.fixture(scope="module")
def vectors():
    folder = npm.cache().parent / "pypi" / ONNX.replace("==", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            make(folder)
            (folder / "done").touch()
    return folder / "data"


def make(folder):
    python = folder / "venv" / "bin" / "python"
    shutil.rmtree(folder / "data", ignore_errors=True)
    for command in ([sys.executable, "-m", "venv", folder / "venv"],
                    [python, "-m", "pip", "install", "--quiet",
                     "--retries=1", ONNX]):
        try:
            done = subprocess.run(command, capture_output=True, text=True,
                                  timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"PyPI did not answer in {LIMIT_S} s: no {ONNX}")
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1:]
            pytest.skip(f"no {ONNX}: {''.join(said)}")
    subprocess.run([python, MAKER, folder / "data"], check=True,
                   capture_output=True, timeout=LIMIT_S)


def test_newest_vectors(vectors):
    done = subprocess.run([BUILD / "tests/op/vectors", "-v"],
                          env={"ONNX_TESTDATA": str(vectors)},
                          capture_output=True, text=True, timeout=LIMIT_S)
    print(re.sub(r"^passed .*\n", "", done.stdout, flags=re.M))
    passed = re.search(r"^plain kernels: (\d+) passed", done.stdout, re.M)
    share = re.search(r"^plain node: .*, ([\d.]+) %", done.stdout, re.M)
    assert int(passed[1]) >= PASSED
    assert float(share[1]) >= SHARE
    assert done.returncode == 0
