"""Models without a batch axis that every value keeps, from file to verified program."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from support.command_line import imcc
from support.onnx_models import run_onnxruntime
from support.sample_models import time_first, window_attention, word_bags

from imcc.compiler.ir import Array

CASES: dict[str, tuple[Callable[[], ModelProto], dict[str, tuple[int, ...]], tuple[str, ...]]] = {
    "windows": (window_attention, {"x": (1, 8, 8, 8)}, ()),
    "time_first": (time_first, {"x": (4, 1, 5)}, ("--dim", "N=1")),
    "words": (word_bags, {"ids": (6,), "gain": ()}, ()),
}
COUNT = 5


def sample(shapes: Mapping[str, tuple[int, ...]], random: np.random.Generator) -> dict[str, Array]:
    """One sample in the shapes of the model."""
    return {
        name: random.integers(0, 20, shape)
        if name == "ids"
        else random.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def stacked(samples: list[dict[str, Array]]) -> dict[str, Array]:
    """Samples along a batch axis: an axis 0 of extent 1, or a new one."""
    return {
        name: np.concatenate([a if (a := s[name]).shape[:1] == (1,) else a[None] for s in samples])
        for name in samples[0]
    }


@pytest.fixture(params=CASES)
def case(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[ModelProto, Path, list[dict[str, Array]]]:
    """A compiled model, where its files lie, and samples."""
    make, shapes, flags = CASES[request.param]
    proto, random = make(), np.random.default_rng(2)
    samples = [sample(shapes, random) for _ in range(COUNT)]
    onnx.save(proto, tmp_path / "m.onnx")
    np.savez(tmp_path / "m.npz", allow_pickle=False, **stacked(samples))
    result = imcc("compile", tmp_path / "m.onnx", "--target", "isaac", "-v", *flags)
    assert result.exit_code == 0, result.output
    assert "the model is compiled whole, for one sample" in result.stderr
    return proto, tmp_path, samples


def test_run_and_verify(case: tuple[ModelProto, Path, list[dict[str, Array]]]) -> None:
    proto, path, samples = case
    program, model, data = path / "m.imc", path / "m.onnx", path / "m.npz"
    result = imcc("run", program, "--input", data, "-o", path / "y.npz")
    assert result.exit_code == 0, result.output
    found = np.load(path / "y.npz")["y"]
    exact = np.concatenate([run_onnxruntime(proto, one)[0] for one in samples])
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
    for flags in ((), ("--layerwise",), ("--data", data)):
        result = imcc("verify", program, "--model", model, *flags)
        assert result.exit_code == 0, result.output
    assert result.stdout.rstrip().endswith("verified")


def test_random_data_serve(tmp_path: Path) -> None:
    onnx.save(word_bags(), tmp_path / "m.onnx")
    arguments = ("compile", tmp_path / "m.onnx", "--target", "isaac", "--calib", "random")
    assert imcc(*arguments).exit_code == 0
    result = imcc("verify", tmp_path / "m.imc", "--model", tmp_path / "m.onnx")
    assert result.exit_code == 0, result.output


def test_inspect_and_opt_show_whole_models(tmp_path: Path) -> None:
    onnx.save(window_attention(), tmp_path / "m.onnx")
    shown = json.loads(imcc("inspect", tmp_path / "m.onnx", "--json").stdout)
    assert shown["tensors"][0]["shape"] == "[1, 8, 8, 8]"
    passes = "decompose,add-batch-axis,canonicalize,quantize"
    result = imcc("opt", tmp_path / "m.onnx", "--pass-pipeline", passes)
    assert result.exit_code == 0, result.output
    assert "imcc.qdot" in result.stdout


def test_check_places_whole_models(tmp_path: Path) -> None:
    onnx.save(window_attention(), tmp_path / "m.onnx")
    result = imcc("check", tmp_path / "m.onnx", "--target", "isaac")
    assert result.exit_code == 0, result.output
