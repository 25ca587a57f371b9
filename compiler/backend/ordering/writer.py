"""Writing the operations of a core in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from imcc.isa import TABLE, Instruction, Operation, Origin, Program, Role
from imcc.isa.instructions import Lag
from imcc.isa.validation.operands import RULES

from ..code import CoreCode
from ..probe import ValueProbe
from .foreseen import ForeseenCode
from .items import CoreItems

# Of each instruction the fields that have nothing to do with streams.
_OTHERS = {
    kind: tuple(f.name for f in kind.layout if f.kind.role is Role.NONE) for kind in TABLE.values()
}

_STAGED = frozenset(kind for kind, rule in RULES.items() if rule.stage)


@dataclass
class Writer:
    """The code of one core while it is written again; `nodes` by its old instructions.

    It has the setup and then its items in an `order`. Operations may be `moved` in memory. `looks`
    are the new instructions behind which items without an operation stand.
    """

    nodes: Mapping[int, tuple[str, ...]]
    found: CoreItems
    order: Sequence[int]
    moved: Callable[[Operation], Operation] = lambda operation: operation
    looks: dict[int, int] = field(default_factory=dict)
    _ahead: Iterator[Operation] = field(init=False)
    _code: CoreCode = field(init=False)
    _marks: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)
    _setup: int = 0

    def __post_init__(self) -> None:
        """Look ahead at all that is to be written."""
        items = (self.found.items[index].operation for index in self.order)
        operations = (*self.found.setup, *(one for one in items if one is not None))
        moved = tuple(map(self.moved, operations))
        self._ahead, self._code = iter(moved), ForeseenCode(moved)

    def write(self) -> Writer:
        """Write everything."""
        self.write_setup()
        for index in self.order:
            if self.found.items[index].operation is None:
                self.looks[index] = self._code.last_operation
            else:
                self.add()
        return self

    def write_setup(self) -> None:
        """Write what comes before the items."""
        for _ in self.found.setup:
            self.add()

    def finish(self) -> tuple[Instruction, ...]:
        """The code."""
        return self._code.finish()

    def origins(self, core: int) -> Iterator[Origin]:
        """Which instructions come from which nodes; those of none are left out."""
        for nodes, marks in groupby(self._marks, key=lambda mark: mark[2]):
            spans = list(marks)
            if nodes:
                yield Origin(core, spans[0][0], spans[-1][1], nodes)

    def begin_round(self) -> None:
        """End the setup: what follows is run once a round."""
        self._code.forget()
        self._setup = self._code.position
        self.mark(Lag(0))

    def mark(self, instruction: Instruction) -> None:
        """Append what belongs to no node."""
        self._code.emit(instruction)

    @property
    def last_of_setup(self) -> int:
        """The last instruction before the first `lag`, or that."""
        return max(0, self._setup - 1)

    def add(self) -> int:
        """Append the next operation and what sets its registers; returns its index."""
        code, operation = self._code, next(self._ahead)
        start = code.position
        code.begin()
        instruction = operation.instruction
        kind = type(instruction)
        if operation.stage is not None and kind in _STAGED:
            code.stage(operation.stage)
        others = [getattr(instruction, name) for name in _OTHERS[kind]]
        code.operate(kind, operation.streams.values(), *others)
        self._marks.append((start, code.position, self.nodes.get(operation.pc, ())))
        return code.position - 1


def rewritten(program: Program, writers: Mapping[int, Writer]) -> Program:
    """The program with the code of all cores as it was written again."""
    return replace(
        program,
        cores={core: writer.finish() for core, writer in writers.items()},
        origins=tuple(o for core, writer in writers.items() for o in writer.origins(core)),
    )


def moved_probes(
    probes: Sequence[ValueProbe], cores: Mapping[int, CoreItems], written: Mapping[int, Writer]
) -> Iterator[ValueProbe]:
    """The probes, behind the instructions where their values are whole now."""
    places = {
        probe: written[core].looks[item]
        for core, found in cores.items()
        for item, probe in found.probes.items()
    }
    for index, probe in enumerate(probes):
        yield replace(probe, pc=places[index])


def nodes_by_core(origins: Sequence[Origin]) -> dict[int, dict[int, tuple[str, ...]]]:
    """The nodes that each instruction comes from, by core."""
    found: dict[int, dict[int, tuple[str, ...]]] = {}
    for origin in origins:
        pcs = range(origin.start, origin.stop)
        found.setdefault(origin.core, {}).update(dict.fromkeys(pcs, origin.nodes))
    return found
