"""The cells of matrices as they are written, and their levels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Matrix
from imcc.isa.cells import pack_levels
from imcc.isa.matrix import Tile
from imcc.isa.matrix_cells import MatrixCells, held_runs, matrix_cells
from imcc.isa.planes import Planes, stacked

from ..mapping.encoding import BlockWeights, block_planes, code_of

Cells = NDArray[np.uint8]
_Run = Sequence[Tile]


class KnownCells:
    """The cells of matrices; matrices of one size mostly share their tiles."""

    def __init__(self, cell_bits: int) -> None:
        self._cell_bits = cell_bits
        self._known: dict[int, tuple[tuple[Tile, ...], MatrixCells]] = {}  # by identity

    def of(self, matrix: Matrix) -> MatrixCells:
        """Where the cells of a matrix are."""
        tiles = matrix.tiles
        known = self._known.get(id(tiles))
        if known is None:
            known = self._known[id(tiles)] = (tiles, matrix_cells(matrix, self._cell_bits))
        return known[1]


def packed_cells(matrix: Matrix, weights: BlockWeights, cell_bits: int) -> Cells:
    """The packed levels of all cells of a matrix with these weights, run by run of tiles."""
    planes = block_planes(code_of(matrix), weights)
    runs = held_runs(matrix)
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, run in enumerate(runs):
        alike[run[0].rows, _columns(run)].append(index)
    packed: dict[int, Cells] = {}
    for (rows, columns), indices in alike.items():
        levels = np.empty((len(indices), rows, columns), np.uint8)
        for cells, index in zip(levels, indices, strict=True):
            _gather(cells, matrix, planes, runs[index])
        packed.update(zip(indices, pack_levels(levels, cell_bits), strict=True))
    return np.concatenate([packed[index].ravel() for index in range(len(runs))])


def _columns(run: _Run) -> int:
    """The cells of each row, of tiles that lie side by side."""
    return run[-1].col + run[-1].cols - run[0].col


def _gather(cells: Cells, matrix: Matrix, planes: Planes, run: _Run) -> None:
    """Collect the levels of tiles that lie side by side, all slices of the same weights at once."""
    for _, several in groupby(enumerate(run), key=_weights):
        (_, first), *others = several
        count = 1 + len(others)
        plane = (
            planes.negative if first.negative and planes.negative is not None else planes.positive
        )
        place = np.s_[first.slice : first.slice + count, *stacked(matrix, first)]
        left = first.col - run[0].col
        part = cells[:, left : left + count * first.cols].reshape(first.rows, count, first.cols)
        part[...] = plane[place].swapaxes(0, 1)


def _weights(numbered: tuple[int, Tile]) -> tuple[int, ...]:
    """The same for tiles with the next slices of the same weights."""
    number, tile = numbered
    return tile.slice - number, tile.k, tile.n, tile.rows, tile.cols, tile.negative
