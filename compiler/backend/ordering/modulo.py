"""Modulo scheduling: when each job begins if an input begins every `period` cycles.

Every job is put at the first time at which all it waits for has ended and all it holds is free, the
resources of the chip counted modulo the period (after Rau, "Iterative modulo scheduling", 1994).
Products come one after the other, so that when the first row of one is placed it is known when the
others are ready, and it begins late enough for all to fit a period. What an input has in a place of
memory must be over when the next input needs it: jobs for which it is not begin later, and all is
scheduled again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from .circle import Circle
from .jobs import Job
from .needs import Need, Needs

# Of a period, that arrays shall have between the last row of an input and the first of the next.
_SPARE = 0.02
# Times that all is scheduled again because a job has begun too early.
_ATTEMPTS = 10


class Times(NamedTuple):
    """When a job begins and ends, and how many were scheduled before it."""

    begin: int
    end: int
    number: int


class Modulo:
    """Jobs to be scheduled for one period or another."""

    def __init__(self, jobs: Sequence[Job], needs: Needs, labels: Sequence[object]) -> None:
        """The jobs have been played for one input; `labels` say what each is a part of."""
        self._jobs, self._needs = jobs, needs
        self._rank = _ranks(jobs, labels)
        self._rows = _rows(jobs, labels, needs)
        index = {id(job): number for number, job in enumerate(jobs)}
        self._then = [[index[id(other)] for other in job.then] for job in jobs]
        self._lazy = self._that_can_wait()
        self._before: dict[int, list[int]] = defaultdict(list)
        for number in sorted(self._lazy):
            for other in self._then[number]:
                self._before[other].append(number)
        self._order = self._in_order()

    def begins(self, period: int) -> list[Times] | None:
        """The times of all jobs; None if they do not come out for this period."""
        later: dict[int, int] = {}
        for _ in range(_ATTEMPTS):
            attempt = _Attempt(self._needs, period, self._then, self._before, self._rows)
            found = attempt.run(self._order, later)
            if found is None or not attempt.early:
                return found
            later.update(attempt.early)
        return None

    def _that_can_wait(self) -> set[int]:
        """Jobs that make something of nothing: they fill, or load what nobody writes.

        They are left until something needs them, or they would hold memory from the beginning.
        """
        left = [job.waits for job in self._jobs]
        open_ = [number for number, job in enumerate(self._jobs) if not job.waits]
        found = set()
        while open_:
            number = open_.pop()
            if not _makes_of_nothing(self._jobs[number]):
                continue
            found.add(number)
            for other in self._then[number]:
                left[other] -= 1
                if not left[other]:
                    open_.append(other)
        return found

    def _in_order(self) -> list[int]:
        """All other jobs, each behind what it waits for."""
        left = [job.waits for job in self._jobs]
        ready: list[tuple[int, int, int]] = []
        found: list[int] = []
        for number in sorted(self._lazy):
            self._release(number, left, ready)
        for number, job in enumerate(self._jobs):
            if not job.waits and number not in self._lazy:
                heappush(ready, (self._rank[number], job.begun, number))
        while ready:
            *_, number = heappop(ready)
            found.append(number)
            self._release(number, left, ready)
        return found

    def _release(self, number: int, left: list[int], ready: list[tuple[int, int, int]]) -> None:
        for other in self._then[number]:
            left[other] -= 1
            if not left[other] and other not in self._lazy:
                heappush(ready, (self._rank[other], self._jobs[other].begun, other))


def _ranks(jobs: Sequence[Job], labels: Sequence[object]) -> list[int]:
    """Jobs of one label together, those first of which one begins first; what has none at once."""
    first: dict[object, int] = {}
    for job, label in zip(jobs, labels, strict=True):
        if label is not None:
            first[label] = min(first.get(label, job.begun), job.begun)
    order = {label: rank for rank, label in enumerate(sorted(first, key=lambda one: first[one]), 1)}
    return [order.get(label, 0) for label in labels]


def _rows(jobs: Sequence[Job], labels: Sequence[object], needs: Needs) -> dict[int, list[int]]:
    """For the first job of a label on some arrays all of them, in the order of the play."""
    several: dict[tuple[int, object], list[int]] = defaultdict(list)
    for number in sorted(range(len(jobs)), key=lambda number: jobs[number].begun):
        for resource, _ in needs.each[number].held:
            if resource in needs.grains:
                several[resource, labels[number]].append(number)
    return {found[0]: found for found in several.values() if len(found) > 1}


def _makes_of_nothing(job: Job) -> bool:
    return len(job.items) <= 1 and not any(item.reads for item in job.items)


class _Attempt:
    """One try to schedule all jobs for a period."""

    def __init__(
        self,
        needs: Needs,
        period: int,
        then: Sequence[Sequence[int]],
        before: Mapping[int, Sequence[int]],
        rows: Mapping[int, Sequence[int]],
    ) -> None:
        """`before` has what can wait until a job needs it, `rows` those on the arrays of a job."""
        self._each, self._period = needs.each, period
        self._rows = rows
        self._then, self._before = then, before
        self._ready = [0] * len(then)
        self._begins: list[Times | None] = [None] * len(then)
        self._count = 0
        self._circles = [Circle(period, needs.grains.get(n, 0)) for n in range(needs.count)]
        self._first: dict[int, tuple[int, int]] = {}  # of each place, and by which job
        self._last: dict[int, int] = {}
        self._later: Mapping[int, int] = {}
        self._at = 0  # the job for whose sake others are scheduled
        self.early: dict[int, int] = {}

    def run(self, order: Sequence[int], later: Mapping[int, int]) -> list[Times] | None:
        """When each job begins, some `later` than they can; None as soon as one finds no room.

        If any are `early`, this is not good yet; it says when they should begin.
        """
        self._later = later
        for number in order:
            self._at = number
            if not self._schedule(number, self._ready[number]):
                return None
        return [times or Times(0, 0, 0) for times in self._begins]

    def _schedule(self, number: int, time: int) -> bool:
        """Let a job begin at a time, or as soon as it can; what it needs comes before."""
        time = max(self._ready[number], time, self._later.get(number, 0))
        time = max(time, self._not_to_starve(number))
        for lazy in self._before.get(number, ()):
            if self._begins[lazy] is None:
                late = max(0, time - self._each[lazy].cycles)
                if not self._schedule(lazy, late):
                    return False
        put = self._put(number, max(self._ready[number], time))
        if put is None:
            return False
        begin, end = put
        self._begins[number] = Times(begin, end, self._count)
        self._count += 1
        ready = self._ready
        for other in self._then[number]:
            if ready[other] < end:
                ready[other] = end
        return True

    def _not_to_starve(self, number: int) -> int:
        """When the first row on some arrays must begin at least, for the last to fit the period."""
        left, begin = int(_SPARE * self._period), 0
        for row in reversed(self._rows.get(number, ())):
            left += self._each[row].cycles
            begin = max(begin, self._ready[row] + left - self._period)
        return begin

    def _put(self, number: int, time: int) -> tuple[int, int] | None:
        """Let a job begin as soon as it may; returns when it begins and ends, or None."""
        need = self._each[number]
        begin = self._room(need, time)
        if begin is None:
            return None
        for resource, cycles in need.held:
            self._circles[resource].take(begin, cycles)
        end = begin + need.cycles
        for resource, cycles in need.beside:
            if self._circles[resource].fill(begin, cycles) is None:
                return None
        for resource, cycles in need.passing:
            passed = self._circles[resource].fill(begin, cycles)
            if passed is None:
                return None
            end = max(end, passed)
        self._use_places(need, begin, end)
        return begin, end

    def _room(self, need: Need, time: int) -> int | None:
        """The first time at which all that a job holds is free."""
        held = need.held
        agreed, turn = 0, 0
        limit = time + 4 * self._period
        while agreed < len(held):
            number, cycles = held[turn]
            found = self._circles[number].free_from(time, cycles)
            if found is None or found > limit:
                return None
            agreed = agreed + 1 if found == time else 1
            time, turn = found, (turn + 1) % len(held)
        return time

    def _use_places(self, need: Need, begin: int, end: int) -> None:
        """Note who is the first of an input with a place, and is early if others are late with it.

        What an input has in a place must be over when the next one begins with it.
        """
        first, last, period = self._first, self._last, self._period
        for place in need.places:
            early, by = first.get(place, (begin, self._at))
            if begin <= early:
                early, by = first[place] = begin, self._at
            late = last[place] = max(last.get(place, end), end)
            if late - early >= period:
                time = late - period + int(_SPARE * period)
                self.early[by] = max(time, self.early.get(by, 0))
