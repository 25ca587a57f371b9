"""Networks on chips that are too small for them: in stages, or with rows in global memory.

Four definitions of one network agree, and the literal machine with the decoded one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.topologies import topology

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.data import find_beside
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.errors import CapacityError
from imcc.compiler.ir import evaluate
from imcc.compiler.ir.ops.spill import Spill
from imcc.compiler.mapping import summary
from imcc.compiler.mapping.reload import Reload
from imcc.compiler.options import CompileOptions
from imcc.compiler.report import report
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.machine import load_program_samples
from imcc.isa import Target, program_bytes, program_from_bytes
from imcc.isa.instructions import Barrier, Mvm, Write, WriteMatrix
from imcc.runtime import Machine, profile

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.onnx"))
SAMPLES = 4


def small_chip(name: str, cores: int, arrays: int, *more: str) -> Target:
    mesh = ("chip.mesh_rows=1", f"chip.mesh_cols={cores}", f"core.arrays={arrays}")
    return load_chip(name, (*mesh, *more))


# As small as each can be and the largest network still takes more than one stage.
CHIPS = {
    "isaac": small_chip("isaac", 2, 8),
    "puma": small_chip("puma", 3, 4),
    "dcim22": small_chip("dcim22", 2, 3),
    "neurram": small_chip("neurram", 2, 3),
    "tiny": small_chip("tiny", 3, 40),
}


def equal_everywhere(compilation: Compilation, model: Path) -> list[int]:
    """Verify a program as it is read back from its file; returns how many elements differ."""
    program = program_from_bytes(program_bytes(compilation.program))
    data = find_beside(model)
    assert data is not None
    samples = load_program_samples(data, program).first(SAMPLES)
    result = verify_program(program, model, samples)
    assert len(result.comparisons) == 4
    assert all(comparison.passed for comparison in result.comparisons)
    return [comparison.differences for comparison in result.comparisons]


@pytest.mark.parametrize("mode", ScheduleMode)
@pytest.mark.parametrize("name", CHIPS)
def test_resnet_in_stages_on_every_target(name: str, mode: ScheduleMode) -> None:
    model = next(path for path in MODELS if path.stem == "fmnist_resnet8_bn")
    compilation = compile_model(model, CHIPS[name], CompileOptions(schedule=mode))
    compilation.tiled.verify()
    assert compilation.tiled.stage_count > 1
    assert equal_everywhere(compilation, model)[0] == 0


@pytest.mark.parametrize("mode", [ScheduleMode.LAYERS, ScheduleMode.LATENCY])
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_lossless_program_in_stages_equals_onnxruntime(model: Path, mode: ScheduleMode) -> None:
    """Most products do not fit a core of one array alone."""
    chip = small_chip("dcim22", 1, 1)
    compilation = compile_model(model, chip, CompileOptions(schedule=mode))
    assert compilation.tiled.stage_count > 1
    assert equal_everywhere(compilation, model) == [0, 0, 0, 0]


@pytest.mark.parametrize("mode", ScheduleMode)
def test_literal_machine_keeps_cells_of_the_present_stage(mode: ScheduleMode) -> None:
    model = next(path for path in MODELS if path.stem == "fmnist_mobilenet_bn")
    compilation = compile_model(model, small_chip("isaac", 2, 3), CompileOptions(schedule=mode))
    assert compilation.tiled.stage_count > 2
    random = np.random.default_rng(3)
    inputs = {
        value.name: random.standard_normal((2, *value.type.shape[1:])).astype(np.float32)
        for value in compilation.tiled.graph.inputs
    }
    machine = Machine(compilation.program)
    expected = evaluate(compilation.tiled.graph, inputs)
    machine.reset(inputs)
    while machine.step() is not None:
        pass
    for name, array in machine.outputs().items():
        np.testing.assert_array_equal(array, expected[name])
        np.testing.assert_array_equal(machine.run(inputs)[name], array)


def test_rows_wait_in_global_memory_where_local_memory_is_short() -> None:
    """The network fits the arrays; 5 KiB hold none of its larger feature maps."""
    model = next(path for path in MODELS if path.stem == "fmnist_resnet8_bn")
    chip = load_chip("isaac", ("core.local_memory_kib=5",))
    compilation = compile_model(model, chip)
    assert compilation.tiled.stage_count == 1
    assert any(isinstance(task.node.op, Spill) for task in compilation.schedule.tasks)
    assert max(compilation.schedule.peak.values()) <= 5 << 10
    assert equal_everywhere(compilation, model)[0] == 0
    assert profile(compilation.program).setup.cells > 0


def test_resnet18_in_stages_on_a_tenth_of_a_chip() -> None:
    """Rows stream inside a stage; barriers are between stages, and cells are written between."""
    chip = load_chip("isaac", ("chip.mesh_rows=4", "chip.mesh_cols=4", "core.local_memory_kib=256"))
    model = topology("resnet18").SerializeToString()
    compilation = compile_model(
        model, chip, CompileOptions(schedule=ScheduleMode.LATENCY), "random"
    )
    stages = compilation.tiled.stage_count
    assert stages > 3
    code = compilation.program.cores[0]
    assert 0 < sum(isinstance(one, Barrier) for one in code) < stages
    first = next(index for index, one in enumerate(code) if isinstance(one, Mvm))
    assert any(isinstance(one, Write | WriteMatrix) for one in code[first:])
    image = np.random.default_rng(1).standard_normal((1, 3, 224, 224)).astype(np.float32)
    inputs = {compilation.tiled.graph.inputs[0].name: image}
    found = Machine(compilation.program).run(inputs)
    for name, array in evaluate(compilation.quantized, inputs).items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("mode", ScheduleMode)
def test_report_says_what_the_simulation_counts(mode: ScheduleMode) -> None:
    model = next(path for path in MODELS if path.stem == "fmnist_resnet8")
    compilation = compile_model(model, small_chip("isaac", 2, 7), CompileOptions(schedule=mode))
    found, simulated = report(compilation).reload, profile(compilation.program, inputs=2)
    energy = compilation.program.target.energy
    assert found.stages == compilation.tiled.stage_count > 1
    assert dict(simulated.components)["cell writing"] == found.cells * energy.e_write_cell_pj
    cells = sum(layer.cells for layer in summary(compilation.tiled))
    assert found.cells + simulated.setup.cells == cells
    assert 1 < found.cell_writes <= found.stages


def test_network_that_fits_reloads_nothing() -> None:
    found = report(compile_model(MODELS[0], "isaac")).reload
    assert found == Reload(1, 0, 0, 0.0, 0.0, 0)


def test_too_little_global_memory_says_how_much_would_do() -> None:
    """Kernels and biases of SqueezeNet are 1.2 million numbers."""
    chip = load_chip("isaac", ("chip.global_memory_mib=1", "core.local_memory_kib=1024"))
    with pytest.raises(
        CapacityError,
        match=r"^the program needs 1,[3-9]\d\d,\d{3} bytes of global memory, .* target 'isaac' has "
        r"1,048,576: [\d,]+ short\. Use more \(--set chip\.global_memory_mib=2\)",
    ):
        compile_model(topology("squeezenet1_1").SerializeToString(), chip, None, "random")


def test_stages_are_taken_apart_where_local_memory_is_short() -> None:
    """DenseNet keeps what its blocks make: two operations at a time stream, not whole stages."""
    sizes = ("chip.mesh_rows=3", "chip.mesh_cols=3", "core.local_memory_kib=23")
    options = CompileOptions(schedule=ScheduleMode.LATENCY)
    model = topology("densenet121_64").SerializeToString()
    compilation = compile_model(model, load_chip("isaac", sizes), options, "random")
    phases = {task.phase for task in compilation.schedule.tasks}
    operations = {compilation.schedule.whole(task.node) for task in compilation.schedule.tasks}
    assert compilation.tiled.stage_count < len(phases) < len(operations)
    value = compilation.tiled.graph.inputs[0]
    image = np.random.default_rng(2).standard_normal(value.type.shape).astype(np.float32)
    found = Machine(compilation.program).run({value.name: image})
    for name, array in evaluate(compilation.quantized, {value.name: image}).items():
        np.testing.assert_array_equal(found[name], array)
