"""What happens at one time: an operation, the two sides of a transfer, or a barrier of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from imcc.isa.cost import Unit

from .hazards import needs
from .items import CoreItems, Item, is_barrier

Place = tuple[int, int]  # core, index of an item


@dataclass(slots=True, eq=False)
class Job:
    """Items that begin together. `waits` counts the ends that it waits for.

    `ready` is the latest of those that have come, in cycles. `rank` is where its last item stands
    in its program. `then` are the jobs that wait for it.
    """

    places: list[Place]
    items: list[Item]
    rank: int
    waits: int = 0
    ready: int = 0
    then: list[Job] = field(default_factory=list)

    def let_wait(self, other: Job) -> None:
        """Let another job wait for this one."""
        self.then.append(other)
        other.waits += 1


def jobs(cores: Mapping[int, CoreItems]) -> list[Job]:
    """The jobs of a program, each with those that wait for it."""
    meetings: dict[tuple[object, ...], Job] = {}
    channels: dict[tuple[int, int, int], Job] = {}
    made: list[Job] = []
    for core, found in cores.items():
        counts: dict[tuple[object, ...], int] = defaultdict(int)
        own: list[Job] = []
        for index, (item, needed) in enumerate(zip(found.items, needs(found.items), strict=True)):
            job = _job(core, index, item, meetings, counts)
            if len(job.items) == 1:
                made.append(job)
            for before in needed:
                own[before].let_wait(job)
            own.append(job)
            if item.cost is not None and item.cost.unit is Unit.OUT:
                channel = (core, item.cost.peer, item.cost.tag)
                if channel in channels:
                    channels[channel].let_wait(job)
                channels[channel] = job
    return made


def _job(
    core: int,
    index: int,
    item: Item,
    meetings: dict[tuple[object, ...], Job],
    counts: dict[tuple[object, ...], int],
) -> Job:
    """The job of an item: one of its own, or that of what it meets on other cores."""
    meeting = _meeting(core, item)
    if meeting is None:
        return Job([(core, index)], [item], index)
    key = (*meeting, counts[meeting])
    counts[meeting] += 1
    if key not in meetings:
        meetings[key] = Job([], [], index)
    job = meetings[key]
    job.places.append((core, index))
    job.items.append(item)
    job.rank = max(job.rank, index)
    return job


def _meeting(core: int, item: Item) -> tuple[object, ...] | None:
    if is_barrier(item):
        return ("barrier",)
    if item.cost is None or item.cost.unit not in (Unit.OUT, Unit.IN):
        return None
    ends = (core, item.cost.peer) if item.cost.unit is Unit.OUT else (item.cost.peer, core)
    return (*ends, item.cost.tag)


def exchanged(job: Job) -> tuple[int, int] | None:
    """The positions in the job of its sender and receiver, if it is a transfer."""
    if len(job.items) != 2 or is_barrier(job.items[0]):
        return None
    first = job.items[0].cost
    assert first is not None
    return (0, 1) if first.unit is Unit.OUT else (1, 0)
