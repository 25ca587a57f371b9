"""Modulo scheduling: when each job begins if an input begins every `period` cycles.

Every job is put at the first time at which all it waits for has ended and all it holds is free, the
resources of the chip counted modulo the period (`attempt`; after Rau, "Iterative modulo
scheduling", 1994). Products come one after the other, so that when the first row of one is placed
it is known when the others are ready, and it begins late enough for all to fit a period. What an
input has in a place of memory must be over when the next input needs it: jobs for which it is not
begin later, and all is scheduled again. So it is where a job finds no room behind all others: those
of its label get it before them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from .attempt import Attempt, Booking, Label, Times
from .jobs import Job
from .needs import Needs

# Times that all is scheduled again because a job has begun too early, or found no room.
_ATTEMPTS = 20
# Of these in a row in which more jobs begin too early than before: it will come to no end.
_WORSE = 3


class Modulo:
    """Jobs to be scheduled for one period or another."""

    def __init__(self, jobs: Sequence[Job], needs: Needs, labels: Sequence[object]) -> None:
        """The jobs have been played for one input; `labels` say what each is a part of."""
        self._jobs, self._needs = jobs, needs
        self._rank = _ranks(jobs, labels)
        self._rows = _rows(jobs, labels, needs)
        index = {id(job): number for number, job in enumerate(jobs)}
        self._then = [[index[id(other)] for other in job.then] for job in jobs]
        self._on_arrays = [any(r in needs.grains for r, _ in need.held) for need in needs.each]
        self._prepares = self._that_prepare()
        self._lazy = self._that_can_wait()
        self._before: dict[int, list[int]] = defaultdict(list)
        for number in sorted(self._lazy):
            for other in self._then[number]:
                self._before[other].append(number)
        self._order = self._in_order()

    def begins(self, period: int) -> list[Times] | None:
        """The times of all jobs; None if they do not come out for this period."""
        later: dict[int, int] = {}
        booked: dict[Label, Booking] = {}
        worse, before = 0, len(self._jobs)
        for _ in range(_ATTEMPTS):
            attempt = Attempt(self._needs, period, self._then, self._before, self._rows, self._rank)
            found = attempt.run(self._order, later, booked)
            if found is not None and not attempt.early:
                return found
            if attempt.stuck is not None:
                label, booking = attempt.stuck
                if label in booked and booked[label].cycles >= booking.cycles:
                    return None
                booked |= self._bookings(label, booking)
            worse = worse + 1 if len(attempt.early) > before else 0
            if worse == _WORSE:
                return None
            before = len(attempt.early)
            for number, time in attempt.early.items():
                later[number] = max(time, later.get(number, 0))
        return None

    def _bookings(self, label: Label, booking: Booking) -> dict[Label, Booking]:
        """What is booked for all jobs of a label, on all cores, if one of them found no room."""
        rank, resource = label
        held: Counter[int] = Counter()
        for need, own in zip(self._needs.each, self._rank, strict=True):
            if own == rank:
                held.update(number for number, _ in (*need.held, *need.passing))
        alike = self._needs.alike(resource) if resource not in self._needs.grains else {resource}
        return {(rank, n): booking._replace(jobs=held[n]) for n in alike if held[n]}

    def _in_dependence(self) -> Iterator[int]:
        """All jobs, each behind what it waits for."""
        left = [job.waits for job in self._jobs]
        open_ = [number for number, job in enumerate(self._jobs) if not job.waits]
        while open_:
            number = open_.pop()
            yield number
            for other in self._then[number]:
                left[other] -= 1
                if not left[other]:
                    open_.append(other)

    def _that_prepare(self) -> list[bool]:
        """Which jobs wait for nothing that arrays do for the same label, or a later one."""
        ranks = [0] * len(self._jobs)
        for number in self._in_dependence():
            mine = max(ranks[number], self._rank[number] if self._on_arrays[number] else 0)
            for other in self._then[number]:
                ranks[other] = max(ranks[other], mine)
        return [rank < own for rank, own in zip(ranks, self._rank, strict=True)]

    def _that_can_wait(self) -> set[int]:
        """Jobs that make something of nothing: they fill, or load what nobody writes.

        They are left until something needs them, or they would hold memory from the beginning.
        """
        stays = [not _makes_of_nothing(job) for job in self._jobs]
        for number in self._in_dependence():
            if stays[number]:
                for other in self._then[number]:
                    stays[other] = True
        return {number for number, one in enumerate(stays) if not one}

    def _in_order(self) -> list[int]:
        """All other jobs, each behind what it waits for."""
        left = [job.waits for job in self._jobs]
        ready: list[tuple[int, bool, int, int]] = []
        found: list[int] = []
        for number in sorted(self._lazy):
            self._release(number, left, ready)
        for number, job in enumerate(self._jobs):
            if not job.waits and number not in self._lazy:
                heappush(ready, self._turn(number))
        while ready:
            *_, number = heappop(ready)
            found.append(number)
            self._release(number, left, ready)
        return found

    def _release(
        self, number: int, left: list[int], ready: list[tuple[int, bool, int, int]]
    ) -> None:
        for other in self._then[number]:
            left[other] -= 1
            if not left[other] and other not in self._lazy:
                heappush(ready, self._turn(other))

    def _turn(self, number: int) -> tuple[int, bool, int, int]:
        """Earlier labels come first, of one what prepares its products, then as in the play."""
        prepares = self._prepares[number] and not self._on_arrays[number]
        return self._rank[number], not prepares, self._jobs[number].begun, number


def _ranks(jobs: Sequence[Job], labels: Sequence[object]) -> list[int]:
    """Jobs of one label together, those first of which one begins first; what has none at once.

    What can begin at any time tells nothing of a label.
    """
    first: dict[object, int] = {}
    for job, label in zip(jobs, labels, strict=True):
        if label is not None and not _makes_of_nothing(job):
            first[label] = min(first.get(label, job.begun), job.begun)
    order = {label: rank for rank, label in enumerate(sorted(first, key=lambda one: first[one]), 1)}
    return [order.get(label, 0) for label in labels]


def _rows(
    jobs: Sequence[Job], labels: Sequence[object], needs: Needs
) -> dict[int, list[tuple[int, list[int]]]]:
    """For the first job of a label on some arrays, in the play: the arrays, and all their jobs."""
    several: dict[tuple[int, object], list[int]] = defaultdict(list)
    for number in sorted(range(len(jobs)), key=lambda number: jobs[number].begun):
        for resource, _ in needs.each[number].held:
            if resource in needs.grains:
                several[resource, labels[number]].append(number)
    found: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    for (resource, _), rows in several.items():
        found[rows[0]].append((resource, rows))
    return found


def _makes_of_nothing(job: Job) -> bool:
    return len(job.items) <= 1 and not any(item.reads for item in job.items)
