"""The constants of PIMCOMP's evaluator, and the clocks of one core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from .slots import Slots


@dataclass(frozen=True)
class Rates:
    """Times in ns, bandwidths in bytes per ns; the defaults are those of PIMCOMP as built.

    A window takes `mvm_ns`: 800, because a constant is read before it is set; 4000 is meant.
    """

    mvm_ns: int = 800
    start_ns: int = 200
    vector_ns: int = 10
    vector_bytes: int = 64
    local: float = 25.6
    memory: float = 64.0
    bus: float = 25.6
    element_bytes: int = 2

    def bytes_of(self, elements: int) -> int:
        """Bytes of so many elements."""
        return elements * self.element_bytes

    def vector(self, elements: int) -> int:
        """Time of a vector instruction."""
        return self.vector_ns * -(-self.bytes_of(elements) // self.vector_bytes)

    def fill(self, elements: int) -> int:
        """Time to write elements in local memory."""
        return ceil(self.bytes_of(elements) / self.local)

    def copy(self, elements: int) -> int:
        """Time to read and write elements in local memory."""
        return 2 * self.fill(elements)


@dataclass
class Clocks:
    """The clocks of one core, and what group it is in; times in ns."""

    rates: Rates
    results: int = 0
    inputs: int = 0
    last_start: int | None = None  # None before the first product of a group
    worked: bool = False  # on results, in this group
    _moves: int = 0  # time of copies that wait to be known as inputs or as results
    _starts: dict[int, int] = field(default_factory=dict)

    def end_group(self) -> None:
        """Let inputs wait for results."""
        self._settle()
        self.inputs, self.last_start, self.worked = self.results, None, False

    def begin_round(self, time: int) -> None:
        """Wait for all cores."""
        self.results = self.inputs = time

    def begin_product(self) -> None:
        """Begin with products; copies before them prepare their inputs."""
        moves, self._moves = self._moves, 0
        if self.worked:
            self.end_group()
        self.inputs += moves

    def multiply(self, arrays: Sequence[int], elements: int) -> None:
        """One window of one row block of `elements` rows, which lies on these arrays."""
        length = self.rates.mvm_ns
        self.inputs += self.rates.copy(elements)
        if self.last_start is None:
            start = self.inputs
            self.results += length
        else:
            start = self.last_start + max(self.rates.start_ns, self.inputs - self.last_start)
            free = max(self._starts.get(array, start - length) for array in arrays)
            start = max(start, free + length)
            self.results = start + length
        self.last_start = start
        for array in arrays:
            self._starts[array] = start

    def add_up(self, elements: int) -> None:
        """Add partial sums of a window, which belongs to its product."""
        self.results += self.rates.vector(elements)

    def compute(self, elements: int) -> None:
        """A vector instruction on so many elements."""
        self.work()
        self.results += self.rates.vector(elements)

    def move(self, time: int) -> None:
        """A copy or fill; the next instruction tells whether it prepares inputs."""
        self._moves += time

    def load(self, elements: int, memory: Slots) -> None:
        """Bring elements from global memory."""
        if self.worked:
            moves, self._moves = self._moves, 0
            self.end_group()
            self._moves = moves
        bytes_ = self.rates.bytes_of(elements)
        self.inputs += memory.take(self.inputs, ceil(bytes_ / self.rates.memory))
        self.results = max(self.results, self.inputs)

    def store(self, elements: int, memory: Slots) -> None:
        """Bring elements to global memory."""
        self.work()
        bytes_ = self.rates.bytes_of(elements)
        self.results += memory.take(self.results, ceil(bytes_ / self.rates.memory))

    def work(self) -> None:
        """Go on with results; copies before are work on them."""
        self._settle()
        self.worked = True

    def _settle(self) -> None:
        if self._moves:
            self.results += self._moves
            self._moves, self.worked = 0, True


def exchange(sender: Clocks, receiver: Clocks, elements: int, bus: Slots) -> None:
    """Send elements from one core to another."""
    sender.work()
    receiver.work()
    time = max(sender.results, receiver.results)
    rates = sender.rates
    end = time + bus.take(time, ceil(rates.bytes_of(elements) / rates.bus))
    sender.results = receiver.results = end
