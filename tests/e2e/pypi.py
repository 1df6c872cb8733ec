# SPDX-License-Identifier: Apache-2.0
"""Packages of PyPI that tests use: peers, and what others' tools write.

They live in virtual environments outside the tree, made when first asked for.
Where the registry does not answer the test is skipped, and says so.
"""

import fcntl
import os
import pathlib
import subprocess
import sys

import pytest

LIMIT_S = 600

unreachable = None  # why; one test waits for the registry in vain, not each


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(home) / "quantd-tests" / "pypi"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python(*packages):
    """An interpreter that has these ("name==version"), or a skipped test."""
    global unreachable
    folder = cache() / "-".join(p.replace("==", "_") for p in packages)
    interpreter = folder / "bin" / "python"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "done").exists():
            return interpreter
        if unreachable is not None:
            pytest.skip(f"{unreachable}: no {' '.join(packages)}")
        for command in ([sys.executable, "-m", "venv", folder],
                        [interpreter, "-m", "pip", "install", "--quiet",
                         "--disable-pip-version-check", *packages]):
            try:
                done = subprocess.run(command, capture_output=True, text=True,
                                      timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                unreachable = f"PyPI did not answer in {LIMIT_S} s"
                pytest.skip(f"{unreachable}: no {' '.join(packages)}")
            if done.returncode != 0:
                unreachable = f"pip fails ({done.stderr.strip()[-200:]})"
                pytest.skip(f"{unreachable}: no {' '.join(packages)}")
        (folder / "done").touch()
    return interpreter


def files(interpreter, package):
    """The folder of a package that such an interpreter has."""
    found = subprocess.run(
        [interpreter, "-c", f"import importlib.util as u; print(u.find_spec("
         f"'{package}').submodule_search_locations[0])"],
        capture_output=True, text=True, check=True, timeout=LIMIT_S)
    return pathlib.Path(found.stdout.strip())
