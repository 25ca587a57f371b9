"""Programs whose inputs overlap: what each input gives is what it gives alone, only sooner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.mesh_programs import compiled, expect_agreement
from support.topologies import topology

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import compile_model
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.isa import validate
from imcc.isa.instructions import Lag
from imcc.runtime import Machine, profile, run_in_rounds

MODELS = Path(__file__).parents[2] / "models"
CASES = [("fmnist_resnet8", 2, 2), ("fmnist_resnet8", 3, 3), ("fmnist_mobilenet", 2, 2)]


@pytest.mark.parametrize(("name", "rows", "cols"), CASES)
def test_inputs_in_rounds_give_what_a_program_for_one_input_gives(
    name: str, rows: int, cols: int
) -> None:
    """The other program is mapped, ordered and placed in memory by other rules."""
    found = compiled(name, rows, cols, ScheduleMode.THROUGHPUT).program
    assert found.lags > 0
    inputs = {
        b.name: np.random.default_rng(5).random((4, *b.shape[1:]), np.float32) for b in found.inputs
    }
    alone = Machine(compiled(name, rows, cols, ScheduleMode.LAYERS).program)
    expected = alone.run(inputs, codes=True)
    for output, codes in run_in_rounds(found, inputs).items():
        np.testing.assert_array_equal(codes, expected[output])


@pytest.mark.parametrize(("name", "rows", "cols"), CASES)
def test_all_definitions_of_the_network_agree(name: str, rows: int, cols: int) -> None:
    expect_agreement(name, compiled(name, rows, cols, ScheduleMode.THROUGHPUT))


@pytest.mark.parametrize(("name", "rows", "cols"), CASES)
def test_the_interval_is_shorter_than_one_input_takes(name: str, rows: int, cols: int) -> None:
    """With inputs in turn it is at least the time that a core is at one of them."""
    found = profile(compiled(name, rows, cols, ScheduleMode.THROUGHPUT).program, 8)
    alone = profile(compiled(name, rows, cols, ScheduleMode.LATENCY).program, 8)
    assert found.interval_us < 0.6 * alone.interval_us
    assert found.interval_us < found.latency_us


def test_constants_are_loaded_once() -> None:
    """Before the first lag of each core, so that rounds read weights' biases and scales there."""
    program = compiled("fmnist_resnet8", 2, 2, ScheduleMode.THROUGHPUT).program
    for code in program.cores.values():
        first = next(i for i, one in enumerate(code) if isinstance(one, Lag))
        kinds = {one.mnemonic for one in code[:first]}
        assert kinds <= {"write.matrix", "load", "stream", "dim", "step"}
        assert "write.matrix" in kinds


def test_values_of_parts_are_found_in_rounds_too() -> None:
    """A network with branches that are joined and added, of 64 x 64 pixels."""
    chip = load_chip("isaac", ("chip.mesh_rows=5", "chip.mesh_cols=5", "core.local_memory_kib=256"))
    model = topology("googlenet_64").SerializeToString()
    options = CompileOptions(schedule=ScheduleMode.THROUGHPUT)
    made = compile_model(model, chip, options, "random")
    validate(made.program)
    inputs = {
        b.name: np.random.default_rng(5).random((2, *b.shape[1:]), np.float32)
        for b in made.program.inputs
    }
    layers = compile_model(model, chip, CompileOptions(schedule=ScheduleMode.LAYERS), "random")
    expected = Machine(layers.program).run(inputs, codes=True)
    for output, codes in run_in_rounds(made.program, inputs).items():
        np.testing.assert_array_equal(codes, expected[output])
