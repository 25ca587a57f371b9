"""Orders for a chip that is busy with the input before.

A core begins an input when it is done with the one before. Played on an idle chip, an early core
hands its rows to a late one long before that can take them, and would wait for it at every input.
So the chip is played again: each core is available when it ended in the play before, less a period.
What a core cannot hand on yet comes later in its order, and other work comes first.

The period is between what no core can be faster than and the best that was found. Plays differ from
each other, and of a few the best is taken, for one input or for inputs in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto

from .play import Play, Played

_MOST = 500_000  # items to play in all: programs with many are not played so often
_AS_GOOD = 1.01  # spans that are so near the shortest are as good as that


class Aim(Enum):
    """What an order is to be good for."""

    ONE_INPUT = auto()
    INPUTS_IN_A_ROW = auto()


def best_play(play: Play, items: int, aim: Aim, plays: int) -> Played:
    """The best of at most so many plays of so many items."""
    found = list(_plays(play, max(1, min(plays, _MOST // max(items, 1)))))
    return _CHOICES[aim](found)


def _plays(play: Play, count: int) -> Iterator[Played]:
    last = play.run()
    yield last
    shortest = period = last.busiest
    for number in range(1, count):
        last = play.run({core: max(0, end - period) for core, end in last.ended.items()})
        yield last
        shortest = last.span if number == 1 else min(shortest, last.span)
        period = (last.busiest + shortest) // 2


def _soonest(found: list[Played]) -> Played:
    return min(found, key=lambda played: played.end)


def _densest(found: list[Played]) -> Played:
    """Of those with the shortest spans the one that ends first."""
    shortest = min(played.span for played in found)
    return _soonest([played for played in found if played.span <= _AS_GOOD * shortest])


_CHOICES: dict[Aim, Callable[[list[Played]], Played]] = {
    Aim.ONE_INPUT: _soonest,
    Aim.INPUTS_IN_A_ROW: _densest,
}
