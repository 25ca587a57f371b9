"""Which place on the mesh each core gets: what exchanges much lies close together.

The cost is the sum over pairs of cores of bytes times hops (Manhattan distance), a quadratic
assignment. From the order in which cores were filled, the two places whose swap saves most are
swapped until no swap helps, or until `MOST_WORK` pairs were looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_WORK = 1 << 28
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def distances(rows: int, cols: int) -> Floats:
    """Hops between all pairs of places of a mesh, numbered row by row."""
    row, col = np.divmod(np.arange(rows * cols), cols)
    hops = np.abs(row[:, None] - row) + np.abs(col[:, None] - col)
    return np.asarray(hops, np.float64)


def arrange(traffic: Floats, rows: int, cols: int) -> Ints:
    """The place of each core, for bytes [source, target] that cores exchange.

    Cores that exchange nothing stay where they are. Deterministic.
    """
    both = traffic + traffic.T
    np.fill_diagonal(both, 0)
    places, used = np.arange(len(both)), np.flatnonzero(both.any(axis=0))
    hops = distances(rows, cols)[np.ix_(used, used)]
    places[used] = used[_swapped(both[np.ix_(used, used)], hops)]
    return places


def byte_hops(traffic: Floats, places: Ints, rows: int, cols: int) -> float:
    """Bytes times hops of all that is exchanged."""
    return float((traffic * distances(rows, cols)[np.ix_(places, places)]).sum())


def _swapped(both: Floats, hops: Floats) -> Ints:
    """The permutation of places; `hops` is between the places that cores have."""
    count = len(both)
    places = np.arange(count)
    moved = both @ hops  # [a, b]: the cost of core a at the place of core b
    for _ in range(MOST_WORK // max(1, count * count)):
        stays = np.diag(moved)
        gains = stays[:, None] + stays - moved - moved.T - 2 * both * hops
        one, other = divmod(int(gains.argmax()), count) if count else (0, 0)
        if not count or gains[one, other] <= 0:
            break
        moved += np.outer(both[:, one] - both[:, other], hops[other] - hops[one])
        pair, turned = [one, other], [other, one]
        moved[:, pair] = moved[:, turned]
        hops[pair] = hops[turned]
        hops[:, pair] = hops[:, turned]
        places[pair] = places[turned]
    return places
