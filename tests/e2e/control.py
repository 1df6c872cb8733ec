# SPDX-License-Identifier: Apache-2.0
"""What tests of the control plane share."""

import json
import pathlib
import shutil
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = "/v2/repository/models"


def fake(folder):
    """A quantctl that copies, in a folder of its own; options for quantd."""
    folder.mkdir(exist_ok=True)
    program = folder / "fake_quantctl"
    shutil.copy(HERE / "fake_quantctl.sh", program)
    program.chmod(0o755)
    return f"[quantize]\nprogram = {program}\n"


def upload(d, model, path, version=None, **options):
    """PUT of a raw body, waiting for the end."""
    where = f"{REPOSITORY}/{model}"
    if version is not None:
        where += f"/versions/{version}"
    with open(path, "rb") as body:
        return d.put(where, data=body, params={"wait": "true", **options})


def upload_form(d, model, path, parts=(), where=None, **options):
    """POST of a form; parts are (name, path)."""
    files = [("model", ("m.onnx", open(path, "rb")))] if path else []
    files += [(name, (pathlib.Path(p).name, open(p, "rb")))
              for name, p in parts]
    files += [(name, (None, str(value))) for name, value in options.items()]
    return d.post(where or f"{REPOSITORY}/{model}", files=files,
                  params={"wait": "true"})


def variants(d, model, version=1):
    """{name: description}"""
    r = d.get(f"{REPOSITORY}/{model}/versions/{version}/variants")
    assert r.status_code == 200, r.text
    return {v["variant"]: v for v in r.json()["variants"]}


def arms(*arms):
    """A route of (version, variant, weight)."""
    return {"arms": [{"version": v, "variant": n, "weight": w}
                     for v, n, w in arms]}


def set_route(d, model, *arms_, **members):
    return d.put(f"/v2/models/{model}/route",
                 json={**arms(*arms_), **members})


def shares(d, model):
    """{(version, variant): share} of the route in force."""
    r = d.get(f"/v2/models/{model}/route")
    assert r.status_code == 200, r.text
    return {(a["version"], a["variant"]): a["share"]
            for a in r.json()["in_force"]}


def history(d, model):
    r = d.get(f"/v2/models/{model}/history")
    assert r.status_code == 200, r.text
    return r.json()["history"]


def leftovers(models, seconds=3):
    """What lies in the repository that nobody should find there; what is
    being removed just now gets a moment."""
    end = time.monotonic() + seconds
    while True:
        tmp = models / ".quantd" / "tmp"
        found = [str(p) for p in tmp.rglob("*")] if tmp.exists() else []
        found += [str(p) for p in models.rglob("*")
                  if p.name.startswith(".old.") or ".tmp" in p.name]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def manifest_files(folder):
    return json.loads((folder / "manifest.json").read_text())["files"]
