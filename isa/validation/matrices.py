"""Matrix handles: their geometry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..matrix import Matrix, Tile
from ..planes import Place, held_columns, held_rows, in_block, part_of, row_edges
from ..program import Program

ACCUMULATOR_LIMIT = 1 << 31
_Covered = tuple[tuple[int, int], int]  # row and column of a weight, and how often
# With these, sums over all tiles and steps stay below 2^63.
WEIGHT_LIMIT = 1 << 16
RANGE_LIMIT = 1 << 32


def check_matrices(program: Program) -> Iterator[str]:
    """Check the geometry of every matrix and that none of its tiles share cells.

    Tiles of several matrices may: see `arrays.Arrays`. Matrices that differ by nothing but their
    cores, and bounds that are possible, are checked once.
    """
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for index, matrix in enumerate(program.matrices):
        if matrix.core not in program.cores:
            yield f"matrix m{index}: core {matrix.core} has no code"
        key = (program.alike[index], 0 if _is_possible(matrix.bound) else matrix.bound)
        if key not in found:
            found[key] = tuple(_matrix(program, matrix)) or tuple(_shared_cells(program, matrix))
        yield from (f"matrix m{index}: {message}" for message in found[key])


def _is_possible(bound: int) -> bool:
    return 0 <= bound < ACCUMULATOR_LIMIT


def _matrix(program: Program, matrix: Matrix) -> Iterator[str]:
    array = program.target.array
    sizes = list(_sizes(program, matrix))
    if sizes:
        yield from sizes
        return
    if not 1 <= matrix.input_bits <= 8:
        yield f"input_bits is {matrix.input_bits}; it must be in 1..8"
    if not 1 <= matrix.step_bits <= array.step_bits:
        yield f"step_bits is {matrix.step_bits}; the input drivers have {array.step_bits}"
    if not _is_possible(matrix.bound):
        yield f"bound is {matrix.bound}; it must be below 2^31"
    if abs(matrix.center) >= WEIGHT_LIMIT:
        yield f"center is {matrix.center}; its magnitude must be below 2^16"
    if not matrix.slices or len(matrix.slices) != len(matrix.adcs):
        yield f"{len(matrix.slices)} slices and {len(matrix.adcs)} converters; one each is needed"
        return
    yield from _slices(program, matrix)
    yield from _tiles(program, matrix)


def _sizes(program: Program, matrix: Matrix) -> Iterator[str]:
    """Check that there are not more weights than cells, before anything of their size is made."""
    array = program.target.array
    cells = program.target.core.arrays * array.rows * array.cols
    if min(matrix.rows, matrix.cols) < 1:
        yield f"it has {matrix.rows} x {matrix.cols} weights; a core has {cells} cells"
        return
    if not 0 <= matrix.block_rows <= matrix.rows or not 0 <= matrix.block_cols <= matrix.cols:
        yield f"a diagonal block has {matrix.block_rows} x {matrix.block_cols} weights; " + (
            f"the matrix has {matrix.rows} x {matrix.cols}"
        )
        return
    blocks, rows, cols = matrix.stack
    if blocks != -(-matrix.cols // cols):
        yield f"its rows are {blocks} diagonal blocks, its columns {-(-matrix.cols // cols)}"
        return
    last = (matrix.rows - (blocks - 1) * rows) * (matrix.cols - (blocks - 1) * cols)
    if matrix.copies < 1 or matrix.copies * ((blocks - 1) * rows * cols + last) > cells:
        parts = f" in {blocks} diagonal blocks" if blocks > 1 else ""
        times = f" in {matrix.copies} copies" if matrix.copies != 1 else ""
        yield f"it has {matrix.rows} x {matrix.cols} weights{parts}{times}; " + (
            f"a core has {cells} cells"
        )


def _slices(program: Program, matrix: Matrix) -> Iterator[str]:
    array, converter = program.target.array, program.target.adc
    for part in matrix.slices:
        if not 1 <= part.bits <= array.cell_bits:
            yield f"{part}: bits must be in 1..{array.cell_bits}"
        if abs(part.coefficient) >= WEIGHT_LIMIT:
            yield f"{part}: the magnitude of its coefficient must be below 2^16"
    for adc in matrix.adcs:
        wrong = not 1 <= adc.bits <= converter.bits if converter.bits else adc.bits != 0
        wide = adc.step << min(max(adc.bits, 0), 24) > RANGE_LIMIT
        if wrong or wide or adc.step < 1 or abs(adc.low) >= RANGE_LIMIT:
            yield f"{adc} is not possible; the converters have {converter.bits} bits"


def _tiles(program: Program, matrix: Matrix) -> Iterator[str]:
    sound = True
    for tile in matrix.tiles:
        for message in _tile(program, matrix, tile):
            sound = False
            yield f"{tile}: {message}"
    if not sound:
        return
    covered = list(_cover(matrix))
    yield from covered
    if not covered:
        yield from _row_blocks(matrix)
    if matrix.subtract_analog:
        yield from _pairs(matrix)
    yield from _copies(matrix)


def _tile(program: Program, matrix: Matrix, tile: Tile) -> Iterator[str]:
    array, arrays = program.target.array, program.target.core.arrays
    if not 0 <= tile.array < arrays:
        yield f"a core has the arrays 0..{arrays - 1}"
    if not 0 <= tile.slice < len(matrix.slices):
        yield f"there are {len(matrix.slices)} slices"
    if not 0 <= tile.copy < matrix.copies:
        yield f"the copies are 0..{matrix.copies - 1}"
    if min(tile.row, tile.col) < 0 or min(tile.rows, tile.cols) < 1:
        yield "its size or place is not positive"
    if tile.row + tile.rows > array.rows or tile.col + tile.cols > array.cols:
        yield f"it exceeds the array of {array.rows} x {array.cols} cells"
    elif (
        min(tile.k, tile.n) < 0
        or tile.k + tile.rows > matrix.rows
        or (tile.n + tile.cols > matrix.cols)
    ):
        yield f"it exceeds the weights of {matrix.rows} x {matrix.cols}"
    elif not _is_in_block(matrix, tile):
        blocks, rows, cols = matrix.stack
        yield f"it leaves the diagonal blocks, {blocks} of {rows} x {cols} weights"


def _is_in_block(matrix: Matrix, tile: Tile) -> bool:
    _, rows, cols = matrix.stack
    block, k = divmod(tile.k, rows)
    n = tile.n - block * cols
    return k + tile.rows <= rows and n >= 0 and n + tile.cols <= cols


def _cover(matrix: Matrix) -> Iterator[str]:
    """Check that each slice of each copy covers all weights, and no negative tiles overlap."""
    covers = _Covers(matrix)
    places: dict[tuple[int, int, bool], list[Place]] = defaultdict(list)
    for tile in matrix.tiles:
        place = (tile.k, tile.n, tile.rows, tile.cols)
        places[tile.copy, tile.slice, tile.negative].append(place)
    for copy, index in product(range(matrix.copies), range(len(matrix.slices))):
        where = f"copy {copy}: " if matrix.copies > 1 else ""
        for (k, n), count in covers.not_once(tuple(places[copy, index, False])):
            yield f"{where}slice {index} covers weight ({k}, {n}) {count} times; it must be once"
        for (k, n), _ in covers.twice(tuple(places[copy, index, True])):
            yield f"{where}slice {index} subtracts weight ({k}, {n}) more than once"


class _Covers:
    """How often weights are covered by tiles at some places; slices mostly have the same ones."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._there = held_rows(matrix)[:, :, np.newaxis] & held_columns(matrix)[:, np.newaxis]
        self.not_once = cache(self._not_once)
        self.twice = cache(self._twice)

    def _not_once(self, places: tuple[Place, ...]) -> tuple[_Covered, ...]:
        times = self._times(places)
        return tuple(_first(self._matrix, (times != 1) & self._there, times))

    def _twice(self, places: tuple[Place, ...]) -> tuple[_Covered, ...]:
        times = self._times(places)
        return tuple(_first(self._matrix, times > 1, times))

    def _times(self, places: Iterable[Place]) -> NDArray[np.int16]:
        cover = np.zeros(self._matrix.stack, np.int16)
        for place in places:
            cover[in_block(self._matrix, place)] += 1
        return cover


def _first(
    matrix: Matrix, wrong: NDArray[np.bool_], times: NDArray[np.int16]
) -> Iterator[_Covered]:
    """Row and column of the first weight that is wrong, if any, and how often it is covered."""
    if wrong.any():
        block, k, n = np.argwhere(wrong)[0].tolist()
        _, rows, cols = matrix.stack
        yield (block * rows + k, block * cols + n), int(times[block, k, n])


def _row_blocks(matrix: Matrix) -> Iterator[str]:
    """Check that every tile has all rows of a row block, which are the same in all columns."""
    _, rows, _ = matrix.stack
    edges = row_edges(matrix)
    following = dict(zip(edges, [*edges[1:], rows], strict=True))
    for tile in matrix.tiles:
        block, k = divmod(tile.k, rows)
        if tile.rows != min(following[k], matrix.rows - block * rows) - k:
            yield f"{tile}: other tiles have other row blocks; they begin at rows " + (
                ", ".join(map(str, edges))
            )
            return


def _pairs(matrix: Matrix) -> Iterator[str]:
    shapes = {_place(t): (t.rows, t.cols) for t in matrix.tiles if not t.negative}
    for tile in matrix.tiles:
        if tile.negative and shapes.get(_place(tile)) != (tile.rows, tile.cols):
            yield f"{tile}: no positive tile of the same place and size shares its conversion"


def _place(tile: Tile) -> tuple[int, int, int, int]:
    return tile.copy, tile.k, tile.n, tile.slice


def _copies(matrix: Matrix) -> Iterator[str]:
    """Check that all copies have the same tiles."""
    found: list[set[tuple[int, ...]]] = [set() for _ in range(matrix.copies)]
    for t in matrix.tiles:
        found[t.copy].add((t.k, t.rows, t.n, t.cols, t.slice, t.negative))
    for copy, tiles in enumerate(found):
        if tiles != found[0]:
            yield f"copy {copy} has other tiles than copy 0"


def _shared_cells(program: Program, matrix: Matrix) -> Iterator[str]:
    shape = (program.target.array.rows, program.target.array.cols)
    taken = {tile.array: np.zeros(shape, np.bool_) for tile in matrix.tiles}
    for tile in matrix.tiles:
        part_of(taken[tile.array], tile)[...] = True
    if sum(map(np.count_nonzero, taken.values())) == sum(t.rows * t.cols for t in matrix.tiles):
        return
    for cells in taken.values():
        cells[...] = False
    for tile in matrix.tiles:
        cells = part_of(taken[tile.array], tile)
        if cells.any():
            yield f"{tile} shares cells of array a{tile.array} with another tile"
        cells[...] = True
