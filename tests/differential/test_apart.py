"""Programs for least latency, whose products have arrays of their own, are the network, sooner."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.mesh_programs import compiled, expect_agreement
from support.onnx_models import model, node

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Compilation, compile_model, recompile
from imcc.compiler.ir import evaluate
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.isa import validate, walk
from imcc.isa.instructions import Lag, Mvm
from imcc.isa.setup import WRITES, setup_end
from imcc.runtime import Machine, profile, run_in_rounds

MODELS = Path(__file__).parents[2] / "models"
CASES = [("fmnist_resnet8", 2, 2), ("fmnist_mobilenet", 2, 2), ("fmnist_lenet", 4, 4)]


@cache
def found_for(
    name: str, rows: int, cols: int, mode: ScheduleMode = ScheduleMode.LATENCY
) -> Compilation:
    return compiled(name, rows, cols, mode)


def is_in_rounds(compilation: Compilation) -> bool:
    codes = compilation.program.cores.values()
    return any(isinstance(one, Lag) for code in codes for one in code)


@pytest.mark.parametrize(("name", "rows", "cols"), CASES)
def test_the_program_is_the_network(name: str, rows: int, cols: int) -> None:
    made = found_for(name, rows, cols)
    assert is_in_rounds(made)
    assert made.program.lags == 0
    expect_agreement(name, made)


@pytest.mark.parametrize(("name", "rows", "cols"), CASES)
def test_inputs_in_a_row_give_what_each_gives_alone(name: str, rows: int, cols: int) -> None:
    """Constants are loaded once, so memory of one input must leave those of the next alone."""
    found = found_for(name, rows, cols).program
    inputs = {
        b.name: np.random.default_rng(6).random((3, *b.shape[1:]), np.float32) for b in found.inputs
    }
    layers = Machine(found_for(name, rows, cols, ScheduleMode.LAYERS).program)
    expected = layers.run(inputs, codes=True)
    for output, codes in run_in_rounds(found, inputs).items():
        np.testing.assert_array_equal(codes, expected[output])


@pytest.mark.parametrize(("name", "rows", "cols"), CASES)
def test_it_is_faster_than_products_that_share_arrays(
    name: str, rows: int, cols: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = found_for(name, rows, cols)
    monkeypatch.setattr("imcc.compiler.driver.may_go_apart", lambda *_: False)
    other = compiled(name, rows, cols, ScheduleMode.LATENCY)
    assert not is_in_rounds(other)
    assert profile(found.program).latency_us < profile(other.program).latency_us


def test_no_array_has_two_products() -> None:
    program = found_for("fmnist_resnet8", 2, 2).program
    nodes = {
        (one.core, pc): one.nodes for one in program.origins for pc in range(one.start, one.stop)
    }
    owners = defaultdict(set)
    for core, code in program.cores.items():
        for operation in walk(core, code):
            if isinstance(operation.instruction, Mvm):
                owners[core, operation.instruction.matrix].add(nodes[core, operation.pc])
    assert len(owners) > len(program.cores)
    assert {len(found) for found in owners.values()} == {1}


def test_the_same_program_comes_from_its_notes() -> None:
    made = found_for("fmnist_resnet8", 2, 2)
    again = recompile(made.program, MODELS / "fmnist_resnet8.onnx")
    assert again.program.cores == made.program.cores


def test_with_time_it_is_no_slower() -> None:
    """-O3 tries runs of several lengths."""
    chip = load_chip("isaac", ("chip.mesh_rows=2", "chip.mesh_cols=2"))
    quick, slow = (
        profile(
            compile_model(
                MODELS / "fmnist_resnet8.onnx",
                chip,
                CompileOptions(level, schedule=ScheduleMode.LATENCY),
            ).program
        ).latency_us
        for level in (2, 3)
    )
    assert slow <= quick * 1.02


@pytest.mark.parametrize("mode", [ScheduleMode.LATENCY, ScheduleMode.THROUGHPUT])
def test_a_chip_that_just_holds_a_network_writes_its_weights_once(mode: ScheduleMode) -> None:
    """Products of 2 to 7 arrays fill four cores of 10: one by one, in this order, they do not."""
    random, arrays = np.random.default_rng(0), (2, 3, 4, 4, 4, 5, 5, 6, 7)
    weights = {
        f"w{i}": random.standard_normal((32 * count, 128, 1, 1)).astype(np.float32)
        for i, count in enumerate(arrays)
    }
    nodes = [node("Conv", f"x w{i}", f"y{i}") for i in range(len(arrays))]
    outputs = " ".join(f"y{i}" for i in range(len(arrays)))
    network = model(nodes, {"x": (1, 128, 6, 6)}, weights, outputs=outputs)
    chip = load_chip("isaac", ("chip.mesh_rows=1", "chip.mesh_cols=4", "core.arrays=10"))
    made = compile_model(network, chip, CompileOptions(schedule=mode), "random")
    assert made.tiled.stage_count == 1
    for code in made.program.cores.values():
        behind = setup_end(code, made.program.matrices)
        assert not any(type(one) in WRITES for one in code[behind:])
    image = {"x": random.standard_normal((1, 128, 6, 6)).astype(np.float32)}
    found = Machine(made.program).run(image)
    for name, expected in evaluate(made.quantized, image).items():
        np.testing.assert_array_equal(found[name], expected)


def test_a_product_whose_rectangles_leave_gaps_is_cut() -> None:
    """LeNet's cells have room on two cores of 12 arrays, its rectangles have not."""
    chip = load_chip("isaac", ("chip.mesh_rows=1", "chip.mesh_cols=2", "core.arrays=12"))
    options = CompileOptions(schedule=ScheduleMode.LATENCY)
    validate(compile_model(MODELS / "fmnist_lenet.onnx", chip, options).program)
