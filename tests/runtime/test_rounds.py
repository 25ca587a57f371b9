"""Programs with phases: inputs side by side give what each gives alone, and rounds take time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.timed_program import program, stream
from support.topologies import topology

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Model, compile_model
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.isa import Binding, Instruction, Program, load_target
from imcc.isa.fields import ElementType, HostType, Space
from imcc.isa.instructions import Barrier, Fill, Load, Lut, Phase, Recv, Send, Store
from imcc.runtime import Machine, profile, run_in_rounds
from imcc.runtime.timing.pimcomp import evaluate

LOCAL, GLOBAL, U8 = Space.LOCAL, Space.GLOBAL, ElementType.U8
MODELS = Path(__file__).parents[2] / "models"
# A network so slow that what layers hand on goes through the global memory.
SLOW = ("timing.noc_bytes_per_cycle=0.5", "core.local_memory_kib=4096")


def in_phases(model: Model) -> Program:
    options = CompileOptions(schedule=ScheduleMode.THROUGHPUT)
    return compile_model(model, load_chip("pimcomp", SLOW), options, "random").program


@pytest.mark.parametrize(
    "name",
    [
        "fmnist_resnet8",
        "fmnist_mobilenet",
        "googlenet_64",  # concatenations, whose operands have other codes
        "shufflenet_v2_x1_0_64",
        "vit_micro",
        "gru",
    ],
)
def test_inputs_side_by_side_give_what_each_gives_alone(name: str) -> None:
    model = MODELS / f"{name}.onnx"
    found = in_phases(model if model.exists() else topology(name).SerializeToString())
    assert found.phases > 1
    random = np.random.default_rng(3)
    inputs = {
        b.name: random.standard_normal((3, *b.shape[1:])).astype(np.float32) for b in found.inputs
    }
    alone = Machine(found).run(inputs, codes=True)
    for output, codes in run_in_rounds(found, inputs).items():
        np.testing.assert_array_equal(codes, alone[output])


def test_what_a_phase_leaves_in_local_memory_is_lost() -> None:
    """The machine takes input by input and does not see it; `validate` refuses such programs."""
    store = [*stream(0, GLOBAL, U8, 4160, 8), *stream(1, LOCAL, U8, 0, 8), Store(0, 1)]
    load = [*stream(2, LOCAL, U8, 0, 8), *stream(3, GLOBAL, U8, 4096, 8), Load(2, 3)]
    x, y = (
        Binding.plain(name, HostType.U8, (1, 8), address)
        for name, address in (("x", 4096), ("y", 4160))
    )
    leaves = replace(
        program(load_target("tiny"), {0: [*load, Phase(), *store]}), inputs=(x,), outputs=(y,)
    )
    inputs = {"x": np.arange(24, dtype=np.uint8).reshape(3, 8)}
    np.testing.assert_array_equal(Machine(leaves).run(inputs)["y"], inputs["x"])
    mixed = run_in_rounds(leaves, inputs)["y"]
    np.testing.assert_array_equal(mixed, inputs["x"][[1, 2, 2]])


def fill(count: int) -> list[Instruction]:
    return [*stream(0, LOCAL, U8, 0, count), Fill(0, 0)]


def test_a_round_takes_as_long_as_the_busiest_core_for_all_its_phases() -> None:
    """On `tiny` 16 bytes pass a cycle. One input alone would wait for the longer core twice."""
    chip = load_target("tiny")

    def cores(end: Instruction) -> Program:
        short, long = fill(160), fill(1600)
        return program(chip, {0: [*short, end, *long], 1: [*long, end, *short]})

    found, waiting = profile(cores(Phase()), 4), profile(cores(Barrier(0)), 4)
    assert (found.phases, waiting.phases) == (2, 1)
    assert 10 + 100 <= found.interval_cycles < 10 + 100 + 10
    assert waiting.latency_cycles >= 100 + 100
    assert 2 * (10 + 100) <= found.latency_cycles <= 2 * found.interval_cycles
    assert sum(cycles for _, cycles in found.critical_path) == found.latency_cycles


def test_inputs_wait_for_all_cores_at_the_end_of_a_round() -> None:
    chip = load_target("tiny")
    slow, quick = [*fill(3200), Phase()], [Phase(), *fill(160)]
    found = profile(program(chip, {0: slow, 1: quick}), 4)
    assert 200 <= found.interval_cycles < 200 + 10
    assert abs(found.total_cycles - 4 * found.interval_cycles) < 4


def test_pimcomps_rounds_are_as_long_as_their_busiest_core() -> None:
    """A core sends 256 elements, 20 ns, behind the 3 steps of 10 ns of its first phase."""
    chip = load_target("pimcomp")
    vector = [*stream(0, LOCAL, U8, 0, 3 * 32), *stream(1, LOCAL, U8, 4096, 3 * 32)]
    lut = [*vector, *stream(2, LOCAL, U8, 8192, 256), Lut(0, 1, 2)]
    send = [*stream(3, LOCAL, U8, 0, 256), Send(3, 1, 0)]
    recv = [*stream(3, LOCAL, U8, 0, 256), Recv(3, 0, 0)]
    rounds = evaluate(program(chip, {0: [*lut, *send, Phase()], 1: [*recv, Phase(), *lut]}))
    assert rounds.period_ns == 30 + 20 + 30
    assert rounds.latency_ns == 2 * rounds.period_ns
