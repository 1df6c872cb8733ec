# SPDX-License-Identifier: Apache-2.0
"""The real daemon on a free port, and ways to talk to it."""

import json
import re
import signal
import socket
import subprocess
import threading
import time

import numpy
import requests

import programs

START_S = 60  # with sanitizers on a busy machine
STOP_S = 40


class Daemon:
    """A running quantd.  stop() checks how it ended and what it said."""

    def __init__(self, folder, models, options="", flags=()):
        self.models = models
        self.config = folder / "quantd.conf"
        self.config.write_text(options)
        self.lines = []
        self.process = subprocess.Popen(
            [programs.QUANTD, "--config", self.config, "--models", models,
             "--listen", "127.0.0.1:0", *flags],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        address = self.wait_log(r'listening\b.*address"?[=:]"?([0-9.]+:\d+)',
                                START_S)[1]
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.url = f"http://{address}"

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def wait_log(self, pattern, seconds=20, start=0):
        """The first match in the log; waits for it."""
        end = time.monotonic() + seconds
        while True:
            alive = self.process.poll() is None
            for line in self.lines[start:]:
                found = re.search(pattern, line)
                if found:
                    return found
            if not alive or time.monotonic() > end:
                raise AssertionError(
                    f"no '{pattern}' in the log:\n" + "\n".join(self.lines))
            time.sleep(0.02)

    def wait_ready(self, seconds=START_S):
        end = time.monotonic() + seconds
        while requests.get(self.url + "/v2/health/ready",
                           timeout=20).status_code != 200:
            assert time.monotonic() < end, "\n".join(self.lines)
            time.sleep(0.02)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, errors_expected=False):
        """SIGTERM; the exit code and the log must be clean."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "none in time"
        self.reader.join(5)
        log = "\n".join(self.lines)
        assert code == 0, f"exit code {code}:\n{log}"
        if not errors_expected:
            assert not re.search(r"^<[0-3]>", log, re.M), log
        return log

    # --- requests ----------------------------------------------------------

    def get(self, path, **kw):
        return requests.get(self.url + path, timeout=60, **kw)

    def post(self, path, **kw):
        return requests.post(self.url + path, timeout=60, **kw)

    def put(self, path, **kw):
        return requests.put(self.url + path, timeout=60, **kw)

    def infer(self, model, body, **kw):
        return self.post(f"/v2/models/{model}/infer", json=body, **kw)

    def metric(self, name, **labels):
        """The value of a series, None when it is not there."""
        for line in self.get("/metrics").text.splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name:
                got = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
                if all(got.get(k) == v for k, v in labels.items()):
                    return float(found[3])
        return None

    def wait_metric(self, least, name, seconds=30, **labels):
        """Until a series is at least that."""
        end = time.monotonic() + seconds
        while (self.metric(name, **labels) or 0) < least:
            assert time.monotonic() < end, (name, labels, least)
            time.sleep(0.005)

    def raw(self, data, seconds=20, shut=False):
        """Sends bytes on a connection of their own; what came until its
        end, or until the answer was whole."""
        with socket.create_connection((self.host, self.port), seconds) as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            return read_answer(s)


def read_answer(s, rest=b""):
    """(status, headers, body, bytes behind it) from a socket."""
    data = rest
    while b"\r\n\r\n" not in data:
        piece = s.recv(65536)
        if not piece:
            return None, {}, data, b""
        data += piece
    head, data = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, v in
               (line.split(":", 1) for line in lines[1:])}
    length = int(headers.get("content-length", 0))
    while len(data) < length:
        piece = s.recv(65536)
        if not piece:
            break
        data += piece
    return int(lines[0].split()[1]), headers, data[:length], data[length:]


# --- tensors -----------------------------------------------------------------

DATATYPES = {"FP32": "<f4", "FP64": "<f8", "INT8": "i1", "INT16": "<i2",
             "INT32": "<i4", "INT64": "<i8", "UINT8": "u1", "UINT16": "<u2",
             "UINT32": "<u4", "UINT64": "<u8", "BOOL": "?", "FP16": "<f2",
             "BF16": "<u2"}  # numpy has no bfloat16: its bits


def json_input(name, array, datatype="FP32"):
    return {"name": name, "shape": list(array.shape), "datatype": datatype,
            "data": array.reshape(-1).tolist()}


def binary_input(name, array, datatype="FP32"):
    data = array.astype(DATATYPES[datatype]).tobytes()
    return {"name": name, "shape": list(array.shape), "datatype": datatype,
            "parameters": {"binary_data_size": len(data)}}, data


def binary_request(inputs, **members):
    """(body, headers) of inputs [(name, array)] in binary form."""
    heads, tails = zip(*(binary_input(*i) for i in inputs))
    text = json.dumps({"inputs": list(heads), **members}).encode()
    return (text + b"".join(tails),
            {"Inference-Header-Content-Length": str(len(text)),
             "Content-Type": "application/octet-stream"})


def outputs_of(response):
    """{name: array} of an infer response, JSON or binary."""
    assert response.status_code == 200, response.text
    length = response.headers.get("Inference-Header-Content-Length")
    body = response.content
    head = json.loads(body[:int(length)] if length else body)
    at, out = int(length or 0), {}
    for o in head["outputs"]:
        dtype = DATATYPES.get(o["datatype"], "O")
        if "data" in o:
            out[o["name"]] = numpy.array(o["data"], dtype).reshape(o["shape"])
        else:
            n = o["parameters"]["binary_data_size"]
            out[o["name"]] = numpy.frombuffer(body[at:at + n], dtype).reshape(
                o["shape"])
            at += n
    assert length is None or at == len(body)
    return out
