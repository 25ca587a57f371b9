"""The cells of a matrix as they are written: rectangles, tiles that adjoin each other together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Matrix, Tile

from ..mapping.encoding import BlockWeights, levels


@dataclass(frozen=True, eq=False)
class CellWrite:
    """Levels [rows, columns] from cell (`row`, `col`) of an array."""

    array: int
    row: int
    col: int
    levels: NDArray[np.uint8]


def cell_writes(matrix: Matrix, weights: BlockWeights) -> Iterator[CellWrite]:
    """Yield what is written to the arrays for a matrix with these weights.

    Tiles that follow each other in the matrix and lie side by side, as the slices of a weight do,
    are one write.
    """
    tiles, cells = matrix.tiles, levels(matrix, weights)
    edges = [i for i in range(1, len(tiles)) if not _adjoin(tiles[i - 1], tiles[i])]
    for start, stop in pairwise([0, *edges, len(tiles)]):
        first = tiles[start]
        together = np.concatenate(cells[start:stop], axis=1)
        yield CellWrite(first.array, first.row, first.col, together)


def _adjoin(one: Tile, other: Tile) -> bool:
    same = (one.array, one.row, one.rows) == (other.array, other.row, other.rows)
    return same and one.col + one.cols == other.col
