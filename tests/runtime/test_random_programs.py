"""The decoded form equals literal steps on programs that no compiler would write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from support.hand_program import hand_program
from support.random_programs import random_program

from imcc.isa import Instruction, Program, Space
from imcc.isa.instructions import Mvm, Nop, Stream
from imcc.isa.table import InstructionTable
from imcc.runtime import Machine, MachineError, Probe
from imcc.runtime import dot_step as dot_step_module
from imcc.runtime import mvm_steps as mvm_steps_module
from imcc.runtime import prepare as prepare_module
from imcc.runtime import steps as steps_module
from imcc.runtime.checks import parts

seeds = st.integers(0, 1 << 30)
lengths = st.integers(1, 25)
Arrays = dict[str, np.ndarray]


def inputs_of(seed: int) -> Arrays:
    return {"x": np.random.default_rng(seed).integers(0, 256, (3, 512)).astype(np.uint8)}


def literal_outputs(machine: Machine, inputs: Arrays) -> Arrays:
    machine.reset(inputs)
    while machine.step() is not None:
        pass
    return machine.outputs(codes=True)


def assert_forms_agree(program: Program, inputs: Arrays) -> None:
    machine = Machine(program, chunk=2, threads=1)
    expected = literal_outputs(machine, inputs)
    for name, found in machine.run(inputs, codes=True).items():
        np.testing.assert_array_equal(found, expected[name], name)


@given(seed=seeds, length=lengths, cores=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_decoded_form_equals_literal_steps(seed: int, length: int, cores: int) -> None:
    assert_forms_agree(random_program(seed, length, cores), inputs_of(seed))


@given(seed=seeds, length=lengths)
@settings(max_examples=40, deadline=None)
def test_work_may_be_cut_anywhere(seed: int, length: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mvm_steps_module, "_BLOCK_FLOATS", 16)
        patch.setattr(dot_step_module, "_BLOCK_FLOATS", 16)
        patch.setattr(dot_step_module, "FLOAT32_LIMIT", 1 << 12)
        patch.setattr(steps_module, "BLOCK_ELEMENTS", 8)
        patch.setattr(prepare_module, "FLOAT32_LIMIT", 1 << 12)
        assert_forms_agree(random_program(seed, length), inputs_of(seed))


@given(seed=seeds, length=lengths, cores=st.integers(1, 2))
@settings(max_examples=25, deadline=None)
def test_probes_see_what_literal_steps_leave(seed: int, length: int, cores: int) -> None:
    """Every local operand of about a third of the operations, the last time they run."""
    rng = np.random.default_rng(seed)
    machine = Machine(random_program(seed, length, cores))
    machine.reset(inputs_of(seed))
    expected: Arrays = {}
    probes: dict[str, Probe] = {}
    while (operation := machine.step()) is not None:
        for part in parts(operation):
            for operand, stream in part.streams.items():
                if stream.space is Space.LOCAL and rng.random() < 0.3:
                    name = f"{part.core}, {part.pc}, {operand}"
                    probes[name] = Probe(part.core, part.pc, stream)
                    expected[name] = machine.read(stream, part.core).reshape(3, -1).copy()
    repeated = {(p.core, p.pc) for p in probes.values()} & _in_loops(machine.program)
    probes = {name: p for name, p in probes.items() if (p.core, p.pc) not in repeated}
    for name, found in machine.probe(inputs_of(seed), probes).items():
        np.testing.assert_array_equal(found, expected[name], name)


def _in_loops(program: Program) -> set[tuple[int, int]]:
    """Places that run more than once: a literal step in between is not their last one."""
    places = set()
    for core, code in program.cores.items():
        for pc, instruction in enumerate(code):
            if instruction.mnemonic == "loop":
                places |= {(core, pc + 1 + i) for i in range(instruction.operands[1])}
    return places


def changed(core: int, pc: int, instruction: Instruction) -> Program:
    program = hand_program()
    code = list(program.cores[core])
    code[pc] = instruction
    return replace(program, cores={**program.cores, core: tuple(code)})


NODES = "(node '/layer1/conv', '/layer1/relu')"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            lambda: changed(0, 4, Stream(1, Space.GLOBAL, 0, 600)),
            "core 0 at 8: load s2, s1: bytes 600..603 lie outside global memory (0..511)",
        ),
        (
            lambda: changed(0, 6, Stream(2, Space.LOCAL, 0, 1 << 30)),
            "core 0 at 8: load s2, s1: bytes 1073741824..1073741827 lie outside local memory "
            "(0..131071)",
        ),
        (
            lambda: changed(0, 4, Stream(1, Space.GLOBAL, 0, 382)),
            "core 0 at 8: load s2, s1: bytes 382..385 lie partly in the constants (0..383)",
        ),
        (
            lambda: changed(1, 14, Stream(5, Space.GLOBAL, 0, 80)),
            "core 1 at 16: store s5, s4: bytes 80..81 are constants, which nothing may write",
        ),
        (
            lambda: changed(0, 11, Mvm(3, 2, 9, 1, 0)),
            f"core 0 at 11: mvm s3, s2, m9, 1, 0 {NODES}: there is no matrix m9; the program has 1",
        ),
        (
            lambda: changed(0, 11, Mvm(3, 2, 0, 0, 0)),
            f"core 0 at 11: mvm s3, s2, m0, 0, 0 {NODES}: matrix m0 is 4 x 2; src has 4 vectors "
            "of 1, dst 2 elements",
        ),
    ],
)
def test_what_reaches_too_far_is_refused_at_once(
    program: Callable[[], Program], message: str
) -> None:
    with pytest.raises(MachineError) as error:
        Machine(program())
    assert str(error.value) == message


def test_reading_unwritten_memory_is_refused_in_full() -> None:
    machine = Machine(changed(0, 8, Nop()))
    with pytest.raises(MachineError) as error:
        literal_outputs(machine, {"x": np.zeros((1, 4))})
    assert str(error.value) == (
        f"core 0 at 11: mvm s3, s2, m0, 1, 0 {NODES}: byte 0 of local memory is read before it "
        "is written; 4 of 4 bytes are not"
    )


def test_an_instruction_without_function_is_named() -> None:
    table: InstructionTable[Callable[[], None]] = InstructionTable("singing")
    with pytest.raises(TypeError, match=r"^no function for singing of: .*\bmvm\b"):
        table.require_complete()
    table(Mvm)(lambda: None)
    with pytest.raises(TypeError, match=r"^mvm has two functions for singing$"):
        table(Mvm)(lambda: None)
