"""What jobs need of the chip when inputs overlap: resources, for how long, and bytes of memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from imcc.isa import Target
from imcc.isa.cost import Mesh, OperationCost, Unit

from ...schedule.apart import OwnPlace
from .items import Item, local_ranges
from .jobs import Job, exchanged

Resource = tuple[int, ...]
_PORT, _TRANSFERS, _ARRAYS = len(Unit), len(Unit) + 1, len(Unit) + 2
_MEMORY = (-1, 0)


@dataclass(frozen=True, slots=True)
class Need:
    """What a job holds: resources by number with their cycles, and places of memory by number.

    It works for `cycles`. Bytes that are `passing` a port may do so at any time while it works, or
    make it longer; those `beside` it pass first, and all else waits for them.
    """

    cycles: int
    held: tuple[tuple[int, int], ...]
    passing: tuple[tuple[int, int], ...]
    beside: tuple[tuple[int, int], ...]
    places: tuple[int, ...]
    on_arrays: bool = False


class Needs:
    """The needs of all jobs; `grains` of resources that are taken in multiples of something."""

    def __init__(
        self, jobs: Sequence[Job], target: Target, places: Mapping[int, Sequence[OwnPlace]]
    ) -> None:
        self._numbers: dict[Resource, int] = {}
        self._mesh = Mesh(target.chip)
        self._groups = _Groups(jobs)
        self._places = _Places(places)
        self.grains: dict[int, int] = {}
        self.each = tuple(map(self._need, jobs))
        self.count = len(self._numbers)
        self.delays = self._all_delays()

    @property
    def busiest(self) -> int:
        """For how long the resource that is held longest is held."""
        held: dict[int, int] = defaultdict(int)
        for need in self.each:
            for number, cycles in (*need.held, *need.passing, *need.beside):
                held[number] += cycles
        return max(held.values(), default=0)

    def alike(self, number: int) -> set[int]:
        """The resources of all cores that are the same part of them."""
        part = next(resource for resource, one in self._numbers.items() if one == number)[1:]
        return {one for resource, one in self._numbers.items() if resource[1:] == part}

    def _all_delays(self) -> tuple[int, ...]:
        """By how many cycles each job may end later than it should.

        A product that begins just before it may have all its bytes pass the port first.
        """
        most: dict[int, int] = defaultdict(int)
        for need in self.each:
            for port, cycles in need.passing if need.on_arrays else ():
                most[port] = max(most[port], cycles)

        def delay(need: Need) -> int:
            ports = () if need.on_arrays else (*need.passing, *need.beside)
            return max((most[port] for port, _ in ports), default=0)

        return tuple(map(delay, self.each))

    def _need(self, job: Job) -> Need:
        costs = [
            (core, item.cost)
            for (core, _), item in zip(job.places, job.items, strict=True)
            if item.cost is not None and item.cost.unit is not Unit.SYNC
        ]
        cycles = max((max(c.cycles, c.port, c.memory) for _, c in costs), default=0)
        held: dict[int, int] = {}
        passing: dict[int, int] = {}
        beside: dict[int, int] = {}
        for core, cost in costs:
            self._add(core, cost, cycles, held, passing, beside)
        pair = exchanged(job)
        if pair is not None:
            source, target = (job.places[side][0] for side in pair)
            sent = job.items[pair[0]].cost
            assert sent is not None
            for link in self._mesh.route(source, target):
                held[self._number(link)] = sent.link
        touched = {
            place
            for (core, _), item in zip(job.places, job.items, strict=True)
            for place in self._places.touched(core, item)
        }
        return Need(
            cycles,
            tuple(held.items()),
            tuple(passing.items()),
            tuple(beside.items()),
            tuple(sorted(touched)),
            any(number in self.grains for number in held),
        )

    def _add(
        self,
        core: int,
        cost: OperationCost,
        cycles: int,
        held: dict[int, int],
        passing: dict[int, int],
        beside: dict[int, int],
    ) -> None:
        for group in self._groups.of(core, cost.arrays) if cost.arrays else ():
            number = self._number((core, _ARRAYS, group))
            self.grains[number] = gcd(self.grains.get(number, 0), cycles)
            held[number] = cycles
        if not cost.arrays:
            held[self._number((core, cost.unit, 0))] = cycles
        if cost.port:
            port = self._number((core, _PORT, 0))
            if cost.unit in (Unit.OUT, Unit.IN):
                held[self._number((core, _TRANSFERS, 0))] = cost.port
                beside[port] = cost.port
            else:
                passing[port] = cost.port
        if cost.memory:
            held[self._number(_MEMORY)] = cost.memory

    def _number(self, resource: Resource) -> int:
        return self._numbers.setdefault(resource, len(self._numbers))


class _Groups:
    """Arrays of a core that are always read together are one resource."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        readers: dict[tuple[int, int], set[frozenset[int]]] = defaultdict(set)
        for core, arrays in _matrices(jobs):
            for array in arrays:
                readers[core, array].add(arrays)
        numbers: dict[tuple[int, frozenset[frozenset[int]]], int] = {}
        self._group = {
            key: numbers.setdefault((key[0], frozenset(found)), len(numbers))
            for key, found in readers.items()
        }
        self._known: dict[tuple[int, frozenset[int]], tuple[int, ...]] = {}

    def of(self, core: int, arrays: frozenset[int]) -> tuple[int, ...]:
        """The groups of some arrays."""
        key = (core, arrays)
        if key not in self._known:
            self._known[key] = tuple(sorted({self._group[core, array] for array in arrays}))
        return self._known[key]


def _matrices(jobs: Sequence[Job]) -> set[tuple[int, frozenset[int]]]:
    return {
        (core, item.cost.arrays)
        for job in jobs
        for (core, _), item in zip(job.places, job.items, strict=True)
        if item.cost is not None and item.cost.arrays
    }


class _Places:
    """Places of memory by number, over all cores; constant data is not counted."""

    def __init__(self, places: Mapping[int, Sequence[OwnPlace]]) -> None:
        self._starts = {core: [one.address for one in found] for core, found in places.items()}
        self._constant = {core: [one.constant for one in found] for core, found in places.items()}
        self._first: dict[int, int] = {}
        count = 0
        for core, found in places.items():
            self._first[core] = count
            count += len(found)

    def touched(self, core: int, item: Item) -> Iterator[int]:
        """The places that an item reads or writes."""
        for low, high in local_ranges(item):
            starts, constant = self._starts[core], self._constant[core]
            begin, end = bisect_right(starts, low) - 1, bisect_left(starts, high)
            yield from (self._first[core] + n for n in range(begin, end) if not constant[n])
