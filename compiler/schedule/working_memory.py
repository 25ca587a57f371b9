"""Where working memory lies: in what tensors leave free at the time of a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..ir.graph import Node
from .allocate import AliveOnCore, Placed
from .memory import CONTENT, SCRATCH
from .scratch import ALIGNMENT, Request, columns_of, least_columns, most_rows, rows_of
from .task import Scratch

Key = tuple[str, int]


class WorkingMemory:
    """The working memory of all tasks, which ask for it in their order."""

    def __init__(
        self, placed: Mapping[int, Sequence[Placed]], limit: int, *, in_turn: bool
    ) -> None:
        """With `placed` on each core, tasks begin where the largest gap does.

        With `in_turn` each begins where the one before has ended: what shares memory cannot pass
        each other when instructions are put in order.
        """
        self._constants = constants_of(placed)
        self._gaps = {core: _Gaps(items, limit, in_turn) for core, items in placed.items()}

    def take(
        self, time: int, node: Node, asked: Sequence[Request]
    ) -> tuple[int, int | None, tuple[Scratch, ...]]:
        """The rows of a band, the columns of less than one, and where what is asked for lies."""
        if not asked:
            return most_rows(node), None, ()
        fresh = [request for request in asked if not request.content]
        here = {core: self._gaps[core] for core in dict.fromkeys(one.core for one in fresh)}
        band, columns = band_of(node, fresh, {core: gaps.at(time) for core, gaps in here.items()})
        sizes = {core: _size(fresh, core, band, columns) for core in here}
        starts = {core: gaps.take(sizes[core]) for core, gaps in here.items()}
        return (
            band,
            columns,
            (*placed_scratch(fresh, band, columns, starts), *self._constants.present(asked)),
        )


@dataclass(frozen=True)
class Constants:
    """Where constant data lies, by interval."""

    addresses: Mapping[Key, int]

    def present(self, asked: Iterable[Request]) -> Iterator[Scratch]:
        """What is asked for of it, at its place."""
        for one in asked:
            if one.content:
                address = self.addresses[f"{CONTENT}{one.content}", one.core]
                yield Scratch(one.name, one.core, address, one.fixed, one.content)


def constants_of(placed: Mapping[int, Sequence[Placed]]) -> Constants:
    """The constant data of what is placed."""
    everything = (one for items in placed.values() for one in items)
    return Constants({one.interval.key: one.address for one in everything})


class _Gaps:
    """Gaps between the tensors of a core, for times that ascend."""

    def __init__(self, placed: Iterable[Placed], limit: int, in_turn: bool) -> None:
        tensors = (one for one in placed if not one.interval.key[0].startswith(SCRATCH))
        self._alive, self._limit, self._in_turn = AliveOnCore(tensors), limit, in_turn
        self._next = 0
        self._gaps: list[tuple[int, int]] = []

    def at(self, time: int) -> int:
        """Go to a time; returns the bytes of the largest gap."""
        self._gaps = self._alive.gaps(time, self._limit)
        return max((stop - start for start, stop in self._gaps), default=0)

    def take(self, size: int) -> int:
        """The address of so many bytes at this time."""
        largest = max(self._gaps, key=lambda gap: gap[1] - gap[0], default=(0, 0))
        behind = [(max(start, self._next), stop) for start, stop in self._gaps]
        choices = [*behind, *self._gaps] if self._in_turn else []
        address = next((start for start, stop in choices if start + size <= stop), largest[0])
        self._next = address + size
        return address


def band_of(
    node: Node, asked: Sequence[Request], room: Mapping[int, int]
) -> tuple[int, int | None]:
    """As few bands as there is room for, of more equal size: rows, and columns of less than one."""
    rows, columns = rows_of(node), columns_of(node)
    highest = min(most_rows(node), _most(asked, room, rows, None))
    if highest:
        return -(-rows // -(-rows // highest)), None
    widest = max(_most(asked, room, columns, columns), least_columns(columns))
    if columns == 1:
        return 1, None
    return 1, -(-columns // -(-columns // widest))


def _most(asked: Sequence[Request], room: Mapping[int, int], most: int, columns: int | None) -> int:
    """The most rows, or columns of a row of `columns`, that fit everywhere; 0 if none does."""
    for core, size in room.items():
        mine = [request for request in asked if request.core == core]
        per_unit = sum(request.per_row for request in mine) / (columns or 1)
        spare = size - sum(request.fixed + ALIGNMENT for request in mine)
        if per_unit:
            most = min(most, max(int(spare / per_unit), 0))
    return most


def _size(asked: Sequence[Request], core: int, band: int, columns: int | None) -> int:
    return sum(one.size(band, columns) for one in asked if one.core == core)


def placed_scratch(
    asked: Sequence[Request], band: int, columns: int | None, starts: Mapping[int, int]
) -> Iterator[Scratch]:
    """What is asked for, on each core one behind the other from where that starts."""
    next_free = dict(starts)
    for request in asked:
        size = request.size(band, columns)
        yield Scratch(request.name, request.core, next_free[request.core], size)
        next_free[request.core] += size
