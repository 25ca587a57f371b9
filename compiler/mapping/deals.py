"""Ways to deal out a chip, one after the other until all is placed: the best comes first.

Work of layers that lie far apart shares a core only where all is not placed otherwise. Where small
products spread over all cores and leave none to one that fills a core, all is placed again with
such cores kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .placer import Deal
from .shares import Demands, Room, Share

_NEAR = 6  # operations between what lies on one core, while all can be placed so
_ANYWHERE = 1 << 30


def deals(demands: Demands, chip: Room, choices: Sequence[Mapping[str, Share]]) -> Iterator[Deal]:
    """Deals of these choices of shares, and one with every product once."""
    footprints = {demand.name: demand.footprint for demand in demands.products}
    yield from (Deal(shares, {}, _NEAR) for shares in choices)
    yield from (Deal(shares, {}, _ANYWHERE) for shares in choices)
    for shares in choices:
        kept = {name: chip.whole_cores(footprints[name], share) for name, share in shares.items()}
        yield Deal(shares, kept, _ANYWHERE)
    yield Deal(demands.once(), {}, _ANYWHERE)


def different(demands: Demands, rooms: Iterable[Room]) -> list[Mapping[str, Share]]:
    """The best shares for each of the rooms that is enough for one replica each."""
    found: list[Mapping[str, Share]] = []
    for room in rooms:
        shares = demands.shares(room)
        if shares and shares not in found:
            found.append(shares)
    return found
