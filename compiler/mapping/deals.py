"""Ways to deal out a chip, the one that promises the shortest interval first.

Work of layers that lie far apart shares a core only where all is not placed otherwise. Where small
products spread over all cores and leave none to one that fills a core, all is placed again with
such cores kept, or with the large products first and the small ones in what these leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import inf

from imcc.isa.target import Target

from .packing import Pieces, packed
from .placer import Deal
from .regions import Cutter
from .shares import Demand, Demands, Room, Share, shares_from

# Between beginnings on one core, of the time of an input.
_APART = (0.15, 0.3, 0.6, inf)
# Of a chip on which large products come first.
_TIGHT = (1.0, 0.95, 0.9, 0.85, 0.8)
# Of a chip on which inputs overlap, and prices of a group of cores there, in cores: many small
# groups pack better, few large ones make shorter programs.
_OVERLAPPED = (1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.87, 0.84, 0.8)
_GROUP = (0.01, 0.0, -0.003)
# Of the time of an input, for how much of it a core works on one product beside its arrays there:
# what is small packs better.
_MOST_OF_CORE = (0.3, 0.6)
# For how much of that time its port or vector unit can work, and by how much longer it is for each
# group that a core is in: they send to each other.
_FULL = 0.8
_COMPANY = 0.02


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


def overlapped_deals(demands: Demands, cutters: Mapping[str, Cutter], target: Target) -> list[Deal]:
    """Deals in which all arrays of a core work side by side, on different inputs.

    No array is shared, and it is of no account when layers begin. Those that pack come, the best
    first.
    """
    chip = Room(target.chip.cores, target.core.arrays, tight=True, beside=True)
    tables = demands.tables(chip)
    shares: list[Mapping[str, Share]] = []
    for part, price, most in product(_OVERLAPPED, _GROUP, _MOST_OF_CORE):
        room = replace(chip, part=part, price=price, most=most)
        found = shares_from(tables, demands.products, room)
        if found and found not in shares:
            shares.append(found)
    several = (packed_deal(one, demands, cutters, target) for one in shares)
    packing = [deal for deal in several if deal is not None]
    return sorted(packing, key=lambda deal: _overlapped_interval(deal, chip))


def packed_deal(
    shares: Mapping[str, Share], demands: Demands, cutters: Mapping[str, Cutter], target: Target
) -> Deal | None:
    """A deal in which no array is shared; None if its pieces do not pack.

    If they do not, large products of which an input reads each weight once fill what others leave.
    """
    packing = packed(Pieces.of(shares, cutters, target), target)
    if packing is None:
        return _poured_deal(shares, demands, cutters, target)
    return Deal(shares, {}, inf, demands.waits, packing=packing)


def _poured_deal(
    shares: Mapping[str, Share], demands: Demands, cutters: Mapping[str, Cutter], target: Target
) -> Deal | None:
    shares = {
        one.name: replace(shares[one.name], pours=_can_pour(one, cutters[one.name]))
        for one in demands.products
    }
    pieces = Pieces.of(shares, cutters, target)
    poured = [cutters[name].counted(1, 1) for name, share in shares.items() if share.pours]
    left = target.chip.cores * target.core.arrays - int(pieces.arrays.sum())
    if not poured or sum(blocks * strips for blocks, strips in poured) > left:
        return None
    packing = packed(pieces, target)
    first = tuple(packing.cores) if packing else ()
    return Deal(shares, {}, inf, demands.waits, first, packing=packing) if packing else None


def _can_pour(demand: Demand, cutter: Cutter) -> bool:
    return demand.rows * demand.windows == 1 and demand.footprint.cores > 1 and cutter.can_pour


def _overlapped_interval(deal: Deal, chip: Room) -> float:
    """The time from input to input that can be hoped for, with what many groups cost."""
    assert deal.packing is not None
    groups = sum(share.groups for share in deal.shares.values())
    time = max(deal.slowest, deal.packing.busiest / _FULL)
    return time * (1 + _COMPANY * groups / chip.cores)


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
