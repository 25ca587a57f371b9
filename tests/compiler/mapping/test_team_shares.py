"""Teams: one share for products that lie on the same cores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imcc.compiler.mapping.placer import Deal
from imcc.compiler.mapping.shares import Demand, Demands, Footprint, Room, Share, Teams
from imcc.compiler.mapping.teams import Team, dealt_to_members, in_teams

# A window of the wide product takes as long as five starts, of the narrow one as its only two.
WIDE = Demand("wide", Footprint(3, 1, 500.0, 100.0), 12, 8, 60.0, columns=True, apart=True)
NARROW = Demand("narrow", Footprint(4, 1, 500.0, 500.0), 12, 8, 0.0, columns=True, apart=True)
OTHER = Demand("other", Footprint(1, 1, 500.0, 100.0), 12, 8, columns=True, apart=True)
ROOM = Room(8, 16)


def test_a_team_takes_the_times_of_its_members_one_after_the_other() -> None:
    team = Team.of([WIDE, NARROW])
    for share in (Share(1, 1), Share(4, 1), Share(8, 2, 2)):
        narrow = NARROW.time(replace(share, copies=1))
        assert team.time(share) == pytest.approx(WIDE.time(share) + narrow)


def test_copies_of_a_team_are_of_the_members_that_have_use_for_them() -> None:
    """A second copy of what starts as long as a window takes would do nothing."""
    team = Team.of([WIDE, NARROW])
    shares = dict(team.shares(team.timed(Share(6, 3, 2))))
    assert (shares["wide"].groups, shares["wide"].copies, shares["wide"].strips) == (6, 3, 2)
    assert (shares["narrow"].groups, shares["narrow"].copies, shares["narrow"].strips) == (6, 1, 2)
    assert shares["wide"].load == team.time(Share(6, 3, 2))
    assert shares["narrow"].load == 0.0
    table = team.table(ROOM, 0)
    most = int(table.shares[:, 1].max())
    assert 3 * most + 4 <= ROOM.arrays < 3 * (most + 1) + 4


def test_deals_to_teams_are_deals_to_members() -> None:
    demands = Demands((WIDE, NARROW, OTHER), teams=Teams((("wide", "narrow"),)))
    asked = in_teams(demands)
    assert [one.name for one in asked.products] == ["wide", "other"]
    shares = asked.shares(ROOM)
    (deal,) = dealt_to_members([Deal(shares, {"wide": 2}, first=("wide", "other"))], asked)
    assert set(deal.shares) == {"wide", "narrow", "other"}
    assert deal.shares["narrow"].groups == deal.shares["wide"].groups
    assert deal.slowest == max(share.load for share in shares.values())
    assert deal.teams == {"wide": ("wide", "narrow")}


def test_everything_once_takes_no_time_in_teams_either() -> None:
    asked = in_teams(Demands((WIDE, NARROW), teams=Teams((("wide", "narrow"),))))
    (deal,) = dealt_to_members([Deal(asked.once())], asked)
    assert deal.slowest == 0.0
