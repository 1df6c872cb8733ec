# SPDX-License-Identifier: Apache-2.0
"""The README's commands, run one after another as they stand there."""

import re
import socket
import subprocess

import pytest

import programs

LIMIT_S = 600

pytestmark = pytest.mark.slow

READY = 'until curl -sf "$q/v2/health/ready"; do sleep 0.1; done\n'


def blocks():
    text = (programs.TOP / "README.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_tour(tmp_path):
    start, *rest = blocks()
    script = "set -eu\n" + start + "trap 'kill $!; wait $!' EXIT\n" + READY
    script += "".join(rest)
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{free_port()}")
    script = script.replace("/tmp/", f"{tmp_path}/")
    script = script.replace("build/", f"{programs.BUILD}/")
    done = subprocess.run(["timeout", str(LIMIT_S), "bash", "-c", script],
                          cwd=programs.TOP, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert '"error"' not in done.stdout, said
    assert '"decision": "excellent"' in done.stdout, said
    assert 'variant="int8"' in done.stdout, said  # of the metrics
    assert "fp32" in done.stdout, said
