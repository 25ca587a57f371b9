"""What a program keeps whose phases work on different inputs at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.timed_program import stream

from imcc.isa import (
    Binding,
    Instruction,
    Program,
    ValidationError,
    assemble,
    disassemble,
    load_target,
    validate,
)
from imcc.isa.fields import ElementType, HostType, Space
from imcc.isa.instructions import Copy, Halt, Load, Loop, Phase, Store, Write

LOCAL, GLOBAL, U8 = Space.LOCAL, Space.GLOBAL, ElementType.U8
CONSTANTS, INPUT, WAITING, OUTPUT, SIZE = 64, 64, 128, 192, 256
COUNT = 16


def moved(kind: type[Copy | Load | Store], to: int, source: int) -> list[Instruction]:
    """Sixteen bytes from one place to another."""
    there, here = {Load: (LOCAL, GLOBAL), Store: (GLOBAL, LOCAL), Copy: (LOCAL, LOCAL)}[kind]
    return [*stream(0, there, U8, to, COUNT), *stream(1, here, U8, source, COUNT), kind(0, 1)]


def copies(*cores: list[Instruction]) -> Program:
    """A program whose output is its input."""
    ends = {"x": INPUT, "y": OUTPUT}
    x, y = (Binding.plain(name, HostType.U8, (1, COUNT), at) for name, at in ends.items())
    code = {core: (*instructions, Halt()) for core, instructions in enumerate(cores)}
    return Program(load_target("tiny"), code, (), bytes(CONSTANTS), (x,), (y,), SIZE)


FIRST = [*moved(Load, 0, INPUT), *moved(Store, WAITING, 0)]
SECOND = [*moved(Load, 0, WAITING), *moved(Store, OUTPUT, 0)]


def test_what_one_phase_stores_the_next_one_loads_on_any_core() -> None:
    here = copies([*FIRST, Phase(), *SECOND])
    there = copies([*FIRST, Phase()], [Phase(), *SECOND])
    for program in (here, there):
        validate(program)
        assert program.phases == 2
        assert assemble(disassemble(program)) == program
    assert copies([*FIRST, *SECOND]).phases == 1


def grown(program: Program) -> Program:
    """As large as two inputs may be together, and a byte more."""
    capacity = program.target.chip.global_memory_bytes
    return replace(program, global_size=CONSTANTS + (capacity - CONSTANTS) // 2 + 1)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            copies([*FIRST, Phase(), *moved(Store, OUTPUT, 0)]),
            "reads 16 bytes of local memory that nothing has written, the first at 0",
        ),
        (
            copies([*FIRST, Phase()], SECOND),
            "core 1 has 1 phases of 2",
        ),
        (copies(FIRST, SECOND), "no exchange or barrier orders the two"),
        (
            copies([*FIRST, Loop(1, 1), Phase(), *SECOND]),
            "phase is not allowed in a loop",
        ),
        (
            grown(copies([*FIRST, Phase(), *SECOND])),
            "with 2 phases as many inputs are on their way: together they need",
        ),
    ],
)
def test_programs_whose_phases_meet_elsewhere_are_refused(program: Program, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        validate(program)


def test_cells_are_written_in_the_first_phase() -> None:
    write = [*stream(2, GLOBAL, U8, 0, 4), Write(0, 2, 0, 0, 4)]
    validate(copies([*write, *FIRST, Phase(), *SECOND]))
    with pytest.raises(ValidationError, match="cells are written in the first phase only"):
        validate(copies([*FIRST, Phase(), *write, *SECOND]))
