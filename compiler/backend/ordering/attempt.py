"""One try to schedule all jobs, if an input begins every `period` cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .circle import Circle
from .needs import Need, Needs

# Of a period, by how much more than it must something begins later, or before what needs it.
_SPARE = 0.02
# Periods in which a job must find room.
_PATIENCE = 4
# By how much longer a job may take, or if that is more by how many cycles, if others pass a port.
_STRETCH = 0.5
_LEAST_STRETCH = 64


class Times(NamedTuple):
    """When a job begins and ends, and how many were scheduled before it."""

    begin: int
    end: int
    number: int


class Booking(NamedTuple):
    """Cycles of a resource that are kept for `jobs` of one label, evenly from some time on."""

    time: int
    cycles: int
    jobs: int = 1


Label = tuple[int, int]
"""A label by number, and a resource: all jobs of the one that hold the other."""


class Attempt:
    """Jobs that are scheduled one after the other.

    Afterwards those in `early` should begin at the times it says, or what they have in memory is in
    the way of the next input. `stuck` is the label of a job that found no room, with what it needs.
    """

    def __init__(
        self,
        needs: Needs,
        period: int,
        then: Sequence[Sequence[int]],
        before: Mapping[int, Sequence[int]],
        rows: Mapping[int, Sequence[tuple[int, Sequence[int]]]],
        labels: Sequence[int],
    ) -> None:
        """`before` has what can wait until a job needs it, `rows` those on the arrays of a job."""
        self._each, self._delays = needs.each, needs.delays
        self._grains, self._period = needs.grains, period
        self._spare = int(_SPARE * period)
        self._then, self._before, self._rows = then, before, rows
        self._ready = [0] * len(then)
        self._least: dict[int, int] = {}  # begins of jobs on arrays, in the order of their rows
        self._times: list[Times | None] = [None] * len(then)
        self._count = 0
        self._circles = [Circle(period, needs.grains.get(n, 0)) for n in range(needs.count)]
        self._first: dict[int, tuple[int, int]] = {}  # of each place, and by which job
        self._last: dict[int, int] = {}
        self._short: dict[int, int] = {}  # by how much a job was early
        self._later: Mapping[int, int] = {}
        self._labels = labels
        self._booked: dict[Label, list[tuple[int, int]]] = {}  # begins and cycles
        self._at = 0  # the job for whose sake others are scheduled
        self.stuck: tuple[Label, Booking] | None = None

    @property
    def early(self) -> dict[int, int]:
        """When jobs should begin that began too early."""
        times = ((number, self._times[number]) for number in self._short)
        return {n: one.begin + self._short[n] for n, one in times if one is not None}

    def run(
        self, order: Sequence[int], later: Mapping[int, int], booked: Mapping[Label, Booking]
    ) -> list[Times] | None:
        """When each job begins, some `later` than they can; None as soon as one finds no room."""
        self._later = later
        for label, booking in booked.items():
            self._book(label, booking)
        for number in order:
            self._at = number
            if not self._schedule(number, self._ready[number]):
                return None
        return [times or Times(0, 0, 0) for times in self._times]

    def _book(self, label: Label, booking: Booking) -> None:
        circle, found = self._circles[label[1]], []
        for turn in range(booking.jobs):
            wanted = booking.time + turn * self._period // booking.jobs
            time = circle.free_from(wanted, booking.cycles)
            if time is not None:
                circle.take(time, booking.cycles)
                found.append((time, booking.cycles))
        self._booked[label] = found

    def _give_back(self, number: int, resource: int, time: int) -> None:
        """Leave the next cycles of a resource that are kept for what a job is one of."""
        slots = self._booked.get((self._labels[number], resource))
        if slots:
            slot = min(slots, key=lambda slot: (slot[0] - time) % self._period)
            slots.remove(slot)
            self._circles[resource].give_back(*slot)

    def _schedule(self, number: int, time: int) -> bool:
        """Let a job begin at a time, or as soon as it can; what it needs comes before."""
        time = max(self._ready[number], time, self._later.get(number, 0))
        time = max(time, self._not_to_starve(number))
        for lazy in self._before.get(number, ()):
            if self._times[lazy] is None:
                late = max(0, time - self._each[lazy].cycles - self._spare)
                if not self._schedule(lazy, late):
                    return False
        put = self._put(number, max(self._ready[number], time))
        if put is None:
            return False
        begin, end = put
        self._times[number] = Times(begin, end, self._count)
        self._count += 1
        ready = self._ready
        end += self._delays[number]
        for other in self._then[number]:
            if ready[other] < end:
                ready[other] = end
        return True

    def _not_to_starve(self, number: int) -> int:
        """When a row on some arrays must begin at least, for the last to fit the period.

        When the first one is scheduled it is known when all are ready. The others follow it on the
        grid of their arrays, those first that are ready first.
        """
        for resource, rows in self._rows.get(number, ()):
            ready = {row: max(self._ready[row], self._later.get(row, 0)) for row in rows}
            ordered = sorted(rows, key=lambda row: ready[row])
            grain = self._grains[resource]
            left, begin = self._period // grain * grain, 0
            for row in reversed(ordered):
                left -= self._each[row].cycles
                begin = max(begin, ready[row] - left)
            first = begin
            for row in ordered:
                begin = max(begin, first - (first - ready[row]) // grain * grain)
                self._least[row] = max(self._least.get(row, 0), begin)
                begin += self._each[row].cycles
        return self._least.get(number, 0)

    def _put(self, number: int, time: int) -> tuple[int, int] | None:
        """Let a job begin as soon as it may; returns when it begins and ends, or None."""
        need = self._each[number]
        if self._booked:
            for resource, _ in (*need.held, *need.passing):
                self._give_back(number, resource, time)
        room = self._room(number, need, time)
        if room is None:
            return None
        begin, longer = room
        for resource, cycles in need.held:
            self._circles[resource].take(begin, cycles + longer * (cycles == need.cycles))
        end = begin + need.cycles + longer
        for resource, cycles in (*need.beside, *need.passing):
            passed = self._circles[resource].fill(begin, cycles)
            if passed is None:
                return None
            if need.on_arrays and passed > end:
                end = passed
        self._use_places(need, begin, end)
        return begin, end

    def _room(self, number: int, need: Need, time: int) -> tuple[int, int] | None:
        """The first time at which all that a job holds is free, and by how much it takes longer.

        It does where its bytes have not passed a port when all else is done.
        """
        limit = time + _PATIENCE * self._period
        wanted = time
        while time <= limit:
            begin, longer = time, 0
            for resource, cycles in () if need.on_arrays else need.passing:
                most = need.cycles + max(_LEAST_STRETCH, int(_STRETCH * need.cycles))
                passed = self._circles[resource].passed(begin, cycles, need.cycles, most)
                if passed is None:
                    self.stuck = (self._labels[number], resource), Booking(wanted, cycles)
                    return None
                begin, end = passed
                longer = max(longer, end - begin - need.cycles)
            first = begin
            for resource, cycles in need.held:
                held = cycles + longer * (cycles == need.cycles)
                found = self._circles[resource].free_from(begin, held)
                if found is None or found > limit:
                    self.stuck = (self._labels[number], resource), Booking(wanted, held)
                    return None
                begin = found
            if begin == first:
                return begin, longer
            time = begin
        return None

    def _use_places(self, need: Need, begin: int, end: int) -> None:
        """Note who is the first of an input with a place, and is early if others are late with it.

        What an input has in a place must be over when the next one begins with it.
        """
        first, last = self._first, self._last
        for place in need.places:
            early, by = first.get(place, (begin, self._at))
            if begin <= early:
                early, by = first[place] = begin, self._at
            late = last[place] = max(last.get(place, end), end)
            short = late - early - self._period
            if short >= 0:
                self._short[by] = max(short + self._spare, self._short.get(by, 0))
