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

Resource = tuple[int, ...]
"""A unit of a core: core, unit, number of an array. Or a link: both cores."""


def beginnings(jobs: Iterable[Job], target: Target) -> dict[int, list[int]]:
    """For each core the indices of its items in the order in which they begin."""
    play = _Play(target)
    for job in jobs:
        if not job.waits:
            play.call(0, job)
    play.run()
    return play.order


class _Play:
    """The chip while it is played; times are cycles.

    A job that finds a resource taken waits for that one. When it is free, those that wait for it
    have their turns, the ones that stand first in their programs before others.
    """

    def __init__(self, target: Target) -> None:
        self.order: dict[int, list[int]] = defaultdict(list)
        self._ready: dict[Job, int] = {}
        self._mesh = Mesh(target.chip)
        self._held: dict[Job, tuple[Resource, ...]] = {}
        self._free: dict[Resource, int] = defaultdict(int)
        self._memory_free = 0
        self._waiting: dict[Resource, list[tuple[int, int, Job]]] = defaultdict(list)
        self._called: set[Resource] = set()
        self._calls: list[tuple[int, int, int, Job | Resource]] = []
        self._count = 0

    def call(self, time: int, whom: Job | Resource) -> None:
        """Let a job try to begin at a time, or those that wait for a resource."""
        self._count += 1
        rank = whom.rank if isinstance(whom, Job) else -1
        heappush(self._calls, (time, rank, self._count, whom))

    def run(self) -> None:
        """Begin all jobs."""
        while self._calls:
            time, _, _, whom = heappop(self._calls)
            if isinstance(whom, Job):
                self._try(whom, time)
            else:
                self._turns(whom, time)

    def _try(self, job: Job, time: int) -> None:
        """Begin a job, or let it wait for the first resource that is taken."""
        if job not in self._held:
            self._held[job] = self._resources(job)
        for resource in self._held[job]:
            if self._free[resource] > time:
                self._count += 1
                heappush(self._waiting[resource], (job.rank, self._count, job))
                self._call_back(resource)
                return
        self._begin(job, time)

    def _turns(self, resource: Resource, time: int) -> None:
        self._called.discard(resource)
        waiting = self._waiting[resource]
        while waiting and self._free[resource] <= time:
            self._try(heappop(waiting)[-1], time)
        if waiting:
            self._call_back(resource)

    def _call_back(self, resource: Resource) -> None:
        if resource not in self._called:
            self._called.add(resource)
            self.call(self._free[resource], resource)

    def _resources(self, job: Job) -> tuple[Resource, ...]:
        """All that a job must find free."""
        units = [
            resource
            for (core, _), item in zip(job.places, job.items, strict=True)
            for resource in _units(core, item)
        ]
        pair = exchanged(job)
        return (*units, *self._route(job, pair)) if pair else tuple(units)

    def _route(self, job: Job, pair: tuple[int, int]) -> tuple[Resource, ...]:
        source, target = (job.places[side][0] for side in pair)
        return self._mesh.route(source, target)

    def _begin(self, job: Job, start: int) -> None:
        end = start
        for (core, index), item in zip(job.places, job.items, strict=True):
            self.order[core].append(index)
            if item.cost is not None:
                end = max(end, self._pass(core, item.cost, start))
        for resource in self._held.pop(job):
            self._free[resource] = end
        pair = exchanged(job)
        if pair is not None:
            sent = job.items[pair[0]].cost
            assert sent is not None
            self._free.update((link, start + sent.link) for link in self._route(job, pair))
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
        self._ready[job] = time = max(self._ready.get(job, 0), time)
        job.waits -= 1
        if not job.waits:
            self.call(time, job)


def _units(core: int, item: Item) -> list[Resource]:
    """The units of a core that an item holds from its beginning to its end."""
    if item.cost is None or item.cost.unit is Unit.SYNC:
        return []
    if item.cost.unit is Unit.ARRAYS:
        return [(core, Unit.ARRAYS, array) for array in sorted(item.cost.arrays)]
    return [(core, item.cost.unit, 0)]
