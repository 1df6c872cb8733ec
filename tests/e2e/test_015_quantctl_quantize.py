# SPDX-License-Identifier: Apache-2.0
"""quantctl quantize: recipes, the three outcomes, the report."""

import json
import signal
import subprocess

import numpy as np
import onnx
import pytest

import ctl
import programs

DEMO = programs.TOP / "demo"
QUICK = ["--seconds", "0.1", "--threads", "1"]
ANY_SPEED = ["--min-speedup", "0"]  # the small nets here gain none


def labelled(folder, model, n=600, seed=5):
    """A validation set whose labels are the model's own answers."""
    x = ctl.samples(n, seed)
    np.savez(folder / "v.npz", x=x, labels=ctl.answers(model, x).argmax(1))
    return folder / "v.npz"


def calibration(folder, n=200, seed=6):
    np.savez_compressed(folder / "c.npz", x=ctl.samples(n, seed))
    return folder / "c.npz"


@pytest.fixture
def model(tmp_path):
    return ctl.classifier(tmp_path / "m.onnx")


def quantize(folder, model, *args, code=ctl.DONE):
    """Progress lines, result and report."""
    done = ctl.run("quantize", model, "-o", folder / "out.onnx", "--report",
                   folder / "r.json", "--json", *QUICK, *args, code=code)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    report = json.loads((folder / "r.json").read_text())
    assert not list(folder.glob("*.tmp*"))
    return lines[:-1], lines[-1]["result"], report


def test_digits(tmp_path):
    """The demo: real labels, int8 within 0.3 points and 0.30 of the size."""
    lines, result, report = quantize(
        tmp_path, DEMO / "digits.onnx", "--calibration",
        DEMO / "calibration.npz", "--validation", DEMO / "validation.npz",
        *ANY_SPEED)
    assert result["variant"] == "int8" and result["state"] == "accepted"
    assert result["decision"] == "excellent" and result["accepted"]
    phases = list(dict.fromkeys(line["phase"] for line in lines))
    assert phases == ["parse", "calibrate", "quantize", "validate",
                      "benchmark"]
    assert all(0 <= line["fraction"] <= 1 for line in lines)

    (v,) = report["variants"]
    accuracy = v["accuracy"]
    assert accuracy["samples"] >= 2000
    assert accuracy["baseline"] > 0.99
    assert abs(accuracy["loss_points"]) <= 0.3
    assert v["size_ratio"] <= 0.30
    assert v["nonfinite"] == 0
    assert v["edge_inputs"] == {"tried": 4, "nonfinite": 0,
                                "baseline_nonfinite": 0, "worst": None}
    assert v["coverage"]["int8"] == v["coverage"]["layers"] == 14
    assert v["latency"]["p50_us"] > 0
    assert v["latency"]["baseline"]["p50_us"] > 0
    assert v["calibration"]["method"] == "mse"
    assert v["calibration"]["samples"] == 500
    assert len(v["layers"]) == 14
    out = tmp_path / "out.onnx"
    assert v["file_bytes"] == out.stat().st_size
    onnx.checker.check_model(str(out))


def test_report_is_complete(tmp_path, model):
    _, _, report = quantize(tmp_path, model, "--calibration",
                            calibration(tmp_path), "--validation",
                            labelled(tmp_path, model), *ANY_SPEED)
    assert report["format"] == 1
    assert len(report["model"]["sha256"]) == 64
    assert report["model"]["file"] == "m.onnx"
    assert report["engine"]["threads"] == 1
    assert report["data"]["calibration"]["samples"] == 200
    assert report["data"]["validation"]["labels"]
    assert report["data"]["overlap"] == 0
    assert len(report["checklist"]) == 17
    for point in report["checklist"]:
        assert point["result"] in ("pass", "fail", "not-measured")
        assert point["evidence"]
    assert any("small" in w for w in report["warnings"])


def test_the_same_answers_from_the_file(tmp_path, model):
    """The judge's count of equal answers is what the file answers."""
    v = labelled(tmp_path, model)
    _, _, report = quantize(tmp_path, model, "--calibration",
                            calibration(tmp_path), "--validation", v,
                            *ANY_SPEED)
    x, labels = np.load(v)["x"], np.load(v)["labels"]
    np.save(tmp_path / "x.npy", x)
    ctl.run("run", tmp_path / "out.onnx", "-i", f"x={tmp_path}/x.npy", "-o",
            tmp_path)
    right = int((np.load(tmp_path / "y.npy").argmax(1) == labels).sum())
    (variant,) = report["variants"]
    flips = variant["accuracy"]["flips"]
    assert abs(len(x) - flips["right_to_wrong"] - right) <= 1
    assert variant["accuracy"]["baseline"] == 1


def test_loss_is_rejected_and_channels_save_it(tmp_path):
    """One scale for all classes drowns those of small weights."""
    model = ctl.classifier(tmp_path / "m.onnx", spoiled=3000.0)
    data = ["--calibration", calibration(tmp_path), "--validation",
            labelled(tmp_path, model), "--recipe", "static", *ANY_SPEED]
    _, result, report = quantize(tmp_path, model, "--granularity", "tensor",
                                 *data, code=ctl.REJECTED)
    assert result["state"] == "rejected"
    assert result["decision"] == "unsuitable" and not result["accepted"]
    assert "points of accuracy" in result["reason"]
    assert (tmp_path / "out.onnx").exists()
    failed = [p for p in report["checklist"] if p["result"] == "fail"]
    assert any(p["item"] == "loss within the limit" for p in failed)
    _, result, _ = quantize(tmp_path, model, *data)
    assert result["state"] == "accepted"


def test_few_samples_decide_nothing(tmp_path, model):
    _, result, report = quantize(tmp_path, model, "--recipe", "dynamic",
                                 "--validation",
                                 labelled(tmp_path, model, n=20), *ANY_SPEED)
    assert result["state"] == "undecided"
    assert result["samples_needed"] >= 133
    assert report["variant"] == "int8-dynamic"


def test_without_validation_nothing_is_known(tmp_path, model):
    _, result, report = quantize(tmp_path, model, "--calibration",
                                 calibration(tmp_path), *ANY_SPEED)
    assert result["state"] == "undecided" and result["decision"] is None
    assert report["variants"][0]["accuracy"] is None
    assert report["variants"][0]["latency"]["p50_us"] > 0


def test_not_faster_is_rejected_and_dynamic_tried(tmp_path, model):
    _, result, report = quantize(
        tmp_path, model, "--calibration", calibration(tmp_path),
        "--validation", labelled(tmp_path, model), "--min-speedup", "1000",
        code=ctl.REJECTED)
    assert "not faster" in result["reason"]
    assert [v["recipe"] for v in report["variants"]] == ["static", "dynamic"]
    assert report["variant"] == "int8"


def test_agreement_stands_in_for_labels(tmp_path, model):
    np.savez(tmp_path / "v.npz", x=ctl.samples(1000, 9))
    _, result, report = quantize(
        tmp_path, model, "--recipe", "dynamic", "--validation",
        tmp_path / "v.npz", "--min-agreement", "0.9", *ANY_SPEED)
    assert result["state"] == "accepted"
    agreement = report["variants"][0]["agreement"]
    assert agreement["samples"] == 1000
    assert agreement["interval"][0] > 0.9


def test_true_outputs_are_compared_with(tmp_path, model):
    x = ctl.samples(300, 9)
    np.savez(tmp_path / "v.npz", x=x, y=ctl.answers(model, x).astype("f4"))
    _, _, report = quantize(tmp_path, model, "--recipe", "dynamic",
                            "--validation", tmp_path / "v.npz", *ANY_SPEED)
    true = report["variants"][0]["outputs"][0]["reference"]
    assert true["baseline"]["max_abs"] < 1e-3
    assert true["variant"]["max_abs"] > true["baseline"]["max_abs"]


def test_overlap_of_the_sets_is_counted(tmp_path, model):
    x = ctl.samples(200, 6)
    x[50:] = ctl.samples(150, 7)
    np.savez(tmp_path / "v.npz", x=x, labels=ctl.answers(model, x).argmax(1))
    _, _, report = quantize(tmp_path, model, "--calibration",
                            calibration(tmp_path), "--validation",
                            tmp_path / "v.npz", *ANY_SPEED)
    assert report["data"]["overlap"] == 50
    assert any("50 validation samples" in w for w in report["warnings"])


def test_sets_that_differ_are_told(tmp_path, model):
    x = 255 * ctl.samples(300, 9)
    np.savez(tmp_path / "v.npz", x=x, labels=ctl.answers(model, x).argmax(1))
    _, _, report = quantize(tmp_path, model, "--calibration",
                            calibration(tmp_path), "--validation",
                            tmp_path / "v.npz", "--max-loss", "100",
                            *ANY_SPEED)
    assert any("preprocessed" in w for w in report["warnings"])


def test_excluded_nodes_stay_float(tmp_path, model):
    _, _, report = quantize(tmp_path, model, "--calibration",
                            calibration(tmp_path), "--exclude", "sec*,nobody",
                            *ANY_SPEED)
    layers = {x["node"]: x for x in report["variants"][0]["layers"]}
    assert layers["first"]["quantized"] == "int8"
    assert layers["second"]["quantized"] == "float32"
    assert any("nobody" in w for w in report["warnings"])


def test_recipe_none_measures_the_baseline(tmp_path, model):
    _, result, report = quantize(tmp_path, model, "--recipe", "none")
    assert result["variant"] is None and result["state"] == "none"
    assert report["variants"] == []
    assert report["baseline"]["latency"]["p50_us"] > 0
    assert not (tmp_path / "out.onnx").exists()


def test_ready_made_is_judged(tmp_path, model):
    quantize(tmp_path, model, "--recipe", "dynamic", *ANY_SPEED)
    done = ctl.run("quantize", model, "--ready-made", tmp_path / "out.onnx",
                   "--variant", "mine", "--validation",
                   labelled(tmp_path, model), "--json", *QUICK, *ANY_SPEED)
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    assert result["variant"] == "mine" and result["state"] == "accepted"


def test_ready_made_of_another_model_is_refused(tmp_path, model):
    message = ctl.fails("quantize", DEMO / "digits.onnx", "--ready-made",
                        model, code=ctl.BAD_INPUT)
    assert "'x'" in message and "'image'" in message


@pytest.mark.parametrize("arrays, word", [
    ({"x": np.zeros((10, 31), "f4")}, "expected [n,32]"),
    ({"x": np.zeros((0, 32), "f4")}, "no samples"),
    ({"x": np.zeros((10, 32), "c8")}, "element type"),
    ({"z": np.zeros((10, 3), "f4")}, "expected [n,32]"),
    ({"x": np.zeros((4, 32), "f4"), "q": np.zeros(4)}, "'q'"),
])
def test_wrong_calibration_data(tmp_path, model, arrays, word):
    np.savez(tmp_path / "c.npz", **arrays)
    code = ctl.UNSUPPORTED if word == "element type" else ctl.BAD_INPUT
    message = ctl.fails("quantize", model, "-o", tmp_path / "out.onnx",
                        "--calibration", tmp_path / "c.npz", code=code)
    assert word in message and "calibration data" in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.npz", "m.onnx"]


def test_wrong_labels(tmp_path, model):
    np.savez(tmp_path / "v.npz", x=ctl.samples(4, 0),
             labels=np.array([0, 1, 2, 5]))
    message = ctl.fails("quantize", model, "-o", tmp_path / "out.onnx",
                        "--recipe", "dynamic", "--validation",
                        tmp_path / "v.npz", code=ctl.BAD_INPUT)
    assert "label 5" in message and "5 classes" in message


def test_hostile_archives(tmp_path, model):
    good = calibration(tmp_path).read_bytes()
    for bad in (b"", b"PK\x05\x06", good[:len(good) // 2], good[100:],
                good.replace(b"x.npy", b"x.txt")):
        (tmp_path / "c.npz").write_bytes(bad)
        ctl.fails("quantize", model, "-o", tmp_path / "out.onnx",
                  "--calibration", tmp_path / "c.npz", code=ctl.BAD_INPUT)


def test_nan_samples_are_left_out(tmp_path, model):
    x = ctl.samples(200, 6)
    x[17, 3] = np.nan
    np.savez(tmp_path / "c.npz", x=x)
    _, _, report = quantize(tmp_path, model, "--calibration",
                            tmp_path / "c.npz", *ANY_SPEED)
    assert report["variants"][0]["calibration"]["skipped"] >= 1
    assert report["data"]["calibration"]["inputs"][0]["nonfinite"] == 1


@pytest.mark.parametrize("recipe", ["auto", "static", "dynamic"])
def test_quantized_models_are_refused(tmp_path, model, recipe):
    quantize(tmp_path, model, "--recipe", "dynamic", *ANY_SPEED)
    assert "quantized already (node " in ctl.fails(
        "quantize", tmp_path / "out.onnx", "-o", tmp_path / "twice.onnx",
        "--recipe", recipe, "--calibration", calibration(tmp_path), *QUICK,
        code=ctl.UNSUPPORTED)
    assert not (tmp_path / "twice.onnx").exists()


@pytest.mark.parametrize("recipe", ["mixed", "bf16", "int4-rtn", "int4-gptq",
                                    "int4-awq"])
def test_recipes_to_come(tmp_path, model, recipe):
    message = ctl.fails("quantize", model, "-o", tmp_path / "out.onnx",
                        "--recipe", recipe, code=ctl.UNSUPPORTED)
    assert recipe in message


def test_wrong_usage(tmp_path, model):
    out = ["-o", tmp_path / "out.onnx"]
    for arguments in ([], [*out, "--recipe", "magic"],
                      [*out, "--recipe", "static"],
                      [*out, "--calibrator", "guess"],
                      [*out, "--granularity", "atom"],
                      [*out, "--max-loss", "-1"],
                      [*out, "--ready-made", model],
                      [*out, "--equalize", "perhaps"]):
        ctl.run("quantize", model, *arguments, code=ctl.USAGE)
    ctl.fails("quantize", model, *out, "--equalize", "on",
              code=ctl.UNSUPPORTED)


@pytest.mark.parametrize("phase", ["parse", "validate", "benchmark"])
def test_a_signal_leaves_nothing_behind(tmp_path, phase):
    with subprocess.Popen(
            [programs.QUANTCTL, "quantize", DEMO / "digits.onnx", "-o",
             tmp_path / "out.onnx", "--report", tmp_path / "r.json",
             "--calibration", DEMO / "calibration.npz", "--validation",
             DEMO / "validation.npz", "--json", "--seconds", "60",
             "--threads", "1"], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if json.loads(line).get("phase") == phase:
                break
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
