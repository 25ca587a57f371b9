"""Which place on the mesh each core gets: what exchanges much lies close together.

The cost is the sum over pairs of cores of bytes times hops (Manhattan distance), a quadratic
assignment. From the order in which cores were filled, the best swap of two places is made until
none helps, or `MOST_SWAPS` were made; each round looks at all pairs at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_SWAPS = 1000
Floats = NDArray[np.float64]


def distances(rows: int, cols: int) -> Floats:
    """Hops between all pairs of places of a mesh, numbered row by row."""
    row, col = np.divmod(np.arange(rows * cols), cols)
    return np.asarray(
        np.abs(row[:, None] - row) + np.abs(col[:, None] - col),
        np.float64,
    )


def arrange(traffic: Floats, rows: int, cols: int) -> NDArray[np.int64]:
    """The place of each core, for bytes [source, target] that cores exchange.

    Cores that exchange nothing may get any place. Deterministic.
    """
    hops = distances(rows, cols)
    both = traffic + traffic.T
    np.fill_diagonal(both, 0)
    places = np.arange(len(both))
    for _ in range(MOST_SWAPS):
        gains = _gains(both, hops[np.ix_(places, places)])
        best = int(gains.argmax())
        one, other = divmod(best, len(places))
        if gains[one, other] <= 0:
            break
        places[[one, other]] = places[[other, one]]
    return places


def byte_hops(traffic: Floats, places: NDArray[np.int64], rows: int, cols: int) -> float:
    """Bytes times hops of all that is exchanged."""
    return float((traffic * distances(rows, cols)[np.ix_(places, places)]).sum())


def _gains(both: Floats, hops: Floats) -> Floats:
    """What the swap of each pair saves: moved[a, b] is the cost of core a at the place of b."""
    moved = both @ hops
    stays = np.diag(moved)
    return np.asarray(stays[:, None] + stays - moved - moved.T - 2 * both * hops)
