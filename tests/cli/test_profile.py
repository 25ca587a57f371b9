"""``imcc run --profile``: figures that add up, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.command_line import MODELS, imcc

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
        "interval_us", "energy_uj", "components", "macs",
    } <= profile.keys()  # fmt: skip
    layer_keys = {"name", "cycles", "first", "last", "energy_pj", "conversions", "macs"}
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
    outputs, layers, totals = result.stdout.split("\n\n")
    assert outputs.splitlines()[1].split()[0] == "logits"
    rows = layers.splitlines()
    assert rows[0].split()[:3] == ["layer", "cycles", "share"]
    assert len(rows) - 1 == len(profile["layers"])
    for row, layer in zip(rows[1:], profile["layers"], strict=True):
        assert str(layer["cycles"]) in row.split()
    assert f"({profile['latency_cycles']} cycles) for one input" in totals
    assert f"{profile['energy_uj']:.4g} uJ" in totals
