"""The cells of a matrix as they are written: rectangles, tiles that adjoin each other together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Matrix

from ..mapping.encoding import BlockWeights, levels
from ..mapping.write_runs import write_runs


@dataclass(frozen=True, eq=False)
class CellWrite:
    """Levels [rows, columns] from cell (`row`, `col`) of an array."""

    array: int
    row: int
    col: int
    levels: NDArray[np.uint8]


def cell_writes(matrix: Matrix, weights: BlockWeights) -> Iterator[CellWrite]:
    """Yield what is written to the arrays for a matrix with these weights, run by run of tiles."""
    cells = iter(levels(matrix, weights))
    for tiles in write_runs(matrix):
        first = tiles[0]
        together = np.concatenate([next(cells) for _ in tiles], axis=1)
        yield CellWrite(first.array, first.row, first.col, together)
