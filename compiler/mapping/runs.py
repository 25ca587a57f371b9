"""In how many runs of rows results are made."""

from __future__ import annotations

MOST_RUNS = 28  # of rows of a product; with 56 intervals on `isaac` are up to a quarter longer
MOST_PARTS = 168  # of a product: runs times strips
LEAST_ROUNDS = 6  # parts that a group makes one after the other, where there are as many
# That of a network in stages: finer parts make programs longer there, and not faster.
STAGED_ROUNDS = 3


def most_runs(strips: int, turns: int = 1, finer: int = 1, rounds: int = LEAST_ROUNDS) -> int:
    """The most runs of rows that results in so many strips are made in.

    Where groups take turns each has so many `rounds`. `finer` runs are as much shorter.
    """
    most = min(MOST_RUNS, MOST_PARTS // strips)
    return finer * max(1, most, rounds * turns if turns > 1 else 1)
