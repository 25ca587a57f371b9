"""``imcc check`` on a model whose weights it does not read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.forked_cli import ForkedCli
from support.onnx_models import model, node

SHAPES = {
    "w0": (64, 512, 3, 3),
    "w1": (1024, 64, 1, 1),
    "w2": (1024, 1024, 1, 1),
    "w3": (1024, 4096),
}


@pytest.fixture(scope="module")
def cli() -> Iterator[ForkedCli]:
    with ForkedCli() as server:
        yield server


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convolutions, batch normalization and a product with 23 MB of normal weights."""
    generator = np.random.default_rng(0)
    weights = {k: generator.standard_normal(s, np.float32) / 50 for k, s in SHAPES.items()}
    ones = {name: np.ones(64, np.float32) for name in ("scale", "mean", "var")}
    nodes = [
        node("Conv", "x w0", "a"),
        node("BatchNormalization", "a scale mean mean var", "b"),
        node("Conv", "b w1", "c"),
        node("Relu", "c", "d"),
        node("Conv", "d w2", "e"),
        node("GlobalAveragePool", "e", "f"),
        node("Flatten", "f", "g"),
        node("Gemm", "g w3", "y"),
    ]
    made = tmp_path_factory.mktemp("large") / "model.onnx"
    onnx.save(model(nodes, {"x": ["N", 512, 4, 4]}, {**weights, **ones}), made)
    return made


def needs(cli: ForkedCli, path: Path, *arguments: str) -> tuple[dict[str, Any], int]:
    run = cli.run("check", path, "--target", "isaac", "--json", *arguments)
    assert run.exit_code == 0, run.stderr
    return json.loads(run.stdout), run.peak_kib


def test_estimates_are_near_and_cost_no_memory(cli: ForkedCli, path: Path) -> None:
    quick, little = needs(cli, path)
    exact, much = needs(cli, path, "--read-weights")
    assert (quick["unread"], exact["unread"]) == (4, 0)
    assert much - little > path.stat().st_size >> 10
    near, real = ({n["what"]: n["needed"] for n in found["needs"]} for found in (quick, exact))
    assert near["local memory bytes"] == real["local memory bytes"]
    assert near["arrays"] == pytest.approx(real["arrays"], rel=0.1)
    assert [o["where"] for o in quick["operators"]] == [o["where"] for o in exact["operators"]]


def test_the_user_is_told(cli: ForkedCli, path: Path) -> None:
    shown = cli.run("check", path, "--target", "isaac").stdout
    assert "4 large ones were not read" in shown
    assert "--read-weights" in shown
