"""Memory without an end: every tensor and all working memory at an address of its own.

Instructions for inputs that overlap are put in order before memory is shared out, since what shares
memory cannot pass each other; then everything moves to where there is room for it
(`backend.ordering.share_out`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..ir.graph import Node
from .allocate import Placed, aligned
from .memory import CONTENT, Asked, CoreMemory, intervals
from .scratch import Request
from .sliding import Chain
from .task import Scratch
from .working_memory import band_of, constants_of, placed_scratch

_ALL = 1.0  # of the rows of a window
# The part that the working memory of one task may take.
_TASK = 0.125
# Parts of a buffer, and the bytes that each has at least.
_PARTS = 8
_LEAST_PART = 256


@dataclass(frozen=True)
class OwnPlace:
    """`size` bytes of a core's memory from `address` on, for one purpose only.

    Places that begin in one `block`, an address, keep their distances: they are parts of one
    buffer. `constant` data is loaded once, and stays.
    """

    address: int
    size: int
    block: int
    constant: bool = False

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.address + self.size


def lay_apart(chains: Sequence[Chain], asked: Sequence[Asked]) -> dict[int, CoreMemory]:
    """Addresses of tensors and constants, side by side; windows have buffers for all rows.

    No window waits for another to move on; what rows share is decided when their times are known.
    """
    found: dict[int, CoreMemory] = {}
    for core, items in intervals(chains, asked, _ALL, working=False).items():
        address, placed = 0, []
        for interval in items:
            placed.append(Placed(interval, address))
            address += aligned(interval.size)
        found[core] = CoreMemory(tuple(placed), _ALL)
    return found


def _places(placed: Placed) -> Iterator[OwnPlace]:
    """What is placed; long buffers in parts, which are needed at different times."""
    name, address, size = placed.interval.key[0], placed.address, placed.interval.size
    if name.startswith(CONTENT):
        yield OwnPlace(address, size, address, constant=True)
        return
    part = max(_LEAST_PART, aligned(size // _PARTS))
    for begin in range(0, size, part):
        yield OwnPlace(address + begin, min(part, size - begin), address)


class EndlessMemory:
    """Working memory of tasks behind all tensors, of each behind that of the one before."""

    def __init__(self, memory: Mapping[int, CoreMemory], limit: int) -> None:
        self.places: dict[int, list[OwnPlace]] = {
            core: [place for one in laid.placed for place in _places(one)]
            for core, laid in memory.items()
        }
        self._constants = constants_of({core: laid.placed for core, laid in memory.items()})
        self._most = int(_TASK * limit)

    def take(
        self, _: int, node: Node, asked: Sequence[Request]
    ) -> tuple[int, int | None, tuple[Scratch, ...]]:
        """The rows of a band, the columns of less than one, and where what is asked for lies."""
        fresh = [request for request in asked if not request.content]
        cores = dict.fromkeys(request.core for request in fresh)
        band, columns = band_of(node, fresh, dict.fromkeys(cores, self._most))
        starts = {core: self._end(core) for core in cores}
        scratch = tuple(placed_scratch(fresh, band, columns, starts))
        for one in scratch:
            self.places.setdefault(one.core, []).append(
                OwnPlace(one.address, one.size, one.address)
            )
        return band, columns, (*scratch, *self._constants.present(asked))

    def _end(self, core: int) -> int:
        places = self.places.get(core)
        return aligned(places[-1].end) if places else 0
