"""What does not change with addresses, worked out once: shapes of streams and static operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from imcc.isa.fields import Role
from imcc.isa.instruction import Instruction
from imcc.isa.instructions import Mvm, Recv, Send, Write
from imcc.isa.program import Program
from imcc.isa.walk import Operation, StreamState

from .costs import CostModel
from .unit import Unit, units
from .work import Work, whole_cycles

Span = tuple[int, int, int]
"""An operand by number, and the first and the last byte + 1 of it behind its base."""


class Shape:
    """A stream without its base, interned: equal shapes are one object."""

    __slots__ = ("_others", "high", "low", "state")

    def __init__(self, state: StreamState) -> None:
        self.state = state
        self.low, self.high = state.extent
        self._others: dict[tuple[int, int, int], Shape] = {}

    def with_axis(self, key: tuple[int, int, int]) -> Shape:
        """The shape with axis, count and stride of `key`."""
        found = self._others.get(key)
        if found is None:
            axis, count, stride = key
            counts, strides = list(self.state.counts), list(self.state.strides)
            counts[axis], strides[axis] = count, stride
            found = Shape(replace(self.state, counts=tuple(counts), strides=tuple(strides)))
            self._others[key] = found
        return found


@dataclass(slots=True, eq=False)
class StaticOperation:
    """One instruction with streams of certain shapes: what it takes, and what it took.

    `cycles` is the time of its unit alone, `port` and `memory` those of its bytes on the port of
    the local memory and in global memory, `link` that of the bytes sent on one link. `peer` is
    the core at the other end of a transfer, else -1. An operation that is `shared` meets other
    cores. `count` and `busy` (cycles from issue to end) are of all inputs; `done`, `first`,
    `last`, `spent` (cycles by what held it up) and `sends` (which sends it met) of the first.
    """

    core: int
    pc: int
    instruction: Instruction
    unit: Unit
    work: Work = field(default_factory=Work)
    port: int = 0
    memory: int = 0
    link: int = 0
    arrays: frozenset[int] = frozenset()
    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    peer: int = -1
    tag: int = -1
    cycles: int = 0
    shared: bool = True
    count: int = 0
    busy: int = 0
    done: int = 0
    first: int = -1
    last: int = 0
    spent: list[int] = field(default_factory=lambda: [0] * len(Unit))
    sends: Counter[StaticOperation] = field(default_factory=Counter)

    def tally(self, first: int, end: int, bound: Unit) -> None:
        """Count one execution for the first input."""
        if not self.done:
            self.first = first
        self.done += 1
        self.last = end
        self.spent[bound] += end - first


class Statics:
    """Makes the static operations of a program."""

    def __init__(self, program: Program) -> None:
        self.model = CostModel.of(program)
        self._arrays = [frozenset(t.array for t in m.tiles) for m in program.matrices]

    def make(self, operation: Operation) -> StaticOperation:
        """Work out what an operation takes; its streams lie at base 0."""
        model, timing = self.model, self.model.target.timing
        work, unit = model.cost(operation), units[type(operation.instruction)](operation)
        memory = whole_cycles(work.global_bytes / timing.global_bytes_per_cycle)
        made = StaticOperation(
            operation.core,
            operation.pc,
            operation.instruction,
            unit,
            work=work,
            port=whole_cycles(work.local_bytes / timing.local_bytes_per_cycle),
            memory=memory,
            arrays=self._held(operation.instruction),
            reads=_spans(operation, Role.READ),
            writes=_spans(operation, Role.WRITE),
            cycles=work.cycles,
            shared=memory > 0 or unit in (Unit.OUT, Unit.IN, Unit.SYNC),
        )
        match operation.instruction:
            case Send(peer=peer, tag=tag):
                stream = operation.streams["src"]
                size = stream.count * stream.element.size
                made.link = whole_cycles(size / timing.noc_bytes_per_cycle)
                made.peer, made.tag = peer, tag
            case Recv(peer=peer, tag=tag):
                made.peer, made.tag = peer, tag
        return made

    def _held(self, instruction: Instruction) -> frozenset[int]:
        match instruction:
            case Mvm(matrix=matrix):
                return self._arrays[matrix]
            case Write(array=array):
                return frozenset((array,))
            case _:
                return frozenset()


def _spans(operation: Operation, role: Role) -> tuple[Span, ...]:
    names = list(operation.streams)
    roles = {field.name: field.kind.role for field in operation.instruction.layout}
    extents = [operation.streams[name].extent for name in names]
    return tuple((i, *extents[i]) for i, name in enumerate(names) if roles[name] is role)
