# SPDX-License-Identifier: Apache-2.0
"""Packages of the npm registry that tests use: real models, data, the peer.

They are kept outside the tree and installed without running any script of
theirs.  Where npm or the registry cannot be reached the test is skipped, and
says so.
"""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess

import pytest

LIMIT_S = 300

unreachable = None  # why; one test waits for the registry in vain, not each


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(home) / "quantd-tests" / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def package(name, version):
    """The folder of an installed package, or the test is skipped."""
    if shutil.which("npm") is None:
        pytest.skip(f"npm is not installed: no {name}")
    prefix = cache() / f"{name.replace('/', '_')}-{version}"
    with open(f"{prefix}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (prefix / "done").exists():
            install(prefix, name, version)
            (prefix / "done").touch()
    return prefix / "node_modules" / name


def install(prefix, name, version):
    global unreachable
    if unreachable is not None:
        pytest.skip(f"{unreachable}: no {name}")
    prefix.mkdir(exist_ok=True)
    command = ["npm", "install", "--prefix", prefix, "--ignore-scripts",
               "--no-audit", "--no-fund", "--fetch-retries=1",
               f"{name}@{version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        unreachable = f"npm did not answer in {LIMIT_S} s"
        pytest.skip(f"{unreachable}: no {name}")
    if done.returncode != 0:
        said = re.findall(r"^npm (?:ERR!|error) (\S.*)", done.stderr, re.M)
        unreachable = f"npm fails ({', '.join(said[:3])})"
        pytest.skip(f"{unreachable}: no {name}")
