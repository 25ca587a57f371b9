"""What happens at one time: an operation, the two sides of a transfer, or a barrier of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imcc.isa.cost import Unit

from .hazards import nodes
from .items import NETWORK, CoreItems, Item, is_barrier

Place = tuple[int, int]  # core, index of an item


@dataclass(slots=True, eq=False)
class Job:
    """Items that begin together, or with none a time that others wait for.

    `waits` counts the ends that it waits for. While the chip is played, `left` counts those that
    have not come, and `ready` is the latest of those that have, in cycles. `rank` is where its last
    item stands in its program. `then` are the jobs that wait for it. `holds` are the numbers of
    what it needs for itself while it runs, the last `links` of them the way of a transfer. `begun`
    and `ended` are when it began and ended in the last play.
    """

    places: list[Place]
    items: list[Item]
    rank: int
    waits: int = 0
    left: int = 0
    ready: int = 0
    then: list[Job] = field(default_factory=list)
    holds: list[int] = field(default_factory=list)
    links: int = 0
    begun: int = 0
    ended: int = 0

    def let_wait(self, other: Job) -> None:
        """Let another job wait for this one."""
        self.then.append(other)
        other.waits += 1


def jobs(cores: Mapping[int, CoreItems], *, in_order: bool = True) -> list[Job]:
    """The jobs of a program, each with those that wait for it.

    With `in_order` what is sent from one core to another waits for what was sent before.
    """
    maker = _Maker(in_order)
    for core, found in cores.items():
        maker.add(core, found)
    return maker.made


class _Maker:
    """The jobs while they are made; transfers and barriers wait for their other sides."""

    def __init__(self, in_order: bool) -> None:
        self.made: list[Job] = []
        self._in_order = in_order
        self._meetings: dict[tuple[object, ...], Job] = {}
        self._channels: dict[tuple[int, int, int], Job] = {}

    def add(self, core: int, found: CoreItems) -> None:
        """Add the jobs of a core."""
        counts: dict[tuple[object, ...], int] = defaultdict(int)
        own: list[Job] = []
        for index, needs in nodes(found.items):
            job = self._job(core, index, found.items, counts)
            for before in needs:
                own[before].then.append(job)
            job.waits += len(needs)
            own.append(job)

    def _job(
        self,
        core: int,
        index: int | None,
        items: Sequence[Item],
        counts: dict[tuple[object, ...], int],
    ) -> Job:
        """The job of a node: one of its own, or that of what it meets on other cores."""
        if index is None:
            return self._new([], [], 0)
        item = items[index]
        meeting = _meeting(core, item)
        if meeting is None:
            return self._new([(core, index)], [item], index)
        key = (*meeting, counts[meeting])
        counts[meeting] += 1
        job = self._meetings.get(key)
        if job is None:
            job = self._meetings[key] = self._new([], [], index)
        job.places.append((core, index))
        job.items.append(item)
        job.rank = max(job.rank, index)
        self._keep_order(core, item, job)
        return job

    def _new(self, places: list[Place], items: list[Item], rank: int) -> Job:
        job = Job(places, items, rank)
        self.made.append(job)
        return job

    def _keep_order(self, core: int, item: Item, job: Job) -> None:
        """Let what is sent on a channel wait for what was sent before."""
        if not self._in_order or item.cost is None or item.cost.unit is not Unit.OUT:
            return
        channel = (core, item.cost.peer, item.cost.tag)
        if channel in self._channels:
            self._channels[channel].let_wait(job)
        self._channels[channel] = job


def _meeting(core: int, item: Item) -> tuple[object, ...] | None:
    cost = item.cost
    if cost is None:
        return None
    if cost.unit not in NETWORK:
        return ("barrier",) if cost.unit is Unit.SYNC and is_barrier(item) else None
    ends = (core, cost.peer) if cost.unit is Unit.OUT else (cost.peer, core)
    return (*ends, cost.tag)


def exchanged(job: Job) -> tuple[int, int] | None:
    """The positions in the job of its sender and receiver, if it is a transfer."""
    if len(job.items) != 2 or is_barrier(job.items[0]):
        return None
    first = job.items[0].cost
    assert first is not None
    return (0, 1) if first.unit is Unit.OUT else (1, 0)
