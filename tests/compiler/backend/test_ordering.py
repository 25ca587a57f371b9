"""Instructions in another order: the same results, the same origins, and less waiting."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from support.random_programs import random_program
from support.timed_program import dense, program, stream

from imcc.compiler.backend import Aim, ValueProbe, order_instructions, played_cycles
from imcc.compiler.driver import compile_model
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.isa import Instruction, Program, Role, Space, load_target, validate, walk
from imcc.isa.fields import ElementType
from imcc.isa.instructions import Barrier, Mvm, Recv, Send, Store, Write
from imcc.runtime import Machine, Probe, profile

MODELS = Path(__file__).parents[3] / "models"
Arrays = dict[str, np.ndarray]

seeds = st.integers(0, 1 << 30)
lengths = st.integers(1, 25)


def inputs_of(seed: int) -> Arrays:
    return {"x": np.random.default_rng(seed).integers(0, 256, (2, 512)).astype(np.uint8)}


def outputs(program: Program, inputs: Arrays) -> Arrays:
    machine = Machine(program)
    machine.reset(inputs)
    while machine.step() is not None:
        pass
    return machine.outputs(codes=True)


@given(seed=seeds, length=lengths, cores=st.integers(1, 3), aim=st.sampled_from(Aim))
@settings(max_examples=80, deadline=None)
def test_results_stay_what_they_are(seed: int, length: int, cores: int, aim: Aim) -> None:
    """All memory of all cores is compared, on programs whose operands overlap at random."""
    program = random_program(seed, length, cores)
    ordered, _ = order_instructions(program, (), aim)
    expected = outputs(program, inputs_of(seed))
    for name, found in outputs(ordered, inputs_of(seed)).items():
        np.testing.assert_array_equal(found, expected[name], name)


@given(seed=seeds, length=lengths, cores=st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_probes_find_their_values(seed: int, length: int, cores: int) -> None:
    program = random_program(seed, length, cores)
    probes = probes_of(program)
    ordered, moved = order_instructions(program, probes)
    before, after = (
        Machine(code).probe(
            inputs_of(seed),
            {str(i): Probe(one.core, one.pc, one.stream) for i, one in enumerate(asked)},
        )
        for code, asked in ((program, probes), (ordered, moved))
    )
    for name, found in after.items():
        np.testing.assert_array_equal(found, before[name], name)


def probes_of(program: Program) -> tuple[ValueProbe, ...]:
    """What each instruction writes to local memory, the last time it runs."""
    found: dict[tuple[int, int], ValueProbe] = {}
    for core, code in program.cores.items():
        for operation in walk(core, code):
            for field in operation.instruction.layout:
                stream = operation.streams.get(field.name)
                if field.kind.role is Role.WRITE and stream and stream.space is Space.LOCAL:
                    probe = ValueProbe("v", core, operation.pc, stream, stream.counts)
                    found[core, operation.pc] = probe
    return tuple(found.values())


@pytest.fixture(scope="module")
def streamed() -> tuple[Program, Program]:
    """A network whose rows stream, as it was emitted and as it is ordered."""
    emitted: list[Program] = []

    def note(program: Program, probes: tuple[ValueProbe, ...], aim: Aim) -> object:
        emitted.append(program)
        return order_instructions(program, probes, aim)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imcc.compiler.driver.may_go_apart", lambda *_: False)
        patch.setattr("imcc.compiler.driver.order_instructions", note)
        options = CompileOptions(schedule=ScheduleMode.LATENCY)
        model = (MODELS / "fmnist_resnet8.onnx").read_bytes()
        made = compile_model(model, "isaac", options, "random")
    return emitted[0], made.program


def test_origins_go_with_instructions(streamed: tuple[Program, Program]) -> None:
    def counts(program: Program) -> Counter[tuple[int, str, tuple[str, ...]]]:
        nodes = {
            (origin.core, pc): origin.nodes
            for origin in program.origins
            for pc in range(origin.start, origin.stop)
        }
        return Counter(
            (core, operation.instruction.mnemonic, nodes.get((core, operation.pc), ()))
            for core, code in program.cores.items()
            for operation in walk(core, code)
        )

    before, after = map(counts, streamed)
    assert before == after


def test_a_core_that_is_played_before_waits_less(streamed: tuple[Program, Program]) -> None:
    before, after = (profile(program) for program in streamed)
    assert after.latency_cycles < 0.8 * before.latency_cycles
    assert after.interval_cycles < before.interval_cycles
    assert after.energy_uj == pytest.approx(before.energy_uj)
    assert after.setup == before.setup


def test_an_order_for_inputs_in_a_row_waits_less_from_input_to_input(
    streamed: tuple[Program, Program],
) -> None:
    """An early core does not hand on at once what a late one, busy with the input before, gets."""
    one, in_a_row = (
        profile(order_instructions(streamed[0], (), aim)[0], inputs=6)
        for aim in (Aim.ONE_INPUT, Aim.INPUTS_IN_A_ROW)
    )
    assert in_a_row.interval_cycles < 0.95 * one.interval_cycles
    assert one.latency_cycles < in_a_row.latency_cycles


def test_what_is_ordered_is_valid(streamed: tuple[Program, Program]) -> None:
    """Also against deadlock: both sides of all transfers come in one order of the chip."""
    validate(streamed[1])


def test_the_order_is_the_same_every_time(streamed: tuple[Program, Program]) -> None:
    one, other = (order_instructions(streamed[0], ())[0] for _ in range(2))
    assert one.cores == other.cores


def test_barriers_and_what_others_read_stay_in_order() -> None:
    """A store that another core loads behind a barrier, and writes of cells at the beginning."""
    program = random_program(7, 12, 2)
    ordered, _ = order_instructions(program, ())
    for core, code in ordered.cores.items():
        kinds = [type(operation.instruction) for operation in walk(core, code)]
        first = next(i for i, kind in enumerate(kinds) if kind is not Write)
        old = [type(operation.instruction) for operation in walk(core, program.cores[core])]
        assert first == next(i for i, kind in enumerate(old) if kind is not Write)
        assert Counter(kinds) == Counter(old)
        assert kinds.count(Store) == old.count(Store)
        assert kinds.count(Barrier) == old.count(Barrier)


@pytest.mark.parametrize(
    ("target", "later"), [("pimcomp", 1.02), ("neurram", 1.05), ("dcim22", 1.35)]
)
def test_a_play_ends_about_when_the_ordered_program_does(target: str, later: float) -> None:
    """It has no issue window, and lets transfers and products of a core take turns.

    That costs most where products are short, on `dcim22`.
    """
    program = compile_model(
        MODELS / "fmnist_resnet8.onnx", target, CompileOptions(schedule=ScheduleMode.LATENCY)
    ).program
    latency = profile(program).latency_cycles
    assert latency < played_cycles(program) < later * latency


@pytest.mark.parametrize(("start_ns", "peers"), [(200.0, [2, 0]), (0.0, [0, 2])])
def test_who_waits_for_a_core_that_multiplies_serves_another(
    start_ns: float, peers: list[int]
) -> None:
    """Where starts of row blocks take time; elsewhere a core has its transfers beside products."""
    chip = load_target("pimcomp")
    timing = chip.timing.model_copy(update={"t_start_ns": start_ns})
    chip = chip.model_copy(update={"timing": timing})
    multiplied: list[Instruction] = [
        *stream(0, Space.LOCAL, ElementType.U8, 0, 30, 128),
        *stream(1, Space.LOCAL, ElementType.I32, 1 << 14, 30, 8),
        Mvm(1, 0, 0, 1, 0),
    ]
    sent = stream(2, Space.LOCAL, ElementType.U8, 0, 64)
    come = stream(2, Space.LOCAL, ElementType.U8, 1 << 13, 64)
    cores: dict[int, list[Instruction]] = {
        0: [*multiplied, *come, Recv(2, 1, 0)],
        1: [*sent, Send(2, 0, 0), Send(2, 2, 0)],
        2: [*come, Recv(2, 1, 0)],
    }
    ordered, _ = order_instructions(program(chip, cores, (dense(chip, 128, 8, 1, False),)), ())
    sends = (operation.instruction for operation in walk(1, ordered.cores[1]))
    assert [one.peer for one in sends if isinstance(one, Send)] == peers
