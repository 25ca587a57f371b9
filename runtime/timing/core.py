"""One core: when its next instruction can issue, and what that waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import IntEnum

from imcc.isa.cost import Unit

from .code import CoreCode, Fetched, Ranges
from .static import StaticOperation

NEVER = 1 << 62
"""The end of a transfer whose other side has not come yet."""


class Wait(IntEnum):
    """Why an instruction issues later than the one before it allows."""

    NONE = 0
    CONFLICT = 1
    UNIT = 2
    WINDOW = 3
    ALL = 4


class Issued:
    """An operation under way. `cause` is what it waited for: its end, or its issue (`ordered`).

    `start` is the issue, or for a transfer the cycle in which its bytes begin to move. `partner`
    is the side of a transfer (or barrier) that came last, `bound` what `end` was decided by.
    """

    __slots__ = (
        "bound",
        "cause",
        "end",
        "input",
        "issue",
        "operation",
        "ordered",
        "partner",
        "reads",
        "start",
        "writes",
    )

    def __init__(
        self, fetched: Fetched, round_: int, issue: int, cause: Issued | None, ordered: bool
    ) -> None:
        _, self.operation, self.reads, self.writes, lag = fetched
        self.input = round_ - lag
        self.issue = self.start = issue
        self.end = NEVER
        self.cause = cause
        self.ordered = ordered
        self.partner: Issued | None = None
        self.bound = self.operation.unit

    def under_way(self, slot: int) -> bool:
        """Tell whether it ends later; if not, no younger instruction needs its ranges."""
        if self.end > slot:
            return True
        self.reads = self.writes = ()
        return False


Next = tuple[int, "Issued | None", Wait]
"""When the next instruction can issue, what it waits for, and why."""


class Core:
    """The state of one core, which runs its code once a round: what is under way, and comes next.

    `waits` counts cycles by reason and by the unit that was waited for, `data_waits` by the core
    whose side of a transfer was missing. `found` is kept until something happens that changes it.
    """

    __slots__ = (
        "_covered",
        "_feed",
        "_inputs",
        "_window",
        "active",
        "code",
        "data_waits",
        "fetched",
        "flight",
        "found",
        "last",
        "number",
        "pending",
        "port_free",
        "round",
        "slot",
        "starts_free",
        "transfers_free",
        "version",
        "waits",
    )

    def __init__(self, number: int, code: CoreCode, window: int, inputs: int) -> None:
        self.number = number
        self.code = code
        self.flight: list[Issued] = []
        self.last: Issued | None = None
        self.slot = 0
        self.port_free = 0
        self.starts_free = 0
        self.transfers_free = 0
        self.pending = 0
        self.version = 0
        self.round = 0
        self.active = 0
        self.waits = [[0] * len(Unit) for _ in Wait]
        self.data_waits: Counter[int] = Counter()
        self.found: Next | None = None
        self._covered = 0
        self._window = window
        self._inputs = inputs
        self._feed: Iterator[Fetched] = code.fetch()
        self.fetched: Fetched | None = None
        self.fetch()

    def fetch(self) -> None:
        """Take the next instruction; `slot` becomes the first cycle in which it can issue.

        Those for inputs that do not exist are left out.
        """
        for fetched in self._feed:
            self.slot += fetched[0]
            if 0 <= self.round - fetched[4] < self._inputs or fetched[1] is self.code.end:
                self.fetched = fetched
                return
        self.fetched = None

    def issue(self, fetched: Fetched, found: Next, traced: bool) -> Issued:
        """Put an instruction under way. What led to it is kept if it is `traced`."""
        time, cause, wait = found
        if cause is not None and wait:
            self._count_wait(time, cause, wait)
        issued = Issued(fetched, self.round, time, cause if traced else None, not wait)
        self.last = issued
        self.slot = time + 1
        self.found = None
        self.flight.append(issued)
        return issued

    def begin_round(self) -> None:
        """Start over with the next round, behind what is still under way of this one."""
        self.round += 1
        self.fetched = None
        if self.round < self._inputs + self.code.lags:
            self._feed = self.code.fetch()
            self.fetch()

    def cover(self, start: int, end: int) -> None:
        """Count the cycles in which any unit of the core works."""
        if end > self._covered:
            self.active += end - max(start, self._covered)
            self._covered = end

    def next_issue(self, fetched: Fetched) -> Next:
        """The first cycle in which what was fetched can issue."""
        if self.found is None:
            self.found = self._find(fetched)
        return self.found

    def _find(self, fetched: Fetched) -> Next:
        time, slot = self.slot, self.slot
        flight = self.flight
        if flight:
            self.flight = flight = [one for one in flight if one.under_way(slot)]
        if not flight:
            return time, self.last, Wait.NONE
        _, operation, reads, writes, _ = fetched
        cause, wait = self.last, Wait.NONE
        if operation.unit is Unit.SYNC:
            cause = max(flight, key=_end)
            return cause.end, cause, Wait.ALL
        if self._window > 1:
            for one in flight:
                if one.end > time and (why := _obstacle(one, operation, reads, writes)):
                    time, cause, wait = one.end, one, why
        under_way = [one for one in flight if one.end > time]
        if len(under_way) >= self._window:
            under_way.sort(key=_end)
            cause = under_way[len(under_way) - self._window]
            time, wait = cause.end, Wait.WINDOW
        return time, cause, wait

    def _count_wait(self, time: int, cause: Issued, wait: Wait) -> None:
        """Count the cycles from the slot to the issue, by reason."""
        begin = self.slot
        peer = cause.operation.peer
        if peer >= 0 and cause.start > begin:
            self.data_waits[peer] += min(time, cause.start) - begin
            begin = cause.start
        if time > begin:
            self.waits[wait][cause.operation.unit] += time - begin


def _end(issued: Issued) -> int:
    return issued.end


def _obstacle(one: Issued, operation: StaticOperation, reads: Ranges, writes: Ranges) -> Wait:
    """Why `operation` cannot run beside `one`, which is older."""
    other = one.operation
    if operation.unit is other.unit:
        if operation.unit is not Unit.ARRAYS or (operation.alone and other.alone):
            return Wait.UNIT
        if not operation.arrays.isdisjoint(other.arrays):
            return Wait.UNIT
    elif other.unit is Unit.SYNC:
        return Wait.ALL
    conflict = (
        _overlap(writes, one.writes) or _overlap(writes, one.reads) or _overlap(reads, one.writes)
    )
    return Wait.CONFLICT if conflict else Wait.NONE


def _overlap(ranges: Ranges, others: Ranges) -> bool:
    for low, high in ranges:
        for first, behind in others:
            if low < behind and first < high:
                return True
    return False
