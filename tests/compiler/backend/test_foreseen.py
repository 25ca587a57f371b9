"""Code whose operations are known before they are written: registers are kept for what comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from support.random_programs import random_program

from imcc.compiler.backend.code import CoreCode
from imcc.compiler.backend.ordering.items import CoreItems, Item
from imcc.compiler.backend.ordering.writer import Writer
from imcc.isa import ElementType, Instruction, Operation, Role, Space, StreamState, walk
from imcc.isa.instructions import STREAM_REGISTERS, Accumulate, Fill

Code = Sequence[Instruction]


def sums(base: int, count: int = 8) -> StreamState:
    return StreamState(
        Space.LOCAL, ElementType.I32, base, (1, 1, 1, 1, 1, count), (0, 0, 0, 0, 0, 4)
    )


def doubled(*streams: StreamState) -> list[Operation]:
    """Sums that are doubled, one after the other."""
    return [
        Operation(0, 0, Accumulate(0, 0, 0), {"dst": one, "a": one, "b": one}, None)
        for one in streams
    ]


def written(operations: Sequence[Operation]) -> Code:
    items = tuple(Item(operation, None, (), ()) for operation in operations)
    return Writer({}, CoreItems((), items, {}), range(len(items))).write().finish()


def written_blindly(operations: Sequence[Operation]) -> Code:
    code = CoreCode()
    for operation in operations:
        code.begin()
        code.operate(type(operation.instruction), operation.streams.values())
    return code.finish()


def kinds(code: Code) -> Counter[str]:
    return Counter(str(one.mnemonic) for one in code)


def test_streams_that_are_needed_often_have_registers_of_their_own() -> None:
    operations = doubled(*[sums(0), sums(256), sums(512)] * 20)
    assert kinds(written(operations)) == Counter(stream=3, dim=3, accumulate=60, halt=1)
    assert kinds(written_blindly(operations))["step"] == 59


def test_streams_that_are_needed_once_share_a_register() -> None:
    operations = doubled(*map(sums, range(0, 6400, 64)))
    assert kinds(written(operations)) == Counter(stream=1, dim=1, step=99, accumulate=100, halt=1)


def test_what_is_needed_last_gives_its_register() -> None:
    """One walk more than registers, in turn: what was used least recently is needed first."""
    walks = [sums(0, count) for count in range(2, STREAM_REGISTERS + 3)]
    operations = doubled(*walks * 10)
    assert kinds(written_blindly(operations))["stream"] == len(operations)
    assert kinds(written(operations))["stream"] < len(walks) + 10 + STREAM_REGISTERS // 3


def test_operands_of_an_operation_are_not_moved_for_each_other() -> None:
    streams = {"dst": sums(0), "a": sums(64), "b": sums(128)}
    operations = [Operation(0, 0, Accumulate(0, 0, 0), streams, None)]
    (found,) = walk(0, tuple(written(operations)))
    assert dict(found.streams) == streams


@pytest.mark.parametrize("seed", range(20))
def test_operations_are_what_they_were(seed: int) -> None:
    """Of random programs, in which most walks occur once."""
    for core, code in random_program(seed, 60, 2).cores.items():
        operations = list(walk(core, code))
        again = list(walk(core, tuple(written(operations))))
        assert [_meaning(one) for one in again] == [_meaning(one) for one in operations]


@pytest.mark.parametrize("seed", range(5))
def test_few_walks_at_many_places(seed: int) -> None:
    operations = list(_places(seed))
    again = walk(0, tuple(written(operations)))
    assert [one.streams["dst"] for one in again] == [one.streams["dst"] for one in operations]


def _places(seed: int) -> Iterator[Operation]:
    for one in walk(0, random_program(seed, 80).cores[0]):
        dst = one.streams.get("dst")
        if dst is not None:
            yield Operation(0, 0, Fill(0, 0), {"dst": sums(4 * dst.base, 4)}, None)
            yield from doubled(sums(dst.base % 256 * 4, 4), sums(dst.base % 16 * 4, 4))


def _meaning(operation: Operation) -> object:
    instruction = operation.instruction
    others = [
        getattr(instruction, field.name)
        for field in instruction.layout
        if field.kind.role is Role.NONE
    ]
    return type(instruction), others, {n: _elements(s) for n, s in operation.streams.items()}


def _elements(state: StreamState) -> object:
    """A stream without strides that nothing walks along."""
    axes = [axis for axis in zip(state.counts, state.strides, strict=True) if axis[0] > 1]
    return state.space, state.element, state.base, axes
