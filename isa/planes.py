"""The cells of a matrix as arrays: every slice of every diagonal block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .matrix import Matrix, Tile

Levels = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Place = tuple[int, int, int, int]  # first row and column of weights, and how many of them
_Cell = TypeVar("_Cell", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Planes:
    """Levels [slice, diagonal block, rows, columns]; `negative` are those subtracted, if any.

    Where the last diagonal block is smaller than the others, levels are 0.
    """

    positive: Levels
    negative: Levels | None


def gather_planes(matrix: Matrix, cells: Callable[[Tile], Levels]) -> Planes:
    """Collect the cells of a matrix without copies; `cells` gives the levels of a tile."""
    shape = (len(matrix.slices), *matrix.stack)
    signed = any(tile.negative for tile in matrix.tiles)
    planes = Planes(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8) if signed else None)
    for tile in matrix.tiles:
        plane = planes.negative if tile.negative else planes.positive
        assert plane is not None
        plane[tile.slice, *stacked(matrix, tile)] = cells(tile)
    return planes


def part_of(cells: NDArray[_Cell], tile: Tile) -> NDArray[_Cell]:
    """The cells of a tile, of those of its array."""
    return cells[tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]


def stacked(matrix: Matrix, tile: Tile) -> tuple[int, slice, slice]:
    """The diagonal block of a tile, and its rows and columns in that block."""
    _, rows, cols = matrix.stack
    block, k = divmod(tile.k, rows)
    n = tile.n - block * cols
    return block, slice(k, k + tile.rows), slice(n, n + tile.cols)


def in_block(matrix: Matrix, place: Place) -> tuple[int, slice, slice]:
    """The diagonal block of a place, and its rows and columns in that block."""
    k, n, height, width = place
    _, rows, cols = matrix.stack
    block, k = divmod(k, rows)
    n -= block * cols
    return block, slice(k, k + height), slice(n, n + width)


def held_rows(matrix: Matrix) -> Flags:
    """Which rows of the stack of diagonal blocks there are, [block, rows]."""
    blocks, rows, _ = matrix.stack
    return np.arange(blocks * rows).reshape(blocks, rows) < matrix.rows


def held_columns(matrix: Matrix) -> Flags:
    """Which columns of the stack of diagonal blocks there are, [block, columns]."""
    blocks, _, cols = matrix.stack
    return np.arange(blocks * cols).reshape(blocks, cols) < matrix.cols


def row_edges(matrix: Matrix) -> list[int]:
    """The first rows of the row blocks of a diagonal block."""
    _, rows, _ = matrix.stack
    return sorted({tile.k % rows for tile in matrix.tiles})
