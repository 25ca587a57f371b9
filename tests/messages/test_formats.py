"""Diagnostics for machines: JSON lines, SARIF and GitHub's workflow commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from support.command_line import MODELS, imcc

from imcc.compiler.cli.diagnostics import all_codes
from imcc.compiler.cli.formats import Record, to_github, to_json

EVIL = "evil\x1b]0;t\x07%,:\n::error::x"


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model() -> str:
    nodes = [
        helper.make_node("Foo", ["x"], ["a"], EVIL, domain="com.acme"),
        helper.make_node("NonZero", ["x"], ["b"], "places"),
        helper.make_node("Add", ["a", "b"], ["y"], "sum"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [1, 4, 4])],
        [value("y", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), "a b.onnx")
    return "a b.onnx"


def failed(format_: str, *arguments: str | Path) -> str:
    result = imcc(*arguments, "--diagnostics-format", format_)
    assert result.exit_code in (1, 3, 4)
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("verb", ["compile", "check"])
def test_json_is_an_object_a_line(model: str, verb: str) -> None:
    text = failed("json", verb, model, "--target", "isaac")
    foo, places = [json.loads(line) for line in text.splitlines()]
    assert foo["op_type"] == "com.acme::Foo"
    assert (places["node"], places["index"], places["file"]) == ("places", 1, model)
    assert {d["code"] for d in (foo, places)} == {"IMC0401"}
    assert {d["level"] for d in (foo, places)} == {"error"}
    required = {"code", "level", "message", "node", "op_type", "index", "reason", "help", "file"}
    assert required <= foo.keys()


def test_text_errors_are_one_object_with_help(model: str) -> None:
    onnx.save(onnx.load(MODELS / "fmnist_mlp.onnx"), "m.onnx")
    (found,) = failed("json", "compile", "m.onnx", "--target", "isaac").splitlines()
    record = json.loads(found)
    assert record["code"] == "IMC0102"
    assert [line.split()[0] for line in record["help"]] == ["--calib", "--calib"]
    assert record["file"] == "m.onnx"


def test_github_annotations_cannot_be_forged(model: str) -> None:
    lines = failed("github", "check", model, "--target", "isaac").splitlines()
    assert len(lines) == 2
    assert all(line.startswith("::error file=a b.onnx,title=IMC0401::") for line in lines)
    assert "node 'places'" in lines[1]


def test_github_escapes_properties_and_text() -> None:
    record = Record("IMC0401", "error", "50%\nmore", file="a,b:c.onnx")
    assert to_github(record) == "::error file=a%2Cb%3Ac.onnx,title=IMC0401::50%25%0Amore"
    assert to_github(Record("", "note", "text")) == "::notice::text"


def test_sarif_has_what_the_standard_requires(model: str) -> None:
    """SARIF 2.1.0, sections 3.13 to 3.27: version, runs, tool.driver.name, message.text."""
    document = json.loads(failed("sarif", "check", model, "--target", "isaac"))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "imcc"
    assert [rule["id"] for rule in driver["rules"]] == [code.name for code in all_codes()]
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    assert len(run["results"]) == 2
    for result in run["results"]:
        assert result["level"] == "error"
        assert result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "IMC0401"
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "a%20b.onnx"
    places: dict[str, Any] = run["results"][1]
    assert places["locations"][0]["logicalLocations"][0]["name"] == "places"
    assert places["properties"] == {"opType": "NonZero", "nodeIndex": 1}


def test_sarif_is_written_where_nothing_is_wrong() -> None:
    result = imcc("check", MODELS / "fmnist_mlp.onnx", "--target", "isaac",
                  "--diagnostics-format", "sarif")  # fmt: skip
    assert result.exit_code == 0
    (run,) = json.loads(result.stderr)["runs"]
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "no.onnx", "--target", "isaac"),
        ("check", "no.onnx", "--target", "isaac"),
        ("inspect", "no.onnx"),
        ("opt", "no.onnx"),
        ("verify", "no.imc", "--model", "no.onnx"),
        ("run", "no.imc", "--input", "no.npz"),
        ("disasm", "no.imc"),
        ("asm", "no.imcasm"),
    ],
)
def test_every_verb_that_reads_a_file_has_the_formats(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(failed("json", *arguments))
    assert record["level"] == "error"
    assert record["file"] == arguments[1]
    monkeypatch.setenv("IMCC_DIAGNOSTICS", "json")
    assert json.loads(imcc(*arguments).stderr) == record


def test_notes_and_timing_stay_readable_for_machines() -> None:
    onnx.save(onnx.load(MODELS / "fmnist_mlp.onnx"), "m.onnx")
    result = imcc("opt", "m.onnx", "--pass-pipeline", "quantize", "--timing",
                  "--diagnostics-format", "json", "-o", "m.mlir")  # fmt: skip
    assert result.exit_code == 0
    records = [json.loads(line) for line in result.stderr.splitlines()]
    assert [record["level"] for record in records] == ["note", "note"]
    assert records[0]["message"].startswith("calibration: random, seed 0")


def test_control_characters_are_made_visible() -> None:
    found = json.loads(to_json(Record("IMC0401", "error", "x", node=EVIL, help=("a\x1b",))))
    assert found["node"] == "evil\\x1b]0;t\\x07%,:\n::error::x"
    assert found["help"] == ["a\\x1b"]


def test_errors_say_in_which_pass_they_arose() -> None:
    onnx.save(onnx.load(MODELS / "fmnist_mlp.onnx"), "m.onnx")
    pipeline = "fold-constants,tile"
    arguments = ("opt", "m.onnx", "--pass-pipeline", pipeline)
    human = imcc(*arguments)
    assert human.exit_code == 3
    note = "in pass tile (passes before it: fold-constants)"
    assert human.stderr.splitlines()[-1] == f"   = note: {note}"
    assert json.loads(failed("json", *arguments))["notes"] == [note]
