"""The cells of a matrix as they are written: runs of tiles, and where their levels are taken from.

A run is as many tiles as follow each other in the table and lie side by side in one array, as the
slices of a weight do: one `write` programs it. Runs of several copies that hold the same weights
take the same levels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from .cells import packed_bytes
from .matrix import Matrix, Tile

Run = tuple[Tile, ...]


class CellRun(NamedTuple):
    """Cells that are written together, `columns` a row, from (`row`, `column`) of an array.

    Their packed levels are `size` bytes, `offset` bytes behind the first of the matrix.
    """

    array: int
    row: int
    column: int
    rows: int
    columns: int
    offset: int
    size: int


@dataclass(frozen=True)
class MatrixCells:
    """All cells of a matrix, run by run; the packed levels that they take are `size` bytes."""

    runs: tuple[CellRun, ...]
    size: int

    @cached_property
    def count(self) -> int:
        """How many cells there are."""
        return sum(run.rows * run.columns for run in self.runs)

    @cached_property
    def arrays(self) -> tuple[int, ...]:
        """The arrays, in the order in which they are written first."""
        return tuple(dict.fromkeys(run.array for run in self.runs))

    def rows_in_turn(self, at_once: int) -> int:
        """Rows written one after the other, if so many arrays at a time are written side by side.

        Those of one array follow each other. Arrays are taken in their order, the next ones when
        all before are done.
        """
        rows: dict[int, int] = defaultdict(int)
        for run in self.runs:
            rows[run.array] += run.rows
        counts = list(rows.values())
        return sum(max(counts[i : i + at_once]) for i in range(0, len(counts), at_once))


def write_runs(matrix: Matrix) -> Iterator[Run]:
    """The tiles of each run."""
    tiles = matrix.tiles
    edges = [i for i in range(1, len(tiles)) if not _adjoin(tiles[i - 1], tiles[i])]
    for start, stop in pairwise([0, *edges, len(tiles)]):
        yield tiles[start:stop]


def held_runs(matrix: Matrix) -> list[Run]:
    """The runs whose levels there must be: those of copy 0, if the others hold the same."""
    runs = list(write_runs(matrix))
    return [run for run in runs if run[0].copy == 0] if _are_copied(matrix, runs) else runs


def matrix_cells(matrix: Matrix, cell_bits: int) -> MatrixCells:
    """Where all cells are, and their levels."""
    runs, held = list(write_runs(matrix)), held_runs(matrix)
    offsets, size = [], 0
    for run in held:
        offsets.append(size)
        size += run[0].rows * packed_bytes(_columns(run), cell_bits)
    taken: dict[int, int] = defaultdict(int)  # by copy, or of all
    found = []
    for run in runs:
        copy = run[0].copy if len(held) < len(runs) else 0
        found.append(_cell_run(run, offsets[taken[copy]], cell_bits))
        taken[copy] += 1
    return MatrixCells(tuple(found), size)


def _cell_run(run: Run, offset: int, cell_bits: int) -> CellRun:
    first, columns = run[0], _columns(run)
    size = first.rows * packed_bytes(columns, cell_bits)
    return CellRun(first.array, first.row, first.col, first.rows, columns, offset, size)


def _columns(run: Run) -> int:
    return run[-1].col + run[-1].cols - run[0].col


def _adjoin(one: Tile, other: Tile) -> bool:
    same = (one.array, one.row, one.rows) == (other.array, other.row, other.rows)
    return same and one.col + one.cols == other.col


def _are_copied(matrix: Matrix, runs: Sequence[Run]) -> bool:
    """Whether each of several copies has the runs of copy 0: the same weights in the same order."""
    if matrix.copies == 1:
        return False
    found: list[list[tuple[object, ...]]] = [[] for _ in range(matrix.copies)]
    for run in runs:
        if any(tile.copy != run[0].copy for tile in run):
            return False
        found[run[0].copy].append(tuple(map(_weights, run)))
    return all(copy == found[0] for copy in found)


def _weights(tile: Tile) -> tuple[int, ...]:
    return tile.k, tile.rows, tile.n, tile.cols, tile.slice, tile.negative
