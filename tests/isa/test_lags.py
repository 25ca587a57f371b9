"""What a program keeps whose operations lag: the order of one input, and the rules for rounds."""

from __future__ import annotations

import pytest
from support.lagging_programs import (
    Step,
    copy,
    lagging,
    load,
    look_up,
    receive,
    send,
    store,
)
from support.timed_program import stream

from imcc.isa import Instruction, Program, ValidationError, assemble, disassemble, validate, walk
from imcc.isa.fields import ElementType, Space
from imcc.isa.instructions import (
    Barrier,
    Copy,
    Dim,
    Fill,
    Halt,
    Host,
    Lag,
    Load,
    Loop,
    Nop,
    Phase,
    Store,
    Stream,
    Write,
)

U8 = ElementType.U8
IN_TURN = (load(0, 0), look_up(0, 1, 0, 0), store(0, 0, 1))
WRITE = (*stream(0, Space.GLOBAL, U8, 0, 4), Write(0, 0, 0, 0, 4))


def kinds(program: Program) -> list[type[Instruction]]:
    return [type(operation.instruction) for operation in walk(0, program.cores[0])]


def test_one_input_runs_by_lag_and_then_in_the_order_of_the_text() -> None:
    late = lagging({0: [store(2, 0, 2), copy(1, 2, 1), load(0, 0), copy(0, 1, 0)]})
    assert kinds(late) == [Load, Copy, Copy, Store]
    validate(late)
    assert late.lags == 2
    assert assemble(disassemble(late)) == late
    assert lagging({0: IN_TURN}).lags == 0


def test_registers_and_the_output_stage_are_those_of_the_text() -> None:
    fills = stream(0, Space.LOCAL, U8, 0, 4), stream(0, Space.LOCAL, U8, 8, 4)
    code = (Lag(1), *fills[0], Fill(0, 1), Lag(0), *fills[1], Fill(0, 2), Halt())
    found = [(operation.pc, operation.streams["dst"].base) for operation in walk(0, code)]
    assert found == [(7, 8), (3, 0)]


def core(*code: Instruction) -> Program:
    return lagging({0: [Step(0, code), *IN_TURN]})


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (core(Loop(2, 2), Nop(), Lag(1)), "core 0 at 2: lag 1: lag is not allowed in a loop"),
        (core(Barrier(0), Lag(1)), "barrier 0: a program with lags has no barrier"),
        (core(Lag(1), Phase()), "phase: a program with lags has no phase"),
        (core(Lag(1), Host(0)), "host p0: a program with lags has no host"),
        (core(Lag(1), *WRITE), "with lags cells are written at the beginning only"),
        (
            lagging({0: [*IN_TURN, Step(0, WRITE), Step(1, (Nop(),))]}),
            "with lags cells are written at the beginning only",
        ),
        (core(Lag(1), Lag(0)), None),
        (core(*WRITE, Lag(1)), None),
        (core(Loop(2, 3), *WRITE, Lag(1)), None),
    ],
)
def test_where_lags_and_writes_may_lie(program: Program, message: str | None) -> None:
    if message is None:
        validate(program)
        return
    with pytest.raises(ValidationError) as error:
        validate(program)
    assert message in str(error.value)


RULE = "all that an input does with a byte must come before"


def test_a_buffer_is_used_up_before_the_next_input_writes_it() -> None:
    """Lag 1 in the text before what writes at lag 0: the buffer is read just before."""
    early = lagging({0: [store(1, 0, 1), load(0, 0), copy(0, 1, 0)]})
    validate(early)
    late = lagging({0: [load(0, 0), copy(0, 1, 0), store(1, 0, 1)]})
    with pytest.raises(ValidationError) as error:
        validate(late)
    assert str(error.value) == (
        "the program is not valid: 1 problem\n"
        "core 0 at 15: store s0, s1: it uses byte 8 of local memory after copy s0, s1 at 9 has "
        f"written it for the next input; {RULE}"
    )


def test_a_buffer_written_twice_is_not_free_in_between() -> None:
    """The second write is in the round in which the next input has made the first."""
    late = lagging({0: [load(0, 1), copy(0, 0, 1), copy(1, 1, 0), store(1, 0, 1)]})
    with pytest.raises(ValidationError, match="it uses byte 8 of local memory after load"):
        validate(late)
    validate(lagging({0: [copy(1, 1, 0), store(1, 0, 1), load(0, 1), copy(0, 0, 1)]}))


def test_of_streams_the_bounding_ranges_count() -> None:
    """Bytes 8, 10, 12 and 14 are read at lag 1, the ones between are written before at lag 0."""

    def copied(lag: int, to: list[Instruction], source: list[Instruction]) -> Step:
        return Step(lag, (*to, *source, Copy(0, 1)))

    def spread(register: int, base: int) -> list[Instruction]:
        return [Stream(register, Space.LOCAL, U8, base), Dim(register, 5, 4, 2)]

    def program(between: int) -> Program:
        four = [stream(register, Space.LOCAL, U8, base, 4) for register, base in ((0, 64), (1, 0))]
        first = [load(0, 0), store(0, 0, 0), copied(0, spread(0, between), four[1])]
        second = [copied(1, four[0], spread(1, 8)), copied(0, spread(0, 8), four[1])]
        return lagging({0: [*first, *second]})

    with pytest.raises(ValidationError, match="it uses byte 9 of local memory after copy"):
        validate(program(9))
    validate(program(15))


def test_buffers_of_a_core_without_lags_are_free() -> None:
    here = [send(1, 0, 1), load(0, 0)]
    there = [receive(0, 0, 0), copy(0, 1, 0), copy(0, 0, 1), store(0, 0, 0)]
    validate(lagging({0: here, 1: there}))


def test_messages_meet_for_the_same_input_at_the_same_place() -> None:
    """The sender sends of two inputs in a round, the receiver takes both of one."""
    here = [load(0, 0), send(0, 0, 1), Step(1, load(1, 1).code), send(1, 1, 1)]
    there = [receive(0, 2, 0), receive(0, 3, 0), store(0, 0, 3)]
    with pytest.raises(ValidationError) as error:
        validate(lagging({0: here, 1: there}))
    assert str(error.value) == (
        "the program is not valid: 1 problem\n"
        "core 1 at 5: recv s0, c0, 0: with inputs in a row it takes message 1 of input 0, but "
        "meets message 0 of input 1, the send of core 0 at 7; a channel must be sent and received "
        "in one order"
    )
    same = [receive(0, 2, 0), receive(1, 3, 0), store(1, 0, 3)]
    validate(lagging({0: here, 1: same}))
    # On channels of their own they do not mix; but then core 0 must not wait with input 1.
    tagged = [load(0, 0), send(0, 0, 1), Step(1, load(1, 1).code), send(1, 1, 1, tag=1)]
    there = [receive(0, 2, 0), receive(0, 3, 0, tag=1), store(0, 0, 3)]
    with pytest.raises(ValidationError, match="deadlock: these cores wait for each other"):
        validate(lagging({0: tagged, 1: there}))
    validate(lagging({0: [*tagged[2:], *tagged[:2]], 1: there}))


def test_cores_that_wait_for_each_other_in_rounds_are_named() -> None:
    """Right for one input: core 1 answers. In round 1 core 0 sends first, and core 1 answers."""
    here = [load(0, 0), send(0, 0, 1), receive(1, 1, 1), store(1, 0, 1)]
    there = [receive(0, 0, 0), send(0, 0, 0)]
    with pytest.raises(ValidationError) as error:
        validate(lagging({0: here, 1: there}))
    assert str(error.value) == (
        "the program is not valid: 1 problem\n"
        "with inputs in a row: deadlock: these cores wait for each other, or for a core that has "
        "ended: core 0 at 7: send s0, c1, 0; core 1 at 5: send s0, c0, 0"
    )
    validate(lagging({0: [*here[2:], *here[:2]], 1: there}))


def answering(greatest: int, order: int) -> Program:
    """Four cores in a circle, each of which has two messages, `greatest` rounds apart.

    Two cores take those of lag 0 first, which brings them `greatest` inputs back, and two those of
    the other lag, which brings them forward again.
    """

    def out(lag: int, peer: int) -> list[Step]:
        return [load(lag, 1), send(lag, 1, peer)]

    cores = {
        0: [receive(0, 0, 3), *out(greatest, 1)],
        1: [receive(0, 0, 0), *out(greatest, 2)],
        2: [receive(greatest, 0, 1), *out(0, 3)],
        3: [receive(greatest, 0, 2), *out(0, 0), load(0, 2), store(0, 0, 2)],
    }
    cores[2] = cores[2] if order else [*cores[2][1:], cores[2][0]]
    return lagging(cores)


@pytest.mark.parametrize("greatest", [1, 2, 5])
def test_circles_over_any_number_of_inputs_are_found(greatest: int) -> None:
    """Core 0 at input 2 L waits for core 1 at L, that for core 2 at 0, and so on back to 2 L."""
    with pytest.raises(ValidationError, match="with inputs in a row: deadlock"):
        validate(answering(greatest, 1))
    validate(answering(greatest, 0))


def test_a_circle_has_only_those_that_wait_in_it() -> None:
    """Core 2 waits for core 0, which never comes."""
    here = [load(0, 0), send(0, 0, 1), receive(1, 1, 1), store(1, 0, 1), send(1, 1, 2)]
    there = [receive(0, 0, 0), send(0, 0, 0)]
    behind = [receive(0, 0, 0)]
    with pytest.raises(ValidationError) as error:
        validate(lagging({0: here, 1: there, 2: behind}))
    assert "core 0 at" in str(error.value)
    assert "core 1 at" in str(error.value)
    assert "core 2 at" not in str(error.value)
