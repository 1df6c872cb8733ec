# SPDX-License-Identifier: Apache-2.0
"""Options, help and exit codes that all commands share."""

import re

import pytest

import ctl
import programs

COMMANDS = ["inspect", "run", "verify", "check", "quantize", "compare", "bench"]


def test_version_and_help():
    assert re.match(r"quantctl \d+\.\d+", ctl.run("--version").stdout)
    text = ctl.run("--help").stdout
    for command in COMMANDS:
        assert command in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command):
    text = ctl.run(command, "--help").stdout
    assert text.startswith(f"usage: quantctl {command}")
    assert "--json" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage(command):
    for arguments in (["--no-such-option"], [], ["--threads", "many", "m"],
                      ["--threads"], ["--json=yes", "m"]):
        text = ctl.run(command, *arguments, code=ctl.USAGE).stderr
        assert f"usage: quantctl {command}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_manual_has_every_option(command):
    manual = (programs.TOP / "doc/quantctl.1").read_text().replace("\\-", "-")
    for line in ctl.run(command, "--help").stdout.splitlines():
        option = re.search(r" --([a-z-]+)", line)
        if option and "not supported yet" not in line:
            assert f"-{option[1]}" in manual, line


def test_no_command():
    ctl.run(code=ctl.USAGE)
    assert "'fly'" in ctl.run("fly", code=ctl.USAGE).stderr


@pytest.mark.parametrize("arguments", [["inspect"], ["bench"],
                                       ["run", "--input", "x=x.npy"],
                                       ["quantize", "-o", "out.onnx"]])
def test_bad_models(tmp_path, arguments, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.onnx").write_text("this is no model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    model = ctl.classifier(tmp_path / "good.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(model[:-100])
    for name in ("text.onnx", "empty.onnx", "cut.onnx", "absent.onnx"):
        message = ctl.fails(arguments[0], tmp_path / name, *arguments[1:],
                            code=ctl.BAD_INPUT)
        assert name in message
    assert not list(tmp_path.glob("out*"))


def test_unknown_operator_is_named(tmp_path):
    import onnx
    model = onnx.load(str(ctl.classifier(tmp_path / "m.onnx")))
    model.graph.node[1].op_type = "Teleport"
    onnx.save(model, str(tmp_path / "m.onnx"))
    message = ctl.fails("inspect", tmp_path / "m.onnx", code=ctl.UNSUPPORTED)
    assert "Teleport" in message and "relu" in message
