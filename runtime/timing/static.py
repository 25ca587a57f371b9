"""What does not change with addresses, worked out once: shapes of streams and static operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from imcc.isa.cost import NOBODY, OperationCosts, Unit, Work
from imcc.isa.fields import Role
from imcc.isa.instruction import Instruction
from imcc.isa.program import Program
from imcc.isa.stream import StreamState
from imcc.isa.walk import Operation

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
            found = Shape(self.state.along(tuple(counts), tuple(strides)))
            self._others[key] = found
        return found


@dataclass(slots=True, eq=False)
class StaticOperation:
    """One instruction with streams of certain shapes: what it takes, and what it took.

    The fields up to `peer` are those of its `OperationCost`. An operation that is `shared` meets
    other cores. `count` and `busy` (cycles from issue to end) are of all inputs; `done`, `first`,
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
    alone: bool = False
    peer: int = NOBODY
    tag: int = 0
    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    cycles: int = 0
    starts: int = 0
    waits_for_starts: bool = False
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
        self._costs = OperationCosts(program)

    def make(self, operation: Operation) -> StaticOperation:
        """Work out what an operation takes; its registers are at base 0."""
        cost = self._costs.cost(operation)
        return StaticOperation(
            operation.core,
            operation.pc,
            operation.instruction,
            cost.unit,
            cost.work,
            cost.port,
            cost.memory,
            cost.link,
            cost.arrays,
            cost.alone,
            cost.peer,
            cost.tag,
            reads=_spans(operation, Role.READ),
            writes=_spans(operation, Role.WRITE),
            cycles=cost.cycles,
            starts=cost.starts,
            waits_for_starts=cost.waits_for_starts,
            shared=cost.memory > 0 or cost.unit in (Unit.OUT, Unit.IN, Unit.SYNC),
        )


def _spans(operation: Operation, role: Role) -> tuple[Span, ...]:
    names = list(operation.streams)
    roles = {field.name: field.kind.role for field in operation.instruction.layout}
    extents = [operation.streams[name].extent for name in names]
    return tuple((i, *extents[i]) for i, name in enumerate(names) if roles[name] is role)
