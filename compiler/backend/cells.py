"""The cells of a matrix as they are written: rectangles, tiles that adjoin each other together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Matrix
from imcc.isa.cells import pack_levels
from imcc.isa.matrix import Tile
from imcc.isa.planes import Planes, stacked

from ..mapping.encoding import BlockWeights, block_planes, code_of
from ..mapping.write_runs import write_runs

Cells = NDArray[np.uint8]
_Run = Sequence[Tile]


@dataclass(frozen=True, eq=False)
class CellWrite:
    """Levels of `columns` columns, packed [rows, bytes], from cell (`row`, `col`) of an array."""

    array: int
    row: int
    col: int
    columns: int
    packed: Cells


def cell_writes(matrix: Matrix, weights: BlockWeights, cell_bits: int) -> list[CellWrite]:
    """What is written to the arrays for a matrix with these weights, run by run of tiles."""
    planes = block_planes(code_of(matrix), weights)
    runs = list(write_runs(matrix))
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, run in enumerate(runs):
        alike[run[0].rows, _columns(run)].append(index)
    packed: dict[int, Cells] = {}
    for (rows, columns), indices in alike.items():
        levels = np.empty((len(indices), rows, columns), np.uint8)
        for cells, index in zip(levels, indices, strict=True):
            _gather(cells, matrix, planes, runs[index])
        packed.update(zip(indices, pack_levels(levels, cell_bits), strict=True))
    return [
        CellWrite(run[0].array, run[0].row, run[0].col, _columns(run), packed[index])
        for index, run in enumerate(runs)
    ]


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
