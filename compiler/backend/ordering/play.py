"""List scheduling of a whole chip: every job begins as soon as what it needs is there and free.

The instructions of a core begin in the order in which they stand; one that must wait holds up all
behind it. So the program is played on a chip whose cores do not care for the order, and the order
of the beginnings is that of the instructions: on a core that keeps to it, each is then ready
about when its turn comes.

Jobs are begun one after the other, both sides of a transfer as one, and this one order is that of
every core. So no two cores can wait for each other, whatever the times were estimated to be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from heapq import heappop, heappush

from imcc.isa import Target
from imcc.isa.cost import Mesh, OperationCost, Unit

from .items import Item
from .jobs import Job, exchanged

Resource = tuple[int, int, int]  # core, unit, number of an array


def beginnings(jobs: Iterable[Job], target: Target) -> dict[int, list[int]]:
    """For each core the indices of its items in the order in which they begin."""
    play = _Play(target)
    for job in jobs:
        if not job.waits:
            play.await_turn(0, job)
    play.run()
    return play.order


class _Play:
    """The chip while it is played; times are cycles."""

    def __init__(self, target: Target) -> None:
        self.order: dict[int, list[int]] = defaultdict(list)
        self._mesh = Mesh(target.chip)
        self._free: dict[Resource, int] = defaultdict(int)
        self._memory_free = 0
        self._turns: list[tuple[int, int, int, Job]] = []
        self._count = 0

    def await_turn(self, time: int, job: Job) -> None:
        """Let a job try to begin at a time; of several those that stand first in their program."""
        self._count += 1
        heappush(self._turns, (time, job.rank, self._count, job))

    def run(self) -> None:
        """Begin all jobs."""
        while self._turns:
            time, _, _, job = heappop(self._turns)
            start = self._possible(job, time)
            if start > time:
                self.await_turn(start, job)
            else:
                self._begin(job, time)

    def _possible(self, job: Job, time: int) -> int:
        """The first cycle from `time` on in which all that a job holds is free now."""
        free = [
            self._free[resource]
            for (core, _), item in zip(job.places, job.items, strict=True)
            for resource in _held(core, item)
        ]
        pair = exchanged(job)
        if pair is not None:
            source, target = (job.places[side][0] for side in pair)
            free.append(self._mesh.free(source, target))
        return max(time, *free) if free else time

    def _begin(self, job: Job, start: int) -> None:
        end = start
        for (core, index), item in zip(job.places, job.items, strict=True):
            self.order[core].append(index)
            if item.cost is not None:
                end = max(end, self._pass(core, item.cost, start))
        pair = exchanged(job)
        if pair is not None:
            sent = job.items[pair[0]].cost
            assert sent is not None
            source, target = (job.places[side][0] for side in pair)
            self._mesh.reserve(source, target, start, sent.link)
        for (core, _), item in zip(job.places, job.items, strict=True):
            self._free.update((resource, end) for resource in _held(core, item))
        for follower in job.then:
            self._release(follower, end)

    def _pass(self, core: int, cost: OperationCost, start: int) -> int:
        """Let the bytes of an operation pass the memories; returns its end."""
        end = start + cost.cycles
        if cost.starts:
            starts = (core, Unit.STARTS, 0)
            begin = max(self._free[starts], start)
            self._free[starts] = begin + cost.starts
            end = begin + cost.cycles
        if cost.memory:
            self._memory_free = max(self._memory_free, start) + cost.memory
            end = max(end, self._memory_free)
        if cost.port:
            port = (core, len(Unit), 0)
            self._free[port] = max(self._free[port], start) + cost.port
            end = max(end, self._free[port])
        return end

    def _release(self, job: Job, time: int) -> None:
        job.ready = max(job.ready, time)
        job.waits -= 1
        if not job.waits:
            self.await_turn(job.ready, job)


def _held(core: int, item: Item) -> list[Resource]:
    """What an item holds from its beginning to its end."""
    if item.cost is None or item.cost.unit is Unit.SYNC:
        return []
    if item.cost.unit is Unit.ARRAYS:
        return [(core, Unit.ARRAYS, array) for array in item.cost.arrays]
    return [(core, item.cost.unit, 0)]
