"""Matrix handles: their geometry, and the cells behind them when an `mvm` runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..bound import accumulator_bound
from ..cells import packed_bytes, unpack_levels
from ..instructions import Mvm, Write
from ..matrix import Matrix, Tile
from ..program import Program
from ..walk import Operation, StreamState

ACCUMULATOR_LIMIT = 1 << 31
# With these, sums over all tiles and steps stay below 2^63.
WEIGHT_LIMIT = 1 << 16
RANGE_LIMIT = 1 << 32


def check_matrices(program: Program) -> Iterator[str]:
    """Check the geometry of every matrix and that no two tiles share cells."""
    sound = True
    for index, matrix in enumerate(program.matrices):
        for message in _matrix(program, matrix):
            sound = False
            yield f"matrix m{index}: {message}"
    if sound:
        yield from _shared_cells(program)


def _matrix(program: Program, matrix: Matrix) -> Iterator[str]:
    array = program.target.array
    if matrix.core not in program.cores:
        yield f"core {matrix.core} has no code"
    cells = program.target.core.arrays * array.rows * array.cols
    if min(matrix.rows, matrix.cols) < 1 or matrix.rows * matrix.cols > cells:
        yield f"it has {matrix.rows} x {matrix.cols} weights; a core has {cells} cells"
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
    if sound:
        yield from _cover(matrix)
        if matrix.subtract_analog:
            yield from _pairs(matrix)


def _tile(program: Program, matrix: Matrix, tile: Tile) -> Iterator[str]:
    array, arrays = program.target.array, program.target.core.arrays
    if not 0 <= tile.array < arrays:
        yield f"a core has the arrays 0..{arrays - 1}"
    if not 0 <= tile.slice < len(matrix.slices):
        yield f"there are {len(matrix.slices)} slices"
    if min(tile.row, tile.col) < 0 or min(tile.rows, tile.cols) < 1:
        yield "its size or place is not positive"
    if tile.row + tile.rows > array.rows or tile.col + tile.cols > array.cols:
        yield f"it exceeds the array of {array.rows} x {array.cols} cells"
    if (
        min(tile.k, tile.n) < 0
        or tile.k + tile.rows > matrix.rows
        or (tile.n + tile.cols > matrix.cols)
    ):
        yield f"it exceeds the weights of {matrix.rows} x {matrix.cols}"


def _cover(matrix: Matrix) -> Iterator[str]:
    positive = np.zeros((len(matrix.slices), matrix.rows, matrix.cols), np.int16)
    negative = np.zeros_like(positive)
    for tile in matrix.tiles:
        cover = negative if tile.negative else positive
        cover[tile.slice, tile.k : tile.k + tile.rows, tile.n : tile.n + tile.cols] += 1
    for index in range(len(matrix.slices)):
        if (positive[index] != 1).any():
            k, n = np.argwhere(positive[index] != 1)[0].tolist()
            times = positive[index, k, n]
            yield f"slice {index} covers weight ({k}, {n}) {times} times; it must be once"
        if (negative[index] > 1).any():
            k, n = np.argwhere(negative[index] > 1)[0].tolist()
            yield f"slice {index} subtracts weight ({k}, {n}) more than once"


def _pairs(matrix: Matrix) -> Iterator[str]:
    shapes = {(t.k, t.n, t.slice): (t.rows, t.cols) for t in matrix.tiles if not t.negative}
    for tile in matrix.tiles:
        if tile.negative and shapes.get((tile.k, tile.n, tile.slice)) != (tile.rows, tile.cols):
            yield f"{tile}: no positive tile of the same place and size shares its conversion"


def _shared_cells(program: Program) -> Iterator[str]:
    owners: dict[tuple[int, int], list[tuple[int, Tile]]] = defaultdict(list)
    for index, matrix in enumerate(program.matrices):
        for tile in matrix.tiles:
            owners[matrix.core, tile.array].append((index, tile))
    array = program.target.array
    for (core, number), tiles in sorted(owners.items()):
        taken = np.full((array.rows, array.cols), -1, np.int32)
        for index, tile in tiles:
            cells = taken[tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]
            if (cells >= 0).any():
                other = int(cells.max())
                yield f"matrix m{index}: {tile} shares cells of array a{number} of core " + (
                    f"{core} with a tile of matrix m{other}"
                )
            cells[...] = index


class Arrays:
    """Levels of all cells as the program writes them; -1 is a cell not yet written."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._constants = np.frombuffer(program.constants, np.uint8)
        self._levels: dict[tuple[int, int], NDArray[np.int16]] = {}
        self._versions: dict[tuple[int, int], int] = defaultdict(int)
        self._checked: dict[int, list[int]] = {}

    def write(self, operation: Operation) -> None:
        """Program the cells of a `write` that has passed all other checks."""
        assert isinstance(operation.instruction, Write)
        instruction, array = operation.instruction, self._program.target.array
        packed = _gather(self._constants, operation.streams["src"])
        row_bytes = packed_bytes(instruction.columns, array.cell_bits)
        levels = unpack_levels(packed.reshape(-1, row_bytes), instruction.columns, array.cell_bits)
        key = (operation.core, instruction.array)
        cells = self._levels.setdefault(key, np.full((array.rows, array.cols), -1, np.int16))
        row, column = instruction.row, instruction.column
        cells[row : row + levels.shape[0], column : column + levels.shape[1]] = levels
        self._versions[key] += 1

    def check(self, operation: Operation) -> Iterator[str]:
        """Check that the cells behind an `mvm` are written and keep to the matrix's bound."""
        assert isinstance(operation.instruction, Mvm)
        index = operation.instruction.matrix
        matrix = self._program.matrices[index]
        versions = [self._versions[matrix.core, tile.array] for tile in matrix.tiles]
        if self._checked.get(index) == versions:
            return
        self._checked[index] = versions
        for tile in matrix.tiles:
            missing = int((self._tile(matrix.core, tile) < 0).sum())
            if missing:
                yield f"{tile}: {missing} cells are used before they are written"
                return
            limit = (1 << matrix.slices[tile.slice].bits) - 1
            highest = int(self._tile(matrix.core, tile).max())
            if highest > limit:
                yield f"{tile} holds level {highest}; its slice holds 0..{limit}"
        bound = accumulator_bound(
            matrix, lambda tile: self._tile(matrix.core, tile).astype(np.uint8)
        )
        if bound > matrix.bound:
            yield f"an accumulator of m{index} can reach {bound}; the matrix says {matrix.bound}"

    def _tile(self, core: int, tile: Tile) -> NDArray[np.int16]:
        cells = self._levels.get((core, tile.array))
        if cells is None:
            return np.full((tile.rows, tile.cols), -1, np.int16)
        return cells[tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]


def _gather(memory: NDArray[np.uint8], stream: StreamState) -> NDArray[np.uint8]:
    return np.ndarray(
        stream.counts,
        np.uint8,
        buffer=memory.data,
        offset=stream.base,
        strides=stream.strides,
    )
