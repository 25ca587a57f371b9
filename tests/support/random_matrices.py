"""Random matrix handles on one core, programmed with random levels, of every encoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, pairwise, product

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Adc, Matrix, Slice, Tile, load_target
from imcc.runtime.crossbar import Crossbars


def random_matrix(seed: int) -> tuple[Matrix, Crossbars]:
    """A matrix with slices, row blocks, signs, a center and converters drawn from `seed`.

    It may have several diagonal blocks, the last one smaller, and several copies, all equal.
    """
    rng = np.random.default_rng(seed)
    block = int(rng.integers(1, 40)), int(rng.integers(1, 9))
    whole = int(rng.choice([0, 0, 1, 3]))
    rows, cols = (whole * extent + int(rng.integers(1, extent + 1)) for extent in block)
    if whole == 0:
        block = rows, cols
    cell_bits, parts = int(rng.choice([1, 2, 4])), int(rng.integers(1, 4))
    signs = rng.choice([-1, 1], parts)
    slices = tuple(
        Slice(cell_bits, int(sign) << (cell_bits * index)) for index, sign in enumerate(signs)
    )
    signed, analog = bool(rng.integers(2)), bool(rng.integers(2))
    adcs = tuple(_random_adc(rng, signed and analog) for _ in slices)
    input_bits = int(rng.integers(1, 9))
    step_bits = int(rng.integers(1, input_bits + 1))
    matrix = Matrix(
        core=0,
        rows=rows,
        cols=cols,
        input_bits=input_bits,
        step_bits=step_bits,
        slices=slices,
        adcs=adcs,
        tiles=(),
        center=int(rng.choice([0, -8, 3])),
        subtract_analog=analog,
        bound=1 << 30,
        block_rows=block[0],
        block_cols=block[1],
        copies=int(rng.choice([1, 1, 2, 3])),
    )
    matrix = replace(matrix, tiles=tuple(_tiles(rng, matrix, (False, True)[: 1 + signed])))
    return matrix, _programmed(rng, matrix)


def _tiles(rng: np.random.Generator, matrix: Matrix, signs: tuple[bool, ...]) -> Iterator[Tile]:
    """Each tile on an array of its own."""
    blocks, rows, cols = matrix.stack
    row_blocks, arrays = _row_blocks(rng, rows), count()
    for copy, block, (k, height), index, negative in product(
        range(matrix.copies), range(blocks), row_blocks, range(len(matrix.slices)), signs
    ):
        first, n = block * rows + k, block * cols
        height = min(height, matrix.rows - first)
        if height > 0:
            width = min(cols, matrix.cols - n)
            yield Tile(next(arrays), 3, 5, first, height, n, width, index, negative, copy)


def _programmed(rng: np.random.Generator, matrix: Matrix) -> Crossbars:
    """The same random levels for all copies."""
    crossbars = Crossbars(load_target("isaac"))
    levels: dict[Tile, NDArray[np.uint8]] = {}
    for tile in matrix.tiles:
        place = replace(tile, array=0, copy=0)
        high = 1 << matrix.slices[tile.slice].bits
        if place not in levels:
            levels[place] = rng.integers(0, high, (tile.rows, tile.cols)).astype(np.uint8)
        crossbars.write(0, tile.array, tile.row, tile.col, levels[place])
    return crossbars


def effective_weights(matrix: Matrix, crossbars: Crossbars) -> NDArray[np.int64]:
    """The integer weights that the cells stand for, [K, N]; 0 between diagonal blocks."""
    weights = np.zeros((matrix.rows, matrix.cols), np.int64)
    centered = np.zeros_like(weights, np.bool_)
    for tile in matrix.tiles:
        place = np.s_[tile.k : tile.k + tile.rows, tile.n : tile.n + tile.cols]
        sign = -1 if tile.negative else 1
        part = crossbars.tile(0, tile).astype(np.int64) * matrix.slices[tile.slice].coefficient
        weights[place] += sign * part * (tile.copy == 0)
        centered[place] = True
    return weights + matrix.center * centered


def _random_adc(rng: np.random.Generator, signed: bool) -> Adc:
    """Exact, wide enough for anything, clipping, or rounding."""
    bits = int(rng.choice([0, 16, 4, 6]))
    step = int(rng.choice([1, 1, 2, 3, 8])) if bits in (4, 6) else 1
    low = -(1 << bits >> 1) * step if signed else 0
    return Adc(bits, low, step)


def _row_blocks(rng: np.random.Generator, rows: int) -> list[tuple[int, int]]:
    cuts = sorted({0, *(int(c) for c in rng.integers(0, rows, 2)), rows})
    return [(start, stop - start) for start, stop in pairwise(cuts)]
