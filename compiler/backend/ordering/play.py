"""List scheduling of a whole chip: every job begins as soon as what it needs is there and free.

The instructions of a core begin in the order in which they stand; one that must wait holds up all
behind it. So the program is played on a chip whose cores do not care for the order, and the order
of the beginnings is that of the instructions: on a core that keeps to it, each is then ready
about when its turn comes.

Where a core starts the row blocks of a product one after the other, a program may meet a chip that
passes nothing on meanwhile, as that of PIMCOMP's cost model. So there transfers of a core begin
one after the other, and none in the first part of the starts: what waits for such a core does
something else first, which costs little on a chip that could have passed it on.

Jobs are begun one after the other, both sides of a transfer as one, and this one order is that of
every core. So no two cores can wait for each other, whatever the times were estimated to be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from imcc.isa import Target
from imcc.isa.cost import Mesh, OperationCost, Unit

from .items import NETWORK, Item
from .jobs import Job, exchanged

# Of the time of its starts, in which a product lets no transfer of its core begin. The longer, the
# sooner programs end by PIMCOMP's cost model and the later by ours: a fifth costs ours up to 1.5 %
# on `pimcomp`, a third up to 3 %.
_QUIET = 0.2
# Of a core: what all bytes of its local memory pass, what those of transfers do, and the turn to
# transfer or to multiply, and the turn of what no two do at a time.
_PORT, _TRANSFERS, _TURN, _ALONE = range(len(Unit), len(Unit) + 4)

Resource = tuple[int, ...]
"""A unit of a core: core, unit, number of an array. Or a link: both cores."""
_LINK = 2


class _Turns(NamedTuple):
    """Those that wait for a resource have their turns."""

    resource: int


@dataclass(frozen=True)
class Played:
    """What came of a play: for each core the indices of its items in the order of their beginnings.

    Times are cycles: `begun` and `ended` of the first and last item of each core, and `busiest`,
    for how long any unit works.
    """

    order: Mapping[int, list[int]]
    begun: Mapping[int, int]
    ended: Mapping[int, int]
    busiest: int

    @property
    def end(self) -> int:
        """The last end."""
        return max(self.ended.values(), default=0)

    @property
    def span(self) -> int:
        """The longest time between the beginning and the end of a core."""
        return max((self.ended[core] - begun for core, begun in self.begun.items()), default=0)


class _Resources:
    """The resources of the chip by number, and the cycles from which each is free."""

    def __init__(self, target: Target, in_turn: bool) -> None:
        self.free: list[int] = []
        self.busy: list[int] = []
        self._numbers: dict[Resource, int] = {}
        self._held: dict[tuple[int, Unit, frozenset[int]], list[int]] = {}
        self._routes: dict[tuple[int, int], list[int]] = {}
        self._mesh = Mesh(target.chip)
        self._in_turn = in_turn and target.timing.t_start_ns > 0

    def number(self, resource: Resource) -> int:
        """The number of a resource."""
        number = self._numbers.get(resource)
        if number is None:
            number = self._numbers[resource] = len(self.free)
            self.free.append(0)
            self.busy.append(0)
        return number

    def free_from(self, times: Mapping[int, int]) -> None:
        """Let nothing be taken, and those of cores be free from some time on."""
        for resource, number in self._numbers.items():
            self.free[number] = times.get(resource[0], 0) if len(resource) > _LINK else 0
            self.busy[number] = 0

    def give(self, job: Job) -> None:
        """Note what a job must find free."""
        for (core, _), item in zip(job.places, job.items, strict=True):
            job.holds += self._units(core, item)
        pair = exchanged(job)
        if pair is not None:
            source, target = (job.places[side][0] for side in pair)
            links = self._route(source, target)
            job.holds += links
            job.links = len(links)

    def _units(self, core: int, item: Item) -> list[int]:
        """The units of a core that an item holds from its beginning to its end."""
        if item.cost is None or item.cost.unit is Unit.SYNC:
            return []
        key = (core, item.cost.unit, item.cost.arrays)
        if key not in self._held:
            arrays = sorted(item.cost.arrays) or (0,)
            self._held[key] = [self.number((core, item.cost.unit, array)) for array in arrays]
        if item.cost.alone:
            return [*self._held[key], self.number((core, _ALONE, 0))]
        takes_turn = item.cost.starts or item.cost.unit in NETWORK
        if self._in_turn and takes_turn:
            return [*self._held[key], self.turn(core)]
        return self._held[key]

    def turn(self, core: int) -> int:
        """The number of the turn of a core, where products and transfers take turns."""
        return self.number((core, _TURN, 0))

    def _route(self, source: int, target: int) -> list[int]:
        if (source, target) not in self._routes:
            route = self._mesh.route(source, target)
            self._routes[source, target] = list(map(self.number, route))
        return self._routes[source, target]


class Play:
    """The chip while it is played; times are cycles.

    A job that finds a resource taken waits for that one. When it is free, those that wait for it
    have their turns, the ones that stand first in their programs before others.
    """

    def __init__(self, jobs: Iterable[Job], target: Target, *, in_turn: bool = True) -> None:
        """`in_turn` lets products and transfers of a core take turns where starts take time."""
        self._jobs = tuple(jobs)
        self._resources = _Resources(target, in_turn)
        for job in self._jobs:
            self._resources.give(job)
        self._begin_again({})

    def run(self, available: Mapping[int, int] | None = None) -> Played:
        """Begin all jobs, none on a core that is not available yet."""
        self._begin_again(available or {})
        for job in self._jobs:
            job.ready, job.left = 0, job.waits
            if not job.waits:
                self._call(0, job)
        while self._calls:
            time, _, _, whom = heappop(self._calls)
            if isinstance(whom, Job):
                self._try(whom, time)
            else:
                self._turns(whom.resource, time)
        busiest = max(self._resources.busy, default=0)
        return Played(self._order, self._begun, self._ended, busiest)

    def _begin_again(self, available: Mapping[int, int]) -> None:
        self._order: dict[int, list[int]] = defaultdict(list)
        self._begun: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        self._memory_free = 0
        self._waiting: dict[int, list[tuple[int, int, Job]]] = defaultdict(list)
        self._called: set[int] = set()
        self._calls: list[tuple[int, int, int, Job | _Turns]] = []
        self._count = 0
        self._resources.free_from(available)

    def _call(self, time: int, job: Job) -> None:
        """Let a job try to begin at a time."""
        self._count += 1
        heappush(self._calls, (time, job.rank, self._count, job))

    def _try(self, job: Job, time: int) -> None:
        """Begin a job, or let it wait for the first resource that is taken."""
        free = self._resources.free
        for resource in job.holds:
            if free[resource] > time:
                self._count += 1
                heappush(self._waiting[resource], (job.rank, self._count, job))
                self._call_back(resource)
                return
        self._begin(job, time)

    def _turns(self, resource: int, time: int) -> None:
        self._called.discard(resource)
        waiting, free = self._waiting[resource], self._resources.free
        while waiting and free[resource] <= time:
            self._try(heappop(waiting)[-1], time)
        if waiting:
            self._call_back(resource)

    def _call_back(self, resource: int) -> None:
        if resource not in self._called:
            self._called.add(resource)
            self._count += 1
            call = (self._resources.free[resource], -1, self._count, _Turns(resource))
            heappush(self._calls, call)

    def _begin(self, job: Job, start: int) -> None:
        end = job.begun = start
        free, busy = self._resources.free, self._resources.busy
        for (core, index), item in zip(job.places, job.items, strict=True):
            self._order[core].append(index)
            self._begun.setdefault(core, start)
            if item.cost is not None:
                passed = self._pass(core, item.cost, start)
                end = passed if passed > end else end
        for resource in job.holds:
            free[resource] = end
            busy[resource] += end - start
        for (core, _), item in zip(job.places, job.items, strict=True):
            if self._ended.get(core, -1) < end:
                self._ended[core] = end
            if item.cost is not None and item.cost.starts:
                free[self._resources.turn(core)] = start + int(_QUIET * item.cost.starts)
        if job.links:
            link = start + _sent(job).link
            for resource in job.holds[-job.links :]:
                free[resource] = link
        job.ended = end
        self._end(job, end)

    def _pass(self, core: int, cost: OperationCost, start: int) -> int:
        """Let the bytes of an operation pass the memories; returns its end."""
        end = start + cost.cycles
        if cost.starts:
            begin = self._take((core, Unit.STARTS, 0), start, cost.starts) - cost.starts
            end = begin + cost.cycles
        if cost.memory:
            self._memory_free = max(self._memory_free, start) + cost.memory
            end = max(end, self._memory_free)
        if cost.port:
            end = max(end, self._pass_port(core, cost, start))
        return end

    def _pass_port(self, core: int, cost: OperationCost, start: int) -> int:
        """Let bytes pass the port of a core; those of transfers wait for other transfers only."""
        if cost.unit not in NETWORK:
            return self._take((core, _PORT, 0), start, cost.port)
        passed = self._take((core, _TRANSFERS, 0), start, cost.port)
        self._take((core, _PORT, 0), passed - cost.port, cost.port)
        return passed

    def _take(self, resource: Resource, start: int, cycles: int) -> int:
        """Take a resource for some cycles as soon as it is free; returns when it is again."""
        number, free = self._resources.number(resource), self._resources.free
        begin = free[number]
        free[number] = end = (start if start > begin else begin) + cycles
        return end

    def _end(self, ended: Job, time: int) -> None:
        """Call the jobs that have waited for no more than this end."""
        over = [(ended, time)]
        while over:
            last, end = over.pop()
            for job in last.then:
                if job.ready < end:
                    job.ready = end
                job.left -= 1
                if job.left:
                    continue
                if job.items:
                    self._call(job.ready, job)
                else:
                    over.append((job, job.ready))


def _sent(job: Job) -> OperationCost:
    """What the sender of a transfer takes."""
    pair = exchanged(job)
    assert pair is not None
    sent = job.items[pair[0]].cost
    assert sent is not None
    return sent
