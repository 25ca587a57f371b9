"""Products that the same cores hold, so that what they hand on stays where it is made.

Each core of a team has one replica of every member, and makes the same part of all their results.
To the search for shares a team is one product, which takes the arrays and the times of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from .choices import Floats, Ints
from .placer import Deal
from .shares import Demand, Demands, Footprint, Room, Share


@dataclass(frozen=True, eq=False)
class Team(Demand):
    """What a team asks for, under the name of its first member.

    Copies are those of the member that has use for most.
    """

    members: tuple[Demand, ...] = ()

    @classmethod
    def of(cls, members: Sequence[Demand]) -> Team:
        """A team of products that each fit a core, and do so together."""
        held = [member.footprint for member in members]
        footprint = Footprint(
            sum(one.arrays for one in held),
            cores=1,
            window_time=sum(one.window_time for one in held),
            start_time=sum(one.start_time for one in held),
            row_blocks=sum(one.row_blocks for one in held),
        )
        return cls(
            members[0].name,
            footprint,
            rows=min(member.rows for member in members),
            windows=min(member.windows for member in members),
            work=sum(member.work for member in members),
            columns=all(member.columns for member in members),
            apart=members[0].apart,
            members=tuple(members),
        )

    def shares(self, share: Share) -> Iterator[tuple[str, Share]]:
        """The shares of the members; the first one has the times of all."""
        for member in self.members:
            own = replace(share, copies=min(share.copies, _useful(member)))
            yield (
                member.name,
                own if member.name == self.name else replace(own, time=0.0, load=0.0, part=0.0),
            )

    def _most_copies(self, strips: int, room: Room) -> int:
        arrays = self._arrays(np.arange(1, 1 + max(map(_useful, self.members))))
        return max(1, int((arrays <= room.arrays).sum()))

    def _times(self, strips: int, turns: Ints, copies: Ints, fill: int) -> Floats:
        times: Floats = sum(
            (
                member._times(strips, turns, np.minimum(copies, _useful(member)), fill)
                for member in self.members
            ),
            start=np.zeros((len(turns), len(copies))),
        )
        return times

    def _arrays(self, copies: Ints) -> Ints:
        """Arrays of a group."""
        found: Ints = sum(
            (m.footprint.arrays * np.minimum(copies, _useful(m)) for m in self.members),
            start=np.zeros_like(copies),
        )
        return found

    def _held(self, copies: Ints, room: Room) -> Ints:
        held = self._arrays(copies)
        if room.tight:
            return held
        return np.where(2 * held > room.arrays, room.arrays, held)


def _useful(member: Demand) -> int:
    """The copies that a core can start in the time of a window."""
    held = member.footprint
    return max(1, ceil(held.window_time / held.start_time)) if held.start_time else 1


def in_teams(demands: Demands) -> Demands:
    """The same demands with each team as one product, where its first member was."""
    products = {demand.name: demand for demand in demands.products}
    rest = {name: names[0] for names in demands.teams.members for name in names[1:]}
    first = {names[0]: names for names in demands.teams.members}
    found = tuple(
        Team.of([products[name] for name in first[one.name]]) if one.name in first else one
        for one in demands.products
        if one.name not in rest
    )
    return replace(demands, products=found)


def dealt_to_members(deals: Iterable[Deal], demands: Demands) -> Iterator[Deal]:
    """Deals to teams as those to their members."""
    teams = [one for one in demands.products if isinstance(one, Team)]
    members = {team.name: tuple(member.name for member in team.members) for team in teams}
    for deal in deals:
        shares: Mapping[str, Share] = dict(
            pair
            for team in teams
            if team.name in deal.shares
            for pair in team.shares(deal.shares[team.name])
        )
        yield replace(deal, shares={**deal.shares, **shares}, teams=members)
