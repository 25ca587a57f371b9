"""What is to be ordered: the operations of each core, and what each of them touches."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from imcc.isa import TABLE, Operation, Program, Role, Space, walk
from imcc.isa.cost import OperationCost, OperationCosts, Unit
from imcc.isa.instructions import Barrier, Host, Phase
from imcc.isa.setup import WRITES

from ..probe import ValueProbe

Cut = Callable[[Operation], Iterable[Operation]]
Range = tuple[int, int]  # first byte, behind the last, on one line for all that can be touched

# Global addresses have 40 bits. Arrays and tokens lie far behind them on the same line.
_GLOBAL = 1 << 48
_ARRAYS = 1 << 56
_GLOBAL_SPACE = Space.GLOBAL
_OTHERS = (1 << 60, (1 << 60) + 1)  # what other cores do that this one knows of
_MEETINGS = (Barrier, Phase)
_WRITTEN = {
    kind: frozenset(f.name for f in kind.layout if f.kind.role is Role.WRITE)
    for kind in TABLE.values()
}
NETWORK = frozenset({Unit.OUT, Unit.IN})
"""The units of transfers."""
_ALL = ((1 << 60) + 1, (1 << 60) + 2)  # everything on this core


class Item(NamedTuple):
    """An operation to be put in order, or with no operation a place where a value is looked at.

    `reads` and `writes` are bytes of the core's memory, of the global memory, arrays, and tokens
    for what may not pass: what is global and written stays in order with transfers, since these
    tell other cores of it, and what waits for everything stays in order with everything.
    """

    operation: Operation | None
    cost: OperationCost | None
    reads: tuple[Range, ...]
    writes: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class CoreItems:
    """The items of a core in program order; before them `setup` writes of cells.

    `probes` says which of the probes each look is for.
    """

    setup: tuple[Operation, ...]
    items: tuple[Item, ...]
    probes: Mapping[int, int]


def items_by_core(
    program: Program,
    probes: Sequence[ValueProbe],
    cut: Cut | None = None,
    stays: Callable[[Operation], bool] | None = None,
) -> dict[int, CoreItems]:
    """The items of every core, loops unrolled.

    Each operation is cut in several by `cut`; what is done once and `stays` is no item, but setup.
    """
    operations = {core: tuple(walk(core, code)) for core, code in sorted(program.cores.items())}
    if cut is not None:
        operations = {
            core: tuple(part for one in several for part in cut(one))
            for core, several in operations.items()
        }
    maker = _Maker(program, operations, stays)
    looks: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, probe in enumerate(probes):
        looks[probe.core][probe.pc].append(index)
    return {core: maker.items(found, probes, looks[core]) for core, found in operations.items()}


class _Maker:
    """Knows what is read and written in global memory, by whomever, between two meetings of all."""

    def __init__(
        self,
        program: Program,
        operations: Mapping[int, Sequence[Operation]],
        stays: Callable[[Operation], bool] | None,
    ) -> None:
        self._stays = stays
        self._costs = OperationCosts(program)
        self._constants = len(program.constants)
        accesses = _between_meetings(program, operations)
        self._written = accesses[Role.WRITE]
        self._read = accesses[Role.READ]

    def items(
        self,
        operations: Sequence[Operation],
        probes: Sequence[ValueProbe],
        looks: Mapping[int, Sequence[int]],
    ) -> CoreItems:
        """The items of one core."""
        first = next(
            (i for i, one in enumerate(operations) if type(one.instruction) not in WRITES),
            len(operations),
        )
        last = {operation.pc: index for index, operation in enumerate(operations)}
        whole = any(isinstance(one.instruction, (Barrier, Host, Phase)) for one in operations)
        items: list[Item] = []
        setup = list(operations[:first])
        places: dict[int, int] = {}
        span = 0
        for index, operation in enumerate(operations[first:], first):
            if self._stays is not None and self._stays(operation):
                setup.append(operation)
                continue
            items.append(self._item(operation, whole, span))
            span += isinstance(operation.instruction, _MEETINGS)
            if operation.pc in looks and last[operation.pc] == index:
                for probe in looks[operation.pc]:
                    places[len(items)] = probe
                    items.append(Item(None, None, (probes[probe].stream.extent,), ()))
        return CoreItems(tuple(setup), tuple(items), places)

    def _item(self, operation: Operation, whole: bool, span: int) -> Item:
        cost, kind = self._costs.cost(operation), type(operation.instruction)
        reads: list[Range] = []
        writes: list[Range] = []
        ordered, written = False, _WRITTEN[kind]
        for name, stream in operation.streams.items():
            extent = stream.extent
            if stream.space is _GLOBAL_SPACE:
                low, high = extent
                if high <= self._constants:
                    continue  # nobody writes there
                others = self._read if name in written else self._written
                ordered |= _meets(others[span], low, high)
                extent = (low + _GLOBAL, high + _GLOBAL)
            (writes if name in written else reads).append(extent)
        if cost.arrays:
            (writes if kind in WRITES else reads).extend(_arrays(cost.arrays))
        if ordered:
            writes.append(_OTHERS)
        elif cost.unit in NETWORK:
            reads.append(_OTHERS)
        if whole:
            (writes if cost.unit is Unit.SYNC else reads).append(_ALL)
        return Item(operation, cost, tuple(reads), tuple(writes))


def local_ranges(item: Item) -> Iterator[Range]:
    """The bytes of its core's memory that an item reads or writes."""
    for low, high in (*item.reads, *item.writes):
        if low < _GLOBAL:
            yield low, high


@cache
def _arrays(arrays: frozenset[int]) -> list[Range]:
    """Where arrays lie on the line, in as few ranges as possible."""
    return _merged((_ARRAYS + array, _ARRAYS + array + 1) for array in arrays)


def is_barrier(item: Item) -> bool:
    """Whether an item waits for one on every core."""
    return item.operation is not None and isinstance(item.operation.instruction, Barrier)


def _between_meetings(
    program: Program, operations: Mapping[int, Sequence[Operation]]
) -> Mapping[Role, list[list[Range]]]:
    """What is read and written behind the constants up to each meeting, and behind the last."""
    hosted = {
        Role.WRITE: {
            (b.address, b.address + b.size) for host in program.hosts for b in host.outputs
        },
        Role.READ: {(b.address, b.address + b.size) for host in program.hosts for b in host.inputs},
    }
    found: list[dict[Role, set[Range]]] = []
    constants = len(program.constants)
    for several in operations.values():
        span = 0
        for operation in several:
            if span == len(found):
                found.append({role: set(ranges) for role, ranges in hosted.items()})
            for name, stream in operation.streams.items():
                if stream.space is _GLOBAL_SPACE and stream.extent[1] > constants:
                    writes = name in _WRITTEN[type(operation.instruction)]
                    found[span][Role.WRITE if writes else Role.READ].add(stream.extent)
            span += isinstance(operation.instruction, _MEETINGS)
    return {role: [_merged(touched[role]) for touched in found] for role in hosted}


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """The union of ranges, ascending."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _meets(merged: Sequence[Range], low: int, high: int) -> bool:
    """Whether [low, high) has bytes in common with any of the ranges, which ascend."""
    index = bisect_left(merged, (high, high))
    return index > 0 and merged[index - 1][1] > low
