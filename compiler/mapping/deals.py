"""Ways to deal out a chip, the one that promises the shortest interval first.

Work of layers that lie far apart shares a core only where all is not placed otherwise. Where small
products spread over all cores and leave none to one that fills a core, all is placed again with
such cores kept, or with the large products first and the small ones in what these leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf

from .placer import Deal
from .shares import Demands, Room, Share

# Between beginnings on one core, of the time of an input.
_APART = (0.15, 0.3, 0.6, inf)
# Of a chip on which large products come first.
_TIGHT = (1.0, 0.95, 0.9, 0.85, 0.8)
# Of a chip on which inputs overlap, and prices of a group of cores there, in cores: many small
# groups pack better, few large ones make shorter programs.
_OVERLAPPED = (1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.87, 0.84, 0.8)
_GROUP = (0.01, 0.0, -0.003)


def deals(
    demands: Demands,
    chip: Room,
    choices: Sequence[Mapping[str, Share]],
    *,
    beside: bool = False,
    others: Iterable[Deal] = (),
) -> Iterator[Deal]:
    """Deals of these choices of shares, other ones that are known, and one of everything once.

    `beside` says that what lies far apart costs nothing on one core.
    """
    footprints = {demand.name: demand.footprint for demand in demands.products}
    found = [Deal(shares, {}, apart, demands.waits) for shares in choices for apart in _APART]
    found += [*_large_first(demands, chip), *others]
    yield from sorted(found, key=lambda deal: interval(deal, deal.slowest, beside))
    for shares in choices:
        kept = {name: chip.whole_cores(footprints[name], share) for name, share in shares.items()}
        yield Deal(shares, kept, inf, demands.waits)
    yield Deal(demands.once(), {}, inf, demands.waits)


def _large_first(demands: Demands, chip: Room) -> Iterator[Deal]:
    """Deals of all there is, in which what fills most of a core is placed before what is small."""
    held = {demand.name: demand.footprint for demand in demands.products}
    for shares in different(demands, (replace(chip, part=p, tight=True) for p in _TIGHT)):
        filled = {n: held[n].arrays * one.copies / held[n].cores for n, one in shares.items()}
        order = sorted(shares, key=lambda name: (-filled[name], -shares[name].time))
        yield Deal(shares, {}, inf, demands.waits, tuple(order))


def overlapped_deals(demands: Demands, chip: Room) -> Iterator[Deal]:
    """Deals in which all arrays of a core work side by side, on different inputs.

    No array is shared, and it is of no account when layers begin.
    """
    held = {demand.name: demand.footprint for demand in demands.products}
    rooms = [
        replace(chip, part=part, tight=True, price=price)
        for part in _OVERLAPPED
        for price in _GROUP
    ]
    found = []
    for shares in different(demands, rooms):
        filled = {n: held[n].arrays * one.copies / held[n].cores for n, one in shares.items()}
        order = sorted(shares, key=lambda name: (-filled[name], -shares[name].time))
        found.append(Deal(shares, {}, inf, demands.waits, tuple(order), exclusive=True))
    yield from sorted(found, key=lambda deal: deal.slowest)


def interval(deal: Deal, longest: float, beside: bool) -> float:
    """The time that a deal promises from input to input, if a core works so long for each.

    Layers begin one after the other, the last on a core at most an input behind the first.
    """
    return longest if beside else longest * (1 + min(deal.apart, 1.0))


def different(demands: Demands, rooms: Iterable[Room]) -> list[Mapping[str, Share]]:
    """The best shares for each of the rooms that is enough for one replica each."""
    found: list[Mapping[str, Share]] = []
    for room in rooms:
        shares = demands.shares(room)
        if shares and shares not in found:
            found.append(shares)
    return found
