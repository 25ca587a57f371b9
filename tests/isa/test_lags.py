"""What a program keeps whose operations lag: the order of one input, and the rules for rounds."""

from __future__ import annotations

from collections import Counter
from itertools import product
from operator import mul

import numpy as np
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
    Mvm,
    Nop,
    Phase,
    Store,
    Stream,
    Write,
)
from imcc.isa.validation.owners import Round, overwritten
from imcc.isa.walk import Operation, walk_round

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


RULE = "what it reads must have been written last for the same input, or before the first lag"


def problem(*steps: Step) -> str:
    with pytest.raises(ValidationError) as error:
        validate(lagging({0: steps}))
    return str(error.value)


def test_a_buffer_is_read_before_the_next_input_writes_it() -> None:
    """Lag 1 in the text before what writes at lag 0: the buffer is read just before."""
    early = lagging({0: [store(1, 0, 1), load(0, 0), copy(0, 1, 0)]})
    validate(early)
    assert problem(load(0, 0), copy(0, 1, 0), store(1, 0, 1)) == (
        "the program is not valid: 1 problem\n"
        "core 0 at 15: store s0, s1: it reads byte 8 of local memory after copy s0, s1 at 9 has "
        f"written it for the next input; {RULE}"
    )


def test_a_buffer_may_be_written_again_for_its_input_at_any_lag() -> None:
    again = [copy(2, 0, 2), store(2, 0, 0), copy(1, 0, 1), copy(1, 2, 0)]
    validate(lagging({0: [*again, load(0, 0), copy(0, 1, 0)]}))
    assert problem(again[0], load(0, 0), *again[1:], copy(0, 1, 0)) == (
        "the program is not valid: 2 problems\n"
        "core 0 at 17: store s0, s1: it reads byte 0 of local memory after load s0, s1 at 11 has "
        f"written it for the input 2 after its own; {RULE}\n"
        "core 0 at 34: copy s0, s1: it reads byte 0 of local memory after copy s0, s1 at 23 has "
        f"written it for the input before; {RULE}"
    )


def test_an_input_that_is_ahead_loses_what_those_behind_write_over() -> None:
    found = problem(load(0, 1), copy(1, 1, 0), store(1, 0, 1), copy(0, 0, 1))
    assert "copy s0, s1: it reads byte 8 of local memory after copy s0, s1 at 10 has written " in (
        found
    )
    assert "for the input before; " in found
    far = problem(load(0, 1), copy(2, 1, 0), store(2, 0, 1), copy(0, 0, 1))
    assert "for the input 2 before its own; " in far


def test_what_an_instruction_adds_to_is_read() -> None:
    source, sums = stream(0, Space.LOCAL, U8, 0, 4), stream(1, Space.LOCAL, ElementType.I32, 64, 2)
    for accumulate in (0, 1):
        code = (*sums, Fill(1, 0), Lag(1), *source, Fill(0, 0), Mvm(1, 0, 0, 1, accumulate), Halt())
        found = [(one.pc, text) for one, text in overwritten(tuple(walk_round(0, code)))]
        assert [pc for pc, _ in found] == [7] * accumulate
        assert all("it reads byte 64 of local memory after fill s1, 0 at 2" in t for _, t in found)


def test_what_is_loaded_once_is_of_all_inputs() -> None:
    """A table at bytes 256 to 511, and a round that reads across its beginning."""
    table = (*stream(0, Space.LOCAL, U8, 256, 256), *stream(1, Space.GLOBAL, U8, 0, 256))
    once = Step(0, (*table, Load(0, 1)))
    begin = Step(0, (*stream(0, Space.LOCAL, U8, 252, 4), Fill(0, 0)))
    across = (*stream(0, Space.LOCAL, U8, 0, 8), *stream(1, Space.LOCAL, U8, 252, 8), Copy(0, 1))
    ready = [Step(1, across), store(1, 0, 0)]
    validate(lagging({0: [once, *ready, begin]}))
    assert "it reads byte 252 of local memory after fill" in problem(
        once, Step(1, (Nop(),)), begin, *ready
    )
    spread = [Stream(0, Space.LOCAL, U8, 252), Dim(0, 5, 4, 2), Fill(0, 0)]
    assert "it writes over what is loaded before the first lag" in problem(
        once, *ready, begin, Step(0, tuple(spread))
    )


def bytes_of(operation: Operation, *names: str) -> set[int]:
    """The bytes of some streams, one for one."""
    found = set()
    for name in names:
        one = operation.streams[name]
        for place in product(*map(range, one.counts)):
            first = one.base + sum(map(mul, place, one.strides))
            found |= set(range(first, first + one.element.size))
    return found


def played(operations: Round) -> dict[int, tuple[int, int, int]]:
    """What reads wrongly in any of very many rounds, and in the last of them:

    the first byte, the operation that has written it and for how many inputs behind.
    """
    wrong: dict[int, tuple[int, int, int]] = {}
    owners: dict[int, tuple[int, int]] = {}
    for round_ in range(20):
        for lag, one in operations:
            number = round_ - lag
            if number < 0:
                continue
            read = bytes_of(one, *(one.streams.keys() - {"dst"}))
            foreign = [byte for byte in read if owners.get(byte, (number, 0))[0] != number]
            if foreign:
                owner, writer = owners[min(foreign)]
                wrong[one.pc] = (min(foreign), writer, owner - number)
            owners.update(dict.fromkeys(bytes_of(one, "dst"), (number, one.pc)))
    return wrong


def random_code(rng: np.random.Generator) -> tuple[Instruction, ...]:
    """Copies and fills of streams that overlap, repeat and go back, at any lags."""
    code: list[Instruction] = []
    for _ in range(int(rng.integers(2, 12))):
        code.append(Lag(int(rng.integers(4)) * int(rng.integers(3))))
        for register in (0, 1):
            element = (U8, ElementType.I32)[int(rng.integers(2))]
            code.append(Stream(register, Space.LOCAL, element, int(rng.integers(40, 80))))
            for axis in range(3, int(rng.integers(3, 7))):
                code.append(Dim(register, axis, *(int(v) for v in rng.integers((1, -6), (4, 7)))))
        code.append(Copy(0, 1) if rng.random() < 0.7 else Fill(0, 0))
    return (*code, Halt())


def test_of_random_streams_what_is_found_is_what_a_play_of_many_rounds_finds() -> None:
    seen = Counter[bool]()
    for seed in range(300):
        operations = tuple(walk_round(0, random_code(np.random.default_rng(seed))))
        found = {one.pc: text for one, text in overwritten(operations)}
        wrong = played(operations)
        assert found.keys() == wrong.keys(), seed
        for pc, (byte, writer, behind) in wrong.items():
            words = found[pc].split(RULE)[0].replace("the next input", "the input 1 after")
            words = words.replace("the input before", "the input 1 before")
            assert f"it reads byte {byte} of local memory after " in words
            way = "after" if behind > 0 else "before"
            assert f" at {writer} has written it for the input {abs(behind)} {way}" in words
        seen[bool(wrong)] += 1
    assert min(seen[True], seen[False]) > 30


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
