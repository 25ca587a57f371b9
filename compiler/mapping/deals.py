"""Ways to deal out a chip, one after the other until all is placed: the best comes first.

Work of layers that lie far apart shares a core only where all is not placed otherwise. Where small
products spread over all cores and leave none to one that fills a core, all is placed again with
such cores kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf

from .placer import Deal
from .shares import Demands, Room, Share

# Between beginnings on one core, of the time of an input.
_APART = (0.15, 0.3, 0.6, inf)


def deals(demands: Demands, chip: Room, choices: Sequence[Mapping[str, Share]]) -> Iterator[Deal]:
    """Deals of these choices of shares, and one with every product once."""
    footprints = {demand.name: demand.footprint for demand in demands.products}
    each = [(shares, apart) for shares in choices for apart in _APART]
    for shares, apart in sorted(each, key=lambda one: _interval(*one)):
        yield Deal(shares, {}, apart, demands.waits)
    for shares in choices:
        kept = {name: chip.whole_cores(footprints[name], share) for name, share in shares.items()}
        yield Deal(shares, kept, inf, demands.waits)
    yield Deal(demands.once(), {}, inf, demands.waits)


def _interval(shares: Mapping[str, Share], apart: float) -> float:
    """The time of the slowest product, and until the last on a core has begun, at most an input."""
    return max((share.load for share in shares.values()), default=0.0) * (1 + min(apart, 1.0))


def different(demands: Demands, rooms: Iterable[Room]) -> list[Mapping[str, Share]]:
    """The best shares for each of the rooms that is enough for one replica each."""
    found: list[Mapping[str, Share]] = []
    for room in rooms:
        shares = demands.shares(room)
        if shares and shares not in found:
            found.append(shares)
    return found
