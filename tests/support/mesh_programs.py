"""Bundled models on small meshes, and whether all definitions of a compiled one agree."""

from __future__ import annotations

from pathlib import Path

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.data import find_beside
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.machine import load_program_samples
from imcc.isa import program_bytes, program_from_bytes, validate

MODELS = Path(__file__).parents[2] / "models"


def compiled(name: str, rows: int, cols: int, mode: ScheduleMode) -> Compilation:
    """A bundled model on `isaac` with so many rows and columns of cores."""
    chip = load_chip("isaac", (f"chip.mesh_rows={rows}", f"chip.mesh_cols={cols}"))
    return compile_model(MODELS / f"{name}.onnx", chip, CompileOptions(schedule=mode))


def expect_agreement(name: str, made: Compilation) -> None:
    """The program is read back from its file; all values are compared on their way."""
    made.tiled.verify()
    program = program_from_bytes(program_bytes(made.program))
    validate(program)
    data = find_beside(MODELS / f"{name}.onnx")
    assert data is not None
    samples = load_program_samples(data, program).first(4)
    result = verify_program(program, MODELS / f"{name}.onnx", samples, layerwise=True)
    assert result.layers
    assert not any(layer.machine or layer.tiled for layer in result.layers)
    assert [comparison.differences for comparison in result.comparisons] == [0, 0, 0, 0]
    assert all(comparison.passed for comparison in result.comparisons)
