"""``imcc run --profile`` and ``imcc profile``: figures that add up, as tables, JSON, CSV, trace."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.command_line import MODELS, imcc
from support.hand_program import hand_program

from imcc.isa import Origin, save_program

ARGUMENTS = ("--input", MODELS / "fmnist.npz", "--samples", "1", "--profile")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "resnet.imc"
    model = MODELS / "fmnist_resnet8.onnx"
    result = imcc("compile", model, "--target", "isaac", "-O2", "-q", "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="module")
def profile(program: Path) -> dict[str, Any]:
    document = json.loads(imcc("run", program, *ARGUMENTS, "--json").stdout)
    assert document["schema"] == "imcc.run/1"
    assert document["outputs"] == {"logits": [1, 10]}
    found: dict[str, Any] = document["profile"]
    return found


def test_schema_keys(profile: dict[str, Any]) -> None:
    assert {
        "target", "layers", "setup", "latency_cycles", "latency_us", "interval_cycles",
        "interval_us", "energy_uj", "components", "macs", "inputs", "inputs_per_second",
        "critical_path", "leakage_mw", "leakage_uj", "area_mm2", "resources", "cores",
    } <= profile.keys()  # fmt: skip
    layer_keys = {"name", "cycles", "first", "last", "energy_pj", "conversions", "macs"}
    layer_keys |= {"network_cycles", "array_utilization", "bottleneck"}
    assert all(layer_keys | {"bytes_moved"} <= layer.keys() for layer in profile["layers"])


def test_totals_are_the_sums_of_the_layers(profile: dict[str, Any]) -> None:
    layers = profile["layers"]
    energy = sum(layer["energy_pj"] for layer in layers)
    assert energy == pytest.approx(profile["energy_uj"] * 1e6)
    assert sum(profile["components"].values()) == pytest.approx(energy)
    assert sum(layer["macs"] for layer in layers) == profile["macs"]
    assert max(layer["last"] for layer in layers) <= profile["latency_cycles"]


def test_the_table_has_the_figures_of_the_json(program: Path, profile: dict[str, Any]) -> None:
    result = imcc("run", program, *ARGUMENTS)
    assert result.exit_code == 0
    outputs, layers, *_, totals = result.stdout.split("\n\n")
    assert outputs.splitlines()[1].split()[0] == "logits"
    rows = layers.splitlines()
    assert rows[0].split()[:3] == ["layer", "cycles", "share"]
    assert len(rows) - 1 == len(profile["layers"])
    for row, layer in zip(rows[1:], profile["layers"], strict=True):
        assert str(layer["cycles"]) in row.split()
    assert f"({profile['latency_cycles']} cycles) for one input" in totals
    assert f"{profile['energy_uj']:.4g} uJ" in totals


def test_profile_needs_no_data(program: Path, profile: dict[str, Any]) -> None:
    document = json.loads(imcc("profile", program, "--json").stdout)
    assert document.pop("schema") == "imcc.profile/1"
    assert document == profile


def test_profile_prints_layers_resources_cores_and_totals(program: Path) -> None:
    result = imcc("profile", program, "--inputs", "2")
    assert result.exit_code == 0
    heads = [part.split()[0] for part in result.stdout.split("\n\n")]
    assert heads == ["layer", "resource", "busiest", "latency"]
    assert "between two of 2 inputs in a row" in result.stdout


def test_layers_as_csv(program: Path, profile: dict[str, Any], tmp_path: Path) -> None:
    assert imcc("profile", program, "--csv", tmp_path / "layers.csv").exit_code == 0
    with (tmp_path / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [layer["name"] for layer in profile["layers"]]
    for row, layer in zip(rows, profile["layers"], strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in layer.items()}


def test_the_trace_has_one_track_a_resource(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    assert imcc("profile", program, "--inputs", "2", "--trace", path).exit_code == 0
    events = json.loads(path.read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    ends: dict[tuple[int, int], float] = defaultdict(float)
    for one in slices:
        assert ends[one["pid"], one["tid"]] <= one["ts"] + 1e-6
        ends[one["pid"], one["tid"]] = one["ts"] + one["dur"]
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert named == set(ends)
    assert {one["args"]["input"] for one in slices} == {0, 1}
    assert "/stack1/conv2/Conv" in {one["args"]["nodes"] for one in slices}


def test_names_from_files_cannot_drive_a_terminal(tmp_path: Path) -> None:
    path, trace, layers = (tmp_path / name for name in ("p.imc", "t.json", "l.csv"))
    save_program(replace(hand_program(), origins=(Origin(0, 9, 18, ("a\x1b[31m",)),)), path)
    result = imcc("profile", path, "--trace", trace, "--csv", layers)
    assert result.exit_code == 0
    for text in (result.stdout, trace.read_text(), layers.read_text()):
        assert "a\\x1b[31m" in text.replace("\\\\", "\\")
        assert "\x1b" not in text


def test_a_damaged_program_is_bad_input(tmp_path: Path, program: Path) -> None:
    path = tmp_path / "half.imc"
    path.write_bytes(program.read_bytes()[:1000])
    assert imcc("profile", path).exit_code == 3
