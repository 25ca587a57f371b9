"""One resource while an input begins every period: what is taken, round a circle of that length."""

from __future__ import annotations

from bisect import bisect_right


class Circle:
    """Runs of cycles that are taken, modulo `period`. They never meet.

    With a `grain` all runs are multiples of it, and begin a multiple behind the first: where much
    is taken, runs that begin anywhere would leave gaps between them that are of use to none.
    """

    def __init__(self, period: int, grain: int = 0) -> None:
        self._period, self._grain = period, grain
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._anchor: int | None = None

    def free_from(self, time: int, cycles: int) -> int | None:
        """The first time, not before `time`, from which so many cycles are free; None if never."""
        if cycles > self._period:
            return None
        for _ in range(2 * len(self._starts) + 2):
            begin = self._on_grid(time, cycles)
            time = self._behind_what_meets(begin, cycles)
            if time == begin:
                return begin
        return None

    def take(self, time: int, cycles: int) -> None:
        """Take cycles that are free."""
        if self._anchor is None:
            self._anchor = time
        begin = time % self._period
        over = begin + cycles - self._period
        if over > 0:
            self._insert(0, over)
        self._insert(begin, min(begin + cycles, self._period))

    def fill(self, time: int, cycles: int) -> int | None:
        """Take the first free cycles from a time on, in pieces; returns the end of the last.

        None where there are not so many.
        """
        for _ in range(2 * len(self._starts) + 2):
            free = self._behind_what_meets(time, 1)
            if free == time:
                piece = min(cycles, self._until_next(time))
                self.take(time, piece)
                free, cycles = time + piece, cycles - piece
            if not cycles:
                return free
            time = free
        return None

    def passed(self, time: int, cycles: int, whole: int, most: int) -> tuple[int, int] | None:
        """The first begin from which so many free cycles go by within `most`, and when they have.

        They take `whole` cycles of an operation at least, and it begins no earlier than it must to
        use the first of them. None if there are not so many.
        """
        starts, ends, period = self._starts, self._ends, self._period
        if not starts:
            return (time, time + cycles) if cycles <= period else None
        at = time % period
        frame, index = time - at, bisect_right(starts, at)
        free = frame + max(at, ends[index - 1] if index else ends[-1] - period)
        for _ in range(len(starts) + 1):
            if index == len(starts):
                frame, index = frame + period, 0
            if frame + starts[index] > free:
                begin = max(time, free + cycles - whole)
                end = self._behind(free, cycles, frame, index)
                if end is None or end - free > period:  # it would meet its own cycles
                    return None
                if end - begin <= most:
                    return begin, end
            free = frame + ends[index]
            index += 1
        return None

    def _behind(self, free: int, cycles: int, frame: int, index: int) -> int | None:
        """When so many free cycles have gone by from a free time on, before the run of an index."""
        starts, ends, period = self._starts, self._ends, self._period
        for _ in range(len(starts) + 1):
            if index == len(starts):
                frame, index = frame + period, 0
            gap = frame + starts[index] - free
            if cycles <= gap:
                return free + cycles
            cycles -= gap
            free = frame + ends[index]
            index += 1
        return None

    def give_back(self, time: int, cycles: int) -> None:
        """Leave cycles that were taken."""
        begin = time % self._period
        over = begin + cycles - self._period
        if over > 0:
            self._remove(0, over)
        self._remove(begin, min(begin + cycles, self._period))

    def _remove(self, begin: int, end: int) -> None:
        """Cut a run out of the one that it is a part of."""
        starts, ends = self._starts, self._ends
        index = bisect_right(starts, begin) - 1
        first, last = starts[index], ends[index]
        parts = [(low, high) for low, high in ((first, begin), (end, last)) if low < high]
        starts[index : index + 1] = [low for low, _ in parts]
        ends[index : index + 1] = [high for _, high in parts]

    def _until_next(self, time: int) -> int:
        """Cycles until the next run, from a time that is free."""
        if not self._starts:
            return self._period
        begin = time % self._period
        index = bisect_right(self._starts, begin)
        if index < len(self._starts):
            return self._starts[index] - begin
        return self._starts[0] + self._period - begin

    def _on_grid(self, time: int, cycles: int) -> int:
        if not self._grain or self._anchor is None:
            return time
        behind = (time - self._anchor) % self._period
        up = -(-behind // self._grain) * self._grain
        return time - behind + (up if up + cycles <= self._period else self._period)

    def _behind_what_meets(self, time: int, cycles: int) -> int:
        """The time, or the end of a run that is met from there on."""
        starts, ends = self._starts, self._ends
        if not starts:
            return time
        begin = time % self._period
        index = bisect_right(starts, begin)
        if index and ends[index - 1] > begin:
            return time + ends[index - 1] - begin
        if index < len(starts):
            return time if begin + cycles <= starts[index] else time + ends[index] - begin
        meets = begin + cycles > starts[0] + self._period
        return time + ends[0] + self._period - begin if meets else time

    def _insert(self, begin: int, end: int) -> None:
        """Add a run, as one with those at its edges."""
        starts, ends = self._starts, self._ends
        index = bisect_right(starts, begin)
        if index and ends[index - 1] == begin:
            ends[index - 1] = end
            if index < len(starts) and starts[index] == end:
                ends[index - 1] = ends.pop(index)
                del starts[index]
        elif index < len(starts) and starts[index] == end:
            starts[index] = begin
        else:
            starts.insert(index, begin)
            ends.insert(index, end)
