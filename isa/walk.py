"""Control flow resolved: what a program does, operation by operation.

Control flow never depends on data, so loops, stream registers and the output stage can be
played through without any. The validator, the machine's decoder and the timing model all start
from the operations yielded here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from operator import itemgetter
from typing import Any

from .errors import ValidationError
from .fields import ElementType, Role, Rounding, Space
from .instruction import TABLE, Instruction
from .instructions import (
    LOOP_DEPTH,
    Barrier,
    Dim,
    Halt,
    Lag,
    Loop,
    Nop,
    Phase,
    Recv,
    Send,
    Setq,
    Step,
    Stream,
)
from .program import Program
from .stream import StreamState

# Of each instruction the fields that name registers of streams, with those of their offsets.
_STREAM_FIELDS = {
    kind: tuple(
        (f.name, kind.offsets[f.name].name if f.name in kind.offsets else None)
        for f in kind.layout
        if f.kind.role in (Role.READ, Role.WRITE)
    )
    for kind in TABLE.values()
}
_CONTROL = frozenset({Nop, Loop, Halt, Lag})


@dataclass(frozen=True)
class OutputStage:
    """The state set by `setq`."""

    zero_point: int
    low: int
    high: int
    rounding: Rounding


@dataclass(frozen=True, init=False)
class Operation:
    """One instruction at run time: its streams by field name, and the output stage in force."""

    core: int
    pc: int
    instruction: Instruction
    streams: Mapping[str, StreamState]
    stage: OutputStage | None

    def __init__(
        self,
        core: int,
        pc: int,
        instruction: Instruction,
        streams: Mapping[str, StreamState],
        stage: OutputStage | None,
    ) -> None:
        fields = self.__dict__  # as in a stream
        fields["core"] = core
        fields["pc"] = pc
        fields["instruction"] = instruction
        fields["streams"] = streams
        fields["stage"] = stage


@dataclass(frozen=True)
class Exchange:
    """A `send` and the `recv` that it meets."""

    send: Operation
    recv: Operation


def walk(core: int, code: tuple[Instruction, ...]) -> Iterator[Operation]:
    """Yield the operations of one core for one input, in order: by lag, then as in the text.

    Raises `ValidationError` as `walk_round` does.
    """
    operations = walk_round(core, code)
    if Lag in set(map(type, code)):
        operations = iter(sorted(operations, key=itemgetter(0)))
    for _, operation in operations:
        yield operation


def walk_round(core: int, code: tuple[Instruction, ...]) -> Iterator[tuple[int, Operation]]:
    """Yield the operations of a round of one core, each with its lag, in the order of the text.

    That is everything but control flow and register setup. Raises `ValidationError` where a stream
    is used before it is set, a loop runs past the end or loops nest too deeply.
    """
    lag = 0
    registers: dict[int, StreamState] = {}
    stage: OutputStage | None = None
    for pc in program_counters(core, code):
        instruction = code[pc]
        kind = type(instruction)
        try:
            if kind in _SET_UP:
                _SET_UP[kind](registers, instruction)
                continue
            streams = streams_of(instruction, registers)
        except KeyError as error:
            raise ValidationError(
                f"core {core} at {pc}: stream s{error.args[0]} is used before it is set"
            ) from None
        if isinstance(instruction, Setq):
            low, high, rounding = instruction.low, instruction.high, Rounding(instruction.rounding)
            stage = OutputStage(instruction.zero_point, low, high, rounding)
        elif kind not in _CONTROL:
            yield lag, Operation(core, pc, instruction, streams, stage)
        elif isinstance(instruction, Lag):
            lag = instruction.rounds
        elif kind is Halt:
            return


def streams_of(
    instruction: Instruction, registers: Mapping[int, StreamState]
) -> dict[str, StreamState]:
    """What an instruction walks: what registers hold, moved by its offsets.

    Raises `KeyError` with the number of a register that is not set.
    """
    streams = {}
    for name, offset in _STREAM_FIELDS[type(instruction)]:
        held = registers[getattr(instruction, name)]
        delta = getattr(instruction, offset) if offset else 0
        streams[name] = held.moved(delta) if delta else held
    return streams


def interleave(
    program: Program, time: Callable[[int], int] | None = None, *, in_rounds: bool = False
) -> Iterator[Operation | Exchange]:
    """Yield the operations of all cores in one order that a real chip could take.

    Cores run in turn, each until it must wait, or with `time` one operation at a time, always that
    of the core whose time is the least. In a round nobody waits at the end of a phase. What is
    computed does not depend on the order, because only matched sends and receives and barriers
    connect cores. Raises `ValidationError` naming the waiting cores and instructions where no core
    can go on.
    """
    walks = {core: walk(core, code) for core, code in sorted(program.cores.items())}
    meetings = (Send, Recv, Barrier) if in_rounds else (Send, Recv, Barrier, Phase)
    yield from interleave_walks(walks, meetings, time)


def interleave_walks(
    walks: dict[int, Iterator[Operation]],
    meetings: tuple[type[Instruction], ...],
    time: Callable[[int], int] | None = None,
) -> Iterator[Operation | Exchange]:
    """Yield what all cores do, as `interleave`: `walks` by core, which wait at `meetings`."""
    waiting: dict[int, Operation] = {}
    ready = _Ready(time or _in_turn())
    ready.add(walks)
    while ready.cores:
        core = ready.next()
        for operation in walks[core]:
            if isinstance(operation.instruction, meetings):
                waiting[core] = operation
                break
            yield operation
            if time is not None:
                ready.add((core,))
                break
        else:
            del walks[core]
        yield from _release(core, waiting, walks, ready)
    if waiting:
        raise ValidationError(
            deadlock_message((o.core, o.pc, o.instruction) for o in waiting.values())
        )


@dataclass
class _Ready:
    """Cores that can go on, by the time at which they became ready."""

    time: Callable[[int], int]
    cores: list[tuple[int, int]] = field(default_factory=list)

    def add(self, cores: Iterable[int]) -> None:
        """Let cores go on, from now."""
        for core in cores:
            heappush(self.cores, (self.time(core), core))

    def next(self) -> int:
        """The core that has been ready for the longest time."""
        return heappop(self.cores)[1]


def _in_turn() -> Callable[[int], int]:
    turns = itertools.count()
    return lambda _: next(turns)


def _release(
    core: int,
    waiting: dict[int, Operation],
    walks: Mapping[int, Iterator[Operation]],
    ready: _Ready,
) -> Iterator[Operation | Exchange]:
    blocked = waiting.get(core)
    if blocked is not None and isinstance(blocked.instruction, (Send, Recv)):
        other = waiting.get(blocked.instruction.peer)
        if other is not None and _meets(blocked, other):
            del waiting[blocked.core], waiting[other.core]
            sends = isinstance(blocked.instruction, Send)
            yield Exchange(blocked, other) if sends else Exchange(other, blocked)
            ready.add(sorted((blocked.core, other.core)))
    elif waiting and len(waiting) == len(walks) and _all_at_one_barrier(waiting):
        yield from (waiting[c] for c in sorted(waiting))
        ready.add(sorted(waiting))
        waiting.clear()


def _meets(one: Operation, other: Operation) -> bool:
    a, b = one.instruction, other.instruction
    if not (isinstance(a, (Send, Recv)) and isinstance(b, (Send, Recv))):
        return False
    return type(a) is not type(b) and b.peer == one.core and a.tag == b.tag


def _all_at_one_barrier(waiting: Mapping[int, Operation]) -> bool:
    instructions = {operation.instruction for operation in waiting.values()}
    return len(instructions) == 1 and isinstance(instructions.pop(), (Barrier, Phase))


def deadlock_message(waiting: Iterable[tuple[int, int, Instruction]]) -> str:
    """Tell which cores wait for ever: core, index and instruction of each."""
    waits = "; ".join(
        f"core {core} at {pc}: {instruction}"
        for core, pc, instruction in sorted(waiting, key=itemgetter(0))
    )
    return f"deadlock: these cores wait for each other, or for a core that has ended: {waits}"


def program_counters(core: int, code: tuple[Instruction, ...], start: int = 0) -> Iterator[int]:
    """Yield the index of each instruction executed, loops played out (without recursion).

    `start` must lie outside of loops.
    """
    if Loop not in set(map(type, code)):
        yield from range(start, len(code))
        return
    frames: list[tuple[int, int, int]] = []  # first, behind last, iterations left
    pc = start
    while True:
        while frames and pc == frames[-1][1]:
            first, end, left = frames.pop()
            if left > 1:
                frames.append((first, end, left - 1))
                pc = first
        if pc >= len(code):
            return
        yield pc
        instruction = code[pc]
        pc += 1
        if isinstance(instruction, Loop):
            end = pc + instruction.body
            if end > (frames[-1][1] if frames else len(code)):
                raise ValidationError(f"core {core} at {pc - 1}: the loop body runs past its block")
            if len(frames) == LOOP_DEPTH:
                raise ValidationError(
                    f"core {core} at {pc - 1}: loops nest deeper than {LOOP_DEPTH}"
                )
            if instruction.count == 0 or instruction.body == 0:
                pc = end
            else:
                frames.append((pc, end, instruction.count))


def _set(registers: dict[int, StreamState], instruction: Stream) -> None:
    space, element = Space(instruction.space), ElementType(instruction.element)
    registers[instruction.stream] = StreamState(space, element, instruction.base)


def _set_axis(registers: dict[int, StreamState], instruction: Dim) -> None:
    state, axis = registers[instruction.stream], instruction.axis
    counts, strides = list(state.counts), list(state.strides)
    counts[axis], strides[axis] = instruction.count, instruction.stride
    registers[instruction.stream] = state.along(tuple(counts), tuple(strides))


def _move(registers: dict[int, StreamState], instruction: Step) -> None:
    register = instruction.stream
    registers[register] = registers[register].moved(instruction.delta)


# Play an instruction that does nothing but set a register.
_SET_UP: dict[type[Instruction], Callable[[dict[int, StreamState], Any], None]] = {
    Stream: _set,
    Dim: _set_axis,
    Step: _move,
}
