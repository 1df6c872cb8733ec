# SPDX-License-Identifier: Apache-2.0
"""doc/openapi.json says what the tables in the source say."""

import json
import re

import programs

DOC = json.loads((programs.TOP / "doc/openapi.json").read_text())


def source(name):
    return (programs.TOP / "server" / name).read_text()


def test_every_call_is_described():
    rows = re.findall(r'^(?:ENDPOINT|UPLOAD)\(([A-Z| ]+),\s*"([^"]+)"',
                      source("api_tbl.h"), re.M)
    assert len(rows) > 25
    table = {(m.lower(), pattern) for methods, pattern in rows
             for m in methods.split(" | ")}
    described = {(m, re.sub(r"\{\w+\}", "{}", path))
                 for path, calls in DOC["paths"].items() for m in calls
                 if m != "parameters"}
    assert described == table


def test_every_recipe_option_is_described():
    options = re.findall(r"^RECIPE\((\w+),", source("recipe_tbl.h"), re.M)
    assert len(options) > 10
    upload = DOC["paths"]["/v2/repository/models/{model}"]["put"]
    assert set(options) <= {p["name"] for p in upload["parameters"]}


def test_references_lead_somewhere():
    text = json.dumps(DOC)
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names <= set(DOC["components"]["schemas"])
    for path, calls in DOC["paths"].items():
        for call in calls.values():
            given = {p["name"] for p in call.get("parameters", [])
                     if p["in"] == "path"}
            assert given == set(re.findall(r"\{(\w+)\}", path)), path
            assert call["responses"], path
