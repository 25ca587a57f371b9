"""Matrix handles: their geometry, and the cells behind them when an `mvm` runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..bound import accumulator_bound
from ..cells import packed_bytes, unpack_levels
from ..instructions import Mvm, Write
from ..matrix import Matrix, Tile
from ..planes import gather_planes, held_columns, held_rows, row_edges, stacked
from ..program import Program
from ..walk import Operation, StreamState

ACCUMULATOR_LIMIT = 1 << 31
# With these, sums over all tiles and steps stay below 2^63.
WEIGHT_LIMIT = 1 << 16
RANGE_LIMIT = 1 << 32

_Cell = TypeVar("_Cell", bound=np.generic)


def check_matrices(program: Program) -> Iterator[str]:
    """Check the geometry of every matrix and that none of its tiles share cells.

    Tiles of several matrices may: see `Arrays`.
    """
    for index, matrix in enumerate(program.matrices):
        problems = list(_matrix(program, matrix))
        for message in problems or _shared_cells(program, matrix):
            yield f"matrix m{index}: {message}"


def _matrix(program: Program, matrix: Matrix) -> Iterator[str]:
    array = program.target.array
    if matrix.core not in program.cores:
        yield f"core {matrix.core} has no code"
    sizes = list(_sizes(program, matrix))
    if sizes:
        yield from sizes
        return
    if not 1 <= matrix.input_bits <= 8:
        yield f"input_bits is {matrix.input_bits}; it must be in 1..8"
    if not 1 <= matrix.step_bits <= array.step_bits:
        yield f"step_bits is {matrix.step_bits}; the input drivers have {array.step_bits}"
    if not 0 <= matrix.bound < ACCUMULATOR_LIMIT:
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
    there = held_rows(matrix)[:, :, np.newaxis] & held_columns(matrix)[:, np.newaxis]
    tiles: dict[tuple[int, int, bool], list[Tile]] = defaultdict(list)
    for tile in matrix.tiles:
        tiles[tile.copy, tile.slice, tile.negative].append(tile)
    for copy, index in product(range(matrix.copies), range(len(matrix.slices))):
        where = f"copy {copy}: " if matrix.copies > 1 else ""
        times = _times_covered(matrix, tiles[copy, index, False])
        for (k, n), count in _first(matrix, (times != 1) & there, times):
            yield f"{where}slice {index} covers weight ({k}, {n}) {count} times; it must be once"
        times = _times_covered(matrix, tiles[copy, index, True])
        for (k, n), _ in _first(matrix, times > 1, times):
            yield f"{where}slice {index} subtracts weight ({k}, {n}) more than once"


def _times_covered(matrix: Matrix, tiles: Iterable[Tile]) -> NDArray[np.int16]:
    cover = np.zeros(matrix.stack, np.int16)
    for tile in tiles:
        cover[stacked(matrix, tile)] += 1
    return cover


def _first(
    matrix: Matrix, wrong: NDArray[np.bool_], times: NDArray[np.int16]
) -> Iterator[tuple[tuple[int, int], int]]:
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
    taken: dict[int, NDArray[np.bool_]] = {}
    shape = (program.target.array.rows, program.target.array.cols)
    for tile in matrix.tiles:
        cells = _part(taken.setdefault(tile.array, np.zeros(shape, np.bool_)), tile)
        if cells.any():
            yield f"{tile} shares cells of array a{tile.array} with another tile"
        cells[...] = True


def _part(cells: NDArray[_Cell], tile: Tile) -> NDArray[_Cell]:
    """The cells of a tile, of those of its array."""
    return cells[tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]


def _copies_apart(matrix: Matrix) -> Iterator[Matrix]:
    """Each copy as a matrix of its own."""
    tiles: dict[int, list[Tile]] = defaultdict(list)
    for tile in matrix.tiles:
        tiles[tile.copy].append(tile)
    for own in tiles.values():
        yield replace(matrix, tiles=tuple(own), copies=1)


_NOBODY = -1


class _Cells:
    """One array: levels as written, -1 before; and the matrix that reads each cell.

    A cell is that of the matrix whose `mvm` is the first to read it after it was written.
    """

    def __init__(self, rows: int, cols: int) -> None:
        self.levels = np.full((rows, cols), -1, np.int16)
        self.reader = np.full((rows, cols), _NOBODY, np.int32)
        self.version = 0

    def write(self, row: int, column: int, levels: NDArray[np.uint8]) -> None:
        """Program a rectangle, which is free for any matrix then."""
        place = np.s_[row : row + levels.shape[0], column : column + levels.shape[1]]
        self.levels[place] = levels
        self.reader[place] = _NOBODY
        self.version += 1


class Arrays:
    """The cells of all arrays as the program writes them, and who reads them.

    Matrices may share cells, if they are written anew between the last `mvm` of one and the first
    of the other.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._constants = np.frombuffer(program.constants, np.uint8)
        self._arrays: dict[tuple[int, int], _Cells] = {}
        self._checked: dict[int, list[int]] = {}

    def write(self, operation: Operation) -> None:
        """Program the cells of a `write` that has passed all other checks."""
        assert isinstance(operation.instruction, Write)
        instruction, array = operation.instruction, self._program.target.array
        packed = _gather(self._constants, operation.streams["src"])
        row_bytes = packed_bytes(instruction.columns, array.cell_bits)
        levels = unpack_levels(packed.reshape(-1, row_bytes), instruction.columns, array.cell_bits)
        cells = self._cells(operation.core, instruction.array)
        cells.write(instruction.row, instruction.column, levels)

    def check(self, operation: Operation) -> Iterator[str]:
        """Check that the cells behind an `mvm` are written, for it, and keep to its bound."""
        assert isinstance(operation.instruction, Mvm)
        index = operation.instruction.matrix
        matrix = self._program.matrices[index]
        versions = [self._cells(matrix.core, tile.array).version for tile in matrix.tiles]
        if self._checked.get(index) == versions:
            return
        self._checked[index] = versions
        for tile in matrix.tiles:
            missing = int((self._tile(matrix.core, tile) < 0).sum())
            if missing:
                yield f"{tile}: {missing} cells are used before they are written"
                return
            yield from self._claim(index, tile)
            limit = (1 << matrix.slices[tile.slice].bits) - 1
            highest = int(self._tile(matrix.core, tile).max())
            if highest > limit:
                yield f"{tile} holds level {highest}; its slice holds 0..{limit}"
        bound = max(self._bound(copy) for copy in _copies_apart(matrix))
        if bound > matrix.bound:
            yield f"an accumulator of m{index} can reach {bound}; the matrix says {matrix.bound}"

    def _claim(self, index: int, tile: Tile) -> Iterator[str]:
        """Take the cells of a tile for a matrix; those of another must be written anew before."""
        core = self._program.matrices[index].core
        reader = _part(self._cells(core, tile.array).reader, tile)
        others = (reader != index) & (reader != _NOBODY)
        if others.any():
            yield (
                f"{tile} shares cells of array a{tile.array} with matrix m{reader[others].max()}, "
                f"which has read {int(others.sum())} of them since they were written"
            )
        reader[...] = index

    def _bound(self, matrix: Matrix) -> int:
        planes = gather_planes(matrix, lambda tile: self._tile(matrix.core, tile).astype(np.uint8))
        return accumulator_bound(matrix, planes)

    def _cells(self, core: int, array: int) -> _Cells:
        if (core, array) not in self._arrays:
            shape = self._program.target.array
            self._arrays[core, array] = _Cells(shape.rows, shape.cols)
        return self._arrays[core, array]

    def _tile(self, core: int, tile: Tile) -> NDArray[np.int16]:
        return _part(self._cells(core, tile.array).levels, tile)


def _gather(memory: NDArray[np.uint8], stream: StreamState) -> NDArray[np.uint8]:
    return np.ndarray(
        stream.counts,
        np.uint8,
        buffer=memory.data,
        offset=stream.base,
        strides=stream.strides,
    )
