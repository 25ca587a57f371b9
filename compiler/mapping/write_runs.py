"""Which tiles of a matrix are written together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from imcc.isa.matrix import Matrix, Tile


def write_runs(matrix: Matrix) -> Iterator[tuple[Tile, ...]]:
    """The tiles of each write: those that follow each other and lie side by side, as slices do."""
    tiles = matrix.tiles
    edges = [i for i in range(1, len(tiles)) if not _adjoin(tiles[i - 1], tiles[i])]
    for start, stop in pairwise([0, *edges, len(tiles)]):
        yield tiles[start:stop]


def _adjoin(one: Tile, other: Tile) -> bool:
    same = (one.array, one.row, one.rows) == (other.array, other.row, other.rows)
    return same and one.col + one.cols == other.col
